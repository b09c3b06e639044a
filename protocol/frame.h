/* Frames: header, the struct of each type, encoding, decoding, and who may send what and when.
 *
 * A frame is a header of 16 bytes and the fields of its type:
 *
 *     0        4      5       6        8                16
 *     | length | type | flags | zero   | tag            | fields ...
 *
 * length counts the whole frame, header included. All is made from frames.def.
 */
#ifndef HERALD_FRAME_H
#define HERALD_FRAME_H

#include "protocol/status.h"
#include "protocol/wire.h"

enum {
    FRAME_HEADER_BYTES = 16,
    FRAME_MAGIC_BYTES = 8,
    FRAME_VERSION = 1,
    /* Largest frame before authentication. */
    FRAME_BYTES_MIN = 4096,
};

/* The client's first eight bytes; the last two are the major version and zero. */
extern const unsigned char frame_magic[FRAME_MAGIC_BYTES];

enum frame_type {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text) FRAME_##NAME = type,
#include "protocol/frames.def"
    FRAME_TYPE_COUNT = 0x66,
};

enum frame_sender {
    FRAME_SENDER_CLIENT = 1,
    FRAME_SENDER_BROKER = 2,
    FRAME_SENDER_BOTH = 3,
};

enum frame_phase {
    FRAME_PHASE_HELLO, /* nothing but the hello yet */
    FRAME_PHASE_AUTH,  /* hello done, not authenticated */
    FRAME_PHASE_OPEN,
};

enum frame_line {
    FRAME_LINE_NONE,
    FRAME_LINE_LINE,
    FRAME_LINE_CALL,
    FRAME_LINE_QUERY,
    FRAME_LINE_ANSWER,
};

/* Flag bits by frame; see frames.def. */
enum {
    FLAG_TRANSIENT = 0x01,
    FLAG_CONFIRM = 0x02,
    FLAG_DURABLE = 0x01,
    FLAG_LAST = 0x01,
    FLAG_REDELIVERED = 0x01,
    FLAG_CALL = 0x02,
    FLAG_QUEUE_TRANSIENT = 0x01,
    FLAG_QUEUE_EXCLUSIVE = 0x02,
    FLAG_QUEUE_AUTO_DELETE = 0x04,
    FLAG_TO_EXCHANGE = 0x01,
    FLAG_IF_EMPTY = 0x01,
    FLAG_IF_UNUSED = 0x02,
    FLAG_BACKWARD = 0x01,
    FLAG_FROM_SNAPSHOT = 0x02,
};

enum frame_outcome_state {
    OUTCOME_DONE = 0,
    OUTCOME_FAILED = 1,
};

enum frame_outcome_ran {
    OUTCOME_NOT_RUN = 0,
    OUTCOME_MAYBE_RUN = 1,
    OUTCOME_RAN = 2,
};

/* Where a tracked command is in its life. */
enum frame_command_phase {
    COMMAND_SCHEDULED = 0,
    COMMAND_READY = 1,
    COMMAND_RUNNING = 2,
    COMMAND_RETRYING = 3,
    COMMAND_DONE = 4,
    COMMAND_FAILED = 5,
};

/* What PEEK looks at, and what it finds. */
enum frame_peek_what {
    PEEK_WAITING = 0,
    PEEK_PARKED = 1,
};

enum frame_peeked_state {
    PEEKED_WAITING = 0,
    PEEKED_READY = 1,
    PEEKED_RUNNING = 2,
    PEEKED_PARKED = 3,
};

/* When the last answer about one is wanted. */
enum frame_command_until {
    COMMAND_NOW = 0,
    COMMAND_OUTCOME = 1,
    COMMAND_CHANGES = 2,
};

enum frame_fail_class {
    FAIL_RETRYABLE = 0,
    FAIL_PERMANENT = 1,
    FAIL_BUSY = 2,
};

/* Where in a history a reader begins. */
enum frame_follow_from {
    FOLLOW_NEXT = 0,
    FOLLOW_FIRST = 1,
    FOLLOW_SEQUENCE = 2,
    FOLLOW_TIME = 3,
    FOLLOW_LAST = 4,
};

/* What a sender may expect of an entity besides its version. */
#define EXPECT_NONE UINT64_C(0)
#define EXPECT_EXISTS (UINT64_MAX - 1)
#define EXPECT_ANY UINT64_MAX

/* What a backup may hold. */
enum frame_backup_content {
    BACKUP_ALL = 1,
};

/* Subjects of a query, and what `name` and `key` mean to them. */
enum frame_query_subject {
    QUERY_QUEUES = 1,      /* all queues, a page at a time */
    QUERY_QUEUE = 2,       /* one queue: name */
    QUERY_EXCHANGES = 3,   /* all exchanges, a page at a time */
    QUERY_EXCHANGE = 4,    /* one exchange: name */
    QUERY_BINDINGS = 5,    /* bindings of an exchange: name */
    QUERY_ROUTE = 6,       /* the bindings an event would pass: exchange in name, key, headers */
    QUERY_STATS = 7,       /* the broker's counters, one row each */
    QUERY_CONNECTIONS = 8, /* all connections, a page at a time */
    QUERY_PARKED = 9,      /* parked commands of a queue, a page at a time: name */
    QUERY_ATTEMPTS = 10,   /* failed attempts of a message: queue in name, its number in key */
    QUERY_EXPLAIN = 16,    /* likewise all bindings, and why it would not pass the others */
};

struct frame_header {
    uint32_t length;
    uint8_t type;
    uint8_t flags;
    uint16_t zero;
    uint64_t tag;
};

#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text) struct frame_##name {
#define FIELD(kind, name, text) wire_type_##kind name;
#define FRAME_END(NAME, name)                                                                      \
    }                                                                                              \
    ;
#include "protocol/frames.def"

/* A decoded frame; byte fields point into the buffer that was decoded. */
struct frame {
    struct frame_header header;
    union {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text) struct frame_##name name;
#include "protocol/frames.def"
    } as;
};

static inline struct frame_header frame_header_load(const unsigned char at[FRAME_HEADER_BYTES])
{
    return (struct frame_header){wire_load_u32(at), at[4], at[5], wire_load_u16(at + 6),
                                 wire_load_u64(at + 8)};
}

static inline void frame_header_store(unsigned char at[FRAME_HEADER_BYTES],
                                      const struct frame_header *header)
{
    wire_store_u32(at, header->length);
    at[4] = header->type;
    at[5] = header->flags;
    wire_store_u16(at + 6, header->zero);
    wire_store_u64(at + 8, header->tag);
}

/* Whether `sender` may send a frame with this header in this phase, and whether its size is within
 * the limit: all that can be known before the rest of the frame is there. STATUS_OK or a status
 * that closes the connection. */
enum status frame_check(const struct frame_header *header, enum frame_sender sender,
                        enum frame_phase phase, uint32_t frame_bytes_max);

/* Decodes the fields of a frame whose header was checked; `at` are the header.length bytes of the
 * whole frame. STATUS_MALFORMED when the fields do not fill it exactly. */
enum status frame_decode(struct frame *frame, const unsigned char *at);

/* Size of the whole frame when encoded. */
size_t frame_encoded_bytes(const struct frame *frame);

/* Writes the frame, header included; header.length is set from the fields. False when the room does
 * not suffice or a field is too long for its kind; then nothing useful was written. */
bool frame_encode(struct wire_writer *w, struct frame *frame);

/* "SEND", or "UNKNOWN". Static storage. */
const char *frame_name(unsigned type);

enum frame_line frame_line(unsigned type);
bool frame_is_known(unsigned type);

/* Encoders of one type each, for paths that know what they send: the header is written around them.
 */
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    bool frame_put_##name(struct wire_writer *w, uint8_t flag_bits, uint64_t tag,                  \
                          const struct frame_##name *fields);
#include "protocol/frames.def"

#endif
