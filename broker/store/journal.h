/* The append-only journal: the door of the engine that remembers.
 *
 * Records go in, each at once with its position, and become durable together in batches. A record
 * is there after a crash wholly or not at all, and so is the whole prefix before it. What is in a
 * record is none of the journal's business.
 *
 *   journal_open --(every record found)--> on_record ... --> ready
 *   journal_open_record, journal_close_record    append; the state may run ahead of the disk
 *   journal_round                                hands the batch out, at most one is in flight
 *   journal_on_errand                            takes back what a thread has done
 *   journal_durable_position                     everything below it is on disk
 *
 * A position is a byte count from the beginning of time; positions grow and are only compared.
 * All calls belong to the loop's thread. The format is described in JOURNAL.md.
 */
#ifndef HERALD_JOURNAL_H
#define HERALD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/disk.h"
#include "broker/store/errand.h"
#include "protocol/status.h"

struct journal;

struct journal_options {
    uint32_t segment_bytes;   /* size of a segment file, a multiple of 4096, at least 64 KiB */
    uint32_t spare_count;     /* segments kept ready ahead of need, at least 2 */
    uint64_t cache_bytes_max; /* memory for records that are durable and still wanted */
    errand_post_fn post;
    void *post_context;
};

/* What went wrong, for the one line that the operator reads. */
struct journal_failure {
    char file[64];   /* empty when no file is to blame */
    uint64_t offset; /* in that file */
    int error;       /* errno, 0 when it is not an error of the system */
    char text[256];  /* a sentence: what was found, what range is affected */
};

/* One record found by recovery, oldest first. `at` holds until the call returns. `now_ms` is the
 * broker time of its batch. Anything but STATUS_OK ends the recovery with that status. */
typedef enum status (*journal_record_fn)(void *argument, uint64_t position, const unsigned char *at,
                                         uint32_t bytes, uint64_t now_ms);

/* How far recovery is, every 16 MiB or so. */
typedef void (*journal_progress_fn)(void *argument, uint64_t done_bytes, uint64_t all_bytes);

/* All records were given, and nothing on disk is changed yet. Anything but STATUS_OK refuses the
 * journal with that status, and so it stays. */
typedef enum status (*journal_read_fn)(void *argument);

/* Whoever recovery tells. */
struct journal_reader {
    journal_record_fn on_record;
    void *argument;
    journal_progress_fn on_progress; /* may be NULL, as the next */
    journal_read_fn on_read;
};

/* Reads the directory, gives every record to on_record, cuts a torn tail, rewrites and syncs the
 * tail after an unclean stop, and leaves the journal ready to append. Runs its disk work itself,
 * on the caller's thread; errands are posted only after it has returned.
 *
 * STATUS_CORRUPT, STATUS_NEWER_FORMAT, STATUS_IO_ERROR: `failure` says where and nothing on disk
 * was changed for the first two. STATUS_NO_MEMORY. On failure *journal is NULL. The disk stays the
 * caller's and must outlive the journal.
 *
 * *journal is set before the first on_record, which may call journal_home_state and
 * journal_home_remove and nothing else. */
enum status journal_open(struct journal **journal, const struct disk *disk,
                         const struct journal_options *options, const struct journal_reader *reader,
                         struct journal_failure *failure);

/* What recovery saw. */
struct journal_recovery {
    uint64_t record_count;
    uint64_t byte_count;
    uint64_t first_position; /* of the oldest segment that is kept */
    uint64_t cut_bytes;      /* of a torn tail, 0 if there was none or none of it can be told */
    uint64_t newest_ms;      /* newest broker time found, 0 in a new directory */
    uint32_t
        segment_bytes; /* of the files found; those of an older configuration keep their size */
    bool was_clean;    /* the last stop was clean, or the directory is new */
};
struct journal_recovery journal_recovery(const struct journal *journal);

/* The same checks as journal_open and the same records for on_record, but nothing on disk is
 * changed and nothing stays open. `seen` is filled as far as it went, on failure too; a new
 * directory has no record. on_record may not speak of homes. Statuses as journal_open. */
enum status journal_check(const struct disk *disk, const struct journal_options *options,
                          const struct journal_reader *reader, struct journal_recovery *seen,
                          struct journal_failure *failure);

enum journal_urgency {
    JOURNAL_FRESH,  /* new messages and definitions: refused while the disk is full */
    JOURNAL_URGENT, /* settlements, marks, attempts: may use the reserve of spare segments */
    /* What is stated again: may use the reserve, and waits a moment for company, because small
     * batches waste most of their blocks. */
    JOURNAL_PATIENT,
};

/* Opens a record and gives room for at most `bytes_max` bytes of it, which stay writable until
 * journal_close_record. One record is open at a time. *position is the record's position.
 *
 * NULL: the disk is full (journal_is_full says so) or memory ran out; nothing has changed. */
unsigned char *journal_open_record(struct journal *journal, size_t bytes_max,
                                   enum journal_urgency urgency, uint64_t *position);

/* Has the next records, together of at most `bytes` bytes with 8 more for each, go into one batch,
 * so that after a crash they are all there or none is: as long as nothing else is appended in
 * between, and no journal_round comes. None of them is refused for lack of space or memory then. No
 * record may be open. STATUS_DISK_FULL, STATUS_NO_MEMORY; STATUS_TOO_LARGE for more than half a
 * segment. */
enum status journal_keep_together(struct journal *journal, size_t bytes);

/* Ends the open record at `bytes` bytes, more than 0 and at most what was asked for. From now on
 * the record is part of the journal. */
void journal_close_record(struct journal *journal, size_t bytes);

/* Largest bytes_max that journal_open_record takes: a quarter of a segment. */
size_t journal_record_bytes_max(const struct journal *journal);

/* No further segment can be prepared: JOURNAL_FRESH records are refused. Heals by itself. */
bool journal_is_full(const struct journal *journal);

/* Called at the end of a round of the loop: hands the gathered records to the commit thread unless
 * a batch is in flight, and gives segments that are due to the background thread. `now_ms` is
 * broker time; it goes into the batch and paces new tries after a full disk. Call it at least every
 * 100 ms or so when idle, too: the mark that follows the last batch is written then. No record may
 * be open. */
void journal_round(struct journal *journal, uint64_t now_ms);

/* Takes back an errand. STATUS_IO_ERROR: a write or a sync failed and the process must end;
 * journal_failure says what. */
enum status journal_on_errand(struct journal *journal, struct errand *errand);
const struct journal_failure *journal_failure(const struct journal *journal);

/* A record is durable when its position is below this. */
uint64_t journal_durable_position(const struct journal *journal);

/* Where the next record will begin, or later. Every record so far is below it. */
uint64_t journal_end_position(const struct journal *journal);

/* Where the newest record ends that is not patient. Nothing new rests on what is stated again. */
uint64_t journal_news_position(const struct journal *journal);

/* Bytes of closed records that are not durable yet. */
uint64_t journal_pending_bytes(const struct journal *journal);

/* The journal's homes, by which the oldest segments are freed: how many durable objects have their
 * home at this position (any position within a record). A home may be removed only once the record
 * that ends or moves it is closed, because the next batch may say that the segment is needed no
 * more. Homes are stated only where there is another one already or by records closed since the
 * last journal_round.
 *
 * `bytes` of the record here state `count` homes of together `weight`; the weight says what share
 * of those bytes each of them is, and is given again when a home is removed. It may be 0. */
void journal_home_state(struct journal *journal, uint64_t position, uint32_t count, uint64_t weight,
                        uint64_t bytes);
void journal_home_remove(struct journal *journal, uint64_t position, uint32_t count,
                         uint64_t weight);

/* What the journal takes and how much of it lives; cheap enough for every round. Segments that are
 * about to be freed are no part of it. */
struct journal_space {
    uint64_t used_bytes; /* of all segments that are kept */
    uint64_t live_bytes; /* estimated from the weights of the homes */
    uint64_t segment_bytes;
    uint64_t oldest_live_bytes;
    uint64_t oldest_end_position; /* where the oldest segment ends */
    bool is_full;
    bool is_held; /* nothing is freed now, see journal_hold */
};
struct journal_space journal_space(struct journal *journal);

/* The bytes at a position within a record if they are in memory; *bytes reaches to the end of that
 * record or beyond it. The pointer holds until the next call of journal_round, journal_on_errand or
 * journal_fetch. NULL: fetch them. */
const unsigned char *journal_peek(struct journal *journal, uint64_t position, size_t *bytes);

/* Tells when bytes that were asked for are in memory (STATUS_OK), or that they cannot be read or do
 * not verify (STATUS_IO_ERROR, STATUS_CORRUPT: the process must end). */
typedef void (*journal_fetch_fn)(void *argument, uint64_t position, enum status status);

/* Has the record that holds `position` read from disk, with what follows it. `record_position` is
 * where that record begins; it must be durable and hold a home. The segment is kept until the
 * answer is given. `on_fetch` is called from a later journal_on_errand; afterwards journal_peek
 * finds the bytes at least until the second journal_round from then. Fetches are worked off one at
 * a time; those whose bytes came along with an earlier one's are answered together with it.
 * STATUS_NO_MEMORY: nothing was started. */
enum status journal_fetch(struct journal *journal, uint64_t record_position, uint64_t position,
                          journal_fetch_fn on_fetch, void *argument);

/* A record of the oldest segment. */
struct journal_found {
    uint64_t position;
    const unsigned char *at;
    uint32_t bytes;
};

/* The next record of the oldest segment that is kept, so that what lives there can be stated again
 * and the segment be freed. The walk begins anew when another segment becomes the oldest. `at`
 * holds until the next call, journal_round or journal_on_errand.
 *
 * STATUS_MORE: it is being read; call again after a later journal_on_errand. STATUS_NOT_FOUND: the
 * segment was walked to its end, or it is still appended to or not durable as a whole. Rot that is
 * found on the way makes journal_on_errand fail. */
enum status journal_oldest_next(struct journal *journal, struct journal_found *found);

/* The record that was given last is the next one again. Nothing of the journal was called in
 * between.
 */
void journal_oldest_again(struct journal *journal);

/* From now on no segment is freed, until journal_release was called as often. Returns the position
 * of the first byte of the oldest segment that is kept. */
uint64_t journal_hold(struct journal *journal);
void journal_release(struct journal *journal);

#define JOURNAL_COPY_BYTES_MAX (1u << 20)

/* The bytes that were asked for; `at` holds during the call and is NULL unless status is STATUS_OK
 * (STATUS_IO_ERROR, STATUS_CORRUPT, STATUS_NO_MEMORY: only the copy failed). */
typedef void (*journal_copy_fn)(void *argument, const unsigned char *at, uint32_t bytes,
                                enum status status);

/* Reads bytes of a segment as they are on disk, headers and all: `position` is segment number *
 * segment size + offset. They must be of one segment, which is held, not beyond
 * journal_durable_position, and at most JOURNAL_COPY_BYTES_MAX. `on_copy` is called from a later
 * journal_on_errand, in the order of the requests; journal_free forgets those that wait.
 * STATUS_NO_MEMORY: nothing was started. */
enum status journal_copy(struct journal *journal, uint64_t position, uint32_t bytes,
                         journal_copy_fn on_copy, void *argument);

/* Stops in good order: everything closed is written and synced, the end is marked as clean. Only
 * after all errands came back. Runs its disk work itself. */
enum status journal_stop(struct journal *journal, uint64_t now_ms);

/* Gives memory and files back and writes nothing; errands must have come back. NULL is fine. */
void journal_free(struct journal *journal);

struct journal_figures {
    uint64_t segment_count;
    uint64_t spare_count;
    uint64_t used_bytes;  /* of segments in use */
    uint64_t batch_count; /* committed since the start */
    uint64_t byte_count;  /* committed since the start */
    uint64_t cached_bytes;
};
struct journal_figures journal_figures(const struct journal *journal);

#endif
