/* Lanes beside a plain list: who is ready in a lane, whatever holds it and whatever of it is
 * parked.
 */
#include "broker/core/lane.h"

#include <stdio.h>

#include "broker/core/kept.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "broker/core/ward.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

enum { NUMBERS = 200, LANES = 5, STEPS = 40000 };

static struct core *core;
static struct queue *queue;
static uint64_t chance;

enum plain_state { GONE, WAITING, RETRYING, DUE, OUT, PARKED };

/* What the reference knows of a number; it is of the lane number % LANES. */
static enum plain_state plain[NUMBERS];
static struct parked parked[NUMBERS];

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    core = core_new(&limits, note, NULL);
    core->is_running = true;
    core->now_ms = 1000;
    queue = queue_new(core, QUEUE_TRANSIENT, 1, wire_bytes_of_text("work"));
    chance = 11;
    memset(plain, 0, sizeof plain);
    memset(parked, 0, sizeof parked);
}

static uint64_t draw(uint64_t below)
{
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (chance >> 33) % below;
}

static struct lane *lane_of(unsigned n)
{
    char key[16];
    (void)snprintf(key, sizeof key, "lane %u", n % LANES);
    return lane_get(queue, wire_bytes_of_text(key));
}

static struct aside *find(unsigned n)
{
    return asides_find(&queue->asides, n + 1);
}

static void add(unsigned n, uint64_t due_ms)
{
    char key[16];
    struct message_terms terms = message_terms_plain();
    (void)snprintf(key, sizeof key, "lane %u", n % LANES);
    terms.needs_ward = true;
    terms.lane = wire_bytes_of_text(key);
    ck_assert_int_eq(asides_reserve(queue, &terms), STATUS_OK);
    aside_schedule(core, asides_add(queue, n + 1, 0, 10, &terms), due_ms);
    plain[n] = due_ms > core->now_ms ? WAITING : DUE;
}

static void park(unsigned n)
{
    struct lane *lane = lane_of(n);
    aside_remove(core, find(n));
    parked[n] = (struct parked){.number = n + 1};
    lane_add_parked(core, lane, &parked[n]);
    plain[n] = PARKED;
}

static void retry(unsigned n)
{
    lane_remove_parked(core, &parked[n]);
    add(n, 0);
}

/* Of what is out. */
static void settle(unsigned n)
{
    struct aside *aside = find(n);
    switch (draw(4)) {
    case 0:
        aside_remove(core, aside);
        plain[n] = GONE;
        break;
    case 1:
        aside_schedule(core, aside, 0); /* given back */
        plain[n] = DUE;
        break;
    case 2:
        aside->word |= PLACE_ATTEMPTED;
        aside_schedule(core, aside, core->now_ms + 1000);
        plain[n] = RETRYING;
        break;
    default:
        park(n);
    }
}

static void step_at(unsigned n)
{
    struct aside *aside = find(n);
    if (plain[n] == GONE)
        add(n, draw(3) == 0 ? core->now_ms + 1000 : 0);
    else if (plain[n] == OUT)
        settle(n);
    else if (plain[n] == PARKED && draw(2) == 0)
        retry(n);
    else if (plain[n] == PARKED) {
        lane_remove_parked(core, &parked[n]); /* dropped */
        plain[n] = GONE;
    } else if (plain[n] == WAITING || plain[n] == RETRYING) {
        aside_schedule(core, aside, 0);
        plain[n] = DUE;
    } else if (aside->state == ASIDE_READY) {
        aside_set_out(core, aside);
        plain[n] = OUT;
    } else if (draw(4) == 0) {
        aside_remove(core, aside); /* expired, say */
        plain[n] = GONE;
    }
}

/* The one of a lane that may be handed out; NUMBERS: none. */
static unsigned plain_ready(unsigned lane)
{
    bool is_behind = false;
    for (unsigned n = lane; n < NUMBERS; n += LANES)
        if (plain[n] == OUT || plain[n] == RETRYING)
            return NUMBERS;
    for (unsigned n = lane; n < NUMBERS; n += LANES) {
        is_behind |= plain[n] == PARKED && queue->lane_parked != LANE_PARKED_GO_ON;
        if (plain[n] == DUE)
            return is_behind ? NUMBERS : n;
    }
    return NUMBERS;
}

static void compare(void)
{
    unsigned blocked_count = 0;
    for (unsigned lane = 0; lane < LANES; lane++) {
        unsigned ready = plain_ready(lane);
        for (unsigned n = lane; n < NUMBERS; n += LANES) {
            if (plain[n] != DUE)
                continue;
            blocked_count += n != ready;
            ck_assert_int_eq(find(n)->state, n == ready ? ASIDE_READY : ASIDE_BLOCKED);
        }
    }
    ck_assert_uint_eq(queue->asides.blocked_count, blocked_count);
}

static void end_all(void)
{
    for (unsigned n = 0; n < NUMBERS; n++) {
        if (plain[n] == PARKED)
            lane_remove_parked(core, &parked[n]);
        else if (plain[n] != GONE)
            aside_remove(core, find(n));
    }
}

static void tear_down(void)
{
    end_all();
    ck_assert_uint_eq(queue->lanes.count, 0);
    ck_assert_uint_eq(core->laned_count, 0);
    core_free(core);
}

START_TEST(test_against_a_plain_list)
{
    static const enum lane_parked policies[] = {LANE_PARKED_BLOCK, LANE_PARKED_GO_ON};
    queue->lane_parked = policies[_i];
    for (unsigned i = 0; i < STEPS; i++) {
        step_at((unsigned)draw(NUMBERS));
        compare();
    }
}
END_TEST

START_TEST(test_a_lane_lives_as_long_as_one_of_it)
{
    ck_assert_uint_eq(queue->lanes.count, 0);
    add(0, 0);
    add(LANES, 0);
    ck_assert_uint_eq(queue->lanes.count, 1);
    ck_assert_uint_eq(lane_key(lane_next(queue, NULL)).bytes, strlen("lane 0"));
    aside_remove(core, find(0));
    plain[0] = GONE;
    park(LANES);
    ck_assert_uint_eq(queue->lanes.count, 1);
    lane_remove_parked(core, &parked[LANES]);
    plain[LANES] = GONE;
    ck_assert_uint_eq(queue->lanes.count, 0);
}
END_TEST

START_TEST(test_a_message_that_is_not_accepted_leaves_no_lane)
{
    struct message_terms terms = message_terms_plain();
    terms.needs_ward = true;
    terms.lane = wire_bytes_of_text("lane 0");
    ck_assert_int_eq(asides_reserve(queue, &terms), STATUS_OK);
    ck_assert_uint_eq(queue->lanes.count, 1);
    asides_unreserve(queue);
    ck_assert_uint_eq(queue->lanes.count, 0);
    ck_assert_uint_eq(core->laned_count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lane");
    TCase *tcase = tcase_create("lane");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, test_against_a_plain_list, 0, 2);
    tcase_add_test(tcase, test_a_lane_lives_as_long_as_one_of_it);
    tcase_add_test(tcase, test_a_message_that_is_not_accepted_leaves_no_lane);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
