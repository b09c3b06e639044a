/* Purging: all that nobody has leaves a queue at once. */
#include "broker/core/purge.h"

#include <assert.h>

#include "broker/core/call.h"
#include "broker/core/ending.h"
#include "broker/core/queue.h"

/* Whether what the search found goes with its run: a place that is ready and in no lane, or a whole
 * page that is away. */
static bool is_ready(const struct queue *queue, struct index_at at)
{
    return at.is_away || (at.found != NULL && place_is_ready(at.found->word) &&
                          lane_plain_find(&queue->plains, index_number(&queue->index, at)) == NULL);
}

/* The first run of ready places from `from` on; false when there is none. */
static bool ready_run(const struct queue *queue, uint64_t from, uint64_t *first, uint64_t *last)
{
    const struct index *index = &queue->index;
    struct index_at at = index_find_from(index, from);
    while (at.found != NULL && !is_ready(queue, at))
        at = index_next(index, at);
    if (!is_ready(queue, at))
        return false;
    uint64_t number;
    index_range(index, at, first, last);
    while (is_ready(queue, at = index_next(index, at)))
        index_range(index, at, &number, last);
    return true;
}

/* Pages that are away leave a purged queue as they are, for a nameless queue that is gone: it is
 * worked off as they are read. */
static enum status grave_dig(struct core *core, struct queue *queue)
{
    struct queue *grave = queue_new(core, QUEUE_LIVE, 0, wire_bytes_of(NULL, 0));
    if (grave == NULL)
        return STATUS_NO_MEMORY;
    grave->is_gone = true;
    queue->grave = grave;
    return index_reserve_pages(&grave->index, &queue->index);
}

static void grave_close(struct core *core, struct queue *queue)
{
    struct queue *grave = queue->grave;
    queue->grave = NULL;
    if (grave == NULL)
        return;
    if (grave->index.live_count > 0)
        TAILQ_INSERT_TAIL(&core->dying, grave, pump_link);
    else
        queue_unref(core, grave);
}

void queue_bury_page(struct queue *queue, struct index_at at)
{
    struct queue *grave = queue->grave;
    assert(grave != NULL);
    uint64_t bytes = index_give_page(&queue->index, at, &grave->index);
    queue->bytes -= bytes;
    grave->bytes += bytes;
}

static enum status purge_asides(struct core *core, struct peer *peer, struct queue *queue)
{
    enum status status = STATUS_OK;
    struct aside *aside = asides_next(&queue->asides, NULL);
    while (aside != NULL && status == STATUS_OK) {
        struct aside *next = asides_next(&queue->asides, aside);
        struct ending ending = ending_of_aside(STATUS_CANCELLED, aside);
        if (aside->state != ASIDE_OUT)
            status = ending_carry_out(core, peer, queue, aside->number, &ending);
        aside = next;
    }
    return status;
}

enum status queue_purge(struct core *core, struct peer *peer, struct queue *queue)
{
    enum status status = STATUS_OK;
    if (spill_figures(core->spill).away_count > 0)
        status = grave_dig(core, queue);
    if (status == STATUS_OK)
        call_end_all(core, queue, CALL_WAITING, STATUS_CANCELLED);
    uint64_t first;
    uint64_t last = 0;
    for (uint64_t from = 0; status == STATUS_OK && ready_run(queue, from, &first, &last);
         from = last + 1)
        status = queue_settle(core, peer, queue, first, last);
    if (status == STATUS_OK)
        status = lane_plain_purge(core, peer, queue);
    if (status == STATUS_OK)
        status = purge_asides(core, peer, queue);
    grave_close(core, queue);
    return status;
}
