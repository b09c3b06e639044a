/* One case of the model: a list of steps, played in a scene and in the model side by side. */
#ifndef HERALD_TEST_TRIAL_H
#define HERALD_TEST_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

enum act {
    SEND_PLAIN,
    SEND_TRACKED,
    SEND_URGENT,
    SEND_LATER,
    SEND_LANE,
    SEND_TRACKED_LANE,
    SEND_DEADLINE,
    SEND_TTL,
    SEND_ALL,
    DONE,
    FAIL,
    RELEASE,
    CANCEL,
    LOSE_WORKER,
    PURGE,
    RETRY_PARKED,
    DROP_PARKED,
    RETRY_ONE,
    DROP_ONE,
    LANE_POLICY,
    PAUSE,
    PASS,
    CHURN,
    RESTART,
    CRASH,
    ACTS,
};

extern const char *const act_names[ACTS];

struct step {
    enum act act;
    uint32_t chance; /* what it is about, modulo what there is */
};

/* Plays the steps; false when something goes wrong, then *wrong says what. */
bool trial_play(const struct step *steps, unsigned count, char wrong[256]);

#endif
