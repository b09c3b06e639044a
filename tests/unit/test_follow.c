/* Following a history: the frame, readers over lost connections, cursors, what is refused. */
#include <check.h>
#include <stdlib.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

struct seen {
    uint64_t sequences[16];
    unsigned count;
    uint64_t missed;
    unsigned gone;
    unsigned code;
};

static void on_message(struct herald_message *message, void *context)
{
    struct seen *seen = context;
    ck_assert_uint_lt(seen->count, 16);
    seen->sequences[seen->count++] = herald_message_sequence(message);
}

static void on_gap(struct herald_consumer *consumer, uint64_t missed, void *context)
{
    (void)consumer;
    struct seen *seen = context;
    seen->missed += missed;
}

static void on_gone(struct herald_consumer *consumer, unsigned code, const char *text,
                    void *context)
{
    (void)consumer;
    ck_assert_ptr_nonnull(text);
    struct seen *seen = context;
    seen->gone++;
    seen->code = code;
}

static struct herald_reading reading_for(struct seen *seen)
{
    struct herald_reading reading = herald_reading("news", "a.#", on_message);
    reading.context = seen;
    reading.on_gap = on_gap;
    reading.on_gone = on_gone;
    return reading;
}

static struct fake_broker *begin(const struct herald_reading *reading)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    fake_open(fake);
    ck_assert_int_eq(herald_follow(client, reading, 0, NULL), HERALD_OK);
    return fake;
}

static void end(struct fake_broker *fake)
{
    herald_close(fake->client, 0);
    fake->client = NULL;
    fake_free(fake);
}

static void say_event(struct fake_broker *fake, uint64_t delivery, uint64_t sequence)
{
    unsigned char room[32];
    struct wire_writer w = wire_writer_of(room, sizeof room);
    property_put_number(&w, PROPERTY_MESSAGE_SEQUENCE, sequence);
    struct frame frame = {
        .header.type = FRAME_DELIVER,
        .as.deliver = {.consumer = 1,
                       .delivery = delivery,
                       .number = sequence,
                       .properties = wire_bytes_of(room, (uint32_t)wire_written(&w))},
    };
    fake_say(fake, &frame);
}

static void say_gap(struct fake_broker *fake, uint64_t missed)
{
    struct frame frame = {.header.type = FRAME_GAP, .as.gap = {1, missed}};
    fake_say(fake, &frame);
}

/* Where the reader begins, and the confirm. */
static void say_begin(struct fake_broker *fake, uint64_t tag, uint64_t before)
{
    struct frame frame = {.header = {.type = FRAME_COUNT, .tag = tag}, .as.count.count = before};
    fake_say(fake, &frame);
    fake_confirm(fake, tag, tag);
}

/* Takes a FOLLOW, which must begin there. Returns its tag. */
static uint64_t take_follow(struct fake_broker *fake, enum frame_follow_from from, uint64_t at)
{
    struct frame frame;
    fake_take(fake, FRAME_FOLLOW, &frame);
    ck_assert_uint_eq(frame.as.follow.consumer, 1);
    ck_assert_uint_eq(frame.as.follow.from, from);
    ck_assert_uint_eq(frame.as.follow.at, at);
    return frame.header.tag;
}

/* A new connection; what is under way is lost. */
static void reconnect(struct fake_broker *fake)
{
    fake_let_run(fake, 5);
    fake_open(fake);
}

START_TEST(test_frame)
{
    struct seen seen = {0};
    struct herald_reading reading = reading_for(&seen);
    const struct herald_header filter[] = {{"country", 0, "de", 2}, {"x", 0, "", 0}};
    reading.filter = filter;
    reading.filter_count = 2;
    reading.from = HERALD_FROM_TIME;
    reading.at = 1700000000000;
    struct fake_broker *fake = begin(&reading);
    struct frame frame;
    fake_take(fake, FRAME_FOLLOW, &frame);
    const struct frame_follow *follow = &frame.as.follow;
    ck_assert(wire_bytes_equal(follow->exchange, wire_bytes_of_text("news")));
    ck_assert(wire_bytes_equal(follow->pattern, wire_bytes_of_text("a.#")));
    ck_assert_uint_eq(follow->cursor.bytes, 0);
    ck_assert_uint_eq(follow->from, FOLLOW_TIME);
    ck_assert_uint_eq(follow->at, 1700000000000);
    ck_assert_int_eq(header_check(follow->filter, 64, 16384), STATUS_OK);
    struct wire_reader r = wire_reader_of(follow->filter.at, follow->filter.bytes);
    struct header header;
    ck_assert(header_next(&r, &header));
    ck_assert(wire_bytes_equal(header.name, wire_bytes_of_text("country")));
    ck_assert(wire_bytes_equal(header.value, wire_bytes_of_text("de")));
    end(fake);
}
END_TEST

START_TEST(test_reader_goes_on_behind_the_last)
{
    struct seen seen = {0};
    struct herald_reading reading = reading_for(&seen);
    reading.from = HERALD_FROM_FIRST;
    struct fake_broker *fake = begin(&reading);
    say_begin(fake, take_follow(fake, FOLLOW_FIRST, 0), 0);
    say_event(fake, 0, 3);
    say_event(fake, 0, 7);
    fake_expect_silence(fake); /* nothing to settle */
    reconnect(fake);
    (void)take_follow(fake, FOLLOW_SEQUENCE,
                      8); /* lost again before its answer, not so its events */
    say_event(fake, 0, 8);
    reconnect(fake);
    uint64_t tag = take_follow(fake, FOLLOW_SEQUENCE, 9);
    fake_expect_silence(fake);
    say_begin(fake, tag, 8);
    say_event(fake, 0, 10);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.count, 4);
    ck_assert_uint_eq(seen.sequences[3], 10);
    ck_assert_uint_eq(seen.gone, 0);
    end(fake);
}
END_TEST

/* Where `next` is, only the broker knows: without its word all that comes while the connection is
 * lost would be missed by a reader that has had nothing yet. */
START_TEST(test_reader_of_the_next_has_a_place)
{
    struct seen seen = {0};
    struct herald_reading reading = reading_for(&seen);
    struct fake_broker *fake = begin(&reading);
    say_begin(fake, take_follow(fake, FOLLOW_NEXT, 0), 41);
    reconnect(fake);
    say_event(fake, 0, 45); /* before the word that comes with the confirm */
    say_begin(fake, take_follow(fake, FOLLOW_SEQUENCE, 42), 41);
    reconnect(fake);
    say_begin(fake, take_follow(fake, FOLLOW_SEQUENCE, 46), 45);
    end(fake);
}
END_TEST

START_TEST(test_reader_of_the_last_of_each_key)
{
    struct seen seen = {0};
    struct herald_reading reading = reading_for(&seen);
    reading.from = HERALD_FROM_LAST;
    struct fake_broker *fake = begin(&reading);
    say_begin(fake, take_follow(fake, FOLLOW_LAST, 0), 100);
    reconnect(fake);
    say_begin(fake, take_follow(fake, FOLLOW_LAST, 0), 100);
    say_event(fake, 0, 17);
    reconnect(fake);
    (void)take_follow(fake, FOLLOW_SEQUENCE, 18);
    end(fake);
}
END_TEST

START_TEST(test_gap_is_told_once)
{
    struct seen seen = {0};
    struct herald_reading reading = reading_for(&seen);
    reading.from = HERALD_FROM_SEQUENCE;
    reading.at = 5;
    struct fake_broker *fake = begin(&reading);
    say_begin(fake, take_follow(fake, FOLLOW_SEQUENCE, 5), 4);
    say_gap(fake, 95);
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.missed, 95);
    reconnect(fake);
    say_begin(fake, take_follow(fake, FOLLOW_SEQUENCE, 100), 99);
    say_gap(fake, UINT64_MAX); /* nonsense moves nothing */
    reconnect(fake);
    (void)take_follow(fake, FOLLOW_SEQUENCE, 100);
    end(fake);
}
END_TEST

START_TEST(test_cursor_is_settled)
{
    struct seen seen = {0};
    struct herald_reading reading = reading_for(&seen);
    reading.cursor = "mine";
    reading.from = HERALD_FROM_FIRST;
    reading.prefetch_messages = 10;
    reading.prefetch_bytes = 1000;
    struct fake_broker *fake = begin(&reading);
    struct frame frame;
    for (int i = 0; i < 2; i++) { /* the same again after a lost connection */
        fake_take(fake, FRAME_FOLLOW, &frame);
        ck_assert(wire_bytes_equal(frame.as.follow.cursor, wire_bytes_of_text("mine")));
        ck_assert_uint_eq(frame.as.follow.from, FOLLOW_FIRST);
        ck_assert_uint_eq(frame.as.follow.at, 0);
        ck_assert_uint_eq(frame.as.follow.prefetch_messages, 10);
        ck_assert_uint_eq(frame.as.follow.prefetch_bytes, 1000);
        fake_confirm(fake, frame.header.tag, frame.header.tag);
        say_event(fake, 1, 3);
        fake_take(fake, FRAME_DONE, &frame);
        say_gap(fake, 5);
        reconnect(fake);
    }
    ck_assert_uint_eq(seen.count, 2);
    ck_assert_uint_eq(seen.missed, 10);
    end(fake);
}
END_TEST

static void settle_other(struct herald_message *message, void *context)
{
    (void)context;
    herald_fail(message, HERALD_FAIL_RETRYABLE, "LATER", NULL);
}

START_TEST(test_cursor_is_settled_by_hand)
{
    struct herald_reading reading = herald_reading("news", NULL, settle_other);
    reading.cursor = "mine";
    reading.manual_settle = 1;
    struct fake_broker *fake = begin(&reading);
    struct frame frame;
    fake_take(fake, FRAME_FOLLOW, &frame);
    ck_assert(wire_bytes_equal(frame.as.follow.pattern, wire_bytes_of_text("#")));
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    say_event(fake, 1, 3);
    fake_take(fake, FRAME_FAIL, &frame);
    ck_assert(wire_bytes_equal(frame.as.fail.code, wire_bytes_of_text("LATER")));
    end(fake);
}
END_TEST

START_TEST(test_refused)
{
    struct seen seen = {0};
    struct herald_reading reading = reading_for(&seen);
    struct fake_broker *fake = begin(&reading);
    fake_refuse(fake, take_follow(fake, FOLLOW_NEXT, 0), STATUS_NO_HISTORY, "");
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.gone, 1);
    ck_assert_uint_eq(seen.code, STATUS_NO_HISTORY);
    reconnect(fake);
    fake_expect_silence(fake);
    end(fake);
}
END_TEST

static enum herald_status follow(struct herald_client *client)
{
    struct herald_reading reading = herald_reading("news", NULL, on_message);
    struct herald_consumer *consumer;
    enum herald_status status = herald_follow(client, &reading, 2000, &consumer);
    ck_assert_ptr_null(consumer);
    return status;
}

static enum herald_status seek(struct herald_client *client)
{
    return herald_cursor_seek(client, "mine", HERALD_FROM_SEQUENCE, 12, 2000);
}

START_TEST(test_waiting)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = fake_with_asker(&asker);
    struct frame frame;
    fake_begin_asking(&asker, follow);
    fake_take(fake, FRAME_FOLLOW, &frame);
    fake_refuse(fake, frame.header.tag, STATUS_MISMATCH, "");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_EREFUSED);
    ck_assert_str_eq(herald_last_error(asker.client).name, "MISMATCH");
    fake_begin_asking(&asker, seek);
    fake_take(fake, FRAME_CANCEL, &frame);
    fake_take(fake, FRAME_CURSOR_SEEK, &frame);
    ck_assert(wire_bytes_equal(frame.as.cursor_seek.cursor, wire_bytes_of_text("mine")));
    ck_assert_uint_eq(frame.as.cursor_seek.from, FOLLOW_SEQUENCE);
    ck_assert_uint_eq(frame.as.cursor_seek.at, 12);
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_int_eq(herald_cursor_seek(asker.client, NULL, HERALD_FROM_FIRST, 0, 100),
                     HERALD_EINVAL);
    herald_close(asker.client, 0);
    fake_free(fake);
}
END_TEST

START_TEST(test_arguments)
{
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, NULL);
    struct seen seen = {0};
    struct herald_reading reading = reading_for(&seen);
    const struct herald_header nameless = {"", 0, "x", 1};
    reading.from = (enum herald_from)5;
    ck_assert_int_eq(herald_follow(client, &reading, 0, NULL), HERALD_EINVAL);
    reading = reading_for(&seen);
    reading.exchange = "";
    ck_assert_int_eq(herald_follow(client, &reading, 0, NULL), HERALD_EINVAL);
    reading = reading_for(&seen);
    reading.cursor = "";
    ck_assert_int_eq(herald_follow(client, &reading, 0, NULL), HERALD_EINVAL);
    reading = reading_for(&seen);
    reading.on_message = NULL;
    ck_assert_int_eq(herald_follow(client, &reading, 0, NULL), HERALD_EINVAL);
    reading = reading_for(&seen);
    reading.size--;
    ck_assert_int_eq(herald_follow(client, &reading, 0, NULL), HERALD_EINVAL);
    reading = reading_for(&seen);
    reading.filter = &nameless;
    reading.filter_count = 1;
    ck_assert_int_eq(herald_follow(client, &reading, 0, NULL), HERALD_EINVAL);
    end(fake);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("follow");
    TCase *follow_case = tcase_create("follow");
    tcase_add_test(follow_case, test_frame);
    tcase_add_test(follow_case, test_reader_goes_on_behind_the_last);
    tcase_add_test(follow_case, test_reader_of_the_next_has_a_place);
    tcase_add_test(follow_case, test_reader_of_the_last_of_each_key);
    tcase_add_test(follow_case, test_gap_is_told_once);
    tcase_add_test(follow_case, test_cursor_is_settled);
    tcase_add_test(follow_case, test_cursor_is_settled_by_hand);
    tcase_add_test(follow_case, test_refused);
    tcase_add_test(follow_case, test_waiting);
    tcase_add_test(follow_case, test_arguments);
    suite_add_tcase(suite, follow_case);
    return check_main(suite);
}
