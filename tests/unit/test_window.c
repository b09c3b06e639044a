/* A window moves over a segment and holds a piece of it. */
#include <check.h>
#include <string.h>

#include "broker/store/window.h"
#include "tests/support/disk_sim.h"

#define SEGMENT_BYTES 65536u
#define FIRST "segment-0000000000000001"

static struct disk_sim *sim;
static struct journal_failure failure;
static unsigned char body[SEGMENT_BYTES];

static void setup(void)
{
    sim = disk_sim_new(1);
    failure = (struct journal_failure){.text = ""};
    struct segment_header header = {
        .number = 1, .first_position = SEGMENT_BYTES, .segment_bytes = SEGMENT_BYTES};
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (unsigned char)(i * 7 + (i >> 8));
    segment_header_encode(body, &header);
    disk_sim_put(sim, FIRST, body, sizeof body);
}

static void teardown(void)
{
    disk_sim_free(sim);
}

START_TEST(test_moves_on_and_back)
{
    struct window window;
    window_init(&window, disk_sim_disk(sim), SEGMENT_BYTES, 8192, &failure);
    ck_assert_int_eq(window_open(&window, 1), STATUS_OK);
    for (uint32_t offset = 0; offset + 700 <= SEGMENT_BYTES; offset += 500)
        ck_assert_mem_eq(window_at(&window, offset, 700), body + offset, 700);
    ck_assert_uint_eq(window.capacity, 8192);
    ck_assert_mem_eq(window_at(&window, 100, 10), body + 100, 10);
    ck_assert(window_has(&window, 8000, 100));
    ck_assert(!window_has(&window, 8300, 100));
    ck_assert(!window_has(&window, 0, 10));
    window_deinit(&window);
}
END_TEST

/* What is larger than a piece is read as a whole. */
START_TEST(test_grows_for_what_is_larger)
{
    struct window window;
    window_init(&window, disk_sim_disk(sim), SEGMENT_BYTES, 8192, &failure);
    ck_assert_int_eq(window_open(&window, 1), STATUS_OK);
    ck_assert_mem_eq(window_at(&window, 5000, 100), body + 5000, 100);
    ck_assert_mem_eq(window_at(&window, 6000, 40000), body + 6000, 40000);
    ck_assert_mem_eq(window_at(&window, SEGMENT_BYTES - 1, 1), body + SEGMENT_BYTES - 1, 1);
    window_deinit(&window);
}
END_TEST

START_TEST(test_failures_name_the_file)
{
    struct window window;
    window_init(&window, disk_sim_disk(sim), SEGMENT_BYTES, 8192, &failure);
    ck_assert_int_eq(window_open(&window, 2), STATUS_IO_ERROR);
    ck_assert_str_eq(failure.file, "segment-0000000000000002");
    failure = (struct journal_failure){.text = ""};
    ck_assert_int_eq(window_open(&window, 1), STATUS_OK);
    disk_sim_cut(sim, FIRST, 20000);
    ck_assert_ptr_null(window_at(&window, 30000, 100));
    ck_assert_int_eq(window.status, STATUS_IO_ERROR);
    ck_assert_str_eq(failure.file, FIRST);
    ck_assert_uint_eq(failure.offset, 30000);
    disk_sim_flip(sim, FIRST, 17, 1);
    failure = (struct journal_failure){.text = ""};
    ck_assert_int_eq(window_open(&window, 1), STATUS_CORRUPT);
    window_deinit(&window);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("window");
    TCase *tcase = tcase_create("window");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_moves_on_and_back);
    tcase_add_test(tcase, test_grows_for_what_is_larger);
    tcase_add_test(tcase, test_failures_name_the_file);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
