/* Messages that stand aside of the plain order of their queue. */
#include "broker/core/aside.h"

#include <assert.h>

#include "broker/core/lane.h"
#include "broker/core/message.h"
#include "broker/core/queue.h"
#include "broker/core/ward.h"
#include "broker/core/watch.h"
#include "broker/plant.h"

/* Asides to a bucket. */
enum { CHAIN_MEAN = 2 };

/* --- the table ----------------------------------------------------------------------------------
 */

static uint64_t hash_of(const struct chain_link *link)
{
    return chains_hash_number(((const struct aside *)link)->number);
}

void asides_init(struct asides *asides)
{
    *asides = (struct asides){0};
    TAILQ_INIT(&asides->pages[0]);
    TAILQ_INIT(&asides->pages[1]);
}

enum status asides_reserve(struct queue *queue, const struct message_terms *terms)
{
    struct asides *asides = &queue->asides;
    if (chains_reserve(&asides->table, CHAIN_MEAN, hash_of) != STATUS_OK)
        return STATUS_NO_MEMORY;
    if (asides->spare != NULL && asides->spare->has_ward != terms->needs_ward)
        asides_unreserve(queue);
    struct aside *spare = asides->spare;
    asides->spare = NULL;
    if (spare != NULL && spare->has_ward)
        ward_deinit(queue->core, aside_ward(spare));
    if (spare == NULL)
        spare = aside_page_take(queue, terms->needs_ward);
    if (spare == NULL)
        return STATUS_NO_MEMORY;
    spare->has_ward = terms->needs_ward;
    if (terms->needs_ward && ward_init(queue->core, queue, aside_ward(spare), terms) != STATUS_OK) {
        aside_page_give(spare);
        return STATUS_NO_MEMORY;
    }
    asides->spare = spare;
    return STATUS_OK;
}

enum status asides_reserve_for(struct queue *queue, uint64_t number)
{
    struct message_terms terms = message_terms_plain();
    terms.needs_ward = lane_plain_find(&queue->plains, number) != NULL;
    return asides_reserve(queue, &terms);
}

void asides_unreserve(struct queue *queue)
{
    struct aside *spare = queue->asides.spare;
    queue->asides.spare = NULL;
    if (spare == NULL)
        return;
    if (spare->has_ward)
        ward_deinit(queue->core, aside_ward(spare));
    aside_page_give(spare);
}

struct aside *asides_add(struct queue *queue, uint64_t number, uint64_t word, uint32_t size,
                         const struct message_terms *terms)
{
    struct asides *asides = &queue->asides;
    struct aside *aside = asides->spare;
    assert(aside != NULL);
    asides->spare = NULL;
    *aside = (struct aside){.number = number,
                            .word = word,
                            .size = size,
                            .state = ASIDE_RECOVERED,
                            .priority = terms->priority,
                            .has_ward = aside->has_ward};
    chains_add(&asides->table, chains_hash_number(number), &aside->link);
    queue->core->aside_count++;
    ward_take_place(queue->core, aside, terms->accepted_ms);
    return aside;
}

struct aside *asides_find(const struct asides *asides, uint64_t number)
{
    struct chain_link *link = chains_find(&asides->table, chains_hash_number(number));
    while (link != NULL && ((struct aside *)link)->number != number)
        link = link->next;
    return (struct aside *)link;
}

struct aside *asides_next(const struct asides *asides, const struct aside *before)
{
    return (struct aside *)(before != NULL
                                ? chains_next(&asides->table, hash_of(&before->link), &before->link)
                                : chains_next(&asides->table, 0, NULL));
}

struct aside *asides_first(const struct asides *asides)
{
    return asides->ready.first;
}

/* --- states -------------------------------------------------------------------------------------
 */

static struct asides *asides_of(const struct aside *aside)
{
    return &aside_queue(aside)->asides;
}

static struct lane *lane_of(struct aside *aside)
{
    return aside->has_ward ? aside_ward(aside)->lane : NULL;
}

static void leave_state(struct core *core, struct aside *aside)
{
    struct lane *lane = lane_of(aside);
    if (aside->state == ASIDE_READY)
        ready_remove(&asides_of(aside)->ready, aside);
    if (lane != NULL && (aside->state == ASIDE_READY || aside->state == ASIDE_BLOCKED))
        lane_leave(aside);
    if (aside->state == ASIDE_WAITING) {
        wheel_disarm(&core->wheel, &aside->as.timer);
        asides_of(aside)->waiting_count--;
    }
    if (aside->state == ASIDE_OUT) {
        aside->word &= ~PLACE_OUT;
        aside_queue(aside)->out_count--;
    }
    if (lane != NULL)
        lane_let_go(aside);
}

void aside_unblock(struct core *core, struct aside *aside)
{
    struct asides *asides = asides_of(aside);
    if (aside->state == ASIDE_BLOCKED)
        asides->blocked_count--;
    aside->state = ASIDE_READY;
    ready_add(&asides->ready, aside);
    queue_wake(core, aside_queue(aside));
}

void aside_block(struct aside *aside)
{
    ready_remove(&asides_of(aside)->ready, aside);
    aside->state = ASIDE_BLOCKED;
    asides_of(aside)->blocked_count++;
}

static void become_ready(struct core *core, struct aside *aside)
{
    if (lane_of(aside) != NULL)
        lane_enter(core, aside);
    else
        aside_unblock(core, aside);
}

/* One that waits for another attempt lets nobody pass, one whose time has not come does. */
static bool holds_lane(struct aside *aside)
{
    return lane_of(aside) != NULL && (aside->word & PLACE_ATTEMPTED) != 0 &&
           !planted(PLANT_LANE_NOT_HELD);
}

void aside_schedule(struct core *core, struct aside *aside, uint64_t due_ms)
{
    leave_state(core, aside);
    aside->state = ASIDE_RECOVERED;
    if (!core->is_running) {
        aside->state = ASIDE_RECOVERED;
        aside->as.due_ms = due_ms;
    } else if (due_ms > core->now_ms) {
        aside->state = ASIDE_WAITING;
        aside->as.timer = (struct wheel_timer){.kind = TIMER_ASIDE};
        asides_of(aside)->waiting_count++;
        wheel_arm(&core->wheel, &aside->as.timer, due_ms);
        if (holds_lane(aside))
            lane_hold(aside);
    } else {
        become_ready(core, aside);
    }
    if (lane_of(aside) != NULL)
        lane_update(core, lane_of(aside));
    ward_watch(core, aside);
}

void aside_set_out(struct core *core, struct aside *aside)
{
    leave_state(core, aside);
    aside->state = ASIDE_OUT;
    if (lane_of(aside) != NULL) {
        lane_hold(aside);
        lane_update(core, lane_of(aside));
    }
    aside->word |= PLACE_OUT | PLACE_REDELIVERED;
    aside_queue(aside)->out_count++;
}

void aside_remove(struct core *core, struct aside *aside)
{
    struct asides *asides = asides_of(aside);
    leave_state(core, aside);
    chains_remove(&asides->table, hash_of(&aside->link), &aside->link);
    core->aside_count--;
    if (aside->has_ward)
        ward_deinit(core, aside_ward(aside));
    aside_page_give(aside);
}

void aside_on_timer(struct core *core, struct wheel_timer *timer)
{
    struct aside *aside = (struct aside *)(void *)((char *)timer - offsetof(struct aside, as));
    asides_of(aside)->waiting_count--;
    if (lane_of(aside) != NULL)
        lane_let_go(aside);
    become_ready(core, aside);
    watch_tell_aside(core, aside);
}

void asides_start(struct core *core, struct asides *asides)
{
    for (struct aside *aside = asides_next(asides, NULL); aside != NULL;
         aside = asides_next(asides, aside)) {
        aside_schedule(core, aside, aside->as.due_ms);
        ward_start(core, aside);
    }
}

void asides_deinit(struct asides *asides)
{
    assert(asides->table.count == 0 && asides->spare == NULL);
    assert(TAILQ_EMPTY(&asides->pages[0]) && TAILQ_EMPTY(&asides->pages[1]));
    chains_deinit(&asides->table);
    asides_init(asides);
}
