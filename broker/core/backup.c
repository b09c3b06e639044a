/* BACKUP: a copy of the journal for a peer that asked for it, while everything goes on.
 *
 *              handle_backup           read_next                  on_copy
 *   (no peer) -------------> waiting -------------> reading -------------------> waiting
 *       ^                       |                      |
 *       |   all sent, closing, peer gone, disk full    | peer gone
 *       +-----------------------+                      v
 *       +-------- on_copy ---------------------- reading for nobody
 *
 * What is copied is the journal's bytes from its oldest segment to its durable position at the
 * beginning. That is a data directory from which a broker starts, because:
 *   1. the end is a durable position, so it stands behind a whole batch. A durable batch is never
 *      written again, whatever is appended behind it while the copy is under way, and everything
 *      that was confirmed before is below the end.
 *   2. recovery needs every segment from the one that the last batch names as the oldest kept.
 *      Segments are freed oldest first, each only after a batch that names a younger one is
 *      durable, and none from journal_hold on. At that moment the oldest segment is the one that
 *      the newest durable batch names, and the end is taken right behind that batch: so the last
 *      batch copied names the first segment copied.
 *   3. what stands behind the end in the last segment is not copied and becomes zeros, behind which
 *      there is nothing that could verify.
 *
 * Always true between two calls: the journal is held exactly while is_held; is_reading only while
 * held; without a peer nothing is held but for a read that is still out.
 */
#include "broker/core/backup.h"

#include <assert.h>

#include "broker/core/dispatch.h"
#include "broker/core/output.h"

enum {
    /* Read and sent at once: large enough for a disk, and small enough not to keep the background
     * thread from fetching bodies. */
    COPY_BYTES_MAX = 256 << 10,
    /* Of a piece, before its bytes. */
    PIECE_HEADER_BYTES = FRAME_HEADER_BYTES + 8,
};

static void end(struct core *core)
{
    struct backup *backup = &core->backup;
    backup->peer = NULL;
    if (backup->is_reading || !backup->is_held)
        return;
    backup->is_held = false;
    journal_release(core->journal);
}

static enum status begin(struct peer *peer, uint64_t tag)
{
    struct core *core = peer->core;
    if (core->backup.is_held)
        return STATUS_LIMIT;
    struct backup *backup = &core->backup;
    uint64_t first = journal_hold(core->journal);
    *backup = (struct backup){.peer = peer,
                              .tag = tag,
                              .next = first,
                              .end = journal_durable_position(core->journal),
                              .segment_bytes = journal_recovery(core->journal).segment_bytes,
                              .is_held = true};
    assert(backup->next % backup->segment_bytes == 0 && backup->next < backup->end);
    /* All that it says is on disk: it waits for nothing. */
    struct frame frame = {.header.type = FRAME_BACKUP_BEGIN, .header.tag = tag};
    frame.as.backup_begin =
        (struct frame_backup_begin){backup->segment_bytes, backup->next, backup->end};
    output_frame(peer, &frame);
    return STATUS_OK;
}

/* A copy holds the messages of all users, so it is for those who could read the directory anyway.
 * A broker that lets anybody in (--dev) has no secrets. */
static bool may_copy(const struct peer *peer)
{
    return peer->origin->is_administrator || peer->core->is_anonymous_allowed;
}

enum status handle_backup(struct peer *peer, const struct frame *frame)
{
    struct core *core = peer->core;
    if (!may_copy(peer)) {
        dispatch_explain(core,
                         "backups are for root and the broker's own user, on its unix socket");
        return STATUS_DENIED;
    }
    if (frame->as.backup.content != BACKUP_JOURNAL)
        return STATUS_BAD_VALUE;
    if (core->is_draining)
        return STATUS_DRAINING;
    enum status status = begin(peer, frame->header.tag);
    if (status == STATUS_LIMIT)
        dispatch_explain(core, "another backup is under way");
    return status;
}

static void put_pieces(struct peer *peer, const unsigned char *at, uint32_t bytes)
{
    struct backup *backup = &peer->core->backup;
    uint32_t piece_max = peer->frame_bytes_max - PIECE_HEADER_BYTES;
    while (bytes > 0) {
        uint32_t piece = bytes < piece_max ? bytes : piece_max;
        struct frame frame = {.header.type = FRAME_BACKUP_PIECE, .header.tag = backup->tag};
        frame.as.backup_piece = (struct frame_backup_piece){backup->next, wire_bytes_of(at, piece)};
        output_frame(peer, &frame);
        backup->next += piece;
        at += piece;
        bytes -= piece;
    }
}

/* Ends the copy and nothing else. */
static void fail(struct core *core, enum status told, const char *text)
{
    struct backup *backup = &core->backup;
    struct frame frame = {.header.type = FRAME_REFUSE, .header.tag = backup->tag};
    frame.as.refuse = (struct frame_refuse){(uint16_t)told, wire_bytes_of_text(text)};
    output_frame(backup->peer, &frame);
    core->note(core->note_context, CORE_NOTE_WARNING, "backup", status_text(told));
    end(core);
}

/* Who needs the bytes that cannot be read will find out. */
static void fail_reading(struct core *core, enum status status)
{
    fail(core, status == STATUS_NO_MEMORY ? status : STATUS_UNREADABLE,
         "the copy could not be read");
}

static void on_copy(void *argument, const unsigned char *at, uint32_t bytes, enum status status)
{
    struct core *core = argument;
    struct backup *backup = &core->backup;
    backup->is_reading = false;
    if (backup->peer == NULL)
        end(core);
    else if (status != STATUS_OK)
        fail_reading(core, status);
    else
        put_pieces(backup->peer, at, bytes);
}

static void finish(struct core *core)
{
    struct backup *backup = &core->backup;
    struct frame frame = {.header.type = FRAME_BACKUP_END, .header.tag = backup->tag};
    frame.as.backup_end.end = backup->end;
    output_frame(backup->peer, &frame);
    end(core);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A quarter of what may wait at most is read at once, and only while no more than half of it waits:
 * the headers of small pieces fit the last quarter. */
static bool has_room(const struct peer *peer)
{
    return buffer_bytes(&peer->output) <= peer->core->limits.unsent_bytes_max / 2;
}

static void read_next(struct core *core)
{
    struct backup *backup = &core->backup;
    uint64_t segment_end = (backup->next / backup->segment_bytes + 1) * backup->segment_bytes;
    uint64_t bytes = smaller(COPY_BYTES_MAX, core->limits.unsent_bytes_max / 4);
    bytes = smaller(bytes, smaller(segment_end, backup->end) - backup->next);
    backup->is_reading = true;
    enum status status = journal_copy(core->journal, backup->next, (uint32_t)bytes, on_copy, core);
    if (status == STATUS_OK)
        return;
    backup->is_reading = false;
    fail_reading(core, status);
}

void backup_run(struct core *core)
{
    struct backup *backup = &core->backup;
    if (backup->peer == NULL)
        return;
    if (backup->peer->state == PEER_CLOSING)
        end(core);
    else if (journal_is_full(core->journal) && !backup->is_reading)
        fail(core, STATUS_DISK_FULL, "the disk is full, and what is held for the copy is needed");
    else if (backup->is_reading || !has_room(backup->peer))
        return;
    else if (backup->next < backup->end)
        read_next(core);
    else
        finish(core);
}

void backup_on_sent(struct peer *peer)
{
    struct core *core = peer->core;
    if (core->backup.peer == peer && !core->backup.is_reading && has_room(peer))
        core->has_more = true;
}

void backup_end_peer(struct peer *peer)
{
    if (peer->core->backup.peer == peer)
        end(peer->core);
}
