/* Reading a journal that may be damaged, without changing anything: everything that verifies, in
 * order, and every place where something does not.
 *
 * For the offline tools. Opening a journal stops at the first damage, this goes on behind it. Both
 * call the same journals whole. Not for a journal that is in use.
 */
#ifndef HERALD_INSPECT_H
#define HERALD_INSPECT_H

#include <stdbool.h>

#include "broker/store/journal.h"
#include "broker/store/segment.h"

struct inspect_record {
    const unsigned char *at; /* until the callback returns */
    uint32_t bytes;
    uint64_t position;
    uint64_t segment;
    uint64_t sequence; /* of its batch */
    uint64_t now_ms;   /* broker time of its batch */
};

/* Damage, told between the records that stand before and behind it. */
struct inspect_damage {
    char file[SEGMENT_NAME_BYTES];
    char text[160];
    uint64_t offset; /* where it begins in that file ... */
    uint64_t first_position;
    uint64_t end_position;   /* ... and what it reaches to; equal: no record is touched */
    uint64_t first_sequence; /* batches that are missing or lack records: from this one ... */
    uint64_t end_sequence;   /* ... to before this one; equal: none, or it cannot be told */
    uint64_t lost_records;   /* of batches whose number of records is known */
    uint64_t before_ms;      /* broker time of the batch before, 0: there is none */
    uint64_t behind_ms;      /* and behind */
};

struct inspect_reader {
    /* Anything but STATUS_OK ends the reading with that status. */
    enum status (*on_record)(void *argument, const struct inspect_record *record);
    enum status (*on_damage)(void *argument, const struct inspect_damage *damage);
    void *argument;
};

struct inspect_summary {
    uint64_t first_segment; /* files that are there; 0: no segment at all */
    uint64_t newest_segment;
    uint64_t segment_count;
    uint64_t spare_count;
    uint64_t kept_segment; /* oldest that is part of the journal */
    uint32_t segment_bytes;
    uint64_t batch_count;
    uint64_t record_count;
    uint64_t record_bytes;
    uint64_t first_ms; /* broker time of the first and the last batch, 0: none */
    uint64_t last_ms;
    uint64_t cut_bytes;    /* of a torn tail that a start would cut */
    uint64_t damage_count; /* told by on_damage */
    bool is_clean;         /* the last batch is the mark of a clean stop */
};

/* Reads the whole journal. STATUS_OK also when there was damage; STATUS_NEWER_FORMAT,
 * STATUS_IO_ERROR, STATUS_CORRUPT (a name that nothing can be made of), STATUS_NO_MEMORY: `failure`
 * says what, and the summary holds what was seen until then. */
enum status inspect_run(const struct disk *disk, const struct inspect_reader *reader,
                        struct inspect_summary *summary, struct journal_failure *failure);

#endif
