/* What a queue keeps of single messages besides their places: failed attempts with their history,
 * the last checkpoint, and what is parked.
 */
#ifndef HERALD_KEPT_H
#define HERALD_KEPT_H

#include "broker/core/state.h"
#include "broker/store/record.h"
#include "protocol/status.h"

enum {
    /* The newest attempts are kept, and of the text of each so much. */
    HISTORY_ATTEMPTS_MAX = 16,
    HISTORY_TEXT_BYTES_MAX = 200,
    HISTORY_ENTRY_BYTES_MAX = 8 + 2 + 1 + 255 + 2 + HISTORY_TEXT_BYTES_MAX,
    HISTORY_BYTES_MAX = HISTORY_ATTEMPTS_MAX * HISTORY_ENTRY_BYTES_MAX,
};

/* One failed attempt of a history. */
struct kept_attempt {
    uint64_t time_ms;
    uint16_t attempt; /* from 1 */
    struct wire_bytes code;
    struct wire_bytes text;
};

/* Bytes in memory of their own; NULL stands for none. */
struct kept_bytes {
    uint32_t count;
    unsigned char at[];
};

/* NULL: nothing is kept of this number. */
struct attempted *kept_find_attempted(const struct queue *queue, uint64_t number);
struct parked *kept_find_parked(const struct queue *queue, uint64_t number);

/* Failed attempts at a message so far. */
uint16_t kept_failed_attempts(const struct queue *queue, uint64_t number);

/* What there is already, or a new one: without failed attempts, without a message. NULL when memory
 * ran out. */
struct attempted *kept_add_attempted(struct queue *queue, uint64_t number);
struct parked *kept_add_parked(struct queue *queue, uint64_t number);

/* That it repairs a parked one, which is still to be said. NULL when memory ran out. */
struct repair *kept_add_repair(struct attempted *attempted);

/* What a parked command stands aside with as a repair; its bytes live as long as it is parked. */
struct message_terms kept_repair_terms(const struct parked *parked, const struct repair *repair);

/* Of a message that repairs another one: its id; else zero. */
struct wire_id kept_repair_id(const struct queue *queue, uint64_t number);

/* Replaces the bytes, as far as there is memory for that: without it there are none. */
void kept_set_bytes(struct kept_bytes **kept, struct wire_bytes bytes);
struct wire_bytes kept_bytes(const struct kept_bytes *kept);

/* The history with one more failed attempt, in HISTORY_BYTES_MAX bytes at `room`. */
struct wire_bytes kept_history_add(unsigned char *room, struct wire_bytes history,
                                   const struct kept_attempt *attempt);

/* The next attempt of a history; false at the end. Start with a reader over it. */
bool kept_history_next(struct wire_reader *r, struct kept_attempt *attempt);

/* The newest attempt; empty when there is none. */
struct kept_attempt kept_history_last(struct wire_bytes history);

/* Takes one out and frees it, its homes included. */
void kept_end_attempted(struct core *core, struct queue *queue, struct attempted *attempted);
void kept_end_parked(struct core *core, struct queue *queue, struct parked *parked);

/* All of both. */
void kept_end_all(struct core *core, struct queue *queue);

#endif
