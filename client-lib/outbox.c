/* What leaves the client: frames that wait, are being written, or are not answered yet. */
#include "client-lib/outbox.h"

#include "client-lib/request.h"

#include <assert.h>
#include <stdlib.h>

enum {
    /* A round takes this much of the log, so that settlements wait behind no more. */
    ROUND_BYTES_MAX = 256 * 1024,
    STAGING_BYTES_KEPT = 1024 * 1024,
    LOG_BYTES_KEPT = 4 * 1024 * 1024,
    HEADER_TAG_AT = 8, /* see protocol/frame.h */
};

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){.tag_next = 1, .frame_bytes_max = FRAME_BYTES_MIN};
    TAILQ_INIT(&outbox->requests);
}

void outbox_deinit(struct outbox *outbox)
{
    buffer_deinit(&outbox->log);
    buffer_deinit(&outbox->staging);
    buffer_deinit(&outbox->settlements);
    ring_deinit(&outbox->backlog);
    ring_deinit(&outbox->inflight);
    ring_deinit(&outbox->calls);
    free(outbox->ranges);
    outbox->ranges = NULL;
}

unsigned char *outbox_reserve(struct outbox *outbox, size_t bytes)
{
    return buffer_reserve(&outbox->log, bytes);
}

bool outbox_commit(struct outbox *outbox, size_t bytes, enum entry_kind kind, void *context)
{
    struct entry entry = {
        .start = buffer_offset_end(&outbox->log),
        .context = context,
        .bytes = (uint32_t)bytes,
        .kind = (uint8_t)kind,
    };
    if (!ring_push(&outbox->backlog, &entry))
        return false;
    buffer_commit(&outbox->log, bytes);
    return true;
}

size_t outbox_log_bytes(const struct outbox *outbox)
{
    return buffer_bytes(&outbox->log);
}

size_t outbox_unsent_bytes(const struct outbox *outbox)
{
    return (size_t)(buffer_offset_end(&outbox->log) - outbox->region_at);
}

/* --- settlements --------------------------------------------------------------------------------
 */

bool outbox_add_done(struct outbox *outbox, uint64_t sequence, uint64_t delivery)
{
    if (outbox->range_count > 0) {
        struct done_range *range = &outbox->ranges[outbox->range_count - 1];
        if (sequence == range->sequence_last + 1) {
            range->sequence_last = sequence;
            range->last = delivery;
            return true;
        }
        if (sequence + 1 == range->sequence_first) {
            range->sequence_first = sequence;
            range->first = delivery;
            return true;
        }
    }
    if (outbox->range_count == outbox->range_capacity) {
        size_t capacity = outbox->range_capacity > 0 ? outbox->range_capacity * 2 : 16;
        struct done_range *ranges = realloc(outbox->ranges, capacity * sizeof *ranges);
        if (ranges == NULL)
            return false;
        outbox->ranges = ranges;
        outbox->range_capacity = capacity;
    }
    outbox->ranges[outbox->range_count++] =
        (struct done_range){sequence, sequence, delivery, delivery};
    return true;
}

unsigned char *outbox_reserve_settlement(struct outbox *outbox, size_t bytes)
{
    return buffer_reserve(&outbox->settlements, bytes);
}

bool outbox_has_settlements(const struct outbox *outbox)
{
    return outbox->range_count > 0 || buffer_bytes(&outbox->settlements) > 0;
}

/* --- staging ------------------------------------------------------------------------------------
 */

/* What a whole frame takes on the wire once it is cut into pieces. */
static size_t wire_bytes_needed(const struct outbox *outbox, size_t bytes)
{
    if (bytes <= outbox->frame_bytes_max)
        return bytes;
    size_t payload_max = outbox->frame_bytes_max - FRAME_HEADER_BYTES;
    size_t pieces = (bytes - outbox->frame_bytes_max + payload_max - 1) / payload_max;
    return bytes + pieces * FRAME_HEADER_BYTES;
}

static bool stage_bytes(struct outbox *outbox, const unsigned char *bytes, size_t count)
{
    unsigned char *room = buffer_reserve(&outbox->staging, count);
    if (room == NULL)
        return false;
    memcpy(room, bytes, count);
    buffer_commit(&outbox->staging, count);
    return true;
}

/* Stages one whole frame under a tag. The body is the last field of all frames that can be large,
 * so that whatever does not fit in the first frame is body. */
static bool stage_frame(struct outbox *outbox, const unsigned char *frame, size_t bytes,
                        uint64_t tag)
{
    size_t needed = wire_bytes_needed(outbox, bytes);
    unsigned char *room = buffer_reserve(&outbox->staging, needed);
    if (room == NULL)
        return false;
    size_t left = bytes;
    size_t count = left < outbox->frame_bytes_max ? left : outbox->frame_bytes_max;
    memcpy(room, frame, count);
    struct frame_header header = frame_header_load(frame);
    header.length = (uint32_t)count;
    header.tag = tag;
    frame_header_store(room, &header);
    size_t staged = count;
    frame += count;
    left -= count;
    while (left > 0) {
        size_t payload_max = outbox->frame_bytes_max - FRAME_HEADER_BYTES;
        count = left < payload_max ? left : payload_max;
        header =
            (struct frame_header){(uint32_t)(FRAME_HEADER_BYTES + count), FRAME_PIECE, 0, 0, 0};
        frame_header_store(room + staged, &header);
        memcpy(room + staged + FRAME_HEADER_BYTES, frame, count);
        staged += FRAME_HEADER_BYTES + count;
        frame += count;
        left -= count;
    }
    assert(staged == needed);
    buffer_commit(&outbox->staging, staged);
    return true;
}

static bool has_region(const struct outbox *outbox)
{
    return outbox->region_at < outbox->region_end;
}

bool outbox_stage_plain(struct outbox *outbox, const unsigned char *frame, size_t bytes)
{
    return !has_region(outbox) && stage_bytes(outbox, frame, bytes);
}

/* Stages a tagged frame, which waits for its answer in the ring. False without memory: tried again
 * next round. */
static bool stage_tagged(struct outbox *outbox, struct ring *ring, const unsigned char *frame,
                         size_t bytes, struct entry *entry)
{
    entry->tag = outbox->tag_next;
    if (!ring_push(ring, entry))
        return false;
    if (!stage_frame(outbox, frame, bytes, entry->tag)) {
        ring->count--;
        return false;
    }
    outbox->tag_next++;
    return true;
}

static void stage_requests(struct outbox *outbox)
{
    while (!TAILQ_EMPTY(&outbox->requests)) {
        struct request *request = TAILQ_FIRST(&outbox->requests);
        struct entry entry = {.context = request, .kind = ENTRY_REQUEST};
        /* These may take their time: what waits in line must not wait for that. */
        bool is_outside = request->type == FRAME_COMMAND_STATUS || request->type == FRAME_READ;
        struct ring *ring = is_outside ? &outbox->calls : &outbox->inflight;
        if (!stage_tagged(outbox, ring, request->frame, request->bytes, &entry))
            return;
        TAILQ_REMOVE(&outbox->requests, request, link);
        request->unsent = false;
    }
}

static bool stage_ranges(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->range_count; i++) {
        const struct done_range *range = &outbox->ranges[i];
        const struct frame_done fields = {outbox->start, range->first, range->last};
        unsigned char frame[64];
        struct wire_writer w = wire_writer_of(frame, sizeof frame);
        bool encoded = frame_put_done(&w, 0, 0, &fields);
        assert(encoded);
        struct entry entry = {.start = outbox->settle_round, .kind = ENTRY_SETTLE};
        if (!stage_tagged(outbox, &outbox->inflight, frame, wire_written(&w), &entry)) {
            memmove(outbox->ranges, range, (outbox->range_count - i) * sizeof *range);
            outbox->range_count -= i;
            return false;
        }
    }
    outbox->range_count = 0;
    return true;
}

static void stage_settlements(struct outbox *outbox)
{
    if (!outbox_has_settlements(outbox))
        return;
    outbox->settle_round++;
    struct buffer *settlements = &outbox->settlements;
    while (buffer_bytes(settlements) > 0) {
        const unsigned char *frame = settlements->bytes + settlements->at;
        uint32_t bytes = frame_header_load(frame).length;
        struct entry entry = {.start = outbox->settle_round, .kind = ENTRY_SETTLE};
        if (!stage_tagged(outbox, &outbox->inflight, frame, bytes, &entry))
            return;
        buffer_drop(settlements, buffer_offset_front(settlements) + bytes);
    }
    stage_ranges(outbox);
}

/* --- rounds -------------------------------------------------------------------------------------
 */

static bool has_credit(const struct outbox *outbox)
{
    return outbox->credit_messages > 0 && outbox->credit_bytes > 0;
}

/* Lets one message frame leave under entry->tag: into the region, or staged when it must be cut.
 * False when this round cannot take it. */
static bool release_frame(struct outbox *outbox, const struct entry *entry)
{
    bool is_whole = entry->bytes <= outbox->frame_bytes_max;
    if (has_region(outbox) && (!is_whole || entry->start != outbox->region_end ||
                               outbox->region_end - outbox->region_at >= ROUND_BYTES_MAX))
        return false;
    if (!has_region(outbox) && buffer_bytes(&outbox->staging) >= ROUND_BYTES_MAX)
        return false;
    unsigned char *frame = buffer_at(&outbox->log, entry->start);
    uint64_t end = entry->start + entry->bytes;
    if (is_whole) {
        wire_store_u64(frame + HEADER_TAG_AT, entry->tag);
        if (!has_region(outbox))
            outbox->region_at = entry->start;
        outbox->region_end = end;
    } else {
        if (!stage_frame(outbox, frame, entry->bytes, entry->tag))
            return false;
        outbox->region_at = end;
        outbox->region_end = end;
    }
    outbox->credit_messages--;
    outbox->credit_bytes -= (int64_t)entry->bytes; /* the headers of pieces are free */
    return true;
}

/* Sends again what the last connection left unanswered. True when all of it has left. */
static bool resend(struct outbox *outbox)
{
    while (outbox->resend_count > 0) {
        size_t index = outbox->inflight.count - outbox->resend_count;
        struct entry *entry = ring_at(&outbox->inflight, index);
        if (!entry->answered && entry->kind == ENTRY_REQUEST) {
            const struct request *request = entry->context;
            if (has_region(outbox) ||
                !stage_frame(outbox, request->frame, request->bytes, entry->tag))
                return false;
        } else if (!entry->answered) {
            if (!has_credit(outbox) || !release_frame(outbox, entry))
                return false;
        }
        outbox->resend_count--;
    }
    return true;
}

static void release_backlog(struct outbox *outbox)
{
    while (outbox->backlog.count > 0 && has_credit(outbox)) {
        struct entry *entry = ring_at(&outbox->backlog, 0);
        bool is_waited = entry->kind == ENTRY_CALL || entry->kind == ENTRY_WAITED;
        if (is_waited && entry->context == NULL) {
            ring_pop(&outbox->backlog); /* gave up before it left */
            continue;
        }
        entry->tag = outbox->tag_next;
        struct ring *ring = entry->kind == ENTRY_CALL ? &outbox->calls : &outbox->inflight;
        if (entry->kind != ENTRY_TRANSIENT && !ring_push(ring, entry))
            return;
        if (!release_frame(outbox, entry)) {
            if (entry->kind != ENTRY_TRANSIENT)
                ring->count--;
            return;
        }
        outbox->inflight_messages += entry_is_logged(entry);
        outbox->tag_next++;
        ring_pop(&outbox->backlog);
    }
}

static void begin_round(struct outbox *outbox)
{
    if (!outbox->open || !resend(outbox))
        return;
    /* What was sent again keeps the region of this round; settlements lead the next one. */
    if (!has_region(outbox)) {
        stage_requests(outbox);
        stage_settlements(outbox);
    }
    release_backlog(outbox);
}

int outbox_gather(struct outbox *outbox, struct iovec parts[2])
{
    if (!has_region(outbox) && buffer_bytes(&outbox->staging) == 0)
        begin_round(outbox);
    int count = 0;
    if (buffer_bytes(&outbox->staging) > 0)
        parts[count++] = (struct iovec){outbox->staging.bytes + outbox->staging.at,
                                        buffer_bytes(&outbox->staging)};
    if (has_region(outbox))
        parts[count++] = (struct iovec){buffer_at(&outbox->log, outbox->region_at),
                                        (size_t)(outbox->region_end - outbox->region_at)};
    return count;
}

bool outbox_is_ready(const struct outbox *outbox)
{
    if (has_region(outbox) || buffer_bytes(&outbox->staging) > 0)
        return true;
    if (!outbox->open)
        return false;
    if (outbox->resend_count > 0 || outbox->backlog.count > 0)
        return has_credit(outbox);
    return outbox_has_settlements(outbox) || !TAILQ_EMPTY(&outbox->requests);
}

void outbox_written(struct outbox *outbox, size_t bytes)
{
    size_t staged = buffer_bytes(&outbox->staging);
    size_t from_staging = bytes < staged ? bytes : staged;
    buffer_drop(&outbox->staging, buffer_offset_front(&outbox->staging) + from_staging);
    outbox->region_at += bytes - from_staging;
    assert(outbox->region_at <= outbox->region_end);
    buffer_shrink(&outbox->staging, STAGING_BYTES_KEPT);
    if (outbox->inflight_messages == 0)
        outbox_trim(outbox);
}

/* Takes the answered ones off the front; returns how far the log is answered by that. */
static uint64_t pop_answered(struct outbox *outbox)
{
    uint64_t through = buffer_offset_front(&outbox->log);
    while (outbox->inflight.count > 0) {
        const struct entry *entry = ring_at(&outbox->inflight, 0);
        if (!entry->answered || outbox->resend_count == outbox->inflight.count)
            break;
        if (entry_is_logged(entry)) {
            outbox->inflight_messages--;
            through = entry->start + entry->bytes;
        }
        ring_pop(&outbox->inflight);
    }
    return through;
}

/* With nothing to be confirmed, skips over what needs no confirm: calls, transient messages, calls
 * that gave up. */
static uint64_t skip_unconfirmed(struct outbox *outbox)
{
    if (has_region(outbox))
        return outbox->region_at;
    uint64_t through = outbox->backlog.count > 0 ? ring_at(&outbox->backlog, 0)->start
                                                 : buffer_offset_end(&outbox->log);
    outbox->region_at = through;
    outbox->region_end = through;
    return through;
}

void outbox_trim(struct outbox *outbox)
{
    uint64_t through = pop_answered(outbox);
    if (outbox->inflight_messages == 0)
        through = skip_unconfirmed(outbox);
    /* A broker may lie and confirm what it has not been sent. */
    if (has_region(outbox) && through > outbox->region_at)
        through = outbox->region_at;
    if (through > buffer_offset_front(&outbox->log))
        buffer_drop(&outbox->log, through);
    if (buffer_bytes(&outbox->log) == 0)
        buffer_shrink(&outbox->log, LOG_BYTES_KEPT);
}

struct outbox_mark outbox_mark(const struct outbox *outbox)
{
    return (struct outbox_mark){
        .offset = buffer_offset_end(&outbox->log),
        .settle_round = outbox->settle_round + (outbox_has_settlements(outbox) ? 1 : 0),
    };
}

bool outbox_has_passed(const struct outbox *outbox, struct outbox_mark mark)
{
    if (outbox->settle_round < mark.settle_round)
        return false;
    if (outbox->backlog.count > 0 && ring_at(&outbox->backlog, 0)->start < mark.offset)
        return false;
    if (buffer_bytes(&outbox->staging) > 0 ||
        (has_region(outbox) && outbox->region_at < mark.offset))
        return false;
    for (size_t i = 0; i < outbox->inflight.count; i++) {
        const struct entry *entry = ring_at(&outbox->inflight, i);
        if (entry->answered)
            continue;
        if (entry_is_logged(entry) && entry->start < mark.offset)
            return false;
        if (entry->kind == ENTRY_SETTLE && entry->start <= mark.settle_round)
            return false;
    }
    return true;
}

uint64_t outbox_seen(const struct outbox *outbox)
{
    if (outbox->inflight.count == 0)
        return outbox->tag_next - 1;
    return ring_at(&outbox->inflight, 0)->tag - 1;
}

/* --- a connection lost and made again -----------------------------------------------------------
 */

void outbox_reset(struct outbox *outbox)
{
    outbox->open = false;
    outbox->credit_messages = 0;
    outbox->credit_bytes = 0;
    outbox->resend_count = 0;
    outbox->range_count = 0;
    buffer_clear(&outbox->staging);
    buffer_clear(&outbox->settlements);
    uint64_t released = buffer_offset_end(&outbox->log);
    if (outbox->backlog.count > 0)
        released = ring_at(&outbox->backlog, 0)->start;
    outbox->region_at = released;
    outbox->region_end = released;
    outbox_trim(outbox);
}

void outbox_resume(struct outbox *outbox, uint64_t answered)
{
    if (outbox->tag_next <= answered)
        outbox->tag_next = answered + 1;
    outbox->resend_count = outbox->inflight.count - ring_index_above(&outbox->inflight, answered);
    outbox->open = true;
}

void outbox_restart(struct outbox *outbox, uint64_t answered)
{
    if (outbox->tag_next <= answered)
        outbox->tag_next = answered + 1;
    for (size_t i = 0; i < outbox->inflight.count; i++)
        ring_at(&outbox->inflight, i)->tag = outbox->tag_next++;
    outbox->resend_count = outbox->inflight.count;
    outbox->open = true;
}
