/* Reading the events of one entity. */
#include "broker/core/entity_read.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/event.h"
#include "broker/core/feed.h"
#include "broker/core/history.h"
#include "broker/core/line.h"
#include "broker/core/output.h"
#include "broker/core/recorder.h"

enum {
    /* Events walked over or given in one round. */
    ROUND_EVENTS = 512,
    /* More than this is not read at once: begin later, or at a snapshot. */
    EVENTS_MAX = 1 << 20,
};

enum read_state { READ_WALKING, READ_GIVING, READ_OVER };

struct entity_read {
    TAILQ_ENTRY(entity_read) link;
    struct peer *peer;
    struct feed *feed;
    enum read_state state;
    uint64_t tag;
    uint64_t from; /* version */
    uint64_t limit;
    bool is_backward;
    bool is_from_snapshot;
    uint64_t at;         /* sequence of the next event to walk over */
    uint64_t *sequences; /* that were walked over, to be given from the last to the first */
    uint32_t count;
    uint32_t room;
    uint64_t given;
    uint32_t entity_bytes;
    unsigned char entity[];
};

static void on_more(void *argument)
{
    struct core *core = argument;
    core->has_more = true;
}

enum status entity_read_new(struct peer *peer, struct history *history, const struct frame *frame)
{
    const struct frame_read *asked = &frame->as.read;
    struct core *core = peer->core;
    uint64_t version;
    uint64_t sequence;
    struct entity_key key = entities_key(&history->entities, asked->entity);
    if (!entities_find(&history->entities, key, &version, &sequence))
        return STATUS_NO_ENTITY;
    if (core->call_count >= core->limits.calls_max)
        return STATUS_LIMIT;
    struct entity_read *read = calloc(1, sizeof *read + asked->entity.bytes);
    struct feed_terms terms = {.pattern = wire_bytes_of_text("#")};
    struct feed *feed = read != NULL ? feed_new(history, &terms, on_more, core) : NULL;
    if (feed == NULL) {
        free(read);
        return STATUS_NO_MEMORY;
    }
    feed_be_random(feed);
    read->peer = peer;
    read->feed = feed;
    read->tag = frame->header.tag;
    read->is_backward = (frame->header.flags & FLAG_BACKWARD) != 0;
    read->is_from_snapshot = (frame->header.flags & FLAG_FROM_SNAPSHOT) != 0;
    read->from = asked->from;
    if (read->from == 0)
        read->from = read->is_backward ? version : 1;
    read->limit = asked->limit != 0 ? asked->limit : UINT64_MAX;
    read->at = sequence;
    read->entity_bytes = asked->entity.bytes;
    memcpy(read->entity, asked->entity.at, asked->entity.bytes);
    core->call_count++;
    TAILQ_INSERT_TAIL(&core->reads, read, link);
    core->has_more = true;
    return STATUS_OK;
}

static void read_free(struct core *core, struct entity_read *read)
{
    TAILQ_REMOVE(&core->reads, read, link);
    core->call_count--;
    feed_free(read->feed);
    free(read->sequences);
    free(read);
}

/* --- answering ----------------------------------------------------------------------------------
 */

static void end_with(struct entity_read *read, enum status status, const char *text)
{
    struct frame frame = {.header = {.type = FRAME_REFUSE, .tag = read->tag}};
    frame.as.refuse = (struct frame_refuse){
        (uint16_t)status, wire_bytes_of_text(text != NULL ? text : status_text(status))};
    output_frame(read->peer, &frame);
    read->state = READ_OVER;
}

/* There is no event, or no more. */
static void give_nothing(struct entity_read *read)
{
    output_event(read->peer, FLAG_LAST, read->tag, &(struct frame_event){0});
    read->state = READ_OVER;
}

static void give(struct entity_read *read, const struct operation_message *event,
                 const struct event_terms *terms, bool is_last)
{
    output_event(read->peer, is_last ? FLAG_LAST : 0, read->tag,
                 &(struct frame_event){.sequence = terms->sequence,
                                       .version = terms->version,
                                       .number = event->number,
                                       .time_ms = event->time_ms,
                                       .key = event->key,
                                       .properties = event->properties,
                                       .headers = event->headers,
                                       .body_bytes = event->body.bytes,
                                       .body = event->body});
    read->given++;
    if (is_last)
        read->state = READ_OVER;
}

/* --- going on -----------------------------------------------------------------------------------
 */

static enum status note(struct entity_read *read, uint64_t sequence)
{
    if (read->count == EVENTS_MAX)
        return STATUS_LIMIT;
    if (read->count == read->room) {
        uint32_t room = read->room > 0 ? read->room * 2 : 64;
        uint64_t *sequences = realloc(read->sequences, room * sizeof *sequences);
        if (sequences == NULL)
            return STATUS_NO_MEMORY;
        read->sequences = sequences;
        read->room = room;
    }
    read->sequences[read->count++] = sequence;
    return STATUS_OK;
}

/* What it read is not what the table says: the hash of another name, or damage. */
static bool is_strange(const struct entity_read *read, const struct event_terms *terms)
{
    return !wire_bytes_equal(terms->entity, wire_bytes_of(read->entity, read->entity_bytes)) ||
           (terms->previous != 0 && terms->previous >= terms->sequence);
}

static void walk(struct entity_read *read, const struct operation_message *event)
{
    struct event_terms terms = event_terms(event->properties);
    if (is_strange(read, &terms)) {
        end_with(read, STATUS_UNREADABLE, "the history of the entity is broken");
        return;
    }
    bool is_begun = terms.previous < history_first(feed_history(read->feed)) ||
                    (read->is_from_snapshot && terms.is_snapshot);
    read->at = terms.previous;
    if (read->is_backward) {
        if (terms.version <= read->from)
            give(read, event, &terms, is_begun || read->given + 1 == read->limit);
        else if (is_begun)
            give_nothing(read);
        return;
    }
    enum status status = terms.version >= read->from ? note(read, terms.sequence) : STATUS_OK;
    if (status != STATUS_OK)
        end_with(read, status, "too many events: begin later, or at a snapshot");
    else if ((is_begun || terms.version <= read->from) && read->count == 0)
        give_nothing(read);
    else if (is_begun || terms.version <= read->from)
        read->state = READ_GIVING;
}

/* One event more. False: it has to wait. */
static bool step(struct entity_read *read)
{
    struct operation_message event;
    bool is_giving = read->state == READ_GIVING;
    uint64_t sequence = is_giving ? read->sequences[read->count - 1] : read->at;
    if (sequence < history_first(feed_history(read->feed))) {
        /* Retention has taken it meanwhile: there is only what comes behind it. */
        read->count -= is_giving;
        if (read->count == 0)
            give_nothing(read);
        else
            read->state = READ_GIVING;
        return true;
    }
    if (feed_sequence(read->feed) != sequence)
        feed_seek(read->feed, sequence);
    enum feed_result result = feed_peek(read->feed, &event);
    if (result == FEED_BROKEN)
        end_with(read, STATUS_UNREADABLE, NULL);
    if (result != FEED_EVENT)
        return false;
    if (!is_giving) {
        walk(read, &event);
        return true;
    }
    struct event_terms terms = event_terms(event.properties);
    read->count--;
    give(read, &event, &terms, read->count == 0 || read->given + 1 == read->limit);
    return true;
}

void entity_read_run(struct core *core)
{
    struct entity_read *read = TAILQ_FIRST(&core->reads);
    while (read != NULL) {
        struct entity_read *next = TAILQ_NEXT(read, link);
        int i = 0;
        while (i < ROUND_EVENTS && read->state != READ_OVER && !read->peer->is_full && step(read))
            i++;
        core->has_more |= i == ROUND_EVENTS;
        if (read->state == READ_OVER)
            read_free(core, read);
        read = next;
    }
}

void entity_read_end_peer(struct peer *peer)
{
    struct core *core = peer->core;
    struct entity_read *read = TAILQ_FIRST(&core->reads);
    while (read != NULL) {
        struct entity_read *next = TAILQ_NEXT(read, link);
        if (read->peer == peer)
            read_free(core, read);
        read = next;
    }
}

void entity_read_end_history(struct core *core, const struct history *history)
{
    struct entity_read *read = TAILQ_FIRST(&core->reads);
    while (read != NULL) {
        struct entity_read *next = TAILQ_NEXT(read, link);
        if (feed_history(read->feed) == history) {
            end_with(read, STATUS_NO_EXCHANGE, NULL);
            read_free(core, read);
        }
        read = next;
    }
}
