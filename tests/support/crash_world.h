/* A broker under a random load, and the oracle that knows what it owes its clients.
 *
 * Publishers are named: they resume after every crash and send again what was not answered, so
 * every message is there exactly once. Consumers settle, release and fail what they are given. The
 * oracle keeps for each message and each queue what was promised of it; the first broken promise is
 * kept in `violation`.
 *
 * Some messages are stragglers: whoever has them does not settle them for long, so that they are
 * stated again and again while the journal goes round beneath them. Some loads are deep: little is
 * consumed before the end, and hardly a page of the queues' indexes may stay in memory.
 */
#ifndef HERALD_TEST_CRASH_WORLD_H
#define HERALD_TEST_CRASH_WORLD_H

#include "broker/core/spill.h"
#include "tests/support/scene.h"

enum {
    LOAD_PUBLISHERS = 3,
    LOAD_CONSUMERS = 3,
    LOAD_QUEUES = 2,
    LOAD_MESSAGES_MAX = 3000,
    LOAD_HELD_MAX = 256,
    LOAD_SEGMENT_BYTES = 64 << 10,
    LOAD_STRAGGLER_EVERY = 6,
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
    bool is_parked[LOAD_QUEUES]; /* that is how it was settled */
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
    bool is_failed;
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
    uint64_t faults; /* errors of the disk */
    uint64_t messages_restated;
    uint64_t bytes_restated;
    uint64_t restating_crashes; /* while copies were not on disk yet */
    uint64_t pages_written;
    uint64_t pages_read;
    uint64_t paged_crashes; /* while pages were away */
    uint64_t bounds;        /* times that the size of the journal was judged */
};

/* The queue that comes and goes. */
enum load_side { SIDE_GONE, SIDE_THERE, SIDE_BOUND };

struct load_definitions {
    uint64_t limit; /* of the second queue */
    enum load_side side;
};

struct load {
    struct scene *scene;
    struct chance chance;
    struct load_counters *counters;
    struct load_publisher publishers[LOAD_PUBLISHERS];
    struct load_consumer consumers[LOAD_CONSUMERS];
    bool is_deep;
    bool is_ending;               /* everything is consumed now */
    struct actor *keeper;         /* changes definitions */
    struct actor *absentee;       /* left, with refusals that it has not seen */
    struct actor *listener;       /* of what is not durable */
    uint64_t keeper_tag;          /* of its unanswered change; 0: none */
    struct load_definitions sure; /* as confirmed */
    struct load_definitions tried;
    uint64_t messages_restated; /* of this start */
    uint64_t bytes_restated;
    uint64_t restated_position; /* the copies lie before it */
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

/* --- definitions and bystanders: crash_world_keeper.c -------------------------------------------
 */

/* Defines everything in the first life, on a disk without faults. */
void load_define(struct load *load);

/* The keeper asks for one change, or hears what became of it. */
void load_keeper_change(struct load *load);
void load_keeper_listen(struct load *load);
void load_judge_definitions(struct load *load);

void load_judge_absentee(struct load *load);
void load_listener_enter(struct load *load);
void load_listener_listen(struct load *load);

/* --- the journal's space: crash_world_space.c ---------------------------------------------------
 */

/* Looks at what was stated again since the last look. */
void load_watch_space(struct load *load);

/* The process ends: what it did is counted. */
void load_count_end(struct load *load, bool is_crash);

/* Waits until nothing is stated any more, and judges how large the journal is. */
void load_judge_space(struct load *load);

/* Nothing but parked commands is left: does the journal know how much lives? */
void load_judge_live_bytes(struct load *load);

#endif
