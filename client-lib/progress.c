/* What passes between a worker and the broker while a message is worked on: what earlier attempts
 * have left, how far this one is, and whether anybody still wants it.
 */
#include "client-lib/client.h"

#include <assert.h>
#include <stdlib.h>

enum { RENEW_BYTES = 64 };

/* --- earlier attempts ---------------------------------------------------------------------------
 */

void message_handle_earlier(struct herald_client *client, const struct frame_earlier *earlier)
{
    size_t bytes = (size_t)earlier->checkpoint.bytes + earlier->code.bytes + earlier->text.bytes;
    free(client->earlier_bytes);
    client->earlier_bytes = malloc(bytes + 1);
    if (client->earlier_bytes == NULL)
        return; /* the attempt begins without it */
    unsigned char *at = client->earlier_bytes;
    client->earlier = *earlier;
    client->earlier.checkpoint = message_keep(&at, earlier->checkpoint);
    client->earlier.code = message_keep(&at, earlier->code);
    client->earlier.text = message_keep(&at, earlier->text);
}

const void *herald_message_checkpoint(const struct herald_message *message, size_t *bytes)
{
    *bytes = message->earlier.checkpoint.bytes;
    return *bytes > 0 ? message->earlier.checkpoint.at : NULL;
}

const char *herald_message_last_code(const struct herald_message *message, size_t *bytes)
{
    *bytes = message->earlier.code.bytes;
    return *bytes > 0 ? (const char *)message->earlier.code.at : NULL;
}

const char *herald_message_last_text(const struct herald_message *message, size_t *bytes)
{
    *bytes = message->earlier.text.bytes;
    return *bytes > 0 ? (const char *)message->earlier.text.at : NULL;
}

uint64_t herald_message_fence(const struct herald_message *message)
{
    return message->fence;
}

/* --- progress -----------------------------------------------------------------------------------
 */

static enum herald_status say_progress(struct herald_client *client,
                                       const struct herald_message *message,
                                       const struct herald_progress *progress)
{
    size_t note_bytes = progress->note != NULL ? strlen(progress->note) : 0;
    if (note_bytes > 255 || progress->checkpoint_bytes > UINT16_MAX)
        return error_set(client, HERALD_EINVAL, "a note has at most 255 bytes");
    struct frame frame = {
        .header.type = FRAME_PROGRESS,
        .as.progress = {.start = client->outbox.start,
                        .delivery = message->fields.delivery,
                        .done = progress->done,
                        .total = progress->total,
                        .note = wire_bytes_of(progress->note, (uint32_t)note_bytes),
                        .checkpoint = wire_bytes_of(progress->checkpoint,
                                                    (uint32_t)progress->checkpoint_bytes)},
    };
    return message_add_frame(client, &frame);
}

enum herald_status herald_progress(struct herald_message *message,
                                   const struct herald_progress *progress)
{
    struct herald_client *client = message->client;
    pthread_mutex_lock(&client->lock);
    enum herald_status status = message_check_settle(client, message);
    if (status == HERALD_OK && progress->size < sizeof *progress)
        status = error_set(client, HERALD_EINVAL, "progress needs its size");
    if (status == HERALD_OK)
        status = say_progress(client, message, progress);
    if (status == HERALD_OK)
        session_flush(client);
    pthread_mutex_unlock(&client->lock);
    return status;
}

void message_renew(struct herald_client *client)
{
    if (client->options.renew_ms == 0 || client->now_ms < client->renew_at_ms)
        return;
    client->renew_at_ms = client->now_ms + client->options.renew_ms;
    if (client->unsettled == 0)
        return;
    const struct frame_renew fields = {0, UINT64_MAX};
    unsigned char frame[RENEW_BYTES];
    struct wire_writer w = wire_writer_of(frame, sizeof frame);
    bool ok = frame_put_renew(&w, 0, 0, &fields);
    assert(ok);
    /* While a region is being written, the next round comes soon. */
    if (!outbox_stage_plain(&client->outbox, frame, wire_written(&w)))
        client->renew_at_ms = client->now_ms;
}

/* --- what nobody waits for ----------------------------------------------------------------------
 */

void message_handle_unwanted(struct herald_client *client, uint64_t delivery)
{
    client->unwanted[client->unwanted_count++ % UNWANTED_ROOM] = delivery;
}

/* Names of deliveries hold for one connection. */
int herald_message_is_unwanted(const struct herald_message *message)
{
    struct herald_client *client = message->client;
    pthread_mutex_lock(&client->lock);
    int is_unwanted = 0;
    uint32_t count =
        client->unwanted_count < UNWANTED_ROOM ? client->unwanted_count : UNWANTED_ROOM;
    for (uint32_t i = 0; i < count && message->generation == client->generation; i++)
        is_unwanted |= client->unwanted[i] == message->fields.delivery;
    pthread_mutex_unlock(&client->lock);
    return is_unwanted;
}
