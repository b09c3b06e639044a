/* What happens to the broker itself, as events on the exchange `$sys`.
 *
 * The exchange is there once somebody has asked for it, by a binding or a subscription; until
 * somebody listens nothing is made. An event is told at any moment, also in the middle of taking in
 * a message, and waits in the order of telling until a round ends and until all that it may rest on
 * is on disk. One that cannot be taken then is lost and counted.
 *
 * States that last (a full disk, a queue that overflows) are told when they begin and when they
 * end, never again in between. So nothing that `$sys` itself brings about keeps it going.
 */
#ifndef HERALD_SYS_H
#define HERALD_SYS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "protocol/status.h"
#include "protocol/wire.h"

struct core;
struct queue;
struct sys_waiting;

#define SYS_EXCHANGE "$sys"

enum sys_type {
#define SYS(NAME, name, key, text) SYS_##NAME,
#include "broker/core/sys.def"
};

#define SYS(NAME, name, key, text) struct sys_##name {
#define SYS_NUMBER(field, text) uint64_t field;
#define SYS_TEXT(field, text) struct wire_bytes field;
#define SYS_END(NAME, name)                                                                        \
    }                                                                                              \
    ;
#include "broker/core/sys.def"

struct sys_event {
    enum sys_type type;
    union {
#define SYS(NAME, name, key, text) struct sys_##name name;
#include "broker/core/sys.def"
    } as;
};

struct sys {
    TAILQ_HEAD(, sys_waiting) waiting;
    uint32_t waiting_count;
    TAILQ_HEAD(, queue) overflowing;
    bool is_disk_full;
    bool is_memory_full;
    bool are_lanes_full;
};

void sys_init(struct sys *sys);
void sys_deinit(struct sys *sys);

/* Makes the exchange if the name is its, and it is not there. STATUS_OK, or why it could not be. */
enum status sys_open(struct core *core, struct wire_bytes exchange);

/* True when somebody listens; otherwise there is no need to tell. */
bool sys_is_heard(const struct core *core);

/* Tells what has happened. Texts are copied. */
void sys_tell(struct core *core, const struct sys_event *event);

/* The queue has refused or dropped a message at a limit of its own. */
void sys_queue_overflows(struct core *core, struct queue *queue);
void sys_forget_queue(struct core *core, struct queue *queue);

/* A transient message, or one with a lane, was refused for a limit of the broker. */
void sys_memory_is_full(struct core *core);
void sys_lanes_are_full(struct core *core);

/* Ends states that are over, and publishes what may be told by now. */
void sys_run(struct core *core);

/* True when something may be published in the next round. */
bool sys_has_more(const struct core *core);

#endif
