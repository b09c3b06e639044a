/* The world of a history under crashes, for the files that make it up. */
#ifndef HERALD_TEST_HISTORY_WORLD_STATE_H
#define HERALD_TEST_HISTORY_WORLD_STATE_H

#include "tests/support/history_world.h"

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

void history_world_follow(struct actor *actor, uint32_t consumer, const char *cursor, uint8_t from,
                          uint64_t at);
const char *history_world_entity(int entity);

/* The event that a body names. */
uint32_t history_world_event(const struct frame_deliver *deliver);

/* Somebody saw this event at this sequence. */
void history_world_see(struct history_world *world, uint64_t sequence, uint32_t event);

/* What the worker was given and told; everything it holds is done. */
void history_world_take_work(struct history_world *world);
void history_world_settle_all(struct history_world *world);

#endif
