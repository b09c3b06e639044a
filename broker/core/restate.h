/* Restating: what lives in the oldest segment is stated again at the end, so that it can be freed.
 */
#ifndef HERALD_RESTATE_H
#define HERALD_RESTATE_H

#include <stdbool.h>
#include <stdint.h>

struct core;

struct restate {
    uint64_t budget_bytes; /* that may be stated again now */
    uint64_t end_position; /* of the journal when the budget was last filled up */
    uint64_t filled_ms;
    uint64_t detached_ms;   /* when volatile queues were last looked through */
    unsigned char *numbers; /* of the queues that still hold a message */
    uint32_t numbers_room;
    /* Where the walk waits for a page of the index: all before that is done with. */
    uint64_t stall_position; /* of an operation; 0: nowhere */
    uint32_t stall_queue;    /* in its list of queues, bytes */
    uint32_t stall_count;    /* rounds in a row */
    bool is_pressed;
};

void restate_deinit(struct restate *restate);

/* Does the share of this round; core->has_more when there is more to do at once. */
void restate_run(struct core *core);

/* The journal is beyond its bound: publishers get no further credit until enough was freed. */
bool restate_is_pressed(const struct core *core);

#endif
