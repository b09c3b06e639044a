/* What happens to the broker itself, as events on the exchange `$sys`. */
#include "broker/core/sys.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/accept.h"
#include "broker/core/apply.h"
#include "broker/core/exchange.h"
#include "broker/core/mover.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/relay.h"
#include "broker/core/spill.h"
#include "broker/core/sys_body.h"

enum {
    WAITING_MAX = 4096, /* events; beyond it they are lost */
    ROUND_QUEUES = 64,  /* that overflow and are looked at in one round */
};

/* An event that waits for the end of the round, or for the disk. */
struct sys_waiting {
    TAILQ_ENTRY(sys_waiting) link;
    uint64_t needs; /* what must be on disk before */
    enum sys_type type;
    uint32_t body_bytes;
    unsigned char body[];
};

static const char *const keys[] = {
#define SYS(NAME, name, key, text) [SYS_##NAME] = key,
#include "broker/core/sys.def"
};

void sys_init(struct sys *sys)
{
    TAILQ_INIT(&sys->waiting);
    TAILQ_INIT(&sys->overflowing);
}

static void end_waiting(struct sys *sys, struct sys_waiting *waiting)
{
    TAILQ_REMOVE(&sys->waiting, waiting, link);
    sys->waiting_count--;
    free(waiting);
}

void sys_deinit(struct sys *sys)
{
    struct sys_waiting *waiting;
    while ((waiting = TAILQ_FIRST(&sys->waiting)) != NULL)
        end_waiting(sys, waiting);
}

/* --- the exchange -------------------------------------------------------------------------------
 */

static struct exchange *find(const struct core *core)
{
    return exchange_find(core, wire_bytes_of_text(SYS_EXCHANGE));
}

enum status sys_open(struct core *core, struct wire_bytes exchange)
{
    if (!wire_bytes_equal(exchange, wire_bytes_of_text(SYS_EXCHANGE)) || find(core) != NULL)
        return STATUS_OK;
    struct operation_exchange operation = {core->next_exchange, exchange, {NULL, 0}};
    struct exchange *made =
        exchange_new(core, EXCHANGE_DURABLE, operation.exchange, operation.name);
    uint64_t position;
    if (made == NULL)
        return STATUS_NO_MEMORY;
    enum status status = recorder_append_exchange(core, NULL, &operation, &position);
    if (status == STATUS_OK)
        return apply_exchange(core, &operation, position);
    exchange_end(core, made);
    return status;
}

bool sys_is_heard(const struct core *core)
{
    if (!core->is_running || core->is_ending)
        return false;
    const struct exchange *exchange = find(core);
    return exchange != NULL && (exchange->binding_count > 0 || exchange->live_count > 0);
}

static enum status publish(struct core *core, struct exchange *exchange,
                           const struct sys_waiting *waiting)
{
    struct accept accept = {.core = core,
                            .is_event = true,
                            .message.exchange = wire_bytes_of_text(SYS_EXCHANGE),
                            .message.key = wire_bytes_of_text(keys[waiting->type]),
                            .message.body = wire_bytes_of(waiting->body, waiting->body_bytes)};
    struct relay_event event = {.key = accept.message.key};
    enum status status = relay_route(core, exchange, &event, &accept.queues, &accept.queue_count);
    relay_count(exchange);
    if (status != STATUS_OK || accept.queue_count == 0)
        return status;
    return accept_message(&accept);
}

/* --- telling ------------------------------------------------------------------------------------
 */

static void tell(struct core *core, const struct sys_event *event, uint64_t needs)
{
    struct sys *sys = &core->sys;
    unsigned char body[SYS_BODY_BYTES_MAX];
    uint32_t bytes = sys_body_put(body, event, core->now_ms);
    struct sys_waiting *waiting =
        sys->waiting_count < WAITING_MAX ? malloc(sizeof *waiting + bytes) : NULL;
    if (waiting == NULL) {
        core->counters.sys_events_lost++;
        return;
    }
    waiting->needs = needs;
    waiting->type = event->type;
    waiting->body_bytes = bytes;
    memcpy(waiting->body, body, bytes);
    TAILQ_INSERT_TAIL(&sys->waiting, waiting, link);
    sys->waiting_count++;
}

void sys_tell(struct core *core, const struct sys_event *event)
{
    if (sys_is_heard(core))
        tell(core, event, recorder_needs(core));
}

/* Alarms rest on nothing that is written, and must get out when nothing can be. */
static void alarm(struct core *core, const struct sys_event *event)
{
    if (sys_is_heard(core))
        tell(core, event, 0);
}

/* --- states that last ---------------------------------------------------------------------------
 */

/* An eighth below, and below at all; or each message that comes and goes would be told. */
static bool is_below(uint64_t value, uint64_t limit)
{
    return value < limit && value <= limit - limit / 8;
}

void sys_queue_overflows(struct core *core, struct queue *queue)
{
    if (queue->is_overflowing || queue->kind == QUEUE_LIVE || !sys_is_heard(core))
        return;
    queue->is_overflowing = true;
    TAILQ_INSERT_TAIL(&core->sys.overflowing, queue, overflow_link);
    alarm(core, &(struct sys_event){SYS_QUEUE_OVERFLOW,
                                    .as.queue_overflow = {.queue = queue_name(queue),
                                                          .messages = queue_count(queue),
                                                          .bytes = queue->bytes}});
}

void sys_forget_queue(struct core *core, struct queue *queue)
{
    if (queue->is_overflowing)
        TAILQ_REMOVE(&core->sys.overflowing, queue, overflow_link);
    queue->is_overflowing = false;
}

static void look_at_queues(struct core *core)
{
    struct queue *queue;
    for (int i = 0; i < ROUND_QUEUES && (queue = TAILQ_FIRST(&core->sys.overflowing)) != NULL;
         i++) {
        sys_forget_queue(core, queue);
        bool is_over = (queue->count_max == 0 || is_below(queue_count(queue), queue->count_max)) &&
                       (queue->bytes_max == 0 || is_below(queue->bytes, queue->bytes_max));
        if (is_over) {
            alarm(core, &(struct sys_event){SYS_QUEUE_HAS_ROOM,
                                            .as.queue_has_room = {.queue = queue_name(queue),
                                                                  .messages = queue_count(queue),
                                                                  .bytes = queue->bytes}});
            continue;
        }
        queue->is_overflowing = true;
        TAILQ_INSERT_TAIL(&core->sys.overflowing, queue, overflow_link);
    }
}

void sys_memory_is_full(struct core *core)
{
    if (core->sys.is_memory_full)
        return;
    core->sys.is_memory_full = true;
    alarm(core,
          &(struct sys_event){SYS_MEMORY_FULL, .as.memory_full.bytes = core->transient_bytes});
}

void sys_lanes_are_full(struct core *core)
{
    if (core->sys.are_lanes_full)
        return;
    core->sys.are_lanes_full = true;
    alarm(core, &(struct sys_event){SYS_LANES_FULL, .as.lanes_full.messages = core->laned_count});
}

static void look_at_limits(struct core *core)
{
    struct sys *sys = &core->sys;
    if (sys->is_memory_full && is_below(core->transient_bytes, core->limits.transient_bytes_max)) {
        sys->is_memory_full = false;
        alarm(core, &(struct sys_event){SYS_MEMORY_HAS_ROOM,
                                        .as.memory_has_room.bytes = core->transient_bytes});
    }
    if (sys->are_lanes_full && is_below(core->laned_count, core->limits.lane_window)) {
        sys->are_lanes_full = false;
        alarm(core, &(struct sys_event){SYS_LANES_HAVE_ROOM,
                                        .as.lanes_have_room.messages = core->laned_count});
    }
}

static void look_at_disk(struct core *core)
{
    bool is_full =
        journal_is_full(core->journal) || mover_is_full(core) || spill_is_full(core->spill);
    if (is_full == core->sys.is_disk_full)
        return;
    core->sys.is_disk_full = is_full;
    struct sys_event event = {.type = is_full ? SYS_DISK_FULL : SYS_DISK_HAS_ROOM};
    uint64_t live_bytes = journal_space(core->journal).live_bytes;
    if (is_full)
        event.as.disk_full.live_bytes = live_bytes;
    else
        event.as.disk_has_room.live_bytes = live_bytes;
    alarm(core, &event);
}

/* --- rounds -------------------------------------------------------------------------
 */

void sys_run(struct core *core)
{
    struct sys *sys = &core->sys;
    look_at_disk(core);
    look_at_limits(core);
    look_at_queues(core);
    struct sys_waiting *next;
    for (struct sys_waiting *waiting = TAILQ_FIRST(&sys->waiting); waiting != NULL;
         waiting = next) {
        next = TAILQ_NEXT(waiting, link);
        if (waiting->needs > core->durable_position)
            continue;
        struct exchange *exchange = find(core);
        if (exchange != NULL && publish(core, exchange, waiting) != STATUS_OK)
            core->counters.sys_events_lost++;
        end_waiting(sys, waiting);
    }
}

bool sys_has_more(const struct core *core)
{
    const struct sys_waiting *waiting;
    TAILQ_FOREACH (waiting, &core->sys.waiting, link)
        if (waiting->needs <= core->durable_position)
            return true;
    return false;
}
