/* A queue of the broker beside a plain model of it: the same random commands, restarts and crashes
 * among them, and the same hand-outs, figures and outcomes after each.
 *
 *   model_queue [--cases N] [--seconds S] [--seed S] [--life L]
 *
 * A case is a list of steps made from the seed and its number. One that goes wrong is made shorter
 * as long as it goes wrong (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
 * Input", 2002), and printed as lines that can be added to `known` below.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/chance.h"
#include "tests/support/crash_world_run.h"
#include "tests/support/trial.h"

enum { STEPS_MAX = 40 };

/* Cases that went wrong once; ACTS ends each. */
static const struct step known[][STEPS_MAX] = {
    /* What waits for its next attempt holds its lane over a crash. */
    {{SEND_LANE, 1}, {SEND_LANE, 1}, {FAIL, 0}, {CRASH, 0}, {PASS, 9}, {ACTS, 0}},
    /* A time to live that passes while it runs ends it when it comes back. */
    {{SEND_TTL, 3926724753}, {PASS, 1069238227}, {FAIL, 2486636600}, {ACTS, 0}},
    /* What has expired while the broker was away does not stand in the way of its lane. */
    {{SEND_ALL, 1603082011},
     {FAIL, 2596217126},
     {SEND_URGENT, 2881241169},
     {SEND_TRACKED_LANE, 4139040400},
     {SEND_LANE, 220233289},
     {PASS, 4244701404},
     {RETRY_PARKED, 1547832991},
     {RELEASE, 4292223668},
     {SEND_TRACKED, 3263357319},
     {FAIL, 3638362237},
     {RESTART, 2488717488},
     {ACTS, 0}},
    /* A deadline that passes while it runs. */
    {{SEND_DEADLINE, 0}, {PASS, 9}, {FAIL, 0}, {DONE, 0}, {ACTS, 0}},
};

/* Takes out runs of steps, ever shorter ones, as long as it goes wrong without them. */
static unsigned shrink(struct step *steps, unsigned count)
{
    char wrong[256];
    for (unsigned run = count / 2; run > 0; run /= 2)
        for (unsigned at = 0; at + run <= count;) {
            struct step shorter[STEPS_MAX];
            memcpy(shorter, steps, at * sizeof *steps);
            memcpy(shorter + at, steps + at + run, (count - at - run) * sizeof *steps);
            if (trial_play(shorter, count - run, wrong)) {
                at++;
                continue;
            }
            count -= run;
            memcpy(steps, shorter, count * sizeof *steps);
        }
    return count;
}

static void tell(struct step *steps, unsigned count, const char *where)
{
    char wrong[256];
    count = shrink(steps, count);
    (void)trial_play(steps, count, wrong);
    printf("VIOLATION %s: %s\n    {", where, wrong);
    for (unsigned i = 0; i < count; i++)
        printf("{%s, %" PRIu32 "}, ", act_names[steps[i].act], steps[i].chance);
    printf("{ACTS, 0}},\n");
}

static unsigned make(struct step steps[STEPS_MAX], uint64_t seed, uint64_t number)
{
    struct chance chance = {seed * UINT64_C(0x9e3779b97f4a7c15) ^ number};
    unsigned count = 5 + (unsigned)chance_below(&chance, STEPS_MAX - 5);
    for (unsigned i = 0; i < count; i++) {
        uint64_t draw = chance_below(&chance, 100);
        enum act act = draw < 40   ? (enum act)chance_below(&chance, SEND_ALL + 1)
                       : draw < 75 ? (enum act)(DONE + chance_below(&chance, 3))
                                   : (enum act)(CANCEL + chance_below(&chance, ACTS - CANCEL));
        steps[i] = (struct step){act, (uint32_t)chance_next(&chance)};
    }
    return count;
}

static uint64_t play_known(void)
{
    uint64_t violations = 0;
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        struct step steps[STEPS_MAX];
        unsigned count = 0;
        char wrong[256];
        while (count < STEPS_MAX && known[k][count].act != ACTS)
            count++;
        memcpy(steps, known[k], sizeof steps);
        if (trial_play(steps, count, wrong))
            continue;
        tell(steps, count, "in a known case");
        violations++;
    }
    return violations;
}

int main(int count, char **word)
{
    struct crash_run run;
    if (crash_run_begin(&run, "model_queue", 30000, count, word) != STATUS_OK)
        return 2;
    uint64_t violations = play_known();
    uint64_t cases = 0;
    while (crash_run_goes_on(&run, cases, violations)) {
        uint64_t number = run.life != UINT64_MAX ? run.life : cases;
        struct step steps[STEPS_MAX];
        char where[64];
        char wrong[256];
        unsigned step_count = make(steps, run.seed, number);
        cases++;
        if (!trial_play(steps, step_count, wrong)) {
            (void)snprintf(where, sizeof where, "seed %" PRIu64 " life %" PRIu64, run.seed, number);
            tell(steps, step_count, where);
            violations++;
        }
        if (run.life != UINT64_MAX)
            break;
    }
    return crash_run_end(&run, cases, violations);
}
