/* Entities: publishing their events and what comes of it, what the events say of themselves. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

static void end(struct fake_broker *fake)
{
    herald_close(fake->client, 0);
    fake->client = NULL;
    fake_free(fake);
}

/* --- publishing ---------------------------------------------------------------------------------
 */

static struct wire_bytes publish(struct fake_broker *fake, const struct herald_content *content)
{
    struct frame frame;
    ck_assert_int_eq(herald_publish(fake->client, "e", "k", content), HERALD_OK);
    fake_take(fake, FRAME_PUBLISH, &frame);
    struct wire_bytes list = frame.as.publish.properties;
    ck_assert_int_eq(property_check(list, PROPERTY_SCOPE_MESSAGE), STATUS_OK);
    return list;
}

START_TEST(test_what_is_expected)
{
    struct fake_broker *fake = fake_new();
    (void)fake_client(fake, NULL);
    fake_open(fake);
    struct herald_content content = herald_text("x");
    struct wire_bytes list = publish(fake, &content);
    ck_assert_ptr_null(property_find(list, PROPERTY_MESSAGE_ENTITY).at);
    content.entity = "account-7";
    list = publish(fake, &content);
    ck_assert(wire_bytes_equal(property_find(list, PROPERTY_MESSAGE_ENTITY),
                               wire_bytes_of_text("account-7")));
    ck_assert_ptr_null(property_find(list, PROPERTY_MESSAGE_EXPECT).at);
    ck_assert_ptr_null(property_find(list, PROPERTY_MESSAGE_SNAPSHOT).at);
    content.snapshot = 1;
    content.expect = HERALD_EXPECT_NONE;
    list = publish(fake, &content);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_MESSAGE_EXPECT, 9), 0);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_MESSAGE_SNAPSHOT, 9), 1);
    content.expect = HERALD_EXPECT_EXISTS;
    list = publish(fake, &content);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_MESSAGE_EXPECT, 9), EXPECT_EXISTS);
    content.expect = HERALD_EXPECT_VERSION;
    content.expect_version = 12;
    list = publish(fake, &content);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_MESSAGE_EXPECT, 9), 12);
    end(fake);
}
END_TEST

START_TEST(test_what_cannot_be_expected)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    char name[300];
    struct herald_content content = herald_text("x");
    content.expect = HERALD_EXPECT_EXISTS;
    ck_assert_int_eq(herald_publish(client, "e", "k", &content), HERALD_EINVAL);
    content.entity = "a";
    content.expect = (enum herald_expect)4;
    ck_assert_int_eq(herald_publish(client, "e", "k", &content), HERALD_EINVAL);
    content.expect = HERALD_EXPECT_VERSION;
    content.expect_version = UINT64_MAX - 1;
    ck_assert_int_eq(herald_publish(client, "e", "k", &content), HERALD_EINVAL);
    content.expect_version = UINT64_MAX - 2;
    ck_assert_int_eq(herald_publish(client, "e", "k", &content), HERALD_OK);
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    content.entity = name;
    ck_assert_int_eq(herald_publish(client, "e", "k", &content), HERALD_OK);
    name[255] = 'n';
    name[256] = '\0';
    ck_assert_int_eq(herald_publish(client, "e", "k", &content), HERALD_EINVAL);
    end(fake);
}
END_TEST

static uint64_t conflict_version;

static void on_refused(struct herald_client *client, const struct herald_refusal *refusal,
                       void *user)
{
    (void)client;
    ck_assert_ptr_null(user);
    ck_assert_str_eq(refusal->name, "VERSION_CONFLICT");
    conflict_version = refusal->version;
}

START_TEST(test_conflict_is_told)
{
    struct herald_options options = herald_options_default();
    options.on_refused = on_refused;
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, &options);
    fake_open(fake);
    struct herald_content content = herald_text("x");
    content.entity = "a";
    content.expect = HERALD_EXPECT_VERSION;
    content.expect_version = 3;
    (void)publish(fake, &content);
    fake_refuse(fake, 1, STATUS_VERSION_CONFLICT, "5");
    fake_confirm(fake, 1, 1);
    ck_assert_int_eq(herald_flush(client, 1000), HERALD_ECONFLICT);
    struct herald_error error = herald_last_error(client);
    ck_assert_int_eq(error.status, HERALD_ECONFLICT);
    ck_assert_uint_eq(error.version, 5);
    ck_assert_str_eq(error.text, "the entity is at version 5");
    ck_assert_uint_eq(conflict_version, 5);
    end(fake);
}
END_TEST

/* --- receiving ----------------------------------------------------------------------------------
 */

static unsigned heard;

static void check_event(struct herald_message *message, void *context)
{
    size_t bytes;
    const char *entity = herald_message_entity(message, &bytes);
    (void)context;
    if (heard++ == 0) {
        ck_assert_uint_eq(herald_message_sequence(message), 1000);
        ck_assert_uint_eq(bytes, 1);
        ck_assert_mem_eq(entity, "a", 1);
        ck_assert_uint_eq(herald_message_version(message), 7);
        ck_assert_int_eq(herald_message_is_snapshot(message), 1);
        return;
    }
    ck_assert_uint_eq(herald_message_sequence(message), 0);
    ck_assert_ptr_null(entity);
    ck_assert_uint_eq(bytes, 0);
    ck_assert_uint_eq(herald_message_version(message), 0);
    ck_assert_int_eq(herald_message_is_snapshot(message), 0);
}

START_TEST(test_what_events_say)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    fake_open(fake);
    struct herald_subscription subscription = herald_subscription("e", NULL, check_event);
    ck_assert_int_eq(herald_subscribe(client, &subscription, 0, NULL), HERALD_OK);
    uint32_t consumer = fake_take_consumer(fake, FRAME_SUBSCRIBE);
    unsigned char room[100];
    struct wire_writer w = wire_writer_of(room, sizeof room);
    property_put(&w, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text("a"));
    property_put_number(&w, PROPERTY_MESSAGE_SNAPSHOT, 1);
    property_put_number(&w, PROPERTY_MESSAGE_SEQUENCE, 1000);
    property_put_number(&w, PROPERTY_MESSAGE_VERSION, 7);
    struct frame frame = {.header.type = FRAME_DELIVER};
    frame.as.deliver.consumer = consumer;
    frame.as.deliver.properties = wire_bytes_of(room, (uint32_t)wire_written(&w));
    heard = 0;
    fake_say(fake, &frame);
    fake_deliver(fake, consumer, 0, "x");
    fake_let_run(fake, 10);
    ck_assert_uint_eq(heard, 2);
    end(fake);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("entity");
    TCase *entity = tcase_create("entity");
    tcase_add_test(entity, test_what_is_expected);
    tcase_add_test(entity, test_what_cannot_be_expected);
    tcase_add_test(entity, test_conflict_is_told);
    tcase_add_test(entity, test_what_events_say);
    suite_add_tcase(suite, entity);
    return check_main(suite);
}
