/* The loop: one thread that waits for files, signals and time.
 *
 * A round is one wait and the calls that follow from it; whoever runs the loop does the rest of the
 * round after loop_round returned. Nothing else of the daemon waits anywhere.
 */
#ifndef HERALD_LOOP_H
#define HERALD_LOOP_H

#include <stdint.h>

#include "protocol/status.h"

struct event_base;
struct loop;
struct loop_watch;

typedef void (*loop_fn)(void *argument);

/* NULL when memory or file descriptors run out. */
struct loop *loop_new(void);

/* All watches must be gone. NULL is fine. */
void loop_free(struct loop *loop);

/* Calls `on_event` in every round in which `file` is readable. NULL when memory runs out. */
struct loop_watch *loop_watch_file(struct loop *loop, int file, loop_fn on_event, void *argument);

/* Calls `on_event` in the round after the process got the signal, outside of any signal handler. */
struct loop_watch *loop_watch_signal(struct loop *loop, int number, loop_fn on_event,
                                     void *argument);

/* NULL is fine. */
void loop_watch_free(struct loop_watch *watch);

/* Waits until something happens or until due_ms, and makes the calls. Both times are of one clock,
 * in milliseconds; due_ms at or before now_ms: do not wait. It may return early with nothing done.
 * STATUS_IO_ERROR: the system refuses to wait any more. */
enum status loop_round(struct loop *loop, uint64_t now_ms, uint64_t due_ms);

/* Ends the running round after the current call; what is left is called first in the next round. */
void loop_cut_round(struct loop *loop);

/* For the sockets of this floor; the loop keeps it. */
struct event_base *loop_base(struct loop *loop);

#endif
