/* What arrives: bytes, frames, bodies in pieces. */
#include "client-lib/client.h"

#include <errno.h>
#include <stdlib.h>

/* A read of this much means that more is waiting already. */
enum { BUSY_BYTES = 32 * 1024 };

bool inbox_init(struct inbox *inbox)
{
    *inbox = (struct inbox){0};
    inbox->bytes = malloc(RECEIVE_BYTES);
    inbox_reset(inbox);
    return inbox->bytes != NULL;
}

static void end_assembly(struct assembly *assembly)
{
    free(assembly->bytes);
    assembly->bytes = NULL;
    assembly->active = false;
}

void inbox_deinit(struct inbox *inbox)
{
    end_assembly(&inbox->assembly);
    free(inbox->bytes);
    inbox->bytes = NULL;
}

void inbox_reset(struct inbox *inbox)
{
    end_assembly(&inbox->assembly);
    inbox->at = 0;
    inbox->end = 0;
    inbox->is_busy = false;
    inbox->stream = (struct stream){
        .sender = FRAME_SENDER_BROKER,
        .phase = FRAME_PHASE_HELLO,
        .frame_bytes_max = FRAME_BYTES_OFFERED,
    };
}

/* --- bodies in pieces ---------------------------------------------------------------------------
 */

/* The part of the body that came with the frame, and the size of the whole. */
static struct wire_bytes body_of(const struct frame *frame, uint32_t *whole)
{
    if (frame->header.type == FRAME_DELIVER) {
        *whole = frame->as.deliver.body_bytes;
        return frame->as.deliver.body;
    }
    if (frame->header.type == FRAME_PEEKED) {
        *whole = frame->as.peeked.body_bytes;
        return frame->as.peeked.body;
    }
    if (frame->header.type == FRAME_COMMAND_STATE) {
        *whole = frame->as.command_state.body_bytes;
        return frame->as.command_state.body;
    }
    if (frame->header.type == FRAME_EVENT) {
        *whole = frame->as.event.body_bytes;
        return frame->as.event.body;
    }
    *whole = frame->as.outcome.body_bytes;
    return frame->as.outcome.body;
}

static void handle_body(struct herald_client *client, const struct frame *frame,
                        struct wire_bytes body)
{
    if (frame->header.type == FRAME_DELIVER)
        message_handle_deliver(client, frame, body);
    else if (frame->header.type == FRAME_PEEKED)
        answer_handle_peeked(client, frame, body);
    else if (frame->header.type == FRAME_COMMAND_STATE)
        command_handle_state(client, frame, body);
    else if (frame->header.type == FRAME_EVENT)
        entity_handle_event(client, frame, body);
    else
        answer_handle_outcome(client, frame->header.tag, &frame->as.outcome, body);
}

/* The body is the frame's last field, so that the pieces can follow it in a copy of the frame. */
static void begin_assembly(struct herald_client *client, const struct frame *frame,
                           const unsigned char *at)
{
    struct assembly *assembly = &client->inbox.assembly;
    uint32_t whole;
    struct wire_bytes body = body_of(frame, &whole);
    if (assembly->active || body.bytes > whole || whole > MESSAGE_BYTES_LIMIT) {
        session_lose(client, "the broker sent a body against the rules", 0);
        return;
    }
    size_t head = frame->header.length - body.bytes;
    assembly->bytes = malloc(head + whole);
    if (assembly->bytes == NULL) {
        session_lose(client, "a large message", ENOMEM);
        return;
    }
    memcpy(assembly->bytes, at, frame->header.length);
    if (frame_decode(&assembly->frame, assembly->bytes) != STATUS_OK) {
        end_assembly(assembly);
        session_lose(client, "the broker sent a malformed frame", 0);
        return;
    }
    assembly->body_bytes = body.bytes;
    assembly->active = true;
}

static void handle_piece(struct herald_client *client, struct wire_bytes piece)
{
    struct assembly *assembly = &client->inbox.assembly;
    if (!assembly->active) {
        session_lose(client, "the broker sent a piece of nothing", 0);
        return;
    }
    uint32_t whole;
    struct wire_bytes begun = body_of(&assembly->frame, &whole);
    if (piece.bytes == 0 || piece.bytes > whole - assembly->body_bytes) {
        session_lose(client, "the broker sent more body than announced", 0);
        return;
    }
    size_t head = assembly->frame.header.length - begun.bytes;
    memcpy(assembly->bytes + head + assembly->body_bytes, piece.at, piece.bytes);
    assembly->body_bytes += piece.bytes;
    if (assembly->body_bytes < whole)
        return;
    struct assembly done = *assembly;
    assembly->bytes = NULL;
    assembly->active = false;
    handle_body(client, &done.frame, wire_bytes_of(done.bytes + head, whole));
    end_assembly(&done);
}

/* --- frames -------------------------------------------------------------------------------------
 */

static void handle_gap(struct herald_client *client, const struct frame_gap *frame)
{
    struct herald_consumer *consumer = consumer_find(client, frame->consumer);
    if (consumer == NULL || consumer->state == CONSUMER_CANCELLED)
        return;
    if (consumer->following != NULL)
        follow_on_gap(consumer, frame->missed);
    if (consumer->on_gap == NULL)
        return;
    herald_gap_fn *on_gap = consumer->on_gap;
    void *context = consumer->context;
    client_enter_callback(client);
    on_gap(consumer, frame->missed, context);
    client_leave_callback(client);
}

/* What concerns consumers and their deliveries, and copies of the journal. */
static void handle_news(struct herald_client *client, const struct frame *frame)
{
    switch (frame->header.type) {
    case FRAME_CONSUMER_ACTIVE:
        consumer_handle_active(client, &frame->as.consumer_active);
        break;
    case FRAME_EARLIER:
        message_handle_earlier(client, &frame->as.earlier);
        break;
    case FRAME_UNWANTED:
        message_handle_unwanted(client, frame->as.unwanted.delivery);
        break;
    case FRAME_CONSUMER_GONE:
        consumer_handle_gone(client, &frame->as.consumer_gone);
        break;
    case FRAME_GAP:
        handle_gap(client, &frame->as.gap);
        break;
    case FRAME_BACKUP_BEGIN:
    case FRAME_BACKUP_PIECE:
    case FRAME_BACKUP_FILE:
    case FRAME_BACKUP_END:
        backup_handle(client, frame);
        break;
    default: /* HEARTBEAT: that it came is enough; client's frames do not pass the splitter */
        break;
    }
}

static void handle_frame(struct herald_client *client, const struct frame *frame,
                         const unsigned char *at)
{
    switch (frame->header.type) {
    case FRAME_DELIVER:
    case FRAME_OUTCOME:
    case FRAME_COMMAND_STATE:
    case FRAME_EVENT:
    case FRAME_PEEKED: {
        uint32_t whole;
        struct wire_bytes body = body_of(frame, &whole);
        if (body.bytes == whole)
            handle_body(client, frame, body);
        else
            begin_assembly(client, frame, at);
        break;
    }
    case FRAME_PIECE:
        handle_piece(client, frame->as.piece.body);
        break;
    case FRAME_CONFIRM:
        answer_handle_confirm(client, &frame->as.confirm);
        break;
    case FRAME_REFUSE:
        answer_handle_refuse(client, frame->header.tag, &frame->as.refuse);
        break;
    case FRAME_APPENDED:
        entity_handle_appended(client, frame->header.tag, &frame->as.appended);
        break;
    case FRAME_COUNT:
        answer_handle_count(client, frame->header.tag, frame->as.count.count);
        break;
    case FRAME_ROW:
        answer_handle_row(client, &frame->header, frame->as.row.fields);
        break;
    case FRAME_CREDIT:
        client->outbox.credit_messages += frame->as.credit.messages;
        client->outbox.credit_bytes += frame->as.credit.bytes;
        break;
    case FRAME_DRAIN:
        session_tell_state(client, HERALD_STATE_DRAINING);
        break;
    case FRAME_HELLO_OK:
        session_handle_hello_ok(client, &frame->as.hello_ok);
        if (client->session.state == SESSION_AUTH) {
            client->inbox.stream.phase = FRAME_PHASE_AUTH;
            client->inbox.stream.frame_bytes_max = client->outbox.frame_bytes_max;
        }
        break;
    case FRAME_AUTH_OK:
        client->inbox.stream.phase = FRAME_PHASE_OPEN;
        session_handle_auth_ok(client, &frame->as.auth_ok);
        break;
    case FRAME_AUTH_CHALLENGE:
        error_set(client, HERALD_EUNSUPPORTED,
                  "the broker wants a way of authentication that this version does not know");
        session_end(client);
        break;
    case FRAME_CLOSE:
        session_handle_close(client, &frame->as.close);
        break;
    default:
        handle_news(client, frame);
        break;
    }
}

/* Room for the next read: what is left of a frame moves to the front. */
static void make_room(struct inbox *inbox)
{
    size_t left = inbox->end - inbox->at;
    if (inbox->at > 0 && left > 0)
        memmove(inbox->bytes, inbox->bytes + inbox->at, left);
    inbox->at = 0;
    inbox->end = left;
}

void inbox_receive(struct herald_client *client)
{
    struct inbox *inbox = &client->inbox;
    make_room(inbox);
    ssize_t bytes =
        transport_read(&client->transport, inbox->bytes + inbox->end, RECEIVE_BYTES - inbox->end);
    inbox->is_busy = bytes >= BUSY_BYTES;
    if (bytes < 0) {
        session_lose(client, "the connection was lost", errno);
        return;
    }
    if (bytes == 0)
        return;
    inbox->end += (size_t)bytes;
    client->session.received_ms = client->now_ms;
    /* Losing the connection empties the inbox and so ends the loop. */
    for (;;) {
        struct frame frame;
        size_t wanted;
        const unsigned char *at = inbox->bytes + inbox->at;
        enum status status =
            stream_next(&inbox->stream, at, inbox->end - inbox->at, &frame, &wanted);
        if (status == STATUS_MORE)
            return;
        if (status != STATUS_OK) {
            session_lose(client, status_text(status), 0);
            return;
        }
        inbox->at += frame.header.length;
        handle_frame(client, &frame, at);
    }
}
