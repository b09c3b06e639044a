/* Following a history: readers and stored cursors.
 *
 * A cursor is kept by the broker and moved by settling: to the library it is a queue by another
 * name. A reader is nobody's but this connection's. What makes it go on behind a lost one is
 * `at`, which is moved behind every event before it is given to the program and over every gap that
 * is told; the next FOLLOW begins there, so that nothing comes twice and nothing is left out. Where
 * `next` is only the broker knows: it says so before it confirms.
 */
#include "client-lib/client.h"

#include <assert.h>
#include <stdlib.h>

#include "client-lib/request.h"
#include "client-lib/headers.h"
#include "client-lib/send.h"

static size_t following_bytes(const struct following *following)
{
    return sizeof *following + following->filter_bytes;
}

struct following *follow_copy(const struct following *following)
{
    size_t bytes = following_bytes(following);
    struct following *copy = malloc(bytes);
    if (copy != NULL)
        memcpy(copy, following, bytes);
    return copy;
}

static bool is_reader(const struct following *following)
{
    return following->cursor[0] == '\0';
}

/* --- frames -------------------------------------------------------------------------------------
 */

static struct frame make_frame(const struct herald_consumer *consumer)
{
    const struct following *following = consumer->following;
    return (struct frame){
        .header.type = FRAME_FOLLOW,
        .as.follow = {.consumer = consumer->number,
                      .exchange = wire_bytes_of_text(consumer->source),
                      .pattern = wire_bytes_of_text(consumer->pattern),
                      .filter = wire_bytes_of(following->filter, following->filter_bytes),
                      .cursor = wire_bytes_of_text(following->cursor),
                      .from = following->from,
                      .at = following->at,
                      .prefetch_messages = consumer->prefetch_messages,
                      .prefetch_bytes = consumer->prefetch_bytes},
    };
}

struct request *follow_request(const struct herald_consumer *consumer)
{
    struct frame frame = make_frame(consumer);
    return request_new(&frame);
}

void follow_renew(struct request *request)
{
    struct frame frame = make_frame(request->consumer);
    struct wire_writer w = wire_writer_of(request->frame, request->bytes);
    bool ok = frame_encode(&w, &frame);
    assert(ok && wire_written(&w) == request->bytes);
}

/* --- where a reader is --------------------------------------------------------------------------
 */

void follow_on_begin(struct herald_consumer *consumer, uint64_t before)
{
    struct following *following = consumer->following;
    if (!is_reader(following) || following->from != FOLLOW_NEXT || before == UINT64_MAX)
        return;
    following->from = FOLLOW_SEQUENCE;
    following->at = before + 1;
}

void follow_on_event(struct herald_consumer *consumer, uint64_t sequence)
{
    struct following *following = consumer->following;
    if (!is_reader(following) || sequence == 0 || sequence == UINT64_MAX)
        return;
    following->from = FOLLOW_SEQUENCE;
    following->at = sequence + 1;
}

void follow_on_gap(struct herald_consumer *consumer, uint64_t missed)
{
    struct following *following = consumer->following;
    if (!is_reader(following) || following->from != FOLLOW_SEQUENCE ||
        missed > UINT64_MAX - following->at)
        return;
    following->at += missed;
}

/* --- starting -----------------------------------------------------------------------------------
 */

/* As the program describes it; NULL without memory. *filter_bytes of the filter were measured. */
static struct following *make_following(const struct herald_reading *reading, size_t filter_bytes)
{
    struct following *following = calloc(1, sizeof *following + filter_bytes);
    if (following == NULL)
        return NULL;
    following->from = (uint8_t)reading->from;
    following->at = reading->at;
    if (reading->cursor != NULL)
        memcpy(following->cursor, reading->cursor, strlen(reading->cursor));
    following->filter_bytes = (uint32_t)filter_bytes;
    struct wire_writer w = wire_writer_of(following->filter, filter_bytes);
    headers_put(&w, reading->filter, reading->filter_count);
    return following;
}

static enum herald_status start(struct herald_client *client, const struct herald_reading *reading,
                                int timeout_ms, struct herald_consumer **consumer)
{
    size_t filter_bytes = headers_measure(reading->filter, reading->filter_count);
    if (filter_bytes == 0 && reading->filter_count > 0)
        return error_set(client, HERALD_EINVAL, "a header has no name or is too long");
    struct following *following = make_following(reading, filter_bytes);
    char *source = strdup(reading->exchange);
    char *pattern = strdup(reading->pattern != NULL ? reading->pattern : "#");
    enum herald_status status = HERALD_ENOMEMORY;
    if (following != NULL && source != NULL && pattern != NULL) {
        const struct herald_consumer from = {
            .auto_done = reading->cursor != NULL && !reading->manual_settle,
            .source = source,
            .pattern = pattern,
            .following = following,
            .prefetch_messages = reading->prefetch_messages,
            .prefetch_bytes = reading->prefetch_bytes,
            .on_message = reading->on_message,
            .on_gone = reading->on_gone,
            .on_gap = reading->on_gap,
            .context = reading->context,
        };
        status = consumer_start(client, &from, timeout_ms, consumer);
    } else {
        error_set(client, status, "no memory for a consumer");
    }
    free(following);
    free(source);
    free(pattern);
    return status;
}

static bool is_name(const char *text)
{
    return text != NULL && text[0] != '\0' && strlen(text) <= NAME_BYTES_MAX;
}

enum herald_status herald_follow(struct herald_client *client, const struct herald_reading *reading,
                                 int timeout_ms, struct herald_consumer **consumer)
{
    pthread_mutex_lock(&client->lock);
    enum herald_status status;
    if (consumer != NULL)
        *consumer = NULL;
    if (reading->size < sizeof *reading || reading->on_message == NULL ||
        !is_name(reading->exchange) || (reading->cursor != NULL && !is_name(reading->cursor)) ||
        reading->from > HERALD_FROM_LAST)
        status =
            error_set(client, HERALD_EINVAL, "a reading needs its size, exchange and callback");
    else
        status = start(client, reading, timeout_ms, consumer);
    pthread_mutex_unlock(&client->lock);
    return status;
}

enum herald_status herald_cursor_seek(struct herald_client *client, const char *cursor,
                                      enum herald_from from, uint64_t at, int timeout_ms)
{
    struct frame frame = {
        .header.type = FRAME_CURSOR_SEEK,
        .as.cursor_seek = {.from = (uint8_t)from, .at = at},
    };
    /* NULL becomes a name that no frame can hold. */
    frame.as.cursor_seek.cursor =
        cursor != NULL ? wire_bytes_of_text(cursor) : wire_bytes_of(NULL, NAME_BYTES_MAX + 1);
    return request_run(client, request_new(&frame), timeout_ms);
}
