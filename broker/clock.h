/* Broker time: milliseconds since 1970 that never go back.
 *
 * It starts at the later of the wall clock and the newest time in the journal, and then runs with
 * the machine: steps of the wall clock do not move it, sleep of the machine does.
 */
#ifndef HERALD_CLOCK_H
#define HERALD_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t base_ms; /* added to the machine's own count */
};

/* `newest_ms` is the newest time that the journal holds, 0 when there is none. */
void clock_start(struct clock *clock, uint64_t newest_ms);

/* The same with the readings given: since 1970 by the wall clock, and the machine's own count. */
void clock_start_at(struct clock *clock, uint64_t newest_ms, uint64_t wall_ms, uint64_t machine_ms);

uint64_t clock_now_ms(const struct clock *clock);

/* Microseconds of the machine's own, to measure by. */
uint64_t clock_machine_us(void);

/* How far broker time is ahead of the wall clock; 0 when it is not. */
uint64_t clock_ahead_ms(const struct clock *clock);

#endif
