/* Tracked commands: asking what became of them, waiting, watching, taking them back.
 *
 * A question is a request that is answered by COMMAND_STATE frames; the last one is flagged. A lost
 * connection ends it, and who waits asks again.
 */
#include "client-lib/client.h"

#include <limits.h>
#include <stdlib.h>

#include "client-lib/request.h"

enum {
    AGAIN_MS = 200,
    GRACE_MS = 200,
};

/* One question, while it is waited for. */
struct asking {
    struct herald_command *last; /* the newest answer; NULL: none yet */
    herald_command_fn *on_change;
    void *context;
};

/* --- answers ------------------------------------------------------------------------------------
 */

static const char *put_text(char **at, struct wire_bytes text)
{
    char *start = *at;
    if (text.bytes > 0)
        memcpy(start, text.at, text.bytes);
    start[text.bytes] = '\0';
    *at += text.bytes + 1;
    return start;
}

static const unsigned char *put_id(char **at, const struct wire_id *id)
{
    if (wire_id_is_zero(id))
        return NULL;
    char *start = *at;
    memcpy(start, id->byte, sizeof id->byte);
    *at += sizeof id->byte;
    return (const unsigned char *)start;
}

/* One piece of memory, so that one free suffices. */
static struct herald_command *copy_state(const struct frame_command_state *frame,
                                         struct wire_bytes body)
{
    size_t bytes = (size_t)frame->queue.bytes + frame->note.bytes + frame->code.bytes +
                   frame->text.bytes + body.bytes + 2 * sizeof frame->id.byte;
    struct herald_command *command = malloc(sizeof *command + bytes + 5);
    if (command == NULL)
        return NULL;
    char *at = (char *)(command + 1);
    *command = (struct herald_command){
        .state = (enum herald_command_state)frame->state,
        .ran = frame->ran <= OUTCOME_RAN ? (enum herald_ran)frame->ran : HERALD_MAYBE_RUN,
        .is_cancelled = frame->cancel,
        .attempts = frame->attempts,
        .done = frame->done,
        .total = frame->total,
        .number = frame->number,
        .accepted_ms = frame->accepted_ms,
        .time_ms = frame->time_ms,
        .body_bytes = body.bytes,
    };
    memcpy(command->id, frame->id.byte, sizeof command->id);
    command->repairs = put_id(&at, &frame->repairs);
    command->repaired_by = put_id(&at, &frame->repaired_by);
    command->queue = put_text(&at, frame->queue);
    command->note = put_text(&at, frame->note);
    command->code = put_text(&at, frame->code);
    command->text = put_text(&at, frame->text);
    command->body = put_text(&at, body);
    return command;
}

void herald_command_free(struct herald_command *command)
{
    free(command);
}

static void tell(struct herald_client *client, struct request *request,
                 const struct frame_command_state *state, struct wire_bytes body)
{
    struct asking *asking = request->asking;
    if (asking == NULL)
        return;
    struct herald_command *command = copy_state(state, body);
    if (command == NULL)
        return;
    free(asking->last);
    asking->last = command;
    if (asking->on_change == NULL)
        return;
    request->busy = true;
    client_enter_callback(client);
    asking->on_change(command, asking->context);
    client_leave_callback(client);
    request->busy = false;
}

void command_handle_state(struct herald_client *client, const struct frame *frame,
                          struct wire_bytes body)
{
    uint64_t tag = frame->header.tag;
    struct entry *entry = ring_find(&client->outbox.calls, tag);
    if (entry == NULL || entry->kind != ENTRY_REQUEST ||
        frame->as.command_state.state > COMMAND_FAILED) {
        session_lose(client, "the broker told of a command that nobody asked for", 0);
        return;
    }
    struct request *request = entry->context;
    tell(client, request, &frame->as.command_state, body);
    if ((frame->header.flags & FLAG_LAST) == 0)
        return;
    entry = ring_find(&client->outbox.calls, tag);
    if (entry == NULL)
        return; /* the callback had the connection given up */
    entry->answered = true;
    ring_pop_answered(&client->outbox.calls);
    request_answer(client, request, STATUS_OK, (struct wire_bytes){0});
    client_notify(client);
}

/* --- questions ----------------------------------------------------------------------------------
 */

static enum herald_status ask_once(struct herald_client *client, const unsigned char id[16],
                                   enum frame_command_until until, int timeout_ms,
                                   struct asking *asking)
{
    struct frame frame = {.header.type = FRAME_COMMAND_STATUS};
    frame.as.command_status.until = (uint8_t)until;
    frame.as.command_status.timeout_ms = timeout_ms > 0 ? (uint32_t)timeout_ms : 0;
    memcpy(frame.as.command_status.id.byte, id, 16);
    struct request *request = request_new(&frame);
    if (request == NULL)
        return error_set(client, HERALD_ENOMEMORY, "no memory for a request");
    request->waited = true;
    request->asking = asking;
    request_queue(client, request);
    /* The broker's last answer comes at the end of the time. */
    bool is_own_time = timeout_ms < 0 || timeout_ms > INT_MAX - GRACE_MS || until == COMMAND_NOW;
    return request_wait(client, request, is_own_time ? timeout_ms : timeout_ms + GRACE_MS);
}

static bool may_ask_again(struct herald_client *client, enum herald_status status)
{
    if (client->closed || client->session.state == SESSION_OVER)
        return false;
    return status == HERALD_ELOST ||
           (status == HERALD_EREFUSED && client->error.code == STATUS_DRAINING);
}

static bool is_finished(const struct asking *asking)
{
    return asking->last != NULL && asking->last->state >= HERALD_COMMAND_DONE;
}

static int time_left(uint64_t end_ms)
{
    uint64_t now_ms = client_clock_ms();
    if (end_ms == UINT64_MAX)
        return -1;
    return end_ms > now_ms ? (int)(end_ms - now_ms) : 0;
}

/* Until it has its outcome, over lost connections. */
static enum herald_status ask(struct herald_client *client, const unsigned char id[16],
                              enum frame_command_until until, int timeout_ms, struct asking *asking)
{
    uint64_t end_ms = timeout_ms < 0 ? UINT64_MAX : client_clock_ms() + (uint64_t)timeout_ms;
    for (;;) {
        int left_ms = time_left(end_ms);
        if (left_ms == 0)
            return error_set(client, HERALD_ETIMEOUT, "the command has no outcome yet");
        enum herald_status status = ask_once(client, id, until, left_ms, asking);
        if (status == HERALD_OK && (until == COMMAND_NOW || is_finished(asking)))
            return HERALD_OK;
        if (status != HERALD_OK && !may_ask_again(client, status))
            return status;
        if (status == HERALD_EREFUSED)
            client_pause(client, AGAIN_MS);
    }
}

static enum herald_status ask_locked(struct herald_client *client, const unsigned char id[16],
                                     enum frame_command_until until, int timeout_ms,
                                     struct asking *asking)
{
    enum herald_status status;
    pthread_mutex_lock(&client->lock);
    if (client_is_in_callback(client))
        status = error_set(client, HERALD_EWOULDDEADLOCK, "this call waits for the broker");
    else if (timeout_ms == 0)
        status = error_set(client, HERALD_EINVAL, "this call needs time");
    else
        status = ask(client, id, until, timeout_ms, asking);
    pthread_mutex_unlock(&client->lock);
    return status;
}

static enum herald_status take(struct herald_client *client, const unsigned char id[16],
                               enum frame_command_until until, int timeout_ms,
                               struct herald_command **command)
{
    struct asking asking = {0};
    *command = NULL;
    enum herald_status status = ask_locked(client, id, until, timeout_ms, &asking);
    if (status == HERALD_OK || status == HERALD_ETIMEOUT)
        *command = asking.last;
    else
        free(asking.last);
    return status;
}

enum herald_status herald_command_status(struct herald_client *client, const unsigned char id[16],
                                         int timeout_ms, struct herald_command **command)
{
    return take(client, id, COMMAND_NOW, timeout_ms, command);
}

enum herald_status herald_command_wait(struct herald_client *client, const unsigned char id[16],
                                       int timeout_ms, struct herald_command **command)
{
    return take(client, id, COMMAND_OUTCOME, timeout_ms, command);
}

enum herald_status herald_command_watch(struct herald_client *client, const unsigned char id[16],
                                        int timeout_ms, herald_command_fn *on_change, void *context)
{
    struct asking asking = {.on_change = on_change, .context = context};
    enum herald_status status = ask_locked(client, id, COMMAND_CHANGES, timeout_ms, &asking);
    free(asking.last);
    return status;
}

enum herald_status herald_command_cancel(struct herald_client *client, const unsigned char id[16],
                                         int timeout_ms)
{
    struct frame frame = {.header.type = FRAME_COMMAND_CANCEL};
    memcpy(frame.as.command_cancel.id.byte, id, 16);
    return request_run(client, request_new(&frame), timeout_ms);
}
