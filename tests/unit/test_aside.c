/* Messages that stand aside, beside a plain list of what should be where. */
#include "broker/core/aside.h"

#include <malloc.h>

#include "broker/core/queue.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

enum { NUMBERS = 3000, STEPS = 200000 };

static struct core *core;
static struct queue *queue;
static uint64_t chance;

/* What the reference knows of a number. */
static struct {
    bool is_there;
    enum aside_state state;
    uint8_t priority;
    uint64_t due_ms;
} plain[NUMBERS];

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void on_timer(void *argument, struct wheel_timer *timer)
{
    ck_assert_uint_eq(timer->kind, TIMER_ASIDE);
    aside_on_timer(argument, timer);
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    core = core_new(&limits, note, NULL);
    core->is_running = true;
    queue = queue_new(core, QUEUE_TRANSIENT, 1, wire_bytes_of_text("work"));
    chance = 7;
    memset(plain, 0, sizeof plain);
}

static void tear_down(void)
{
    struct aside *aside = asides_next(&queue->asides, NULL);
    while (aside != NULL) {
        struct aside *next = asides_next(&queue->asides, aside);
        aside_remove(core, aside);
        aside = next;
    }
    core_free(core);
}

static uint64_t draw(uint64_t below)
{
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (chance >> 33) % below;
}

static struct aside *add(uint64_t number, uint8_t priority, uint64_t due_ms)
{
    struct message_terms terms = message_terms_plain();
    terms.priority = priority;
    ck_assert_int_eq(asides_reserve(queue, &terms), STATUS_OK);
    struct aside *aside = asides_add(queue, number, 0, 10, &terms);
    aside_schedule(core, aside, due_ms);
    return aside;
}

static void schedule_plain(uint64_t number, uint64_t due_ms)
{
    plain[number].state = due_ms > core->now_ms ? ASIDE_WAITING : ASIDE_READY;
    plain[number].due_ms = due_ms;
}

static void step_at(uint64_t number)
{
    struct aside *aside = asides_find(&queue->asides, number);
    ck_assert(plain[number].is_there == (aside != NULL));
    uint64_t due_ms = core->now_ms + draw(2) * draw(5000);
    if (aside == NULL) {
        plain[number].is_there = true;
        plain[number].priority = (uint8_t)draw(10);
        schedule_plain(number, due_ms);
        add(number, plain[number].priority, due_ms);
    } else if (draw(3) == 0) {
        plain[number].is_there = false;
        aside_remove(core, aside);
    } else if (draw(2) == 0) {
        schedule_plain(number, due_ms);
        aside_schedule(core, aside, due_ms);
    } else if (aside->state == ASIDE_READY) {
        plain[number].state = ASIDE_OUT;
        aside_set_out(core, aside);
    }
}

static uint64_t first_plain(void)
{
    uint64_t best = 0;
    for (uint64_t number = 1; number < NUMBERS; number++)
        if (plain[number].is_there && plain[number].state == ASIDE_READY &&
            (best == 0 || plain[number].priority > plain[best].priority))
            best = number;
    return best;
}

static void compare(void)
{
    uint32_t counts[4] = {0};
    for (uint64_t number = 1; number < NUMBERS; number++) {
        if (!plain[number].is_there)
            continue;
        if (plain[number].state == ASIDE_WAITING &&
            (plain[number].due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS <=
                core->now_ms / WHEEL_TICK_MS)
            plain[number].state = ASIDE_READY;
        struct aside *aside = asides_find(&queue->asides, number);
        ck_assert_ptr_nonnull(aside);
        ck_assert_int_eq(aside->state, plain[number].state);
        counts[plain[number].state]++;
    }
    struct aside *first = asides_first(&queue->asides);
    ck_assert_uint_eq(first != NULL ? first->number : 0, first_plain());
    ck_assert(counts[ASIDE_READY] > 0 || queue->asides.ready.root == NULL);
    ck_assert_uint_eq(queue->asides.waiting_count, counts[ASIDE_WAITING]);
    ck_assert_uint_eq(queue->out_count, counts[ASIDE_OUT]);
    uint32_t seen = 0;
    for (struct aside *aside = asides_next(&queue->asides, NULL); aside != NULL;
         aside = asides_next(&queue->asides, aside))
        seen++;
    ck_assert_uint_eq(seen, queue->asides.table.count);
    ck_assert_uint_eq(seen, core->aside_count);
}

START_TEST(test_against_a_plain_list)
{
    for (unsigned i = 0; i < STEPS; i++) {
        step_at(1 + draw(NUMBERS - 1));
        if (i % 1000 != 0)
            continue;
        core->now_ms += draw(1000);
        (void)wheel_run(&core->wheel, core->now_ms, SIZE_MAX, on_timer, core);
        compare();
    }
}
END_TEST

START_TEST(test_until_the_start_nothing_is_armed)
{
    core->is_running = false;
    struct aside *now = add(1, 4, 0);
    struct aside *later = add(2, 4, core->now_ms + 100);
    ck_assert_int_eq(now->state, ASIDE_RECOVERED);
    ck_assert_ptr_null(asides_first(&queue->asides));
    core->is_running = true;
    asides_start(core, &queue->asides);
    ck_assert_ptr_eq(asides_first(&queue->asides), now);
    ck_assert_int_eq(later->state, ASIDE_WAITING);
}
END_TEST

/* With all tables, and with what the allocator takes; of all memory, so without others' help. */
START_TEST(test_a_million_that_wait_take_64_bytes_each)
{
#ifndef __SANITIZE_ADDRESS__
    enum { MILLION = 1000000 };
    struct mallinfo2 before = mallinfo2();
    for (uint64_t number = 1; number <= MILLION; number++)
        add(number * 3, 4, 3600000 + draw(3600000));
    struct mallinfo2 after = mallinfo2();
    ck_assert_uint_eq(queue->asides.waiting_count, MILLION);
    size_t bytes = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
    ck_assert_msg(bytes <= (size_t)64 * MILLION, "%zu bytes", bytes);
#endif
}
END_TEST

/* A read of the journal that is out holds the queue, and the core goes before the journal. */
START_TEST(test_what_is_reserved_goes_with_the_core)
{
    struct message_terms terms = message_terms_plain();
    ck_assert_int_eq(asides_reserve(queue, &terms), STATUS_OK);
    queue_ref(queue);
    core_free(core);
    ck_assert_ptr_null(queue->asides.spare);
    queue_unref(NULL, queue);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aside");
    TCase *tcase = tcase_create("aside");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_against_a_plain_list);
    tcase_add_test(tcase, test_until_the_start_nothing_is_armed);
    tcase_add_test(tcase, test_a_million_that_wait_take_64_bytes_each);
    TCase *ends = tcase_create("ends");
    tcase_add_checked_fixture(ends, set_up, NULL);
    tcase_add_test(ends, test_what_is_reserved_goes_with_the_core);
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, ends);
    return check_main(suite);
}
