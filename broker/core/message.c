/* A message in memory. */
#include "broker/core/message.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/state.h"
#include "protocol/property.h"

struct message *message_new(struct core *core, const struct operation_message *operation)
{
    size_t bytes = record_size_message(operation);
    if (bytes > core->limits.transient_bytes_max - core->transient_bytes)
        return NULL;
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

struct message_order message_order(const struct operation_message *operation)
{
    struct message_order order = {.is_plain = true, .priority = ASIDE_PRIORITY_DEFAULT};
    struct wire_reader r = wire_reader_of(operation->properties.at, operation->properties.bytes);
    struct property property;
    while (operation->properties.bytes > 0 && property_next(&r, &property)) {
        if (property.kind > PROPERTY_MESSAGE_PRIORITY || property.kind == PROPERTY_MESSAGE_ID)
            continue;
        uint64_t value = wire_load_u64(property.value.at);
        order.is_plain = false;
        if (property.kind == PROPERTY_MESSAGE_PRIORITY)
            order.priority = (uint8_t)value;
        else if (property.kind == PROPERTY_MESSAGE_DUE)
            order.due_ms = value;
        else
            order.due_ms =
                value > UINT64_MAX - operation->time_ms ? UINT64_MAX : operation->time_ms + value;
    }
    return order;
}
