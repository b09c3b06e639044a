/* The pace of restating: nothing while the journal is small, more the larger it is, and no credit
 * for publishers beyond its bound. What is stated again is tested by the scenario `restate`. */
#include "broker/core/restate.h"

#include "broker/core/state.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

enum {
    APPENDED = 8192, /* as if others had appended so much since the last round */
};

static struct scene *scene;
static struct actor *alice;

static void set_up(void)
{
    scene = scene_new(5);
    alice = enter_as(scene, "");
    do_queue(alice, "waste");
}

static void tear_down(void)
{
    scene_free(scene);
}

static struct restate *restate(void)
{
    return &scene->core->restate;
}

/* Lets the journal grow to so many segments of which next to nothing lives: while it is held,
 * nothing is stated and nothing freed. */
static void grow(uint64_t segments)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    while (journal_space(scene->journal).used_bytes < segments * SCENE_SEGMENT_BYTES)
        hear_confirm(alice, say_send_bytes(alice, "waste", body, sizeof body));
    hear_confirm(alice, say_queue_purge(alice, "waste"));
}

/* What one round may state, `elapsed_ms` after the one before. */
static uint64_t budget_after(uint64_t elapsed_ms)
{
    restate()->budget_bytes = 0;
    restate()->filled_ms = scene->core->now_ms - elapsed_ms;
    restate()->end_position = journal_end_position(scene->journal) - APPENDED;
    journal_release(scene->journal);
    restate_run(scene->core);
    (void)journal_hold(scene->journal);
    return restate()->budget_bytes;
}

START_TEST(test_a_small_journal_is_left_alone)
{
    (void)journal_hold(scene->journal);
    grow(2);
    ck_assert_uint_eq(budget_after(1000), 0);
    ck_assert(!restate_is_pressed(scene->core));
    ck_assert_uint_eq(scene->core->counters.bytes_restated, 0);
}
END_TEST

/* With a little more than a segment that lives it begins below four segments and ends above five.
 */
START_TEST(test_the_pace_grows)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    (void)journal_hold(scene->journal);
    do_queue(alice, "kept");
    grow(2);
    for (int i = 0; i < 9; i++)
        hear_confirm(alice, say_send_bytes(alice, "kept", body, sizeof body));
    grow(4);
    uint64_t slow = budget_after(0);
    ck_assert(!restate_is_pressed(scene->core));
    grow(5);
    uint64_t fast = budget_after(0);
    ck_assert(!restate_is_pressed(scene->core));
    ck_assert_uint_gt(slow, APPENDED);
    ck_assert_uint_gt(fast, slow);
    ck_assert_uint_lt(fast, 4 * APPENDED);
    uint64_t rate = scene->limits.restate_bytes_per_second;
    ck_assert_uint_ge(budget_after(100), fast + rate / 10);
    ck_assert_uint_le(budget_after(60000), rate);
}
END_TEST

START_TEST(test_beyond_the_bound_publishers_wait)
{
    (void)journal_hold(scene->journal);
    grow(6);
    ck_assert_uint_ge(budget_after(0), scene->limits.restate_bytes_per_second);
    ck_assert(restate_is_pressed(scene->core));
    journal_release(scene->journal);
    for (int i = 0; i < 10; i++)
        scene_advance_ms(scene, 100);
    ck_assert(!restate_is_pressed(scene->core));
    ck_assert_uint_le(journal_space(scene->journal).used_bytes, 3 * SCENE_SEGMENT_BYTES);
    ck_assert_uint_gt(scene->core->counters.bytes_restated, 0);
}
END_TEST

/* A backup reads the segments: none would be freed. */
START_TEST(test_a_held_journal_is_left_alone)
{
    (void)journal_hold(scene->journal);
    grow(6);
    scene_advance_ms(scene, 1000);
    ck_assert_uint_eq(restate()->budget_bytes, 0);
    ck_assert(!restate_is_pressed(scene->core));
    ck_assert_uint_eq(scene->core->counters.bytes_restated, 0);
    journal_release(scene->journal);
    scene_settle(scene);
}
END_TEST

START_TEST(test_a_draining_broker_states_nothing)
{
    (void)journal_hold(scene->journal);
    grow(6);
    core_drain(scene->core, 1000);
    ck_assert_uint_eq(budget_after(1000), 0);
    ck_assert_uint_eq(scene->core->counters.bytes_restated, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("restate");
    TCase *tcase = tcase_create("restate");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_a_small_journal_is_left_alone);
    tcase_add_test(tcase, test_the_pace_grows);
    tcase_add_test(tcase, test_beyond_the_bound_publishers_wait);
    tcase_add_test(tcase, test_a_held_journal_is_left_alone);
    tcase_add_test(tcase, test_a_draining_broker_states_nothing);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
