/* Copies of raw bytes, answered in order. */
#include <check.h>
#include <string.h>

#include "broker/store/copy.h"
#include "broker/store/segment.h"
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

static uint64_t answered;
static enum status answered_status;

static void on_copy(void *argument, const unsigned char *at, uint32_t bytes, enum status status)
{
    const uint64_t *offset = argument;
    answered++;
    answered_status = status;
    if (status == STATUS_OK)
        ck_assert_mem_eq(at, body + *offset, bytes);
    else
        ck_assert_ptr_null(at);
}

static void add(struct copy *copy, uint64_t *offset, uint32_t bytes)
{
    struct copy_request request = {.position = SEGMENT_BYTES + *offset,
                                   .bytes = bytes,
                                   .on_copy = on_copy,
                                   .argument = offset};
    ck_assert_int_eq(copy_add(copy, &request), STATUS_OK);
}

START_TEST(test_one_at_a_time_and_in_order)
{
    struct copy copy;
    uint64_t offsets[] = {0, 30000};
    answered = 0;
    copy_init(&copy, disk_sim_disk(sim), SEGMENT_BYTES);
    ck_assert_ptr_null(copy_next(&copy));
    add(&copy, &offsets[0], 5000);
    add(&copy, &offsets[1], SEGMENT_BYTES - 30000);
    for (uint64_t i = 1; i <= 2; i++) {
        struct errand *errand = copy_next(&copy);
        ck_assert_ptr_nonnull(errand);
        ck_assert_ptr_null(copy_next(&copy));
        errand->run(errand);
        copy_take_back(&copy);
        ck_assert_uint_eq(answered, i);
        ck_assert_int_eq(answered_status, STATUS_OK);
    }
    ck_assert_ptr_null(copy_next(&copy));
    copy_deinit(&copy);
}
END_TEST

START_TEST(test_a_failure_is_told)
{
    struct copy copy;
    uint64_t offset = 0;
    copy_init(&copy, disk_sim_disk(sim), SEGMENT_BYTES);
    disk_sim_cut(sim, FIRST, 4096);
    add(&copy, &offset, 5000);
    add(&copy, &offset, 100);
    struct errand *errand = copy_next(&copy);
    errand->run(errand);
    copy_take_back(&copy);
    ck_assert_int_eq(answered_status, STATUS_IO_ERROR);
    copy_deinit(&copy); /* the second one is forgotten */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("copy");
    TCase *tcase = tcase_create("copy");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_one_at_a_time_and_in_order);
    tcase_add_test(tcase, test_a_failure_is_told);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
