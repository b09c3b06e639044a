/* Pieces of the oldest segment.
 *
 *   oldest_begin --> oldest_next: MORE --(errand)--> ready --> walked, the next one is out --> ...
 *
 * A piece holds whole batches that verify. Where none verifies the segment ends, and the first
 * batch of the next segment must go on with the sequence: otherwise it is rot. The segment is kept
 * as long as an errand reads it.
 */
#include "broker/store/oldest.h"

#include <assert.h>
#include <inttypes.h>

#include "broker/store/batch.h"
#include "broker/store/failure.h"
#include "broker/store/walk.h"
#include "protocol/wire.h"

#define PIECE_BYTES (1u << 20)

/* No batch verifies where the walk is: does the next segment go on from here? */
static enum status check_end(struct oldest_work *work, const struct walk *walk)
{
    uint64_t expected = walk->sequence;
    uint32_t end = walk->offset;
    enum status status = window_open(&work->window, work->number + 1);
    if (status != STATUS_OK)
        return status;
    struct walk next;
    walk_start(&next, &work->window, expected);
    if (walk_next(&next))
        return STATUS_OK;
    if (work->window.status != STATUS_OK)
        return work->window.status;
    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, work->number);
    uint64_t first = work->number * work->window.segment_bytes;
    status = failure_set(&work->failure, STATUS_CORRUPT, name, 0,
                         "a batch does not verify any more: positions %" PRIu64 " to %" PRIu64
                         " are affected",
                         first + end, first + work->window.segment_bytes);
    failure_set_offset(&work->failure, end);
    return status;
}

static void run(struct errand *errand)
{
    struct oldest_work *work = (struct oldest_work *)errand;
    struct walk walk;
    work->status = window_open(&work->window, work->number);
    if (work->status == STATUS_OK) {
        walk_start(&walk, &work->window, work->sequence);
        walk.offset = work->offset;
        bool is_there = walk_next(&walk);
        while (is_there && walk_is_near(&walk) && walk_next(&walk))
            continue;
        work->end = walk.offset;
        work->sequence = walk.sequence;
        work->status = work->window.status;
        if (work->status == STATUS_OK && !is_there)
            work->status = check_end(work, &walk);
    }
    window_close(&work->window);
}

void oldest_init(struct oldest *oldest, const struct disk *disk, uint32_t segment_bytes)
{
    *oldest = (struct oldest){0};
    oldest->work.errand = (struct errand){.worker = ERRAND_BACKGROUND, .run = run};
    window_init(&oldest->work.window, disk, segment_bytes, PIECE_BYTES, &oldest->work.failure);
    window_init(&oldest->piece, disk, segment_bytes, PIECE_BYTES, &oldest->work.failure);
}

void oldest_deinit(struct oldest *oldest)
{
    window_deinit(&oldest->work.window);
    window_deinit(&oldest->piece);
}

void oldest_begin(struct oldest *oldest, uint64_t number)
{
    /* What is being read is pinned, so no other segment can have become the oldest. */
    assert(!oldest->is_out);
    oldest->number = number;
    oldest->piece_end = 0;
    oldest->batch_end = 0;
    oldest->left_count = 0;
    oldest->is_ready = false;
    oldest->is_walked = false;
}

/* The errand for the piece at `offset`. */
static struct errand *ask(struct oldest *oldest, struct homes *homes, uint32_t offset,
                          uint64_t sequence)
{
    struct oldest_work *work = &oldest->work;
    assert(!oldest->is_out);
    work->number = oldest->number;
    work->offset = offset;
    work->sequence = sequence;
    homes_pin(homes, work->number * work->window.segment_bytes);
    oldest->is_out = true;
    return &work->errand;
}

/* Begins to walk the piece that is ready and asks for the one behind it. NULL: the segment ended.
 */
static struct errand *turn_piece(struct oldest *oldest, struct homes *homes)
{
    struct oldest_work *work = &oldest->work;
    oldest->is_ready = false;
    if (work->end == work->offset) {
        oldest->is_walked = true;
        window_deinit(&work->window);
        window_deinit(&oldest->piece);
        return NULL;
    }
    struct window read = work->window;
    work->window = oldest->piece;
    oldest->piece = read;
    oldest->batch_end = work->offset;
    oldest->piece_end = work->end;
    return ask(oldest, homes, work->end, work->sequence);
}

/* Begins with the next batch of the piece. */
static void turn_batch(struct oldest *oldest)
{
    struct window *piece = &oldest->piece;
    uint32_t offset = oldest->batch_end;
    struct batch_place place = {piece->salt, oldest->number, offset};
    struct batch_header header;
    bool is_there = batch_header_decode(piece->at + (offset - piece->offset), &place, &header);
    assert(is_there);
    oldest->record = offset + BATCH_HEADER_BYTES;
    oldest->left_count = header.record_count;
    oldest->batch_end = offset + (uint32_t)batch_total_bytes(header.payload_bytes);
}

enum status oldest_next(struct oldest *oldest, struct homes *homes, struct journal_found *found,
                        struct errand **errand)
{
    *errand = NULL;
    while (oldest->left_count == 0) {
        if (oldest->batch_end < oldest->piece_end) {
            turn_batch(oldest);
            continue;
        }
        if (oldest->is_walked)
            return STATUS_NOT_FOUND;
        if (oldest->is_ready) {
            *errand = turn_piece(oldest, homes);
            continue;
        }
        if (!oldest->is_out)
            *errand = ask(oldest, homes, SEGMENT_HEADER_BYTES, 0);
        return STATUS_MORE;
    }
    const unsigned char *record = oldest->piece.at + (oldest->record - oldest->piece.offset);
    uint32_t bytes = wire_load_u32(record);
    *found = (struct journal_found){
        .position =
            oldest->number * oldest->piece.segment_bytes + oldest->record + RECORD_HEADER_BYTES,
        .at = record + RECORD_HEADER_BYTES,
        .bytes = bytes,
    };
    oldest->record += RECORD_HEADER_BYTES + bytes;
    oldest->left_count--;
    oldest->given_bytes = RECORD_HEADER_BYTES + bytes;
    return STATUS_OK;
}

void oldest_again(struct oldest *oldest)
{
    oldest->record -= oldest->given_bytes;
    oldest->left_count++;
    oldest->given_bytes = 0;
}

enum status oldest_take_back(struct oldest *oldest, struct homes *homes)
{
    struct oldest_work *work = &oldest->work;
    assert(oldest->is_out);
    oldest->is_out = false;
    homes_unpin(homes, work->number * work->window.segment_bytes);
    if (work->status == STATUS_NO_MEMORY) {
        oldest_begin(oldest, oldest->number);
        return STATUS_OK;
    }
    oldest->is_ready = work->status == STATUS_OK;
    return work->status;
}
