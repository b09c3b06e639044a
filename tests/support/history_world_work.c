/* The workers of the cursors of a world of histories. */
#include <assert.h>
#include <string.h>

#include "protocol/property.h"
#include "tests/support/history_world_state.h"

static struct handed *handed_of(struct history_world *world, const struct held *held)
{
    return &world->books[held->book].readings[held->cursor].of[held->sequence];
}

bool work_matches(const struct published *event, unsigned cursor)
{
    return cursor == ALL || (event->is_b && event->is_red);
}

/* --- following ----------------------------------------------------------------------------------
 */

void work_follow(struct actor *actor, uint32_t consumer, const struct frame_follow *follow)
{
    struct frame frame = {.header.type = FRAME_FOLLOW};
    frame.as.follow = *follow;
    frame.as.follow.consumer = consumer;
    (void)actor_say(actor, &frame);
}

static void begin(struct worker *worker, const struct book *book, unsigned number, unsigned cursor)
{
    unsigned char filter[32];
    struct wire_writer f = wire_writer_of(filter, sizeof filter);
    struct frame_follow follow = {.exchange = wire_bytes_of_text(book->name),
                                  .pattern = wire_bytes_of_text(cursor == ALL ? "#" : "b.#"),
                                  .cursor = wire_bytes_of_text(book->cursors[cursor]),
                                  .from = FOLLOW_FIRST,
                                  .prefetch_messages = PREFETCH};
    if (cursor == SOME)
        header_put(&f, wire_bytes_of_text("color"), wire_bytes_of_text("red"));
    follow.filter = wire_bytes_of(filter, (uint32_t)wire_written(&f));
    worker->is_working[number][cursor] = true;
    work_follow(worker->actor, FIRST_CURSOR + number * CURSORS + cursor, &follow);
}

void work_begin(struct history_world *world, struct worker *worker)
{
    for (unsigned i = 0; i < BOOKS; i++)
        for (unsigned k = 0; k < CURSORS; k++) {
            bool is_its = k == SOME || worker == &world->workers[0];
            if (history_world_is_up(world) && worker->actor->peer != NULL && is_its &&
                world->books[i].state == BOOK_THERE && !worker->is_working[i][k])
                begin(worker, &world->books[i], i, k);
        }
}

/* --- being given --------------------------------------------------------------------------------
 */

static void take_delivery(struct history_world *world, struct worker *worker,
                          const struct frame *frame)
{
    const struct frame_deliver *deliver = &frame->as.deliver;
    unsigned which = deliver->consumer - FIRST_CURSOR;
    struct held held = {.name = deliver->delivery,
                        .book = which / CURSORS,
                        .cursor = which % CURSORS,
                        .sequence = deliver->number};
    struct book *book = &world->books[held.book];
    bool is_redelivered = (frame->header.flags & FLAG_REDELIVERED) != 0;
    if (property_find_number(deliver->properties, PROPERTY_MESSAGE_SEQUENCE, 0) != held.sequence) {
        history_world_violate(world, "changed: its number is not its sequence");
        return;
    }
    uint32_t event = publish_see(world, book, held.sequence, deliver->body);
    if (event == 0)
        return;
    struct handed *handed = handed_of(world, &held);
    if (!work_matches(&book->events[event], held.cursor))
        history_world_violate(world, "changed: a cursor gave what was not chosen");
    if (handed->is_done && !handed->has_copy && !handed->may_return)
        history_world_violate(world, "came back: a cursor was done with it");
    if (handed->was_ever_handed && !is_redelivered)
        history_world_violate(world, "first time: it was handed out before");
    handed->was_ever_handed = handed->was_handed = true;
    handed->is_done = handed->must_return = false;
    /* Where the cursor was moved to before an event that had failed, it comes by itself, and again
     * in its turn. */
    handed->may_return = handed->may_return && handed->has_copy;
    handed->count++;
    world->counters->redelivered += is_redelivered;
    assert(worker->held_count < HELD_MAX);
    worker->held[worker->held_count++] = held;
}

static void answer(struct history_world *world, const struct held *settled, bool is_refusal)
{
    struct handed *handed = handed_of(world, settled);
    if (is_refusal || settled->is_unsure)
        return;
    if (settled->is_failure) {
        handed->must_return |= handed->count == settled->count;
        return;
    }
    handed->is_done = true;
    handed->has_copy = false;
}

static void take_answer(struct history_world *world, struct worker *worker,
                        const struct frame *frame)
{
    bool is_refusal = frame->header.type == FRAME_REFUSE;
    uint64_t last = is_refusal ? frame->header.tag : frame->as.confirm.last;
    unsigned left = 0;
    for (unsigned i = 0; i < worker->pending_count; i++) {
        const struct held *pending = &worker->pending[i];
        if (pending->name > last || (is_refusal && pending->name != last))
            worker->pending[left++] = *pending;
        else
            answer(world, pending, is_refusal);
    }
    worker->pending_count = left;
}

static void take_gone(struct worker *worker, uint32_t consumer)
{
    unsigned which = consumer - FIRST_CURSOR;
    worker->is_working[which / CURSORS][which % CURSORS] = false;
}

void work_take(struct history_world *world, struct worker *worker)
{
    struct frame frame;
    while (world->violation == NULL && actor_next(worker->actor, &frame)) {
        if (frame.header.type == FRAME_DELIVER)
            take_delivery(world, worker, &frame);
        else if (frame.header.type == FRAME_CONFIRM || frame.header.type == FRAME_REFUSE)
            take_answer(world, worker, &frame);
        else if (frame.header.type == FRAME_CONSUMER_GONE)
            take_gone(worker, frame.as.consumer_gone.consumer);
        else if (frame.header.type == FRAME_GAP) {
            unsigned which = frame.as.gap.consumer - FIRST_CURSOR;
            world->books[which / CURSORS].readings[which % CURSORS].missed += frame.as.gap.missed;
        }
    }
}

/* --- settling -----------------------------------------------------------------------------------
 */

static void note(struct worker *worker, const struct held *held, uint64_t tag, bool is_failure,
                 uint32_t count)
{
    if (worker->pending_count == PENDING_MAX)
        return; /* then it stays unknown */
    worker->pending[worker->pending_count] = *held;
    worker->pending[worker->pending_count].name = tag;
    worker->pending[worker->pending_count].is_failure = is_failure;
    worker->pending[worker->pending_count++].count = count;
}

/* Done, mostly; or given back, or failed: to be tried again, or parked. */
void work_settle_one(struct history_world *world, struct worker *worker)
{
    unsigned at = (unsigned)history_world_chance(world, worker->held_count);
    struct held held = worker->held[at];
    struct handed *handed = handed_of(world, &held);
    uint64_t kind = history_world_chance(world, 14);
    struct frame frame = {.header.type = FRAME_DONE};
    worker->held[at] = worker->held[--worker->held_count];
    if (kind == 0) {
        frame.header.type = FRAME_RELEASE;
        frame.as.release = (struct frame_release){worker->actor->start, held.name, held.name};
    } else if (kind < 3) {
        frame.header.type = FRAME_FAIL;
        frame.as.fail = (struct frame_fail){.start = worker->actor->start,
                                            .delivery = held.name,
                                            .class = kind == 1 ? FAIL_RETRYABLE : FAIL_PERMANENT,
                                            .code = wire_bytes_of_text("BAD"),
                                            .retry_after_ms = 10};
        handed->has_copy = true;
        world->counters->failed++;
    } else {
        frame.as.done = (struct frame_done){worker->actor->start, held.name, held.name};
    }
    uint64_t tag = actor_write(worker->actor, &frame);
    if (kind > 0)
        note(worker, &held, tag, kind < 3, handed->count);
    actor_flush(worker->actor);
}

void work_settle_all(struct history_world *world, struct worker *worker)
{
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;
    if (worker->held_count == 0)
        return;
    for (unsigned i = 0; i < worker->held_count; i++) {
        first = worker->held[i].name < first ? worker->held[i].name : first;
        last = worker->held[i].name > last ? worker->held[i].name : last;
    }
    struct frame frame = {.header.type = FRAME_DONE};
    frame.as.done = (struct frame_done){worker->actor->start, first, last};
    uint64_t tag = actor_write(worker->actor, &frame);
    for (unsigned i = 0; i < worker->held_count; i++)
        note(worker, &worker->held[i], tag, false, handed_of(world, &worker->held[i])->count);
    worker->held_count = 0;
    actor_flush(worker->actor);
}

/* --- ends ---------------------------------------------------------------------------------------
 */

void work_lose(struct history_world *world, struct worker *worker)
{
    work_take(world, worker);
    worker->held_count = worker->pending_count = 0;
    memset(worker->is_working, 0, sizeof worker->is_working);
}

/* Of what it held the broker may count some as failed. */
void work_cut(struct history_world *world, struct worker *worker)
{
    work_take(world, worker);
    for (unsigned i = 0; i < worker->held_count; i++)
        handed_of(world, &worker->held[i])->has_copy = true;
    actor_cut(worker->actor);
    work_lose(world, worker);
}

static void drop(struct held *list, unsigned *count, unsigned book)
{
    unsigned left = 0;
    for (unsigned i = 0; i < *count; i++)
        if (list[i].book != book)
            list[left++] = list[i];
    *count = left;
}

void work_forget_book(struct history_world *world, unsigned book)
{
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &world->workers[i];
        struct frame frame;
        while (actor_next(worker->actor, &frame))
            continue; /* nothing that has come of it counts any more */
        drop(worker->held, &worker->held_count, book);
        drop(worker->pending, &worker->pending_count, book);
        memset(worker->is_working[book], 0, sizeof worker->is_working[book]);
    }
}

/* It was asked to go on behind `low`. */
void work_move_may(struct history_world *world, unsigned book, uint64_t low)
{
    struct handed *of = world->books[book].readings[SOME].of;
    for (uint64_t i = 1; i < EVENTS_MAX; i++) {
        of[i].may_be_passed |= i <= low;
        of[i].may_return |= i > low;
    }
}

/* Fed deliveries of it are stale now; what may be a copy that somebody has may still be settled. */
static void forget_fed(struct history_world *world, struct held *list, unsigned *count,
                       unsigned book)
{
    unsigned left = 0;
    for (unsigned i = 0; i < *count; i++) {
        bool is_of_it = list[i].book == book && list[i].cursor == SOME;
        if (is_of_it && !handed_of(world, &list[i])->has_copy)
            continue;
        list[left] = list[i];
        list[left++].is_unsure |= is_of_it;
    }
    *count = left;
}

void work_moved(struct history_world *world, unsigned book, uint64_t low)
{
    struct handed *of = world->books[book].readings[SOME].of;
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &world->workers[i];
        forget_fed(world, worker->held, &worker->held_count, book);
        forget_fed(world, worker->pending, &worker->pending_count, book);
    }
    for (uint64_t i = 1; i < EVENTS_MAX; i++) {
        of[i].is_done = i <= low;
        of[i].may_be_passed = i <= low;
        of[i].may_return = of[i].has_copy;
        of[i].was_handed = of[i].was_handed && (i <= low || of[i].has_copy);
    }
}
