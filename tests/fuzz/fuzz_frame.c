/* Fuzzes the fields of frames and the lists in them: whatever decodes encodes to the same bytes,
 * and a list that passes its check is read to its end.
 *
 * The first byte picks the type, the rest are the fields; so the fuzzer need not find lengths and
 * headers that fit.
 */
#include <stdlib.h>

#include "protocol/append.h"
#include "protocol/property.h"
#include "tests/support/frame_chance.h"

enum { INPUT_BYTES_MAX = 65536 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail_unless(bool good)
{
    if (!good)
        abort();
}

/* Every entry of a good list is there to be found, once. */
static void check_properties(struct wire_bytes list, enum property_scope scope)
{
    bool is_good = property_check(list, scope) == STATUS_OK;
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct property property;
    size_t bytes = 0;
    while (property_next(&r, &property)) {
        bytes += 2 + (size_t)property.value.bytes;
        if (is_good)
            fail_unless(property_find(list, property.kind).at == property.value.at);
    }
    fail_unless(bytes <= list.bytes);
    if (is_good)
        fail_unless(bytes == list.bytes && wire_reader_is_done(&r));
    property_find_number(list, 1, 0);
}

/* The check says the same as the slow way of comparing every name with every other. */
static void check_headers(struct wire_bytes list)
{
    enum { COUNT_MAX = 64, BYTES_MAX = 16384 };
    static struct wire_bytes names[COUNT_MAX];
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct header header;
    size_t count = 0;
    bool is_good = list.bytes <= BYTES_MAX;
    while (is_good && header_next(&r, &header)) {
        is_good = header.name.bytes > 0 && count < COUNT_MAX &&
                  memchr(header.name.at, 0, header.name.bytes) == NULL;
        for (size_t i = 0; is_good && i < count; i++)
            is_good = !wire_bytes_equal(names[i], header.name);
        if (is_good)
            names[count++] = header.name;
    }
    is_good = is_good && wire_reader_is_done(&r);
    enum status status = header_check(list, COUNT_MAX, BYTES_MAX);
    if (!is_good)
        fail_unless(status == STATUS_BAD_HEADER);
    else if (status != STATUS_OK)
        fail_unless(status == STATUS_BAD_HEADER && list.bytes > 0); /* a name that is not UTF-8 */
}

static void check_row(struct wire_bytes fields)
{
    struct wire_reader r = wire_reader_of(fields.at, fields.bytes);
    struct row_field field;
    while (row_next(&r, &field))
        fail_unless(field.kind <= ROW_MILLISECONDS);
    fail_unless(r.failed || wire_left(&r) == 0);
}

/* A list that passes its check has so many events, and nothing else. */
static void check_events(struct wire_bytes list)
{
    uint32_t count;
    bool is_good = append_check(list, &count) == STATUS_OK;
    struct wire_reader r = wire_reader_of(list.at, list.bytes);
    struct append_event event;
    uint32_t found = 0;
    size_t bytes = 0;
    while (append_next(&r, &event)) {
        bytes += append_bytes(&event);
        found++;
    }
    fail_unless(bytes <= list.bytes);
    if (is_good)
        fail_unless(found == count && bytes == list.bytes && wire_reader_is_done(&r));
}

static void check_lists(const struct frame *frame)
{
    switch (frame->header.type) {
    case FRAME_SEND:
        check_properties(frame->as.send.properties, PROPERTY_SCOPE_MESSAGE);
        check_headers(frame->as.send.headers);
        break;
    case FRAME_QUEUE_CREATE:
        check_properties(frame->as.queue_create.settings, PROPERTY_SCOPE_QUEUE);
        break;
    case FRAME_EXCHANGE_CREATE:
        check_properties(frame->as.exchange_create.settings, PROPERTY_SCOPE_EXCHANGE);
        break;
    case FRAME_EXCHANGE_SET:
        check_properties(frame->as.exchange_set.settings, PROPERTY_SCOPE_EXCHANGE);
        break;
    case FRAME_FOLLOW:
        check_headers(frame->as.follow.filter);
        break;
    case FRAME_APPEND:
        check_events(frame->as.append.body);
        break;
    case FRAME_BIND:
        check_headers(frame->as.bind.filter);
        break;
    case FRAME_ROW:
        check_row(frame->as.row.fields);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char again[FRAME_HEADER_BYTES + INPUT_BYTES_MAX];
    if (size < 2 || size > INPUT_BYTES_MAX)
        return 0;
    unsigned type = frame_types[data[0] % frame_types_count];
    size_t bytes = FRAME_HEADER_BYTES + size - 1;
    unsigned char *at = malloc(bytes);
    fail_unless(at != NULL);
    struct frame_header header = {(uint32_t)bytes, (uint8_t)type, 0, 0, size};
    frame_header_store(at, &header);
    memcpy(at + FRAME_HEADER_BYTES, data + 1, size - 1);
    struct frame frame;
    enum status status = frame_decode(&frame, at);
    fail_unless(status == STATUS_OK || status == STATUS_MALFORMED);
    if (status == STATUS_OK) {
        fail_unless(frame_encoded_bytes(&frame) == bytes);
        struct wire_writer w = wire_writer_of(again, sizeof again);
        fail_unless(frame_encode(&w, &frame));
        fail_unless(wire_written(&w) == bytes && memcmp(again, at, bytes) == 0);
        check_lists(&frame);
    }
    free(at);
    return 0;
}
