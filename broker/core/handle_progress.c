/* PROGRESS, RENEW: a worker's word on what it has not finished. */
#include "broker/core/apply.h"
#include "broker/core/cursor.h"
#include "broker/core/delivery.h"
#include "broker/core/dispatch.h"
#include "broker/core/handle_settle.h"
#include "broker/core/kept.h"
#include "broker/core/lease.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/watch.h"

/* What the next attempt begins with; of a durable message it survives the broker. */
static enum status keep_checkpoint(struct peer *peer, struct queue *queue, uint64_t number,
                                   struct wire_bytes checkpoint)
{
    struct core *core = peer->core;
    if (checkpoint.bytes > core->limits.checkpoint_bytes_max) {
        dispatch_explain(core, "a checkpoint of %u bytes, at most %u are kept", checkpoint.bytes,
                         core->limits.checkpoint_bytes_max);
        return STATUS_TOO_LARGE;
    }
    enum status kept = queue->cursor != NULL ? cursor_keep(core, peer, queue, number) : STATUS_OK;
    if (kept != STATUS_OK)
        return kept;
    struct standing where = queue_locate(queue, number);
    if (!standing_is_found(where))
        return STATUS_OK; /* it was dropped while it ran */
    struct operation_checkpoint operation = {queue->number, number, checkpoint};
    bool is_first = kept_find_attempted(queue, number) == NULL;
    struct attempted *attempted = kept_add_attempted(queue, number);
    uint64_t position = 0;
    enum status status =
        attempted != NULL ? asides_reserve_for(queue, operation.number) : STATUS_NO_MEMORY;
    if (status == STATUS_OK && queue->kind == QUEUE_DURABLE &&
        (standing_word(where) & PLACE_TRANSIENT) == 0)
        status = recorder_append_checkpoint(core, peer, &operation, &position);
    if (status == STATUS_OK)
        return apply_checkpoint(core, queue, &operation, position);
    if (is_first && attempted != NULL)
        kept_end_attempted(core, queue, attempted);
    return status;
}

enum status handle_progress(struct peer *peer, const struct frame *frame)
{
    const struct frame_progress *progress = &frame->as.progress;
    struct delivery *delivery;
    enum status status =
        settle_find(peer, progress->start, progress->delivery, progress->delivery, &delivery);
    if (status != STATUS_OK)
        return status;
    struct queue *queue = delivery->consumer->queue;
    uint64_t number = delivery->number;
    if (progress->checkpoint.bytes > 0)
        status = keep_checkpoint(peer, queue, number, progress->checkpoint);
    if (status != STATUS_OK)
        return status;
    lease_begin(peer, delivery);
    struct aside *aside = asides_find(&queue->asides, number);
    const struct ward *ward = aside != NULL ? aside_ward(aside) : NULL;
    if (ward != NULL && ward->tracked != NULL) {
        tracked_note(ward->tracked, progress->done, progress->total, progress->note);
        watch_tell(peer->core, ward->tracked);
    }
    return STATUS_OK;
}

enum status handle_renew(struct peer *peer, const struct frame *frame)
{
    lease_renew(peer, frame->as.renew.first, frame->as.renew.last);
    return STATUS_OK;
}
