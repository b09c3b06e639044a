/* A timer wheel. */
#include "broker/core/wheel.h"

#include <string.h>

enum { SLOT_BITS = 8 };

#define SLOT_MASK ((uint64_t)WHEEL_SLOT_COUNT - 1)
#define TICKS_MAX (((uint64_t)1 << (SLOT_BITS * WHEEL_RING_COUNT)) - 1)

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->tick = now_ms / WHEEL_TICK_MS;
}

static void slot_add(struct wheel_timer **slot, struct wheel_timer *timer)
{
    timer->next = *slot;
    if (timer->next != NULL)
        timer->next->link = &timer->next;
    timer->link = slot;
    *slot = timer;
}

static void timer_unlink(struct wheel_timer *timer)
{
    *timer->link = timer->next;
    if (timer->next != NULL)
        timer->next->link = timer->link;
    timer->next = NULL;
    timer->link = NULL;
}

/* The finest ring that reaches the timer, whose slot is that of `earliest` or a later one. One
 * further away than all rings reach waits in the last slot of the coarsest and is placed again from
 * there. */
static void timer_place(struct wheel *wheel, struct wheel_timer *timer, uint64_t earliest)
{
    uint64_t tick = timer->due_tick;
    if (tick < earliest)
        tick = earliest;
    if (tick - wheel->tick > TICKS_MAX)
        tick = wheel->tick + TICKS_MAX;
    unsigned ring = 0;
    while (ring + 1 < WHEEL_RING_COUNT &&
           (tick >> (SLOT_BITS * ring)) - (wheel->tick >> (SLOT_BITS * ring)) >= WHEEL_SLOT_COUNT)
        ring++;
    slot_add(&wheel->slots[ring][(tick >> (SLOT_BITS * ring)) & SLOT_MASK], timer);
}

void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t due_ms)
{
    wheel_disarm(wheel, timer);
    uint64_t tick = due_ms / WHEEL_TICK_MS + (due_ms % WHEEL_TICK_MS != 0);
    timer->due_tick = tick & (UINT64_MAX >> 3); /* no tick is larger */
    timer_place(wheel, timer, wheel->tick + 1);
    wheel->armed_count++;
}

void wheel_disarm(struct wheel *wheel, struct wheel_timer *timer)
{
    if (timer->link == NULL)
        return;
    timer_unlink(timer);
    wheel->armed_count--;
}

/* Moves a slot of a coarser ring, whose time has come, to where its timers now belong: none of
 * them reaches as far as this slot's next turn. */
static void slot_spread(struct wheel *wheel, struct wheel_timer **slot)
{
    struct wheel_timer *timer = *slot;
    *slot = NULL;
    while (timer != NULL) {
        struct wheel_timer *next = timer->next;
        timer_place(wheel, timer, wheel->tick);
        timer = next;
    }
}

static void tick_begin(struct wheel *wheel)
{
    uint64_t tick = ++wheel->tick;
    for (unsigned ring = WHEEL_RING_COUNT - 1; ring > 0; ring--) {
        uint64_t below = ((uint64_t)1 << (SLOT_BITS * ring)) - 1;
        if ((tick & below) == 0)
            slot_spread(wheel, &wheel->slots[ring][(tick >> (SLOT_BITS * ring)) & SLOT_MASK]);
    }
}

/* The first timer of the current tick that has not fired. */
static struct wheel_timer *tick_first(const struct wheel *wheel)
{
    struct wheel_timer *timer = wheel->slots[0][wheel->tick & SLOT_MASK];
    return timer != NULL && timer->due_tick <= wheel->tick ? timer : NULL;
}

bool wheel_run(struct wheel *wheel, uint64_t now_ms, size_t fire_max, wheel_fire_fn on_fire,
               void *argument)
{
    uint64_t until = now_ms / WHEEL_TICK_MS;
    for (;;) {
        struct wheel_timer *timer;
        while ((timer = tick_first(wheel)) != NULL) {
            if (fire_max-- == 0)
                return true;
            timer_unlink(timer);
            wheel->armed_count--;
            on_fire(argument, timer);
        }
        if (wheel->tick >= until)
            return false;
        if (wheel->armed_count == 0)
            wheel->tick = until;
        else
            tick_begin(wheel);
    }
}

uint64_t wheel_next_ms(const struct wheel *wheel)
{
    if (wheel->armed_count == 0)
        return UINT64_MAX;
    uint64_t tick = wheel->tick + 1;
    while (wheel->slots[0][tick & SLOT_MASK] == NULL && (tick & SLOT_MASK) != 0)
        tick++;
    return tick * WHEEL_TICK_MS;
}
