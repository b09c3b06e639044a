/* COMMAND_STATUS, COMMAND_CANCEL: senders ask for their tracked commands, and take them back. */
#include "broker/core/apply.h"
#include "broker/core/consumer.h"
#include "broker/core/dispatch.h"
#include "broker/core/ending.h"
#include "broker/core/kept.h"
#include "broker/core/kin.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/watch.h"

enum status handle_command_status(struct peer *peer, const struct frame *frame)
{
    const struct frame_command_status *ask = &frame->as.command_status;
    if (ask->until > COMMAND_CHANGES)
        return STATUS_BAD_VALUE;
    struct tracked *tracked = tracked_find(peer->core, ask->id);
    if (tracked == NULL)
        return STATUS_UNKNOWN_COMMAND;
    if (ask->until == COMMAND_NOW || tracked->outcome != NULL) {
        watch_answer(peer, tracked, frame->header.tag);
        return STATUS_OK;
    }
    if (peer->core->is_draining)
        return STATUS_DRAINING;
    return watch_new(peer, tracked, frame->header.tag,
                     ask->until == COMMAND_OUTCOME ? WATCH_OUTCOME : WATCH_CHANGES,
                     ask->timeout_ms);
}

/* The worker is asked to stop; whatever it says then, there is no further attempt. */
static enum status cancel_running(struct peer *peer, struct aside *aside)
{
    struct core *core = peer->core;
    struct queue *queue = aside_queue(aside);
    struct attempted *attempted = kept_find_attempted(queue, aside->number);
    if (attempted != NULL && attempted->is_cancelled)
        return STATUS_OK;
    bool is_first = attempted == NULL;
    attempted = kept_add_attempted(queue, aside->number);
    if (attempted == NULL)
        return STATUS_NO_MEMORY;
    struct operation_cancel operation = {queue->number, aside->number};
    uint64_t position;
    enum status status = recorder_append_cancel(core, peer, &operation, &position);
    if (status != STATUS_OK) {
        if (is_first)
            kept_end_attempted(core, queue, attempted);
        return status;
    }
    (void)apply_cancel(core, queue, &operation, position);
    consumer_tell_unwanted(core, queue, aside->number, STATUS_CANCELLED);
    watch_tell_aside(core, aside);
    return STATUS_OK;
}

static enum status cancel_one(struct peer *peer, const struct tracked *tracked)
{
    struct core *core = peer->core;
    struct queue *queue = queue_find_number(core, tracked->queue);
    struct aside *aside = queue != NULL ? asides_find(&queue->asides, tracked->number) : NULL;
    if (aside == NULL)
        return STATUS_OK; /* its queue is being deleted: the outcome is on its way */
    if (aside->state == ASIDE_OUT)
        return cancel_running(peer, aside);
    struct ending ending = ending_of_aside(STATUS_CANCELLED, aside);
    return ending_carry_out(core, peer, queue, aside->number, &ending);
}

/* The command and all that was sent on its behalf, of which some may be finished. */
static enum status cancel_family(struct peer *peer, struct tracked *root)
{
    enum status status = STATUS_OK;
    for (struct tracked *tracked = root; tracked != NULL && status == STATUS_OK;
         tracked = kin_next(root, tracked))
        if (tracked->outcome == NULL)
            status = cancel_one(peer, tracked);
    return status;
}

enum status handle_command_cancel(struct peer *peer, const struct frame *frame)
{
    struct tracked *tracked = tracked_find(peer->core, frame->as.command_cancel.id);
    if (tracked == NULL)
        return STATUS_UNKNOWN_COMMAND;
    if (tracked->outcome != NULL)
        return STATUS_FINISHED;
    return cancel_family(peer, tracked);
}
