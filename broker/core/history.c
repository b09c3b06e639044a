/* The history of an exchange. */
#include "broker/core/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/cursor.h"
#include "broker/core/entity_read.h"
#include "broker/core/event.h"
#include "broker/core/exchange.h"
#include "broker/core/feed.h"
#include "broker/core/mover.h"
#include "broker/core/history_recover.h"
#include "broker/core/retention.h"
#include "broker/plant.h"
#include "protocol/property.h"

enum { TAIL_ROOM_MIN = 16 };

struct history *history_new(struct core *core, struct exchange *exchange)
{
    struct history *history = calloc(1, sizeof *history);
    if (history == NULL)
        return NULL;
    history->core = core;
    history->exchange = exchange;
    history->number = exchange->number;
    history->ref_count = 1;
    history->first_stated = 1;
    LIST_INIT(&history->cursors);
    TAILQ_INIT(&history->waiting);
    entities_init(&history->entities, history_secret(core, exchange->number));
    exchange->history = history;
    return history;
}

void history_ref(struct history *history)
{
    history->ref_count++;
}

void history_unref(struct history *history)
{
    if (--history->ref_count > 0)
        return;
    assert(history->exchange == NULL && history->tail_count == 0);
    entities_deinit(&history->entities);
    free(history->tail);
    free(history->files);
    free(history->spots);
    free(history);
}

static struct history_event *tail_at(const struct history *history, uint32_t i)
{
    return &history->tail[(history->tail_start + i) & (history->tail_room - 1)];
}

/* Takes the oldest event out of the tail; its home in the journal is given up. */
static void tail_drop(struct core *core, struct history *history)
{
    struct history_event *event = tail_at(history, 0);
    home_remove_place(core, place_position(event->word), event->size);
    history->tail_bytes -= place_bytes(event->size) + PLACE_MESSAGE_BYTES;
    core->tail_bytes -= place_bytes(event->size) + PLACE_MESSAGE_BYTES;
    history->tail_start = (history->tail_start + 1) & (history->tail_room - 1);
    history->tail_count--;
}

void history_end(struct core *core, struct history *history)
{
    struct cursor *cursor;
    entity_read_end_history(core, history);
    while ((cursor = LIST_FIRST(&history->cursors)) != NULL)
        cursor_end(core, cursor, STATUS_NO_EXCHANGE);
    while (history->tail_count > 0)
        tail_drop(core, history);
    home_end(core, &history->home);
    mover_forget(core, history);
    retention_bury(core, history);
    core->entity_count -= history->entities.count;
    entities_deinit(&history->entities);
    history->exchange->history = NULL;
    history->exchange = NULL;
    history_unref(history);
}

void history_set(struct history *history, struct wire_bytes settings)
{
    history->age_max_ms =
        property_find_number(settings, PROPERTY_EXCHANGE_AGE_MAX, history->age_max_ms);
    history->bytes_max =
        property_find_number(settings, PROPERTY_EXCHANGE_BYTES_MAX, history->bytes_max);
    history->count_max =
        property_find_number(settings, PROPERTY_EXCHANGE_COUNT_MAX, history->count_max);
}

void history_put_settings(const struct history *history, struct wire_writer *w)
{
    property_put_number(w, PROPERTY_EXCHANGE_HISTORY, 1);
    property_put_number(w, PROPERTY_EXCHANGE_AGE_MAX, history->age_max_ms);
    property_put_number(w, PROPERTY_EXCHANGE_BYTES_MAX, history->bytes_max);
    property_put_number(w, PROPERTY_EXCHANGE_COUNT_MAX, history->count_max);
}

uint64_t history_first(const struct history *history)
{
    uint64_t first = history->first_stated;
    if (history->count_max != 0 && history->last >= history->count_max &&
        history->last - history->count_max + 1 > first)
        first = history->last - history->count_max + 1;
    return first;
}

/* --- the tail -----------------------------------------------------------------------------------
 */

enum status history_reserve(struct history *history, uint32_t count)
{
    if (history->tail_count + count <= history->tail_room)
        return STATUS_OK;
    uint32_t room = history->tail_room > 0 ? history->tail_room : TAIL_ROOM_MIN;
    while (room < history->tail_count + count)
        room *= 2;
    struct history_event *tail = malloc(room * sizeof *tail);
    if (tail == NULL)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < history->tail_count; i++)
        tail[i] = *tail_at(history, i);
    free(history->tail);
    history->tail = tail;
    history->tail_room = room;
    history->tail_start = 0;
    return STATUS_OK;
}

/* The first event of the tail that is not below the sequence. Live there are no holes. */
static uint32_t tail_find(const struct history *history, uint64_t sequence)
{
    uint32_t low = 0;
    uint32_t high = history->tail_count;
    if (high == 0 || sequence <= tail_at(history, 0)->sequence)
        return 0;
    uint64_t guess = sequence - tail_at(history, 0)->sequence;
    if (guess < high && tail_at(history, (uint32_t)guess)->sequence == sequence)
        return (uint32_t)guess;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tail_at(history, middle)->sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct history_event *history_find(const struct history *history, uint64_t sequence)
{
    uint32_t at = tail_find(history, sequence);
    if (at == history->tail_count || tail_at(history, at)->sequence != sequence)
        return NULL;
    return tail_at(history, at);
}

const struct history_event *history_tail_at(const struct history *history, uint32_t index)
{
    return tail_at(history, index);
}

void history_add(struct core *core, struct history *history, const struct history_event *event,
                 uint32_t message_bytes)
{
    assert(history->tail_count < history->tail_room);
    if (event->sequence <= history->moved)
        return;
    uint32_t at =
        event->sequence > history->last ? history->tail_count : tail_find(history, event->sequence);
    for (uint32_t i = history->tail_count; i > at; i--)
        *tail_at(history, i) = *tail_at(history, i - 1);
    *tail_at(history, at) = *event;
    history->tail_count++;
    history->tail_bytes += place_bytes(event->size) + PLACE_MESSAGE_BYTES;
    core->tail_bytes += place_bytes(event->size) + PLACE_MESSAGE_BYTES;
    if (event->sequence > history->last)
        history->last = event->sequence;
    home_add_place(core, place_position(event->word), event->size, message_bytes);
    mover_on_event(core, history);
    struct feed *feed;
    while ((feed = TAILQ_FIRST(&history->waiting)) != NULL)
        feed_wake(feed);
}

enum status history_meet(struct core *core, struct history *history,
                         const struct operation_message *operation,
                         const struct history_event *event, uint32_t message_bytes)
{
    struct history_event *found = history_find(history, event->sequence);
    if (found != NULL) {
        home_add_place(core, place_position(event->word), event->size, message_bytes);
        home_remove_place(core, place_position(found->word), found->size);
        found->word = event->word | PLACE_RESTATED;
        found->size = event->size; /* it has as many bytes as before */
        return STATUS_OK;
    }
    if (history_reserve(history, 1) != STATUS_OK)
        return STATUS_NO_MEMORY;
    history_add(core, history, event, message_bytes);
    return event_apply_entity(core, history, operation->properties);
}

bool history_holds(const struct history *history, uint64_t sequence, uint64_t position)
{
    const struct history_event *event = history_find(history, sequence);
    return event != NULL && place_position(event->word) == position;
}

/* --- the operation ------------------------------------------------------------------------------
 */

struct operation_history history_operation(const struct history *history)
{
    return (struct operation_history){
        .exchange = history->number,
        .moved = history->moved,
        .first = history->first_stated,
        .file = history->file_stated,
        .end = history->end_stated,
        .entities = history->entities_stated,
    };
}

void history_apply(struct core *core, struct history *history,
                   const struct operation_history *operation, uint64_t position)
{
    history->moved = operation->moved;
    history->first_stated = operation->first;
    history->file_stated = operation->file;
    history->end_stated = operation->end;
    history->entities_stated = operation->entities;
    while (history->tail_count > 0 && tail_at(history, 0)->sequence <= history->moved)
        tail_drop(core, history);
    if (history->last < history->moved && !planted(PLANT_SEQUENCE_REUSED))
        history->last = history->moved;
    home_move(core, &history->home, position, (uint32_t)record_size_history(operation));
    mover_on_moved(core, history);
}

/* --- files --------------------------------------------------------------------------------------
 */

const struct archive_file *history_find_file(const struct history *history, uint64_t sequence)
{
    uint32_t low = 0;
    uint32_t high = history->file_count;
    if (high == 0 || sequence < history->files[0].first)
        return NULL;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (history->files[middle].first <= sequence)
            low = middle;
        else
            high = middle;
    }
    return sequence <= history->files[low].last ? &history->files[low] : NULL;
}

struct archive_file *history_open_file(struct history *history)
{
    if (history->file_count == 0 || history->files[history->file_count - 1].is_finished)
        return NULL;
    return &history->files[history->file_count - 1];
}

enum status history_reserve_files(struct history *history, uint32_t spot_count)
{
    if (history->file_count == history->file_room) {
        uint32_t room = history->file_room > 0 ? history->file_room * 2 : 4;
        struct archive_file *files = realloc(history->files, room * sizeof *files);
        if (files == NULL)
            return STATUS_NO_MEMORY;
        history->files = files;
        history->file_room = room;
    }
    if (history->spot_count + spot_count <= history->spot_room)
        return STATUS_OK;
    uint32_t room = history->spot_count + spot_count + history->spot_room;
    struct archive_spot *spots = realloc(history->spots, room * sizeof *spots);
    if (spots == NULL)
        return STATUS_NO_MEMORY;
    history->spots = spots;
    history->spot_room = room;
    return STATUS_OK;
}

uint64_t history_bytes(const struct history *history)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < history->file_count; i++)
        bytes += history->files[i].end;
    return bytes;
}
