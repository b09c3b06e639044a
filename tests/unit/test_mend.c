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

/* --- histories ----------------------------------------------------------------------------------
 */

static void define_book(uint32_t number)
{
    unsigned char settings[16];
    struct wire_writer list = wire_writer_of(settings, sizeof settings);
    property_put_number(&list, PROPERTY_EXCHANGE_HISTORY, 1);
    struct operation_exchange operation = {number, wire_bytes_of_text("book"),
                                           wire_bytes_of(settings, (uint32_t)wire_written(&list))};
    record_put_exchange(&w, &operation);
    survive();
}

/* An event of an exchange, which goes to a queue, too, unless that is 0. */
static struct operation_message event_of(uint64_t sequence, uint32_t exchange, uint32_t queue)
{
    static unsigned char list[8];
    static unsigned char properties[32];
    struct wire_writer p = wire_writer_of(properties, sizeof properties);
    property_put_number(&p, PROPERTY_MESSAGE_SEQUENCE, sequence);
    wire_store_u32(list, HISTORY_BIT | exchange);
    wire_store_u32(list + 4, queue);
    return (struct operation_message){.number = 100 + sequence,
                                      .queues = wire_bytes_of(list, queue != 0 ? 8 : 4),
                                      .exchange = wire_bytes_of_text("book"),
                                      .properties =
                                          wire_bytes_of(properties, (uint32_t)wire_written(&p)),
                                      .body = wire_bytes_of_text("event")};
}

static void publish(uint64_t sequence, uint32_t exchange, uint32_t queue)
{
    struct operation_message operation = event_of(sequence, exchange, queue);
    record_put_message(&w, &operation);
    survive();
}

static struct core_history found; /* the last one of the census */

static void on_history(void *argument, const struct core_history *history)
{
    (void)argument;
    found = *history;
}

static uint64_t tail_first;
static uint64_t tail_last;

static void on_run(void *argument, uint64_t first, uint64_t last)
{
    (void)argument;
    ck_assert_uint_eq(tail_last, 0);
    tail_first = first;
    tail_last = last;
}

/* Finishes, with what is known of histories. */
static struct core_census finish_histories(void)
{
    struct core_census census;
    ck_assert_int_eq(mend_histories(mend), STATUS_OK);
    census = finish();
    found = (struct core_history){0};
    tail_first = tail_last = 0;
    core_census_histories(taken, on_history, NULL);
    core_census_tail(taken, found.exchange, on_run, NULL);
    return census;
}

/* Events say by themselves that their exchange keeps them. */
START_TEST(test_a_history_without_definition)
{
    publish(1, 3, 0);
    publish(2, 3, 0);
    struct core_census census = finish_histories();
    ck_assert_uint_eq(mend_report(mend)->exchange_count, 1);
    ck_assert_uint_eq(census.history_count, 1);
    ck_assert_uint_eq(found.last, 2);
    ck_assert_uint_eq(tail_last, 2);
    ck_assert_uint_eq(core_census_find(taken, CENSUS_EXCHANGE, wire_bytes_of_text("recovered-3")),
                      3);
}
END_TEST

START_TEST(test_an_exchange_of_which_there_are_only_files)
{
    define_book(1);
    ck_assert_int_eq(mend_adopt(mend, 9), STATUS_OK);
    struct core_census census = finish_histories();
    ck_assert_uint_eq(census.history_count, 2);
    ck_assert_uint_eq(mend_report(mend)->adopted_count, 1);
    ck_assert_uint_eq(core_census_find(taken, CENSUS_EXCHANGE, wire_bytes_of_text("recovered-9")),
                      9);
    ck_assert_uint_eq(census.next_exchange, 10);
}
END_TEST

/* A plan for exchange 1: kept are events 1 to `last`, up to `moved` in a file. */
static struct salvage *plan_of(uint64_t moved, uint64_t last)
{
    struct salvage *salvage = salvage_new();
    struct core *core = tool_core_new();
    struct history_view view = {
        .stated = {.exchange = 1, .first = 1, .moved = moved, .last = last + 2}};
    struct histories histories = {.views = &view, .view_count = 1};
    unsigned char bytes_of[256];
    struct wire_writer writer = wire_writer_of(bytes_of, sizeof bytes_of);
    struct operation operation = {.type = OPERATION_MESSAGE};
    operation.as.message = event_of(1, 1, 0);
    record_put(&writer, &operation);
    ck_assert_int_eq(core_on_record(core, 4096, bytes_of, (uint32_t)wire_written(&writer), 1),
                     STATUS_OK);
    ck_assert_int_eq(runs_add(&view.filed, 1, moved), STATUS_OK);
    for (uint64_t i = moved + 1; i <= last; i++) {
        operation.as.message = event_of(i, 1, 0);
        ck_assert_int_eq(salvage_note(salvage, &operation), STATUS_OK);
    }
    ck_assert_int_eq(salvage_decide(salvage, &histories, core), STATUS_OK);
    struct salvage_plan *plan = salvage_find(salvage, 1);
    ck_assert_ptr_nonnull(plan);
    plan->file = 1;
    plan->end = 4096;
    plan->entities = 77;
    runs_deinit(&view.filed);
    core_free(core);
    return salvage;
}

/* What was said of files goes, events that are not kept go, those in files leave the journal, and
 * what else was in their records stays. */
START_TEST(test_a_plan)
{
    struct salvage *salvage = plan_of(3, 5);
    mend_set_salvage(mend, salvage);
    define_queue(1, "work");
    define_book(1);
    for (uint64_t i = 1; i <= 7; i++)
        publish(i, 1, i % 2 == 0 ? 1 : 0);
    struct operation_history history = {1, 7, 1, 1, 9999, 3};
    record_put_history(&w, &history);
    survive();
    struct core_census census = finish_histories();
    ck_assert_uint_eq(found.moved, 3);
    ck_assert_uint_eq(found.last, 5);
    ck_assert_uint_eq(found.file, 1);
    ck_assert_uint_eq(found.end, 4096);
    ck_assert_uint_eq(found.entities, 77);
    ck_assert_uint_eq(tail_first, 4);
    ck_assert_uint_eq(tail_last, 5);
    ck_assert_uint_eq(census.waiting_count, 3); /* 2, 4 and 6 in the queue */
    salvage_free(salvage);
}
END_TEST

static uint64_t done;

static void on_cursor(void *argument, const struct core_cursor *cursor)
{
    (void)argument;
    ck_assert_uint_eq(cursor->queue, 2);
    done = cursor->done;
}

/* A cursor that was further than what is kept: 6 and 7 will be other events, of which it must not
 * be done, nor have kept one. */
START_TEST(test_a_cursor_goes_back)
{
    struct salvage *salvage = plan_of(3, 5);
    unsigned char ranges[32];
    mend_set_salvage(mend, salvage);
    define_book(1);
    publish(4, 1, 0);
    publish(5, 1, 0);
    define_queue(2, "cursor");
    wire_store_u64(ranges, 1);
    wire_store_u64(ranges + 8, 2);
    wire_store_u64(ranges + 16, 4);
    wire_store_u64(ranges + 24, 6);
    struct operation_cursor cursor = {.queue = 2,
                                      .exchange = 1,
                                      .pattern = wire_bytes_of_text("#"),
                                      .done = wire_bytes_of(ranges, sizeof ranges)};
    record_put_cursor(&w, &cursor);
    survive();
    struct operation_message copy = event_of(7, 1, 0);
    unsigned char number[4];
    wire_store_u32(number, 2);
    copy.queues = wire_bytes_of(number, 4);
    copy.number = 7;
    record_put_message(&w, &copy);
    survive();
    struct operation_park park = {.queue = 2, .number = 7, .code = wire_bytes_of_text("E")};
    record_put_park(&w, &park);
    survive();
    struct core_census census = finish_histories();
    core_census_cursors(taken, on_cursor, NULL);
    ck_assert_uint_eq(done, 5);
    ck_assert_uint_eq(census.parked_count, 0);
    ck_assert_uint_eq(mend_report(mend)->cursor_count, 1);
    ck_assert_uint_eq(mend_report(mend)->copy_count, 1);
    salvage_free(salvage);
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
    tcase_add_test(tcase, test_a_history_without_definition);
    tcase_add_test(tcase, test_an_exchange_of_which_there_are_only_files);
    tcase_add_test(tcase, test_a_plan);
    tcase_add_test(tcase, test_a_cursor_goes_back);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
