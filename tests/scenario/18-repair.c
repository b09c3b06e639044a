/* Looking into queues, and repairing what is parked: with other content, elsewhere, counted. */
#include "tests/support/check_main.h"
#include "tests/support/tracking.h"

static uint64_t numbers[4]; /* of parked commands, oldest first */

static void park(unsigned count)
{
    do_consume(bob, 1, "work", 1);
    for (unsigned i = 0; i < count; i++) {
        do_send(alice, "work", (const char *[]){"a", "b", "c", "d"}[i]);
        struct heard heard = hear_delivery(bob, NULL);
        numbers[i] = heard.number;
        hear_confirm(bob, say_fail_as(heard.delivery, FAIL_PERMANENT));
    }
    hear_confirm(bob, say_cancel(bob, 1));
}

static uint64_t say_peek(const char *queue, unsigned what, uint64_t after)
{
    struct frame frame = {.header.type = FRAME_PEEK};
    frame.as.peek = (struct frame_peek){wire_bytes_of_text(queue), (uint8_t)what, after};
    return actor_say(alice, &frame);
}

static struct frame_peeked peek(unsigned what, uint64_t after)
{
    uint64_t tag = say_peek("work", what, after);
    struct frame frame;
    ck_assert(actor_next(alice, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_PEEKED);
    ck_assert_uint_eq(frame.header.tag, tag);
    return frame.as.peeked;
}

/* With alice's properties. */
static uint64_t say_replace_with(uint64_t number, const char *to, const char *body)
{
    struct frame frame = {.header.type = FRAME_PARKED_REPLACE};
    frame.as.parked_replace = (struct frame_parked_replace){
        .queue = wire_bytes_of_text("work"),
        .number = number,
        .to = wire_bytes_of_text(to),
        .properties = wire_bytes_of(properties, (uint32_t)wire_written(&w)),
        .body_bytes = (uint32_t)strlen(body),
        .body = wire_bytes_of_text(body)};
    return actor_say(alice, &frame);
}

static uint64_t say_replace(uint64_t number, const char *to, const char *body)
{
    struct frame frame = {.header.type = FRAME_PARKED_REPLACE};
    frame.as.parked_replace = (struct frame_parked_replace){.queue = wire_bytes_of_text("work"),
                                                            .number = number,
                                                            .to = wire_bytes_of_text(to),
                                                            .body_bytes = (uint32_t)strlen(body),
                                                            .body = wire_bytes_of_text(body)};
    return actor_say(alice, &frame);
}

static uint64_t say_parked(enum frame_type type, uint64_t first, uint64_t last)
{
    struct frame frame = {.header.type = type};
    frame.as.parked_retry = (struct frame_parked_retry){wire_bytes_of_text("work"), first, last};
    return actor_say(alice, &frame);
}

START_TEST(test_peeking_shows_all_and_changes_nothing)
{
    for (unsigned i = 0; i < 3; i++)
        do_send(alice, "work", (const char *[]){"a", "b", "c"}[i]);
    w = wire_writer_of(properties, sizeof properties);
    with(PROPERTY_MESSAGE_DELAY, 60000);
    do_tracked("later");
    (void)run("a");
    static const struct {
        const char *body;
        unsigned state;
    } expected[] = {
        {"a", PEEKED_RUNNING}, {"b", PEEKED_READY}, {"c", PEEKED_READY}, {"later", PEEKED_WAITING}};
    uint64_t after = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct frame_peeked peeked = peek(PEEK_WAITING, after);
        ck_assert(wire_bytes_equal(peeked.body, wire_bytes_of_text(expected[i].body)));
        ck_assert_uint_eq(peeked.state, expected[i].state);
        ck_assert_uint_gt(peeked.number, after);
        after = peeked.number;
    }
    ck_assert_uint_eq(peek(PEEK_WAITING, after).number, 0);
    ck_assert_uint_eq(peek(PEEK_WAITING, UINT64_MAX).number, 0);
    ck_assert_uint_eq(peek(PEEK_PARKED, 0).number, 0);
    crash_and_enter();
    struct heard heard = run("a"); /* what was peeked at is not redelivered for that */
    (void)say_done(bob, heard.delivery, heard.delivery);
    ck_assert(hear_delivery(bob, "b").number != 0);
    hear_refuse(alice, say_peek("work", 2, 0), STATUS_BAD_VALUE);
    hear_refuse(alice, say_peek("nowhere", 0, 0), STATUS_NO_QUEUE);
}
END_TEST

/* Those aside and those parked are found whether they stand close together or far apart. */
START_TEST(test_peeking_finds_all_over_gaps)
{
    static const unsigned gaps[] = {0, 1, 0, 40, 2, 300, 0};
    unsigned count = sizeof gaps / sizeof *gaps;
    do_queue(alice, "other");
    do_consume(bob, 1, "work", 1);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < gaps[i]; j++)
            do_send(alice, "other", "between");
        do_send(alice, "work", "parked");
        hear_confirm(bob, say_fail_as(hear_delivery(bob, "parked").delivery, FAIL_PERMANENT));
        w = wire_writer_of(properties, sizeof properties);
        with(PROPERTY_MESSAGE_DELAY, 60000);
        do_tracked("later");
    }
    for (unsigned what = PEEK_WAITING; what <= PEEK_PARKED; what++) {
        uint64_t after = 0;
        for (unsigned i = 0; i < count; i++) {
            struct frame_peeked peeked = peek(what, after);
            ck_assert(wire_bytes_equal(
                peeked.body, wire_bytes_of_text(what == PEEK_PARKED ? "parked" : "later")));
            ck_assert_uint_gt(peeked.number, after);
            after = peeked.number;
        }
        ck_assert_uint_eq(peek(what, after).number, 0);
        do_send(alice, "other", "behind");
        ck_assert_uint_eq(peek(what, after).number, 0);
        ck_assert_uint_eq(peek(what, UINT64_MAX).number, 0);
    }
}
END_TEST

START_TEST(test_a_message_that_left_memory_is_read_for_a_peek)
{
    static char large[3000];
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < 300; i++)
        do_send(alice, "work", large);
    crash_and_enter();
    struct frame_peeked peeked = peek(PEEK_WAITING, 0);
    ck_assert_uint_eq(peeked.body.bytes, sizeof large - 1);
    (void)say_peek("work", PEEK_WAITING, peeked.number + 150);
    actor_cut(alice); /* nobody waits for the answer */
    scene_settle(scene);
}
END_TEST

START_TEST(test_a_parked_command_gets_other_content_and_its_place)
{
    park(2);
    do_send(alice, "work", "newer");
    hear_confirm(alice, say_replace(numbers[0], "", "better"));
    crash_and_enter();
    struct frame_peeked peeked = peek(PEEK_PARKED, 0);
    ck_assert_uint_eq(peeked.number, numbers[0]);
    ck_assert_uint_eq(peeked.attempts, 1);
    ck_assert(wire_bytes_equal(peeked.body, wire_bytes_of_text("better")));
    hear_confirm(alice, say_parked(FRAME_PARKED_RETRY, 0, UINT64_MAX));
    ck_assert_uint_eq(alice->counted, 2);
    do_consume(bob, 1, "work", 3);
    uint64_t first = hear_delivery(bob, "better").number;
    uint64_t second = hear_delivery(bob, "b").number;
    ck_assert_uint_eq(first, numbers[0]);
    ck_assert_uint_eq(second, numbers[1]);
    (void)hear_delivery(bob, "newer");
}
END_TEST

START_TEST(test_a_parked_command_goes_elsewhere_in_one_step)
{
    do_queue(alice, "manual");
    park(1);
    scene_hold_syncs(scene);
    (void)say_replace(numbers[0], "manual", "by hand");
    scene_crash(scene, DISK_SIM_NONE); /* neither has happened */
    ck_assert(actor_enter(alice));
    ck_assert(actor_enter(bob));
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
    ck_assert_uint_eq(ask_queue(alice, "manual", "messages"), 0);
    hear_confirm(alice, say_replace(numbers[0], "manual", "by hand"));
    crash_and_enter(); /* both have */
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 0);
    ck_assert_uint_eq(ask_queue(alice, "manual", "messages"), 1);
    hear_refuse(alice, say_replace(numbers[0], "manual", "again"), STATUS_NOT_PARKED);
    do_consume(bob, 1, "manual", 1);
    (void)hear_delivery(bob, "by hand");
}
END_TEST

/* A tracked command with a deadline that has passed, parked, its outcome perhaps forgotten. */
static uint64_t park_tracked(uint64_t later_ms)
{
    do_queue(alice, "answers");
    track(1);
    with(PROPERTY_MESSAGE_TIMEOUT, 1000);
    with(PROPERTY_MESSAGE_ATTEMPTS, 2);
    with_text(PROPERTY_MESSAGE_KEY, "key");
    with_text(PROPERTY_MESSAGE_REPLY_TO, "answers");
    do_tracked("job");
    struct heard heard = run("job");
    hear_confirm(bob, say_fail_as(heard.delivery, FAIL_PERMANENT));
    hear_confirm(bob, say_cancel(bob, 1));
    scene_advance_ms(scene, later_ms);
    scene_settle(scene);
    return heard.number;
}

/* What is known of a parked command that is older than its outcome: nothing. */
START_TEST(test_a_parked_command_outlives_its_outcome)
{
    (void)park_tracked(scene->limits.result_ttl_ms + 1);
    hear_refuse(alice, say_status(alice, 1, COMMAND_NOW, 0), STATUS_UNKNOWN_COMMAND);
    outlive_the_segments();
    crash_and_enter();
    hear_refuse(alice, say_status(alice, 1, COMMAND_NOW, 0), STATUS_UNKNOWN_COMMAND);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
    ck_assert_uint_eq(ask_stat(alice, "keys"), 0);
}
END_TEST

/* It begins anew: the deadline that it had does not hold for it, before a start and after one. */
START_TEST(test_a_repaired_command_is_bound_by_no_deadline)
{
    uint64_t number = park_tracked(_i == 0 ? 2000 : scene->limits.result_ttl_ms + 1);
    hear_confirm(alice, say_parked(FRAME_PARKED_RETRY, number, number));
    ck_assert_uint_eq(ask_queue(alice, "work", "ready"), 1);
    for (unsigned i = 0; i < 2; i++) {
        crash_and_enter();
        ck_assert_uint_eq(ask_queue(alice, "work", "ready"), 1);
        outlive_the_segments();
    }
    hear_confirm(bob, say_fail_as(run("job").delivery, FAIL_RETRYABLE));
    scene_advance_ms(scene, 110);
    scene_settle(scene);
    hear_confirm(bob, say_fail_as(hear_delivery(bob, "job").delivery, FAIL_RETRYABLE));
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1); /* two attempts, as it asked */
}
END_TEST

/* What bob gets next, with the id that it has and the one that it says it repairs. */
static uint64_t take_repair(const char *queue, struct wire_id *id, struct wire_id *repairs)
{
    struct frame frame;
    do_consume(bob, 2, queue, 1);
    ck_assert(actor_next(bob, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_DELIVER);
    struct wire_bytes own = property_find(frame.as.deliver.properties, PROPERTY_MESSAGE_ID);
    struct wire_bytes other = property_find(frame.as.deliver.properties, PROPERTY_MESSAGE_REPAIRS);
    ck_assert_uint_eq(own.bytes, 16);
    ck_assert_uint_eq(other.bytes, 16);
    memcpy(id->byte, own.at, 16);
    memcpy(repairs->byte, other.at, 16);
    hear_confirm(bob, say_cancel(bob, 2));
    return frame.as.deliver.delivery;
}

static struct frame_command_state ask_id(struct wire_id id, unsigned state)
{
    struct frame frame = {.header.type = FRAME_COMMAND_STATUS};
    frame.as.command_status.id = id;
    return hear_state(alice, actor_say(alice, &frame), true, state);
}

static bool is_id(struct wire_id a, struct wire_id b)
{
    return memcmp(a.byte, b.byte, sizeof a.byte) == 0;
}

/* A repair is a new command, tracked as the one before, which names it; and so is its repair. */
START_TEST(test_a_repair_has_an_id_of_its_own)
{
    uint64_t number = park_tracked(10);
    struct wire_id ids[3] = {id_of(1)};
    struct wire_id repaired;
    for (unsigned i = 0; i < 2; i++) {
        hear_confirm(alice, say_parked(FRAME_PARKED_RETRY, number, number));
        if (_i & 1)
            crash_and_enter();
        if (_i & 2)
            outlive_the_segments();
        if (_i & 4)
            crash_and_enter();
        uint64_t delivery = take_repair("work", &ids[i + 1], &repaired);
        ck_assert(is_id(repaired, ids[i]));
        ck_assert_uint_eq(ids[i + 1].byte[6] >> 4, 7);
        struct frame_command_state state = ask_id(ids[i], COMMAND_FAILED);
        ck_assert(is_id(state.repaired_by, ids[i + 1]));
        state = ask_id(ids[i + 1], COMMAND_RUNNING);
        ck_assert(is_id(state.repairs, ids[i]));
        ck_assert_uint_eq(state.attempts, 0);
        if (i == 0)
            hear_confirm(bob, say_fail_as(delivery, FAIL_PERMANENT));
        else
            hear_confirm(bob, say_result(bob, delivery, "repaired"));
    }
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(is_id(ask_id(ids[0], COMMAND_FAILED).repaired_by, ids[1]));
        ck_assert(is_id(ask_id(ids[1], COMMAND_FAILED).repaired_by, ids[2]));
        struct frame_command_state state = ask_id(ids[2], COMMAND_DONE);
        ck_assert(wire_bytes_equal(state.body, wire_bytes_of_text("repaired")));
        ck_assert(is_id(state.repairs, ids[1]));
        outlive_the_segments();
        crash_and_enter();
    }
    ck_assert_uint_eq(ask_queue(alice, "answers", "messages"), 3); /* an outcome of each */
    ck_assert_uint_eq(ask_stat(alice, "tracked"), 0);
}
END_TEST

START_TEST(test_a_repair_elsewhere_names_what_it_repairs)
{
    uint64_t number = park_tracked(10);
    struct wire_id id;
    struct wire_id repaired;
    do_queue(alice, "manual");
    track(1);
    hear_refuse(alice, say_replace_with(number, "manual", "job"), STATUS_DUPLICATE_MISMATCH);
    hear_refuse(alice, say_replace_with(number, "work", "job"), STATUS_DUPLICATE);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
    track(2);
    hear_confirm(alice, say_replace_with(number, "manual", "other"));
    if (_i == 1)
        crash_and_enter();
    uint64_t delivery = take_repair("manual", &id, &repaired);
    ck_assert(is_id(id, id_of(2)) && is_id(repaired, id_of(1)));
    hear_confirm(bob, say_done(bob, delivery, delivery));
    outlive_the_segments();
    crash_and_enter();
    ck_assert(is_id(ask(1, COMMAND_FAILED).repaired_by, id_of(2)));
    ck_assert(is_id(ask(2, COMMAND_DONE).repairs, id_of(1)));
    track(3);
    with_id(PROPERTY_MESSAGE_REPAIRS, id_of(1));
    hear_refuse(alice, say_tracked("work", "job", 0), STATUS_BAD_PROPERTY); /* anybody could */
}
END_TEST

/* Its content may change, but not who it is. */
START_TEST(test_an_edited_command_stays_who_it_is)
{
    uint64_t number = park_tracked(10);
    w = wire_writer_of(properties, sizeof properties);
    with_id(PROPERTY_MESSAGE_ID, id_of(7));
    hear_confirm(alice, say_replace_with(number, "", "better"));
    if (_i == 1)
        crash_and_enter();
    hear_confirm(alice, say_parked(FRAME_PARKED_RETRY, number, number));
    struct wire_id id;
    struct wire_id repaired;
    (void)take_repair("work", &id, &repaired);
    ck_assert(is_id(repaired, id_of(1)));
    ck_assert(is_id(ask(1, COMMAND_FAILED).repaired_by, id));
    ask_id(id, COMMAND_RUNNING);
}
END_TEST

START_TEST(test_bad_replacements_are_refused)
{
    park(1);
    hear_refuse(alice, say_replace(numbers[0], "nowhere", "x"), STATUS_NO_QUEUE);
    hear_refuse(alice, say_replace(numbers[0] + 1, "", "x"), STATUS_NOT_PARKED);
    hear_confirm(alice, say_queue_with(alice, "fast", FLAG_QUEUE_TRANSIENT, 0, 0));
    hear_refuse(alice, say_replace(numbers[0], "fast", "x"), STATUS_MISMATCH);
    hear_confirm(alice, say_queue_with(alice, "full", 0, 1, 0));
    do_send(alice, "full", "first");
    hear_refuse(alice, say_replace(numbers[0], "full", "x"), STATUS_OVERFLOW);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
}
END_TEST

/* What is parked is durable, whatever else waits in its queue. */
START_TEST(test_what_is_thrown_away_beside_transient_messages_stays_away)
{
    park(1);
    say_send_with(alice, "work", "in memory", FLAG_TRANSIENT);
    say_parked(FRAME_PARKED_DROP, numbers[0], numbers[0]);
    hear_out(alice);
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 0);
}
END_TEST

START_TEST(test_what_is_thrown_away_is_counted)
{
    park(3);
    for (unsigned i = 0; i < 5; i++)
        do_send(alice, "work", "x");
    hear_confirm(alice, say_queue_purge(alice, "work"));
    ck_assert_uint_eq(alice->counted, 5);
    hear_confirm(alice, say_queue_purge(alice, "work"));
    ck_assert_uint_eq(alice->counted, 0);
    hear_confirm(alice, say_parked(FRAME_PARKED_DROP, numbers[1], UINT64_MAX));
    ck_assert_uint_eq(alice->counted, 2);
    hear_refuse(alice, say_parked(FRAME_PARKED_DROP, numbers[1], UINT64_MAX), STATUS_NOT_PARKED);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repair");
    TCase *tcase = tcase_create("repair");
    tcase_add_checked_fixture(tcase, tracking_set_up, tracking_tear_down);
    tcase_add_test(tcase, test_peeking_shows_all_and_changes_nothing);
    tcase_add_test(tcase, test_peeking_finds_all_over_gaps);
    tcase_add_test(tcase, test_a_message_that_left_memory_is_read_for_a_peek);
    tcase_add_test(tcase, test_a_parked_command_gets_other_content_and_its_place);
    tcase_add_test(tcase, test_a_parked_command_goes_elsewhere_in_one_step);
    tcase_add_test(tcase, test_a_parked_command_outlives_its_outcome);
    tcase_add_loop_test(tcase, test_a_repaired_command_is_bound_by_no_deadline, 0, 2);
    tcase_add_loop_test(tcase, test_a_repair_has_an_id_of_its_own, 0, 8);
    tcase_add_loop_test(tcase, test_a_repair_elsewhere_names_what_it_repairs, 0, 2);
    tcase_add_loop_test(tcase, test_an_edited_command_stays_who_it_is, 0, 2);
    tcase_add_test(tcase, test_bad_replacements_are_refused);
    tcase_add_test(tcase, test_what_is_thrown_away_beside_transient_messages_stays_away);
    tcase_add_test(tcase, test_what_is_thrown_away_is_counted);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
