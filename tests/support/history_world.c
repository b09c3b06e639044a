/* A history under crashes. */
#include "tests/support/history_world_state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/state.h"
#include "protocol/append.h"
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

/* --- asking -------------------------------------------------------------------------------------
 */

static void create(struct history_world *world)
{
    unsigned char settings[64];
    struct wire_writer s = wire_writer_of(settings, sizeof settings);
    property_put_number(&s, PROPERTY_EXCHANGE_HISTORY, 1);
    switch (history_world_chance(world, 6)) {
    case 0:
        property_put_number(&s, PROPERTY_EXCHANGE_COUNT_MAX, 300);
        world->is_retired = true;
        break;
    case 1:
        property_put_number(&s, PROPERTY_EXCHANGE_BYTES_MAX, 300 << 10);
        world->is_retired = true;
        break;
    case 2:
        property_put_number(&s, PROPERTY_EXCHANGE_AGE_MAX, 60000);
        world->is_retired = true;
        break;
    }
    struct frame frame = {.header.type = FRAME_EXCHANGE_CREATE};
    frame.as.exchange_create.exchange = wire_bytes_of_text("book");
    frame.as.exchange_create.settings = wire_bytes_of(settings, (uint32_t)wire_written(&s));
    (void)actor_say(world->publisher, &frame);
    frame = (struct frame){.header.type = FRAME_QUEUE_CREATE};
    frame.as.queue_create.queue = wire_bytes_of_text("bound");
    (void)actor_say(world->publisher, &frame);
    frame = (struct frame){.header.type = FRAME_BIND};
    frame.as.bind.queue = wire_bytes_of_text("bound");
    frame.as.bind.exchange = wire_bytes_of_text("book");
    frame.as.bind.pattern = wire_bytes_of_text("b.#");
    (void)actor_say(world->publisher, &frame);
    while (actor_next(world->publisher, &frame))
        continue;
}

struct history_world *history_world_new(uint64_t seed, struct history_counters *counters)
{
    struct history_world *world = calloc(1, sizeof *world);
    struct core_limits limits = scene_limits();
    limits.history_save_bytes = 64 << 10;
    limits.history_read_bytes_max = 512 << 10;
    assert(world != NULL);
    world->chance.state = seed;
    world->counters = counters;
    world->scene = scene_new_with(seed, &limits);
    world->publisher = scene_actor(world->scene, "");
    world->reader = scene_actor(world->scene, "");
    world->worker = scene_actor(world->scene, "");
    world->open_from = 1;
    if (!actor_enter(world->publisher))
        history_world_violate(world, "the first start lets nobody in");
    create(world);
    return world;
}

void history_world_free(struct history_world *world)
{
    scene_free(world->scene);
    free(world);
}

void history_world_follow(struct actor *actor, uint32_t consumer, const char *cursor, uint8_t from,
                          uint64_t at)
{
    struct frame frame = {.header.type = FRAME_FOLLOW};
    frame.as.follow = (struct frame_follow){.consumer = consumer,
                                            .exchange = wire_bytes_of_text("book"),
                                            .pattern = wire_bytes_of_text("#"),
                                            .cursor = wire_bytes_of_text(cursor),
                                            .from = from,
                                            .at = at,
                                            .prefetch_messages = PREFETCH};
    (void)actor_say(actor, &frame);
}

static void begin_work(struct history_world *world)
{
    if (world->scene->has_failed || world->worker->peer == NULL)
        return;
    world->is_working = true;
    history_world_follow(world->worker, WORKER, "cursor", FOLLOW_FIRST, 0);
}

void history_world_enter(struct history_world *world)
{
    world->is_reading = false;
    world->held_count = 0;
    if (world->scene->has_failed || world->scene->core == NULL)
        return;
    (void)(actor_enter(world->publisher) && actor_enter(world->reader) &&
           actor_enter(world->worker));
    begin_work(world);
}

/* --- publishing ---------------------------------------------------------------------------------
 */

static uint32_t body_make(struct history_world *world, uint32_t event, unsigned char *body)
{
    uint32_t bytes = 4 + (uint32_t)history_world_chance(world, BODY_BYTES_MAX - 4);
    memset(body, 'x', bytes);
    wire_store_u32(body, event);
    return bytes;
}

static bool has_room(const struct history_world *world)
{
    return world->event_count + BATCH_MAX + 1 < EVENTS_MAX;
}

static struct published *event_new(struct history_world *world, int entity)
{
    struct published *event = &world->events[++world->event_count];
    *event = (struct published){.batch = world->event_count, .entity = entity};
    world->counters->published++;
    return event;
}

const char *history_world_entity(int entity)
{
    static const char *const names[ENTITIES] = {"one", "two", "three", "four"};
    return names[entity];
}

static void publish(struct history_world *world)
{
    unsigned char body[BODY_BYTES_MAX];
    unsigned char list[64];
    struct wire_writer p = wire_writer_of(list, sizeof list);
    int entity =
        history_world_chance(world, 2) == 0 ? (int)history_world_chance(world, ENTITIES) : -1;
    struct published *event = event_new(world, entity);
    if (entity >= 0)
        property_put(&p, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text(history_world_entity(entity)));
    struct frame frame = {.header.type = FRAME_PUBLISH};
    uint32_t bytes = body_make(world, world->event_count, body);
    frame.as.publish = (struct frame_publish){
        .exchange = wire_bytes_of_text("book"),
        .key = wire_bytes_of_text(history_world_chance(world, 2) == 0 ? "a.x" : "b.x"),
        .properties = wire_bytes_of(list, (uint32_t)wire_written(&p)),
        .body_bytes = bytes,
        .body = wire_bytes_of(body, bytes)};
    event->tag = actor_write(world->publisher, &frame);
}

static void append(struct history_world *world)
{
    static unsigned char list[BATCH_MAX * (BODY_BYTES_MAX + 32)];
    unsigned char body[BODY_BYTES_MAX];
    struct wire_writer l = wire_writer_of(list, sizeof list);
    int entity = (int)history_world_chance(world, ENTITIES);
    uint32_t count = 1 + (uint32_t)history_world_chance(world, BATCH_MAX);
    uint32_t first = world->event_count + 1;
    for (uint32_t i = 0; i < count; i++) {
        event_new(world, entity)->batch = first;
        uint32_t bytes = body_make(world, world->event_count, body);
        if (bytes > 500)
            bytes = 500; /* all must fit one frame */
        append_put(&l, &(struct append_event){.key = wire_bytes_of_text("b.several"),
                                              .body = wire_bytes_of(body, bytes)});
    }
    struct frame frame = {.header.type = FRAME_APPEND};
    frame.as.append =
        (struct frame_append){.exchange = wire_bytes_of_text("book"),
                              .entity = wire_bytes_of_text(history_world_entity(entity)),
                              .expect = EXPECT_ANY,
                              .body_bytes = (uint32_t)wire_written(&l),
                              .body = wire_bytes_of(list, (uint32_t)wire_written(&l))};
    uint64_t tag = actor_write(world->publisher, &frame);
    for (uint32_t i = first; i <= world->event_count; i++)
        world->events[i].tag = tag;
}

static void take_answers(struct history_world *world)
{
    struct frame frame;
    while (actor_next(world->publisher, &frame)) {
        bool is_refusal = frame.header.type == FRAME_REFUSE;
        if (!is_refusal && frame.header.type != FRAME_CONFIRM)
            continue;
        uint64_t last = is_refusal ? frame.header.tag : frame.as.confirm.last;
        for (uint32_t i = world->open_from; i <= world->event_count; i++) {
            struct published *event = &world->events[i];
            if (event->fate != UNKNOWN || event->tag > last || (is_refusal && event->tag != last))
                continue;
            event->fate = is_refusal ? REFUSED : CONFIRMED;
            world->counters->confirmed += !is_refusal;
            if (!is_refusal && event->entity >= 0)
                world->versions[event->entity]++;
        }
        while (world->open_from <= world->event_count &&
               world->events[world->open_from].fate != UNKNOWN)
            world->open_from++;
    }
}

/* --- reading ------------------------------------------------------------------------------------
 */

uint32_t history_world_event(const struct frame_deliver *deliver)
{
    return deliver->body.bytes >= 4 ? wire_load_u32(deliver->body.at) : 0;
}

/* Somebody saw this event at this sequence. */
void history_world_see(struct history_world *world, uint64_t sequence, uint32_t event)
{
    if (sequence == 0 || sequence >= EVENTS_MAX || event == 0 || event > world->event_count) {
        history_world_violate(world, "changed: an event that nobody published");
        return;
    }
    struct kept *kept = &world->kept[sequence];
    if (kept->event != 0 && kept->event != event)
        history_world_violate(world, "changed: another event has its sequence");
    kept->event = event;
    if (world->events[event].fate == REFUSED)
        history_world_violate(world, "doubled: an event that was refused");
    if (sequence > world->last_read)
        world->last_read = sequence;
}

static void read_on(struct history_world *world)
{
    struct frame frame;
    if (!world->is_reading) {
        uint64_t at = 1 + history_world_chance(world, world->last_read + 1);
        history_world_follow(world->reader, READER, "", FOLLOW_SEQUENCE, at);
        world->is_reading = true;
    }
    while (actor_next(world->reader, &frame)) {
        if (frame.header.type == FRAME_CONSUMER_GONE || frame.header.type == FRAME_REFUSE)
            world->is_reading = false;
        if (frame.header.type != FRAME_DELIVER)
            continue;
        const struct frame_deliver *deliver = &frame.as.deliver;
        history_world_see(world,
                          property_find_number(deliver->properties, PROPERTY_MESSAGE_SEQUENCE, 0),
                          history_world_event(deliver));
    }
    if (world->is_reading && history_world_chance(world, 4) == 0) {
        struct frame cancel = {.header.type = FRAME_CANCEL};
        cancel.as.cancel.consumer = READER;
        (void)actor_say(world->reader, &cancel);
        world->is_reading = false;
    }
}

/* --- working ------------------------------------------------------------------------------------
 */

static void take_delivery(struct history_world *world, const struct frame *frame)
{
    const struct frame_deliver *deliver = &frame->as.deliver;
    uint64_t sequence = deliver->number;
    bool is_redelivered = (frame->header.flags & FLAG_REDELIVERED) != 0;
    history_world_see(world,
                      property_find_number(deliver->properties, PROPERTY_MESSAGE_SEQUENCE, 0),
                      history_world_event(deliver));
    if (world->violation != NULL)
        return;
    struct kept *kept = &world->kept[sequence];
    if (kept->is_done)
        history_world_violate(world, "came back: a cursor was done with it");
    if (kept->was_handed_out && !is_redelivered)
        history_world_violate(world, "first time: it was handed out before");
    kept->was_handed_out = true;
    world->counters->redelivered += is_redelivered;
    assert(world->held_count < PREFETCH);
    world->held[world->held_count] = deliver->delivery;
    world->held_sequences[world->held_count++] = sequence;
}

/* The highest tag of the worker that is answered decides what is done for sure. */
void history_world_take_work(struct history_world *world)
{
    struct frame frame;
    while (actor_next(world->worker, &frame) && world->violation == NULL) {
        if (frame.header.type == FRAME_DELIVER)
            take_delivery(world, &frame);
        if (frame.header.type == FRAME_GAP)
            world->missed += frame.as.gap.missed;
        if (frame.header.type == FRAME_CONSUMER_GONE) {
            world->held_count = 0;
            world->is_working = false; /* the disk cannot be read */
        }
        if (frame.header.type != FRAME_CONFIRM)
            continue;
        for (uint64_t i = 1; i <= world->last_read; i++)
            if (world->kept[i].done_tag != 0 && world->kept[i].done_tag <= frame.as.confirm.last) {
                world->kept[i].done_tag = 0;
                world->kept[i].is_done = true;
            }
    }
}

static void settle_one(struct history_world *world)
{
    unsigned at = (unsigned)history_world_chance(world, world->held_count);
    uint64_t delivery = world->held[at];
    uint64_t sequence = world->held_sequences[at];
    struct frame frame = {.header.type = FRAME_DONE};
    uint64_t kind = history_world_chance(world, 12);
    if (kind == 0) {
        frame.header.type = FRAME_RELEASE;
        frame.as.release = (struct frame_release){world->worker->start, delivery, delivery};
    } else if (kind == 1) {
        frame.header.type = FRAME_FAIL;
        frame.as.fail = (struct frame_fail){.start = world->worker->start,
                                            .delivery = delivery,
                                            .code = wire_bytes_of_text("BAD"),
                                            .retry_after_ms = 10};
    } else {
        frame.as.done = (struct frame_done){world->worker->start, delivery, delivery};
    }
    uint64_t tag = actor_say(world->worker, &frame);
    if (kind > 1)
        world->kept[sequence].done_tag = tag;
    world->held_count--;
    world->held[at] = world->held[world->held_count];
    world->held_sequences[at] = world->held_sequences[world->held_count];
}

void history_world_settle_all(struct history_world *world)
{
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;
    for (unsigned i = 0; i < world->held_count; i++) {
        first = world->held[i] < first ? world->held[i] : first;
        last = world->held[i] > last ? world->held[i] : last;
    }
    struct frame frame = {.header.type = FRAME_DONE};
    frame.as.done = (struct frame_done){world->worker->start, first, last};
    uint64_t tag = actor_say(world->worker, &frame);
    for (unsigned i = 0; i < world->held_count; i++)
        world->kept[world->held_sequences[i]].done_tag = tag;
    world->held_count = 0;
}

static void work(struct history_world *world)
{
    history_world_take_work(world);
    if (!world->is_working)
        begin_work(world);
    if (world->held_count > 0 && world->violation == NULL) {
        if (history_world_chance(world, 2) == 0)
            settle_one(world);
        else
            history_world_settle_all(world);
    }
    history_world_take_work(world);
}

/* --- a step -------------------------------------------------------------------------------------
 */

void history_world_step(struct history_world *world)
{
    struct scene *scene = world->scene;
    uint64_t what = history_world_chance(world, 16);
    if (what < 6 && has_room(world)) {
        for (uint64_t i = history_world_chance(world, 12); i > 0 && has_room(world); i--)
            publish(world);
    } else if (what < 9 && has_room(world)) {
        append(world);
    } else if (what < 11) {
        read_on(world);
    } else if (what < 14) {
        work(world);
    } else if (what < 15) {
        scene_advance_ms(scene, history_world_chance(world, 4000));
    } else {
        scene_step(scene, history_world_chance(world, 4));
        return;
    }
    if (world->publisher->peer != NULL)
        actor_flush(world->publisher);
    if (history_world_chance(world, 3) != 0)
        scene_settle(scene);
    else
        scene_step(scene, history_world_chance(world, 6));
    take_answers(world);
}

void history_world_lose(struct history_world *world)
{
    const struct core *core = world->scene->core;
    world->counters->moved += core != NULL ? core->counters.events_moved : 0;
    take_answers(world);
    history_world_take_work(world);
    for (uint64_t i = 1; i < EVENTS_MAX && i <= world->last_read; i++)
        world->kept[i].done_tag = 0;
    for (uint32_t i = world->open_from; i <= world->event_count; i++)
        world->events[i].tag = UINT64_MAX;
    world->open_from = world->event_count + 1;
    world->held_count = 0;
    world->is_reading = false;
}
