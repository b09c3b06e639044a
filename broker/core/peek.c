/* PEEK: looking at messages of a queue, which changes nothing. */
#include "broker/core/peek.h"

#include <stdlib.h>

#include "broker/core/kept.h"
#include "broker/core/line.h"
#include "broker/core/output.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"

struct peek {
    TAILQ_ENTRY(peek) link;
    struct peer *peer; /* NULL: gone, and a read is out */
    struct queue *queue;
    uint64_t tag;
    uint64_t after;
    bool is_of_parked;
    bool is_fetching;
};

/* What was found: the first message behind `after`. */
struct sight {
    uint64_t number; /* 0: there is none */
    uint64_t word;
    uint8_t state;
};

enum status peek_new(struct peer *peer, struct queue *queue, uint64_t tag,
                     const struct frame_peek *frame)
{
    struct core *core = peer->core;
    if (core->call_count >= core->limits.calls_max)
        return STATUS_LIMIT;
    struct peek *peek = calloc(1, sizeof *peek);
    if (peek == NULL)
        return STATUS_NO_MEMORY;
    *peek = (struct peek){.peer = peer,
                          .queue = queue,
                          .tag = tag,
                          .after = frame->after,
                          .is_of_parked = frame->what == PEEK_PARKED};
    queue_ref(queue);
    core->call_count++;
    TAILQ_INSERT_TAIL(&core->peeks, peek, link);
    core->has_more = true;
    return STATUS_OK;
}

static void peek_free(struct core *core, struct peek *peek)
{
    TAILQ_REMOVE(&core->peeks, peek, link);
    queue_unref(core, peek->queue);
    core->call_count--;
    free(peek);
}

/* --- looking ------------------------------------------------------------------------------------
 */

/* Parked messages and those aside stand in no order. To go through all of them for each that is
 * looked at would take long, so the numbers that follow are tried first: as many as there are. */
static uint64_t last_tried(const struct queue *queue, uint64_t after, uint64_t count)
{
    uint64_t last = queue->core->next_message - 1;
    if (after >= last)
        return after;
    return count < last - after ? after + count : last;
}

static struct sight find_parked(const struct queue *queue, uint64_t after)
{
    struct sight sight = {0};
    uint64_t last = last_tried(queue, after, HASH_COUNT(queue->parked));
    struct parked *parked;
    struct parked *next;
    for (uint64_t number = after; number < last; number++)
        if ((parked = kept_find_parked(queue, number + 1)) != NULL)
            return (struct sight){parked->number, parked->word, PEEKED_PARKED};
    if (last >= queue->core->next_message - 1)
        return sight;
    HASH_ITER (hh, queue->parked, parked, next)
        if (parked->number > last && (sight.number == 0 || parked->number < sight.number))
            sight = (struct sight){parked->number, parked->word, PEEKED_PARKED};
    return sight;
}

static uint8_t aside_phase(const struct aside *aside)
{
    if (aside->state == ASIDE_OUT)
        return PEEKED_RUNNING;
    return aside->state == ASIDE_WAITING ? PEEKED_WAITING : PEEKED_READY;
}

static struct sight sight_of_aside(const struct aside *aside)
{
    return (struct sight){aside->number, aside->word, aside_phase(aside)};
}

static struct sight find_aside(const struct queue *queue, uint64_t after)
{
    struct sight sight = {0};
    uint64_t last = last_tried(queue, after, queue->asides.table.count);
    struct aside *aside;
    for (uint64_t number = after; number < last; number++)
        if ((aside = asides_find(&queue->asides, number + 1)) != NULL)
            return sight_of_aside(aside);
    if (last >= queue->core->next_message - 1)
        return sight;
    for (aside = asides_next(&queue->asides, NULL); aside != NULL;
         aside = asides_next(&queue->asides, aside))
        if (aside->number > last && (sight.number == 0 || aside->number < sight.number))
            sight = sight_of_aside(aside);
    return sight;
}

/* STATUS_MORE: the page is being read. */
static enum status find(struct core *core, const struct peek *peek, struct sight *sight)
{
    struct queue *queue = peek->queue;
    if (peek->is_of_parked) {
        *sight = find_parked(queue, peek->after);
        return STATUS_OK;
    }
    *sight = find_aside(queue, peek->after);
    if (peek->after == UINT64_MAX)
        return STATUS_OK;
    struct index_at at = index_find_from(&queue->index, peek->after + 1);
    if (at.is_away)
        return queue_ask_page(core, queue, at) ? STATUS_MORE : STATUS_NO_MEMORY;
    if (at.found == NULL)
        return STATUS_OK;
    uint64_t number = index_number(&queue->index, at);
    if (sight->number == 0 || number < sight->number)
        *sight = (struct sight){number, at.found->word,
                                (at.found->word & PLACE_OUT) != 0 ? PEEKED_RUNNING : PEEKED_READY};
    return STATUS_OK;
}

static void on_fetch(void *argument, uint64_t position, enum status status)
{
    struct peek *peek = argument;
    struct core *core = peek->queue->core;
    (void)position;
    (void)status; /* a failure ends the process */
    peek->is_fetching = false;
    core->has_more = true;
    if (peek->peer == NULL)
        peek_free(core, peek);
}

/* --- answering ----------------------------------------------------------------------------------
 */

/* With the id that it has now. */
static struct wire_bytes properties_of(const struct queue *queue,
                                       const struct operation_message *message,
                                       unsigned char room[MESSAGE_REPAIR_BYTES_MAX])
{
    const struct parked *parked = kept_find_parked(queue, message->number);
    const struct attempted *attempted = kept_find_attempted(queue, message->number);
    struct wire_id none = {{0}};
    if (parked != NULL && parked->is_repair)
        return message_repair_properties(room, message->properties, parked->id, none);
    if (attempted != NULL && attempted->repair != NULL)
        return message_repair_properties(room, message->properties, attempted->repair->id,
                                         attempted->repair->repairs);
    return message->properties;
}

static void answer(struct peek *peek, const struct sight *sight,
                   const struct operation_message *message)
{
    struct peer *peer = peek->peer;
    struct frame_peeked peeked = {.number = sight->number, .state = sight->state};
    unsigned char room[MESSAGE_REPAIR_BYTES_MAX];
    if (message != NULL) {
        const struct parked *parked = kept_find_parked(peek->queue, sight->number);
        peeked.attempts =
            parked != NULL ? parked->attempts : kept_failed_attempts(peek->queue, sight->number);
        peeked.time_ms = message->time_ms;
        peeked.exchange = message->exchange;
        peeked.key = message->key;
        peeked.properties = properties_of(peek->queue, message, room);
        peeked.headers = message->headers;
        peeked.body_bytes = message->body.bytes;
        peeked.body = message->body;
    }
    struct buffer frames;
    buffer_init(&frames);
    if (output_encode_peeked(&frames, peer, peek->tag, &peeked))
        line_answer(peer, peek->tag, buffer_at(&frames), buffer_bytes(&frames),
                    recorder_needs(peer->core));
    else
        peer_close(peer, STATUS_NO_MEMORY, NULL);
    buffer_deinit(&frames);
}

/* False: it has to wait. */
static bool look(struct core *core, struct peek *peek)
{
    struct sight sight;
    struct operation_message message;
    if (peek->queue->is_gone) {
        line_refuse(peek->peer, peek->tag, STATUS_NO_QUEUE, NULL, recorder_needs(core));
        return true;
    }
    enum status status = find(core, peek, &sight);
    if (status == STATUS_OK && sight.number == 0) {
        answer(peek, &sight, NULL);
        return true;
    }
    if (status == STATUS_OK)
        status = queue_read(core, sight.word, &message);
    if (status == STATUS_MORE && sight.number != 0) {
        peek->is_fetching = journal_fetch(core->journal, place_record_position(sight.word),
                                          place_position(sight.word), on_fetch, peek) == STATUS_OK;
        return false;
    }
    if (status != STATUS_OK)
        return false; /* a page is read, or there is no memory now: the next round tries again */
    answer(peek, &sight, &message);
    return true;
}

void peek_run(struct core *core)
{
    struct peek *peek = TAILQ_FIRST(&core->peeks);
    while (peek != NULL) {
        struct peek *next = TAILQ_NEXT(peek, link);
        if (!peek->is_fetching && look(core, peek))
            peek_free(core, peek);
        peek = next;
    }
}

void peek_end_peer(struct peer *peer)
{
    struct core *core = peer->core;
    struct peek *peek = TAILQ_FIRST(&core->peeks);
    while (peek != NULL) {
        struct peek *next = TAILQ_NEXT(peek, link);
        if (peek->peer == peer && peek->is_fetching)
            peek->peer = NULL;
        else if (peek->peer == peer)
            peek_free(core, peek);
        peek = next;
    }
}

void peek_end_all(struct core *core)
{
    struct peek *peek;
    while ((peek = TAILQ_FIRST(&core->peeks)) != NULL)
        peek_free(core, peek);
}
