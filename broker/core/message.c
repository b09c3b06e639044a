/* A message in memory. */
#include "broker/core/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/state.h"
#include "broker/core/tracked.h"
#include "protocol/property.h"

struct message *message_new(struct core *core, const struct operation_message *operation)
{
    size_t bytes = record_size_message(operation);
    if (bytes > core->limits.transient_bytes_max - core->transient_bytes) {
        sys_memory_is_full(core);
        return NULL;
    }
    struct message *message = malloc(sizeof *message + bytes);
    if (message == NULL)
        return NULL;
    /* Places keep pointers in 48 bits: user space on every machine that we run on lies below. */
    assert(((uint64_t)(uintptr_t)message & ~PLACE_POSITION_MASK) == 0);
    message->ref_count = 1;
    message->bytes = (uint32_t)bytes;
    message->call = NULL;
    message->is_unheard = false;
    struct wire_writer w = wire_writer_of(message->operation, bytes);
    record_put_message(&w, operation);
    core->transient_bytes += bytes;
    return message;
}

void message_ref(struct message *message, uint32_t count)
{
    message->ref_count += count;
}

void message_unref(struct core *core, struct message *message)
{
    if (--message->ref_count > 0)
        return;
    core->transient_bytes -= message->bytes;
    free(message);
}

uint32_t message_counted_bytes(const struct operation_message *operation)
{
    return operation->body.bytes + operation->headers.bytes;
}

static const struct message_terms plain = {
    .is_plain = true,
    .priority = ASIDE_PRIORITY_DEFAULT,
    .deadline_ms = UINT64_MAX,
    .leaves_ms = UINT64_MAX,
    .retry = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
};

struct message_terms message_terms_plain(void)
{
    return plain;
}

static uint64_t after(uint64_t time_ms, uint64_t by_ms)
{
    return by_ms > UINT64_MAX - time_ms ? UINT64_MAX : time_ms + by_ms;
}

static uint64_t earlier_of(uint64_t a_ms, uint64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

static uint64_t later_of(uint64_t a_ms, uint64_t b_ms)
{
    return a_ms > b_ms ? a_ms : b_ms;
}

/* A time or a number that a property of its own asks for. False: it is another kind. */
static bool take_number(struct message_terms *terms, uint8_t kind, uint64_t value)
{
    uint64_t accepted_ms = terms->accepted_ms;
    switch (kind) {
    case PROPERTY_MESSAGE_PRIORITY:
        terms->priority = (uint8_t)value;
        return true;
    case PROPERTY_MESSAGE_DUE:
        terms->due_ms = later_of(terms->due_ms, value);
        return true;
    case PROPERTY_MESSAGE_DELAY:
        terms->due_ms = later_of(terms->due_ms, after(accepted_ms, value));
        return true;
    case PROPERTY_MESSAGE_DEADLINE:
        terms->deadline_ms = earlier_of(terms->deadline_ms, value);
        break;
    case PROPERTY_MESSAGE_TIMEOUT:
        terms->deadline_ms = earlier_of(terms->deadline_ms, after(accepted_ms, value));
        break;
    case PROPERTY_MESSAGE_TTL:
        terms->leaves_ms = after(accepted_ms, value);
        break;
    case PROPERTY_MESSAGE_TRACK:
        terms->is_tracked = value != 0;
        break;
    case PROPERTY_MESSAGE_ATTEMPTS:
        terms->retry.attempts_max = value;
        break;
    case PROPERTY_MESSAGE_BACKOFF:
        terms->retry.backoff_ms = value;
        break;
    case PROPERTY_MESSAGE_BACKOFF_MAX:
        terms->retry.backoff_max_ms = value;
        break;
    case PROPERTY_MESSAGE_RETRY_FOR:
        terms->retry.retry_for_ms = value;
        break;
    default:
        return false;
    }
    terms->needs_ward = true;
    return true;
}

/* False: it asks for nothing. */
static bool take_term(struct message_terms *terms, const struct property *property)
{
    if (property->kind == PROPERTY_MESSAGE_KEY)
        terms->key = property->value;
    else if (property->kind == PROPERTY_MESSAGE_LANE)
        terms->lane = property->value;
    else if (property->kind == PROPERTY_MESSAGE_REPLY_TO)
        terms->reply_to = property->value;
    else if (property->value.bytes == 8)
        return take_number(terms, property->kind, wire_load_u64(property->value.at));
    else
        return false;
    terms->needs_ward = true;
    return true;
}

void message_terms(const struct operation_message *operation, struct message_terms *terms)
{
    *terms = plain;
    terms->accepted_ms = operation->time_ms;
    struct wire_reader r = wire_reader_of(operation->properties.at, operation->properties.bytes);
    struct property property;
    while (operation->properties.bytes > 0 && property_next(&r, &property)) {
        if (property.kind == PROPERTY_MESSAGE_ID) {
            terms->has_id = true;
            memcpy(terms->id.byte, property.value.at, sizeof terms->id.byte);
        } else if (property.kind == PROPERTY_MESSAGE_PARENT) {
            memcpy(terms->parent.byte, property.value.at, sizeof terms->parent.byte);
        } else if (property.kind == PROPERTY_MESSAGE_REPAIRS) {
            memcpy(terms->repairs.byte, property.value.at, sizeof terms->repairs.byte);
        } else if (property.kind == PROPERTY_MESSAGE_CORRELATION) {
            terms->correlation = property.value;
        } else if (property.kind <= PROPERTY_MESSAGE_LANE && take_term(terms, &property)) {
            terms->is_only_laned = terms->is_plain && terms->lane.bytes > 0;
            terms->is_plain = false;
        }
    }
    if (terms->is_tracked)
        terms->digest = tracked_digest(operation->body);
}

void message_terms_repair(struct message_terms *terms, const struct repair *repair)
{
    terms->due_ms = 0;
    terms->deadline_ms = terms->leaves_ms = UINT64_MAX;
    terms->accepted_ms = repair->time_ms;
    terms->repairs = wire_id_is_zero(&repair->repairs) ? terms->id : repair->repairs;
    terms->id = repair->id;
    terms->has_id = true;
    terms->parent = (struct wire_id){{0}};
    terms->key = (struct wire_bytes){NULL, 0};
}

struct wire_bytes message_repair_properties(unsigned char room[MESSAGE_REPAIR_BYTES_MAX],
                                            struct wire_bytes properties, struct wire_id id,
                                            struct wire_id repairs)
{
    struct wire_writer w = wire_writer_of(room, MESSAGE_REPAIR_BYTES_MAX);
    struct wire_reader r = wire_reader_of(properties.at, properties.bytes);
    struct property property;
    property_put(&w, PROPERTY_MESSAGE_ID, wire_bytes_of(id.byte, sizeof id.byte));
    while (properties.bytes > 0 && property_next(&r, &property)) {
        if (property.kind == PROPERTY_MESSAGE_ID && wire_id_is_zero(&repairs))
            memcpy(repairs.byte, property.value.at, sizeof repairs.byte);
        if (property.kind != PROPERTY_MESSAGE_ID && property.kind != PROPERTY_MESSAGE_REPAIRS)
            property_put(&w, property.kind, property.value);
    }
    if (!wire_id_is_zero(&repairs))
        property_put(&w, PROPERTY_MESSAGE_REPAIRS,
                     wire_bytes_of(repairs.byte, sizeof repairs.byte));
    return wire_bytes_of(room, (uint32_t)wire_written(&w));
}
