/* A broker under a random load, and the oracle that knows what it owes its clients.
 *
 * Publishers are named: they resume after every crash and send again what was not answered, so
 * every message is there exactly once. Consumers settle, release and fail what they are given. The
 * oracle keeps for each message and each queue what was promised of it; the first broken promise is
 * kept in `violation`.
 */
#ifndef HERALD_TEST_CRASH_WORLD_H
#define HERALD_TEST_CRASH_WORLD_H

#include "tests/support/scene.h"

enum {
    LOAD_PUBLISHERS = 3,
    LOAD_CONSUMERS = 3,
    LOAD_QUEUES = 2,
    LOAD_MESSAGES_MAX = 1500,
    LOAD_HELD_MAX = 64,
    LOAD_SEGMENT_BYTES = 64 << 10,
};

enum load_answer { ANSWER_NONE, ANSWER_CONFIRMED, ANSWER_REFUSED };
enum load_settle { SETTLE_NONE, SETTLE_TRIED, SETTLE_SURE };

struct load_message {
    uint32_t publisher;
    uint32_t bytes;
    uint32_t targets; /* bit per queue */
    uint64_t number;  /* the broker's, once seen */
    enum load_answer answer;
    enum load_settle settle[LOAD_QUEUES];
    bool was_handed[LOAD_QUEUES];
    bool is_owned[LOAD_QUEUES];
};

struct load_publisher {
    struct actor *actor;
    bool was_let_in;
    bool is_in;
    uint64_t tag_count;
    uint64_t seen;                              /* every tag up to here is answered */
    uint32_t message_of[LOAD_MESSAGES_MAX + 1]; /* by tag */
};

struct load_held {
    uint64_t delivery;
    uint32_t message;
    uint32_t queue;
};

struct load_consumer {
    struct actor *actor;
    bool is_in;
    struct load_held held[LOAD_HELD_MAX];
    size_t held_count;
    struct load_held settling[LOAD_MESSAGES_MAX]; /* sent, not confirmed; by order of tag */
    uint64_t settling_tag[LOAD_MESSAGES_MAX];
    size_t settling_count;
};

struct load_counters {
    uint64_t cases;
    uint64_t crashes;
    uint64_t sent;
    uint64_t confirmed;
    uint64_t refused;
    uint64_t delivered;
    uint64_t redelivered;
    uint64_t settled;
    uint64_t resent;
};

struct load {
    struct scene *scene;
    struct chance chance;
    struct load_counters *counters;
    struct load_publisher publishers[LOAD_PUBLISHERS];
    struct load_consumer consumers[LOAD_CONSUMERS];
    struct actor *keeper; /* changes definitions */
    uint64_t keeper_tag;  /* of its unanswered change; 0: none */
    uint32_t limit_sure;  /* of queue 1, as confirmed */
    uint32_t limit_tried;
    struct load_message messages[LOAD_MESSAGES_MAX];
    size_t message_count;
    const char *violation;
};

void load_start(struct load *load, uint64_t seed, struct load_counters *counters);
void load_end(struct load *load);

void load_violate(struct load *load, const char *text);

/* Connects whoever is not connected. */
void load_enter(struct load *load);

/* One random step of somebody, and some work of the broker. */
void load_step(struct load *load);

/* The connections are gone: what is unanswered stays unknown. */
void load_lose_connections(struct load *load);

/* Without further sending: has everything delivered that is there, and judges what is owed. */
void load_judge(struct load *load);

#endif
