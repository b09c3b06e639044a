/* heraldd --verify: would a daemon take this journal, and what is in it? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "broker/log.h"
#include "broker/store/inspect.h"
#include "broker/tool.h"
#include "broker/tool_report.h"

struct verify {
    struct core *core;
    uint64_t record_count;
    struct inspect_summary summary;
    struct core_census census;
    struct tool_damage damage;
    uint64_t strange_count; /* records that the core does not take */
};

static enum status on_damage(void *argument, const struct inspect_damage *damage)
{
    struct verify *verify = argument;
    tool_note_damage(&verify->damage, damage, verify->record_count);
    return STATUS_OK;
}

static enum status on_record(void *argument, const struct inspect_record *record)
{
    struct verify *verify = argument;
    enum status status =
        core_on_record(verify->core, record->position, record->at, record->bytes, record->now_ms);
    verify->record_count++;
    if (status != STATUS_CORRUPT)
        return status;
    struct inspect_damage damage = {
        .text = "a record verifies, but says nothing that this version knows",
        .offset = record->position % verify->summary.segment_bytes,
        .first_position = record->position,
        .end_position = record->position + record->bytes,
        .first_sequence = record->sequence,
        .end_sequence = record->sequence + 1,
        .lost_records = 1,
    };
    segment_print_name(damage.file, NAME_SEGMENT, record->segment);
    return on_damage(verify, &damage);
}

static int say(const char *directory, const struct verify *verify)
{
    char path[1024];
    (void)log_escape(directory, strlen(directory), path, sizeof path);
    bool is_whole = verify->damage.count == 0 && core_census_is_whole(&verify->census);
    printf("%s: the journal is %s\n", path, is_whole ? "whole" : "damaged");
    tool_print_summary(stdout, &verify->summary);
    tool_print_census(stdout, &verify->census);
    if (is_whole)
        return EX_OK;
    printf("\nA daemon refuses this journal and changes nothing. Damaged:\n");
    tool_print_damage(stdout, &verify->damage, verify->record_count);
    if (verify->census.nameless_count > 0)
        printf("  objects that are named and nowhere defined: %" PRIu64 "\n",
               verify->census.nameless_count);
    if (verify->census.bodiless_count > 0)
        printf("  parked commands whose message is nowhere: %" PRIu64 "\n",
               verify->census.bodiless_count);
    printf("\nheraldd --repair shows what would be lost by going on without that.\n");
    return EX_DATAERR;
}

static int run(const char *directory, const struct disk *disk, struct verify *verify)
{
    struct journal_failure failure = {0};
    struct inspect_reader reader = {on_record, on_damage, verify};
    enum status status = inspect_run(disk, &reader, &verify->summary, &failure);
    if (status != STATUS_OK)
        return tool_complain(directory, status, &failure);
    if (verify->summary.segment_count == 0)
        return tool_complain_empty(directory);
    core_census(verify->core, &verify->census);
    return tool_finish(say(directory, verify));
}

int tool_verify(const char *directory)
{
    int exit_code = EX_OSERR;
    struct verify verify = {.core = tool_core_new()};
    struct disk *disk = verify.core != NULL ? tool_open(directory, &exit_code) : NULL;
    if (disk != NULL)
        exit_code = run(directory, disk, &verify);
    disk_real_free(disk);
    core_free(verify.core);
    return exit_code;
}
