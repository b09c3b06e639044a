/* Stored cursors. */
#include "broker/core/cursor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/consumer.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/kept.h"
#include "broker/core/message.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/plant.h"
#include "protocol/property.h"

enum {
    /* Filled at once: as many events, or bytes of them. */
    FILL_COUNT = 256,
    FILL_BYTES = 256 << 10,
    /* Events in the queue: beyond that the cursor waits. Between two ranges that are done there is
     * at least one of them, so that the ranges fit a record. */
    WINDOW_COUNT_MAX = 4096,
    WINDOW_RECORD_BYTES = 32, /* of what a record holds, for each of them */
    /* Events that do not match are recorded as done by so many, so that a start need not look at
     * them again. */
    PASSED_COUNT = 65536,
};

static void on_more(void *argument)
{
    struct queue *queue = argument;
    queue_wake(queue->core, queue);
}

enum status cursor_new(struct queue *queue, struct history *history, const struct feed_terms *terms)
{
    struct cursor *cursor = calloc(1, sizeof *cursor);
    struct feed *feed = cursor != NULL ? feed_new(history, terms, on_more, queue) : NULL;
    if (feed == NULL) {
        free(cursor);
        return STATUS_NO_MEMORY;
    }
    cursor->queue = queue;
    cursor->feed = feed;
    queue->cursor = cursor;
    LIST_INSERT_HEAD(&history->cursors, cursor, link);
    return STATUS_OK;
}

void cursor_free(struct core *core, struct cursor *cursor)
{
    home_end(core, &cursor->home);
    LIST_REMOVE(cursor, link);
    feed_free(cursor->feed);
    cursor->queue->cursor = NULL;
    free(cursor->done);
    free(cursor);
}

void cursor_end(struct core *core, struct cursor *cursor, enum status status)
{
    queue_end(core, cursor->queue, status);
}

/* --- what is done -------------------------------------------------------------------------------
 */

uint64_t cursor_low(const struct cursor *cursor)
{
    return cursor->done_count > 0 && cursor->done[0].first <= 1 ? cursor->done[0].last : 0;
}

uint64_t cursor_lag(const struct cursor *cursor)
{
    const struct history *history = feed_history(cursor->feed);
    uint64_t low = cursor_low(cursor);
    uint64_t first = history_first(history);
    if (low + 1 < first)
        low = first - 1;
    return history->last > low ? history->last - low : 0;
}

enum status cursor_reserve(struct cursor *cursor)
{
    if (cursor->done_count < cursor->done_room)
        return STATUS_OK;
    uint32_t room = cursor->done_room > 0 ? cursor->done_room * 2 : 4;
    struct cursor_range *done = realloc(cursor->done, room * sizeof *done);
    if (done == NULL)
        return STATUS_NO_MEMORY;
    cursor->done = done;
    cursor->done_room = room;
    return STATUS_OK;
}

/* The first range that ends at or behind the sequence. */
static uint32_t find_range(const struct cursor *cursor, uint64_t sequence)
{
    uint32_t low = 0;
    uint32_t high = cursor->done_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (cursor->done[middle].last < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void cursor_apply_done(struct cursor *cursor, uint64_t first, uint64_t last)
{
    /* What touches the new range becomes part of it. */
    uint32_t from = find_range(cursor, first > 1 ? first - 1 : 1);
    uint32_t to = from;
    while (to < cursor->done_count && cursor->done[to].first <= last + 1) {
        if (cursor->done[to].first < first)
            first = cursor->done[to].first;
        if (cursor->done[to].last > last)
            last = cursor->done[to].last;
        to++;
    }
    assert(to > from || cursor->done_count < cursor->done_room);
    memmove(cursor->done + from + 1, cursor->done + to,
            (cursor->done_count - to) * sizeof *cursor->done);
    cursor->done_count = cursor->done_count - (to - from) + 1;
    cursor->done[from] = (struct cursor_range){first, last};
}

static bool is_done(const struct cursor *cursor, uint64_t sequence, uint64_t *last)
{
    uint32_t at = find_range(cursor, sequence);
    if (at == cursor->done_count || cursor->done[at].first > sequence)
        return false;
    *last = cursor->done[at].last;
    return true;
}

/* --- the operation ------------------------------------------------------------------------------
 */

struct operation_cursor cursor_operation(const struct cursor *cursor, unsigned char **done)
{
    size_t bytes = (size_t)cursor->done_count * 16;
    struct wire_writer w = wire_writer_of(NULL, 0);
    *done = malloc(bytes + 1);
    if (*done != NULL)
        w = wire_writer_of(*done, bytes);
    for (uint32_t i = 0; i < cursor->done_count && *done != NULL; i++) {
        wire_put_u64(&w, cursor->done[i].first);
        wire_put_u64(&w, cursor->done[i].last);
    }
    const struct feed_terms *terms = feed_get_terms(cursor->feed);
    return (struct operation_cursor){.queue = cursor->queue->number,
                                     .exchange = feed_history(cursor->feed)->number,
                                     .pattern = terms->pattern,
                                     .filter = terms->filter,
                                     .from_ms = terms->from_ms,
                                     .done = wire_bytes_of(*done, (uint32_t)wire_written(&w))};
}

enum status cursor_apply(struct core *core, struct queue *queue,
                         const struct operation_cursor *operation, uint64_t position)
{
    struct cursor *cursor = queue->cursor;
    struct wire_reader r = wire_reader_of(operation->done.at, operation->done.bytes);
    cursor->done_count = 0;
    feed_set_time(cursor->feed, operation->from_ms);
    while (wire_left(&r) >= 16) {
        uint64_t first = wire_get_u64(&r);
        uint64_t last = wire_get_u64(&r);
        if (last < first)
            return STATUS_CORRUPT;
        if (cursor_reserve(cursor) != STATUS_OK)
            return STATUS_NO_MEMORY;
        cursor_apply_done(cursor, first, last);
    }
    home_move(core, &cursor->home, position, (uint32_t)record_size_cursor(operation));
    cursor->position = position;
    return STATUS_OK;
}

/* --- filling ------------------------------------------------------------------------------------
 */

/* A place in memory for the event. STATUS_LIMIT: too much is in memory; STATUS_MORE: a page is
 * read.
 */
static enum status take_event(struct core *core, struct queue *queue, uint64_t sequence,
                              const struct operation_message *event)
{
    struct operation_message copy = *event;
    copy.number = sequence;
    copy.queues = wire_bytes_of(NULL, 0);
    /* A crash may have left copies of later events in the plain order. */
    struct index_at at = index_find(&queue->index, sequence);
    if (at.is_away)
        return queue_ask_page(core, queue, at) ? STATUS_MORE : STATUS_NO_MEMORY;
    if (index_reserve(&queue->index, sequence) != STATUS_OK)
        return STATUS_NO_MEMORY;
    struct message *message = message_new(core, &copy);
    if (message == NULL)
        return STATUS_LIMIT;
    uint32_t bytes = message_counted_bytes(&copy);
    index_insert(&queue->index, sequence, place_word_transient(message), place_size(bytes, 1));
    queue->bytes += bytes;
    queue->transient_count++;
    queue->accepted_total++;
    return STATUS_OK;
}

static enum status record_done(struct core *core, struct peer *peer, struct cursor *cursor,
                               uint64_t first, uint64_t last)
{
    struct operation_cursor_done operation = {cursor->queue->number, first, last};
    enum status status = cursor_reserve(cursor);
    if (status == STATUS_OK)
        status = recorder_append_cursor_done(core, peer, &operation, NULL);
    if (status == STATUS_OK)
        cursor_apply_done(cursor, first, last);
    return status;
}

/* What did not match, or went before it was read, is done with, up to the first place that is not.
 */
static void record_passed(struct core *core, struct cursor *cursor, uint64_t missed)
{
    const struct queue *queue = cursor->queue;
    uint64_t low = cursor_low(cursor);
    uint64_t last = feed_sequence(cursor->feed) - 1;
    struct index_at first = index_find_from(&queue->index, 0);
    if (first.found != NULL)
        last = index_number(&queue->index, first) - 1;
    if (last > low && (missed > 0 || last - low >= PASSED_COUNT))
        (void)record_done(core, NULL, cursor, low + 1, last);
}

/* It has a durable copy, which is dealt with by itself: the cursor was moved back. */
static bool is_kept(const struct queue *queue, uint64_t sequence)
{
    return asides_find(&queue->asides, sequence) != NULL ||
           kept_find_parked(queue, sequence) != NULL;
}

static bool is_full(const struct cursor *cursor)
{
    const struct queue *queue = cursor->queue;
    size_t count_max = journal_record_bytes_max(queue->core->journal) / WINDOW_RECORD_BYTES;
    if (count_max > WINDOW_COUNT_MAX)
        count_max = WINDOW_COUNT_MAX;
    return queue->index.live_count >= count_max;
}

/* The next event that is neither done nor kept otherwise. */
static enum feed_result find_next(struct cursor *cursor, struct operation_message *event)
{
    struct feed *feed = cursor->feed;
    for (int i = 0; i < FILL_COUNT; i++) {
        uint64_t last;
        while (is_done(cursor, feed_sequence(feed), &last))
            feed_skip(feed, last + 1);
        enum feed_result result = feed_peek(feed, event);
        if (result != FEED_EVENT)
            return result;
        if (is_kept(cursor->queue, feed_sequence(feed)))
            feed_pass(feed);
        else if (!is_done(cursor, feed_sequence(feed), &last))
            return FEED_EVENT;
    }
    return FEED_AGAIN;
}

/* What goes on until it has to wait. Something that lacks is looked at again after a while. */
static enum feed_result fill(struct core *core, struct cursor *cursor)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < FILL_COUNT && bytes < FILL_BYTES; i++) {
        struct operation_message event;
        if (is_full(cursor))
            return FEED_END; /* settling wakes the queue */
        enum feed_result result = find_next(cursor, &event);
        if (result != FEED_EVENT)
            return result;
        if (take_event(core, cursor->queue, feed_sequence(cursor->feed), &event) != STATUS_OK)
            return FEED_END;
        bytes += event.body.bytes;
        feed_pass(cursor->feed);
    }
    return FEED_AGAIN;
}

enum feed_result cursor_fill(struct core *core, struct cursor *cursor)
{
    uint64_t count = cursor->queue->index.live_count;
    if (!cursor->is_seated)
        feed_seek(cursor->feed, cursor_low(cursor) + 1);
    cursor->is_seated = true;
    enum feed_result result = fill(core, cursor);
    uint64_t missed = feed_take_missed(cursor->feed);
    queue_miss(core, cursor->queue, missed);
    record_passed(core, cursor, missed);
    return cursor->queue->index.live_count > count ? FEED_EVENT : result;
}

/* --- settling -----------------------------------------------------------------------------------
 */

/* Durable copies among the places of a run are settled by themselves. */
static enum status settle_copies(struct core *core, struct peer *peer, struct queue *queue,
                                 uint64_t first, uint64_t last)
{
    struct index_at at = index_find_from(&queue->index, first);
    while (at.found != NULL && index_number(&queue->index, at) <= last) {
        struct index_at next = index_next(&queue->index, at);
        uint64_t number = index_number(&queue->index, at);
        struct operation_settle operation = {queue->number, number, number};
        if ((at.found->word & PLACE_TRANSIENT) == 0) {
            enum status status = recorder_append_settle(core, peer, &operation, NULL);
            if (status != STATUS_OK)
                return status;
            apply_settle(core, queue, &operation);
        }
        at = next;
    }
    return STATUS_OK;
}

static void remove_places(struct core *core, struct queue *queue, uint64_t first, uint64_t last)
{
    struct index_at at = index_find_from(&queue->index, first);
    while (at.found != NULL && index_number(&queue->index, at) <= last) {
        struct index_at next = index_next(&queue->index, at);
        if ((at.found->word & PLACE_TRANSIENT) != 0)
            place_remove(core, queue, at);
        at = next;
    }
}

/* With a run of places all is done on both sides of it that did not match, up to the next event
 * that is in the queue or not looked at yet. So ranges that are done have one of these between
 * them. */
static struct cursor_range widened(const struct cursor *cursor, uint64_t first, uint64_t last)
{
    const struct index *index = &cursor->queue->index;
    struct cursor_range range = {first, last};
    uint32_t before = find_range(cursor, first);
    uint64_t done = before > 0 ? cursor->done[before - 1].last : 0;
    struct index_at at = index_find_from(index, done + 1);
    if (at.found != NULL && index_number(index, at) == first)
        range.first = done + 1;
    at = index_find_from(index, last + 1);
    uint64_t next = at.found != NULL ? index_number(index, at) : feed_sequence(cursor->feed);
    if (!at.is_away && next > last)
        range.last = next - 1;
    return range;
}

bool cursor_has_fed(const struct queue *queue, uint64_t first, uint64_t last)
{
    struct index_at at = index_find_from(&queue->index, first);
    while (at.found != NULL && index_number(&queue->index, at) <= last) {
        if ((at.found->word & PLACE_TRANSIENT) != 0)
            return true;
        at = index_next(&queue->index, at);
    }
    return false;
}

enum status cursor_settle(struct core *core, struct peer *peer, struct queue *queue, uint64_t first,
                          uint64_t last)
{
    struct cursor *cursor = queue->cursor;
    bool was_full = is_full(cursor);
    struct cursor_range range = widened(cursor, first, last);
    enum status status = record_done(core, peer, cursor, range.first, range.last);
    if (status == STATUS_OK)
        status = settle_copies(core, peer, queue, first, last);
    if (status != STATUS_OK)
        return status;
    remove_places(core, queue, first, last);
    if (was_full)
        queue_wake(core, queue);
    return STATUS_OK;
}

/* What an event asks of queues is nothing to a cursor, which gives it in its turn. Its copy must
 * not have it either, or a start would make something else of it than it was. */
static void leave_out_terms(struct core *core, struct operation_message *event)
{
    struct message_terms terms;
    message_terms(event, &terms);
    if (terms.is_plain)
        return;
    struct wire_writer w = wire_writer_of(core->event_properties, sizeof core->event_properties);
    struct wire_reader r = wire_reader_of(event->properties.at, event->properties.bytes);
    struct property property;
    while (property_next(&r, &property))
        if (property.kind == PROPERTY_MESSAGE_ID || property.kind > PROPERTY_MESSAGE_LANE)
            property_put(&w, property.kind, property.value);
    assert(!w.failed);
    event->properties = wire_bytes_of(core->event_properties, (uint32_t)wire_written(&w));
}

/* Recovery finds the message as one of the queue, and by its number that it is done with here. */
enum status cursor_keep(struct core *core, struct peer *peer, struct queue *queue, uint64_t number)
{
    struct standing where = queue_locate(queue, number);
    if (where.at.found == NULL || (where.at.found->word & PLACE_TRANSIENT) == 0)
        return STATUS_OK;
    struct operation_message operation;
    struct message *message = place_message(where.at.found->word);
    unsigned char numbers[4];
    enum status status = queue_read(core, where.at.found->word, &operation);
    if (status == STATUS_OK)
        status = cursor_reserve(queue->cursor);
    if (status != STATUS_OK)
        return status;
    wire_store_u32(numbers, queue->number);
    operation.queues = wire_bytes_of(numbers, sizeof numbers);
    leave_out_terms(core, &operation);
    size_t bytes = record_size_message(&operation);
    struct wire_writer w;
    status = recorder_begin(core, peer, bytes, JOURNAL_URGENT, &w);
    if (status != STATUS_OK)
        return status;
    uint64_t word = place_word_durable(recorder_position(core, &w), recorder_back(core, &w));
    record_put_message(&w, &operation);
    recorder_end(core, &w);
    uint32_t size = where.at.found->size;
    index_become_durable(&queue->index, where.at, word);
    queue->transient_count--;
    home_add_place(core, place_position(word), size, (uint32_t)bytes);
    cursor_apply_done(queue->cursor, number, number);
    message_unref(core, message);
    return STATUS_OK;
}

enum status cursor_seek(struct core *core, struct peer *peer, struct cursor *cursor, uint64_t low,
                        uint64_t from_ms)
{
    struct operation_cursor operation;
    unsigned char range[16];
    unsigned char *done;
    uint64_t position;
    if (cursor_reserve(cursor) != STATUS_OK)
        return STATUS_NO_MEMORY;
    operation = cursor_operation(cursor, &done);
    free(done);
    operation.from_ms = from_ms;
    wire_store_u64(range, 1);
    wire_store_u64(range + 8, low);
    operation.done = wire_bytes_of(range, low > 0 ? sizeof range : 0);
    struct queue *queue = cursor->queue;
    if (queue->index.live_count > queue->transient_count)
        return STATUS_IN_USE; /* copies that a crash has left in the plain order are settled first
                               */
    enum status status = recorder_append_cursor(core, peer, &operation, &position);
    if (status != STATUS_OK)
        return status;
    status = cursor_apply(core, queue, &operation, position);
    remove_places(core, queue, 0, UINT64_MAX);
    if (!planted(PLANT_MOVED_AND_SETTLED))
        consumer_drop_stale(core, queue);
    index_deinit(&queue->index); /* numbers begin anew, and what came once may come again */
    if (queue->redelivered_up_to < queue->handed_max)
        queue->redelivered_up_to = queue->handed_max;
    cursor->is_seated = false;
    queue_wake(core, queue);
    return status;
}
