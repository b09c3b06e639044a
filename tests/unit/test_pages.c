/* The file of pages: extents, bytes there and back, and every way to fail. */
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

static enum status open_pages(void)
{
    return pages_open(&pages, disk_sim_disk(sim), errand_line_post, &line, &failure);
}

static void set_up(void)
{
    sim = disk_sim_new(1);
    errand_line_init(&line);
    ck_assert_int_eq(open_pages(), STATUS_OK);
}

static void tear_down(void)
{
    pages_free(pages);
    disk_sim_free(sim);
}

static unsigned char memory[PAGES_EXTENT_BYTES_MAX];

/* A work of one piece on an extent. */
static struct pages_work work_of(enum pages_way way, uint32_t extent, uint32_t bytes, uint32_t crc)
{
    struct pages_work work = {.way = way, .count = 1};
    work.pieces[0] = (struct pages_piece){memory, bytes, extent, crc};
    return work;
}

static uint32_t write_page(uint32_t extent, uint32_t bytes, int byte)
{
    memset(memory, byte, bytes);
    struct pages_work work = work_of(PAGES_WRITE, extent, bytes, 0);
    pages_run(pages, &work);
    ck_assert_int_eq(work.status, STATUS_OK);
    return work.pieces[0].crc;
}

START_TEST(test_extents_of_all_sizes_do_not_overlap)
{
    const uint32_t sizes[] = {1, 4096, 4097, 16384, 16385, PAGES_EXTENT_BYTES_MAX};
    uint32_t extents[6];
    uint32_t crcs[6];
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(pages_take_extent(pages, sizes[i], &extents[i]), STATUS_OK);
        crcs[i] = write_page(extents[i], sizes[i], 'a' + i);
    }
    for (int i = 0; i < 6; i++) {
        memset(memory, 0, sizeof memory);
        struct pages_work work = work_of(PAGES_READ, extents[i], sizes[i], crcs[i]);
        pages_run(pages, &work);
        ck_assert_int_eq(work.status, STATUS_OK);
        ck_assert_int_eq(memory[0], 'a' + i);
        ck_assert_int_eq(memory[sizes[i] - 1], 'a' + i);
    }
    uint64_t file_bytes = disk_sim_size(sim, "pages");
    for (int i = 0; i < 6; i++)
        pages_give_extent(pages, sizes[i], extents[i]);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(pages_take_extent(pages, sizes[i], &extents[i]), STATUS_OK);
        write_page(extents[i], sizes[i], 'A' + i);
    }
    ck_assert_uint_eq(disk_sim_size(sim, "pages"), file_bytes);
}
END_TEST

START_TEST(test_an_errand_does_several_pieces)
{
    struct pages_work work = {.way = PAGES_WRITE, .count = 2};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t extent;
        ck_assert_int_eq(pages_take_extent(pages, 100, &extent), STATUS_OK);
        work.pieces[i] = (struct pages_piece){memory, 100, extent, 0};
    }
    pages_post(pages, &work);
    struct errand *errand = errand_line_take_of(&line, ERRAND_BACKGROUND);
    ck_assert_ptr_eq(errand, &work.errand);
    ck_assert(pages_owns(errand));
    ck_assert(!disk_sim_has(sim, "pages"));
    errand->run(errand);
    ck_assert_int_eq(work.status, STATUS_OK);
    ck_assert_uint_eq(work.done_count, 2);
}
END_TEST

START_TEST(test_lack_of_space_may_be_tried_again)
{
    disk_sim_set_room(sim, 4096 + 50);
    struct pages_work work = {.way = PAGES_WRITE, .count = 2};
    for (uint32_t i = 0; i < 2; i++)
        work.pieces[i] = (struct pages_piece){memory, 4096, i, 0};
    pages_run(pages, &work);
    ck_assert_int_eq(work.status, STATUS_DISK_FULL);
    ck_assert_uint_eq(work.done_count, 1);
    disk_sim_set_room(sim, UINT64_MAX);
    pages_run(pages, &work);
    ck_assert_int_eq(work.status, STATUS_OK);
}
END_TEST

START_TEST(test_errors_and_changed_bytes_are_failures)
{
    uint32_t crc = write_page(3, 1000, 'x');
    struct pages_work work = work_of(PAGES_READ, 3, 1000, crc);
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_READ, DISK_SIM_ONCE, EIO);
    pages_run(pages, &work);
    ck_assert_int_eq(work.status, STATUS_IO_ERROR);
    ck_assert_int_eq(work.failure.error, EIO);
    ck_assert_str_eq(work.failure.file, "pages");
    ck_assert_uint_eq(work.failure.offset, 3 * 4096);
    pages_run(pages, &work);
    ck_assert_int_eq(work.status, STATUS_OK);
    disk_sim_flip(sim, "pages", 3 * 4096 + 999, 128);
    pages_run(pages, &work);
    ck_assert_int_eq(work.status, STATUS_IO_ERROR);
    work = work_of(PAGES_WRITE, 3, 1000, 0);
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_WRITE, DISK_SIM_ONCE, EIO);
    pages_run(pages, &work);
    ck_assert_int_eq(work.status, STATUS_IO_ERROR);
}
END_TEST

START_TEST(test_the_file_lives_as_long_as_the_process)
{
    write_page(0, 10, 'x');
    ck_assert(disk_sim_has(sim, "pages"));
    pages_free(pages);
    ck_assert(!disk_sim_has(sim, "pages"));
    disk_sim_put(sim, "pages", "old", 3);
    ck_assert_int_eq(open_pages(), STATUS_OK);
    ck_assert(!disk_sim_has(sim, "pages"));
    write_page(0, 10, 'x');
    pages_remove(pages);
    ck_assert(!disk_sim_has(sim, "pages"));
}
END_TEST

START_TEST(test_a_file_that_cannot_be_removed_ends_the_start)
{
    pages_free(pages);
    disk_sim_put(sim, "pages", "old", 3);
    disk_sim_fail_at(sim, disk_sim_operations(sim), DISK_SIM_REMOVE, DISK_SIM_ONCE, EIO);
    ck_assert_int_eq(open_pages(), STATUS_IO_ERROR);
    ck_assert_ptr_null(pages);
    ck_assert_int_eq(failure.error, EIO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pages");
    TCase *tcase = tcase_create("pages");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_extents_of_all_sizes_do_not_overlap);
    tcase_add_test(tcase, test_an_errand_does_several_pieces);
    tcase_add_test(tcase, test_lack_of_space_may_be_tried_again);
    tcase_add_test(tcase, test_errors_and_changed_bytes_are_failures);
    tcase_add_test(tcase, test_the_file_lives_as_long_as_the_process);
    tcase_add_test(tcase, test_a_file_that_cannot_be_removed_ends_the_start);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
