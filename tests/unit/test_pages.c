/* The file of pages on a simulated disk: extents, bytes there and back, what goes wrong. */
#include "broker/store/pages.h"

#include <errno.h>
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

static struct disk_sim *sim;
static struct errand_line line;
static struct pages *pages;
static struct journal_failure failure;
static unsigned char bytes[PAGES_EXTENT_BYTES_MAX];

static void open_pages(void)
{
    ck_assert_int_eq(pages_open(&pages, disk_sim_disk(sim), errand_line_post, &line, &failure),
                     STATUS_OK);
}

static void set_up(void)
{
    sim = disk_sim_new(6);
    errand_line_init(&line);
    failure = (struct journal_failure){0};
    disk_sim_put(sim, "pages", "of an earlier process", 21);
    open_pages();
}

static void tear_down(void)
{
    pages_free(pages);
    ck_assert(!disk_sim_has(sim, "pages"));
    disk_sim_free(sim);
}

static struct pages_piece piece_of(void *at, uint32_t byte_count)
{
    struct pages_piece piece = {.at = at, .bytes = byte_count};
    ck_assert_int_eq(pages_take_extent(pages, byte_count, &piece.extent), STATUS_OK);
    return piece;
}

static enum status run(enum pages_way way, struct pages_piece *piece)
{
    struct pages_work work = {.way = way, .count = 1, .pieces = {*piece}};
    pages_run(pages, &work);
    *piece = work.pieces[0];
    failure = work.failure;
    return work.status;
}

START_TEST(test_extents_are_used_again)
{
    uint32_t first;
    uint32_t second;
    uint32_t third;
    ck_assert(!disk_sim_has(sim, "pages"));
    ck_assert_int_eq(pages_take_extent(pages, 1, &first), STATUS_OK);
    ck_assert_int_eq(pages_take_extent(pages, PAGES_UNIT_BYTES + 1, &second), STATUS_OK);
    ck_assert_int_eq(pages_take_extent(pages, PAGES_EXTENT_BYTES_MAX, &third), STATUS_OK);
    ck_assert_uint_eq(second, first + 1);
    ck_assert_uint_eq(third, second + 4);
    pages_give_extent(pages, PAGES_UNIT_BYTES + 1, second);
    uint32_t again;
    ck_assert_int_eq(pages_take_extent(pages, 4 * PAGES_UNIT_BYTES, &again), STATUS_OK);
    ck_assert_uint_eq(again, second);
    ck_assert_int_eq(pages_take_extent(pages, PAGES_UNIT_BYTES, &again), STATUS_OK);
    ck_assert_uint_eq(again, third + 16);
}
END_TEST

START_TEST(test_pieces_come_back)
{
    struct pages_work work = {.way = PAGES_WRITE, .count = PAGES_PIECES_MAX};
    for (uint32_t i = 0; i < work.count; i++) {
        memset(bytes + i * 1024, (int)i + 1, 1024);
        work.pieces[i] = piece_of(bytes + i * 1024, 1024);
    }
    pages_post(pages, &work);
    struct errand *errand = errand_line_take(&line);
    ck_assert(pages_owns(errand));
    ck_assert_int_eq(errand->worker, ERRAND_BACKGROUND);
    errand->run(errand);
    ck_assert_int_eq(work.status, STATUS_OK);
    ck_assert_uint_eq(work.done_count, PAGES_PIECES_MAX);
    memset(bytes, 0, sizeof bytes);
    work.way = PAGES_READ;
    pages_run(pages, &work);
    ck_assert_int_eq(work.status, STATUS_OK);
    for (uint32_t i = 0; i < work.count; i++)
        ck_assert_uint_eq(bytes[i * 1024 + 1023], i + 1);
}
END_TEST

START_TEST(test_another_page_than_was_written)
{
    struct pages_piece other = piece_of(bytes, 4096);
    struct pages_piece piece = piece_of(bytes, 4096);
    ck_assert_int_eq(run(PAGES_WRITE, &other), STATUS_OK);
    ck_assert_int_eq(run(PAGES_WRITE, &piece), STATUS_OK);
    disk_sim_flip(sim, "pages", piece.extent * (uint64_t)PAGES_UNIT_BYTES + 77, 4);
    ck_assert_int_eq(run(PAGES_READ, &other), STATUS_OK);
    ck_assert_int_eq(run(PAGES_READ, &piece), STATUS_IO_ERROR);
    ck_assert_str_eq(failure.file, "pages");
    ck_assert_uint_eq(failure.offset, piece.extent * (uint64_t)PAGES_UNIT_BYTES);
}
END_TEST

START_TEST(test_a_full_disk_may_be_tried_again)
{
    struct pages_piece piece = piece_of(bytes, 4096);
    disk_sim_set_room(sim, 0);
    ck_assert_int_eq(run(PAGES_WRITE, &piece), STATUS_DISK_FULL);
    disk_sim_set_room(sim, UINT64_MAX);
    ck_assert_int_eq(run(PAGES_WRITE, &piece), STATUS_OK);
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_WRITE, DISK_SIM_ONCE, EIO);
    ck_assert_int_eq(run(PAGES_WRITE, &piece), STATUS_IO_ERROR);
    ck_assert_int_eq(failure.error, EIO);
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_READ, DISK_SIM_ONCE, EIO);
    ck_assert_int_eq(run(PAGES_READ, &piece), STATUS_IO_ERROR);
}
END_TEST

START_TEST(test_what_cannot_be_removed)
{
    struct pages *others;
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_REMOVE, DISK_SIM_ONCE, EROFS);
    ck_assert_int_eq(pages_open(&others, disk_sim_disk(sim), errand_line_post, &line, &failure),
                     STATUS_IO_ERROR);
    ck_assert_ptr_null(others);
    ck_assert_str_eq(failure.file, "pages");
    ck_assert_int_eq(failure.error, EROFS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pages");
    TCase *tcase = tcase_create("pages");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_extents_are_used_again);
    tcase_add_test(tcase, test_pieces_come_back);
    tcase_add_test(tcase, test_another_page_than_was_written);
    tcase_add_test(tcase, test_a_full_disk_may_be_tried_again);
    tcase_add_test(tcase, test_what_cannot_be_removed);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
