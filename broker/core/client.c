/* Clients that name themselves. */
#include "broker/core/client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/line.h"
#include "broker/core/recorder.h"

/* One that is not in the table of numbers. */
static void client_free_alone(struct core *core, struct client *client)
{
    if (client->name != NULL)
        HASH_DELETE(by_name, core->clients_by_name, client);
    free(client->name);
    free(client);
}

struct client *client_new(struct core *core, uint32_t number, struct wire_bytes name)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    if (name.bytes > 0 && client_set_name(core, client, name) != STATUS_OK) {
        free(client);
        return NULL;
    }
    client->number = number;
    TAILQ_INIT(&client->refusals);
    HASH_ADD(by_number, core->clients_by_number, number, sizeof client->number, client);
    if (!table_has(&client->by_number)) {
        client_free_alone(core, client);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&core->absent, client, absent_link);
    core->client_count++;
    return client;
}

enum status client_set_name(struct core *core, struct client *client, struct wire_bytes name)
{
    if (client->name != NULL)
        return STATUS_OK;
    char *copy = strndup((const char *)name.at, name.bytes);
    if (copy == NULL)
        return STATUS_NO_MEMORY;
    client->name = copy;
    HASH_ADD_KEYPTR(by_name, core->clients_by_name, client->name, name.bytes, client);
    if (table_has(&client->by_name))
        return STATUS_OK;
    free(copy);
    client->name = NULL;
    return STATUS_NO_MEMORY;
}

void client_free(struct core *core, struct client *client)
{
    if (client->peer != NULL)
        client->peer->client = NULL;
    else
        TAILQ_REMOVE(&core->absent, client, absent_link);
    client_forget_refusals(core, client, UINT64_MAX);
    home_end(core, &client->home);
    home_end(core, &client->answered_home);
    HASH_DELETE(by_number, core->clients_by_number, client);
    core->client_count--;
    client_free_alone(core, client);
}

struct client *client_find(const struct core *core, struct wire_bytes name)
{
    struct client *client;
    HASH_FIND(by_name, core->clients_by_name, name.at, name.bytes, client);
    return client;
}

struct client *client_find_number(const struct core *core, uint32_t number)
{
    struct client *client;
    HASH_FIND(by_number, core->clients_by_number, &number, sizeof number, client);
    return client;
}

struct refusal *client_find_refusal(const struct client *client, uint64_t tag,
                                    struct refusal **before)
{
    struct refusal *last = NULL;
    struct refusal *refusal;
    TAILQ_FOREACH (refusal, &client->refusals, link) {
        if (refusal->tag >= tag)
            break;
        last = refusal;
    }
    if (before != NULL)
        *before = last;
    return refusal != NULL && refusal->tag == tag ? refusal : NULL;
}

enum status client_add_refusal(struct core *core, struct client *client,
                               const struct operation_refused *operation, uint64_t position)
{
    uint32_t bytes = (uint32_t)record_size_refused(operation);
    struct refusal *before = TAILQ_LAST(&client->refusals, refusal_list);
    if (before != NULL && before->tag >= operation->tag) {
        struct refusal *stated = client_find_refusal(client, operation->tag, &before);
        if (stated != NULL) {
            home_move(core, &stated->home, position, bytes);
            return STATUS_OK;
        }
    }
    struct refusal *refusal = malloc(sizeof *refusal + operation->text.bytes + 1);
    if (refusal == NULL)
        return STATUS_NO_MEMORY;
    refusal->tag = operation->tag;
    refusal->home = (struct home){0};
    refusal->code = operation->code;
    refusal->text_bytes = (uint16_t)operation->text.bytes;
    memcpy(refusal->text, operation->text.at, operation->text.bytes);
    refusal->text[operation->text.bytes] = '\0';
    home_move(core, &refusal->home, position, bytes);
    if (before != NULL)
        TAILQ_INSERT_AFTER(&client->refusals, before, refusal, link);
    else
        TAILQ_INSERT_HEAD(&client->refusals, refusal, link);
    client->refusal_count++;
    return STATUS_OK;
}

/* One that could not be recorded. */
static void client_drop_refusal(struct client *client, uint64_t tag)
{
    struct refusal *refusal = client_find_refusal(client, tag, NULL);
    assert(refusal != NULL);
    TAILQ_REMOVE(&client->refusals, refusal, link);
    client->refusal_count--;
    free(refusal);
}

void client_forget_refusals(struct core *core, struct client *client, uint64_t through)
{
    struct refusal *refusal;
    while ((refusal = TAILQ_FIRST(&client->refusals)) != NULL && refusal->tag <= through) {
        TAILQ_REMOVE(&client->refusals, refusal, link);
        client->refusal_count--;
        home_end(core, &refusal->home);
        free(refusal);
    }
}

static enum status record_client_gone(struct core *core, struct client *client)
{
    struct operation_client_gone operation = {client->number};
    enum status status = recorder_append_client_gone(core, NULL, &operation, NULL);
    if (status != STATUS_OK)
        return status;
    apply_client_gone(core, &operation);
    return STATUS_OK;
}

/* States a client whole, as one of which nothing is answered yet. It may use the journal's reserve:
 * on a full disk it is new consumers that make room. */
static enum status record_client(struct core *core, uint32_t number, struct wire_bytes name)
{
    struct client *client = client_new(core, number, name);
    if (client == NULL)
        return STATUS_NO_MEMORY;
    struct operation_client operation = {number, name, 0};
    uint64_t position;
    enum status status = recorder_append_client(core, NULL, &operation, &position);
    if (status == STATUS_OK)
        return apply_client(core, &operation, position);
    client_free(core, client);
    return status;
}

/* Makes room in the table: the client that left first is forgotten. */
static enum status make_room(struct core *core)
{
    while (core->client_count >= core->limits.clients_max) {
        struct client *oldest = TAILQ_FIRST(&core->absent);
        if (oldest == NULL)
            return STATUS_LIMIT;
        enum status status = record_client_gone(core, oldest);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

enum status client_enter(struct core *core, struct peer *peer)
{
    struct wire_bytes name = wire_bytes_of_text(peer->client_name);
    struct client *client = client_find(core, name);
    if (client == NULL && peer->hello_resume)
        return STATUS_CLIENT_UNKNOWN;
    if (client != NULL && client->peer != NULL) {
        struct peer *older = client->peer;
        client_leave(core, client);
        peer_close(older, STATUS_REPLACED, NULL);
    }
    enum status status = STATUS_OK;
    if (client != NULL && !peer->hello_resume) {
        status = record_client_gone(core, client);
        client = NULL;
    }
    if (client == NULL && status == STATUS_OK)
        status = make_room(core);
    if (client == NULL && status == STATUS_OK)
        status = record_client(core, core->next_client, name);
    if (status != STATUS_OK)
        return status;
    client = client_find(core, name);
    if (client == NULL)
        return STATUS_NO_MEMORY;
    TAILQ_REMOVE(&core->absent, client, absent_link);
    client->peer = peer;
    peer->client = client;
    peer->last_tag = client->answered;
    peer->answered_tag = client->answered;
    return STATUS_OK;
}

void client_repeat_answers(struct peer *peer)
{
    struct client *client = peer->client;
    uint64_t needs = recorder_needs(peer->core);
    peer->line.next_first = peer->hello_seen + 1;
    struct refusal *refusal;
    TAILQ_FOREACH (refusal, &client->refusals, link) {
        if (refusal->tag > peer->hello_seen)
            line_refuse(peer, refusal->tag, (enum status)refusal->code, refusal->text, needs);
    }
    if (client->answered > peer->hello_seen) {
        peer->core->counters.frames_resent += client->answered - peer->hello_seen;
        line_confirm(peer, client->answered, needs);
    }
}

void client_leave(struct core *core, struct client *client)
{
    client->peer->client = NULL;
    client->peer = NULL;
    TAILQ_INSERT_TAIL(&core->absent, client, absent_link);
}

void client_forget(struct core *core, struct client *client)
{
    /* Without room in the journal it stays in the table; it will be forgotten as the oldest. */
    if (record_client_gone(core, client) != STATUS_OK)
        core->note(core->note_context, CORE_NOTE_DEBUG, "client",
                   "a client could not be forgotten");
}

enum status client_refused(struct peer *peer, uint64_t tag, enum status refused, const char *text)
{
    if (peer->client == NULL)
        return STATUS_OK;
    struct core *core = peer->core;
    if (peer->client->refusal_count >= core->limits.refusals_max)
        return STATUS_LIMIT;
    struct operation_refused operation = {
        peer->client->number, tag, (uint16_t)refused,
        wire_bytes_of_text(text != NULL ? text : status_text(refused))};
    enum status status = client_add_refusal(core, peer->client, &operation, 0);
    if (status != STATUS_OK)
        return status;
    uint64_t position;
    status = recorder_append_refused(core, peer, &operation, &position);
    if (status == STATUS_OK)
        return apply_refused(core, &operation, position);
    client_drop_refusal(peer->client, tag);
    return status;
}

enum status client_seen(struct peer *peer, uint64_t through)
{
    struct client *client = peer->client;
    if (client == NULL)
        return STATUS_OK;
    const struct refusal *oldest = TAILQ_FIRST(&client->refusals);
    if (oldest == NULL || oldest->tag > through)
        return STATUS_OK;
    struct core *core = peer->core;
    struct operation_seen operation = {client->number, through};
    enum status status = recorder_append_seen(core, peer, &operation, NULL);
    if (status != STATUS_OK)
        return status;
    apply_seen(core, &operation);
    return STATUS_OK;
}
