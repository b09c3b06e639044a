/* Entities: publishing their events and what comes of it, what the events say of themselves. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/append.h"
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

/* --- appending ----------------------------------------------------------------------------------
 */

static struct herald_append wanted;
static struct herald_appended appended;

static enum herald_status append(struct herald_client *client)
{
    memset(&appended, 0xff, sizeof appended);
    return herald_append(client, &wanted, 2000, &appended);
}

static enum herald_status append_impatiently(struct herald_client *client)
{
    return herald_append(client, &wanted, 20, &appended);
}

/* Two events, the second with all that it may have. */
static struct fake_broker *begin_append(struct fake_asker *asker)
{
    static struct herald_event events[2];
    static const struct herald_header header = {"h", 0, "v", 1};
    events[0] = (struct herald_event){"opened", herald_text("one")};
    events[1] = (struct herald_event){"paid", herald_text("two")};
    events[1].content.headers = &header;
    events[1].content.header_count = 1;
    events[1].content.content_type = "text/plain";
    events[1].content.snapshot = 1;
    wanted = (struct herald_append){.size = sizeof wanted,
                                    .exchange = "e",
                                    .entity = "a",
                                    .expect = HERALD_EXPECT_VERSION,
                                    .expect_version = 5,
                                    .events = events,
                                    .event_count = 2};
    return fake_with_asker(asker);
}

static void say_appended(struct fake_broker *fake, uint64_t tag, uint64_t version)
{
    struct frame frame = {.header = {.type = FRAME_APPENDED, .tag = tag},
                          .as.appended = {.sequence = 1000, .version = version}};
    fake_say(fake, &frame);
}

START_TEST(test_append)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_append(&asker);
    struct frame frame;
    struct append_event event;
    uint32_t count;
    fake_begin_asking(&asker, append);
    fake_take(fake, FRAME_APPEND, &frame);
    ck_assert(wire_bytes_equal(frame.as.append.exchange, wire_bytes_of_text("e")));
    ck_assert(wire_bytes_equal(frame.as.append.entity, wire_bytes_of_text("a")));
    ck_assert_uint_eq(frame.as.append.expect, 5);
    struct wire_bytes list = frame.as.append.body;
    ck_assert_uint_eq(frame.as.append.body_bytes, list.bytes);
    ck_assert_int_eq(append_check(list, &count), STATUS_OK);
    ck_assert_uint_eq(count, 2);
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    ck_assert(append_next(&r, &event));
    ck_assert(wire_bytes_equal(event.key, wire_bytes_of_text("opened")));
    ck_assert(wire_bytes_equal(event.body, wire_bytes_of_text("one")));
    ck_assert_uint_eq(event.properties.bytes, 0);
    ck_assert_uint_eq(event.headers.bytes, 0);
    ck_assert(append_next(&r, &event));
    ck_assert(wire_bytes_equal(event.key, wire_bytes_of_text("paid")));
    ck_assert_int_eq(property_check(event.properties, PROPERTY_SCOPE_MESSAGE), STATUS_OK);
    ck_assert_uint_eq(property_find_number(event.properties, PROPERTY_MESSAGE_SNAPSHOT, 0), 1);
    ck_assert_int_eq(header_check(event.headers, 1, 10), STATUS_OK);
    say_appended(fake, frame.header.tag, 7);
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_uint_eq(appended.version, 7);
    ck_assert_uint_eq(appended.sequence, 1000);
    fake->client = asker.client;
    end(fake);
}
END_TEST

START_TEST(test_append_conflict)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_append(&asker);
    struct frame frame;
    fake_begin_asking(&asker, append);
    fake_take(fake, FRAME_APPEND, &frame);
    fake_refuse(fake, frame.header.tag, STATUS_VERSION_CONFLICT, "9");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ECONFLICT);
    ck_assert_uint_eq(appended.version, 9);
    ck_assert_uint_eq(appended.sequence, 0);
    fake_begin_asking(&asker, append);
    fake_take(fake, FRAME_APPEND, &frame);
    fake_refuse(fake, frame.header.tag, STATUS_NO_HISTORY, "");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_EREFUSED);
    ck_assert_uint_eq(appended.version, 0);
    ck_assert_int_eq(herald_flush(asker.client, 100), HERALD_OK); /* told to who waited */
    fake->client = asker.client;
    end(fake);
}
END_TEST

/* What was published before stands before, and is not overtaken although it waits for credit. */
START_TEST(test_append_keeps_its_place)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_append(&asker);
    struct frame frame;
    fake->client = asker.client;
    fake_accept(fake);
    fake_greet(fake, 0, 0);
    fake_let_run(fake, 5);
    struct herald_content content = herald_text("x");
    ck_assert_int_eq(herald_publish(asker.client, "e", "k", &content), HERALD_OK);
    fake->client = NULL;
    fake_begin_asking(&asker, append);
    fake_expect_silence(fake);
    fake_credit(fake, 2, 1000);
    fake_take(fake, FRAME_PUBLISH, &frame);
    fake_take(fake, FRAME_APPEND, &frame);
    say_appended(fake, frame.header.tag, 7);
    fake_confirm(fake, frame.header.tag - 1, frame.header.tag);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    fake->client = asker.client;
    end(fake);
}
END_TEST

/* The answer of a frame that arrived is repeated, where it stands is not. */
START_TEST(test_append_over_a_lost_connection)
{
    static const struct {
        enum herald_expect expect;
        uint64_t version;
    } cases[] = {{HERALD_EXPECT_VERSION, 7},
                 {HERALD_EXPECT_NONE, 2},
                 {HERALD_EXPECT_EXISTS, 0},
                 {HERALD_EXPECT_ANY, 0}};
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_append(&asker);
    struct frame frame;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wanted.expect = cases[i].expect;
        fake_begin_asking(&asker, append);
        fake_take(fake, FRAME_APPEND, &frame);
        uint64_t tag = frame.header.tag;
        fake_accept(fake);
        fake_greet(fake, tag - 1, 10);
        fake_take(fake, FRAME_APPEND, &frame);
        ck_assert_uint_eq(frame.header.tag, tag);
        fake_accept(fake);
        fake_greet(fake, tag, 10);
        fake_confirm(fake, tag, tag);
        ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
        ck_assert_uint_eq(appended.version, cases[i].version);
        ck_assert_uint_eq(appended.sequence, 0);
    }
    fake->client = asker.client;
    end(fake);
}
END_TEST

START_TEST(test_append_given_up)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_append(&asker);
    struct frame frame;
    fake_begin_asking(&asker, append_impatiently);
    fake_take(fake, FRAME_APPEND, &frame);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ETIMEOUT);
    fake->client = asker.client;
    say_appended(fake, frame.header.tag, 7); /* nobody waits for it */
    say_appended(fake, 77, 7);
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(herald_unconfirmed(asker.client), 0);
    end(fake);
}
END_TEST

START_TEST(test_append_in_pieces)
{
    enum { BODY_BYTES = 3000, COUNT = 5 };
    static unsigned char body[BODY_BYTES];
    static unsigned char got[COUNT * (BODY_BYTES + 100)];
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_append(&asker);
    struct herald_event events[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        events[i] = (struct herald_event){"k", herald_content(body, sizeof body)};
    wanted.events = events;
    wanted.event_count = COUNT;
    fake->frame_bytes_max = FRAME_BYTES_MIN;
    fake->client = asker.client;
    fake_open(fake);
    fake_let_run(fake, 5);
    fake->client = NULL;
    fake_begin_asking(&asker, append);
    struct frame frame;
    fake_take(fake, FRAME_APPEND, &frame);
    uint64_t tag = frame.header.tag;
    size_t bytes = frame.as.append.body_bytes;
    size_t count = frame.as.append.body.bytes;
    ck_assert_uint_le(bytes, sizeof got);
    memcpy(got, frame.as.append.body.at, count);
    while (count < bytes) {
        fake_take(fake, FRAME_PIECE, &frame);
        memcpy(got + count, frame.as.piece.body.at, frame.as.piece.body.bytes);
        count += frame.as.piece.body.bytes;
    }
    uint32_t event_count;
    ck_assert_int_eq(append_check(wire_bytes_of(got, (uint32_t)bytes), &event_count), STATUS_OK);
    ck_assert_uint_eq(event_count, COUNT);
    say_appended(fake, tag, 10);
    fake_confirm(fake, tag, tag);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    fake->client = asker.client;
    end(fake);
}
END_TEST

START_TEST(test_append_arguments)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_append(&asker);
    struct herald_append good = wanted;
    struct herald_event event = wanted.events[0];
    ck_assert_int_eq(herald_append(asker.client, &wanted, 0, NULL), HERALD_EINVAL);
    wanted.size--;
    ck_assert_int_eq(append(asker.client), HERALD_EINVAL);
    wanted = good;
    wanted.entity = "";
    ck_assert_int_eq(append(asker.client), HERALD_EINVAL);
    wanted = good;
    wanted.event_count = 0;
    ck_assert_int_eq(append(asker.client), HERALD_EINVAL);
    wanted.event_count = 1025;
    ck_assert_int_eq(append(asker.client), HERALD_EINVAL);
    wanted = good;
    wanted.expect = (enum herald_expect)7;
    ck_assert_int_eq(append(asker.client), HERALD_EINVAL);
    wanted = good;
    wanted.events = &event;
    wanted.event_count = 1;
    event.key = NULL;
    ck_assert_int_eq(append(asker.client), HERALD_EINVAL);
    event.key = "k";
    event.content.entity = "a";
    ck_assert_int_eq(append(asker.client), HERALD_EINVAL);
    event.content.entity = NULL;
    event.content.transient = 1;
    ck_assert_int_eq(append(asker.client), HERALD_EINVAL);
    event.content.transient = 0;
    event.content.body_bytes = 2 * 1024 * 1024;
    ck_assert_int_eq(append(asker.client), HERALD_ETOOLARGE);
    ck_assert_uint_eq(appended.version, 0);
    fake->client = asker.client;
    fake_expect_silence(fake);
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
    TCase *appending = tcase_create("append");
    tcase_add_test(appending, test_append);
    tcase_add_test(appending, test_append_conflict);
    tcase_add_test(appending, test_append_keeps_its_place);
    tcase_add_test(appending, test_append_over_a_lost_connection);
    tcase_add_test(appending, test_append_given_up);
    tcase_add_test(appending, test_append_in_pieces);
    tcase_add_test(appending, test_append_arguments);
    suite_add_tcase(suite, appending);
    return check_main(suite);
}
