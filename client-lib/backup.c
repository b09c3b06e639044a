/* A copy of the broker's data directory, piece by piece, into the program's hands. */
#include "client-lib/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client-lib/request.h"

enum { FILE_NAME_BYTES_MAX = 64 };

/* Where a copy is. */
struct backup {
    const struct herald_backup *wanted;
    struct frame_backup_begin begun;    /* all is 0 before */
    uint64_t next;                      /* position of the next piece of the journal */
    uint64_t files_bytes;               /* that have come */
    char name[FILE_NAME_BYTES_MAX + 1]; /* of the file that has begun */
    uint64_t file_bytes;
    uint64_t file_done;
    bool is_stopped;
};

/* Lets the program have a piece. */
static void tell(struct herald_client *client, struct request *request,
                 const struct herald_backup_piece *piece)
{
    struct backup *backup = request->backup;
    request->busy = true;
    client_enter_callback(client);
    int stop = backup->wanted->on_piece(piece, backup->wanted->context);
    client_leave_callback(client);
    request->busy = false;
    backup->is_stopped |= stop != 0;
}

static struct herald_backup_piece piece_of(const struct backup *backup)
{
    uint64_t journal_bytes = backup->begun.end - backup->begun.first;
    return (struct herald_backup_piece){.size = sizeof(struct herald_backup_piece),
                                        .done_bytes = backup->next - backup->begun.first +
                                                      backup->files_bytes,
                                        .all_bytes = journal_bytes + backup->begun.files_bytes};
}

static bool has_begun(const struct backup *backup)
{
    return backup->begun.segment_bytes > 0;
}

static bool begin(struct herald_client *client, struct request *request,
                  const struct frame_backup_begin *frame)
{
    struct backup *backup = request->backup;
    if (has_begun(backup) || frame->segment_bytes == 0 || frame->first >= frame->end ||
        frame->first % frame->segment_bytes != 0 ||
        frame->files_bytes > UINT64_MAX - (frame->end - frame->first))
        return false;
    backup->begun = *frame;
    backup->next = frame->first;
    struct herald_backup_piece piece = piece_of(backup);
    tell(client, request, &piece);
    return true;
}

static bool take_piece(struct herald_client *client, struct request *request,
                       const struct frame_backup_piece *frame)
{
    struct backup *backup = request->backup;
    const struct frame_backup_begin *begun = &backup->begun;
    if (!has_begun(backup) || frame->position != backup->next || frame->bytes.bytes == 0)
        return false;
    uint64_t offset = frame->position % begun->segment_bytes;
    if (frame->bytes.bytes > begun->segment_bytes - offset ||
        frame->bytes.bytes > begun->end - frame->position)
        return false;
    struct herald_backup_piece piece = piece_of(backup);
    snprintf(backup->name, sizeof backup->name, "segment-%016" PRIx64,
             frame->position / begun->segment_bytes);
    piece.file = backup->name;
    piece.file_bytes = begun->segment_bytes;
    piece.offset = offset;
    piece.bytes = frame->bytes.at;
    piece.byte_count = frame->bytes.bytes;
    backup->next += frame->bytes.bytes;
    tell(client, request, &piece);
    return true;
}

/* Programs make files of these names: nothing that leads out of a directory, or stands for a
 * segment. */
static bool is_good_name(struct wire_bytes name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    if (name.bytes == 0 || name.bytes > FILE_NAME_BYTES_MAX ||
        (name.bytes >= 8 && memcmp(name.at, "segment-", 8) == 0))
        return false;
    for (uint32_t i = 0; i < name.bytes; i++)
        if (name.at[i] == '\0' || strchr(letters, name.at[i]) == NULL)
            return false;
    return true;
}

/* The next file, or more of the one that has begun. */
static bool enter_file(struct backup *backup, const struct frame_backup_file *frame)
{
    if (backup->file_done < backup->file_bytes)
        return frame->file_bytes == backup->file_bytes && frame->offset == backup->file_done &&
               wire_bytes_equal(frame->name, wire_bytes_of_text(backup->name));
    if (!is_good_name(frame->name) || frame->offset != 0)
        return false;
    memcpy(backup->name, frame->name.at, frame->name.bytes);
    backup->name[frame->name.bytes] = '\0';
    backup->file_bytes = frame->file_bytes;
    backup->file_done = 0;
    return true;
}

static bool take_file(struct herald_client *client, struct request *request,
                      const struct frame_backup_file *frame)
{
    struct backup *backup = request->backup;
    uint64_t bytes = frame->bytes.bytes;
    if (!has_begun(backup) || backup->next != backup->begun.end || bytes == 0 ||
        !enter_file(backup, frame) || bytes > backup->file_bytes - backup->file_done ||
        bytes > backup->begun.files_bytes - backup->files_bytes)
        return false;
    struct herald_backup_piece piece = piece_of(backup);
    piece.file = backup->name;
    piece.file_bytes = backup->file_bytes;
    piece.offset = frame->offset;
    piece.bytes = frame->bytes.at;
    piece.byte_count = frame->bytes.bytes;
    backup->file_done += bytes;
    backup->files_bytes += bytes;
    tell(client, request, &piece);
    return true;
}

static bool is_whole(const struct backup *backup)
{
    return has_begun(backup) && backup->next == backup->begun.end &&
           backup->files_bytes == backup->begun.files_bytes &&
           backup->file_done == backup->file_bytes;
}

/* False: the frame is against the rules. */
static bool take(struct herald_client *client, struct request *request, const struct frame *frame)
{
    if (frame->header.type == FRAME_BACKUP_BEGIN)
        return begin(client, request, &frame->as.backup_begin);
    if (frame->header.type == FRAME_BACKUP_PIECE)
        return take_piece(client, request, &frame->as.backup_piece);
    if (frame->header.type == FRAME_BACKUP_FILE)
        return take_file(client, request, &frame->as.backup_file);
    return is_whole(request->backup);
}

void backup_handle(struct herald_client *client, const struct frame *frame)
{
    struct request *request = answer_find_request(client, frame->header.tag);
    if (request == NULL || request->type != FRAME_BACKUP) {
        session_lose(client, "the broker sent a copy that nobody asked for", 0);
        return;
    }
    if (request->waited && !take(client, request, frame))
        session_lose(client, "the broker sent a malformed copy", 0);
    else if (frame->header.type == FRAME_BACKUP_END)
        answer_finish_request(client, frame->header.tag);
    else if (!request->waited || request->backup->is_stopped)
        /* The only way not to be sent the rest, which may be long. */
        session_lose(client, "the backup was given up", 0);
}

static enum herald_status run(struct herald_client *client, const struct herald_backup *wanted,
                              int timeout_ms)
{
    struct backup backup = {.wanted = wanted};
    struct frame frame = {.header.type = FRAME_BACKUP, .as.backup.content = BACKUP_ALL};
    struct request *request = request_new(&frame);
    if (request == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory for a backup");
    request->waited = true;
    request->backup = &backup;
    request_queue(client, request);
    enum herald_status status = request_wait(client, request, timeout_ms);
    if (backup.is_stopped)
        return error_set(client, HERALD_ESTOPPED, "the program stopped the backup");
    return status;
}

enum herald_status herald_backup(struct herald_client *client, const struct herald_backup *backup,
                                 int timeout_ms)
{
    pthread_mutex_lock(&client->lock);
    enum herald_status status;
    if (backup->size < sizeof *backup || backup->on_piece == NULL || timeout_ms == 0)
        status =
            error_set(client, HERALD_EINVAL, "a backup needs its size, a callback and a timeout");
    else if (client_is_in_callback(client))
        status = error_set(client, HERALD_EWOULDDEADLOCK, "herald_backup in a callback");
    else
        status = run(client, backup, timeout_ms);
    pthread_mutex_unlock(&client->lock);
    return status;
}
