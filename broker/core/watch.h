/* Watchers: peers that want to hear what becomes of a tracked command.
 *
 * COMMAND_OUTCOME and a durable call are told once, when the outcome is decided; COMMAND_CHANGES at
 * every change. All are told on every way out: a timeout, the broker's stopping, and a command that
 * is forgotten.
 */
#ifndef HERALD_WATCH_H
#define HERALD_WATCH_H

#include "broker/core/state.h"
#include "broker/core/tracked.h"

enum watch_kind {
    WATCH_OUTCOME,
    WATCH_CHANGES,
    WATCH_CALL, /* answered by OUTCOME instead of COMMAND_STATE */
};

struct watcher {
    LIST_ENTRY(watcher) tracked_link;
    LIST_ENTRY(watcher) peer_link;
    struct wheel_timer timer; /* TIMER_WATCHER */
    struct peer *peer;
    struct tracked *tracked;
    uint64_t tag;
    enum watch_kind kind;
};

/* Begins to watch, and answers at once what can be answered. timeout_ms 0: no timeout.
 * STATUS_LIMIT, STATUS_NO_MEMORY. */
enum status watch_new(struct peer *peer, struct tracked *tracked, uint64_t tag,
                      enum watch_kind kind, uint32_t timeout_ms);

/* Answers how the command is now. */
void watch_answer(struct peer *peer, struct tracked *tracked, uint64_t tag);

/* Something about it has changed; its outcome perhaps. */
void watch_tell(struct core *core, struct tracked *tracked);

/* Likewise for the command that stands there, if it is one. */
void watch_tell_aside(struct core *core, struct aside *aside);

void watch_on_timer(struct core *core, struct wheel_timer *timer);

/* The command is forgotten; the peer is gone; the broker stops. */
void watch_end_all(struct core *core, struct tracked *tracked);
void watch_end_peer(struct peer *peer);
void watch_on_drain(struct core *core);

#endif
