/* Writing new files of events. */
#include "broker/store/archive_writer.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/wire.h"

enum {
    BLOCK_BYTES = 64 << 10,
    /* Between two syncs. */
    PIECE_BYTES = 4 << 20,
    FILE_BYTES = 64 << 20,
};

struct archive_writer {
    struct archive *archive;
    uint32_t exchange;
    struct archive_file file; /* the open one; `end` is behind what is written; `first` 0: none */
    unsigned char *at;        /* blocks that are not written yet, and room for the one below */
    size_t room;
    size_t bytes;               /* of whole blocks */
    struct archive_block block; /* that is being filled behind them */
    struct archive_spot *spots; /* of the open file */
    uint32_t spot_count;
    uint32_t spot_room;
    struct journal_failure failure;
};

struct archive_writer *archive_writer_new(const struct disk *disk, uint32_t exchange)
{
    struct archive_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return NULL;
    writer->archive = archive_new(disk, NULL, NULL);
    writer->exchange = exchange;
    if (writer->archive != NULL)
        return writer;
    free(writer);
    return NULL;
}

void archive_writer_free(struct archive_writer *writer)
{
    if (writer == NULL)
        return;
    archive_free(writer->archive);
    free(writer->at);
    free(writer->spots);
    free(writer);
}

const struct journal_failure *archive_writer_failure(const struct archive_writer *writer)
{
    return &writer->failure;
}

static enum status run(struct archive_writer *writer, struct archive_write *write)
{
    write->work.kind = ARCHIVE_WRITE;
    write->work.exchange = writer->exchange;
    enum status status = archive_run(writer->archive, &write->work);
    if (status == STATUS_IO_ERROR)
        writer->failure = write->work.failure;
    return status;
}

/* Where the next block comes to stand. */
static uint32_t next_offset(const struct archive_writer *writer)
{
    uint32_t end = writer->file.end > 0 ? writer->file.end : ARCHIVE_HEADER_BYTES;
    return end + (uint32_t)writer->bytes;
}

static void end_block(struct archive_writer *writer)
{
    struct archive_block *block = &writer->block;
    if (block->count == 0)
        return;
    block->exchange = writer->exchange;
    block->offset = next_offset(writer);
    archive_block_encode(writer->at + writer->bytes, block);
    writer->spots[writer->spot_count++] =
        (struct archive_spot){block->first, block->first_ms, block->offset};
    writer->bytes += (size_t)archive_block_bytes(block->payload_bytes);
    *block = (struct archive_block){0};
}

static enum status write_blocks(struct archive_writer *writer)
{
    struct archive_file *file = &writer->file;
    struct archive_write write = {
        .first = file->first, .offset = file->end, .at = writer->at, .bytes = writer->bytes};
    if (writer->bytes == 0)
        return STATUS_OK;
    uint32_t end = next_offset(writer);
    enum status status = run(writer, &write);
    if (status != STATUS_OK)
        return status;
    file->end = end;
    writer->bytes = 0;
    return STATUS_OK;
}

enum status archive_writer_finish(struct archive_writer *writer)
{
    struct archive_file *file = &writer->file;
    if (file->first == 0)
        return STATUS_OK;
    end_block(writer);
    enum status status = write_blocks(writer);
    if (status != STATUS_OK)
        return status;
    struct archive_write write = {.is_finishing = true,
                                  .spots = writer->spots,
                                  .index = {.exchange = writer->exchange,
                                            .offset = file->end,
                                            .first = file->first,
                                            .last = file->last,
                                            .first_ms = file->first_ms,
                                            .last_ms = file->last_ms,
                                            .count = writer->spot_count}};
    status = run(writer, &write);
    *file = (struct archive_file){0};
    writer->spot_count = 0;
    return status;
}

enum status archive_writer_stop(struct archive_writer *writer, struct archive_file *file)
{
    end_block(writer);
    enum status status = write_blocks(writer);
    *file = writer->file;
    return status;
}

static bool reserve(struct archive_writer *writer, size_t bytes)
{
    size_t needed =
        writer->bytes + (size_t)archive_block_bytes(writer->block.payload_bytes + bytes);
    if (writer->spot_count == writer->spot_room) {
        uint32_t room = writer->spot_room > 0 ? 2 * writer->spot_room : 64;
        struct archive_spot *spots = realloc(writer->spots, room * sizeof *spots);
        if (spots == NULL)
            return false;
        writer->spots = spots;
        writer->spot_room = room;
    }
    if (needed <= writer->room)
        return true;
    size_t room = needed + needed / 2;
    unsigned char *at = realloc(writer->at, room);
    if (at == NULL)
        return false;
    writer->at = at;
    writer->room = room;
    return true;
}

/* Makes place for an event of so many bytes: in this block, or another one, or another file. */
static enum status make_place(struct archive_writer *writer, size_t bytes)
{
    enum status status = STATUS_OK;
    if (writer->block.payload_bytes + bytes > BLOCK_BYTES)
        end_block(writer);
    if (writer->block.count > 0)
        return STATUS_OK;
    if (next_offset(writer) >= FILE_BYTES)
        status = archive_writer_finish(writer);
    else if (writer->bytes >= PIECE_BYTES)
        status = write_blocks(writer);
    return status;
}

enum status archive_writer_add(struct archive_writer *writer, const struct archive_event *event,
                               uint64_t time_ms)
{
    size_t bytes = 4 + (size_t)event->bytes;
    enum status status = make_place(writer, bytes);
    if (status == STATUS_OK && !reserve(writer, bytes))
        status = STATUS_NO_MEMORY;
    if (status != STATUS_OK)
        return status;
    struct archive_file *file = &writer->file;
    struct archive_block *block = &writer->block;
    if (file->first == 0)
        *file = (struct archive_file){.first = event->sequence, .first_ms = time_ms};
    if (block->count == 0) {
        block->first = event->sequence;
        block->first_ms = time_ms;
    }
    unsigned char *at =
        writer->at + writer->bytes + ARCHIVE_BLOCK_HEADER_BYTES + block->payload_bytes;
    wire_store_u32(at, event->bytes);
    memcpy(at + 4, event->at, event->bytes);
    block->payload_bytes += (uint32_t)bytes;
    block->count++;
    block->last_ms = file->last_ms = time_ms;
    file->last = event->sequence;
    return STATUS_OK;
}
