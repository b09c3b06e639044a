/* Counting what a core knows. */
#include <check.h>

#include "broker/core/census.h"
#include "broker/store/record.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void count_name(void *argument, uint32_t number, struct wire_bytes name)
{
    unsigned *sum = argument;
    *sum += number * 100 + name.bytes;
}

static void count_parked(void *argument, uint32_t queue, uint64_t number)
{
    unsigned *sum = argument;
    *sum += queue * 100 + (unsigned)number;
}

START_TEST(test_census)
{
    unsigned char bytes[512];
    unsigned char queues[4];
    unsigned sum = 0;
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    wire_store_u32(queues, 2);
    record_put_queue(&w, &(struct operation_queue){.queue = 2, .name = wire_bytes_of_text("work")});
    record_put_message(&w, &(struct operation_message){.number = 8,
                                                       .queues = wire_bytes_of(queues, 4),
                                                       .body = wire_bytes_of_text("12345")});
    record_put_attempt(&w, &(struct operation_attempt){.queue = 2, .number = 8, .failed = 3});
    record_put_park(&w, &(struct operation_park){.queue = 2, .number = 5});
    record_put_binding(&w, &(struct operation_binding){
                               .exchange = 1, .to = 2, .pattern = wire_bytes_of_text("#")});
    struct core_limits limits = scene_limits();
    struct core *core = core_new(&limits, note, NULL);
    struct core_census census;
    core_census(core, &census);
    ck_assert(core_census_is_whole(&census));
    ck_assert_int_eq(core_on_record(core, 4096, bytes, (uint32_t)wire_written(&w), 1), STATUS_OK);
    core_census(core, &census);
    ck_assert(!core_census_is_whole(&census));
    ck_assert_uint_eq(census.queue_count, 1);
    ck_assert_uint_eq(census.waiting_count, 1);
    ck_assert_uint_eq(census.waiting_bytes, 5);
    ck_assert_uint_eq(census.attempted_count, 1);
    ck_assert_uint_eq(census.parked_count, 1);
    ck_assert_uint_eq(census.bodiless_count, 1);
    ck_assert_uint_eq(census.binding_count, 1);
    ck_assert_uint_eq(census.nameless_count, 1); /* the exchange */
    ck_assert_uint_eq(census.next_message, 9);
    ck_assert_uint_eq(core_census_find(core, CENSUS_QUEUE, wire_bytes_of_text("work")), 2);
    ck_assert_uint_eq(core_census_find(core, CENSUS_EXCHANGE, wire_bytes_of_text("work")), 0);
    core_census_each(core, CENSUS_QUEUE, count_name, &sum);
    ck_assert_uint_eq(sum, 204);
    core_census_each(core, CENSUS_EXCHANGE, count_name, &sum);
    ck_assert_uint_eq(sum, 304);
    core_census_each(core, CENSUS_CLIENT, count_name, &sum);
    core_census_bodiless(core, count_parked, &sum);
    ck_assert_uint_eq(sum, 509);
    core_free(core);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("census");
    TCase *tcase = tcase_create("census");
    tcase_add_test(tcase, test_census);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
