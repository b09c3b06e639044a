/* New files of events: they are what the broker would have written, however many and large. */
#include "broker/store/archive_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"
#include "tests/support/events.h"

enum { EXCHANGE = 3 };

static struct disk_sim *sim;
static struct archive *archive;
static struct archive_writer *writer;
static struct archive_file file;
static struct journal_failure failure;
static uint64_t next;
static uint32_t body_bytes;

static void set_up(void)
{
    sim = disk_sim_new(1);
    archive = archive_new(disk_sim_disk(sim), NULL, NULL);
    writer = archive_writer_new(disk_sim_disk(sim), EXCHANGE);
    failure = (struct journal_failure){.text = ""};
    body_bytes = EVENT_BODY_BYTES;
}

static void tear_down(void)
{
    archive_writer_free(writer);
    archive_free(archive);
    disk_sim_free(sim);
}

static enum status add(uint64_t sequence)
{
    unsigned char at[EVENT_BYTES_MAX];
    struct archive_event event = {sequence, at, event_encode(at, sequence, body_bytes)};
    return archive_writer_add(writer, &event, 1000 + sequence);
}

static void add_all(uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i <= last; i++)
        ck_assert_int_eq(add(i), STATUS_OK);
}

static enum status on_event(void *argument, const struct archive_event *event)
{
    (void)argument;
    ck_assert_uint_eq(event->sequence, next);
    ck_assert(event_is(event, body_bytes));
    next++;
    return STATUS_OK;
}

static enum status on_spot(void *argument, const struct archive_spot *spot)
{
    (void)argument, (void)spot;
    return STATUS_OK;
}

static const struct archive_visitor visitor = {
    .on_event = on_event, .on_spot = on_spot, .failure = &failure};

static void expect(const struct archive_file *found, uint64_t first, uint64_t last)
{
    ck_assert_uint_eq(found->first, first);
    ck_assert_uint_eq(found->last, last);
    ck_assert_uint_eq(found->first_ms, 1000 + first);
    ck_assert_uint_eq(found->last_ms, 1000 + last);
    next = first;
    ck_assert_int_eq(archive_scan(archive, EXCHANGE, found, first, &visitor), STATUS_OK);
    ck_assert_uint_eq(next, last + 1);
}

static struct archive_name name_of(uint64_t first)
{
    struct archive_name name = {.exchange = EXCHANGE, .first = first};
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &name);
    name.bytes = disk_sim_size(sim, text);
    return name;
}

START_TEST(test_nothing)
{
    ck_assert_int_eq(archive_writer_finish(writer), STATUS_OK);
    ck_assert_int_eq(archive_writer_stop(writer, &file), STATUS_OK);
    ck_assert_uint_eq(file.first, 0);
    ck_assert_uint_eq(file.end, 0);
    ck_assert_uint_eq(disk_sim_changes(sim), 0);
}
END_TEST

START_TEST(test_an_open_file)
{
    add_all(5, 5 + (uint64_t)_i);
    ck_assert_int_eq(archive_writer_stop(writer, &file), STATUS_OK);
    disk_sim_power_loss(sim, DISK_SIM_NONE, 1);
    expect(&file, 5, 5 + (uint64_t)_i);
    struct archive_name name = name_of(5);
    ck_assert_uint_eq(name.bytes, file.end);
    struct archive_file found = {.end = file.end, .last = file.last};
    ck_assert_int_eq(archive_check_open(archive, &name, &found, &visitor), STATUS_OK);
}
END_TEST

/* Large events, so that pieces are written in between, and files become full. */
START_TEST(test_many)
{
    body_bytes = 3000;
    add_all(1, 50000);
    ck_assert_int_eq(archive_writer_stop(writer, &file), STATUS_OK);
    disk_sim_power_loss(sim, DISK_SIM_NONE, 1);
    uint64_t first = 1;
    unsigned count = 0;
    for (; first != file.first; count++) {
        struct archive_name name = name_of(first);
        struct archive_file found;
        ck_assert_int_eq(archive_check_finished(archive, &name, &found, &failure), STATUS_OK);
        ck_assert_uint_eq(found.first, first);
        ck_assert_uint_ge(found.end, 64 << 20);
        ck_assert_uint_lt(found.end, 65 << 20);
        expect(&found, first, found.last);
        first = found.last + 1;
    }
    ck_assert_uint_eq(count, 2);
    expect(&file, first, 50000);
}
END_TEST

START_TEST(test_finishing)
{
    add_all(1, 1000);
    ck_assert_int_eq(archive_writer_finish(writer), STATUS_OK);
    add_all(2001, 2100);
    ck_assert_int_eq(archive_writer_stop(writer, &file), STATUS_OK);
    struct archive_name name = name_of(1);
    struct archive_file found;
    ck_assert_int_eq(archive_check_finished(archive, &name, &found, &failure), STATUS_OK);
    expect(&found, 1, 1000);
    expect(&file, 2001, 2100);
    /* By its index, each event is found. */
    for (uint64_t i = 1; i <= 1000; i += 7) {
        struct archive_read read = {.work = {.kind = ARCHIVE_READ, .exchange = EXCHANGE},
                                    .file = found,
                                    .sequence = i,
                                    .bytes_wanted = 1};
        uint64_t first;
        uint64_t last;
        ck_assert_int_eq(archive_run(archive, &read.work), STATUS_OK);
        archive_walk_range(read.at, read.bytes, &first, &last);
        ck_assert(first <= i && i <= last);
        free(read.at);
    }
}
END_TEST

START_TEST(test_failures)
{
    bool has_failed = true;
    for (uint64_t n = 0; has_failed; n++) {
        tear_down();
        set_up();
        disk_sim_fail_at(sim, n, DISK_SIM_ANY, DISK_SIM_ONCE, _i == 0 ? EIO : ENOSPC);
        add_all(1, 10);
        enum status status = archive_writer_finish(writer);
        if (status == STATUS_OK)
            add_all(11, 20);
        if (status == STATUS_OK)
            status = archive_writer_stop(writer, &file);
        has_failed = disk_sim_has_failed(sim);
        if (_i == 0)
            ck_assert_int_eq(status, has_failed ? STATUS_IO_ERROR : STATUS_OK);
        else
            ck_assert_int_eq(status != STATUS_OK, has_failed);
        if (status == STATUS_IO_ERROR)
            ck_assert_int_ne(archive_writer_failure(writer)->error, 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive_writer");
    TCase *tcase = tcase_create("archive_writer");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_nothing);
    tcase_add_loop_test(tcase, test_an_open_file, 0, 12);
    tcase_add_test(tcase, test_many);
    tcase_add_test(tcase, test_finishing);
    tcase_add_loop_test(tcase, test_failures, 0, 2);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
