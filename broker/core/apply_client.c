/* Applying what records state of clients; see apply.h. */
#include "broker/core/apply.h"

#include "broker/core/client.h"
#include "broker/core/state.h"

/* As in apply.c: one that is named before its definition comes gets one without a name. */
static struct client *client_named(struct core *core, uint32_t number)
{
    struct client *client = client_find_number(core, number);
    return client != NULL ? client : client_new(core, number, wire_bytes_of(NULL, 0));
}

enum status apply_client(struct core *core, const struct operation_client *operation,
                         uint64_t position)
{
    struct client *client = client_named(core, operation->client);
    if (client == NULL || client_set_name(core, client, operation->name) != STATUS_OK)
        return STATUS_NO_MEMORY;
    client->answered = operation->answered;
    home_end(core, &client->answered_home);
    home_move(core, &client->home, position, (uint32_t)record_size_client(operation));
    if (operation->client >= core->next_client)
        core->next_client = operation->client + 1;
    return STATUS_OK;
}

enum status apply_answered(struct core *core, const struct operation_answered *operation,
                           uint64_t position)
{
    struct client *client = client_named(core, operation->client);
    if (client == NULL)
        return STATUS_NO_MEMORY;
    client->answered = operation->tag;
    home_move(core, &client->answered_home, position, (uint32_t)record_size_answered(operation));
    return STATUS_OK;
}

enum status apply_refused(struct core *core, const struct operation_refused *operation,
                          uint64_t position)
{
    struct client *client = client_named(core, operation->client);
    return client != NULL ? client_add_refusal(core, client, operation, position)
                          : STATUS_NO_MEMORY;
}

void apply_seen(struct core *core, const struct operation_seen *operation)
{
    struct client *client = client_find_number(core, operation->client);
    if (client != NULL)
        client_forget_refusals(core, client, operation->through);
}

void apply_client_gone(struct core *core, const struct operation_client_gone *operation)
{
    struct client *client = client_find_number(core, operation->client);
    if (client != NULL)
        client_free(core, client);
}
