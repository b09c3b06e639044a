/* A frame that is answered once: made, waited for, answered, lost. */
#include "client-lib/request.h"

#include "client-lib/client.h"

#include <stdio.h>
#include <stdlib.h>

struct request *request_new(struct frame *frame)
{
    size_t bytes = frame_encoded_bytes(frame);
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    request->frame = malloc(bytes);
    if (request->frame == NULL)
        goto fail_after_calloc;
    struct wire_writer w = wire_writer_of(request->frame, bytes);
    if (!frame_encode(&w, frame))
        goto fail_after_frame;
    request->bytes = bytes;
    request->type = frame->header.type;
    return request;

fail_after_frame:
    free(request->frame);
fail_after_calloc:
    free(request);
    return NULL;
}

struct request *request_new_logged(enum frame_type type)
{
    struct request *request = calloc(1, sizeof *request);
    if (request != NULL)
        request->type = (uint8_t)type;
    return request;
}

void request_free(struct request *request)
{
    if (request == NULL)
        return;
    free(request->frame);
    free(request);
}

void request_queue(struct herald_client *client, struct request *request)
{
    request->unsent = true;
    TAILQ_INSERT_TAIL(&client->outbox.requests, request, link);
    session_flush(client);
    client_wake(client);
}

static bool is_answered(struct herald_client *client, void *argument)
{
    (void)client;
    const struct request *request = argument;
    return request->answered;
}

static bool is_quiet(struct herald_client *client, void *argument)
{
    (void)client;
    const struct request *request = argument;
    return !request->busy;
}

/* What waits in the log will be left out; false when it has left. */
static bool take_from_backlog(struct outbox *outbox, const struct request *request)
{
    for (size_t i = 0; request->frame == NULL && i < outbox->backlog.count; i++) {
        struct entry *entry = ring_at(&outbox->backlog, i);
        if (entry->kind == ENTRY_WAITED && entry->context == request) {
            entry->context = NULL;
            return true;
        }
    }
    return false;
}

/* Nobody waits any more: what has left is freed when its answer comes, the rest is taken back. */
static void let_go(struct herald_client *client, struct request *request)
{
    while (!is_quiet(client, request))
        (void)client_wait_until(client, is_quiet, request, -1);
    if (request->answered) {
        request_free(request);
        return;
    }
    request->waited = false;
    request->query = NULL;
    request->backup = NULL;
    request->asking = NULL;
    request->appended = NULL;
    request->reading = NULL;
    request->peeked = NULL;
    request->row_number = NULL;
    if (request->unsent)
        TAILQ_REMOVE(&client->outbox.requests, request, link);
    else if (!take_from_backlog(&client->outbox, request))
        return;
    request_free(request);
}

enum herald_status request_wait(struct herald_client *client, struct request *request,
                                int timeout_ms)
{
    enum herald_status status = client_wait_until(client, is_answered, request, timeout_ms);
    if (!request->answered) {
        if (status == HERALD_ETIMEOUT)
            error_set(client, status, "no answer in time");
        let_go(client, request);
        return status;
    }
    status = request->error.status;
    if (status != HERALD_OK)
        client->error = request->error;
    request_free(request);
    return status;
}

enum herald_status request_run(struct herald_client *client, struct request *request,
                               int timeout_ms)
{
    enum herald_status status;
    pthread_mutex_lock(&client->lock);
    if (request == NULL) {
        status = error_set(client, HERALD_EINVAL, "a name is missing or longer than 255 bytes");
    } else if (client_is_in_callback(client) || timeout_ms == 0) {
        status = error_set(client, timeout_ms == 0 ? HERALD_EINVAL : HERALD_EWOULDDEADLOCK,
                           "this call waits for the broker's answer");
        request_free(request);
    } else {
        request->waited = true;
        request_queue(client, request);
        status = request_wait(client, request, timeout_ms);
    }
    pthread_mutex_unlock(&client->lock);
    return status;
}

/* --- answers ------------------------------------------------------------------------------------
 */

static void answer_consumer(struct herald_client *client, struct request *request)
{
    struct herald_consumer *consumer = request->consumer;
    if (request->type == FRAME_CANCEL) {
        consumer_remove(client, consumer);
        return;
    }
    if (consumer->state == CONSUMER_CANCELLED)
        return; /* the answer to the cancel removes it */
    if (request->error.status == HERALD_OK && consumer->gone_code != STATUS_OK)
        error_fill(&request->error, consumer->gone_code, (struct wire_bytes){0});
    if (request->error.status == HERALD_OK)
        consumer->state = CONSUMER_RUNNING;
    else if (!request->waited)
        consumer_end(client, consumer, request->error.code, request->error.text);
}

static void tell_refused(struct herald_client *client, const struct request *request)
{
    if (client->options.on_refused == NULL)
        return;
    const struct herald_refusal refusal = {
        .kind = HERALD_REFUSED_OTHER,
        .code = request->error.code,
        .name = request->error.name,
        .text = request->error.text,
    };
    client_enter_callback(client);
    client->options.on_refused(client, &refusal, client->options.user);
    client_leave_callback(client);
}

/* Hands the answer to whoever waits, or acts on it. */
static void finish(struct herald_client *client, struct request *request)
{
    if (request->consumer != NULL)
        answer_consumer(client, request);
    if (request->waited) {
        request->answered = true;
        client_notify(client);
        return;
    }
    bool is_of_consumer = request->type == FRAME_CONSUME || request->type == FRAME_SUBSCRIBE ||
                          request->type == FRAME_FOLLOW || request->type == FRAME_CANCEL;
    if (request->error.status != HERALD_OK && !is_of_consumer)
        tell_refused(client, request);
    request_free(request);
}

void request_answer(struct herald_client *client, struct request *request, unsigned code,
                    struct wire_bytes text)
{
    error_fill(&request->error, code, text);
    finish(client, request);
}

void request_lose(struct herald_client *client, struct request *request)
{
    if (request->type == FRAME_CANCEL) {
        request->error.status = HERALD_OK; /* the connection took the consumer with it */
        finish(client, request);
        return;
    }
    if (request->consumer != NULL && request->consumer->state != CONSUMER_CANCELLED &&
        client->session.state != SESSION_OVER) {
        request->consumer->gone_code = STATUS_OK;
        if (request->type == FRAME_FOLLOW)
            follow_renew(request); /* events may have come before the answer */
        request->unsent = true;
        TAILQ_INSERT_TAIL(&client->outbox.requests, request, link);
        return;
    }
    request->error = (struct herald_error){.status = HERALD_ELOST};
    (void)snprintf(request->error.text, sizeof request->error.text, "the connection was lost");
    finish(client, request);
}
