/* Broker time: milliseconds since 1970 that never go back. */
#include "broker/clock.h"

#include <assert.h>
#include <time.h>

static uint64_t clock_read_ms(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);
    assert(failed == 0 && now.tv_sec >= 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void clock_start(struct clock *clock, uint64_t newest_ms)
{
    clock_start_at(clock, newest_ms, clock_read_ms(CLOCK_REALTIME), clock_read_ms(CLOCK_BOOTTIME));
}

void clock_start_at(struct clock *clock, uint64_t newest_ms, uint64_t wall_ms, uint64_t machine_ms)
{
    uint64_t start_ms = wall_ms > newest_ms ? wall_ms : newest_ms;
    /* May wrap below 0 when the wall clock says 1970; the sum in clock_now_ms wraps back. */
    clock->base_ms = start_ms - machine_ms;
}

uint64_t clock_now_ms(const struct clock *clock)
{
    return clock->base_ms + clock_read_ms(CLOCK_BOOTTIME);
}

uint64_t clock_machine_us(void)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    assert(failed == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_ahead_ms(const struct clock *clock)
{
    uint64_t now_ms = clock_now_ms(clock);
    uint64_t wall_ms = clock_read_ms(CLOCK_REALTIME);
    return now_ms > wall_ms ? now_ms - wall_ms : 0;
}
