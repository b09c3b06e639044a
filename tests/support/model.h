/* A plain model of one queue with one sender and one worker: what the broker should do, said in the
 * simplest way, to be held against what it does.
 *
 * Items stand in the order in which they were sent and are looked through from the first on; there
 * is no index, no heap, no wheel and no journal.
 */
#ifndef HERALD_TEST_MODEL_H
#define HERALD_TEST_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MODEL_ITEMS_MAX = 64,
    MODEL_PREFETCH = 3,
    MODEL_ATTEMPTS = 3,
    MODEL_LANES = 2,
};

#define MODEL_NEVER UINT64_MAX

enum model_state {
    MODEL_WAITING, /* in the queue, with nobody */
    MODEL_OUT,
    MODEL_PARKED,
    MODEL_GONE,
};

enum model_outcome {
    MODEL_OPEN,
    MODEL_DONE,
    MODEL_FAILED,
    MODEL_EXHAUSTED,
    MODEL_EXPIRED,
    MODEL_CANCELLED,
    MODEL_LANE_PARKED,
};

/* What becomes of a lane of which something is parked. */
enum model_lane {
    LANE_IS_BLOCKED,
    LANE_IS_PARKED,
    LANE_GOES_ON,
};

struct model_item {
    enum model_state state;
    enum model_outcome outcome;
    uint8_t priority;
    uint8_t lane; /* 0: none */
    bool is_tracked;
    bool is_attempted;
    bool is_cancelled;
    bool is_held;        /* the worker has it, even if it is gone meanwhile */
    uint64_t held_order; /* hand-outs are numbered */
    unsigned failed;
    uint64_t due_ms;
    uint64_t deadline_ms;
    uint64_t leaves_ms;
};

struct model {
    struct model_item items[MODEL_ITEMS_MAX];
    unsigned count;
    uint64_t now_ms;
    uint64_t hand_outs;
    unsigned held;
    bool is_paused;
    enum model_lane lane_parked;
};

/* What the worker gets next, or -1. */
int model_next(const struct model *model);
void model_hand_out(struct model *model, int item);

/* Everything whose time is over leaves. */
void model_expire(struct model *model);

/* What stands behind something parked of its lane is parked, too, where that is wanted. */
void model_park_lanes(struct model *model);

/* What the worker says of an item that it holds. */
void model_done(struct model *model, int item);
void model_fail(struct model *model, int item, unsigned class, uint64_t after_ms);
void model_release(struct model *model, int item);

/* The worker is lost; the broker dies and comes back. */
void model_lose_worker(struct model *model);
void model_restart(struct model *model);

/* FINISHED is false: it was too late for that. */
bool model_cancel(struct model *model, int item);
void model_purge(struct model *model);
/* One of those that are parked, or -1; and those from first to last: how many they were. */
int model_parked(const struct model *model, unsigned chance);
unsigned model_retry_parked(struct model *model, int first, int last);
unsigned model_drop_parked(struct model *model, int first, int last);

struct model_figures {
    unsigned messages;
    unsigned running;
    unsigned parked;
};
struct model_figures model_figures(const struct model *model);

#endif
