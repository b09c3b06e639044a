/* Mending what survives damage: the core takes it, and nothing untrue is left. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "broker/mend.h"
#include "broker/store/record.h"
#include "broker/tool_report.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"

static struct mend *mend;
static struct core *taken; /* what the mended records say */
static uint64_t position;
static struct inspect_record record;
static unsigned char bytes[512];
static struct wire_writer w;

static enum status on_mended(void *argument, const unsigned char *at, uint32_t count,
                             uint64_t now_ms)
{
    (void)argument;
    position += 1024;
    return core_on_record(taken, position, at, count, now_ms);
}

static void setup(void)
{
    position = 4096;
    taken = tool_core_new();
    mend = mend_new(on_mended, NULL);
    w = wire_writer_of(bytes, sizeof bytes);
}

static void teardown(void)
{
    mend_free(mend);
    core_free(taken);
}

/* What was written since the last call is a record that survived. */
static void survive(void)
{
    ck_assert(!w.failed);
    record = (struct inspect_record){
        .at = bytes, .bytes = (uint32_t)wire_written(&w), .position = 1, .now_ms = 1000};
    ck_assert_int_eq(mend_record(mend, &record), STATUS_OK);
    w = wire_writer_of(bytes, sizeof bytes);
}

static void define_queue(uint32_t number, const char *name)
{
    struct operation_queue operation = {.queue = number, .name = wire_bytes_of_text(name)};
    record_put_queue(&w, &operation);
    survive();
}

static void send(uint64_t number, uint32_t queue)
{
    unsigned char list[4];
    wire_store_u32(list, queue);
    struct operation_message operation = {
        .number = number, .queues = wire_bytes_of(list, 4), .body = wire_bytes_of_text("body")};
    record_put_message(&w, &operation);
    survive();
}

static struct core_census finish(void)
{
    struct core_census census;
    ck_assert_int_eq(mend_finish(mend), STATUS_OK);
    core_census(taken, &census);
    ck_assert(core_census_is_whole(&census));
    ck_assert_int_eq(memcmp(&census, &mend_report(mend)->found, sizeof census), 0);
    return census;
}

START_TEST(test_nothing_survives)
{
    struct core_census census = finish();
    ck_assert_uint_eq(census.queue_count, 0);
    ck_assert_uint_gt(census.start_number, 0);
}
END_TEST

START_TEST(test_a_whole_journal)
{
    define_queue(1, "work");
    send(7, 1);
    struct core_census census = finish();
    ck_assert_uint_eq(mend_report(mend)->kept_count, 2);
    ck_assert_uint_eq(mend_report(mend)->queue_count, 0);
    ck_assert_uint_eq(census.waiting_count, 1);
    ck_assert_uint_gt(census.next_message, 1 << 28);
    ck_assert_uint_eq(core_census_find(taken, CENSUS_QUEUE, wire_bytes_of_text("work")), 1);
}
END_TEST

START_TEST(test_a_queue_without_definition)
{
    define_queue(1, "recovered-2");
    send(7, 2);
    struct core_census census = finish();
    ck_assert_uint_eq(mend_report(mend)->queue_count, 1);
    ck_assert_uint_eq(census.queue_count, 2);
    ck_assert_uint_eq(core_census_find(taken, CENSUS_QUEUE, wire_bytes_of_text("recovered-2-2")),
                      2);
}
END_TEST

START_TEST(test_an_exchange_and_a_client_without_definition)
{
    define_queue(1, "work");
    struct operation_binding binding = {.exchange = 3, .to = 1, .pattern = wire_bytes_of_text("#")};
    record_put_binding(&w, &binding);
    struct operation_answered answered = {5, 17};
    record_put_answered(&w, &answered);
    survive();
    struct core_census census = finish();
    ck_assert_uint_eq(mend_report(mend)->exchange_count, 1);
    ck_assert_uint_eq(mend_report(mend)->client_count, 1);
    ck_assert_uint_eq(census.binding_count, 1);
    ck_assert_uint_eq(census.client_count, 0);
    ck_assert_uint_eq(core_census_find(taken, CENSUS_EXCHANGE, wire_bytes_of_text("recovered-3")),
                      3);
}
END_TEST

/* The deletion of the first is lost: two queues never have one name. */
START_TEST(test_a_name_given_anew)
{
    define_queue(1, "work");
    send(7, 1);
    define_queue(2, "work");
    send(8, 2);
    define_queue(2, "work");
    struct operation_client client = {1, wire_bytes_of_text("me"), 0};
    record_put_client(&w, &client);
    survive();
    client.client = 2;
    record_put_client(&w, &client);
    survive();
    struct operation_exchange exchange = {1, wire_bytes_of_text("x"), wire_bytes_of(NULL, 0)};
    record_put_exchange(&w, &exchange);
    exchange.exchange = 2;
    survive();
    record_put_exchange(&w, &exchange);
    survive();
    struct core_census census = finish();
    ck_assert_uint_eq(mend_report(mend)->replaced_count, 3);
    ck_assert_uint_eq(census.queue_count, 1);
    ck_assert_uint_eq(census.client_count, 1);
    ck_assert_uint_eq(census.exchange_count, 1);
    ck_assert_uint_eq(census.waiting_count, 1);
    ck_assert_uint_eq(core_census_find(taken, CENSUS_QUEUE, wire_bytes_of_text("work")), 2);
    ck_assert_uint_eq(core_census_find(taken, CENSUS_CLIENT, wire_bytes_of_text("me")), 2);
}
END_TEST

START_TEST(test_a_parked_command_without_message)
{
    define_queue(1, "work");
    struct operation_park park = {.queue = 1, .number = 9, .code = wire_bytes_of_text("E")};
    record_put_park(&w, &park);
    survive();
    struct core_census census = finish();
    ck_assert_uint_eq(mend_report(mend)->bodiless_count, 1);
    ck_assert_uint_eq(census.parked_count, 1);
    ck_assert_uint_eq(census.waiting_count, 0);
}
END_TEST

START_TEST(test_a_record_that_says_nothing_known)
{
    wire_put_u8(&w, 200);
    survive();
    (void)finish();
    ck_assert_uint_eq(mend_report(mend)->strange_count, 1);
    ck_assert_uint_eq(mend_report(mend)->kept_count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mend");
    TCase *tcase = tcase_create("mend");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_nothing_survives);
    tcase_add_test(tcase, test_a_whole_journal);
    tcase_add_test(tcase, test_a_queue_without_definition);
    tcase_add_test(tcase, test_an_exchange_and_a_client_without_definition);
    tcase_add_test(tcase, test_a_name_given_anew);
    tcase_add_test(tcase, test_a_parked_command_without_message);
    tcase_add_test(tcase, test_a_record_that_says_nothing_known);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
