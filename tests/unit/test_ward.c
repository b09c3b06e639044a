/* What hangs on a message with wishes of its own: how it comes, when it fires, how it goes. */
#include "broker/core/ward.h"

#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "broker/core/tracked.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

enum { NOW_MS = 10000, NUMBER = 7 };

static struct core *core;
static struct queue *queue;
static struct message_terms terms;
static uint64_t fired_ms;

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    core = core_new(&limits, note, NULL);
    core->is_running = true;
    core->now_ms = NOW_MS;
    queue = queue_new(core, QUEUE_TRANSIENT, 1, wire_bytes_of_text("work"));
    terms = message_terms_plain();
    terms.needs_ward = true;
    fired_ms = 0;
}

static void tear_down(void)
{
    struct aside *aside = asides_find(&queue->asides, NUMBER);
    if (aside != NULL)
        aside_remove(core, aside);
    core_free(core);
}

static struct aside *add(void)
{
    ck_assert_int_eq(asides_reserve(queue, &terms), STATUS_OK);
    struct aside *aside = asides_add(queue, NUMBER, 0, 10, &terms);
    aside_schedule(core, aside, 0);
    return aside;
}

static void on_timer(void *argument, struct wheel_timer *timer)
{
    (void)argument;
    ck_assert_uint_eq(timer->kind, TIMER_WARD);
    fired_ms = core->now_ms;
}

/* 0: not within this time. */
static uint64_t fires_within(uint64_t ms)
{
    for (uint64_t end_ms = core->now_ms + ms; core->now_ms < end_ms && fired_ms == 0;) {
        core->now_ms += WHEEL_TICK_MS;
        (void)wheel_run(&core->wheel, core->now_ms, SIZE_MAX, on_timer, core);
    }
    return fired_ms;
}

START_TEST(test_it_fires_at_the_earlier_of_its_times)
{
    static const struct {
        uint64_t deadline_ms;
        uint64_t leaves_ms;
        uint64_t fires_ms;
    } rows[] = {
        {UINT64_MAX, UINT64_MAX, 0},
        {NOW_MS + 500, UINT64_MAX, NOW_MS + 500},
        {UINT64_MAX, NOW_MS + 700, NOW_MS + 700},
        {NOW_MS + 500, NOW_MS + 300, NOW_MS + 300},
        {NOW_MS + 300, NOW_MS + 500, NOW_MS + 300},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        core->now_ms = NOW_MS + i * 100000;
        uint64_t shift_ms = i * 100000;
        terms.deadline_ms = rows[i].deadline_ms;
        terms.leaves_ms = rows[i].leaves_ms;
        if (terms.deadline_ms != UINT64_MAX)
            terms.deadline_ms += shift_ms;
        if (terms.leaves_ms != UINT64_MAX)
            terms.leaves_ms += shift_ms;
        fired_ms = 0;
        struct aside *aside = add();
        uint64_t heard_ms = fires_within(1000);
        uint64_t expected_ms = rows[i].fires_ms != 0 ? rows[i].fires_ms + shift_ms : 0;
        ck_assert_uint_eq(heard_ms, expected_ms);
        ck_assert(ward_is_over(aside_ward(aside), core->now_ms) == (expected_ms != 0));
        aside_remove(core, aside);
    }
}
END_TEST

START_TEST(test_until_the_start_it_does_not_fire)
{
    core->is_running = false;
    terms.deadline_ms = NOW_MS + 100;
    struct aside *aside = add();
    ck_assert_uint_eq(fires_within(1000), 0);
    core->is_running = true;
    ward_start(core, aside);
    ck_assert_uint_ne(fires_within(1000), 0);
}
END_TEST

/* One that waits leaves when its time is over; one that runs may take the time it needs. */
START_TEST(test_the_time_to_wait_is_not_a_time_to_run)
{
    terms.leaves_ms = NOW_MS + 100;
    terms.deadline_ms = NOW_MS + 1000;
    struct aside *aside = add();
    aside_set_out(core, aside);
    core->now_ms = NOW_MS + 200;
    ward_on_timer(core, &aside_ward(aside)->timer);
    ck_assert_ptr_eq(asides_find(&queue->asides, NUMBER), aside);
    ck_assert_uint_eq(fires_within(2000), NOW_MS + 1000);
}
END_TEST

START_TEST(test_who_gets_the_outcome_is_kept)
{
    char name[] = "answers";
    char correlation[] = "order 5";
    terms.reply_to = wire_bytes_of_text(name);
    terms.correlation = wire_bytes_of_text(correlation);
    const struct reply *reply = aside_ward(add())->reply;
    memset(name, 'x', sizeof name - 1);
    memset(correlation, 'x', sizeof correlation - 1);
    ck_assert(wire_bytes_equal(reply_queue(reply), wire_bytes_of_text("answers")));
    ck_assert(wire_bytes_equal(reply_correlation(reply), wire_bytes_of_text("order 5")));
    ck_assert(!reply->has_id);
}
END_TEST

START_TEST(test_a_tracked_command_stands_with_its_message)
{
    terms.is_tracked = terms.has_id = true;
    terms.id.byte[0] = 5;
    terms.accepted_ms = NOW_MS;
    (void)add();
    const struct tracked *tracked = tracked_find(core, terms.id);
    ck_assert(tracked->is_standing);
    ck_assert_uint_eq(tracked->number, NUMBER);
    ck_assert_uint_eq(tracked->accepted_ms, NOW_MS);
}
END_TEST

START_TEST(test_nothing_is_left_of_what_was_not_accepted)
{
    terms.is_tracked = terms.has_id = true;
    terms.id.byte[0] = 5;
    terms.lane = wire_bytes_of_text("lane");
    terms.reply_to = wire_bytes_of_text("answers");
    terms.deadline_ms = NOW_MS + 100;
    ck_assert_int_eq(asides_reserve(queue, &terms), STATUS_OK);
    ck_assert_ptr_nonnull(tracked_find(core, terms.id));
    asides_unreserve(queue);
    ck_assert_ptr_null(tracked_find(core, terms.id));
    ck_assert_uint_eq(core->laned_count, 0);
    ck_assert_uint_eq(fires_within(1000), 0);
}
END_TEST

START_TEST(test_a_repair_keeps_no_time)
{
    struct repair repair = {.id.byte[0] = 9};
    terms.leaves_ms = terms.deadline_ms = NOW_MS + 100;
    terms.reply_to = wire_bytes_of_text("answers");
    struct aside *aside = add();
    ck_assert_int_eq(ward_repair(core, aside, &repair), STATUS_OK);
    ck_assert(!ward_is_over(aside_ward(aside), UINT64_MAX - 1));
    ck_assert(aside_ward(aside)->reply->has_id);
    ck_assert_uint_eq(aside_ward(aside)->reply->id.byte[0], 9);
}
END_TEST

START_TEST(test_a_plain_message_has_none)
{
    terms = message_terms_plain();
    struct aside *aside = add();
    ck_assert_ptr_null(aside_ward(aside));
    ward_watch(core, aside); /* these are no matter then */
    ward_start(core, aside);
    ward_expire_late(core, aside);
    ck_assert_ptr_eq(asides_find(&queue->asides, NUMBER), aside);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ward");
    TCase *tcase = tcase_create("ward");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_it_fires_at_the_earlier_of_its_times);
    tcase_add_test(tcase, test_until_the_start_it_does_not_fire);
    tcase_add_test(tcase, test_the_time_to_wait_is_not_a_time_to_run);
    tcase_add_test(tcase, test_who_gets_the_outcome_is_kept);
    tcase_add_test(tcase, test_a_tracked_command_stands_with_its_message);
    tcase_add_test(tcase, test_nothing_is_left_of_what_was_not_accepted);
    tcase_add_test(tcase, test_a_repair_keeps_no_time);
    tcase_add_test(tcase, test_a_plain_message_has_none);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
