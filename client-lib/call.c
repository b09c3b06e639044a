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
    AGAIN_MS = 100, /* while the broker stops */
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

/* HERALD_OK: it is answered, whatever the answer is. */
static enum herald_status ask(struct herald_client *client, const char *queue,
                              const struct herald_content *content, int timeout_ms,
                              struct call *call)
{
    *call = (struct call){.deadline_ms = UINT64_MAX};
    enum herald_status status = send_call(client, queue, content, wire_timeout(timeout_ms), call);
    if (status != HERALD_OK)
        return status;
    int wait_ms = timeout_ms < 0 || timeout_ms > INT_MAX - GRACE_WAITED_MS
                      ? timeout_ms
                      : timeout_ms + GRACE_WAITED_MS;
    status = client_wait_until(client, is_answered, call, wait_ms);
    if (call->answered)
        return call->outcome != NULL
                   ? HERALD_OK
                   : error_set(client, HERALD_ENOMEMORY, "no memory for the outcome");
    TAILQ_REMOVE(&client->calls, call, link);
    (void)answer_abandon_call(client, call);
    return status == HERALD_ETIMEOUT ? error_set(client, status, "no outcome came in time")
                                     : status;
}

/* Whether the broker only could not say what becomes of it. */
static bool is_undecided(const struct herald_outcome *outcome)
{
    return outcome->status == HERALD_ELOST ||
           (outcome->ran != HERALD_RAN && strcmp(outcome->code, "DRAINING") == 0);
}

/* A tracked one goes on over a lost connection and another start of the broker: the same id again
 * is the same command. */
static enum herald_status ask_on(struct herald_client *client, const char *queue,
                                 const struct herald_content *content, int timeout_ms,
                                 struct call *call)
{
    struct herald_content same = *content;
    uint64_t start_ms = client_clock_ms();
    uint64_t left_ms = (uint64_t)timeout_ms;
    if (same.timeout_ms == 0 && timeout_ms >= 0)
        same.timeout_ms = (uint32_t)timeout_ms; /* which must be the same, too */
    for (;;) {
        enum herald_status status =
            ask(client, queue, &same, timeout_ms < 0 ? timeout_ms : (int)left_ms, call);
        uint64_t gone_ms = client_clock_ms() - start_ms;
        bool is_over = timeout_ms >= 0 && gone_ms >= (uint64_t)timeout_ms;
        if (status != HERALD_OK || !is_undecided(call->outcome) || is_over)
            return status;
        if (call->outcome->status != HERALD_ELOST)
            client_pause(client, AGAIN_MS);
        gone_ms = client_clock_ms() - start_ms;
        left_ms = gone_ms < (uint64_t)timeout_ms ? (uint64_t)timeout_ms - gone_ms : 1;
        free(call->outcome);
    }
}

enum herald_status herald_call(struct herald_client *client, const char *queue,
                               const struct herald_content *content, int timeout_ms,
                               struct herald_outcome **outcome)
{
    struct call call;
    if (outcome != NULL)
        *outcome = NULL;
    pthread_mutex_lock(&client->lock);
    enum herald_status status;
    if (client_is_in_callback(client)) {
        status = error_set(client, HERALD_EWOULDDEADLOCK, "herald_call in a callback");
        goto out;
    }
    bool is_tracked = content != NULL && content->size >= sizeof *content && content->track;
    status = is_tracked ? ask_on(client, queue, content, timeout_ms, &call)
                        : ask(client, queue, content, timeout_ms, &call);
    if (status != HERALD_OK)
        goto out;
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
