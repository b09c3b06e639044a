/* Calls: commands whose outcome comes back. */
#include "client-lib/client.h"

#include "client-lib/send.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    /* The broker ends a call on time; these are for when its word is late or it is away. */
    GRACE_WAITED_MS = 200,
    GRACE_ASYNC_MS = 1000,
};

/* One piece of memory, so that one free suffices. */
static struct herald_outcome *copy_outcome(const struct herald_outcome *outcome)
{
    size_t code_bytes = strlen(outcome->code) + 1;
    size_t text_bytes = strlen(outcome->text) + 1;
    struct herald_outcome *copy =
        malloc(sizeof *copy + code_bytes + text_bytes + outcome->body_bytes + 1);
    if (copy == NULL)
        return NULL;
    *copy = *outcome;
    char *at = (char *)(copy + 1);
    memcpy(at, outcome->code, code_bytes);
    copy->code = at;
    at += code_bytes;
    memcpy(at, outcome->text, text_bytes);
    copy->text = at;
    at += text_bytes;
    if (outcome->body_bytes > 0)
        memcpy(at, outcome->body, outcome->body_bytes);
    at[outcome->body_bytes] = '\0';
    copy->body = at;
    return copy;
}

void herald_outcome_free(struct herald_outcome *outcome)
{
    free(outcome);
}

void call_finish(struct herald_client *client, struct call *call,
                 const struct herald_outcome *outcome)
{
    TAILQ_REMOVE(&client->calls, call, link);
    struct herald_outcome *copy = copy_outcome(outcome);
    if (call->on_outcome == NULL) {
        call->outcome = copy;
        call->answered = true;
        client_notify(client);
        return;
    }
    client_enter_callback(client);
    call->on_outcome(copy != NULL ? copy : outcome, call->context);
    client_leave_callback(client);
    free(copy);
    free(call);
}

static uint32_t wire_timeout(int timeout_ms)
{
    return timeout_ms < 0 ? UINT32_MAX : (uint32_t)timeout_ms;
}

static bool is_answered(struct herald_client *client, void *argument)
{
    (void)client;
    const struct call *call = argument;
    return call->answered;
}

static enum herald_status note_outcome(struct herald_client *client,
                                       const struct herald_outcome *outcome)
{
    if (outcome->status == HERALD_OK)
        return HERALD_OK;
    char text[sizeof client->error.text];
    (void)snprintf(text, sizeof text, "%s: %s", outcome->code, outcome->text);
    error_set(client, outcome->status, text);
    (void)snprintf(client->error.name, sizeof client->error.name, "%s", outcome->code);
    return outcome->status;
}

enum herald_status herald_call(struct herald_client *client, const char *queue,
                               const struct herald_content *content, int timeout_ms,
                               struct herald_outcome **outcome)
{
    if (outcome != NULL)
        *outcome = NULL;
    struct call call = {.deadline_ms = UINT64_MAX};
    pthread_mutex_lock(&client->lock);
    enum herald_status status;
    if (client_is_in_callback(client)) {
        status = error_set(client, HERALD_EWOULDDEADLOCK, "herald_call in a callback");
        goto out;
    }
    status = send_call(client, queue, content, wire_timeout(timeout_ms), &call);
    if (status != HERALD_OK)
        goto out;
    int wait_ms = timeout_ms < 0 || timeout_ms > INT_MAX - GRACE_WAITED_MS
                      ? timeout_ms
                      : timeout_ms + GRACE_WAITED_MS;
    status = client_wait_until(client, is_answered, &call, wait_ms);
    if (!call.answered) {
        TAILQ_REMOVE(&client->calls, &call, link);
        (void)answer_abandon_call(client, &call);
        if (status == HERALD_ETIMEOUT)
            error_set(client, status, "no outcome came in time");
        goto out;
    }
    if (call.outcome == NULL) {
        status = error_set(client, HERALD_ENOMEMORY, "no memory for the outcome");
        goto out;
    }
    status = note_outcome(client, call.outcome);
    if (outcome != NULL)
        *outcome = call.outcome;
    else
        free(call.outcome);
out:
    pthread_mutex_unlock(&client->lock);
    return status;
}

enum herald_status herald_call_async(struct herald_client *client, const struct herald_call *call,
                                     const struct herald_content *content)
{
    pthread_mutex_lock(&client->lock);
    enum herald_status status = HERALD_OK;
    struct call *own = NULL;
    if (call->size < sizeof *call || call->timeout_ms <= 0 || call->on_outcome == NULL) {
        status =
            error_set(client, HERALD_EINVAL, "a call needs its size, a timeout and a callback");
        goto out;
    }
    own = calloc(1, sizeof *own);
    if (own == NULL) {
        status = error_set(client, HERALD_ENOMEMORY, "no memory for a call");
        goto out;
    }
    own->on_outcome = call->on_outcome;
    own->context = call->context;
    own->deadline_ms = client_clock_ms() + (uint64_t)call->timeout_ms + GRACE_ASYNC_MS;
    status = send_call(client, call->queue, content, wire_timeout(call->timeout_ms), own);
    if (status != HERALD_OK)
        free(own);
out:
    pthread_mutex_unlock(&client->lock);
    return status;
}
