/* Index pages that leave memory and come back, against a plain array, on a simulated disk. */
#include "broker/core/spill.h"

#include <errno.h>
#include <string.h>

#include "broker/core/index.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

enum { NUMBERS = 40000, BYTES_MAX = 64 << 10 };

struct world {
    struct disk_sim *sim;
    struct errand_line line;
    struct spill *spill;
    struct index index;
    struct chance chance;
    unsigned char state[NUMBERS + 1]; /* by number: 0 absent, 1 ready, 2 out */
    uint64_t next;
    uint64_t live_count;
    uint64_t asked_count;
    uint64_t told_count;
    uint64_t now_ms;
};

static struct world world;

static void set_up(uint64_t seed)
{
    struct world *w = &world;
    memset(w, 0, sizeof *w);
    w->sim = disk_sim_new(seed);
    w->chance.state = seed;
    errand_line_init(&w->line);
    struct pages *pages;
    struct journal_failure failure;
    ck_assert_int_eq(
        pages_open(&pages, disk_sim_disk(w->sim), errand_line_post, &w->line, &failure), STATUS_OK);
    w->spill = spill_new(BYTES_MAX);
    spill_set_pages_take(w->spill, pages);
    index_init(&w->index, w->spill);
}

static void tear_down(void)
{
    struct world *w = &world;
    struct errand *errand;
    while ((errand = errand_line_take(&w->line)) != NULL) {
        errand->run(errand);
        (void)spill_on_errand(w->spill, errand);
    }
    index_deinit(&w->index);
    ck_assert_uint_eq(spill_figures(w->spill).bytes, 0);
    ck_assert_uint_eq(spill_figures(w->spill).away_count, 0);
    spill_free(w->spill);
    ck_assert(!disk_sim_has(w->sim, "pages"));
    disk_sim_free(w->sim);
}

static void append(struct world *w, uint64_t step)
{
    uint64_t number = w->next + step;
    if (number > NUMBERS)
        return;
    ck_assert_int_eq(index_reserve(&w->index, number), STATUS_OK);
    index_append(&w->index, number, place_word_durable(number * 100, 5), (uint32_t)number);
    w->state[number] = 1;
    w->next = number;
    w->live_count++;
}

static void on_read(void *argument)
{
    struct world *w = argument;
    w->told_count++;
}

static void ask_of(struct world *w, const struct index *index, struct index_at at)
{
    ck_assert_int_eq(spill_read(w->spill, index_page(index, at), on_read, w), STATUS_OK);
    w->asked_count++;
}

static void ask(struct world *w, struct index_at at)
{
    ask_of(w, &w->index, at);
}

static uint64_t first_ready(const struct world *w)
{
    for (uint64_t number = 1; number <= w->next; number++)
        if (w->state[number] == 1)
            return number;
    return 0;
}

static void lend(struct world *w)
{
    struct index_at at = index_first_ready(&w->index);
    if (at.is_away) {
        ask(w, at);
        return;
    }
    uint64_t expected = first_ready(w);
    ck_assert_uint_eq(at.found != NULL ? index_number(&w->index, at) : 0, expected);
    if (at.found == NULL)
        return;
    ck_assert_uint_eq(place_position(at.found->word), expected * 100);
    index_set_out(&w->index, at);
    w->state[expected] = 2;
}

static void change(struct world *w, uint64_t number, uint64_t what)
{
    struct index_at at = index_find(&w->index, number);
    if (at.is_away) {
        ck_assert_int_ne(w->state[number], 2);
        ask(w, at);
        return;
    }
    ck_assert_int_eq(at.found != NULL, w->state[number] > 0);
    if (at.found == NULL)
        return;
    if (w->state[number] == 2 && what == 0) {
        index_clear_out(&w->index, at);
        index_on_ready(&w->index, at);
        w->state[number] = 1;
    } else if (what == 1) {
        index_move(&w->index, at, place_word_durable(number * 100, 5), (uint32_t)number);
    } else if (what >= 2) {
        index_remove(&w->index, at);
        w->state[number] = 0;
        w->live_count--;
    }
}

static void run_one(struct world *w)
{
    struct errand *errand = errand_line_take(&w->line);
    if (errand == NULL)
        return;
    errand->run(errand);
    ck_assert_int_eq(spill_on_errand(w->spill, errand), STATUS_OK);
}

static void run_all(struct world *w)
{
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(spill_run(w->spill, w->now_ms), STATUS_OK);
        if (errand_line_is_empty(&w->line))
            return;
        while (!errand_line_is_empty(&w->line))
            run_one(w);
    }
    ck_abort_msg("the spill finds no rest");
}

/* Looks at every place, having pages read as it comes to them. */
static void check_all(struct world *w)
{
    uint64_t count = 0;
    for (uint64_t number = 1; number <= w->next; number++) {
        struct index_at at = index_find(&w->index, number);
        if (at.is_away) {
            run_all(w);
            ask(w, at);
            while (!errand_line_is_empty(&w->line))
                run_one(w);
            at = index_find(&w->index, number);
        }
        ck_assert(!at.is_away);
        ck_assert_int_eq(at.found != NULL, w->state[number] > 0);
        if (at.found == NULL)
            continue;
        ck_assert_uint_eq(at.found->size, number);
        ck_assert_uint_eq(place_position(at.found->word), number * 100);
        ck_assert_int_eq((at.found->word & PLACE_OUT) != 0, w->state[number] == 2);
        count++;
    }
    ck_assert_uint_eq(count, w->live_count);
    ck_assert_uint_eq(w->index.live_count, w->live_count);
}

START_TEST(test_random_work)
{
    struct world *w = &world;
    set_up((uint64_t)_i + 1);
    spill_start(w->spill);
    for (int i = 0; i < 3000; i++)
        append(w, 1);
    uint64_t removing = 1 + chance_below(&w->chance, 3);
    for (int i = 0; i < 60000; i++) {
        uint64_t what = chance_below(&w->chance, 8 + removing);
        if (what < 5)
            append(w, 1 + chance_below(&w->chance, 2));
        else if (what == 5)
            lend(w);
        else if (what == 6)
            run_one(w);
        else if (what == 7)
            ck_assert_int_eq(spill_run(w->spill, w->now_ms++), STATUS_OK);
        else
            change(w, 1 + chance_below(&w->chance, w->next), chance_below(&w->chance, 4));
    }
    check_all(w);
    ck_assert_uint_eq(w->told_count, w->asked_count);
    ck_assert_uint_gt(spill_figures(w->spill).read_count, 10);
    tear_down();
}
END_TEST

static void fill(struct world *w, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        append(w, 1);
}

START_TEST(test_memory_is_bounded_and_order_kept)
{
    struct world *w = &world;
    set_up(1);
    spill_start(w->spill);
    for (int i = 0; i < 40; i++) {
        fill(w, 1000);
        run_all(w);
        ck_assert_uint_le(spill_figures(w->spill).bytes, BYTES_MAX + (64 << 10));
    }
    for (uint64_t number = 1; number <= NUMBERS; number++) {
        struct index_at at = index_first_ready(&w->index);
        if (at.is_away) {
            ask(w, at);
            run_all(w);
            at = index_first_ready(&w->index);
        }
        ck_assert_ptr_nonnull(at.found);
        ck_assert_uint_eq(index_number(&w->index, at), number);
        index_remove(&w->index, at);
    }
    ck_assert_uint_eq(w->index.live_count, 0);
    tear_down();
}
END_TEST

START_TEST(test_a_full_disk_keeps_pages_in_memory_until_it_heals)
{
    struct world *w = &world;
    set_up(1);
    spill_start(w->spill);
    disk_sim_set_room(w->sim, 0);
    fill(w, 20000);
    run_all(w);
    ck_assert(spill_is_full(w->spill));
    ck_assert_uint_eq(spill_figures(w->spill).away_count, 0);
    ck_assert_uint_eq(spill_next_due(w->spill), 250);
    disk_sim_set_room(w->sim, UINT64_MAX);
    run_all(w);
    ck_assert(spill_is_full(w->spill)); /* not tried again before the time */
    w->now_ms = 250;
    run_all(w);
    ck_assert(!spill_is_full(w->spill));
    ck_assert_uint_gt(spill_figures(w->spill).away_count, 0);
    w->live_count = 20000;
    check_all(w);
    tear_down();
}
END_TEST

/* Fills, lets pages leave, and asks for the first. */
static struct errand *errand_that_reads(struct world *w)
{
    fill(w, 20000);
    run_all(w);
    struct index_at at = index_find(&w->index, 2000);
    ck_assert(at.is_away);
    ask(w, at);
    return errand_line_take(&w->line);
}

static void check_failure(struct world *w, struct errand *errand)
{
    errand->run(errand);
    ck_assert_int_eq(spill_on_errand(w->spill, errand), STATUS_IO_ERROR);
    ck_assert_uint_eq(w->told_count, 1);
    ck_assert_str_eq(spill_failure(w->spill)->file, "pages");
    ck_assert_int_eq(spill_run(w->spill, 0), STATUS_IO_ERROR);
    struct index_at at = index_find(&w->index, 2000);
    ck_assert(at.is_away);
    ck_assert_int_eq(spill_read(w->spill, index_page(&w->index, at), on_read, w), STATUS_IO_ERROR);
    tear_down();
}

START_TEST(test_a_read_error_ends_it)
{
    struct world *w = &world;
    set_up(1);
    spill_start(w->spill);
    struct errand *errand = errand_that_reads(w);
    disk_sim_fail_at(w->sim, disk_sim_operations(w->sim), DISK_SIM_READ, DISK_SIM_ONCE, EIO);
    check_failure(w, errand);
}
END_TEST

START_TEST(test_a_page_that_was_changed_on_disk_ends_it)
{
    struct world *w = &world;
    set_up(1);
    spill_start(w->spill);
    struct errand *errand = errand_that_reads(w);
    for (uint64_t offset = 0; offset < disk_sim_size(w->sim, "pages"); offset += 4096)
        disk_sim_flip(w->sim, "pages", offset, 1);
    check_failure(w, errand);
}
END_TEST

START_TEST(test_recovery_reads_and_writes_at_once)
{
    struct world *w = &world;
    set_up((uint64_t)_i + 1);
    /* Numbers in runs that come in any order, as restated messages do. */
    for (int i = 0; i < 60; i++) {
        uint64_t first = 1 + chance_below(&w->chance, NUMBERS - 1000);
        for (uint64_t number = first; number < first + 500; number++) {
            if (w->state[number] != 0)
                continue;
            ck_assert(!index_find(&w->index, number).is_away);
            ck_assert_int_eq(index_reserve(&w->index, number), STATUS_OK);
            index_insert(&w->index, number, place_word_durable(number * 100, 5), (uint32_t)number);
            w->state[number] = 1;
            w->live_count++;
            ck_assert_int_eq(spill_run(w->spill, 0), STATUS_OK);
        }
        uint64_t gone = 1 + chance_below(&w->chance, NUMBERS - 1);
        change(w, gone, 2);
    }
    w->next = NUMBERS;
    ck_assert_uint_gt(spill_figures(w->spill).away_count, 0);
    check_all(w);
    uint64_t number = 0;
    for (struct index_at at = index_find_from(&w->index, 0); at.found != NULL;
         at = index_next(&w->index, at)) {
        ck_assert_uint_gt(index_number(&w->index, at), number);
        number = index_number(&w->index, at);
        w->live_count--;
    }
    ck_assert_uint_eq(w->live_count, 0);
    tear_down();
}
END_TEST

START_TEST(test_pages_are_given_to_another_index_unread)
{
    struct world *w = &world;
    set_up(1);
    spill_start(w->spill);
    fill(w, 20000);
    run_all(w);
    struct index other;
    index_init(&other, w->spill);
    ck_assert_int_eq(index_reserve_pages(&other, &w->index), STATUS_OK);
    uint64_t reads = spill_figures(w->spill).read_count;
    uint64_t bytes = 0;
    struct index_at at = index_find_from(&w->index, 0);
    while (at.found != NULL || at.is_away) {
        struct index_at next = index_next(&w->index, at);
        if (at.is_away)
            bytes += index_give_page(&w->index, at, &other);
        else
            index_remove(&w->index, at);
        at = next;
    }
    ck_assert_uint_eq(w->index.live_count, 0);
    ck_assert_uint_gt(other.live_count, 10000);
    ck_assert_uint_gt(bytes, other.live_count);
    ck_assert_uint_eq(spill_figures(w->spill).read_count, reads);
    at = index_find_from(&other, 0);
    ck_assert(at.is_away);
    ask_of(w, &other, at);
    index_drop_page(&other, at); /* while it is read */
    run_all(w);
    index_deinit(&other);
    tear_down();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spill");
    TCase *tcase = tcase_create("spill");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_random_work, 0, 8);
    tcase_add_test(tcase, test_memory_is_bounded_and_order_kept);
    tcase_add_test(tcase, test_a_full_disk_keeps_pages_in_memory_until_it_heals);
    tcase_add_test(tcase, test_a_read_error_ends_it);
    tcase_add_test(tcase, test_a_page_that_was_changed_on_disk_ends_it);
    tcase_add_loop_test(tcase, test_recovery_reads_and_writes_at_once, 0, 4);
    tcase_add_test(tcase, test_pages_are_given_to_another_index_unread);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
