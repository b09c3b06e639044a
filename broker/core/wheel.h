/* A timer wheel: any number of timers, armed and disarmed in constant time.
 *
 * Hashed and hierarchical (Varghese and Lauck, 1987, schemes 6 and 7): four rings of 256 slots,
 * each ring 256 times coarser than the one before; a timer far away moves to a finer ring when its
 * time comes near. Time is given by the caller and never goes back. A timer is embedded in what it
 * wakes.
 */
#ifndef HERALD_WHEEL_H
#define HERALD_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WHEEL_RING_COUNT = 4,
    WHEEL_SLOT_COUNT = 256,
    WHEEL_TICK_MS = 10,
};

struct wheel_timer {
    struct wheel_timer *next;
    struct wheel_timer **link; /* what points to this timer; NULL: not armed */
    uint64_t due_tick : 61;
    uint64_t kind : 3; /* for whom it fires; the caller's, set before it is armed */
};

struct wheel {
    uint64_t tick; /* every timer up to this tick has fired, or is in its slot of the first ring */
    size_t armed_count;
    struct wheel_timer *slots[WHEEL_RING_COUNT][WHEEL_SLOT_COUNT];
};

/* Called for each timer that is due, already disarmed; may arm and disarm any timer. */
typedef void (*wheel_fire_fn)(void *argument, struct wheel_timer *timer);

void wheel_init(struct wheel *wheel, uint64_t now_ms);

/* Fires at the first wheel_run at or after due_ms, at most WHEEL_TICK_MS late. Arms anew when it
 * was armed already. */
void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t due_ms);

/* Does nothing when it is not armed. */
void wheel_disarm(struct wheel *wheel, struct wheel_timer *timer);

/* Fires what is due, at most so many at once: however many come due together, others have their
 * turn in between. True: there is more. */
bool wheel_run(struct wheel *wheel, uint64_t now_ms, size_t fire_max, wheel_fire_fn on_fire,
               void *argument);

/* When wheel_run should be called next: never after the first timer is due, and at the latest when
 * a ring has gone round; UINT64_MAX when nothing is armed. */
uint64_t wheel_next_ms(const struct wheel *wheel);

#endif
