/* Judging a history: what is kept against what was told. */
#include <stdlib.h>
#include <string.h>

#include "protocol/property.h"
#include "tests/support/history_world_state.h"

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
    uint32_t number = history_world_event(deliver);
    history_world_see(world, sequence, number);
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
    property_put(&p, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text(history_world_entity(entity)));
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
    history_world_follow(world->reader, READER, "", FOLLOW_FIRST, 0);
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
        history_world_take_work(world);
        quiet = world->held_count > 0 ? 0 : quiet + 1;
        if (world->held_count > 0)
            history_world_settle_all(world);
        history_world_take_work(world);
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
