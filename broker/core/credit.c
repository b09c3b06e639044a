/* Publisher credit. */
#include "broker/core/credit.h"

#include "broker/core/line.h"
#include "broker/core/output.h"
#include "broker/core/restate.h"
#include "broker/core/state.h"

/* The credit of a peer that was let in waits in the line, behind the word that it was. */
void credit_open(struct peer *peer, uint64_t needs)
{
    const struct core_limits *limits = &peer->core->limits;
    unsigned char room[FRAME_HEADER_BYTES + 8];
    struct wire_writer w = wire_writer_of(room, sizeof room);
    frame_put_credit(&w, 0, 0,
                     &(struct frame_credit){limits->credit_messages, limits->credit_bytes});
    line_answer(peer, 0, room, wire_written(&w), needs);
    peer->credit_messages = limits->credit_messages;
    peer->credit_bytes = limits->credit_bytes;
}

static void give(struct peer *peer, uint32_t messages, uint32_t bytes)
{
    struct frame frame = {.header.type = FRAME_CREDIT};
    frame.as.credit = (struct frame_credit){messages, bytes};
    output_frame(peer, &frame);
    peer->credit_messages += messages;
    peer->credit_bytes += bytes;
}

static void owe(struct peer *peer)
{
    if (peer->is_owed_credit)
        return;
    peer->is_owed_credit = true;
    TAILQ_INSERT_TAIL(&peer->core->creditors, peer, credit_link);
}

enum status credit_charge_message(struct peer *peer, const struct frame *frame, uint32_t rest_bytes)
{
    if (frame->header.type == FRAME_RESULT)
        return STATUS_OK;
    /* One message of grace: what crossed a slow CREDIT on its way is no offence. */
    if (peer->credit_messages < 0 ||
        peer->credit_bytes < -(int64_t)peer->core->limits.message_bytes_max)
        return STATUS_FLOW_VIOLATION;
    int64_t bytes = (int64_t)frame->header.length + rest_bytes;
    peer->credit_messages--;
    peer->credit_bytes -= bytes;
    peer->used_messages++;
    peer->used_bytes += (uint64_t)bytes;
    if (peer->used_messages >= peer->core->limits.credit_messages / 2 ||
        peer->used_bytes >= peer->core->limits.credit_bytes / 2)
        owe(peer);
    return STATUS_OK;
}

static bool is_overloaded(const struct core *core)
{
    return journal_pending_bytes(core->journal) > core->limits.pending_bytes_max ||
           restate_is_pressed(core);
}

void credit_run(struct core *core)
{
    if (TAILQ_EMPTY(&core->creditors))
        return;
    bool withhold = is_overloaded(core);
    core->counters.credit_withheld += withhold && !core->is_credit_withheld;
    core->is_credit_withheld = withhold;
    struct peer *peer;
    while (!withhold && (peer = TAILQ_FIRST(&core->creditors)) != NULL) {
        TAILQ_REMOVE(&core->creditors, peer, credit_link);
        peer->is_owed_credit = false;
        uint32_t bytes = peer->used_bytes < UINT32_MAX ? (uint32_t)peer->used_bytes : UINT32_MAX;
        give(peer, peer->used_messages, bytes);
        peer->used_messages = 0;
        peer->used_bytes -= bytes;
    }
}
