/* Entities: what their events say of themselves. */
#include "client-lib/client.h"

uint64_t herald_message_sequence(const struct herald_message *message)
{
    return property_find_number(message->fields.properties, PROPERTY_MESSAGE_SEQUENCE, 0);
}

const char *herald_message_entity(const struct herald_message *message, size_t *bytes)
{
    struct wire_bytes value = property_find(message->fields.properties, PROPERTY_MESSAGE_ENTITY);
    *bytes = value.bytes;
    return (const char *)value.at;
}

uint64_t herald_message_version(const struct herald_message *message)
{
    return property_find_number(message->fields.properties, PROPERTY_MESSAGE_VERSION, 0);
}

int herald_message_is_snapshot(const struct herald_message *message)
{
    return property_find_number(message->fields.properties, PROPERTY_MESSAGE_SNAPSHOT, 0) == 1;
}
