/* The circuit breaker of a queue. */
#include "broker/core/breaker.h"

#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "broker/core/sys.h"

enum { WAIT_MS_MIN = 1000 };

/* The next probe waits as long as a second attempt would, and then twice as long each time. */
static void wait_on(struct core *core, struct queue *queue)
{
    struct breaker *breaker = &queue->breaker;
    uint64_t first_ms = queue->retry.backoff_ms;
    if (first_ms < WAIT_MS_MIN)
        first_ms = WAIT_MS_MIN;
    breaker->wait_ms = breaker->wait_ms == 0 ? first_ms : breaker->wait_ms * 2;
    if (breaker->wait_ms > queue->retry.backoff_max_ms && breaker->wait_ms > first_ms)
        breaker->wait_ms =
            queue->retry.backoff_max_ms > first_ms ? queue->retry.backoff_max_ms : first_ms;
    breaker->probe_ms = core->now_ms + breaker->wait_ms;
    breaker->timer.kind = TIMER_BREAKER;
    wheel_arm(&core->wheel, &breaker->timer, breaker->probe_ms);
}

void breaker_on_failure(struct core *core, struct queue *queue, uint64_t number)
{
    struct breaker *breaker = &queue->breaker;
    if (breaker->limit == 0)
        return;
    if (breaker->is_tripped) {
        wait_on(core, queue);
        return;
    }
    if (breaker->failure_count > 0 && breaker->last_number == number)
        return;
    breaker->last_number = number;
    if (++breaker->failure_count < breaker->limit)
        return;
    breaker->is_tripped = true;
    wait_on(core, queue);
    sys_tell(core, &(struct sys_event){SYS_QUEUE_TRIPPED,
                                       .as.queue_tripped = {.queue = queue_name(queue),
                                                            .messages = queue_count(queue),
                                                            .failures = breaker->failure_count}});
}

void breaker_on_done(struct core *core, struct queue *queue)
{
    struct breaker *breaker = &queue->breaker;
    breaker->failure_count = 0;
    if (!breaker->is_tripped)
        return;
    breaker->is_tripped = false;
    breaker->wait_ms = 0;
    wheel_disarm(&core->wheel, &breaker->timer);
    sys_tell(core, &(struct sys_event){SYS_QUEUE_RECOVERED,
                                       .as.queue_recovered = {.queue = queue_name(queue),
                                                              .messages = queue_count(queue)}});
    queue_wake(core, queue);
}

void breaker_on_settings(struct core *core, struct queue *queue)
{
    if (queue->breaker.limit == 0)
        breaker_on_done(core, queue);
}

bool breaker_lets_pass(const struct core *core, const struct queue *queue)
{
    const struct breaker *breaker = &queue->breaker;
    return !breaker->is_tripped || (queue->out_count == 0 && core->now_ms >= breaker->probe_ms);
}

void breaker_on_timer(struct core *core, struct wheel_timer *timer)
{
    struct breaker *breaker = (struct breaker *)(void *)timer;
    struct queue *queue =
        (struct queue *)(void *)((char *)breaker - offsetof(struct queue, breaker));
    queue_wake(core, queue);
}
