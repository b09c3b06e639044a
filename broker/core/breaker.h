/* The circuit breaker of a queue: when attempt after attempt fails, it is not the messages.
 *
 *   closed -- so many failures in a row, of different messages --> tripped
 *          <-- one is done -------------------------------------
 *
 * While it is tripped one message at a time is handed out, as a probe, after a wait that doubles
 * with every probe that fails (Nygard, Release It!, 2007). Permanent failures are a message's own
 * and do not count. Breakers are closed after a start.
 */
#ifndef HERALD_BREAKER_H
#define HERALD_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/wheel.h"

struct core;
struct queue;

struct breaker {
    struct wheel_timer timer; /* TIMER_BREAKER, until the next probe */
    uint64_t limit;           /* failures in a row; 0: there is no breaker */
    uint64_t wait_ms;
    uint64_t probe_ms; /* when the next probe may go */
    uint64_t last_number;
    uint32_t failure_count;
    bool is_tripped;
};

/* An attempt at this message has failed, not permanently; or one was done. */
void breaker_on_failure(struct core *core, struct queue *queue, uint64_t number);
void breaker_on_done(struct core *core, struct queue *queue);

/* The limit may have changed: without one nothing is tripped. */
void breaker_on_settings(struct core *core, struct queue *queue);

/* Whether the queue may hand out one message more now. */
bool breaker_lets_pass(const struct core *core, const struct queue *queue);

void breaker_on_timer(struct core *core, struct wheel_timer *timer);

#endif
