/* The environment of a program that handles a message. */
#include "client-lib/cli/environment.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-lib/cli/child.h"

static const char header_prefix[] = "HERALD_HEADER_";

enum {
    OWN_COUNT = 13,
    HEADERS_MAX = 64,
};

/* HERALD_URL and the settings of the daemon are passed on, what belongs to another message is not.
 */
static bool is_inherited(const char *entry)
{
    static const char *const own[] = {
        "HERALD_ID=",          "HERALD_QUEUE=",       "HERALD_NUMBER=",      "HERALD_ATTEMPT=",
        "HERALD_FENCE=",       "HERALD_CHECKPOINT=",  "HERALD_LAST_CODE=",   "HERALD_LAST_TEXT=",
        "HERALD_DEADLINE_MS=", "HERALD_PROGRESS_FD=", "HERALD_REDELIVERED=", "HERALD_EXCHANGE=",
        "HERALD_KEY=",         header_prefix,
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strncmp(entry, own[i], strlen(own[i])) == 0)
            return false;
    }
    return true;
}

char *environment_make_header(const struct herald_header *header)
{
    size_t prefix = sizeof header_prefix - 1;
    char *text = malloc(prefix + header->name_bytes + 1 + header->value_bytes + 1);
    if (text == NULL)
        return NULL;
    memcpy(text, header_prefix, prefix);
    char *to = text + prefix;
    for (size_t i = 0; i < header->name_bytes; i++) {
        char c = header->name[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        *to++ = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
    }
    *to++ = '=';
    if (header->value_bytes > 0)
        memcpy(to, header->value, header->value_bytes);
    to[header->value_bytes] = '\0';
    return text;
}

static bool has_name(char *const *entries, const char *entry)
{
    size_t bytes = strcspn(entry, "=") + 1;
    for (; *entries != NULL; entries++) {
        if (strncmp(*entries, entry, bytes) == 0)
            return true;
    }
    return false;
}

static char *make_entry(const char *name, const char *value)
{
    char *text;
    return asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text;
}

static char *make_number(const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return make_entry(name, text);
}

/* The value is not NUL-terminated; where a NUL is in it, the environment ends it there. */
static char *make_bytes(const char *name, const void *value, size_t bytes)
{
    char *text;
    return asprintf(&text, "%s=%.*s", name, (int)bytes, bytes > 0 ? (const char *)value : "") < 0
               ? NULL
               : text;
}

/* Adds what tells about the message; false: no memory. *to is moved on and ends with NULL. */
static bool add_message(char ***to, struct herald_message *message, const char *queue)
{
    char id_text[37] = "";
    const unsigned char *id = herald_message_id(message);
    if (id != NULL)
        herald_id_print(id, id_text);
    size_t checkpoint_bytes;
    size_t code_bytes;
    size_t text_bytes;
    const void *checkpoint = herald_message_checkpoint(message, &checkpoint_bytes);
    const char *last_code = herald_message_last_code(message, &code_bytes);
    const char *last_text = herald_message_last_text(message, &text_bytes);
    char *entries[OWN_COUNT] = {
        make_entry("HERALD_ID", id_text),
        make_entry("HERALD_QUEUE", queue),
        make_number("HERALD_NUMBER", herald_message_number(message)),
        make_number("HERALD_ATTEMPT", herald_message_attempt(message)),
        make_number("HERALD_REDELIVERED", herald_message_is_redelivered(message) != 0),
        make_number("HERALD_FENCE", herald_message_fence(message)),
        make_number("HERALD_DEADLINE_MS", herald_message_deadline_ms(message)),
        make_number("HERALD_PROGRESS_FD", CHILD_PROGRESS_FD),
        make_bytes("HERALD_CHECKPOINT", checkpoint, checkpoint_bytes),
        make_bytes("HERALD_LAST_CODE", last_code, code_bytes),
        make_bytes("HERALD_LAST_TEXT", last_text, text_bytes),
        make_entry("HERALD_EXCHANGE", herald_message_exchange(message)),
        make_entry("HERALD_KEY", herald_message_key(message)),
    };
    bool is_event = herald_message_exchange(message)[0] != '\0';
    bool has_all = true;
    for (size_t i = 0; i < OWN_COUNT; i++) {
        has_all = has_all && entries[i] != NULL;
        if (entries[i] != NULL && (is_event || i < OWN_COUNT - 2))
            *(*to)++ = entries[i];
        else
            free(entries[i]);
    }
    return has_all;
}

static bool add_headers(char ***to, const struct herald_message *message)
{
    struct herald_header header;
    char **first = *to;
    for (size_t i = 0; i < HEADERS_MAX && herald_message_header_at(message, i, &header) != 0; i++) {
        char *entry = environment_make_header(&header);
        if (entry == NULL)
            return false;
        if (has_name(first, entry))
            free(entry);
        else
            *(*to)++ = entry;
    }
    return true;
}

char **environment_new(struct herald_message *message, const char *queue)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **environment = calloc(count + OWN_COUNT + HEADERS_MAX + 1, sizeof *environment);
    char **to = environment;
    if (environment == NULL)
        return NULL;
    bool is_whole = add_message(&to, message, queue) && add_headers(&to, message);
    for (size_t i = 0; is_whole && i < count; i++) {
        if (!is_inherited(environ[i]))
            continue;
        *to = strdup(environ[i]);
        is_whole = *to++ != NULL;
    }
    if (is_whole)
        return environment;
    environment_free(environment);
    return NULL;
}

void environment_free(char **environment)
{
    if (environment == NULL)
        return;
    for (char **entry = environment; *entry != NULL; entry++)
        free(*entry);
    free(environment);
}
