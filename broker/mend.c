/* Mending: turns the records that survive damage into a journal that a broker takes. */
#include "broker/mend.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/store/record.h"
#include "broker/tool_report.h"
#include "protocol/property.h"

enum {
    /* Numbers that may have been given in what is lost. */
    MESSAGES_LEFT_OUT = 1 << 28,
    STARTS_LEFT_OUT = 1000,
    ADDED_BYTES_MAX = 512,
};

struct mend {
    struct core *core;
    mend_record_fn on_record;
    void *argument;
    const struct salvage *salvage; /* NULL: histories are kept as they are */
    unsigned char *narrowed;       /* a record without some of its events */
    size_t narrowed_room;
    uint64_t position; /* a position of its own for each record, as the core wants it */
    uint64_t now_ms;
    uint64_t highest_number; /* of all messages; known at the end */
    struct mend_report report;
};

/* Objects that are to be spoken of, gathered before the core changes. */
struct object {
    uint64_t number;   /* of a message, for a parked command; of an event, for a cursor */
    uint32_t owner;    /* of a queue, exchange or client */
    uint32_t exchange; /* of a cursor */
    bool is_named;
};

struct objects {
    struct object *object;
    size_t count;
    size_t room;
    bool has_failed;
};

struct mend *mend_new(mend_record_fn on_record, void *argument)
{
    struct mend *mend = calloc(1, sizeof *mend);
    if (mend == NULL)
        return NULL;
    mend->core = tool_core_new();
    mend->on_record = on_record;
    mend->argument = argument;
    mend->position = SEGMENT_HEADER_BYTES;
    if (mend->core != NULL)
        return mend;
    free(mend);
    return NULL;
}

void mend_free(struct mend *mend)
{
    if (mend == NULL)
        return;
    core_free(mend->core);
    free(mend->narrowed);
    free(mend);
}

void mend_set_salvage(struct mend *mend, const struct salvage *salvage)
{
    mend->salvage = salvage;
}

struct core *mend_core(struct mend *mend)
{
    return mend->core;
}

const struct mend_report *mend_report(const struct mend *mend)
{
    return &mend->report;
}

static enum status put(struct mend *mend, const unsigned char *at, uint32_t bytes)
{
    enum status status = core_on_record(mend->core, mend->position, at, bytes, mend->now_ms);
    mend->position += bytes + 8;
    if (status == STATUS_OK && mend->on_record != NULL)
        status = mend->on_record(mend->argument, at, bytes, mend->now_ms);
    return status;
}

/* An operation that was written into `bytes` becomes a record of its own. */
static enum status put_written(struct mend *mend, const struct wire_writer *w)
{
    assert(!w->failed);
    return put(mend, w->start, (uint32_t)wire_written(w));
}

/* --- records that survive ----------------------------------------------------------------------
 */

static enum status end_bearer(struct mend *mend, enum census_kind kind, uint32_t number)
{
    unsigned char bytes[ADDED_BYTES_MAX];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    switch (kind) {
    case CENSUS_QUEUE:
        record_put_queue_gone(&w, &(struct operation_queue_gone){number});
        break;
    case CENSUS_EXCHANGE:
        record_put_exchange_gone(&w, &(struct operation_exchange_gone){number});
        break;
    case CENSUS_CLIENT:
        record_put_client_gone(&w, &(struct operation_client_gone){number});
        break;
    }
    return put_written(mend, &w);
}

/* Two live objects never have one name: that the name is given anew says that its bearer has gone.
 */
static enum status free_name(struct mend *mend, enum census_kind kind, struct wire_bytes name,
                             uint32_t number)
{
    uint32_t bearer = core_census_find(mend->core, kind, name);
    if (bearer == 0 || bearer == number)
        return STATUS_OK;
    mend->report.replaced_count++;
    return end_bearer(mend, kind, bearer);
}

static enum status free_names_of(struct mend *mend, const struct operation *operation)
{
    if (operation->type == OPERATION_QUEUE)
        return free_name(mend, CENSUS_QUEUE, operation->as.queue.name, operation->as.queue.queue);
    if (operation->type == OPERATION_EXCHANGE)
        return free_name(mend, CENSUS_EXCHANGE, operation->as.exchange.name,
                         operation->as.exchange.exchange);
    if (operation->type == OPERATION_CLIENT)
        return free_name(mend, CENSUS_CLIENT, operation->as.client.name,
                         operation->as.client.client);
    return STATUS_OK;
}

static bool is_known(const struct inspect_record *record)
{
    struct wire_reader r = wire_reader_of(record->at, record->bytes);
    struct operation operation;
    enum status status;
    do
        status = record_next(&r, &operation);
    while (status == STATUS_OK);
    return status == STATUS_MORE;
}

/* Leaves of the receivers of a message those that still need it. `list` has room for all. */
static enum status narrow_receivers(const struct mend *mend, struct operation_message *message,
                                    unsigned char *list)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i + 4 <= message->queues.bytes; i += 4) {
        uint32_t number = wire_load_u32(message->queues.at + i);
        enum status status = STATUS_OK;
        if ((number & HISTORY_BIT) != 0)
            status = salvage_filter(mend->salvage, number & ~HISTORY_BIT, message);
        if (status == STATUS_NO_MEMORY)
            return status;
        if (status == STATUS_NOT_FOUND)
            continue;
        wire_store_u32(list + bytes, number);
        bytes += 4;
    }
    message->queues = wire_bytes_of(list, bytes);
    return STATUS_OK;
}

/* Writes an operation again, or what is left of it, or nothing. */
static enum status narrow_operation(const struct mend *mend, struct operation *operation,
                                    struct wire_writer *w)
{
    if (operation->type == OPERATION_HISTORY &&
        salvage_find(mend->salvage, operation->as.history.exchange) != NULL)
        return STATUS_OK;
    if (operation->type != OPERATION_MESSAGE) {
        record_put(w, operation);
        return STATUS_OK;
    }
    struct operation_message *message = &operation->as.message;
    unsigned char *list = malloc((size_t)message->queues.bytes + 1);
    enum status status = list != NULL ? narrow_receivers(mend, message, list) : STATUS_NO_MEMORY;
    if (status == STATUS_OK && message->queues.bytes > 0)
        record_put(w, operation);
    free(list);
    return status;
}

/* A record without the events that are not kept; it may be empty. */
static enum status narrow(struct mend *mend, const struct inspect_record *record,
                          struct wire_writer *w)
{
    if (record->bytes > mend->narrowed_room) {
        unsigned char *grown = realloc(mend->narrowed, record->bytes);
        if (grown == NULL)
            return STATUS_NO_MEMORY;
        mend->narrowed = grown;
        mend->narrowed_room = record->bytes;
    }
    *w = wire_writer_of(mend->narrowed, record->bytes);
    struct wire_reader r = wire_reader_of(record->at, record->bytes);
    struct operation operation;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && record_next(&r, &operation) == STATUS_OK)
        status = narrow_operation(mend, &operation, w);
    assert(!w->failed);
    return status;
}

static enum status put_kept(struct mend *mend, const struct inspect_record *record)
{
    struct wire_writer w;
    if (mend->salvage == NULL || salvage_count(mend->salvage) == 0)
        return put(mend, record->at, record->bytes);
    enum status status = narrow(mend, record, &w);
    return status == STATUS_OK && wire_written(&w) > 0 ? put_written(mend, &w) : status;
}

enum status mend_record(struct mend *mend, const struct inspect_record *record)
{
    if (!is_known(record)) {
        mend->report.strange_count++;
        return STATUS_OK;
    }
    mend->now_ms = record->now_ms;
    struct wire_reader r = wire_reader_of(record->at, record->bytes);
    struct operation operation;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && record_next(&r, &operation) == STATUS_OK)
        status = free_names_of(mend, &operation);
    if (status == STATUS_OK)
        status = put_kept(mend, record);
    mend->report.kept_count += status == STATUS_OK;
    return status;
}

/* --- what the lost ones left -------------------------------------------------------------------
 */

static void gather(struct objects *objects, struct object object)
{
    if (objects->count == objects->room) {
        size_t room = objects->room == 0 ? 64 : 2 * objects->room;
        struct object *grown = realloc(objects->object, room * sizeof *grown);
        if (grown == NULL) {
            objects->has_failed = true;
            return;
        }
        objects->object = grown;
        objects->room = room;
    }
    objects->object[objects->count++] = object;
}

static void gather_owner(void *argument, uint32_t number, struct wire_bytes name)
{
    gather(argument, (struct object){.owner = number, .is_named = name.bytes > 0});
}

static void gather_parked(void *argument, uint32_t queue, uint64_t number)
{
    gather(argument, (struct object){.owner = queue, .number = number});
}

typedef enum status (*object_fn)(struct mend *mend, const struct object *object);

/* Calls `on_object` for everything that was gathered, and forgets it. */
static enum status for_each(struct mend *mend, struct objects *objects, object_fn on_object)
{
    enum status status = objects->has_failed ? STATUS_NO_MEMORY : STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < objects->count; i++)
        status = on_object(mend, &objects->object[i]);
    free(objects->object);
    return status;
}

/* recovered-7, or recovered-7-2 when there is one of that name. */
static void make_name(const struct mend *mend, enum census_kind kind, uint32_t number,
                      char name[64])
{
    (void)snprintf(name, 64, "recovered-%" PRIu32, number);
    for (unsigned i = 2; core_census_find(mend->core, kind, wire_bytes_of_text(name)) != 0; i++)
        (void)snprintf(name, 64, "recovered-%" PRIu32 "-%u", number, i);
}

static enum status name_queue(struct mend *mend, const struct object *object)
{
    if (object->is_named)
        return STATUS_OK;
    unsigned char bytes[ADDED_BYTES_MAX];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    char name[64];
    make_name(mend, CENSUS_QUEUE, object->owner, name);
    struct operation_queue operation = {.queue = object->owner, .name = wire_bytes_of_text(name)};
    record_put_queue(&w, &operation);
    mend->report.queue_count++;
    return put_written(mend, &w);
}

static enum status define_exchange(struct mend *mend, uint32_t exchange, struct wire_bytes settings)
{
    unsigned char bytes[ADDED_BYTES_MAX];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    char name[64];
    make_name(mend, CENSUS_EXCHANGE, exchange, name);
    struct operation_exchange operation = {exchange, wire_bytes_of_text(name), settings};
    record_put_exchange(&w, &operation);
    return put_written(mend, &w);
}

/* One that keeps its events, within no limit. */
static enum status define_history(struct mend *mend, uint32_t exchange)
{
    unsigned char settings[16];
    struct wire_writer list = wire_writer_of(settings, sizeof settings);
    property_put_number(&list, PROPERTY_EXCHANGE_HISTORY, 1);
    return define_exchange(mend, exchange, wire_bytes_of(settings, (uint32_t)wire_written(&list)));
}

static enum status name_exchange(struct mend *mend, const struct object *object)
{
    if (object->is_named)
        return STATUS_OK;
    mend->report.exchange_count++;
    return core_census_secret(mend->core, object->owner) != NULL
               ? define_history(mend, object->owner)
               : define_exchange(mend, object->owner, wire_bytes_of(NULL, 0));
}

/* Who it was is not known, so it cannot come back. */
static enum status forget_client(struct mend *mend, const struct object *object)
{
    if (object->is_named)
        return STATUS_OK;
    mend->report.client_count++;
    return end_bearer(mend, CENSUS_CLIENT, object->owner);
}

/* Why it was parked is still of use. */
static enum status stand_in(struct mend *mend, const struct object *object)
{
    unsigned char bytes[ADDED_BYTES_MAX];
    unsigned char queue[4];
    unsigned char headers[64];
    struct wire_writer list = wire_writer_of(headers, sizeof headers);
    header_put(&list, wire_bytes_of_text("herald-recovered"), wire_bytes_of_text("body lost"));
    wire_store_u32(queue, object->owner);
    struct operation_message operation = {
        .number = object->number,
        .time_ms = mend->now_ms,
        .queues = wire_bytes_of(queue, sizeof queue),
        .headers = wire_bytes_of(headers, (uint32_t)wire_written(&list)),
    };
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    record_put_message(&w, &operation);
    mend->report.bodiless_count++;
    return put_written(mend, &w);
}

/* Whatever waits may have been handed out by what is lost. */
static enum status mark_queue(struct mend *mend, const struct object *object)
{
    unsigned char bytes[ADDED_BYTES_MAX];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    struct operation_mark operation = {object->owner, mend->highest_number};
    record_put_mark(&w, &operation);
    return put_written(mend, &w);
}

static enum status for_all(struct mend *mend, enum census_kind kind, object_fn on_object)
{
    struct objects objects = {0};
    core_census_each(mend->core, kind, gather_owner, &objects);
    return for_each(mend, &objects, on_object);
}

static enum status begin_anew(struct mend *mend)
{
    unsigned char bytes[ADDED_BYTES_MAX];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    struct core_census census;
    core_census(mend->core, &census);
    struct operation_start operation = {census.start_number + STARTS_LEFT_OUT,
                                        census.next_message + MESSAGES_LEFT_OUT, census.next_queue,
                                        census.next_exchange, census.next_client};
    record_put_start(&w, &operation);
    return put_written(mend, &w);
}

enum status mend_adopt(struct mend *mend, uint32_t exchange)
{
    mend->report.adopted_count++;
    return define_history(mend, exchange);
}

/* --- histories ----------------------------------------------------------------------------------
 */

static enum status state_history(struct mend *mend, const struct salvage_plan *plan)
{
    unsigned char bytes[ADDED_BYTES_MAX];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    struct operation_history operation = {.exchange = plan->exchange,
                                          .moved = plan->moved,
                                          .first = plan->first,
                                          .file = plan->file,
                                          .end = plan->end,
                                          .entities = plan->entities};
    record_put_history(&w, &operation);
    return put_written(mend, &w);
}

/* The last event of a history. */
struct ends {
    uint32_t exchange;
    uint64_t last;
};

static void on_history(void *argument, const struct core_history *history)
{
    struct ends *ends = argument;
    if (history->exchange == ends->exchange)
        ends->last = history->last;
}

static void gather_cursor(void *argument, const struct core_cursor *cursor)
{
    gather(argument, (struct object){.number = cursor->done,
                                     .owner = cursor->queue,
                                     .exchange = cursor->exchange});
}

/* A copy that the cursor keeps of an event that is gone: another event will have its number. */
static enum status drop_copy(struct mend *mend, const struct object *object)
{
    unsigned char bytes[ADDED_BYTES_MAX];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    struct operation_settle operation = {object->owner, object->number, object->number};
    record_put_settle(&w, &operation);
    mend->report.copy_count++;
    return put_written(mend, &w);
}

/* Events that are gone were done with; those that will have their sequences are not. */
static enum status move_cursor_back(struct mend *mend, const struct object *object)
{
    struct ends ends = {.exchange = object->exchange};
    core_census_histories(mend->core, on_history, &ends);
    if (object->number <= ends.last)
        return STATUS_OK;
    struct operation_cursor operation;
    unsigned char *done;
    enum status status =
        core_census_cursor(mend->core, object->owner, ends.last, &operation, &done);
    size_t bytes = record_size_cursor(&operation);
    unsigned char *at = status == STATUS_OK ? malloc(bytes) : NULL;
    status = at != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        struct wire_writer w = wire_writer_of(at, bytes);
        record_put_cursor(&w, &operation);
        mend->report.cursor_count++;
        status = put_written(mend, &w);
    }
    free(at);
    free(done);
    struct objects copies = {0};
    core_census_above(mend->core, object->owner, ends.last, gather_parked, &copies);
    enum status dropped = for_each(mend, &copies, drop_copy);
    return status == STATUS_OK ? dropped : status;
}

enum status mend_histories(struct mend *mend)
{
    struct objects cursors = {0};
    enum status status = STATUS_OK;
    size_t count = mend->salvage != NULL ? salvage_count(mend->salvage) : 0;
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = state_history(mend, salvage_at(mend->salvage, i));
    core_census_cursors(mend->core, gather_cursor, &cursors);
    enum status moved = for_each(mend, &cursors, move_cursor_back);
    core_census(mend->core, &mend->report.found);
    return status == STATUS_OK ? moved : status;
}

enum status mend_finish(struct mend *mend)
{
    struct objects parked = {0};
    core_census_bodiless(mend->core, gather_parked, &parked);
    enum status status = for_each(mend, &parked, stand_in);
    if (status == STATUS_OK)
        status = for_all(mend, CENSUS_QUEUE, name_queue);
    if (status == STATUS_OK)
        status = for_all(mend, CENSUS_EXCHANGE, name_exchange);
    if (status == STATUS_OK)
        status = for_all(mend, CENSUS_CLIENT, forget_client);
    core_census(mend->core, &mend->report.found);
    mend->highest_number = mend->report.found.next_message - 1;
    if (status == STATUS_OK)
        status = for_all(mend, CENSUS_QUEUE, mark_queue);
    if (status == STATUS_OK)
        status = begin_anew(mend);
    core_census(mend->core, &mend->report.found);
    return status;
}
