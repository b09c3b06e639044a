/* Histories under crashes. */
#include "tests/support/history_world_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/state.h"
#include "protocol/property.h"

uint64_t history_world_chance(struct history_world *world, uint64_t below)
{
    return chance_below(&world->chance, below);
}

void history_world_violate(struct history_world *world, const char *text)
{
    if (world->violation != NULL)
        return;
    snprintf(world->text, sizeof world->text, "%s", text);
    world->violation = world->text;
}

const char *history_world_violation(const struct history_world *world)
{
    return world->violation;
}

struct scene *history_world_scene(struct history_world *world)
{
    return world->scene;
}

bool history_world_is_up(const struct history_world *world)
{
    return !world->scene->has_failed && world->scene->core != NULL;
}

struct history_world *history_world_new(uint64_t seed, struct history_counters *counters)
{
    struct history_world *world = calloc(1, sizeof *world);
    struct core_limits limits = scene_limits();
    limits.history_read_bytes_max = 512 << 10;
    assert(world != NULL);
    world->chance.state = seed;
    /* Either entities are saved often, or only when retention asks for it. */
    limits.history_save_bytes = history_world_chance(world, 2) == 0 ? 64 << 10 : 1 << 30;
    world->counters = counters;
    world->scene = scene_new_sized(seed, &limits, SEGMENT_BYTES);
    world->publisher = scene_actor(world->scene, "");
    world->reader = scene_actor(world->scene, "");
    world->keeper = scene_actor(world->scene, "");
    for (int i = 0; i < WORKERS; i++)
        world->workers[i].actor = scene_actor(world->scene, "");
    for (int i = 0; i < RACERS; i++)
        world->racers[i].actor = scene_actor(world->scene, "");
    book_init(world);
    history_world_enter(world);
    for (int i = 0; i < BOOKS && world->violation == NULL; i++)
        if (world->books[i].state != BOOK_THERE)
            history_world_violate(world, "the first start makes no exchange");
    return world;
}

void history_world_free(struct history_world *world)
{
    scene_free(world->scene);
    free(world);
}

static void enter(struct history_world *world, struct actor *actor)
{
    if (history_world_is_up(world) && actor->peer == NULL)
        (void)actor_enter(actor);
}

void history_world_enter(struct history_world *world)
{
    enter(world, world->keeper);
    for (int i = 0; i < BOOKS; i++)
        book_enter(world, &world->books[i]);
    enter(world, world->publisher);
    enter(world, world->reader);
    for (int i = 0; i < RACERS; i++)
        enter(world, world->racers[i].actor);
    for (int i = 0; i < WORKERS; i++) {
        enter(world, world->workers[i].actor);
        work_begin(world, &world->workers[i]);
    }
}

/* --- reading ------------------------------------------------------------------------------------
 */

static void begin_reading(struct history_world *world)
{
    static const uint8_t places[] = {FOLLOW_FIRST,    FOLLOW_SEQUENCE, FOLLOW_SEQUENCE,
                                     FOLLOW_SEQUENCE, FOLLOW_LAST,     FOLLOW_TIME};
    world->read_book = (unsigned)history_world_chance(world, BOOKS);
    const struct book *book = &world->books[world->read_book];
    struct frame_follow follow = {
        .exchange = wire_bytes_of_text(book->name),
        .pattern = wire_bytes_of_text(history_world_chance(world, 3) == 0 ? "b.#" : "#"),
        .from = places[history_world_chance(world, sizeof places)],
        .at = 1 + history_world_chance(world, book->last_read + 1)};
    if (follow.from == FOLLOW_TIME)
        follow.at = world->scene->now_ms - history_world_chance(world, 20000);
    world->is_reading = true;
    work_follow(world->reader, READER, &follow);
}

static void begin_entity(struct history_world *world)
{
    struct frame frame = {.header.type = FRAME_READ};
    world->read_book = (unsigned)history_world_chance(world, BOOKS);
    frame.as.read.exchange = wire_bytes_of_text(world->books[world->read_book].name);
    frame.as.read.entity =
        wire_bytes_of_text(book_entity((int)history_world_chance(world, ENTITIES)));
    world->read_version = 0;
    world->read_tag = actor_say(world->reader, &frame);
}

static void take_event(struct history_world *world, const struct frame *frame)
{
    const struct frame_event *event = &frame->as.event;
    if (event->sequence != 0)
        (void)publish_see(world, &world->books[world->read_book], event->sequence, event->body);
    if (event->sequence != 0 && world->read_version != 0 &&
        event->version != world->read_version + 1)
        history_world_violate(world, "version: of an entity that is read one is missing");
    world->read_version = event->version;
    if ((frame->header.flags & FLAG_LAST) != 0)
        world->read_tag = 0;
}

static void take_read(struct history_world *world)
{
    struct frame frame;
    while (world->violation == NULL && actor_next(world->reader, &frame)) {
        if (frame.header.type == FRAME_CONSUMER_GONE || frame.header.type == FRAME_REFUSE)
            world->is_reading = false;
        if (frame.header.type == FRAME_REFUSE && frame.header.tag == world->read_tag)
            world->read_tag = 0;
        if (frame.header.type == FRAME_EVENT && frame.header.tag == world->read_tag)
            take_event(world, &frame);
        if (frame.header.type == FRAME_DELIVER && world->is_reading) {
            const struct frame_deliver *deliver = &frame.as.deliver;
            uint64_t sequence =
                property_find_number(deliver->properties, PROPERTY_MESSAGE_SEQUENCE, 0);
            (void)publish_see(world, &world->books[world->read_book], sequence, deliver->body);
        }
    }
}

void history_world_stop_reading(struct history_world *world)
{
    struct frame frame = {.header.type = FRAME_CANCEL};
    frame.as.cancel.consumer = READER;
    if (history_world_is_up(world) && world->reader->peer != NULL)
        (void)actor_say(world->reader, &frame);
    while (actor_next(world->reader, &frame))
        continue;
    world->is_reading = false;
    world->read_tag = 0;
}

static void read_on(struct history_world *world)
{
    if (world->reader->peer == NULL)
        return;
    if (!world->is_reading && world->read_tag == 0) {
        if (history_world_chance(world, 3) == 0)
            begin_entity(world);
        else
            begin_reading(world);
    }
    take_read(world);
    if (world->is_reading && history_world_chance(world, 4) == 0)
        history_world_stop_reading(world);
}

/* --- a step -------------------------------------------------------------------------------------
 */

static void work(struct history_world *world)
{
    struct worker *worker = &world->workers[history_world_chance(world, WORKERS)];
    work_take(world, worker);
    work_begin(world, worker);
    if (worker->held_count == 0 || worker->actor->peer == NULL || world->violation != NULL)
        return;
    if (history_world_chance(world, 2) == 0)
        work_settle_one(world, worker);
    else
        work_settle_all(world, worker);
}

/* What is seldom done. */
static void change(struct history_world *world, struct book *book)
{
    uint64_t what = history_world_chance(world, 16);
    if (what == 0)
        book_delete(world, book);
    else if (what < 4)
        book_set(world, book);
    else if (what < 7)
        book_seek(world, book);
    else if (what < 9)
        book_retry(world, book, (unsigned)history_world_chance(world, CURSORS));
    else if (what < 11)
        work_cut(world, &world->workers[history_world_chance(world, WORKERS)]);
    else if (history_world_is_up(world))
        history_world_enter(world); /* who was cut, and what is gone */
}

static void act(struct history_world *world)
{
    struct book *book = &world->books[history_world_chance(world, BOOKS)];
    uint64_t what = history_world_chance(world, 20);
    if (what < 5)
        publish_some(world, book);
    else if (what < 8)
        publish_several(world, book);
    else if (what < 10)
        publish_race(world, &world->books[0]);
    else if (what < 12)
        read_on(world);
    else if (what < 17)
        work(world);
    else if (what < 18)
        change(world, book);
    else if (what < 19)
        scene_advance_ms(world->scene, history_world_chance(world, 4000));
}

void history_world_step(struct history_world *world)
{
    act(world);
    if (!history_world_is_up(world))
        return;
    if (history_world_chance(world, 3) != 0)
        scene_settle(world->scene);
    else
        scene_step(world->scene, history_world_chance(world, 6));
    publish_take_answers(world);
}

void history_world_lose(struct history_world *world)
{
    const struct core *core = world->scene->core;
    world->counters->moved += core != NULL ? core->counters.events_moved : 0;
    publish_lose(world);
    for (int i = 0; i < WORKERS; i++)
        work_lose(world, &world->workers[i]);
    take_read(world);
    world->is_reading = false;
    world->read_tag = 0;
}
