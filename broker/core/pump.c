/* The pump: hands out what is ready to consumers with room.
 *
 * A queue in the pump list is looked at once a round. It leaves the list when nothing is ready or
 * nobody is willing (a consumer with room puts it back), when its head is not on disk yet (then it
 * is held, and comes back when the durable position moves), or while bytes are read from disk.
 */
#include "broker/core/pump.h"

#include "broker/core/apply.h"
#include "broker/core/consumer.h"
#include "broker/core/cursor.h"
#include "broker/core/delivery.h"
#include "broker/core/ending.h"
#include "broker/core/expiry.h"
#include "broker/core/kept.h"
#include "broker/core/lease.h"
#include "broker/core/output.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "broker/core/watch.h"
#include "broker/plant.h"

enum {
    /* What one queue may hand out before the others have their turn. */
    PUMP_MESSAGES = 2048,
    PUMP_BYTES = 1 << 20,
};

enum pump_result {
    PUMP_EMPTY,    /* nothing to hand out, or nobody to take it */
    PUMP_HELD,     /* waits for the disk to write */
    PUMP_FETCHING, /* waits for the disk to read */
    PUMP_MORE,     /* its share of this round is used up */
};

void pump_leave(struct core *core, struct queue *queue)
{
    if (!queue->is_in_pump)
        return;
    queue->is_in_pump = false;
    core->pump_durable_count -= queue->kind == QUEUE_DURABLE;
    TAILQ_REMOVE(&core->pump, queue, pump_link);
}

/* Whether all that a hand-out of this place would state is on disk. */
static bool may_leave(struct core *core, struct queue *queue, uint64_t number, uint64_t word)
{
    if ((word & PLACE_ATTEMPTED) != 0 && queue->attempt_position >= core->durable_position)
        return false;
    if ((word & PLACE_TRANSIENT) != 0 && queue->cursor != NULL)
        return queue->cursor->position < core->durable_position &&
               queue_mark_covers(core, queue, number);
    if ((word & PLACE_TRANSIENT) != 0)
        return true;
    if (place_position(word) >= core->durable_position && (word & PLACE_RESTATED) == 0)
        return false;
    return queue->kind != QUEUE_DURABLE || queue_mark_covers(core, queue, number);
}

static void tell_gap(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    struct frame frame = {.header.type = FRAME_GAP};
    frame.as.gap = (struct frame_gap){consumer->number, queue->missed};
    if (!planted(PLANT_GAP_NOT_TOLD))
        output_frame(consumer->peer, &frame);
    sys_tell(queue->core, &(struct sys_event){SYS_SUBSCRIBER_CAUGHT_UP,
                                              .as.subscriber_caught_up = {
                                                  .connection = consumer->peer->number,
                                                  .consumer = consumer->number,
                                                  .client = peer_client_name(consumer->peer),
                                                  .missed = queue->missed}});
    queue->missed = 0;
}

/* What earlier attempts have left, right before the delivery. */
static void tell_earlier(struct consumer *consumer, const struct attempted *attempted)
{
    if (attempted->history == NULL && attempted->checkpoint == NULL)
        return;
    struct kept_attempt last = kept_history_last(kept_bytes(attempted->history));
    struct frame frame = {.header.type = FRAME_EARLIER};
    frame.as.earlier =
        (struct frame_earlier){consumer->number, attempted->number,
                               kept_bytes(attempted->checkpoint), last.code, last.text};
    output_frame(consumer->peer, &frame);
}

static uint8_t deliver_flags(const struct queue *queue, uint64_t number, struct standing where)
{
    uint64_t word = standing_word(where);
    uint8_t flags = queue_was_handed_out(queue, number, word) ? FLAG_REDELIVERED : 0;
    bool is_called = (word & PLACE_TRANSIENT) != 0 && place_message(word)->call != NULL;
    if (is_called || (where.aside != NULL && ending_is_wanted(where.aside)))
        flags |= FLAG_CALL;
    return flags;
}

/* What every message says to a consumer who gets it for the first time and need not settle it. */
static struct frame_deliver deliver_of(const struct consumer *consumer,
                                       const struct operation_message *message)
{
    return (struct frame_deliver){.consumer = consumer->number,
                                  .number = message->number,
                                  .attempt = 1,
                                  .time_ms = message->time_ms,
                                  .exchange = message->exchange,
                                  .key = message->key,
                                  .properties = message->properties,
                                  .headers = message->headers,
                                  .body_bytes = message->body.bytes,
                                  .body = message->body};
}

/* Hands one place to one consumer. The place of a live subscription is done with at once. */
static void hand_out(struct core *core, struct consumer *consumer, struct standing where,
                     const struct operation_message *message)
{
    struct queue *queue = consumer->queue;
    uint64_t word = standing_word(where);
    struct frame_deliver deliver = deliver_of(consumer, message);
    unsigned char room[MESSAGE_REPAIR_BYTES_MAX];
    const struct attempted *attempted =
        (word & PLACE_ATTEMPTED) != 0 ? kept_find_attempted(queue, message->number) : NULL;
    if (attempted != NULL)
        deliver.attempt = (uint16_t)(attempted->failed + 1);
    if (attempted != NULL && attempted->repair != NULL)
        deliver.properties = message_repair_properties(
            room, message->properties, attempted->repair->id, attempted->repair->repairs);
    if (queue->kind != QUEUE_LIVE) {
        deliver.delivery =
            delivery_add(consumer, message->number, place_bytes(standing_size(where)));
        lease_begin(consumer->peer, delivery_newest(consumer->peer));
    }
    if (queue->missed > 0)
        tell_gap(consumer);
    uint8_t flags = deliver_flags(queue, message->number, where);
    if (attempted != NULL)
        tell_earlier(consumer, attempted);
    output_deliver(consumer->peer, flags, &deliver);
    core->counters.messages_delivered++;
    budget_hand_out(&core->budget, message->body.bytes);
    core->counters.messages_redelivered += (flags & FLAG_REDELIVERED) != 0;
    queue->delivered_total++;
    if (queue->kind == QUEUE_LIVE) {
        standing_remove(core, queue, where);
        return;
    }
    if (where.aside != NULL) {
        aside_set_out(core, where.aside);
        watch_tell_aside(core, where.aside);
    } else {
        index_set_out(&queue->index, where.at);
        queue->out_count++;
    }
    if (message->number > queue->handed_max)
        queue->handed_max = message->number;
}

void pump_hand_live(struct core *core, struct queue *queue, const struct operation_message *message)
{
    struct consumer *consumer = queue->live;
    const struct frame_deliver deliver = deliver_of(consumer, message);
    if (queue->missed > 0)
        tell_gap(consumer);
    output_deliver(consumer->peer, 0, &deliver);
    core->counters.messages_delivered++;
    queue->accepted_total++;
    queue->delivered_total++;
    consumer_update(consumer);
}

static void on_fetch(void *argument, uint64_t position, enum status status)
{
    struct queue *queue = argument;
    (void)position;
    queue->is_fetching = false;
    if (status == STATUS_OK)
        queue_wake(queue->core, queue);
    queue_unref(queue->core, queue);
}

static enum pump_result start_fetch(struct core *core, struct queue *queue, uint64_t word)
{
    if (journal_fetch(core->journal, place_record_position(word), place_position(word), on_fetch,
                      queue) != STATUS_OK)
        return PUMP_MORE; /* no memory now; the next round tries again */
    queue->is_fetching = true;
    queue_ref(queue);
    return PUMP_FETCHING;
}

/* The first of those aside that has not expired; one that has leaves on the way. */
static struct aside *aside_alive(struct core *core, const struct queue *queue)
{
    struct aside *aside;
    while ((aside = asides_first(&queue->asides)) != NULL && aside->has_ward &&
           ward_is_over(aside_ward(aside), core->now_ms) && !planted(PLANT_EXPIRED_BEGUN))
        if (ward_expire(core, aside) != STATUS_OK)
            return NULL;
    return aside;
}

/* The first of those aside, when its turn is before that of the first plain one. */
static struct aside *aside_first(struct core *core, const struct queue *queue, struct index_at head)
{
    struct aside *aside = aside_alive(core, queue);
    if (aside == NULL || (head.found == NULL && !head.is_away))
        return aside;
    if (aside->priority != ASIDE_PRIORITY_DEFAULT)
        return aside->priority > ASIDE_PRIORITY_DEFAULT ? aside : NULL;
    uint64_t first;
    uint64_t last;
    index_range(&queue->index, head, &first, &last);
    return aside->number < first ? aside : NULL;
}

static enum pump_result result_of(enum feed_result result)
{
    switch (result) {
    case FEED_END:
    case FEED_BROKEN:
        return PUMP_EMPTY;
    case FEED_HELD:
        return PUMP_HELD;
    case FEED_READING:
        return PUMP_FETCHING;
    case FEED_EVENT:
    case FEED_AGAIN:
        break;
    }
    return PUMP_MORE;
}

/* Whoever reads what cannot be read is told, and may try again. */
static void end_broken(struct core *core, struct queue *queue)
{
    struct consumer *consumer;
    (void)core;
    while ((consumer = TAILQ_FIRST(&queue->willing)) != NULL)
        consumer_end_broken(consumer);
}

/* A cursor's queue has nothing ready, and somebody wants something: takes events from the history.
 */
static enum pump_result fill(struct core *core, struct queue *queue)
{
    enum feed_result result = cursor_fill(core, queue->cursor);
    if (queue->missed > 0)
        tell_gap(TAILQ_FIRST(&queue->willing));
    if (result == FEED_BROKEN)
        end_broken(core, queue);
    return result_of(result);
}

/* Finds the message to be handed out next. PUMP_MORE: it is in *message, and its place in *where;
 * without one there was no memory, and the next round tries again. */
static enum pump_result find_head(struct core *core, struct queue *queue, struct standing *where,
                                  struct operation_message *message)
{
    struct index_at head = index_first_ready(&queue->index);
    enum pump_result nothing = PUMP_EMPTY;
    *where = (struct standing){.aside = NULL};
    if (queue->cursor != NULL && head.found == NULL && !head.is_away) {
        nothing = fill(core, queue);
        head = index_first_ready(&queue->index);
        if (TAILQ_EMPTY(&queue->willing))
            return nothing; /* the history cannot be read: all have gone */
    }
    struct standing first = {.aside = aside_first(core, queue, head)};
    if (first.aside == NULL && head.is_away)
        return queue_ask_page(core, queue, head) ? PUMP_FETCHING : PUMP_MORE;
    if (first.aside == NULL)
        first.at = head;
    if (!standing_is_found(first))
        return nothing;
    uint64_t word = standing_word(first);
    uint64_t number = first.aside != NULL ? first.aside->number : index_number(&queue->index, head);
    if (!may_leave(core, queue, number, word))
        return PUMP_HELD;
    enum status status = queue_read(core, word, message);
    if (status == STATUS_MORE)
        return start_fetch(core, queue, word);
    if (status == STATUS_OK)
        *where = first;
    return PUMP_MORE;
}

/* One event of a history to its reader, who does not settle it. */
static void give_event(struct consumer *consumer, const struct operation_message *event)
{
    struct queue *queue = consumer->queue;
    struct frame_deliver deliver = deliver_of(consumer, event);
    struct core *core = consumer->peer->core;
    output_deliver(consumer->peer, 0, &deliver);
    core->counters.messages_delivered++;
    budget_hand_out(&core->budget, event->body.bytes);
    queue->delivered_total++;
}

/* A reader of a history loses nothing: it is given what its connection takes. */
static enum pump_result pump_reader(struct core *core, struct queue *queue)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < PUMP_MESSAGES && bytes < PUMP_BYTES; i++) {
        struct consumer *consumer = TAILQ_FIRST(&queue->willing);
        struct operation_message event;
        if (consumer == NULL)
            return PUMP_EMPTY;
        enum feed_result result = feed_peek(queue->feed, &event);
        queue_miss(core, queue, feed_take_missed(queue->feed));
        if (queue->missed > 0)
            tell_gap(consumer);
        if (result == FEED_BROKEN)
            end_broken(core, queue);
        if (result != FEED_EVENT)
            return result_of(result);
        bytes += event.body.bytes;
        give_event(consumer, &event);
        feed_pass(queue->feed);
        consumer_update(consumer);
    }
    return PUMP_MORE;
}

/* False: its time was over; *status says whether the journal takes that. */
static bool is_alive(struct core *core, struct queue *queue, struct standing where,
                     const struct operation_message *message, enum status *status)
{
    bool is_tried = (standing_word(where) & PLACE_ATTEMPTED) != 0;
    *status = STATUS_OK;
    if (is_tried || !expiry_is_over(queue, message->time_ms, core->now_ms))
        return true;
    *status = expiry_end(core, queue, message->number);
    return false;
}

static enum pump_result pump_queue(struct core *core, struct queue *queue)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < PUMP_MESSAGES && bytes < PUMP_BYTES; i++) {
        struct consumer *consumer = TAILQ_FIRST(&queue->willing);
        if (consumer == NULL || queue->is_paused || !breaker_lets_pass(core, queue))
            return PUMP_EMPTY;
        struct standing where;
        struct operation_message message;
        enum status status;
        enum pump_result result = find_head(core, queue, &where, &message);
        if (!standing_is_found(where) || delivery_reserve(consumer->peer) != STATUS_OK)
            return result;
        if (!is_alive(core, queue, where, &message, &status)) {
            if (status != STATUS_OK)
                return PUMP_MORE; /* the journal takes nothing now */
            continue;
        }
        bytes += message.body.bytes;
        TAILQ_REMOVE(&queue->willing, consumer, queue_link);
        TAILQ_INSERT_TAIL(&queue->willing, consumer, queue_link);
        hand_out(core, consumer, where, &message);
        consumer_update(consumer);
    }
    return PUMP_MORE;
}

/* Of the queues that come to their turn in this round: a mark that was not prepared holds its queue
 * up for one sync, no more. */
void pump_prepare(struct core *core)
{
    struct queue *queue;
    uint64_t left = core->pump_durable_count > 0 ? budget_copies_left(&core->budget) : 0;
    TAILQ_FOREACH (queue, &core->pump, pump_link) {
        if (left-- == 0)
            return;
        if (queue->kind != QUEUE_DURABLE || TAILQ_EMPTY(&queue->willing))
            continue;
        struct index_at at = index_first_ready(&queue->index);
        if (at.found != NULL && (at.found->word & PLACE_TRANSIENT) == 0)
            (void)queue_mark_covers(core, queue, index_number(&queue->index, at));
    }
}

void pump_on_durable(struct core *core)
{
    struct queue *queue;
    while ((queue = TAILQ_FIRST(&core->held)) != NULL) {
        TAILQ_REMOVE(&core->held, queue, pump_link);
        queue->is_held = false;
        queue_wake(core, queue);
    }
}

/* The queue's turn of this round. */
static void pump_turn(struct core *core, struct queue *queue)
{
    switch (queue->feed != NULL ? pump_reader(core, queue) : pump_queue(core, queue)) {
    case PUMP_EMPTY:
    case PUMP_FETCHING:
        pump_leave(core, queue);
        break;
    case PUMP_HELD:
        pump_leave(core, queue);
        queue->is_held = true;
        TAILQ_INSERT_TAIL(&core->held, queue, pump_link);
        break;
    case PUMP_MORE:
        core->has_more = true;
        if (!queue->is_in_pump)
            break; /* it ended */
        /* Whoever is not reached in this round comes first in the next. */
        TAILQ_REMOVE(&core->pump, queue, pump_link);
        TAILQ_INSERT_TAIL(&core->pump, queue, pump_link);
        break;
    }
}

void pump_run(struct core *core)
{
    struct queue *last = TAILQ_LAST(&core->pump, queue_list);
    struct queue *queue = last != NULL ? TAILQ_FIRST(&core->pump) : NULL;
    while (queue != NULL) {
        if (budget_is_spent(&core->budget)) {
            core->has_more = true;
            return;
        }
        struct queue *next = queue != last ? TAILQ_NEXT(queue, pump_link) : NULL;
        queue_ref(queue);
        pump_turn(core, queue);
        queue_unref(core, queue);
        queue = next;
    }
}
