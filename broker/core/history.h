/* The history of an exchange: all events that went through it and are still kept.
 *
 *        1 ............ first ................ moved ............ last
 *        gone: retention      in files           in the journal: the tail
 *
 * Events have sequences from 1 without a hole. An event enters at the end, like into a queue, by
 * the record of its message; the mover (mover.h) takes it from the journal to a file, and a HISTORY
 * operation says so; retention (retention.h) takes the oldest away.
 *
 * Always true: the tail holds exactly the events above `moved`, in order (while recovering there
 * may be holes), each with its home counted in the journal; `files` reach to `moved`.
 */
#ifndef HERALD_HISTORY_H
#define HERALD_HISTORY_H

#include "broker/core/entities.h"
#include "broker/core/state.h"
#include "broker/store/record.h"

/* An event that is in the journal and in no file yet. */
struct history_event {
    uint64_t sequence;
    uint64_t word;
    uint32_t size; /* as that of a place */
};

/* Where a history stands for the mover. */
enum history_phase {
    HISTORY_IDLE,    /* its tail is empty */
    HISTORY_WAITING, /* its tail may grow for a while */
    HISTORY_DUE,     /* its tail is to be moved */
};

struct history {
    struct core *core;
    struct exchange *exchange; /* NULL: it is gone */
    uint32_t number;           /* of the exchange */
    uint32_t ref_count;        /* the exchange, feeds, works */
    TAILQ_ENTRY(history) link; /* in core->histories_waiting or _due, by `phase` */
    enum history_phase phase;
    LIST_HEAD(, cursor) cursors;
    TAILQ_HEAD(, feed) waiting; /* feeds that are at the end */

    uint64_t age_max_ms; /* 0: no limit, as for the others */
    uint64_t bytes_max;
    uint64_t count_max;

    struct home home; /* the HISTORY operation, which states these: */
    uint64_t first_stated;
    uint64_t moved;
    uint64_t file_stated; /* 0: there is none yet */
    uint32_t end_stated;
    uint64_t entities_stated; /* entities are saved up to this sequence; 0: they are not */

    uint64_t last;
    struct history_event *tail; /* a ring */
    uint32_t tail_room;         /* a power of two */
    uint32_t tail_start;
    uint32_t tail_count;
    uint64_t tail_bytes;
    uint64_t since_ms; /* when the first of the tail came */

    struct archive_file *files; /* oldest first; the last one is written to unless it is finished */
    uint32_t file_count;
    uint32_t file_room;
    struct archive_spot *spots; /* of the file that is written to */
    uint32_t spot_count;
    uint32_t spot_room;
    uint64_t moved_bytes; /* since entities were saved */

    struct entities entities;
};

/* For an exchange that has none. NULL: no memory. */
struct history *history_new(struct core *core, struct exchange *exchange);

/* The exchange goes: cursors end, files are removed once that is on disk. */
void history_end(struct core *core, struct history *history);

void history_ref(struct history *history);
void history_unref(struct history *history);

/* Takes over the settings that the list names. */
void history_set(struct history *history, struct wire_bytes settings);

/* Writes the settings whole. */
void history_put_settings(const struct history *history, struct wire_writer *w);

/* The oldest event that may be read; last + 1 when there is none. */
uint64_t history_first(const struct history *history);

/* --- the tail -----------------------------------------------------------------------------------
 */

/* Room for one event more. STATUS_NO_MEMORY. */
enum status history_reserve(struct history *history, uint32_t count);

/* A new event at the end, or, while recovering, where it belongs; one that has been moved is left
 * out. history_reserve went before. `message_bytes` is the size of its MESSAGE operation. */
void history_add(struct core *core, struct history *history, const struct history_event *event,
                 uint32_t message_bytes);

/* The event in the tail; NULL: it is not there. */
struct history_event *history_find(const struct history *history, uint64_t sequence);

/* The event of that place in the tail. */
const struct history_event *history_tail_at(const struct history *history, uint32_t index);

/* The event of a MESSAGE operation that is applied: it is added, or moves to the position where it
 * is stated again. STATUS_NO_MEMORY only while recovering. */
enum status history_meet(struct core *core, struct history *history,
                         const struct operation_message *operation,
                         const struct history_event *event, uint32_t message_bytes);

/* Whether the event's home is at this position. */
bool history_holds(const struct history *history, uint64_t sequence, uint64_t position);

/* --- the operation ------------------------------------------------------------------------------
 */

/* All of it as it is now. */
struct operation_history history_operation(const struct history *history);

void history_apply(struct core *core, struct history *history,
                   const struct operation_history *operation, uint64_t position);

/* --- files --------------------------------------------------------------------------------------
 */

/* The file that holds the sequence; NULL: none does. */
const struct archive_file *history_find_file(const struct history *history, uint64_t sequence);

/* The file that is written to; NULL: the next event begins one. */
struct archive_file *history_open_file(struct history *history);

/* Room for one file and `spots` spots more. STATUS_NO_MEMORY. */
enum status history_reserve_files(struct history *history, uint32_t spot_count);

/* Bytes of all files. */
uint64_t history_bytes(const struct history *history);

#endif
