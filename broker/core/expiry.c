/* A queue's own time to live: how long any message may wait in it. */
#include "broker/core/expiry.h"

#include "broker/core/ending.h"
#include "broker/core/queue.h"

/* Later than any clock says. */
#define TIME_MAX (UINT64_MAX / 2)

enum {
    /* What one look takes out at most, and when it goes on. */
    SLICE = 1000,
    AGAIN_MS = 10,
    /* When a page or a message is not in memory, or the journal takes nothing. */
    LATER_MS = 100,
};

void expiry_watch(struct core *core, struct queue *queue, uint64_t due_ms)
{
    if (queue->ttl_ms == 0 || !core->is_running || queue->is_gone)
        return;
    queue->ttl_timer.kind = TIMER_EXPIRY;
    wheel_arm(&core->wheel, &queue->ttl_timer, due_ms);
}

enum status expiry_end(struct core *core, struct queue *queue, uint64_t number)
{
    struct standing where = queue_locate(queue, number);
    enum frame_outcome_ran ran = standing_is_found(where)
                                     ? queue_ran(queue, number, standing_word(where))
                                     : OUTCOME_MAYBE_RUN;
    struct ending ending = ending_of(STATUS_EXPIRED, ran);
    enum status status = ending_carry_out(core, NULL, queue, number, &ending);
    if (status == STATUS_OK)
        core->counters.messages_expired++;
    return status;
}

uint64_t expiry_due(const struct queue *queue, uint64_t accepted_ms)
{
    return queue->ttl_ms < TIME_MAX - accepted_ms ? accepted_ms + queue->ttl_ms : TIME_MAX;
}

static void on_fetch(void *argument, uint64_t position, enum status status)
{
    struct queue *queue = argument;
    (void)position;
    (void)status; /* a failure ends the process */
    expiry_watch(queue->core, queue, 0);
    queue_unref(queue->core, queue);
}

/* When it is to be looked at again; 0: it has left. */
static uint64_t look_at(struct core *core, struct queue *queue, struct index_at at)
{
    struct operation_message message;
    uint64_t word = at.found->word;
    enum status status = queue_read(core, word, &message);
    if (status == STATUS_MORE) {
        if (journal_fetch(core->journal, place_record_position(word), place_position(word),
                          on_fetch, queue) != STATUS_OK)
            return core->now_ms + LATER_MS;
        queue_ref(queue);
        return UINT64_MAX; /* the read looks again */
    }
    if (status != STATUS_OK)
        return core->now_ms + LATER_MS;
    if (!expiry_is_over(queue, message.time_ms, core->now_ms))
        return expiry_due(queue, message.time_ms);
    return expiry_end(core, queue, index_number(&queue->index, at)) == STATUS_OK
               ? 0
               : core->now_ms + LATER_MS;
}

void expiry_on_timer(struct core *core, struct wheel_timer *timer)
{
    struct queue *queue =
        (struct queue *)(void *)((char *)timer - offsetof(struct queue, ttl_timer));
    struct index_at at = index_find_from(&queue->index, 0);
    for (unsigned i = 0; i < SLICE && at.found != NULL; i++) {
        struct index_at next = index_next(&queue->index, at);
        uint64_t again_ms = place_is_ready(at.found->word) ? look_at(core, queue, at) : 0;
        if (again_ms == UINT64_MAX)
            return;
        if (again_ms != 0) {
            expiry_watch(core, queue, again_ms);
            return;
        }
        at = next;
    }
    if (at.is_away && !queue_ask_page(core, queue, at))
        at.is_away = true; /* no memory for it now */
    if (at.found != NULL || at.is_away)
        expiry_watch(core, queue, core->now_ms + (at.is_away ? LATER_MS : AGAIN_MS));
}
