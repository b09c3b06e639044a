/* The crash harness of the whole broker: random work of named publishers, consumers and a keeper of
 * definitions on a simulated disk; the world stops before any disk operation, the disk loses what
 * it may lose, the broker starts again, and the clients go on where they were.
 *
 *   crash_broker [--cases N] [--seed S] [--seconds S] [--case K]
 *
 * A case is made by the seed and its number alone: `--seed S --case K` plays it again. Checked (D1,
 * D3, D4, D5, D6, D11, Q3, Q4, Q6, rule 8): see tests/support/crash_world.c, where each violation
 * has its name.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/crash_world.h"

/* Starts the broker again, sometimes with a crash in the middle of its recovery. */
static void start_again(struct load *load)
{
    struct scene *scene = load->scene;
    while (chance_below(&load->chance, 4) == 0) {
        disk_sim_crash_at(scene->sim,
                          disk_sim_operations(scene->sim) + chance_below(&load->chance, 60));
        if (scene_start(scene))
            scene_settle(scene);
        scene_die(scene);
        enum disk_sim_policy policy =
            (enum disk_sim_policy)chance_below(&load->chance, DISK_SIM_POLICIES);
        disk_sim_power_loss(scene->sim, policy, chance_next(&load->chance));
        load->counters->crashes++;
    }
    disk_sim_crash_at(scene->sim, UINT64_MAX);
    if (!scene_start(scene)) {
        static char text[400];
        (void)snprintf(text, sizeof text, "D6: recovery failed: %s", scene->failure.text);
        load_violate(load, text);
    }
}

static void crash(struct load *load)
{
    struct scene *scene = load->scene;
    scene_die(scene);
    load_lose_connections(load);
    load->counters->crashes++;
    if (chance_below(&load->chance, 4) == 0) {
        disk_sim_kill(scene->sim);
    } else {
        enum disk_sim_policy policy =
            (enum disk_sim_policy)chance_below(&load->chance, DISK_SIM_POLICIES);
        disk_sim_power_loss(scene->sim, policy, chance_next(&load->chance));
    }
}

static void stop(struct load *load)
{
    scene_stop(load->scene);
    load_lose_connections(load);
    if (load->scene->has_failed)
        load_violate(load, "D12: a clean stop failed without a fault");
}

/* A life of so many steps, or up to a crash. */
static void live(struct load *load, uint64_t steps)
{
    load_enter(load);
    for (uint64_t i = 0; i < steps && !load->scene->has_failed && load->violation == NULL; i++)
        load_step(load);
}

static const char *run_case(uint64_t seed, uint64_t number, struct load_counters *counters)
{
    static struct load load;
    load_start(&load, seed * 1000003 + number, counters);
    uint64_t lives = 1 + chance_below(&load.chance, 4);
    for (uint64_t i = 0; i < lives && load.violation == NULL; i++) {
        live(&load, 10 + chance_below(&load.chance, 60));
        disk_sim_crash_at(load.scene->sim,
                          disk_sim_operations(load.scene->sim) + chance_below(&load.chance, 120));
        if (chance_below(&load.chance, 5) == 0) {
            disk_sim_crash_at(load.scene->sim, UINT64_MAX);
            stop(&load);
        } else {
            live(&load, 80);
            crash(&load);
        }
        if (load.violation == NULL)
            start_again(&load);
    }
    if (load.violation == NULL)
        load_judge(&load);
    load_end(&load);
    counters->cases++;
    return load.violation;
}

struct arguments {
    uint64_t cases;
    uint64_t seed;
    uint64_t seconds;
    uint64_t only; /* UINT64_MAX: all */
};

static int parse(struct arguments *arguments, int count, char **word)
{
    for (int i = 1; i < count; i += 2) {
        uint64_t *value = strcmp(word[i], "--cases") == 0     ? &arguments->cases
                          : strcmp(word[i], "--seed") == 0    ? &arguments->seed
                          : strcmp(word[i], "--seconds") == 0 ? &arguments->seconds
                          : strcmp(word[i], "--case") == 0    ? &arguments->only
                                                              : NULL;
        char *end = NULL;
        if (value != NULL && i + 1 < count)
            *value = strtoull(word[i + 1], &end, 10);
        if (end == NULL || *end != '\0') {
            fprintf(stderr,
                    "usage: crash_broker [--cases N] [--seed S] [--seconds S] [--case K]\n");
            return 2;
        }
    }
    return 0;
}

static bool goes_on(const struct arguments *arguments, uint64_t number, time_t end)
{
    if (arguments->only != UINT64_MAX)
        return number == arguments->only;
    return arguments->seconds > 0 ? time(NULL) < end : number < arguments->cases;
}

static uint64_t run_cases(const struct arguments *arguments, struct load_counters *counters)
{
    uint64_t violations = 0;
    time_t end = time(NULL) + (time_t)arguments->seconds;
    uint64_t first = arguments->only != UINT64_MAX ? arguments->only : 0;
    for (uint64_t number = first; goes_on(arguments, number, end); number++) {
        const char *violation = run_case(arguments->seed, number, counters);
        if (violation == NULL)
            continue;
        violations++;
        printf("violation: %s (--seed %" PRIu64 " --case %" PRIu64 ")\n", violation,
               arguments->seed, number);
    }
    return violations;
}

int main(int count, char **word)
{
    struct arguments arguments = {.cases = 9000, .seed = 1, .only = UINT64_MAX};
    if (parse(&arguments, count, word) != 0)
        return 2;
    printf("seed %" PRIu64 "\n", arguments.seed);
    struct load_counters counters = {0};
    uint64_t violations = run_cases(&arguments, &counters);
    printf("%" PRIu64 " cases: %" PRIu64 " crashes, %" PRIu64 " sent, %" PRIu64
           " confirmed, %" PRIu64 " refused, %" PRIu64 " sent again, %" PRIu64
           " delivered, %" PRIu64 " of them again, %" PRIu64 " settled\n",
           counters.cases, counters.crashes, counters.sent, counters.confirmed, counters.refused,
           counters.resent, counters.delivered, counters.redelivered, counters.settled);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", counters.cases - violations, violations);
    return violations == 0 ? 0 : 1;
}
