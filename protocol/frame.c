/* Frames: what frames.def says, as tables and code. */
#include "protocol/frame.h"

const unsigned char frame_magic[FRAME_MAGIC_BYTES] = {'H', 'E', 'R', 'A', 'L', 'D', 1, 0};

struct frame_entry {
    const char *name;
    enum frame_sender sender;
    enum frame_phase phase;
    enum frame_line line;
    uint8_t flags;
};

static const struct frame_entry entries[FRAME_TYPE_COUNT] = {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    [type] = {#NAME, FRAME_SENDER_##sender, FRAME_PHASE_##phase, FRAME_LINE_##line, flag_mask},
#include "protocol/frames.def"
};

bool frame_is_known(unsigned type)
{
    return type < FRAME_TYPE_COUNT && entries[type].name != NULL;
}

const char *frame_name(unsigned type)
{
    return frame_is_known(type) ? entries[type].name : "UNKNOWN";
}

enum frame_line frame_line(unsigned type)
{
    return frame_is_known(type) ? entries[type].line : FRAME_LINE_NONE;
}

enum status frame_check(const struct frame_header *header, enum frame_sender sender,
                        enum frame_phase phase, uint32_t frame_bytes_max)
{
    if (header->length < FRAME_HEADER_BYTES)
        return STATUS_MALFORMED;
    if (!frame_is_known(header->type))
        return STATUS_UNKNOWN_FRAME;
    const struct frame_entry *entry = &entries[header->type];
    if ((entry->sender & sender) == 0)
        return STATUS_UNEXPECTED_FRAME;
    if (entry->phase > phase)
        return phase == FRAME_PHASE_HELLO && entry->phase == FRAME_PHASE_AUTH
                   ? STATUS_UNEXPECTED_FRAME
                   : STATUS_NOT_AUTHENTICATED;
    if (entry->phase < phase && header->type != FRAME_CLOSE)
        return STATUS_UNEXPECTED_FRAME;
    if ((header->flags & ~entry->flags) != 0 || header->zero != 0)
        return STATUS_UNKNOWN_FRAME;
    if (header->length > frame_bytes_max)
        return STATUS_FRAME_TOO_LARGE;
    return STATUS_OK;
}

#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    static void get_##name(struct wire_reader *r, struct frame_##name *fields)                     \
    {                                                                                              \
        (void)r;                                                                                   \
        (void)fields;
#define FIELD(kind, name, text) fields->name = wire_get_##kind(r);
#define FRAME_END(NAME, name) }
#include "protocol/frames.def"

#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    static size_t size_##name(const struct frame_##name *fields)                                   \
    {                                                                                              \
        (void)fields;                                                                              \
        size_t bytes = FRAME_HEADER_BYTES;
#define FIELD(kind, name, text) bytes += wire_size_##kind(fields->name);
#define FRAME_END(NAME, name)                                                                      \
    return bytes;                                                                                  \
    }
#include "protocol/frames.def"

#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    bool frame_put_##name(struct wire_writer *w, uint8_t flag_bits, uint64_t tag,                  \
                          const struct frame_##name *fields)                                       \
    {                                                                                              \
        const enum frame_type frame_type = type;                                                   \
        unsigned char *start = wire_room(w, FRAME_HEADER_BYTES);                                   \
        (void)fields;
#define FIELD(kind, name, text) wire_put_##kind(w, fields->name);
#define FRAME_END(NAME, name)                                                                      \
    if (w->failed)                                                                                 \
        return false;                                                                              \
    frame_header_store(start, &(struct frame_header){(uint32_t)(w->at - start),                    \
                                                     (uint8_t)frame_type, flag_bits, 0, tag});     \
    return true;                                                                                   \
    }
#include "protocol/frames.def"

enum status frame_decode(struct frame *frame, const unsigned char *at)
{
    frame->header = frame_header_load(at);
    struct wire_reader r =
        wire_reader_of(at + FRAME_HEADER_BYTES, frame->header.length - FRAME_HEADER_BYTES);
    switch ((enum frame_type)frame->header.type) {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    case FRAME_##NAME:                                                                             \
        get_##name(&r, &frame->as.name);                                                           \
        break;
#include "protocol/frames.def"
    case FRAME_TYPE_COUNT:
    default:
        return STATUS_UNKNOWN_FRAME;
    }
    return wire_reader_is_done(&r) ? STATUS_OK : STATUS_MALFORMED;
}

size_t frame_encoded_bytes(const struct frame *frame)
{
    switch ((enum frame_type)frame->header.type) {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    case FRAME_##NAME:                                                                             \
        return size_##name(&frame->as.name);
#include "protocol/frames.def"
    case FRAME_TYPE_COUNT:
    default:
        return 0;
    }
}

bool frame_encode(struct wire_writer *w, struct frame *frame)
{
    size_t bytes = frame_encoded_bytes(frame);
    if (bytes == 0 || bytes > UINT32_MAX)
        return false;
    frame->header.length = (uint32_t)bytes;
    switch ((enum frame_type)frame->header.type) {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    case FRAME_##NAME:                                                                             \
        return frame_put_##name(w, frame->header.flags, frame->header.tag, &frame->as.name);
#include "protocol/frames.def"
    case FRAME_TYPE_COUNT:
    default:
        return false;
    }
}
