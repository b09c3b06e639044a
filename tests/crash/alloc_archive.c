/* The archive without memory: every allocation of everything that is done with its files fails in
 * turn, alone or with all behind it.
 *
 *   alloc_archive [--life N]
 *
 * What fails must say that memory was lacking, or space where the work is tried again; when there
 * is memory again all of it works; and every block is given back. `--life N` fails only allocation
 * N/2, for good when N is odd.
 */
#include <inttypes.h>
#include <stdio.h>

#include "broker/store/archive_inspect.h"
#include "broker/store/archive_writer.h"
#include "tests/support/crash_world_run.h"
#include "tests/support/disk_sim.h"
#include "tests/support/events.h"
#include "tests/support/scarce.h"

enum { EXCHANGE = 3, BLOCKS = 6 };

static struct archive_file finished;
static struct archive_file open_file;
static struct journal_failure failure;
static const unsigned char secret[ARCHIVE_SECRET_BYTES];

static enum status on_spot(void *argument, const struct archive_spot *spot)
{
    (void)argument, (void)spot;
    return STATUS_OK;
}

static enum status on_event(void *argument, const struct archive_event *event)
{
    (void)argument, (void)event;
    return STATUS_OK;
}

static enum status on_entity(void *argument, const struct archive_entity *entity)
{
    (void)argument, (void)entity;
    return STATUS_OK;
}

static const struct archive_visitor visitor = {.on_spot = on_spot,
                                               .on_event = on_event,
                                               .on_entity = on_entity,
                                               .failure = &failure,
                                               .secret = secret};

/* Two files of events and one of entities. */
static struct disk_sim *make_disk(void)
{
    struct disk_sim *sim = disk_sim_new(1);
    struct archive *archive = archive_new(disk_sim_disk(sim), NULL, NULL);
    unsigned char at[ARCHIVE_ENTITIES_HEADER_BYTES + ARCHIVE_ENTITY_BYTES] = {0};
    struct archive_entities entities = {.work = {.kind = ARCHIVE_ENTITIES, .exchange = EXCHANGE},
                                        .sequence = 10,
                                        .offset = ARCHIVE_HEADER_BYTES,
                                        .at = at,
                                        .count = 1,
                                        .is_last = true,
                                        .count_all = 1};
    event_file(archive, EXCHANGE, 1, BLOCKS, &finished);
    event_file_finish(archive, EXCHANGE, BLOCKS, &finished);
    event_file(archive, EXCHANGE, finished.last + 1, BLOCKS, &open_file);
    (void)archive_run(archive, &entities.work);
    archive_free(archive);
    return sim;
}

/* --- what is done -------------------------------------------------------------------------------
 */

static enum status start(struct archive *archive)
{
    struct archive_list list;
    struct archive_file file;
    enum status status = archive_list(archive, &list, &failure);
    if (status == STATUS_OK)
        status = archive_check_finished(archive, &list.names[0], &file, &failure);
    if (status == STATUS_OK) {
        file = (struct archive_file){.end = open_file.end, .last = open_file.last};
        status = archive_check_open(archive, &list.names[1], &file, &visitor);
    }
    if (status == STATUS_OK)
        status = archive_scan(archive, EXCHANGE, &finished, 1, &visitor);
    if (status == STATUS_OK)
        status = archive_load_entities(archive, EXCHANGE, 10, &visitor);
    scarce_free(list.names);
    return status;
}

static enum status read_events(struct archive *archive)
{
    struct archive_read read = {.work = {.kind = ARCHIVE_READ, .exchange = EXCHANGE},
                                .file = finished,
                                .sequence = 9,
                                .bytes_wanted = 1};
    struct archive_names names = {.work = {.kind = ARCHIVE_LIST}};
    enum status status = archive_run(archive, &read.work);
    scarce_free(read.at);
    if (status != STATUS_OK)
        return status;
    status = archive_run(archive, &names.work);
    scarce_free(names.list.names);
    return status;
}

static enum status inspect(struct archive *archive)
{
    struct archive_inspection found;
    struct archive_inspector inspector = {.failure = &failure};
    struct archive_name name = {
        .exchange = EXCHANGE, .first = 1, .bytes = finished.end + archive_index_bytes(BLOCKS)};
    enum status status = archive_inspect(archive, &name, &inspector, &found);
    name = (struct archive_name){true, EXCHANGE, 10, 544};
    return status == STATUS_OK ? archive_inspect(archive, &name, &inspector, &found) : status;
}

static enum status write_events(const struct disk *disk)
{
    struct archive_writer *writer = archive_writer_new(disk, EXCHANGE + 1);
    struct archive_file file;
    enum status status = writer != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    for (uint64_t i = 1; i <= 200 && status == STATUS_OK; i++) {
        unsigned char at[EVENT_BYTES_MAX];
        struct archive_event event = {i, at, event_encode(at, i, 2000)};
        status = archive_writer_add(writer, &event, i);
        if (status == STATUS_OK && i == 100)
            status = archive_writer_finish(writer);
    }
    if (status == STATUS_OK)
        status = archive_writer_stop(writer, &file);
    archive_writer_free(writer);
    return status;
}

static enum status do_all(struct disk_sim *sim)
{
    const struct disk *disk = disk_sim_disk(sim);
    struct archive *archive = archive_new(disk, NULL, NULL);
    failure = (struct journal_failure){.text = ""};
    enum status status = archive != NULL ? start(archive) : STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = read_events(archive);
    if (status == STATUS_OK)
        status = inspect(archive);
    if (status == STATUS_OK)
        status = write_events(disk);
    archive_free(archive);
    return status;
}

/* *goes_on: there were as many allocations, so there may be more. */
static const char *run_one(const struct disk_sim *base, uint64_t number, bool *goes_on)
{
    struct disk_sim *sim = disk_sim_clone(base);
    uint64_t block_count = scarce_block_count();
    const char *violation = NULL;
    scarce_fail_at(number / 2, number % 2 == 0 ? SCARCE_ONCE : SCARCE_FOREVER);
    enum status status = do_all(sim);
    bool has_failed = *goes_on = scarce_has_failed();
    if (has_failed && status != STATUS_NO_MEMORY && status != STATUS_DISK_FULL)
        violation = status == STATUS_OK ? "lack of memory was passed over"
                                        : "lack of memory was told as something else";
    if (!has_failed && status != STATUS_OK)
        violation = "it failed although there was memory";
    if (scarce_block_count() != block_count)
        violation = "memory was not given back";
    scarce_end();
    disk_sim_free(sim);
    sim = disk_sim_clone(base);
    if (violation == NULL && do_all(sim) != STATUS_OK)
        violation = "it failed although there was memory again";
    disk_sim_free(sim);
    return violation;
}

int main(int count, char **word)
{
    struct crash_run run;
    uint64_t cases = 0;
    uint64_t violations = 0;
    if (crash_run_begin(&run, "alloc_archive", UINT64_MAX, count, word) != STATUS_OK)
        return 2;
    struct disk_sim *base = make_disk();
    uint64_t number = run.life != UINT64_MAX ? run.life : 0;
    bool goes_on = true;
    while (goes_on) {
        const char *violation = run_one(base, number, &goes_on);
        goes_on &= run.life == UINT64_MAX;
        cases++;
        if (violation != NULL) {
            violations++;
            printf("violation: %s\n  again: alloc_archive --life %" PRIu64 "\n", violation, number);
        }
        number++;
    }
    disk_sim_free(base);
    return crash_run_end(&run, cases, violations);
}
