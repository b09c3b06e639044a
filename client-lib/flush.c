/* Waiting until what was sent and settled is confirmed. */
#include "client-lib/client.h"

enum herald_status herald_flush_start(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    session_flush(client);
    enum herald_status status = client->session.state == SESSION_OVER ? HERALD_ECLOSED : HERALD_OK;
    pthread_mutex_unlock(&client->lock);
    return status;
}

static bool has_passed(struct herald_client *client, void *argument)
{
    const struct outbox_mark *mark = argument;
    return outbox_has_passed(&client->outbox, *mark);
}

enum herald_status herald_flush(struct herald_client *client, int timeout_ms)
{
    pthread_mutex_lock(&client->lock);
    struct outbox_mark mark = outbox_mark(&client->outbox);
    session_flush(client);
    client_wake(client);
    enum herald_status status = client_wait_until(client, has_passed, &mark, timeout_ms);
    if (status == HERALD_OK && client->refusal.status != HERALD_OK) {
        client->error = client->refusal;
        status = client->refusal.status;
        client->refusal = (struct herald_error){0};
    } else if (status == HERALD_ETIMEOUT) {
        error_set(client, status, "not everything was confirmed in time");
    }
    pthread_mutex_unlock(&client->lock);
    return status;
}

size_t herald_unconfirmed(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    size_t count = client->outbox.inflight_messages + client->outbox.backlog.count;
    pthread_mutex_unlock(&client->lock);
    return count;
}
