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

#include <stdio.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/cursor.h"
#include "broker/core/ending.h"
#include "broker/core/kept.h"
#include "broker/core/recorder.h"
#include "broker/core/watch.h"
#include "broker/plant.h"

enum { ENDING_TEXT_BYTES = 1024 };

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

/* The message of a call, whose caller may be gone; NULL: it is none. */
static struct message *called_of(struct standing where)
{
    uint64_t word = standing_word(where);
    struct message *message = (word & PLACE_TRANSIENT) != 0 ? place_message(word) : NULL;
    return message != NULL && (message->call != NULL || message->is_unheard) ? message : NULL;
}

/* What the message asks for goes before what its queue has; a call has one attempt if it does not
 * say. */
static struct retry_terms terms_of(const struct queue *queue, struct standing where)
{
    struct retry_terms terms = queue->retry;
    const struct ward *ward = where.aside != NULL ? aside_ward(where.aside) : NULL;
    if (called_of(where) != NULL)
        terms.attempts_max = 1;
    if (ward == NULL)
        return terms;
    if (ward->retry.attempts_max != UINT64_MAX)
        terms.attempts_max = ward->retry.attempts_max;
    if (ward->retry.backoff_ms != UINT64_MAX)
        terms.backoff_ms = ward->retry.backoff_ms;
    if (ward->retry.backoff_max_ms != UINT64_MAX)
        terms.backoff_max_ms = ward->retry.backoff_max_ms;
    if (ward->retry.retry_for_ms != UINT64_MAX)
        terms.retry_for_ms = ward->retry.retry_for_ms;
    return terms;
}

static uint64_t backoff_max_ms(const struct retry_terms *terms, uint16_t failed)
{
    uint64_t bound = terms->backoff_ms;
    for (uint16_t i = 1; i < failed && bound < terms->backoff_max_ms; i++)
        bound = bound > UINT64_MAX / 2 ? UINT64_MAX : bound * 2;
    return bound < terms->backoff_max_ms ? bound : terms->backoff_max_ms;
}

static uint64_t due_ms(struct core *core, const struct retry_terms *terms, uint16_t failed,
                       const struct failure *failure)
{
    uint64_t wait_ms = failure->retry_after_ms;
    if (wait_ms == 0 && !failure->is_lost)
        wait_ms = draw(core, backoff_max_ms(terms, failed));
    return wait_ms > UINT64_MAX - core->now_ms ? UINT64_MAX : core->now_ms + wait_ms;
}

static bool is_exhausted(const struct core *core, const struct retry_terms *terms, uint16_t failed,
                         uint64_t since_ms)
{
    return (terms->attempts_max != 0 && failed >= terms->attempts_max) ||
           (terms->retry_for_ms != 0 && core->now_ms - since_ms >= terms->retry_for_ms);
}

/* Who calls with one attempt is told at once, also that the worker is busy. */
static bool has_one_try(const struct retry_terms *terms, const struct message *called)
{
    return called != NULL && terms->attempts_max == 1;
}

/* --- the ways on --------------------------------------------------------------------------------
 */

static enum status try_again(struct core *core, struct peer *peer, struct queue *queue,
                             const struct operation_attempt *operation, bool is_durable)
{
    bool is_first = kept_find_attempted(queue, operation->number) == NULL;
    struct attempted *attempted = kept_add_attempted(queue, operation->number);
    if (attempted == NULL)
        return STATUS_NO_MEMORY;
    uint64_t position = 0;
    enum status status = asides_reserve_for(queue, operation->number);
    if (status == STATUS_OK && is_durable)
        status = recorder_append_attempt(core, peer, operation, &position);
    if (status == STATUS_OK)
        return apply_attempt(core, queue, operation, position);
    if (is_first)
        kept_end_attempted(core, queue, attempted);
    return status;
}

/* What is known when an attempt has failed for the last time. */
struct defeat {
    const struct operation_park *park;
    const struct failure *failure;
    bool is_called;    /* who calls is told how it failed */
    bool is_cancelled; /* its sender took it back while it ran */
    bool is_durable;
};

/* What its sender is told. A command that was taken back is not parked. */
static enum status give_up(struct core *core, struct peer *peer, struct queue *queue,
                           const struct defeat *defeat)
{
    const struct operation_park *park = defeat->park;
    const struct failure *failure = defeat->failure;
    char text[ENDING_TEXT_BYTES];
    struct ending ending = {.state = OUTCOME_FAILED,
                            .ran = failure->ran,
                            .code = failure->code,
                            .text = failure->text,
                            .body = failure->detail,
                            .park = defeat->is_durable && !defeat->is_cancelled ? park : NULL};
    if (defeat->is_cancelled) {
        ending.code = wire_bytes_of_text(status_name(STATUS_CANCELLED));
        ending.text = wire_bytes_of_text(status_text(STATUS_CANCELLED));
    } else if (failure->class != FAIL_PERMANENT && !defeat->is_called) {
        (void)snprintf(text, sizeof text, "%u attempt%s failed, the last with %.*s: %.*s",
                       park->attempts, park->attempts == 1 ? "" : "s", (int)failure->code.bytes,
                       (const char *)failure->code.at, (int)failure->text.bytes,
                       (const char *)failure->text.at);
        ending.code = wire_bytes_of_text(status_name(STATUS_ATTEMPTS_EXHAUSTED));
        ending.text = wire_bytes_of_text(text);
    }
    return ending_carry_out(core, peer, queue, park->number, &ending);
}

/* Its deadline passed while it ran. */
static bool is_late(const struct core *core, struct aside *aside)
{
    const struct ward *ward = aside != NULL ? aside_ward(aside) : NULL;
    return ward != NULL && ward->deadline_ms <= core->now_ms;
}

/* The message that a worker has failed with, and where it stands. */
struct failed {
    uint64_t number;
    struct standing where;
    struct message *called; /* NULL when nobody waits for its answer on the line */
};

/* Counts the attempt: the message is tried again, or it is over. */
static enum status count_failure(struct core *core, struct peer *peer, struct queue *queue,
                                 const struct failed *one, const struct failure *failure)
{
    /* A queue that does not outlive the broker may hold what does, for others. */
    bool is_durable =
        queue->kind == QUEUE_DURABLE && (standing_word(one->where) & PLACE_TRANSIENT) == 0;
    struct retry_terms terms = terms_of(queue, one->where);
    const struct attempted *attempted = kept_find_attempted(queue, one->number);
    uint16_t failed = attempted != NULL ? attempted->failed : 0;
    uint64_t since_ms = failed > 0 ? attempted->since_ms : core->now_ms;
    bool is_cancelled = attempted != NULL && attempted->is_cancelled;
    uint16_t attempt = failed < UINT16_MAX ? (uint16_t)(failed + 1) : failed;
    if (failure->class != FAIL_BUSY)
        failed = attempt;
    unsigned char room[HISTORY_BYTES_MAX];
    struct wire_bytes history = kept_history_add(
        room, kept_bytes(attempted != NULL ? attempted->history : NULL),
        &(struct kept_attempt){core->now_ms, attempt, failure->code, failure->text});
    if (is_cancelled || failure->class == FAIL_PERMANENT || has_one_try(&terms, one->called) ||
        (failure->class != FAIL_BUSY && is_exhausted(core, &terms, failed, since_ms))) {
        struct operation_park park = {
            queue->number,   one->number,   core->now_ms,
            failed,          failure->code, failure->text,
            failure->detail, history,       kept_repair_id(queue, one->number)};
        struct defeat defeat = {&park, failure, one->called != NULL, is_cancelled, is_durable};
        return give_up(core, peer, queue, &defeat);
    }
    struct operation_attempt operation = {.queue = queue->number,
                                          .number = one->number,
                                          .failed = failed,
                                          .due_ms = due_ms(core, &terms, failed, failure),
                                          .since_ms = since_ms,
                                          .history = history};
    enum status status = try_again(core, peer, queue, &operation, is_durable);
    if (status == STATUS_OK && one->where.aside != NULL) {
        watch_tell_aside(core, one->where.aside);
        ward_expire_late(core, one->where.aside);
    }
    return status;
}

enum status retry_fail(struct core *core, struct peer *peer, struct queue *queue, uint64_t number,
                       const struct failure *failure)
{
    if (queue->cursor != NULL) {
        enum status status = cursor_keep(core, peer, queue, number);
        if (status != STATUS_OK)
            return status;
    }
    struct failed one = {number, queue_locate(queue, number), NULL};
    if (!standing_is_found(one.where))
        return STATUS_OK; /* it was dropped while it ran */
    one.called = called_of(one.where);
    if (one.called != NULL && one.called->is_unheard) {
        standing_remove(core, queue, one.where);
        return STATUS_OK;
    }
    if (failure->class != FAIL_PERMANENT)
        breaker_on_failure(core, queue, number);
    if (is_late(core, one.where.aside))
        return ward_expire(core, one.where.aside);
    return count_failure(core, peer, queue, &one, failure);
}

/* --- repair -------------------------------------------------------------------------------------
 */

/* A UUIDv7 (RFC 9562, section 5.7). */
static struct wire_id make_id(struct core *core)
{
    struct wire_id id;
    uint64_t time_ms = core->now_ms;
    wire_store_u64(id.byte + 8, draw(core, UINT64_MAX));
    wire_store_u16(id.byte + 6, (uint16_t)draw(core, UINT16_MAX));
    for (unsigned i = 0; i < 6; i++)
        id.byte[i] = (unsigned char)(time_ms >> (40 - 8 * i));
    id.byte[6] = (unsigned char)(0x70 | (id.byte[6] & 0x0f));
    id.byte[8] = (unsigned char)(0x80 | (id.byte[8] & 0x3f));
    return id;
}

static enum status retry_one(struct core *core, struct peer *peer, struct queue *queue,
                             const struct parked *parked)
{
    unsigned char room[HISTORY_BYTES_MAX];
    struct wire_bytes history = kept_bytes(parked->history);
    if (history.bytes > 0)
        memcpy(room, history.at, history.bytes); /* what is parked goes while it is applied */
    struct operation_repair operation = {.queue = queue->number,
                                         .number = parked->number,
                                         .time_ms = core->now_ms,
                                         .id = planted(PLANT_REPAIR_SAME_ID) ? parked->id
                                                                             : make_id(core),
                                         .repairs = parked->id,
                                         .history = wire_bytes_of(room, history.bytes)};
    struct repair repair = {operation.id, operation.repairs, operation.time_ms, {0, 0}};
    struct message_terms terms = kept_repair_terms(parked, &repair);
    struct attempted *attempted = kept_add_attempted(queue, parked->number);
    if (attempted == NULL)
        return STATUS_NO_MEMORY;
    uint64_t position;
    enum status status =
        kept_add_repair(attempted) != NULL ? asides_reserve(queue, &terms) : STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = recorder_append_repair(core, peer, &operation, &position);
    if (status == STATUS_OK)
        return apply_repair(core, queue, &operation, position);
    asides_unreserve(queue);
    kept_end_attempted(core, queue, attempted);
    return status;
}

enum status retry_parked(struct core *core, struct peer *peer, struct queue *queue, uint64_t first,
                         uint64_t last)
{
    enum status status = STATUS_NOT_PARKED;
    struct parked *parked;
    struct parked *next;
    if (first == last) {
        parked = kept_find_parked(queue, first);
        return parked != NULL ? retry_one(core, peer, queue, parked) : STATUS_NOT_PARKED;
    }
    HASH_ITER (hh, queue->parked, parked, next) {
        if (parked->number < first || parked->number > last)
            continue;
        status = retry_one(core, peer, queue, parked);
        if (status != STATUS_OK)
            break;
    }
    return status;
}
