/* Accepting a message: into all its queues or into none.
 *
 * A message is durable when its sender wants it so and at least one of its queues is; then it is
 * one operation that names all durable queues, and the others point to the same bytes. Otherwise it
 * has bytes of its own in memory.
 */
#include "broker/core/accept.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/dispatch.h"
#include "broker/core/expiry.h"
#include "broker/core/history.h"
#include "broker/core/mover.h"
#include "broker/core/pump.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/spill.h"
#include "broker/core/tracked.h"
#include "protocol/property.h"

enum {
    AT_ONCE_MAX = 256,
    LINE_BYTES = 64, /* of memory */
};

/* Queues between two steps of prefetch. */
static const size_t prefetch_step = 4;

/* `queue` may be NULL. */
static enum status check_values(const struct queue *queue, struct wire_bytes properties)
{
    struct wire_reader r = wire_reader_of(properties.at, properties.bytes);
    struct property property;
    while (property_next(&r, &property)) {
        if (property.kind == PROPERTY_MESSAGE_REPAIRS)
            return STATUS_BAD_PROPERTY; /* only the broker says that */
        if (property.kind == PROPERTY_MESSAGE_PRIORITY &&
            wire_load_u64(property.value.at) > ASIDE_PRIORITY_MAX)
            return STATUS_BAD_VALUE;
        if (property.kind == PROPERTY_MESSAGE_LANE && queue != NULL)
            lane_prefetch(queue, property.value);
    }
    return STATUS_OK;
}

enum status accept_check(const struct core *core, const struct queue *queue,
                         struct wire_bytes properties, struct wire_bytes headers)
{
    if (properties.bytes > 0) {
        if (properties.bytes > ACCEPT_PROPERTIES_BYTES_MAX)
            return STATUS_BAD_PROPERTY;
        enum status status = property_check(properties, PROPERTY_SCOPE_MESSAGE);
        if (status == STATUS_OK)
            status = check_values(queue, properties);
        if (status != STATUS_OK)
            return status;
    }
    return header_check(headers, core->limits.headers_count_max, core->limits.headers_bytes_max);
}

bool accept_is_refused_by(const struct accept *accept, const struct queue *queue)
{
    if (queue->overflow != QUEUE_REFUSE || accept->is_reply)
        return false;
    return !accept->is_event || (queue->kind == QUEUE_DURABLE && !accept->is_transient);
}

/* Whether check_room_in has found the lane empty. */
static bool is_first_of_lane(const struct accept *accept, const struct queue *queue)
{
    return accept->terms.is_only_laned && queue->plains.entering != NULL;
}

/* A live subscriber hears everything as it comes. */
static bool is_plain_in(const struct accept *accept, const struct queue *queue)
{
    return accept->terms.is_plain || queue->kind == QUEUE_LIVE || is_first_of_lane(accept, queue);
}

enum status accept_reserve_numbers(struct core *core, size_t count)
{
    if (count * 4 <= core->numbers_room)
        return STATUS_OK;
    unsigned char *numbers = realloc(core->numbers, count * 8);
    if (numbers == NULL)
        return STATUS_NO_MEMORY;
    core->numbers = numbers;
    core->numbers_room = count * 8;
    return STATUS_OK;
}

/* An event may go to thousands of queues, none of which is in any cache: while one of them is
 * worked on, the memory of those to come is on its way. */
static void prefetch(const struct accept *accept, size_t at)
{
    struct queue *const *queues = accept->queues + at;
    size_t left = accept->queue_count - at;
    if (left <= 4 * prefetch_step)
        return;
    const char *queue = (const char *)queues[4 * prefetch_step];
    for (size_t i = offsetof(struct queue, pump_link); i < sizeof(struct queue); i += LINE_BYTES)
        __builtin_prefetch(queue + i, 1);
    for (int step = 0; step < 3; step++)
        index_prefetch(&queues[(size_t)(3 - step) * prefetch_step]->index, step);
}

/* A live subscriber that has kept up is given a transient event as it comes in, past its queue. For
 * very many of them that would take too long at a time: they are left to the pump. */
static bool takes_at_once(const struct accept *accept, const struct queue *queue)
{
    return queue->kind == QUEUE_LIVE && accept->durable_count == 0 && queue->live != NULL &&
           queue->live->is_willing && queue_count(queue) == 0 && accept->queue_count <= AT_ONCE_MAX;
}

/* Whether this queue takes a message of so many bytes, and makes room for it in its index. */
static enum status check_room_in(const struct accept *accept, struct queue *queue, uint32_t bytes)
{
    struct core *core = accept->core;
    bool is_laned = accept->terms.is_only_laned && queue->kind != QUEUE_LIVE;
    if (accept->terms.lane.bytes > 0 && core->laned_count >= core->limits.lane_window) {
        dispatch_explain(core, "too many messages wait in lanes");
        sys_lanes_are_full(core);
        return STATUS_LIMIT;
    }
    if (is_laned && lane_plain_reserve(queue, accept->terms.lane) != STATUS_OK)
        return STATUS_NO_MEMORY;
    bool is_plain = is_plain_in(accept, queue);
    if (!is_plain && core->aside_count >= core->limits.timers_max) {
        dispatch_explain(core, "too many messages have a priority or a time of their own");
        return STATUS_LIMIT;
    }
    if (!queue_has_room(queue, bytes) && accept_is_refused_by(accept, queue)) {
        dispatch_explain(core, "queue %s is full", queue->name);
        sys_queue_overflows(core, queue);
        return STATUS_OVERFLOW;
    }
    enum status status = is_plain ? index_reserve(&queue->index, accept->message.number)
                                  : asides_reserve(queue, &accept->terms);
    return status == STATUS_OK ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Every queue must take it before any is touched. */
static enum status check_room(struct accept *accept, uint32_t bytes)
{
    enum status status = accept_reserve_numbers(accept->core, accept->queue_count + 1);
    for (size_t i = 0; i < accept->queue_count && status == STATUS_OK; i++) {
        prefetch(accept, i);
        if (takes_at_once(accept, accept->queues[i]))
            continue;
        accept->needs_message = true;
        status = check_room_in(accept, accept->queues[i], bytes);
    }
    return status;
}

/* A sender that tries again must not have its command carried out twice. */
static enum status check_known(struct accept *accept)
{
    struct core *core = accept->core;
    const struct message_terms *terms = &accept->terms;
    const struct tracked_table *table = &core->tracked;
    uint32_t queue = accept->queues[0]->number;
    struct tracked *known = tracked_find(core, terms->id);
    if (known == NULL && terms->key.bytes > 0)
        known = tracked_find_key(core, queue, terms->key);
    if (known != NULL && (known->digest != terms->digest || known->queue != queue))
        return STATUS_DUPLICATE_MISMATCH;
    accept->known = known;
    if (known != NULL && memcmp(known->id.byte, terms->id.byte, sizeof terms->id.byte) != 0)
        return STATUS_DUPLICATE;
    if (known != NULL)
        return STATUS_OK;
    if (table->open_count >= core->limits.tracked_max) {
        dispatch_explain(core, "too many tracked commands have no outcome yet");
        return STATUS_LIMIT;
    }
    if (terms->key.bytes > 0 && HASH_COUNT(table->keys) >= core->limits.keys_max) {
        dispatch_explain(core, "too many idempotency keys are remembered");
        return STATUS_LIMIT;
    }
    return STATUS_OK;
}

/* What a command may ask for, and what not every message can have. */
static enum status check_terms(struct accept *accept)
{
    const struct message_terms *terms = &accept->terms;
    bool is_command = terms->is_tracked || terms->key.bytes > 0 || terms->reply_to.bytes > 0;
    if (is_command && accept->is_event) {
        dispatch_explain(accept->core, "only a command has an outcome");
        return STATUS_BAD_PROPERTY;
    }
    if (terms->key.bytes > 0 && !terms->is_tracked) {
        dispatch_explain(accept->core, "an idempotency key needs a tracked command");
        return STATUS_BAD_PROPERTY;
    }
    const struct queue *answers =
        terms->reply_to.bytes > 0 ? queue_find(accept->core, terms->reply_to) : NULL;
    if (terms->reply_to.bytes > 0 && (answers == NULL || answers->cursor != NULL)) {
        dispatch_explain(accept->core, "there is no queue %.*s to reply to",
                         (int)terms->reply_to.bytes, (const char *)terms->reply_to.at);
        return STATUS_NO_QUEUE;
    }
    if (!terms->is_tracked)
        return STATUS_OK;
    if (!terms->has_id) {
        dispatch_explain(accept->core, "a tracked command needs an id");
        return STATUS_BAD_PROPERTY;
    }
    if (accept->is_transient || accept->queues[0]->kind != QUEUE_DURABLE) {
        dispatch_explain(accept->core, "only a durable command in a durable queue is tracked");
        return STATUS_BAD_PROPERTY;
    }
    return check_known(accept);
}

static enum status make_room(struct accept *accept, uint32_t bytes)
{
    for (size_t i = 0; i < accept->queue_count; i++) {
        struct queue *queue = accept->queues[i];
        if (queue_has_room(queue, bytes) || queue->overflow != QUEUE_DROP_OLDEST)
            continue;
        sys_queue_overflows(accept->core, queue);
        enum status status = queue_drop_oldest(accept->core, queue, bytes);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* How many numbers the record has to name. */
static size_t count_durable(const struct accept *accept)
{
    size_t count = 0;
    for (size_t i = 0; !accept->is_transient && i < accept->queue_count; i++)
        count += accept->queues[i]->kind == QUEUE_DURABLE;
    return count + (accept->history != NULL);
}

/* The numbers of the durable queues, as the operation has them, and that of the history. */
static void put_queue_numbers(const struct accept *accept, unsigned char *at)
{
    for (size_t i = 0; i < accept->queue_count; i++)
        if (accept->queues[i]->kind == QUEUE_DURABLE) {
            wire_store_u32(at, accept->queues[i]->number);
            at += 4;
        }
    if (accept->history != NULL)
        wire_store_u32(at, accept->history->number | HISTORY_BIT);
}

/* A transient one, which no record is applied of. */
static void stand(struct accept *accept, struct queue *queue, uint64_t word)
{
    struct core *core = accept->core;
    uint64_t number = accept->message.number;
    if (!is_plain_in(accept, queue)) {
        struct aside *aside = asides_add(queue, number, word, accept->size, &accept->terms);
        aside_schedule(core, aside, accept->terms.due_ms);
        return;
    }
    index_append(&queue->index, number, word, accept->size);
    if (is_first_of_lane(accept, queue))
        lane_plain_enter(core, queue, number);
}

/* Puts the message at the end of one queue; a full one that may not refuse an event loses it. */
static bool place(struct core *core, struct accept *accept, struct queue *queue, uint64_t word)
{
    uint32_t bytes = message_counted_bytes(&accept->message);
    bool is_transient_word = (word & PLACE_TRANSIENT) != 0;
    if ((queue->kind != QUEUE_DURABLE || is_transient_word) && !queue->is_paging &&
        !queue_has_room(queue, bytes)) {
        core->counters.messages_dropped++;
        if (queue->kind == QUEUE_LIVE)
            queue_miss(core, queue, 1);
        else
            sys_queue_overflows(core, queue);
        return false;
    }
    if (is_transient_word) {
        stand(accept, queue, word);
        queue->bytes += bytes;
        queue->accepted_total++;
        queue->transient_count++;
    } else {
        struct new_place new_place = {
            accept->message.number,     word,          accept->size, accept->message_bytes,
            is_plain_in(accept, queue), &accept->terms};
        apply_message_to(core, queue, &new_place);
    }
    if (queue->ttl_ms != 0 && queue->ttl_timer.link == NULL)
        expiry_watch(core, queue, expiry_due(queue, core->now_ms));
    if (!TAILQ_EMPTY(&queue->willing))
        queue_wake(core, queue);
    return true;
}

static enum status accept_durable(struct accept *accept)
{
    struct core *core = accept->core;
    size_t durable_count = accept->durable_count;
    if (spill_is_full(core->spill) || (accept->history != NULL && mover_is_full(core)))
        return STATUS_DISK_FULL;
    put_queue_numbers(accept, core->numbers);
    accept->message.queues = wire_bytes_of(core->numbers, (uint32_t)(durable_count * 4));
    accept->message_bytes = (uint32_t)record_size_message(&accept->message);
    struct wire_writer w;
    enum status status =
        recorder_begin(core, accept->peer, accept->message_bytes, JOURNAL_FRESH, &w);
    if (status == STATUS_OK) {
        uint64_t word = place_word_durable(recorder_position(core, &w), recorder_back(core, &w));
        record_put_message(&w, &accept->message);
        recorder_end(core, &w);
        core->next_message++;
        for (size_t i = 0; i < accept->queue_count; i++)
            place(core, accept, accept->queues[i], word);
        if (accept->history != NULL)
            event_keep(accept, word);
    }
    return status;
}

/* The body that all queues share; made when the first of them needs it. */
static struct message *body_of(struct accept *accept)
{
    if (accept->made == NULL)
        accept->made = message_new(accept->core, &accept->message);
    return accept->made;
}

static bool place_transient(struct accept *accept, struct queue *queue)
{
    struct core *core = accept->core;
    if (takes_at_once(accept, queue)) {
        pump_hand_live(core, queue, &accept->message);
        return true;
    }
    struct message *message = body_of(accept);
    if (message == NULL || !place(core, accept, queue, place_word_transient(message)))
        return false;
    message_ref(message, 1);
    return true;
}

static enum status accept_transient(struct accept *accept)
{
    struct core *core = accept->core;
    if (accept->needs_message && body_of(accept) == NULL)
        return STATUS_LIMIT;
    core->next_message++;
    size_t placed_count = 0;
    for (size_t i = 0; i < accept->queue_count; i++) {
        prefetch(accept, i);
        placed_count += place_transient(accept, accept->queues[i]);
    }
    if (accept->made != NULL)
        message_unref(core, accept->made); /* the queues have their own */
    /* A command has one receiver: where that cannot take it, its sender must know. */
    return placed_count > 0 || accept->is_event ? STATUS_OK : STATUS_OVERFLOW;
}

static void unreserve(const struct accept *accept)
{
    for (size_t i = 0; i < accept->queue_count; i++) {
        asides_unreserve(accept->queues[i]);
        lane_plain_unreserve(accept->core, accept->queues[i]);
    }
}

/* Whoever hears what became of a command that is dropped is sent a message, which takes the number
 * and perhaps the room that this one was to have: then the queues are looked at again. */
static enum status prepare_queues(struct accept *accept, uint32_t bytes)
{
    for (;;) {
        enum status status = check_room(accept, bytes);
        if (status == STATUS_OK)
            status = make_room(accept, bytes);
        if (status != STATUS_OK || accept->message.number == accept->core->next_message)
            return status;
        accept->message.number = accept->core->next_message;
        unreserve(accept);
    }
}

static enum status take_in(struct accept *accept)
{
    uint32_t bytes = message_counted_bytes(&accept->message);
    accept->durable_count = count_durable(accept);
    enum status status = accept->append == NULL ? prepare_queues(accept, bytes) : STATUS_OK;
    if (status != STATUS_OK)
        return status;
    if (accept->is_event)
        budget_take_in(&accept->core->budget, bytes, accept->queue_count);
    return accept->durable_count > 0 ? accept_durable(accept) : accept_transient(accept);
}

enum status accept_message(struct accept *accept)
{
    struct core *core = accept->core;
    if (core->is_draining && !accept->is_reply)
        return STATUS_DRAINING;
    accept->message.number = core->next_message;
    accept->message.time_ms = core->now_ms;
    if (accept->is_event) {
        enum status status = event_prepare(accept);
        if (status != STATUS_OK || (accept->queue_count == 0 && accept->history == NULL))
            return status; /* nobody listening is fine */
    }
    accept->size = place_size(message_counted_bytes(&accept->message),
                              (uint32_t)accept->queue_count + (accept->history != NULL));
    accept->made = NULL;
    accept->known = NULL;
    accept->needs_message = false;
    message_terms(&accept->message, &accept->terms);
    if (accept->terms.needs_ward) {
        enum status status = check_terms(accept);
        if (status != STATUS_OK || accept->known != NULL)
            return status;
    }
    enum status status = take_in(accept);
    if (status != STATUS_OK && accept->terms.needs_ward)
        unreserve(accept);
    return status;
}
