/* What the offline tools say about a journal: sizes, times, damage, as people read them. */
#ifndef HERALD_TOOL_REPORT_H
#define HERALD_TOOL_REPORT_H

#include <stdio.h>

#include "broker/core/census.h"
#include "broker/store/inspect.h"
#include "protocol/status.h"

#define TOOL_TEXT_BYTES 32

/* "512 B", "12.3 MiB". */
void tool_print_size(uint64_t bytes, char text[TOOL_TEXT_BYTES]);

/* "2026-11-23 21:04:11.250 UTC", "-" for 0. */
void tool_print_time(uint64_t ms, char text[TOOL_TEXT_BYTES]);

/* The damage that was found; only the first so many are kept for the report. */
#define TOOL_DAMAGE_MAX 50

struct tool_damage {
    struct inspect_damage damage[TOOL_DAMAGE_MAX];
    uint64_t count_before[TOOL_DAMAGE_MAX]; /* records that stand before it */
    uint64_t count;
    uint64_t lost_bytes;
};

void tool_note_damage(struct tool_damage *noted, const struct inspect_damage *damage,
                      uint64_t count_before);

/* Where, what, which positions, batches and times, and what stands behind it. `record_count` is
 * that of the whole journal. */
void tool_print_damage(FILE *out, const struct tool_damage *noted, uint64_t record_count);

/* Files, records, times. */
void tool_print_summary(FILE *out, const struct inspect_summary *summary);

/* What a broker would find in it. */
void tool_print_census(FILE *out, const struct core_census *census);

/* Writes to standard error why the directory could not be read, and returns the exit code. */
int tool_complain(const char *directory, enum status status, const struct journal_failure *failure);

/* The same for a directory without a journal. */
int tool_complain_empty(const char *directory);

/* A core that is only looked at. NULL when memory runs out. */
struct core *tool_core_new(void);

/* Opens a directory for reading. NULL: standard error says why, and *exit_code is set. */
struct disk *tool_open(const char *directory, int *exit_code);

/* Lets everything out that was printed. A reader of standard output that has gone is none of our
 * business; any other failure to write is 74. */
int tool_finish(int exit_code);

#endif
