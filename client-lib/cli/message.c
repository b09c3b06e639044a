/* A received message, printed. */
#include "client-lib/cli/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void set_text(json_t *object, const char *name, const char *text, size_t bytes)
{
    if (text != NULL)
        json_object_set_new(object, name, json_stringn(text, bytes));
}

static json_t *headers_json(const struct herald_message *message)
{
    struct herald_header header;
    json_t *object = json_object();
    for (size_t i = 0; herald_message_header_at(message, i, &header) != 0; i++) {
        char name[256];
        size_t bytes = header.name_bytes < sizeof name ? header.name_bytes : sizeof name - 1;
        memcpy(name, header.name, bytes);
        name[bytes] = '\0';
        /* A value that is not UTF-8 has no form as text: it is null. */
        json_t *value = json_stringn(header.value, header.value_bytes);
        json_object_set_new(object, name, value != NULL ? value : json_null());
    }
    return object;
}

static void set_id(json_t *object, const char *name, const unsigned char *id)
{
    char text[37];
    if (id == NULL)
        return;
    herald_id_print(id, text);
    json_object_set_new(object, name, json_string(text));
}

/* Of an event of an exchange with history. */
static void set_place(json_t *object, const struct herald_message *message)
{
    size_t bytes;
    uint64_t sequence = herald_message_sequence(message);
    uint64_t version = herald_message_version(message);
    const char *entity = herald_message_entity(message, &bytes);
    if (sequence != 0)
        json_object_set_new(object, "sequence", json_integer((json_int_t)sequence));
    set_text(object, "entity", entity, bytes);
    if (version != 0)
        json_object_set_new(object, "version", json_integer((json_int_t)version));
    if (herald_message_is_snapshot(message))
        json_object_set_new(object, "snapshot", json_true());
}

json_t *message_json(struct herald_message *message)
{
    json_t *object = json_object();
    size_t bytes;
    const unsigned char *id = herald_message_id(message);
    if (herald_message_exchange(message)[0] != '\0') {
        json_object_set_new(object, "exchange", json_string(herald_message_exchange(message)));
        json_object_set_new(object, "key", json_string(herald_message_key(message)));
    }
    json_object_set_new(object, "number", json_integer((json_int_t)herald_message_number(message)));
    set_id(object, "id", id);
    set_id(object, "outcome_of", herald_message_outcome_of(message));
    set_id(object, "repairs", herald_message_repairs(message));
    json_object_set_new(object, "attempt", json_integer(herald_message_attempt(message)));
    json_object_set_new(object, "redelivered",
                        json_boolean(herald_message_is_redelivered(message) != 0));
    json_object_set_new(object, "time_ms",
                        json_integer((json_int_t)herald_message_time_ms(message)));
    const char *text = herald_message_content_type(message, &bytes);
    set_text(object, "content_type", text, bytes);
    text = herald_message_correlation(message, &bytes);
    set_text(object, "correlation", text, bytes);
    set_place(object, message);
    json_object_set_new(object, "headers", headers_json(message));
    output_set_body(object, herald_message_body(message), herald_message_body_bytes(message));
    return object;
}

void message_print(struct output *output, struct herald_message *message, enum message_style style)
{
    if (output->format != OUTPUT_TABLE) {
        output_json_take(output, message_json(message));
        return;
    }
    if (style == MESSAGE_VERSION_KEY_AND_BODY) {
        char version[32];
        int bytes =
            snprintf(version, sizeof version, "%" PRIu64 " ", herald_message_version(message));
        output_write(output, version, (size_t)bytes);
    }
    if (style != MESSAGE_BODY) {
        const char *key = herald_message_key(message);
        output_write(output, key, strlen(key));
        output_write(output, " ", 1);
    }
    output_body(output, herald_message_body(message), herald_message_body_bytes(message));
}
