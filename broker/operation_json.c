/* An operation of the journal as a JSON object. */
#include "broker/operation_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/property.h"

/* The names of the kinds of one scope. */
struct kind_name {
    const char *name;
    const char *type;
    enum property_scope scope;
    uint8_t kind;
};

static const struct kind_name kind_names[] = {
#define PROPERTY(NAME, name, scope, kind, type, text) {#name, #type, PROPERTY_SCOPE_##scope, kind},
#include "protocol/properties.def"
};

static json_t *number_json(uint64_t value)
{
    char text[24];
    if (value <= INT64_MAX)
        return json_integer((json_int_t)value);
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}

static char *base64(struct wire_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((size_t)bytes.bytes / 3 * 4 + 5);
    char *to = text;
    if (text == NULL)
        return NULL;
    for (uint32_t i = 0; i < bytes.bytes; i += 3) {
        uint32_t left = bytes.bytes - i;
        unsigned group = (unsigned)bytes.at[i] << 16;
        group |= left > 1 ? (unsigned)bytes.at[i + 1] << 8 : 0;
        group |= left > 2 ? (unsigned)bytes.at[i + 2] : 0;
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[group & 63] : '=';
    }
    *to = '\0';
    return text;
}

/* NULL for what is not UTF-8. */
static json_t *text_json(struct wire_bytes bytes)
{
    return json_stringn(bytes.bytes > 0 ? (const char *)bytes.at : "", bytes.bytes);
}

static void set_bytes(json_t *object, const char *name, struct wire_bytes bytes)
{
    json_t *text = text_json(bytes);
    char other[64];
    if (text != NULL) {
        json_object_set_new(object, name, text);
        return;
    }
    char *encoded = base64(bytes);
    (void)snprintf(other, sizeof other, "%s_base64", name);
    if (encoded != NULL)
        json_object_set_new(object, other, json_string(encoded));
    free(encoded);
}

/* Of the numbers of a list those that have the bit for histories, without it, or the others. */
static json_t *numbers_json(struct wire_bytes list, uint32_t bit)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i + 4 <= list.bytes; i += 4)
        if ((wire_load_u32(list.at + i) & HISTORY_BIT) == bit)
            json_array_append_new(array, json_integer(wire_load_u32(list.at + i) & ~HISTORY_BIT));
    return array;
}

/* Queues, and, if there are any, the exchanges into whose histories the message goes. */
static void set_queues(json_t *object, const char *name, struct wire_bytes list)
{
    json_t *histories = numbers_json(list, HISTORY_BIT);
    json_object_set_new(object, name, numbers_json(list, 0));
    if (json_array_size(histories) > 0)
        json_object_set(object, "histories", histories);
    json_decref(histories);
}

static json_t *ranges_json(struct wire_bytes list)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i + 16 <= list.bytes; i += 16) {
        json_t *range = json_array();
        json_array_append_new(range, number_json(wire_load_u64(list.at + i)));
        json_array_append_new(range, number_json(wire_load_u64(list.at + i + 8)));
        json_array_append_new(array, range);
    }
    return array;
}

/* Of a kind that is not known the name is its number, in `other`. */
static struct kind_name kind_name(enum property_scope scope, uint8_t kind, char other[16])
{
    for (size_t i = 0; i < sizeof kind_names / sizeof kind_names[0]; i++)
        if (kind_names[i].scope == scope && kind_names[i].kind == kind)
            return kind_names[i];
    (void)snprintf(other, 16, "kind_%u", kind);
    return (struct kind_name){other, "TEXT", scope, kind};
}

static json_t *id_json(struct wire_bytes id)
{
    char text[40];
    char *to = text;
    for (uint32_t i = 0; i < 16; i++)
        to += snprintf(to, (size_t)(text + sizeof text - to), "%s%02x",
                       i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id.at[i]);
    return json_string(text);
}

static json_t *properties_json(struct wire_bytes list, enum property_scope scope)
{
    json_t *object = json_object();
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct property property;
    while (property_next(&r, &property)) {
        char other[16];
        struct kind_name kind = kind_name(scope, property.kind, other);
        if (strcmp(kind.type, "ID") == 0 && property.value.bytes == 16)
            json_object_set_new(object, kind.name, id_json(property.value));
        else if (strcmp(kind.type, "NUMBER") == 0 && property.value.bytes == 8)
            json_object_set_new(object, kind.name, number_json(wire_load_u64(property.value.at)));
        else
            set_bytes(object, kind.name, property.value);
    }
    return object;
}

static json_t *headers_json(struct wire_bytes list)
{
    json_t *object = json_object();
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct header header;
    while (header_next(&r, &header)) {
        char name[256];
        (void)snprintf(name, sizeof name, "%.*s", (int)header.name.bytes,
                       (const char *)header.name.at);
        json_t *value = text_json(header.value);
        json_object_set_new(object, name, value != NULL ? value : json_null());
    }
    return object;
}

/* Fields that are more than bytes are known by their names. */
static void set_list(json_t *object, const char *operation, const char *name,
                     struct wire_bytes bytes)
{
    if (strcmp(name, "queues") == 0)
        set_queues(object, name, bytes);
    else if (strcmp(name, "done") == 0)
        json_object_set_new(object, name, ranges_json(bytes));
    else if (strcmp(name, "headers") == 0 || strcmp(name, "filter") == 0)
        json_object_set_new(object, name, headers_json(bytes));
    else if (strcmp(name, "properties") == 0 || strcmp(name, "kin") == 0)
        json_object_set_new(object, name, properties_json(bytes, PROPERTY_SCOPE_MESSAGE));
    else if (strcmp(name, "settings") == 0)
        json_object_set_new(object, name,
                            properties_json(bytes, strcmp(operation, "QUEUE") == 0
                                                       ? PROPERTY_SCOPE_QUEUE
                                                       : PROPERTY_SCOPE_EXCHANGE));
    else
        set_bytes(object, name, bytes);
}

static void set_number(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, number_json(value));
}

/* What a FIELD line calls, by its kind. */
#define SET_id(name)                                                                               \
    json_object_set_new(object, #name,                                                             \
                        id_json(wire_bytes_of(fields->name.byte, sizeof fields->name.byte)))
#define SET_u8(name) set_number(object, #name, fields->name)
#define SET_u16(name) set_number(object, #name, fields->name)
#define SET_u32(name) set_number(object, #name, fields->name)
#define SET_u64(name) set_number(object, #name, fields->name)
#define SET_str8(name) set_list(object, operation_name, #name, fields->name)
#define SET_str16(name) set_list(object, operation_name, #name, fields->name)
#define SET_str32(name) set_list(object, operation_name, #name, fields->name)

#define OPERATION(NAME, name, type, urgency, text)                                                 \
    static void set_##name(json_t *object, const struct operation_##name *fields)                  \
    {                                                                                              \
        static const char operation_name[] = #NAME;                                                \
        json_object_set_new(object, "operation", json_string(operation_name));
#define FIELD(kind, name, text) SET_##kind(name);
#define OPERATION_END(NAME, name) }
#include "broker/store/records.def"

json_t *operation_json(const struct operation *operation)
{
    json_t *object = json_object();
    switch (operation->type) {
#define OPERATION(NAME, name, type, urgency, text)                                                 \
    case OPERATION_##NAME:                                                                         \
        set_##name(object, &operation->as.name);                                                   \
        break;
#include "broker/store/records.def"
    case OPERATION_TYPE_COUNT:
        break;
    }
    return object;
}
