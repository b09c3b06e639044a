/* Judging histories: what is kept against what was told. */
#include <stdlib.h>
#include <string.h>

#include "protocol/property.h"
#include "tests/support/history_world_state.h"

/* What is kept, as a reader from the beginning sees it. */
struct sight {
    uint64_t first;
    uint64_t next;             /* sequence */
    uint32_t last[PUBLISHERS]; /* event before */
    uint64_t versions[ENTITIES];
    bool is_begun[ENTITIES];
};

static void judge_versions(struct history_world *world, const struct book *book,
                           struct sight *sight, const struct published *event, uint64_t version)
{
    int entity = event->entity;
    if ((entity >= 0) != (version != 0))
        history_world_violate(world, "version: it has none, or one too many");
    if (entity < 0 || world->violation != NULL)
        return;
    if (sight->is_begun[entity] ? version != sight->versions[entity] + 1
                                : version > 1 && !book->is_retired)
        history_world_violate(world, "version: one was skipped or given twice");
    if (event->expect != EXPECT_ANY && version != event->expect + 1)
        history_world_violate(world, "version: it is not what its writer expected");
    sight->is_begun[entity] = true;
    sight->versions[entity] = version;
}

static void judge_event(struct history_world *world, struct book *book, struct sight *sight,
                        const struct frame_deliver *deliver)
{
    uint64_t sequence = property_find_number(deliver->properties, PROPERTY_MESSAGE_SEQUENCE, 0);
    uint64_t version = property_find_number(deliver->properties, PROPERTY_MESSAGE_VERSION, 0);
    uint32_t number = publish_see(world, book, sequence, deliver->body);
    if (number == 0)
        return;
    struct published *event = &book->events[number];
    if (sight->first == 0)
        sight->first = sight->next = sequence;
    if (sequence != sight->next)
        history_world_violate(world, "hole: a sequence is missing or doubled");
    if (number <= sight->last[event->publisher])
        history_world_violate(world, "doubled: an event is there twice, or out of order");
    event->is_there = true;
    sight->next = sequence + 1;
    sight->last[event->publisher] = number;
    judge_versions(world, book, sight, event, version);
}

static void read_all(struct history_world *world, struct book *book, struct sight *sight)
{
    struct frame frame;
    struct frame_follow follow = {.exchange = wire_bytes_of_text(book->name),
                                  .pattern = wire_bytes_of_text("#"),
                                  .from = FOLLOW_FIRST};
    history_world_stop_reading(world);
    work_follow(world->reader, READER, &follow);
    scene_settle(world->scene);
    while (actor_next(world->reader, &frame) && world->violation == NULL) {
        if (frame.header.type == FRAME_CONSUMER_GONE || frame.header.type == FRAME_REFUSE)
            history_world_violate(world, "lost: what is kept cannot be read");
        if (frame.header.type == FRAME_DELIVER)
            judge_event(world, book, sight, &frame.as.deliver);
    }
    history_world_stop_reading(world);
}

/* Sequences go on whatever is gone: each confirmed event has had one of its own. */
static void judge_last(struct history_world *world, struct book *book, const struct sight *sight)
{
    uint64_t confirmed = 0;
    for (uint32_t i = 1; i <= book->event_count; i++)
        confirmed += book->events[i].fate == CONFIRMED;
    uint64_t last = book_ask(world, book, "last");
    if (last < confirmed || last < book->last_read ||
        (sight->first != 0 && last + 1 != sight->next))
        history_world_violate(world, "hole: the sequences do not go on");
    if (sight->first == 0 && book_ask(world, book, "first") != last + 1)
        history_world_violate(world, "lost: what is kept does not come");
}

/* What was confirmed and is younger than the oldest that is kept is there; several are whole. */
static void judge_published(struct history_world *world, struct book *book,
                            const struct sight *sight)
{
    uint64_t oldest = sight->first != 0 ? book->kept[sight->first] : EVENTS_MAX;
    for (uint32_t i = 1; i <= book->event_count && world->violation == NULL; i++) {
        const struct published *event = &book->events[i];
        bool is_old = book->is_retired && i <= oldest + BATCH_MAX;
        if (event->fate == CONFIRMED && !event->is_there && !is_old)
            history_world_violate(world, "lost: an event that was confirmed");
        if (event->batch != i && !is_old && event->is_there != book->events[i - 1].is_there)
            history_world_violate(world, "half: some of several events");
        if (event->is_b && event->is_there && !event->is_bound)
            history_world_violate(world, "half: in the history, and not in the queue");
        if (event->is_bound && !event->is_there && !is_old)
            history_world_violate(world, "half: in the queue, and not in the history");
        if (event->is_b && event->fate == CONFIRMED && !event->is_bound)
            history_world_violate(world, "lost: a confirmed event is not in the bound queue");
        if (event->is_bound && event->fate == REFUSED)
            history_world_violate(world, "doubled: an event that was refused is in the queue");
    }
}

/* All that is in the bound queue; what is of an exchange before belongs to nobody. */
static void empty_bound(struct history_world *world, struct book *book)
{
    struct frame frame = {.header.type = FRAME_CONSUME};
    uint64_t last = 0;
    frame.as.consume = (struct frame_consume){
        .consumer = BOUND, .queue = wire_bytes_of_text(book->queue), .prefetch_messages = 1 << 20};
    (void)actor_say(world->keeper, &frame);
    for (int i = 0; i < 3; i++)
        scene_advance_ms(world->scene, 1000); /* a mark that was stated again takes its time */
    while (actor_next(world->keeper, &frame) && world->violation == NULL) {
        if (frame.header.type != FRAME_DELIVER)
            continue;
        struct wire_bytes body = frame.as.deliver.body;
        uint32_t number = wire_load_u32(body.at);
        last = frame.as.deliver.delivery;
        if (wire_load_u32(body.at + 4) != book->generation)
            continue;
        if (number == 0 || number > book->event_count || !book->events[number].is_b)
            history_world_violate(world, "changed: a bound queue has what was not for it");
        else if (book->events[number].is_bound)
            history_world_violate(world, "doubled: an event came twice from a bound queue");
        else
            book->events[number].is_bound = true;
    }
    frame = (struct frame){.header.type = FRAME_DONE};
    frame.as.done = (struct frame_done){world->keeper->start, 1, last};
    if (last != 0)
        (void)actor_say(world->keeper, &frame);
    frame = (struct frame){.header.type = FRAME_CANCEL};
    frame.as.cancel.consumer = BOUND;
    (void)actor_say(world->keeper, &frame);
    while (actor_next(world->keeper, &frame))
        continue;
}

/* The broker's word on the version of an entity. */
static void judge_version(struct history_world *world, struct book *book, const struct sight *sight,
                          int entity)
{
    unsigned char list[64];
    char text[32] = "";
    struct wire_writer p = wire_writer_of(list, sizeof list);
    property_put(&p, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text(book_entity(entity)));
    property_put_number(&p, PROPERTY_MESSAGE_EXPECT, 1 << 30);
    struct frame frame = {.header.type = FRAME_PUBLISH};
    frame.as.publish =
        (struct frame_publish){.exchange = wire_bytes_of_text(book->name),
                               .key = wire_bytes_of_text("a"),
                               .properties = wire_bytes_of(list, (uint32_t)wire_written(&p))};
    (void)actor_say(world->publisher, &frame);
    while (actor_next(world->publisher, &frame) && frame.header.type != FRAME_REFUSE)
        continue;
    if (frame.header.type != FRAME_REFUSE || frame.as.refuse.code != STATUS_VERSION_CONFLICT) {
        history_world_violate(world, "version: an impossible one was taken");
        return;
    }
    memcpy(text, frame.as.refuse.text.at, frame.as.refuse.text.bytes);
    uint64_t version = strtoull(text, NULL, 10);
    world->counters->conflicts++;
    if (sight->is_begun[entity] ? version != sight->versions[entity]
                                : !book->is_retired && version != 0)
        history_world_violate(world, "version: it is not that of the last event");
    if (version < book->versions[entity])
        history_world_violate(world, "version: confirmed events are not counted");
    book->versions[entity] = version;
}

static void judge_book(struct history_world *world, struct book *book, struct sight *sight)
{
    *sight = (struct sight){0};
    for (uint32_t i = 1; i <= book->event_count; i++)
        book->events[i].is_there = false;
    empty_bound(world, book);
    read_all(world, book, sight);
    if (world->violation == NULL)
        judge_last(world, book, sight);
    if (world->violation == NULL)
        judge_published(world, book, sight);
    for (int i = 0; i < ENTITIES && world->violation == NULL; i++)
        judge_version(world, book, sight, i);
    world->counters->retired += sight->first > 1 ? sight->first - 1 : 0;
}

/* --- cursors ------------------------------------------------------------------------------------
 */

/* They are emptied: whatever is kept comes, unless it is done, and what was parked. */
static void work_off(struct history_world *world)
{
    for (int quiet = 0; quiet < 5 && world->violation == NULL;) {
        bool has_more = false;
        for (int i = 0; i < BOOKS; i++)
            for (unsigned k = 0; k < CURSORS; k++)
                book_retry(world, &world->books[i], k);
        scene_advance_ms(world->scene, 1000);
        for (int i = 0; i < WORKERS; i++) {
            struct worker *worker = &world->workers[i];
            work_take(world, worker);
            has_more |= worker->held_count > 0;
            work_settle_all(world, worker);
            scene_settle(world->scene);
            work_take(world, worker);
        }
        quiet = has_more ? 0 : quiet + 1;
    }
}

static void judge_reading(struct history_world *world, const struct book *book,
                          const struct sight *sight, unsigned cursor)
{
    const struct reading *reading = &book->readings[cursor];
    uint64_t skipped = 0;
    for (uint64_t i = sight->first; i != 0 && i < sight->next; i++) {
        const struct handed *handed = &reading->of[i];
        if (work_matches(&book->events[book->kept[i]], cursor) && !handed->may_be_passed)
            skipped += !handed->was_handed;
    }
    if (skipped > reading->missed)
        history_world_violate(world, "skipped: an event was never handed out");
    for (uint64_t i = 1; i < EVENTS_MAX; i++)
        if (reading->of[i].must_return)
            history_world_violate(world, "skipped: an event that failed did not come again");
}

void history_world_judge(struct history_world *world)
{
    struct sight sights[BOOKS];
    for (int i = 0; i < WORKERS; i++)
        work_cut(world, &world->workers[i]); /* what is with them comes again */
    history_world_enter(world);
    publish_take_answers(world);
    for (int i = 0; i < BOOKS && world->violation == NULL; i++)
        judge_book(world, &world->books[i], &sights[i]);
    if (world->violation == NULL)
        work_off(world);
    for (int i = 0; i < BOOKS && world->violation == NULL; i++)
        for (unsigned k = 0; k < CURSORS; k++)
            judge_reading(world, &world->books[i], &sights[i], k);
}
