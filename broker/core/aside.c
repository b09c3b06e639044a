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

enum { ROOM_MIN = 16 };

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
    grown.heap = realloc(asides->heap, grown.room * sizeof(struct aside *));
    if (grown.heap == NULL)
        return STATUS_NO_MEMORY;
    asides->heap = grown.heap;
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
    *asides = grown;
    return STATUS_OK;
}

enum status asides_reserve(struct queue *queue, const struct message_terms *terms)
{
    struct asides *asides = &queue->asides;
    if (asides->count == asides->room && table_grow(asides) != STATUS_OK)
        return STATUS_NO_MEMORY;
    if (asides->spare != NULL && (asides->spare->has_ward || terms->needs_ward))
        asides_unreserve(queue);
    if (asides->spare != NULL)
        return STATUS_OK;
    struct aside *spare = malloc(sizeof *spare + (terms->needs_ward ? sizeof(struct ward) : 0));
    if (spare == NULL)
        return STATUS_NO_MEMORY;
    spare->has_ward = terms->needs_ward;
    if (terms->needs_ward && ward_init(queue->core, queue, aside_ward(spare), terms) != STATUS_OK) {
        free(spare);
        return STATUS_NO_MEMORY;
    }
    asides->spare = spare;
    return STATUS_OK;
}

void asides_unreserve(struct queue *queue)
{
    struct aside *spare = queue->asides.spare;
    queue->asides.spare = NULL;
    if (spare != NULL && spare->has_ward)
        ward_deinit(queue->core, aside_ward(spare));
    free(spare);
}

struct aside *asides_add(struct queue *queue, uint64_t number, uint64_t word, uint32_t size,
                         const struct message_terms *terms)
{
    struct asides *asides = &queue->asides;
    struct aside *aside = asides->spare;
    assert(aside != NULL && asides->count < asides->room);
    asides->spare = NULL;
    struct aside **bucket = bucket_of(asides, number);
    *aside = (struct aside){.number = number,
                            .word = word,
                            .queue = queue,
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

/* --- the heap -----------------------------------------------------------------------------------
 */

static bool comes_before(const struct aside *a, const struct aside *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->number < b->number;
}

static void heap_put(struct asides *asides, uint32_t at, struct aside *aside)
{
    asides->heap[at] = aside;
    aside->as.heap_at = at;
}

static void heap_up(struct asides *asides, uint32_t at, struct aside *aside)
{
    while (at > 0 && comes_before(aside, asides->heap[(at - 1) / 2])) {
        heap_put(asides, at, asides->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(asides, at, aside);
}

static void heap_down(struct asides *asides, uint32_t at, struct aside *aside)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= asides->heap_count)
            break;
        if (child + 1 < asides->heap_count &&
            comes_before(asides->heap[child + 1], asides->heap[child]))
            child++;
        if (!comes_before(asides->heap[child], aside))
            break;
        heap_put(asides, at, asides->heap[child]);
        at = child;
    }
    heap_put(asides, at, aside);
}

static void heap_remove(struct asides *asides, struct aside *aside)
{
    uint32_t at = aside->as.heap_at;
    struct aside *last = asides->heap[--asides->heap_count];
    if (last == aside)
        return;
    if (comes_before(last, aside))
        heap_up(asides, at, last);
    else
        heap_down(asides, at, last);
}

struct aside *asides_first(const struct asides *asides)
{
    return asides->heap_count > 0 ? asides->heap[0] : NULL;
}

/* --- states -------------------------------------------------------------------------------------
 */

static struct asides *asides_of(const struct aside *aside)
{
    return &aside->queue->asides;
}

static struct lane *lane_of(struct aside *aside)
{
    return aside->has_ward ? aside_ward(aside)->lane : NULL;
}

static void leave_state(struct core *core, struct aside *aside)
{
    struct lane *lane = lane_of(aside);
    if (aside->state == ASIDE_READY)
        heap_remove(asides_of(aside), aside);
    if (lane != NULL && (aside->state == ASIDE_READY || aside->state == ASIDE_BLOCKED))
        lane_leave(aside);
    if (aside->state == ASIDE_WAITING) {
        wheel_disarm(&core->wheel, &aside->as.timer);
        asides_of(aside)->waiting_count--;
    }
    if (aside->state == ASIDE_OUT) {
        aside->word &= ~PLACE_OUT;
        aside->queue->out_count--;
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
    heap_up(asides, asides->heap_count++, aside);
    queue_wake(core, aside->queue);
}

void aside_block(struct aside *aside)
{
    heap_remove(asides_of(aside), aside);
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
    aside->queue->out_count++;
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
    free(aside);
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
    assert(asides->count == 0);
    free(asides->buckets);
    free(asides->heap);
    assert(asides->spare == NULL);
    *asides = (struct asides){0};
}
