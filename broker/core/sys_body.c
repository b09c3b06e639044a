/* The bodies of events on the exchange `$sys`. */
#include "broker/core/sys_body.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "protocol/topic.h"

enum { TEXT_BYTES_MAX = 512 };

static void put(struct wire_writer *w, const char *text)
{
    wire_put_rest(w, wire_bytes_of_text(text));
}

static void put_name(struct wire_writer *w, const char *name)
{
    put(w, wire_written(w) > 1 ? ",\"" : "\"");
    put(w, name);
    put(w, "\":");
}

static void put_number(struct wire_writer *w, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put_name(w, name);
    put(w, text);
}

static void put_character(struct wire_writer *w, unsigned char c)
{
    char text[8] = {(char)c};
    if (c == '"' || c == '\\')
        snprintf(text, sizeof text, "\\%c", c);
    else if (c < 0x20)
        snprintf(text, sizeof text, "\\u%04x", c);
    put(w, text);
}

/* What is no UTF-8 or too long is left out. */
static void put_text(struct wire_writer *w, const char *name, struct wire_bytes text)
{
    uint32_t count = text.bytes <= TEXT_BYTES_MAX && topic_is_utf8(text) ? text.bytes : 0;
    put_name(w, name);
    put(w, "\"");
    for (uint32_t i = 0; i < count; i++)
        put_character(w, text.at[i]);
    put(w, "\"");
}

static void put_fields(struct wire_writer *w, const struct sys_event *event)
{
    switch (event->type) {
#define SYS(NAME, name, key, text)                                                                 \
    case SYS_##NAME: {                                                                             \
        const struct sys_##name *as = &event->as.name;
#define SYS_NUMBER(field, text) put_number(w, #field, as->field);
#define SYS_TEXT(field, text) put_text(w, #field, as->field);
#define SYS_END(NAME, name)                                                                        \
    break;                                                                                         \
    }
#include "broker/core/sys.def"
    }
}

uint32_t sys_body_put(unsigned char *at, const struct sys_event *event, uint64_t time_ms)
{
    struct wire_writer w = wire_writer_of(at, SYS_BODY_BYTES_MAX);
    put(&w, "{");
    put_number(&w, "time_ms", time_ms);
    put_fields(&w, event);
    put(&w, "}");
    assert(!w.failed);
    return (uint32_t)wire_written(&w);
}
