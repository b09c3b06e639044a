/* A history under crashes. */
#include "tests/support/history_world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/state.h"
#include "protocol/append.h"
#include "protocol/property.h"

enum {
    EVENTS_MAX = 1 << 15,
    ENTITIES = 4,
    BATCH_MAX = 6,
    PREFETCH = 8,
    BODY_BYTES_MAX = 1200,
    READER = 1,
    WORKER = 2,
};

enum fate { UNKNOWN, CONFIRMED, REFUSED };

/* An event as its publisher knows it. Its body begins with its number. */
struct published {
    enum fate fate;
    uint64_t tag;
    uint32_t batch; /* first event of the several it belongs to */
    int entity;     /* -1: none */
    bool is_there;  /* judge saw it */
};

/* An event as readers know it. */
struct kept {
    uint32_t event; /* 0: not read yet */
    bool was_handed_out;
    bool is_done; /* and the cursor was told so */
    uint64_t done_tag;
};

struct history_world {
    struct scene *scene;
    struct chance chance;
    struct history_counters *counters;
    struct actor *publisher;
    struct actor *reader;
    struct actor *worker;
    struct published events[EVENTS_MAX];
    struct kept kept[EVENTS_MAX];
    uint32_t event_count; /* numbers from 1 */
    uint32_t open_from;   /* events from here on may wait for their answers */
    uint64_t last_read;   /* highest sequence that anybody saw */
    uint64_t versions[ENTITIES];
    uint64_t held[PREFETCH]; /* deliveries, and their sequences */
    uint64_t held_sequences[PREFETCH];
    unsigned held_count;
    bool is_reading;
    bool is_working;
    bool is_retired; /* retention may have taken events */
    uint64_t missed; /* the worker was told so */
    char text[256];
    const char *violation;
};

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

static void follow(struct actor *actor, uint32_t consumer, const char *cursor, uint8_t from,
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
    follow(world->worker, WORKER, "cursor", FOLLOW_FIRST, 0);
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

static const char *entity_name(int entity)
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
        property_put(&p, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text(entity_name(entity)));
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
                              .entity = wire_bytes_of_text(entity_name(entity)),
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

static uint32_t event_of(const struct frame_deliver *deliver)
{
    return deliver->body.bytes >= 4 ? wire_load_u32(deliver->body.at) : 0;
}

/* Somebody saw this event at this sequence. */
static void see(struct history_world *world, uint64_t sequence, uint32_t event)
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
        follow(world->reader, READER, "", FOLLOW_SEQUENCE, at);
        world->is_reading = true;
    }
    while (actor_next(world->reader, &frame)) {
        if (frame.header.type == FRAME_CONSUMER_GONE || frame.header.type == FRAME_REFUSE)
            world->is_reading = false;
        if (frame.header.type != FRAME_DELIVER)
            continue;
        const struct frame_deliver *deliver = &frame.as.deliver;
        see(world, property_find_number(deliver->properties, PROPERTY_MESSAGE_SEQUENCE, 0),
            event_of(deliver));
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
    see(world, property_find_number(deliver->properties, PROPERTY_MESSAGE_SEQUENCE, 0),
        event_of(deliver));
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
static void take_work(struct history_world *world)
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

static void settle_all(struct history_world *world)
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
    take_work(world);
    if (!world->is_working)
        begin_work(world);
    if (world->held_count > 0 && world->violation == NULL) {
        if (history_world_chance(world, 2) == 0)
            settle_one(world);
        else
            settle_all(world);
    }
    take_work(world);
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
    take_work(world);
    for (uint64_t i = 1; i < EVENTS_MAX && i <= world->last_read; i++)
        world->kept[i].done_tag = 0;
    for (uint32_t i = world->open_from; i <= world->event_count; i++)
        world->events[i].tag = UINT64_MAX;
    world->open_from = world->event_count + 1;
    world->held_count = 0;
    world->is_reading = false;
}

/* --- judging ------------------------------------------------------------------------------------
 */

/* What is kept, as a reader from the beginning sees it. */
struct sight {
    uint64_t first;
    uint64_t next; /* sequence */
    uint32_t last; /* event before */
    uint64_t versions[ENTITIES];
    bool is_begun[ENTITIES];
};

static void judge_event(struct history_world *world, struct sight *sight,
                        const struct frame_deliver *deliver)
{
    uint64_t sequence = property_find_number(deliver->properties, PROPERTY_MESSAGE_SEQUENCE, 0);
    uint64_t version = property_find_number(deliver->properties, PROPERTY_MESSAGE_VERSION, 0);
    uint32_t number = event_of(deliver);
    see(world, sequence, number);
    if (world->violation != NULL)
        return;
    if (sight->first == 0)
        sight->first = sight->next = sequence;
    if (sequence != sight->next)
        history_world_violate(world, "hole: a sequence is missing or doubled");
    if (number <= sight->last)
        history_world_violate(world, "doubled: an event is there twice, or out of order");
    struct published *event = &world->events[number];
    event->is_there = true;
    sight->next = sequence + 1;
    sight->last = number;
    if ((event->entity >= 0) != (version != 0))
        history_world_violate(world, "version: it has none, or one too many");
    if (event->entity < 0 || world->violation != NULL)
        return;
    if (sight->is_begun[event->entity] ? version != sight->versions[event->entity] + 1
                                       : version > 1 && !world->is_retired)
        history_world_violate(world, "version: one was skipped or given twice");
    sight->is_begun[event->entity] = true;
    sight->versions[event->entity] = version;
}

/* What was confirmed and is younger than the oldest that is kept is there; several are whole. */
static void judge_published(struct history_world *world, const struct sight *sight)
{
    uint64_t oldest = sight->first != 0 ? world->kept[sight->first].event : EVENTS_MAX;
    for (uint32_t i = 1; i <= world->event_count && world->violation == NULL; i++) {
        const struct published *event = &world->events[i];
        bool is_old = world->is_retired && i <= oldest + BATCH_MAX;
        if (event->fate == CONFIRMED && !event->is_there && !is_old)
            history_world_violate(world, "lost: an event that was confirmed");
        if (event->batch != i && !is_old && event->is_there != world->events[i - 1].is_there)
            history_world_violate(world, "half: some of several events");
    }
}

/* The broker's word on the version of an entity. */
static void judge_version(struct history_world *world, const struct sight *sight, int entity)
{
    unsigned char list[64];
    char text[32] = "";
    struct wire_writer p = wire_writer_of(list, sizeof list);
    property_put(&p, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text(entity_name(entity)));
    property_put_number(&p, PROPERTY_MESSAGE_EXPECT, 1 << 30);
    struct frame frame = {.header.type = FRAME_PUBLISH};
    frame.as.publish =
        (struct frame_publish){.exchange = wire_bytes_of_text("book"),
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
                                : !world->is_retired && version != 0)
        history_world_violate(world, "version: it is not that of the last event");
    if (version < world->versions[entity])
        history_world_violate(world, "version: confirmed events are not counted");
    world->versions[entity] = version;
}

static void read_all(struct history_world *world, struct sight *sight)
{
    struct frame frame;
    follow(world->reader, READER, "", FOLLOW_FIRST, 0);
    scene_settle(world->scene);
    while (actor_next(world->reader, &frame) && world->violation == NULL) {
        if (frame.header.type == FRAME_CONSUMER_GONE || frame.header.type == FRAME_REFUSE)
            history_world_violate(world, "lost: what is kept cannot be read");
        if (frame.header.type == FRAME_DELIVER)
            judge_event(world, sight, &frame.as.deliver);
    }
}

/* The cursor is emptied: whatever is kept comes, unless it is done. */
static void work_off(struct history_world *world, const struct sight *sight)
{
    uint64_t quiet = 0;
    while (quiet < 5 && world->violation == NULL) {
        scene_advance_ms(world->scene, 1000);
        take_work(world);
        quiet = world->held_count > 0 ? 0 : quiet + 1;
        if (world->held_count > 0)
            settle_all(world);
        take_work(world);
    }
    uint64_t skipped = 0;
    for (uint64_t i = sight->first; i != 0 && i < sight->next; i++)
        skipped += !world->kept[i].was_handed_out;
    if (skipped > world->missed)
        history_world_violate(world, "skipped: an event was never handed out");
}

void history_world_judge(struct history_world *world)
{
    struct sight sight = {0};
    history_world_enter(world);
    for (uint32_t i = 1; i <= world->event_count; i++)
        world->events[i].is_there = false;
    read_all(world, &sight);
    if (world->violation == NULL)
        judge_published(world, &sight);
    for (int i = 0; i < ENTITIES && world->violation == NULL; i++)
        judge_version(world, &sight, i);
    world->counters->retired += sight.first > 1 ? sight.first - 1 : 0;
    if (world->violation == NULL)
        work_off(world, &sight);
}
