/* Detaching volatile queues from segments that have to go.
 *
 * Their messages are never stated again, so in such a queue positions grow with numbers: what lies
 * in old segments stands in front.
 */
#include "broker/core/detach.h"

#include "broker/core/apply.h"
#include "broker/core/consumer.h"
#include "broker/core/queue.h"
#include "broker/core/state.h"

static void on_fetch(void *argument, uint64_t position, enum status status)
{
    struct queue *queue = argument;
    (void)position;
    (void)status; /* a failure ends the process */
    queue_unref(queue->core, queue);
}

static void fetch(struct core *core, struct queue *queue, uint64_t word)
{
    if (journal_fetch(core->journal, place_record_position(word), place_position(word), on_fetch,
                      queue) == STATUS_OK)
        queue_ref(queue);
}

static void drop(struct core *core, struct queue *queue, struct standing where)
{
    core->counters.messages_dropped++;
    if (queue->kind == QUEUE_LIVE)
        queue_miss(core, queue, 1);
    standing_remove(core, queue, where);
}

/* False: the bytes are not in memory. */
static bool detach_one(struct core *core, struct queue *queue, struct standing where)
{
    uint64_t word = standing_word(where);
    struct operation_message operation;
    if (queue_read(core, word, &operation) != STATUS_OK) {
        fetch(core, queue, word);
        return false;
    }
    struct message *message = message_new(core, &operation);
    if (message == NULL) {
        /* One that is out stays where it is until it is settled. */
        if ((word & PLACE_OUT) == 0)
            drop(core, queue, where);
        return true;
    }
    uint32_t size = standing_size(where);
    if (where.aside != NULL)
        where.aside->word = (word & PLACE_FLAGS) | place_word_transient(message);
    else
        index_move(&queue->index, where.at, place_word_transient(message), size);
    queue->transient_count++;
    home_remove_place(core, place_position(word), size);
    return true;
}

/* Whether it refers to what is about to be freed. */
static bool is_concerned(uint64_t word, uint64_t end_position)
{
    return (word & PLACE_TRANSIENT) == 0 && place_position(word) < end_position;
}

/* False: one has to wait for its bytes. */
static bool detach_asides(struct core *core, struct queue *queue, uint64_t end_position)
{
    struct aside *aside = asides_next(&queue->asides, NULL);
    while (aside != NULL) {
        struct aside *next = asides_next(&queue->asides, aside);
        if (is_concerned(aside->word, end_position) &&
            !detach_one(core, queue, (struct standing){.aside = aside}))
            return false;
        aside = next;
    }
    return true;
}

static void detach_queue(struct core *core, struct queue *queue, uint64_t end_position)
{
    if (!detach_asides(core, queue, end_position))
        return;
    struct index_at at = index_find_from(&queue->index, 0);
    while (at.found != NULL) {
        struct index_at next = index_next(&queue->index, at);
        uint64_t word = at.found->word;
        if (is_concerned(word, end_position)) {
            if (!detach_one(core, queue, (struct standing){.at = at}))
                return;
        } else if ((word & PLACE_TRANSIENT) == 0) {
            return; /* so are all behind it */
        }
        at = next;
    }
    if (at.is_away)
        (void)queue_ask_page(core, queue, at);
}

void detach_volatile_queues(struct core *core, uint64_t end_position)
{
    struct queue *queue;
    struct queue *next_queue;
    HASH_ITER (by_number, core->queues_by_number, queue, next_queue)
        if (queue->kind == QUEUE_TRANSIENT)
            detach_queue(core, queue, end_position);
    struct peer *peer;
    TAILQ_FOREACH (peer, &core->peers, link) {
        struct consumer *consumer;
        struct consumer *next;
        HASH_ITER (hh, peer->consumers, consumer, next)
            if (consumer->queue->kind == QUEUE_LIVE)
                detach_queue(core, consumer->queue, end_position);
    }
}
