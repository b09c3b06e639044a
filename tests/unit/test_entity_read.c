/* Reading the events of an entity: what is asked for, what is given, and how it ends. */
#include <check.h>
#include <stdlib.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

static struct herald_read question;
static struct herald_message *kept;
static uint64_t versions[16];
static unsigned version_count;
static unsigned stop_after;

static int on_event(struct herald_message *event, void *context)
{
    ck_assert_ptr_eq(context, &question);
    ck_assert_str_eq(herald_message_exchange(event), "e");
    ck_assert_str_eq(herald_message_key(event), "paid");
    ck_assert_uint_eq(herald_message_time_ms(event), 1234);
    ck_assert_int_eq(herald_done(event), HERALD_ESTALE);
    ck_assert_int_eq(herald_read(herald_message_client(event), &question, 10),
                     HERALD_EWOULDDEADLOCK);
    versions[version_count++] = herald_message_version(event);
    if (kept == NULL)
        kept = herald_message_retain(event);
    return version_count == stop_after;
}

static enum herald_status read_all(struct herald_client *client)
{
    version_count = 0;
    return herald_read(client, &question, 2000);
}

static enum herald_status read_impatiently(struct herald_client *client)
{
    version_count = 0;
    return herald_read(client, &question, 20);
}

static struct fake_broker *begin_read(struct fake_asker *asker)
{
    question = (struct herald_read){.size = sizeof question,
                                    .exchange = "e",
                                    .entity = "a",
                                    .on_event = on_event,
                                    .context = &question};
    stop_after = 0;
    kept = NULL;
    return fake_with_asker(asker);
}

static void end_read(struct fake_broker *fake, const struct fake_asker *asker)
{
    herald_message_free(kept);
    fake->client = NULL;
    herald_close(asker->client, 0);
    fake_free(fake);
}

static void say_read(struct fake_broker *fake, uint64_t tag, uint64_t version, uint8_t flags)
{
    unsigned char room[32];
    struct wire_writer w = wire_writer_of(room, sizeof room);
    property_put_number(&w, PROPERTY_MESSAGE_VERSION, version);
    struct frame frame = {
        .header = {.type = FRAME_EVENT, .flags = flags, .tag = tag},
        .as.event = {.sequence = version > 0 ? version + 100 : 0,
                     .version = version,
                     .number = 5,
                     .time_ms = 1234,
                     .key = wire_bytes_of_text("paid"),
                     .properties = wire_bytes_of(room, (uint32_t)wire_written(&w)),
                     .body_bytes = 4,
                     .body = wire_bytes_of_text("body")},
    };
    fake_say(fake, &frame);
}

START_TEST(test_read)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_read(&asker);
    struct frame frame;
    question.backward = 1;
    question.from_snapshot = 1;
    question.from = 9;
    question.limit = 3;
    fake_begin_asking(&asker, read_all);
    fake_take(fake, FRAME_READ, &frame);
    ck_assert_uint_eq(frame.header.flags, FLAG_BACKWARD | FLAG_FROM_SNAPSHOT);
    ck_assert(wire_bytes_equal(frame.as.read.entity, wire_bytes_of_text("a")));
    ck_assert_uint_eq(frame.as.read.from, 9);
    ck_assert_uint_eq(frame.as.read.limit, 3);
    say_read(fake, frame.header.tag, 9, 0);
    fake_credit(fake, 1, 1); /* anything may come between */
    say_read(fake, frame.header.tag, 8, 0);
    say_read(fake, frame.header.tag, 7, FLAG_LAST);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_uint_eq(version_count, 3);
    ck_assert_uint_eq(versions[0], 9);
    ck_assert_uint_eq(versions[2], 7);
    ck_assert_mem_eq(herald_message_body(kept), "body", 4);
    ck_assert_str_eq(herald_message_exchange(kept), "e");
    end_read(fake, &asker);
}
END_TEST

START_TEST(test_read_nothing)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_read(&asker);
    struct frame frame;
    fake_begin_asking(&asker, read_all);
    fake_take(fake, FRAME_READ, &frame);
    ck_assert_uint_eq(frame.header.flags, 0);
    say_read(fake, frame.header.tag, 0, FLAG_LAST);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_uint_eq(version_count, 0);
    fake_begin_asking(&asker, read_all);
    fake_take(fake, FRAME_READ, &frame);
    fake_refuse(fake, frame.header.tag, STATUS_NO_ENTITY, "");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ENOTFOUND);
    ck_assert_str_eq(herald_last_error(asker.client).name, "NO_ENTITY");
    end_read(fake, &asker);
}
END_TEST

START_TEST(test_read_stopped_lost_and_late)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_read(&asker);
    struct frame frame;
    stop_after = 1;
    fake_begin_asking(&asker, read_all);
    fake_take(fake, FRAME_READ, &frame);
    say_read(fake, frame.header.tag, 1, 0);
    say_read(fake, frame.header.tag, 2, FLAG_LAST);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ESTOPPED);
    ck_assert_uint_eq(version_count, 1);
    stop_after = 0;
    fake_begin_asking(&asker, read_impatiently);
    fake_take(fake, FRAME_READ, &frame);
    uint64_t late_tag = frame.header.tag;
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ETIMEOUT);
    fake_begin_asking(&asker, read_all);
    fake_take(fake, FRAME_READ, &frame);
    say_read(fake, late_tag, 1, 0);
    say_read(fake, late_tag, 2, FLAG_LAST);
    say_read(fake, frame.header.tag, 3, FLAG_LAST);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_uint_eq(version_count, 1);
    fake_begin_asking(&asker, read_all);
    fake_take(fake, FRAME_READ, &frame);
    say_read(fake, frame.header.tag, 1, 0);
    fake_drop(fake);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ELOST);
    ck_assert_uint_eq(version_count, 1);
    end_read(fake, &asker);
}
END_TEST

static unsigned lost;

static void on_state(struct herald_client *client, enum herald_state state, void *user)
{
    (void)client;
    (void)user;
    lost += state == HERALD_STATE_LOST;
}

START_TEST(test_event_that_nobody_asked_for)
{
    struct herald_options options = herald_options_default();
    options.on_state = on_state;
    lost = 0;
    struct fake_broker *fake = fake_new();
    (void)fake_client(fake, &options);
    fake_open(fake);
    say_read(fake, 1, 1, FLAG_LAST);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(lost, 1);
    herald_close(fake->client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_read_arguments)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = begin_read(&asker);
    ck_assert_int_eq(herald_read(asker.client, &question, 0), HERALD_EINVAL);
    question.exchange = NULL;
    ck_assert_int_eq(read_all(asker.client), HERALD_EINVAL);
    question.exchange = "e";
    question.on_event = NULL;
    ck_assert_int_eq(read_all(asker.client), HERALD_EINVAL);
    end_read(fake, &asker);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("entity_read");
    TCase *reading = tcase_create("read");
    tcase_add_test(reading, test_read);
    tcase_add_test(reading, test_read_nothing);
    tcase_add_test(reading, test_read_stopped_lost_and_late);
    tcase_add_test(reading, test_event_that_nobody_asked_for);
    tcase_add_test(reading, test_read_arguments);
    suite_add_tcase(suite, reading);
    return check_main(suite);
}
