/* Files of events on a disk, made of nothing but their format. */
#include "tests/support/events.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/record.h"
#include "protocol/property.h"

uint32_t event_encode(unsigned char at[EVENT_BYTES_MAX], uint64_t sequence, uint32_t body_bytes)
{
    static unsigned char body[EVENT_BYTES_MAX];
    unsigned char properties[32];
    struct wire_writer p = wire_writer_of(properties, sizeof properties);
    struct wire_writer w = wire_writer_of(at, EVENT_BYTES_MAX);
    memset(body, 'a' + (int)(sequence % 26), body_bytes);
    property_put_number(&p, PROPERTY_MESSAGE_SEQUENCE, sequence);
    struct operation_message event = {
        .number = 100 + sequence,
        .time_ms = 1000 + sequence,
        .exchange = wire_bytes_of_text("book"),
        .key = wire_bytes_of_text("k"),
        .properties = wire_bytes_of(properties, (uint32_t)wire_written(&p)),
        .body = wire_bytes_of(body, body_bytes),
    };
    record_put_message(&w, &event);
    assert(!w.failed);
    return (uint32_t)wire_written(&w);
}

bool event_is(const struct archive_event *event, uint32_t body_bytes)
{
    unsigned char at[EVENT_BYTES_MAX];
    uint32_t bytes = event_encode(at, event->sequence, body_bytes);
    return event->bytes == bytes && memcmp(event->at, at, bytes) == 0;
}

/* One block at `at`; returns the bytes that it takes. */
static size_t put_block(unsigned char *at, struct archive_block block, unsigned count)
{
    unsigned char event[EVENT_BYTES_MAX];
    block.count = count;
    block.first_ms = 1000 + block.first;
    block.last_ms = block.first_ms + count - 1;
    for (unsigned i = 0; i < count; i++) {
        uint32_t bytes = event_encode(event, block.first + i, EVENT_BODY_BYTES);
        unsigned char *to = at + ARCHIVE_BLOCK_HEADER_BYTES + block.payload_bytes;
        wire_store_u32(to, bytes);
        memcpy(to + 4, event, bytes);
        block.payload_bytes += 4 + bytes;
    }
    archive_block_encode(at, &block);
    archive_block_seal(at);
    return (size_t)archive_block_bytes(block.payload_bytes);
}

unsigned char *event_blocks(uint32_t exchange, uint32_t offset, uint64_t first, unsigned blocks,
                            unsigned count, size_t *bytes)
{
    unsigned char *at = malloc(((size_t)count * 512 + 1024) * blocks);
    assert(at != NULL);
    *bytes = 0;
    for (unsigned i = 0; i < blocks; i++)
        *bytes += put_block(at + *bytes,
                            (struct archive_block){.exchange = exchange,
                                                   .offset = offset + (uint32_t)*bytes,
                                                   .first = first + (uint64_t)i * count},
                            count);
    return at;
}

void event_file(struct archive *archive, uint32_t exchange, uint64_t first, unsigned blocks,
                struct archive_file *file)
{
    struct archive_write write = {.work = {.kind = ARCHIVE_WRITE, .exchange = exchange},
                                  .first = first};
    write.at =
        event_blocks(exchange, ARCHIVE_HEADER_BYTES, first, blocks, EVENTS_IN_BLOCK, &write.bytes);
    enum status status = archive_run(archive, &write.work);
    assert(status == STATUS_OK);
    free(write.at);
    uint64_t last = first + (uint64_t)blocks * EVENTS_IN_BLOCK - 1;
    *file = (struct archive_file){.first = first,
                                  .last = last,
                                  .first_ms = 1000 + first,
                                  .last_ms = 1000 + last,
                                  .end = ARCHIVE_HEADER_BYTES + (uint32_t)write.bytes};
}

void event_file_finish(struct archive *archive, uint32_t exchange, unsigned blocks,
                       struct archive_file *file)
{
    struct archive_spot *spots = calloc(blocks, sizeof *spots);
    assert(spots != NULL);
    uint32_t block_bytes = (file->end - ARCHIVE_HEADER_BYTES) / blocks;
    for (unsigned i = 0; i < blocks; i++) {
        uint64_t first = file->first + (uint64_t)i * EVENTS_IN_BLOCK;
        spots[i] =
            (struct archive_spot){first, 1000 + first, ARCHIVE_HEADER_BYTES + i * block_bytes};
    }
    struct archive_write write = {.work = {.kind = ARCHIVE_WRITE, .exchange = exchange},
                                  .is_finishing = true,
                                  .spots = spots,
                                  .index = {.exchange = exchange,
                                            .offset = file->end,
                                            .first = file->first,
                                            .last = file->last,
                                            .first_ms = file->first_ms,
                                            .last_ms = file->last_ms,
                                            .count = blocks}};
    enum status status = archive_run(archive, &write.work);
    assert(status == STATUS_OK);
    free(spots);
    file->is_finished = true;
}
