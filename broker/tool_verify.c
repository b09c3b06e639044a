/* heraldd --verify: would a daemon take this journal, and what is in it? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "broker/histories.h"
#include "broker/log.h"
#include "broker/store/inspect.h"
#include "broker/tool.h"
#include "broker/tool_history.h"
#include "broker/tool_report.h"

struct verify {
    struct core *core;
    uint64_t record_count;
    struct inspect_summary summary;
    struct core_census census;
    struct tool_damage damage;
    struct histories *histories;
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

static bool is_journal_whole(const struct verify *verify)
{
    return verify->damage.count == 0 && core_census_is_whole(&verify->census);
}

static void say_damage(const struct verify *verify)
{
    if (is_journal_whole(verify)) {
        printf("\nA daemon refuses this and changes nothing, or, where only events are damaged,\n"
               "tells whoever reads them that they cannot be read. Damaged:\n");
    } else {
        printf("\nA daemon refuses this journal and changes nothing. Damaged:\n");
        tool_print_damage(stdout, &verify->damage, verify->record_count);
    }
    if (verify->census.nameless_count > 0)
        printf("  objects that are named and nowhere defined: %" PRIu64 "\n",
               verify->census.nameless_count);
    if (verify->census.bodiless_count > 0)
        printf("  parked commands whose message is nowhere: %" PRIu64 "\n",
               verify->census.bodiless_count);
    tool_print_history_damage(stdout, verify->histories);
    printf("\nheraldd --repair shows what would be lost by going on without that.\n");
}

static int say(const char *directory, const struct verify *verify)
{
    char path[1024];
    (void)log_escape(directory, strlen(directory), path, sizeof path);
    bool are_files_whole = histories_are_whole(verify->histories);
    printf("%s: the journal is %s\n", path, is_journal_whole(verify) ? "whole" : "damaged");
    if (!are_files_whole)
        printf("%s: histories are damaged\n", path);
    tool_print_summary(stdout, &verify->summary);
    tool_print_census(stdout, &verify->census);
    tool_print_histories(stdout, verify->histories);
    if (is_journal_whole(verify) && are_files_whole)
        return EX_OK;
    say_damage(verify);
    return EX_DATAERR;
}

static int run(const char *directory, const struct disk *disk, struct verify *verify)
{
    struct journal_failure failure = {0};
    struct inspect_reader reader = {on_record, on_damage, verify};
    enum status status = core_open_archive(verify->core, disk, &failure);
    if (status == STATUS_OK)
        status = inspect_run(disk, &reader, &verify->summary, &failure);
    if (status == STATUS_OK && verify->summary.segment_count == 0)
        return tool_complain_empty(directory);
    if (status == STATUS_OK)
        status = histories_new(&verify->histories, verify->core, disk, HISTORIES_STATED, &failure);
    if (status != STATUS_OK)
        return tool_complain(directory, status, &failure);
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
    histories_free(verify.histories);
    core_free(verify.core);
    disk_real_free(disk);
    return exit_code;
}
