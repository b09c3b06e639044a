/* Messages that stand aside of the plain order of their queue. */
#include "broker/core/aside.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/lane.h"
#include "broker/core/message.h"
#include "broker/core/queue.h"
#include "broker/core/ward.h"
#include "broker/core/watch.h"
#include "broker/plant.h"

enum {
    ROOM_MIN = 16,
    CHAIN_MEAN = 2, /* asides to a bucket, before there are more buckets */
};

/* --- the table ----------------------------------------------------------------------------------
 */

/* Numbers come one after the other, and are looked for so: eight of them share a cache line. The
 * lines are spread by multiplying with an odd number (Knuth, The Art of Computer Programming 3,
 * 6.4). */
static struct aside **bucket_of(const struct asides *asides, uint64_t number)
{
    uint64_t line = (number >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    return &asides->buckets[(line << 3 | (number & 7)) & (asides->room - 1)];
}

static enum status table_grow(struct asides *asides)
{
    struct asides grown = *asides;
    grown.room = asides->room > 0 ? asides->room * 2 : ROOM_MIN;
    grown.buckets = calloc(grown.room, sizeof(struct aside *));
    if (grown.buckets == NULL)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < asides->room; i++)
        while (asides->buckets[i] != NULL) {
            struct aside *aside = asides->buckets[i];
            asides->buckets[i] = aside->next;
            struct aside **bucket = bucket_of(&grown, aside->number);
            aside->next = *bucket;
            *bucket = aside;
        }
    free(asides->buckets);
    asides->buckets = grown.buckets;
    asides->room = grown.room;
    return STATUS_OK;
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
    if (asides->count == asides->room * CHAIN_MEAN && table_grow(asides) != STATUS_OK)
        return STATUS_NO_MEMORY;
    if (asides->spare != NULL && (asides->spare->has_ward || terms->needs_ward))
        asides_unreserve(queue);
    if (asides->spare != NULL)
        return STATUS_OK;
    struct aside *spare = aside_page_take(queue, terms->needs_ward);
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
    assert(aside != NULL && asides->count < asides->room * CHAIN_MEAN);
    asides->spare = NULL;
    struct aside **bucket = bucket_of(asides, number);
    *aside = (struct aside){.number = number,
                            .word = word,
                            .next = *bucket,
                            .size = size,
                            .state = ASIDE_RECOVERED,
                            .priority = terms->priority,
                            .has_ward = aside->has_ward};
    *bucket = aside;
    asides->count++;
    queue->core->aside_count++;
    ward_take_place(queue->core, aside, terms->accepted_ms);
    return aside;
}

struct aside *asides_find(const struct asides *asides, uint64_t number)
{
    if (asides->count == 0)
        return NULL;
    struct aside *aside = *bucket_of(asides, number);
    while (aside != NULL && aside->number != number)
        aside = aside->next;
    return aside;
}

struct aside *asides_next(const struct asides *asides, const struct aside *before)
{
    if (before != NULL && before->next != NULL)
        return before->next;
    if (asides->count == 0)
        return NULL;
    struct aside **bucket =
        before != NULL ? bucket_of(asides, before->number) + 1 : asides->buckets;
    while (bucket < asides->buckets + asides->room && *bucket == NULL)
        bucket++;
    return bucket < asides->buckets + asides->room ? *bucket : NULL;
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
    if (lane_of(aside) != NULL)
        lane_hold(aside);
    aside->word |= PLACE_OUT | PLACE_REDELIVERED;
    aside_queue(aside)->out_count++;
}

void aside_remove(struct core *core, struct aside *aside)
{
    struct asides *asides = asides_of(aside);
    leave_state(core, aside);
    struct aside **link = bucket_of(asides, aside->number);
    while (*link != aside)
        link = &(*link)->next;
    *link = aside->next;
    asides->count--;
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
    assert(asides->count == 0 && asides->spare == NULL);
    assert(TAILQ_EMPTY(&asides->pages[0]) && TAILQ_EMPTY(&asides->pages[1]));
    free(asides->buckets);
    asides_init(asides);
}
