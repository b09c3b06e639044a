/* Publishing to the exchanges of a world of histories, and what comes of it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/append.h"
#include "protocol/property.h"
#include "tests/support/history_world_state.h"

static bool has_room(const struct book *book)
{
    return book->state == BOOK_THERE && book->event_count + BATCH_MAX + 1 < EVENTS_MAX;
}

static struct published *event_new(struct history_world *world, struct book *book,
                                   unsigned publisher, int entity)
{
    struct published *event = &book->events[++book->event_count];
    *event = (struct published){
        .batch = book->event_count, .publisher = publisher, .entity = entity, .expect = EXPECT_ANY};
    world->counters->published++;
    return event;
}

static uint32_t body_make(struct history_world *world, const struct book *book, unsigned char *body)
{
    uint32_t bytes =
        BODY_BYTES_MIN + (uint32_t)history_world_chance(world, BODY_BYTES_MAX - BODY_BYTES_MIN);
    memset(body, 'x', bytes);
    wire_store_u32(body, book->event_count);
    wire_store_u32(body + 4, book->generation);
    return bytes;
}

/* The newest event of the book, with what it says of itself. */
static uint64_t write_event(struct history_world *world, struct book *book, struct actor *actor)
{
    unsigned char body[BODY_BYTES_MAX];
    unsigned char list[64];
    unsigned char headers[32];
    struct published *event = &book->events[book->event_count];
    struct wire_writer p = wire_writer_of(list, sizeof list);
    struct wire_writer h = wire_writer_of(headers, sizeof headers);
    if (event->entity >= 0)
        property_put(&p, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text(book_entity(event->entity)));
    if (event->expect != EXPECT_ANY)
        property_put_number(&p, PROPERTY_MESSAGE_EXPECT, event->expect);
    event->is_b = history_world_chance(world, 2) == 0;
    event->is_red = history_world_chance(world, 3) == 0;
    if (event->is_red)
        header_put(&h, wire_bytes_of_text("color"), wire_bytes_of_text("red"));
    uint32_t bytes = body_make(world, book, body);
    struct frame frame = {.header.type = FRAME_PUBLISH};
    frame.as.publish =
        (struct frame_publish){.exchange = wire_bytes_of_text(book->name),
                               .key = wire_bytes_of_text(event->is_b ? "b.x" : "a.x"),
                               .properties = wire_bytes_of(list, (uint32_t)wire_written(&p)),
                               .headers = wire_bytes_of(headers, (uint32_t)wire_written(&h)),
                               .body_bytes = bytes,
                               .body = wire_bytes_of(body, bytes)};
    event->tag = actor_write(actor, &frame);
    return event->tag;
}

/* One of them has hardly any events. */
static int choose_entity(struct history_world *world)
{
    bool is_seldom = history_world_chance(world, 60) == 0;
    return is_seldom ? SELDOM : (int)history_world_chance(world, SELDOM);
}

void publish_some(struct history_world *world, struct book *book)
{
    if (world->publisher->peer == NULL)
        return;
    for (uint64_t i = history_world_chance(world, 12); i > 0 && has_room(book); i--) {
        bool is_of_entity = history_world_chance(world, 2) == 0;
        event_new(world, book, 0, is_of_entity ? choose_entity(world) : -1);
        (void)write_event(world, book, world->publisher);
    }
    actor_flush(world->publisher);
}

void publish_several(struct history_world *world, struct book *book)
{
    static unsigned char list[BATCH_MAX * (BODY_BYTES_MAX + 32)];
    unsigned char body[BODY_BYTES_MAX];
    struct wire_writer l = wire_writer_of(list, sizeof list);
    if (world->publisher->peer == NULL || !has_room(book))
        return;
    int entity = choose_entity(world);
    uint32_t count = 1 + (uint32_t)history_world_chance(world, BATCH_MAX);
    uint32_t first = book->event_count + 1;
    for (uint32_t i = 0; i < count; i++) {
        struct published *event = event_new(world, book, 0, entity);
        event->batch = first;
        event->is_b = true;
        uint32_t bytes = body_make(world, book, body);
        if (bytes > 500)
            bytes = 500; /* all must fit one frame */
        append_put(&l, &(struct append_event){.key = wire_bytes_of_text("b.several"),
                                              .body = wire_bytes_of(body, bytes)});
    }
    struct frame frame = {.header.type = FRAME_APPEND};
    frame.as.append =
        (struct frame_append){.exchange = wire_bytes_of_text(book->name),
                              .entity = wire_bytes_of_text(book_entity(entity)),
                              .expect = EXPECT_ANY,
                              .body_bytes = (uint32_t)wire_written(&l),
                              .body = wire_bytes_of(list, (uint32_t)wire_written(&l))};
    uint64_t tag = actor_write(world->publisher, &frame);
    for (uint32_t i = first; i <= book->event_count; i++)
        book->events[i].tag = tag;
    actor_flush(world->publisher);
}

void publish_race(struct history_world *world, struct book *book)
{
    unsigned first = (unsigned)history_world_chance(world, RACERS);
    for (unsigned i = 0; i < RACERS; i++) {
        unsigned number = (first + i) % RACERS;
        struct racer *racer = &world->racers[number];
        if (racer->event != 0 || racer->actor->peer == NULL || !has_room(book))
            continue;
        event_new(world, book, 1 + number, RACED)->expect = racer->known;
        racer->event = book->event_count;
        (void)write_event(world, book, racer->actor);
        actor_flush(racer->actor);
    }
}

/* --- answers ------------------------------------------------------------------------------------
 */

static void decide(struct history_world *world, struct book *book, struct published *event,
                   enum fate fate)
{
    event->fate = fate;
    world->counters->confirmed += fate == CONFIRMED;
    if (fate == CONFIRMED && event->entity >= 0)
        book->versions[event->entity]++;
}

static void take_answer(struct history_world *world, struct book *book, const struct frame *frame)
{
    bool is_refusal = frame->header.type == FRAME_REFUSE;
    uint64_t last = is_refusal ? frame->header.tag : frame->as.confirm.last;
    for (uint32_t i = book->open_from; i <= book->event_count; i++) {
        struct published *event = &book->events[i];
        if (event->publisher != 0 || event->fate != UNKNOWN || event->tag > last ||
            (is_refusal && event->tag != last))
            continue;
        decide(world, book, event, is_refusal ? REFUSED : CONFIRMED);
    }
}

static void take_race(struct history_world *world, struct racer *racer)
{
    struct book *book = &world->books[0];
    struct frame frame;
    while (actor_next(racer->actor, &frame)) {
        struct published *event = &book->events[racer->event];
        if (racer->event == 0)
            continue;
        if (frame.header.type == FRAME_CONFIRM && frame.as.confirm.last >= event->tag) {
            decide(world, book, event, CONFIRMED);
            racer->known = event->expect + 1;
            racer->event = 0;
            world->counters->races++;
        } else if (frame.header.type == FRAME_REFUSE && frame.header.tag == event->tag) {
            char text[32] = "";
            decide(world, book, event, REFUSED);
            racer->event = 0;
            if (frame.as.refuse.code != STATUS_VERSION_CONFLICT)
                continue;
            assert(frame.as.refuse.text.bytes < sizeof text);
            memcpy(text, frame.as.refuse.text.at, frame.as.refuse.text.bytes);
            if (strtoull(text, NULL, 10) == racer->known)
                history_world_violate(world, "version: what holds was refused");
            racer->known = strtoull(text, NULL, 10);
        }
    }
}

void publish_take_answers(struct history_world *world)
{
    struct frame frame;
    while (actor_next(world->publisher, &frame))
        if (frame.header.type == FRAME_REFUSE || frame.header.type == FRAME_CONFIRM)
            for (int i = 0; i < BOOKS; i++)
                take_answer(world, &world->books[i], &frame);
    for (int i = 0; i < RACERS; i++)
        take_race(world, &world->racers[i]);
    for (int i = 0; i < BOOKS; i++) {
        struct book *book = &world->books[i];
        while (book->open_from <= book->event_count &&
               book->events[book->open_from].fate != UNKNOWN)
            book->open_from++;
    }
}

void publish_lose(struct history_world *world)
{
    publish_take_answers(world);
    for (int i = 0; i < BOOKS; i++) {
        struct book *book = &world->books[i];
        for (uint32_t k = book->open_from; k <= book->event_count; k++)
            book->events[k].tag = UINT64_MAX;
        book->open_from = book->event_count + 1;
    }
    for (int i = 0; i < RACERS; i++)
        world->racers[i].event = 0;
}

/* --- seeing -------------------------------------------------------------------------------------
 */

uint32_t publish_see(struct history_world *world, struct book *book, uint64_t sequence,
                     struct wire_bytes body)
{
    uint32_t event = body.bytes >= BODY_BYTES_MIN ? wire_load_u32(body.at) : 0;
    if (event != 0 && wire_load_u32(body.at + 4) != book->generation) {
        history_world_violate(world, "came back: an event of an exchange that is gone");
        return 0;
    }
    if (sequence == 0 || sequence >= EVENTS_MAX || event == 0 || event > book->event_count) {
        history_world_violate(world, "changed: an event that nobody published");
        return 0;
    }
    if (book->kept[sequence] != 0 && book->kept[sequence] != event)
        history_world_violate(world, "changed: another event has its sequence");
    book->kept[sequence] = event;
    if (book->events[event].fate == REFUSED)
        history_world_violate(world, "doubled: an event that was refused");
    if (sequence > book->last_read)
        book->last_read = sequence;
    return world->violation == NULL ? event : 0;
}
