/* What becomes of a message whose attempt has failed: another one later, or it is parked.
 *
 * The wait before an attempt is drawn from nothing up to a bound that doubles with every failed
 * attempt until it reaches the queue's longest: exponential back-off with full jitter (Brooker,
 * "Exponential Backoff And Jitter", 2015). A worker that is busy does not count as a failed
 * attempt; one that says when to come back is taken at its word. A worker that went away tells
 * nothing of the message: it is ready at once, at its old place, and its attempts bound how often
 * that goes.
 */
#include "broker/core/retry.h"

#include "broker/core/apply.h"
#include "broker/core/call.h"
#include "broker/core/kept.h"
#include "broker/core/recorder.h"

/* Xorshift (Marsaglia, 2003): plenty for keeping retries apart. */
static uint64_t draw(struct core *core, uint64_t max)
{
    uint64_t x = core->chance;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    core->chance = x;
    return max == UINT64_MAX ? x : x % (max + 1);
}

static uint64_t backoff_max_ms(const struct queue *queue, uint16_t failed)
{
    uint64_t bound = queue->backoff_ms;
    for (uint16_t i = 1; i < failed && bound < queue->backoff_max_ms; i++)
        bound = bound > UINT64_MAX / 2 ? UINT64_MAX : bound * 2;
    return bound < queue->backoff_max_ms ? bound : queue->backoff_max_ms;
}

static uint64_t due_ms(struct core *core, const struct queue *queue, uint16_t failed,
                       const struct failure *failure)
{
    uint64_t wait_ms = failure->retry_after_ms;
    if (wait_ms == 0 && !failure->is_lost)
        wait_ms = draw(core, backoff_max_ms(queue, failed));
    return wait_ms > UINT64_MAX - core->now_ms ? UINT64_MAX : core->now_ms + wait_ms;
}

/* --- the ways on --------------------------------------------------------------------------------
 */

static enum status park(struct core *core, struct peer *peer, struct queue *queue,
                        const struct operation_park *operation)
{
    struct parked *parked = kept_add_parked(queue, operation->number);
    if (parked == NULL)
        return STATUS_NO_MEMORY;
    uint64_t position;
    enum status status = recorder_append_park(core, peer, operation, &position);
    if (status != STATUS_OK) {
        kept_end_parked(core, queue, parked);
        return status;
    }
    core->counters.messages_parked++;
    return apply_park(core, queue, operation, position);
}

static enum status try_again(struct core *core, struct peer *peer, struct queue *queue,
                             const struct operation_attempt *operation, bool is_durable)
{
    bool is_first = kept_find_attempted(queue, operation->number) == NULL;
    struct attempted *attempted = kept_add_attempted(queue, operation->number);
    if (attempted == NULL)
        return STATUS_NO_MEMORY;
    uint64_t position = 0;
    enum status status = asides_reserve(&queue->asides);
    if (status == STATUS_OK && is_durable)
        status = recorder_append_attempt(core, peer, operation, &position);
    if (status == STATUS_OK)
        return apply_attempt(core, queue, operation, position);
    if (is_first)
        kept_end_attempted(core, queue, attempted);
    return status;
}

/* A call has one attempt: its caller decides what to do. */
static bool end_call(struct standing where, const struct failure *failure)
{
    uint64_t word = standing_word(where);
    if ((word & PLACE_TRANSIENT) == 0)
        return false;
    struct message *message = place_message(word);
    if (message->call == NULL)
        return message->is_unheard;
    call_fail_worker(message->call, failure);
    message->call = NULL;
    return true;
}

enum status retry_fail(struct core *core, struct peer *peer, struct queue *queue, uint64_t number,
                       const struct failure *failure)
{
    struct standing where = queue_locate(queue, number);
    if (!standing_is_found(where))
        return STATUS_OK; /* it was dropped while it ran */
    /* A queue that does not outlive the broker may hold what does, for others. */
    bool is_durable = queue->kind == QUEUE_DURABLE && (standing_word(where) & PLACE_TRANSIENT) == 0;
    uint16_t failed = kept_failed_attempts(queue, number);
    if (failure->class != FAIL_BUSY && failed < UINT16_MAX)
        failed++;
    bool is_last =
        failure->class == FAIL_PERMANENT ||
        (failure->class != FAIL_BUSY && queue->attempts_max != 0 && failed >= queue->attempts_max);
    if (!is_durable && (end_call(where, failure) || is_last)) {
        standing_remove(core, queue, where);
        return STATUS_OK;
    }
    if (is_last)
        return park(core, peer, queue,
                    &(struct operation_park){queue->number, number, core->now_ms, failed,
                                             failure->code, failure->text, failure->detail});
    struct operation_attempt operation = {queue->number, number,
                                          failed,        due_ms(core, queue, failed, failure),
                                          failure->code, failure->text};
    return try_again(core, peer, queue, &operation, is_durable);
}

enum status retry_parked(struct core *core, struct peer *peer, struct queue *queue, uint64_t first,
                         uint64_t last)
{
    enum status status = STATUS_NOT_PARKED;
    struct parked *parked;
    struct parked *next;
    HASH_ITER (hh, queue->parked, parked, next) {
        if (parked->number < first || parked->number > last)
            continue;
        struct operation_attempt operation = {.queue = queue->number, .number = parked->number};
        status = try_again(core, peer, queue, &operation, true);
        if (status != STATUS_OK)
            break;
    }
    return status;
}
