/* The core: all that the broker knows and decides, without I/O and without a clock.
 *
 * Frames come in through peers (peer.h), time and what a disk has done come in as arguments, and
 * what goes out stands in the output buffers of the peers. The daemon, the scenario tests and the
 * crash harness drive it in the same way:
 *
 *   core_new -> core_count_homes -> journal_open(..., core_on_record and core_on_read, ...)
 *   -> core_start
 *   a round:  peer_receive ..., core_on_errand ..., core_end_of_round, write out the dirty peers
 *   core_drain -> rounds until core_is_drained -> core_stop -> core_free
 *
 * Everything belongs to one thread.
 */
#ifndef HERALD_CORE_H
#define HERALD_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/journal.h"
#include "protocol/status.h"

struct core;
struct peer;

/* The limits of config.def, section by section; see there what each is for. */
struct core_limits {
    uint32_t message_bytes_max;
    uint32_t frame_bytes_max;
    uint32_t headers_count_max;
    uint32_t headers_bytes_max;
    uint32_t queues_max;
    uint32_t exchanges_max;
    uint32_t bindings_max;
    uint32_t consumers_max;
    uint32_t clients_max;
    uint32_t calls_max;
    uint32_t timers_max;
    uint32_t lane_window;
    uint32_t tracked_max;
    uint32_t keys_max;
    uint32_t results_max;
    uint64_t results_bytes_max;
    uint64_t result_bytes_max;
    uint64_t result_ttl_ms;
    uint32_t checkpoint_bytes_max;
    uint32_t refusals_max;
    uint64_t transient_bytes_max;
    uint64_t index_bytes_max; /* takes effect when the core is made */
    uint64_t unsent_bytes_max;
    uint64_t live_unsent_bytes_max;
    uint32_t credit_messages;
    uint32_t credit_bytes;
    uint64_t pending_bytes_max;
    uint64_t restate_bytes_per_second;
    uint32_t heartbeat_ms;
    uint32_t attempts_max;
    uint64_t backoff_ms;
    uint64_t backoff_max_ms;
    uint64_t retry_for_ms;
    uint64_t lease_ms;
    uint32_t queue_prefetch_messages;
    uint32_t event_prefetch_messages;
    uint32_t entities_max;
    uint32_t history_file_bytes;
    uint32_t history_keys_max;
    uint64_t history_read_bytes_max;
    uint64_t history_save_bytes;
};

/* What the core wants the operator to read. `text` holds until the call returns and may contain
 * bytes that peers sent: escape it. */
enum core_note {
    CORE_NOTE_WARNING,
    CORE_NOTE_INFO,
    CORE_NOTE_DEBUG,
};
typedef void (*core_note_fn)(void *context, enum core_note level, const char *area,
                             const char *text);

/* NULL when memory runs out. */
struct core *core_new(const struct core_limits *limits, core_note_fn note, void *note_context);

/* Peers must be gone. NULL is fine. The journal is not touched. */
void core_free(struct core *core);

/* Before journal_open: the journal, once it is set, counts the homes of what is recovered. Without
 * this call nothing is counted, and the core can be looked at but not started. */
void core_count_homes(struct core *core, struct journal *const *journal);

/* Before journal_open: has index pages leave memory for a file on this disk, beyond index_bytes_max
 * of them, and lets exchanges have histories there; errands go where those of the journal go.
 * Without this call neither is done. The disk must outlive the core. STATUS_NO_MEMORY,
 * STATUS_IO_ERROR: `failure` says why. */
enum status core_open_files(struct core *core, const struct disk *disk,
                            const struct journal_options *options, struct journal_failure *failure);

/* Instead of core_open_files, for tools: lets histories be looked at on this disk, and reads the
 * secrets that names of entities were hashed with. Statuses as there. */
enum status core_open_archive(struct core *core, const struct disk *disk,
                              struct journal_failure *failure);

/* Chance that nobody can guess, for what is hashed from now on; without this call it is zeros. */
void core_set_secret(struct core *core, const unsigned char secret[16]);

/* Closes what is open of them, and removes the file of pages: the disk is needed no more. Only
 * core_free may follow. */
void core_close_files(struct core *core);

/* Applies one record found by recovery: pass it to journal_open with the core as argument.
 * STATUS_CORRUPT for a record that this version cannot have written, STATUS_NO_MEMORY. */
enum status core_on_record(void *core, uint64_t position, const unsigned char *at, uint32_t bytes,
                           uint64_t now_ms);

/* Once all records were applied, and before anything on disk is changed: whether what was recovered
 * can be gone on with. Pass it to journal_open, too; without that core_start looks, and refuses
 * when the journal has cut its torn tail already. STATUS_CORRUPT when something is named in the
 * journal that is nowhere defined, or a file of a history is not as the journal says;
 * STATUS_NEWER_FORMAT, STATUS_IO_ERROR: core_failure says what; STATUS_NO_MEMORY. */
enum status core_on_read(void *core);

/* Begins a new start on a journal that was just opened; the journal stays the caller's and must
 * outlive the core. `now_ms` is broker time. STATUS_NO_MEMORY, STATUS_DISK_FULL, STATUS_IO_ERROR;
 * as core_on_read, if that was not called. */
enum status core_start(struct core *core, struct journal *journal, uint64_t now_ms);

/* The number of this start, from 1. */
uint32_t core_start_number(const struct core *core);

/* Takes back an errand of the journal. STATUS_IO_ERROR: end the process, core_failure or
 * journal_failure says why. */
enum status core_on_errand(struct core *core, struct errand *errand);

/* What went wrong with the file of the index or those of histories, after core_start,
 * core_on_errand or core_on_record has failed. NULL: nothing, it was the journal. */
const struct journal_failure *core_failure(const struct core *core);

/* Tells the time before anything else happens in a round: broker time, milliseconds since 1970,
 * never going back. */
void core_set_time(struct core *core, uint64_t now_ms);

/* Everything that a round does after the frames: hands the batch out, lets pass what became
 * durable, fires what is due, pumps deliveries. Afterwards the dirty peers hold what must be
 * written. */
void core_end_of_round(struct core *core);

/* When core_end_of_round must be called at the latest although nothing happens, in broker time.
 * UINT64_MAX: never. */
uint64_t core_next_due(const struct core *core);

/* True when the last end of round left work that the next should go on with at once. */
bool core_has_more(const struct core *core);

/* The next peer whose output or state changed since it was last returned, or NULL. */
struct peer *core_next_dirty(struct core *core);

/* True when core_next_dirty would return one. */
bool core_has_dirty(const struct core *core);

/* SIGHUP: takes over the limits that may change while running. */
void core_set_limits(struct core *core, const struct core_limits *limits);

/* SIGTERM: no new messages (DRAINING), no new hand-outs; peers are told. Settlements go on. */
void core_drain(struct core *core, uint32_t within_ms);

/* Nothing is unsettled, unconfirmed or waiting for an outcome any more. */
bool core_is_drained(const struct core *core);

/* The last records of a clean stop: what is unsettled is given back, callers are told, the marks
 * are written exactly. Rounds must go on until the journal is durable to its end; then
 * journal_stop. */
void core_stop(struct core *core);

/* Allows peers from loopback to come in without a user (ANONYMOUS). */
void core_allow_anonymous(struct core *core);

#endif
