/* A copy of the broker's journal, piece by piece, into the program's hands. */
#include "client-lib/client.h"

#include "client-lib/request.h"

/* Where a copy is. */
struct backup {
    const struct herald_backup *wanted;
    struct herald_backup_piece piece; /* the last one; all is 0 before the begin */
    uint64_t next;                    /* position of the next piece */
    bool is_stopped;
};

/* Lets the program have a piece, empty at the begin. */
static void tell(struct herald_client *client, struct request *request, struct wire_bytes bytes)
{
    struct backup *backup = request->backup;
    backup->piece.position = backup->next;
    backup->piece.bytes = bytes.at;
    backup->piece.byte_count = bytes.bytes;
    backup->next += bytes.bytes;
    request->busy = true;
    client_enter_callback(client);
    int stop = backup->wanted->on_piece(&backup->piece, backup->wanted->context);
    client_leave_callback(client);
    request->busy = false;
    backup->is_stopped |= stop != 0;
}

static bool has_begun(const struct backup *backup)
{
    return backup->piece.segment_bytes > 0;
}

static bool begin(struct herald_client *client, struct request *request,
                  const struct frame_backup_begin *frame)
{
    struct backup *backup = request->backup;
    if (has_begun(backup) || frame->segment_bytes == 0 || frame->first >= frame->end ||
        frame->first % frame->segment_bytes != 0)
        return false;
    backup->piece.size = sizeof backup->piece;
    backup->piece.segment_bytes = frame->segment_bytes;
    backup->piece.first = frame->first;
    backup->piece.end = frame->end;
    backup->next = frame->first;
    tell(client, request, (struct wire_bytes){0});
    return true;
}

static bool take_piece(struct herald_client *client, struct request *request,
                       const struct frame_backup_piece *frame)
{
    struct backup *backup = request->backup;
    if (!has_begun(backup) || frame->position != backup->next || frame->bytes.bytes == 0)
        return false;
    uint64_t segment_bytes = backup->piece.segment_bytes;
    if (frame->bytes.bytes > segment_bytes - frame->position % segment_bytes ||
        frame->bytes.bytes > backup->piece.end - frame->position)
        return false;
    tell(client, request, frame->bytes);
    return true;
}

/* False: the frame is against the rules. */
static bool take(struct herald_client *client, struct request *request, const struct frame *frame)
{
    struct backup *backup = request->backup;
    if (frame->header.type == FRAME_BACKUP_BEGIN)
        return begin(client, request, &frame->as.backup_begin);
    if (frame->header.type == FRAME_BACKUP_PIECE)
        return take_piece(client, request, &frame->as.backup_piece);
    if (!has_begun(backup) || backup->next != backup->piece.end)
        return false;
    return true;
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
    struct frame frame = {.header.type = FRAME_BACKUP, .as.backup.content = BACKUP_JOURNAL};
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
