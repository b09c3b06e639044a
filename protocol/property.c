/* Lists that messages, queues and exchanges carry. */
#include "protocol/property.h"

#include "protocol/topic.h"

enum property_type {
    PROPERTY_TYPE_UNKNOWN,
    PROPERTY_TYPE_NUMBER,
    PROPERTY_TYPE_ID,
    PROPERTY_TYPE_TEXT,
};

enum { KIND_SKIPPABLE = 128 };

static enum property_type property_type(enum property_scope scope, uint8_t kind)
{
    static const uint8_t types[][UINT8_MAX + 1] = {
#define PROPERTY(NAME, name, scope, kind, type, text)                                              \
    [PROPERTY_SCOPE_##scope][kind] = PROPERTY_TYPE_##type,
#include "protocol/properties.def"
    };
    return (enum property_type)types[scope][kind];
}

static bool property_is_good(const struct property *property, enum property_scope scope)
{
    switch (property_type(scope, property->kind)) {
    case PROPERTY_TYPE_NUMBER:
        return property->value.bytes == 8;
    case PROPERTY_TYPE_ID:
        return property->value.bytes == 16;
    case PROPERTY_TYPE_TEXT:
        return topic_is_utf8(property->value);
    case PROPERTY_TYPE_UNKNOWN:
        break;
    }
    return property->kind >= KIND_SKIPPABLE;
}

enum status property_check(struct wire_bytes list, enum property_scope scope)
{
    uint64_t seen[4] = {0};
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct property property;
    while (property_next(&r, &property)) {
        uint64_t bit = (uint64_t)1 << (property.kind & 63);
        if ((seen[property.kind >> 6] & bit) != 0 || !property_is_good(&property, scope))
            return STATUS_BAD_PROPERTY;
        seen[property.kind >> 6] |= bit;
    }
    return wire_reader_is_done(&r) ? STATUS_OK : STATUS_BAD_PROPERTY;
}

struct wire_bytes property_find(struct wire_bytes list, uint8_t kind)
{
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct property property;
    while (property_next(&r, &property))
        if (property.kind == kind)
            return property.value;
    return (struct wire_bytes){NULL, 0};
}

uint64_t property_find_number(struct wire_bytes list, uint8_t kind, uint64_t otherwise)
{
    struct wire_bytes value = property_find(list, kind);
    return value.bytes == 8 ? wire_load_u64(value.at) : otherwise;
}

void property_put(struct wire_writer *w, uint8_t kind, struct wire_bytes value)
{
    wire_put_u8(w, kind);
    wire_put_str8(w, value);
}

void property_put_number(struct wire_writer *w, uint8_t kind, uint64_t value)
{
    wire_put_u8(w, kind);
    wire_put_u8(w, 8);
    wire_put_u64(w, value);
}

bool header_next(struct wire_reader *r, struct header *header)
{
    if (r->failed || wire_left(r) == 0)
        return false;
    header->name = wire_get_str8(r);
    header->value = wire_get_str16(r);
    return !r->failed;
}

void header_put(struct wire_writer *w, struct wire_bytes name, struct wire_bytes value)
{
    wire_put_str8(w, name);
    wire_put_str16(w, value);
}

/* FNV-1a, 32 bits (draft-eastlake-fnv): only spreads names over a small table. */
static uint32_t name_hash(struct wire_bytes name)
{
    uint32_t hash = 2166136261U;
    for (uint32_t i = 0; i < name.bytes; i++)
        hash = (hash ^ name.at[i]) * 16777619U;
    return hash;
}

enum { NAME_SLOTS = 2 * HEADER_COUNT_MAX };

/* Remembers a name; false when it was there already. */
static bool name_add(struct wire_bytes slots[NAME_SLOTS], struct wire_bytes name)
{
    uint32_t i = name_hash(name) % NAME_SLOTS;
    while (slots[i].bytes > 0) {
        if (wire_bytes_equal(slots[i], name))
            return false;
        i = (i + 1) % NAME_SLOTS;
    }
    slots[i] = name;
    return true;
}

enum status header_check(struct wire_bytes list, uint32_t count_max, uint32_t bytes_max)
{
    if (list.bytes == 0)
        return STATUS_OK;
    if (list.bytes > bytes_max)
        return STATUS_BAD_HEADER;
    struct wire_bytes slots[NAME_SLOTS] = {{NULL, 0}};
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct header header;
    uint32_t count = 0;
    while (header_next(&r, &header)) {
        if (++count > count_max || count > HEADER_COUNT_MAX || header.name.bytes == 0 ||
            memchr(header.name.at, 0, header.name.bytes) != NULL || !topic_is_utf8(header.name) ||
            !name_add(slots, header.name))
            return STATUS_BAD_HEADER;
    }
    return wire_reader_is_done(&r) ? STATUS_OK : STATUS_BAD_HEADER;
}

bool row_next(struct wire_reader *r, struct row_field *field)
{
    if (r->failed || wire_left(r) == 0)
        return false;
    field->name = wire_get_str8(r);
    uint8_t kind = wire_get_u8(r);
    field->text = (struct wire_bytes){NULL, 0};
    field->number = 0;
    if (kind == ROW_TEXT)
        field->text = wire_get_str16(r);
    else if (kind == ROW_FLAG)
        field->number = wire_get_u8(r);
    else if (kind <= ROW_MILLISECONDS)
        field->number = wire_get_u64(r);
    else
        r->failed = true;
    field->kind = (enum row_kind)kind;
    return !r->failed;
}

void row_put_text(struct wire_writer *w, const char *name, struct wire_bytes text)
{
    wire_put_str8(w, wire_bytes_of_text(name));
    wire_put_u8(w, ROW_TEXT);
    wire_put_str16(w, text);
}

void row_put_number(struct wire_writer *w, const char *name, enum row_kind kind, uint64_t number)
{
    wire_put_str8(w, wire_bytes_of_text(name));
    wire_put_u8(w, (uint8_t)kind);
    if (kind == ROW_FLAG)
        wire_put_u8(w, number != 0);
    else
        wire_put_u64(w, number);
}
