/* DONE, RESULT, FAIL, RELEASE: the consumer's word on its deliveries. */
#include "broker/core/handle_settle.h"

#include "broker/core/apply.h"
#include "broker/core/call.h"
#include "broker/core/consumer.h"
#include "broker/core/delivery.h"
#include "broker/core/dispatch.h"
#include "broker/core/ending.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/retry.h"
#include "broker/plant.h"

/* Deliveries of one queue that are settled by one operation: their places follow each other, or
 * their numbers do. */
struct run {
    struct queue *queue; /* NULL: there is no run */
    struct standing last_at;
    bool is_by_number; /* of those that stand aside or in lanes */
    uint64_t first;
    uint64_t last;
    uint64_t count;
    struct wire_bytes result;
};

enum status settle_find(struct peer *peer, uint32_t start, uint64_t first, uint64_t last,
                        struct delivery **delivery)
{
    struct core *core = peer->core;
    if (start != core->start_number)
        return STATUS_STALE_DELIVERY;
    if (first == 0 || last < first || last >= core->next_delivery)
        return STATUS_UNKNOWN_DELIVERY;
    *delivery = delivery_find_from(peer, first);
    return *delivery != NULL && (*delivery)->name <= last ? STATUS_OK : STATUS_STALE_DELIVERY;
}

static enum status settle_each(struct core *core, struct peer *peer, const struct run *run)
{
    struct operation_settle_each operation = {run->queue->number, run->first, run->last};
    enum status status = recorder_append_settle_each(core, peer, &operation, NULL);
    if (status == STATUS_OK)
        apply_settle_each(core, run->queue, &operation);
    return status;
}

static enum status run_settle(struct core *core, struct peer *peer, const struct run *run)
{
    struct ending ending = {.state = OUTCOME_DONE, .ran = OUTCOME_RAN, .body = run->result};
    if (!run->is_by_number)
        return queue_settle(core, peer, run->queue, run->first, run->last);
    if (run->count == 1)
        return ending_carry_out(core, peer, run->queue, run->first, &ending);
    return settle_each(core, peer, run);
}

/* The journal takes nothing: the messages go back. */
static void run_return(struct core *core, const struct run *run)
{
    struct queue *queue = run->queue;
    for (uint64_t number = run->first; number <= run->last;) {
        queue_return(core, queue, number);
        struct index_at next = index_find_from(&queue->index, number + 1);
        if (run->is_by_number)
            number++;
        else
            number = next.found != NULL ? index_number(&queue->index, next) : UINT64_MAX;
    }
}

/* The worker is told what it returns. */
static enum status run_end(struct peer *peer, struct run *run)
{
    if (run->queue == NULL)
        return STATUS_OK;
    struct core *core = peer->core;
    struct queue *queue = run->queue;
    enum status status = run_settle(core, peer, run);
    if (status == STATUS_OK) {
        queue->settled_total += run->count;
        if (queue->breaker.limit != 0)
            breaker_on_done(core, queue);
        core->counters.messages_settled += run->count;
    } else {
        run_return(core, run);
    }
    run->queue = NULL;
    return status;
}

/* Whether it is no place of a range: see the SETTLE operation. What is not recorded may be one. */
static bool is_by_number(const struct queue *queue, uint64_t number, struct standing where)
{
    if (where.aside != NULL || queue->kind != QUEUE_DURABLE || planted(PLANT_LANED_IN_RANGE))
        return where.aside != NULL;
    return lane_plain_find(&queue->plains, number) != NULL;
}

/* Whether it may be settled with others by their numbers: nobody is told, and there is a record. */
static bool goes_with_others(const struct queue *queue, struct standing where)
{
    return queue->kind == QUEUE_DURABLE && queue->cursor == NULL &&
           (standing_word(where) & PLACE_TRANSIENT) == 0 &&
           (where.aside == NULL || !ending_is_wanted(where.aside));
}

/* Whether it may be settled with the last one of the run. */
static bool run_takes(const struct run *run, const struct queue *queue, uint64_t number,
                      struct standing next)
{
    if (!standing_is_found(next))
        return false;
    if (!run->is_by_number)
        return !is_by_number(queue, number, next);
    return number == run->last + 1 && run->count < SETTLE_EACH_MAX &&
           goes_with_others(queue, run->last_at) && goes_with_others(queue, next);
}

/* Mostly it is the place behind the last one, which needs no search. */
static struct standing locate_next(const struct run *run, const struct queue *queue,
                                   uint64_t number)
{
    struct standing next = {.at.found = NULL};
    if (run->last_at.at.found != NULL)
        next.at = index_next(&queue->index, run->last_at.at);
    if (next.at.found != NULL && index_number(&queue->index, next.at) == number)
        return next;
    return run->is_by_number ? queue_locate(queue, number) : (struct standing){.aside = NULL};
}

/* Adds a delivery to the run when it is the next one of the same queue. */
static bool run_extend(struct run *run, const struct delivery *delivery)
{
    const struct queue *queue = delivery->consumer->queue;
    if (run->queue == NULL || queue != run->queue)
        return false;
    struct standing next = locate_next(run, queue, delivery->number);
    if (!run_takes(run, queue, delivery->number, next))
        return false;
    run->last_at = next;
    run->last = delivery->number;
    run->count++;
    return true;
}

static void run_begin(struct run *run, const struct delivery *delivery)
{
    struct queue *queue = delivery->consumer->queue;
    struct standing where = queue_locate(queue, delivery->number);
    run->last_at = where;
    run->is_by_number = is_by_number(queue, delivery->number, where);
    run->queue = standing_is_found(where) ? queue : NULL;
    run->first = run->last = delivery->number;
    run->count = 1;
}

/* A call is answered before its place goes. */
static void answer_call(const struct run *run, struct wire_bytes result)
{
    if (run->queue == NULL)
        return;
    uint64_t word = standing_word(run->last_at);
    if ((word & PLACE_TRANSIENT) == 0)
        return;
    struct message *message = place_message(word);
    if (message->call != NULL) {
        call_done(message->call, result);
        message->call = NULL;
    }
}

static enum status settle_done(struct peer *peer, struct delivery *delivery, uint64_t last,
                               struct wire_bytes result)
{
    struct run run = {.result = result};
    enum status status = STATUS_OK;
    while (delivery != NULL && delivery->name <= last && status == STATUS_OK) {
        struct delivery *next = delivery_next(peer, delivery);
        if (!run_extend(&run, delivery)) {
            status = run_end(peer, &run);
            run_begin(&run, delivery);
        }
        answer_call(&run, result);
        consumer_on_settled(peer, delivery);
        delivery = next;
    }
    enum status ended = run_end(peer, &run);
    return status != STATUS_OK ? status : ended;
}

enum status handle_done(struct peer *peer, const struct frame *frame)
{
    const struct frame_done *done = &frame->as.done;
    struct delivery *delivery;
    enum status status = settle_find(peer, done->start, done->first, done->last, &delivery);
    if (status != STATUS_OK)
        return status;
    return settle_done(peer, delivery, done->last, (struct wire_bytes){NULL, 0});
}

/* What is kept has a limit; the delivery stands, so that its worker can say something else. */
static enum status check_result(const struct delivery *delivery, uint32_t bytes)
{
    struct queue *queue = delivery->consumer->queue;
    struct core *core = queue->core;
    struct aside *aside = asides_find(&queue->asides, delivery->number);
    if (aside == NULL || !ending_is_wanted(aside) || bytes <= core->limits.result_bytes_max)
        return STATUS_OK;
    dispatch_explain(core, "a result of %u bytes, at most %llu are kept", bytes,
                     (unsigned long long)core->limits.result_bytes_max);
    return STATUS_TOO_LARGE;
}

enum status handle_result(struct peer *peer, const struct frame *frame)
{
    const struct frame_result *result = &frame->as.result;
    struct delivery *delivery;
    enum status status =
        settle_find(peer, result->start, result->delivery, result->delivery, &delivery);
    if (status == STATUS_OK)
        status = check_result(delivery, result->body.bytes);
    if (status != STATUS_OK)
        return status;
    return settle_done(peer, delivery, result->delivery, result->body);
}

enum status handle_fail(struct peer *peer, const struct frame *frame)
{
    const struct frame_fail *fail = &frame->as.fail;
    if (fail->class > FAIL_BUSY)
        return STATUS_BAD_VALUE;
    struct delivery *delivery;
    enum status status = settle_find(peer, fail->start, fail->delivery, fail->delivery, &delivery);
    if (status != STATUS_OK)
        return status;
    struct queue *queue = delivery->consumer->queue;
    struct failure failure = {.class = fail->class,
                              .ran = OUTCOME_RAN,
                              .retry_after_ms = fail->retry_after_ms,
                              .code = fail->code,
                              .text = fail->text,
                              .detail = fail->detail};
    status = retry_fail(peer->core, peer, queue, delivery->number, &failure);
    if (status != STATUS_OK)
        return status;
    peer->core->counters.messages_failed++;
    queue->failed_total++;
    consumer_on_settled(peer, delivery);
    return STATUS_OK;
}

enum status handle_release(struct peer *peer, const struct frame *frame)
{
    const struct frame_release *release = &frame->as.release;
    struct delivery *delivery;
    enum status status =
        settle_find(peer, release->start, release->first, release->last, &delivery);
    if (status != STATUS_OK)
        return status;
    while (delivery != NULL && delivery->name <= release->last) {
        struct delivery *next = delivery_next(peer, delivery);
        queue_return(peer->core, delivery->consumer->queue, delivery->number);
        peer->core->counters.messages_released++;
        consumer_on_settled(peer, delivery);
        delivery = next;
    }
    return STATUS_OK;
}
