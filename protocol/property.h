/* Lists that messages, queues and exchanges carry: properties, settings and headers.
 *
 * What may stand in them is declared in properties.def. A list is checked once, where it enters;
 * afterwards it is only read.
 */
#ifndef HERALD_PROPERTY_H
#define HERALD_PROPERTY_H

#include "protocol/status.h"
#include "protocol/wire.h"

enum property_scope {
    PROPERTY_SCOPE_MESSAGE,
    PROPERTY_SCOPE_QUEUE,
    PROPERTY_SCOPE_EXCHANGE,
};

enum property_message {
    PROPERTY_MESSAGE_NONE,
#define PROPERTY_AT_MESSAGE(NAME, kind) PROPERTY_MESSAGE_##NAME = kind,
#define PROPERTY_AT_QUEUE(NAME, kind)
#define PROPERTY_AT_EXCHANGE(NAME, kind)
#define PROPERTY(NAME, name, scope, kind, type, text) PROPERTY_AT_##scope(NAME, kind)
#include "protocol/properties.def"
#undef PROPERTY_AT_MESSAGE
#undef PROPERTY_AT_QUEUE
};

enum property_queue {
    PROPERTY_QUEUE_NONE,
#define PROPERTY_AT_MESSAGE(NAME, kind)
#define PROPERTY_AT_QUEUE(NAME, kind) PROPERTY_QUEUE_##NAME = kind,
#define PROPERTY(NAME, name, scope, kind, type, text) PROPERTY_AT_##scope(NAME, kind)
#include "protocol/properties.def"
#undef PROPERTY_AT_QUEUE
#define PROPERTY_AT_QUEUE(NAME, kind)
#undef PROPERTY_AT_EXCHANGE
};

enum property_exchange {
    PROPERTY_EXCHANGE_NONE,
#define PROPERTY_AT_EXCHANGE(NAME, kind) PROPERTY_EXCHANGE_##NAME = kind,
#define PROPERTY(NAME, name, scope, kind, type, text) PROPERTY_AT_##scope(NAME, kind)
#include "protocol/properties.def"
#undef PROPERTY_AT_MESSAGE
#undef PROPERTY_AT_QUEUE
#undef PROPERTY_AT_EXCHANGE
};

struct property {
    uint8_t kind;
    struct wire_bytes value;
};

/* Whole entries, each kind at most once, known kinds of the right length.
 * STATUS_OK or STATUS_BAD_PROPERTY. */
enum status property_check(struct wire_bytes list, enum property_scope scope);

/* The next entry; false at the end. Start with a reader over the list. */
static inline bool property_next(struct wire_reader *r, struct property *property)
{
    if (r->failed || wire_left(r) == 0)
        return false;
    property->kind = wire_get_u8(r);
    property->value = wire_get_str8(r);
    return !r->failed;
}

/* The value of a kind, or of 0 bytes with at == NULL when the list does not have it. */
struct wire_bytes property_find(struct wire_bytes list, uint8_t kind);

/* The value as a number, `otherwise` when the list does not have it. */
uint64_t property_find_number(struct wire_bytes list, uint8_t kind, uint64_t otherwise);

void property_put(struct wire_writer *w, uint8_t kind, struct wire_bytes value);
void property_put_number(struct wire_writer *w, uint8_t kind, uint64_t value);

/* Headers: a run of name (str8) and value (str16). Names are 1 to 255 bytes of UTF-8 without NUL,
 * each at most once; values are opaque. */
struct header {
    struct wire_bytes name;
    struct wire_bytes value;
};

/* More headers than this cannot be allowed by any option: it bounds the check. */
enum { HEADER_COUNT_MAX = 256 };

/* STATUS_OK or STATUS_BAD_HEADER, also for more than count_max headers or bytes_max bytes. */
enum status header_check(struct wire_bytes list, uint32_t count_max, uint32_t bytes_max);

bool header_next(struct wire_reader *r, struct header *header);
void header_put(struct wire_writer *w, struct wire_bytes name, struct wire_bytes value);

/* Fields of a ROW frame: name (str8), kind (u8), value by kind. */
enum row_kind {
    ROW_TEXT,         /* str16 */
    ROW_NUMBER,       /* u64 */
    ROW_FLAG,         /* u8, 0 or 1 */
    ROW_BYTES,        /* u64, a size in bytes */
    ROW_MILLISECONDS, /* u64, a duration */
};

struct row_field {
    struct wire_bytes name;
    enum row_kind kind;
    struct wire_bytes text; /* ROW_TEXT */
    uint64_t number;        /* the other kinds */
};

/* The next field; false at the end or where the row is malformed: r->failed tells. */
bool row_next(struct wire_reader *r, struct row_field *field);
void row_put_text(struct wire_writer *w, const char *name, struct wire_bytes text);
void row_put_number(struct wire_writer *w, const char *name, enum row_kind kind, uint64_t number);

#endif
