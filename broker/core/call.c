/* Calls: commands whose outcome goes straight back to the connection that sent them. */
#include "broker/core/call.h"

#include <stdlib.h>

#include "broker/core/apply.h"
#include "broker/core/ending.h"
#include "broker/core/output.h"
#include "broker/core/queue.h"

enum status call_new(struct peer *peer, struct queue *queue, const struct frame *frame,
                     uint64_t number, struct message *message)
{
    struct core *core = peer->core;
    if (core->call_count >= core->limits.calls_max)
        return STATUS_LIMIT;
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return STATUS_NO_MEMORY;
    call->peer = peer;
    call->queue = queue;
    call->tag = frame->header.tag;
    call->number = number;
    HASH_ADD(hh, peer->calls, tag, sizeof call->tag, call);
    if (!table_has(&call->hh)) {
        free(call);
        return STATUS_NO_MEMORY;
    }
    queue_ref(queue);
    wheel_arm(&core->wheel, &call->timer, core->now_ms + frame->as.call.timeout_ms);
    core->call_count++;
    message->call = call;
    return STATUS_OK;
}

static void call_free(struct call *call)
{
    struct core *core = call->peer->core;
    wheel_disarm(&core->wheel, &call->timer);
    HASH_DEL(call->peer->calls, call);
    core->call_count--;
    queue_unref(core, call->queue);
    free(call);
}

static void call_answer(struct call *call, const struct frame_outcome *outcome)
{
    call->peer->core->counters.calls_answered++;
    output_outcome(call->peer, call->tag, outcome);
    call_free(call);
}

static struct frame_outcome outcome_of(enum status status, enum frame_outcome_ran ran,
                                       const char *text)
{
    return (struct frame_outcome){.state = OUTCOME_FAILED,
                                  .ran = (uint8_t)ran,
                                  .code = wire_bytes_of_text(status_name(status)),
                                  .text = wire_bytes_of_text(text)};
}

void call_done(struct call *call, struct wire_bytes result)
{
    struct frame_outcome outcome = {
        .state = OUTCOME_DONE, .ran = OUTCOME_RAN, .body_bytes = result.bytes, .body = result};
    call_answer(call, &outcome);
}

void call_fail(struct call *call, enum status status, enum frame_outcome_ran ran)
{
    struct frame_outcome outcome = outcome_of(status, ran, status_text(status));
    call_answer(call, &outcome);
}

void call_end(struct call *call, const struct ending *ending)
{
    struct frame_outcome outcome = {.state = ending->state,
                                    .ran = ending->ran,
                                    .code = ending->code,
                                    .text = ending->text,
                                    .body_bytes = ending->body.bytes,
                                    .body = ending->body};
    call_answer(call, &outcome);
}

void call_refuse(struct peer *peer, uint64_t tag, enum status status, const char *text)
{
    struct frame_outcome outcome =
        outcome_of(status, OUTCOME_NOT_RUN, text != NULL ? text : status_text(status));
    output_outcome(peer, tag, &outcome);
}

/* Takes the call's message out when it waits; one that runs ends unheard. Whether it has run. */
static enum frame_outcome_ran message_let_go(struct core *core, struct call *call)
{
    struct standing where = queue_locate(call->queue, call->number);
    if (!standing_is_found(where))
        return OUTCOME_NOT_RUN;
    uint64_t word = standing_word(where);
    enum frame_outcome_ran ran = queue_ran(call->queue, call->number, word);
    struct message *message = place_message(word);
    message->call = NULL;
    message->is_unheard = true;
    if ((word & PLACE_OUT) == 0)
        standing_remove(core, call->queue, where);
    return ran;
}

void call_on_timer(struct core *core, struct wheel_timer *timer)
{
    struct call *call = (struct call *)(void *)((char *)timer - offsetof(struct call, timer));
    core->counters.calls_expired++;
    enum frame_outcome_ran ran = message_let_go(core, call);
    call_fail(call, STATUS_EXPIRED, ran);
}

void call_on_drain(struct core *core, struct call *call)
{
    enum frame_outcome_ran ran = message_let_go(core, call);
    call_fail(call, STATUS_DRAINING, ran);
}

void call_end_peer(struct peer *peer)
{
    struct call *call;
    struct call *next;
    HASH_ITER (hh, peer->calls, call, next) {
        (void)message_let_go(peer->core, call);
        call_free(call);
    }
}

/* Ends the call whose message has this place, if it is one of those. */
static void end_call_at(struct core *core, struct queue *queue, struct standing where,
                        enum call_scope scope, enum status status)
{
    uint64_t word = standing_word(where);
    struct message *message = (word & PLACE_TRANSIENT) != 0 ? place_message(word) : NULL;
    bool is_out = (word & PLACE_OUT) != 0;
    if (message == NULL || message->call == NULL || (is_out && scope == CALL_WAITING))
        return;
    call_fail(message->call, status, queue_ran(queue, message->call->number, word));
    message->call = NULL;
    if (!is_out)
        standing_remove(core, queue, where);
}

void call_end_all(struct core *core, struct queue *queue, enum call_scope scope, enum status status)
{
    if (queue->transient_count == 0)
        return;
    struct index_at at = index_find_from(&queue->index, 0);
    while (at.found != NULL || at.is_away) {
        struct index_at next = index_next(&queue->index, at);
        if (at.found != NULL) /* what is away is no call */
            end_call_at(core, queue, (struct standing){.at = at}, scope, status);
        at = next;
    }
    struct aside *aside = asides_next(&queue->asides, NULL);
    while (aside != NULL) {
        struct aside *next = asides_next(&queue->asides, aside);
        end_call_at(core, queue, (struct standing){.aside = aside}, scope, status);
        aside = next;
    }
}
