/* BACKUP: a copy of the journal and of the files of histories for a peer that asked for it, while
 * everything goes on.
 *
 *              handle_backup          list             on_listed
 *   (no peer) -------------> waiting ------> reading --------------+
 *                                                                  v
 *                    read_journal, read_files                   waiting <----+
 *       +---------------------------------------------------------+          |
 *       v                          on_journal, on_file                       |
 *    reading ----------------------------------------------------------------+
 *
 * All sent, or closing, peer gone, disk full: end. If a read is out then, it is for nobody, and the
 * rest of the end comes with it.
 *
 * What is copied of the journal are its bytes from its oldest segment to its durable position at
 * the beginning. Together with the files (backup_files.c says which) that is a data directory from
 * which a broker starts, because:
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
 * Always true between two calls: the journal is held exactly while is_journal_held, files are while
 * there are `files`; the journal no longer than until the last of it was sent. Without a peer
 * nothing is held but for a read that is still out.
 */
#include "broker/core/backup.h"

#include <assert.h>

#include "broker/core/backup_files.h"
#include "broker/core/dispatch.h"
#include "broker/core/mover.h"
#include "broker/core/output.h"

enum {
    /* Read and sent at once: large enough for a disk, and small enough not to keep the background
     * thread from fetching bodies. */
    COPY_BYTES_MAX = 256 << 10,
    /* Of a piece, before its bytes. */
    PIECE_HEADER_BYTES = FRAME_HEADER_BYTES + 8,
    FILE_HEADER_BYTES = FRAME_HEADER_BYTES + 1 + ARCHIVE_NAME_BYTES + 8 + 8,
};

static void release_journal(struct core *core)
{
    if (core->backup.is_journal_held)
        journal_release(core->journal);
    core->backup.is_journal_held = false;
}

static void end(struct core *core)
{
    struct backup *backup = &core->backup;
    backup->peer = NULL;
    if (backup->is_reading)
        return;
    release_journal(core);
    backup_files_free(core, backup->files);
    backup->files = NULL;
}

void backup_deinit(struct core *core)
{
    backup_files_free(core, core->backup.files);
    core->backup.files = NULL;
}

static enum status begin(struct peer *peer, uint64_t tag)
{
    struct core *core = peer->core;
    struct backup *backup = &core->backup;
    if (backup->peer != NULL || backup->is_reading)
        return STATUS_LIMIT;
    struct backup_files *files = NULL;
    if (core->archive != NULL && (files = backup_files_new(core, COPY_BYTES_MAX)) == NULL)
        return STATUS_NO_MEMORY;
    uint64_t first = journal_hold(core->journal);
    *backup = (struct backup){.peer = peer,
                              .tag = tag,
                              .next = first,
                              .end = journal_durable_position(core->journal),
                              .segment_bytes = journal_recovery(core->journal).segment_bytes,
                              .is_journal_held = true,
                              .files = files};
    assert(backup->next % backup->segment_bytes == 0 && backup->next < backup->end);
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
    if (frame->as.backup.content != BACKUP_ALL)
        return STATUS_BAD_VALUE;
    if (core->is_draining)
        return STATUS_DRAINING;
    enum status status = begin(peer, frame->header.tag);
    if (status == STATUS_LIMIT)
        dispatch_explain(core, "another backup is under way");
    return status;
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

/* What was asked for is back. True: it is still wanted, and there. */
static bool read_ends(struct core *core, enum status status)
{
    struct backup *backup = &core->backup;
    backup->is_reading = false;
    if (backup->peer == NULL)
        end(core);
    else if (status != STATUS_OK)
        fail_reading(core, status);
    return backup->peer != NULL;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A quarter of what may wait at most is read at once, and only while no more than half of it waits:
 * the headers of small pieces fit the last quarter. */
static uint64_t piece_bytes_max(const struct core *core)
{
    return smaller(COPY_BYTES_MAX, core->limits.unsent_bytes_max / 4);
}

static bool has_room(const struct peer *peer)
{
    return buffer_bytes(&peer->output) <= peer->core->limits.unsent_bytes_max / 2;
}

/* --- what is to be copied -----------------------------------------------------------------------
 */

static void tell_begin(struct core *core)
{
    struct backup *backup = &core->backup;
    uint64_t files_bytes = backup->files != NULL ? backup_files_bytes(backup->files) : 0;
    /* All that it says is on disk: it waits for nothing. */
    struct frame frame = {.header.type = FRAME_BACKUP_BEGIN, .header.tag = backup->tag};
    frame.as.backup_begin =
        (struct frame_backup_begin){backup->segment_bytes, backup->next, backup->end, files_bytes};
    output_frame(backup->peer, &frame);
    backup->has_begun = true;
}

static void on_listed(struct core *core, enum status status)
{
    if (read_ends(core, status))
        tell_begin(core);
}

static void list(struct core *core)
{
    struct backup *backup = &core->backup;
    if (backup->files == NULL)
        tell_begin(core);
    else
        backup->is_reading = backup_files_list(core, backup->files, on_listed);
}

/* --- the journal --------------------------------------------------------------------------------
 */

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

static void on_journal(void *argument, const unsigned char *at, uint32_t bytes, enum status status)
{
    struct core *core = argument;
    if (read_ends(core, status))
        put_pieces(core->backup.peer, at, bytes);
}

static void read_journal(struct core *core)
{
    struct backup *backup = &core->backup;
    uint64_t segment_end = (backup->next / backup->segment_bytes + 1) * backup->segment_bytes;
    uint64_t bytes = smaller(segment_end, backup->end) - backup->next;
    bytes = smaller(bytes, piece_bytes_max(core));
    backup->is_reading = true;
    enum status status =
        journal_copy(core->journal, backup->next, (uint32_t)bytes, on_journal, core);
    if (status == STATUS_OK)
        return;
    backup->is_reading = false;
    fail_reading(core, status);
}

/* --- files --------------------------------------------------------------------------------------
 */

static void put_file_pieces(struct peer *peer, const struct backup_files_piece *piece)
{
    uint32_t bytes_max = peer->frame_bytes_max - FILE_HEADER_BYTES;
    for (uint32_t done = 0; done < piece->bytes.bytes;) {
        uint32_t left = piece->bytes.bytes - done;
        uint32_t bytes = left < bytes_max ? left : bytes_max;
        struct frame frame = {.header.type = FRAME_BACKUP_FILE,
                              .header.tag = peer->core->backup.tag};
        frame.as.backup_file = (struct frame_backup_file){
            wire_bytes_of_text(piece->name), piece->file_bytes, piece->offset + done,
            wire_bytes_of(piece->bytes.at + done, bytes)};
        output_frame(peer, &frame);
        done += bytes;
    }
}

static void on_file(struct core *core, const struct backup_files_piece *piece, enum status status)
{
    if (read_ends(core, status))
        put_file_pieces(core->backup.peer, piece);
}

/* False: there is nothing left. */
static bool read_files(struct core *core)
{
    struct backup *backup = &core->backup;
    backup->is_reading =
        backup->files != NULL &&
        backup_files_read(core, backup->files, (uint32_t)piece_bytes_max(core), on_file);
    return backup->is_reading;
}

static void finish(struct core *core)
{
    struct backup *backup = &core->backup;
    struct frame frame = {.header.type = FRAME_BACKUP_END, .header.tag = backup->tag};
    frame.as.backup_end.end = backup->end;
    output_frame(backup->peer, &frame);
    end(core);
}

/* --- a round ------------------------------------------------------------------------------------
 */

static void go_on(struct core *core)
{
    struct backup *backup = &core->backup;
    if (!backup->has_begun) {
        list(core);
        return;
    }
    if (backup->next < backup->end) {
        read_journal(core);
        return;
    }
    release_journal(core);
    if (!read_files(core))
        finish(core);
}

void backup_run(struct core *core)
{
    struct backup *backup = &core->backup;
    bool is_full = journal_is_full(core->journal) || mover_is_full(core);
    if (backup->peer == NULL)
        return;
    if (backup->peer->state == PEER_CLOSING)
        end(core);
    else if (is_full && !backup->is_reading)
        fail(core, STATUS_DISK_FULL, "the disk is full, and what is held for the copy is needed");
    else if (!backup->is_reading && has_room(backup->peer))
        go_on(core);
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
