/* The histories of a broker that is down, as the tools see them. */
#include "tests/support/surveyed.h"

#include <assert.h>

#include "broker/store/inspect.h"
#include "broker/tool_report.h"

static enum status on_record(void *argument, const struct inspect_record *record)
{
    struct surveyed *surveyed = argument;
    struct wire_reader r = wire_reader_of(record->at, record->bytes);
    struct operation operation;
    enum status status =
        core_on_record(surveyed->core, record->position, record->at, record->bytes, record->now_ms);
    while (status == STATUS_OK && record_next(&r, &operation) == STATUS_OK)
        status = salvage_note(surveyed->salvage, &operation);
    return status;
}

static enum status on_damage(void *argument, const struct inspect_damage *damage)
{
    (void)argument, (void)damage;
    return STATUS_OK;
}

void surveyed_init(struct surveyed *surveyed, struct disk_sim *sim, enum histories_scope scope)
{
    const struct disk *disk = disk_sim_disk(sim);
    struct inspect_summary summary;
    struct inspect_reader reader = {on_record, on_damage, surveyed};
    *surveyed = (struct surveyed){.core = tool_core_new(), .salvage = salvage_new()};
    assert(surveyed->core != NULL && surveyed->salvage != NULL);
    surveyed->status = core_open_archive(surveyed->core, disk, &surveyed->failure);
    if (surveyed->status == STATUS_OK)
        surveyed->status = inspect_run(disk, &reader, &summary, &surveyed->failure);
    if (surveyed->status == STATUS_OK)
        surveyed->status =
            histories_new(&surveyed->histories, surveyed->core, disk, scope, &surveyed->failure);
}

void surveyed_deinit(struct surveyed *surveyed)
{
    histories_free(surveyed->histories);
    salvage_free(surveyed->salvage);
    core_free(surveyed->core);
}
