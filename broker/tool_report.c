/* What the offline tools say about a journal. */
#include "broker/tool_report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "broker/log.h"
#include "broker/startup.h"

void tool_print_size(uint64_t bytes, char text[TOOL_TEXT_BYTES])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1023.95 && unit < sizeof units / sizeof units[0] - 1) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(text, TOOL_TEXT_BYTES, "%.*f %s", unit == 0 ? 0 : 1, value, units[unit]);
}

void tool_print_time(uint64_t ms, char text[TOOL_TEXT_BYTES])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm split;
    char date[24];
    if (ms == 0 || gmtime_r(&seconds, &split) == NULL ||
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &split) == 0)
        (void)snprintf(text, TOOL_TEXT_BYTES, "-");
    else
        (void)snprintf(text, TOOL_TEXT_BYTES, "%s.%03u UTC", date, (unsigned)(ms % 1000));
}

void tool_note_damage(struct tool_damage *noted, const struct inspect_damage *damage,
                      uint64_t count_before)
{
    noted->lost_bytes += damage->end_position - damage->first_position;
    if (noted->count < TOOL_DAMAGE_MAX) {
        noted->damage[noted->count] = *damage;
        noted->count_before[noted->count] = count_before;
    }
    noted->count++;
}

static void print_lost(FILE *out, const struct inspect_damage *damage)
{
    char size[TOOL_TEXT_BYTES];
    uint64_t bytes = damage->end_position - damage->first_position;
    if (bytes == 0)
        return;
    tool_print_size(bytes, size);
    fprintf(out, "      positions %" PRIu64 " to %" PRIu64 " (%s)\n", damage->first_position,
            damage->end_position, size);
}

static void print_batches(FILE *out, const struct inspect_damage *damage)
{
    uint64_t count = damage->end_sequence - damage->first_sequence;
    if (damage->first_sequence == 0 || damage->end_sequence <= damage->first_sequence)
        return;
    if (damage->lost_records > 0)
        fprintf(out, "      %" PRIu64 " record%s of batch %" PRIu64 "\n", damage->lost_records,
                damage->lost_records == 1 ? "" : "s", damage->first_sequence);
    else if (count == 1)
        fprintf(out, "      batch %" PRIu64 " is missing, with all its records\n",
                damage->first_sequence);
    else
        fprintf(out, "      %" PRIu64 " batches are missing, %" PRIu64 " to %" PRIu64 "\n", count,
                damage->first_sequence, damage->end_sequence - 1);
}

static void print_times(FILE *out, const struct inspect_damage *damage)
{
    char before[TOOL_TEXT_BYTES];
    char behind[TOOL_TEXT_BYTES];
    tool_print_time(damage->before_ms, before);
    tool_print_time(damage->behind_ms, behind);
    if (damage->before_ms != 0 && damage->behind_ms != 0)
        fprintf(out, "      written between %s\n                  and %s\n", before, behind);
    else if (damage->before_ms != 0)
        fprintf(out, "      written after %s\n", before);
    else if (damage->behind_ms != 0)
        fprintf(out, "      written before %s\n", behind);
}

void tool_print_damage(FILE *out, const struct tool_damage *noted, uint64_t record_count)
{
    for (uint64_t i = 0; i < noted->count && i < TOOL_DAMAGE_MAX; i++) {
        const struct inspect_damage *damage = &noted->damage[i];
        fprintf(out, "  %s at offset %" PRIu64 "\n      %s\n", damage->file, damage->offset,
                damage->text);
        print_lost(out, damage);
        print_batches(out, damage);
        print_times(out, damage);
        fprintf(out, "      behind it %" PRIu64 " records verify\n",
                record_count - noted->count_before[i]);
    }
    if (noted->count > TOOL_DAMAGE_MAX)
        fprintf(out, "  and %" PRIu64 " places more\n", noted->count - TOOL_DAMAGE_MAX);
}

void tool_print_summary(FILE *out, const struct inspect_summary *summary)
{
    char size[TOOL_TEXT_BYTES];
    char from[TOOL_TEXT_BYTES];
    char to[TOOL_TEXT_BYTES];
    tool_print_size(summary->segment_bytes, size);
    fprintf(out, "  segments    %" PRIu64 " of %s, and %" PRIu64 " spare\n", summary->segment_count,
            size, summary->spare_count);
    fprintf(out, "              segment-%016" PRIx64 " to %016" PRIx64 "\n", summary->first_segment,
            summary->newest_segment);
    tool_print_size(summary->record_bytes, size);
    fprintf(out, "  records     %" PRIu64 ", %s, in %" PRIu64 " batches\n", summary->record_count,
            size, summary->batch_count);
    tool_print_time(summary->first_ms, from);
    tool_print_time(summary->last_ms, to);
    fprintf(out, "  written     from %s\n              to   %s\n", from, to);
    tool_print_size(summary->cut_bytes, size);
    if (summary->cut_bytes > 0)
        fprintf(out,
                "  stopped     not cleanly; a start cuts a torn tail of %s,\n"
                "              none of which was ever confirmed\n",
                size);
    else
        fprintf(out, "  stopped     %s\n", summary->is_clean ? "cleanly" : "not cleanly");
}

void tool_print_census(FILE *out, const struct core_census *census)
{
    char size[TOOL_TEXT_BYTES];
    tool_print_size(census->waiting_bytes, size);
    fprintf(out, "  queues      %" PRIu64 "\n", census->queue_count);
    fprintf(out, "  exchanges   %" PRIu64 ", bindings %" PRIu64 "\n", census->exchange_count,
            census->binding_count);
    fprintf(out, "  clients     %" PRIu64 "\n", census->client_count);
    fprintf(out, "  waiting     %" PRIu64 " messages, %s\n", census->waiting_count, size);
    fprintf(out, "  parked      %" PRIu64 " commands\n", census->parked_count);
    fprintf(out, "  starts      %" PRIu32 "\n", census->start_number);
}

int tool_complain(const char *directory, enum status status, const struct journal_failure *failure)
{
    char path[1024];
    (void)log_escape(directory, strlen(directory), path, sizeof path);
    fprintf(stderr, "heraldd: %s%s%s: %s\n", path, failure->file[0] == '\0' ? "" : "/",
            failure->file, failure->text);
    return startup_exit_code(status);
}

int tool_complain_empty(const char *directory)
{
    struct journal_failure failure = {.text = "there is no journal here"};
    return tool_complain(directory, STATUS_IO_ERROR, &failure);
}

static void ignore_note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

struct core *tool_core_new(void)
{
    struct core_limits limits = {.refusals_max = UINT32_MAX};
    return core_new(&limits, ignore_note, NULL);
}

struct disk *tool_open(const char *directory, int *exit_code)
{
    char error[256];
    char text[1024];
    struct disk *disk = NULL;
    enum status status = disk_real_new_reading(&disk, directory, error, sizeof error);
    if (status == STATUS_OK)
        return disk;
    (void)log_escape(error, strlen(error), text, sizeof text);
    fprintf(stderr, "heraldd: %s\n", text);
    *exit_code = startup_exit_code(status);
    return NULL;
}

int tool_finish(int exit_code)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE)
        return exit_code;
    perror("heraldd: standard output");
    return EX_IOERR;
}
