/* The crash harness of the whole broker: random work of named publishers, consumers and a keeper of
 * definitions on a simulated disk; the world stops before any disk operation, the disk loses what
 * it may lose, the broker starts again, and the clients go on where they were.
 *
 *   crash_broker [--cases N] [--seconds S] [--seed S] [--life L]
 *
 * A case is a life with up to four crashes; it is made by the seed and its number alone, and
 * `--seed S
 * --life L` plays it again. Checked (D1,
 * D3, D4, D5, D6, D11, Q3, Q4, Q6, rule 8): see tests/support/crash_world.c, where each violation
 * has its name.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/support/crash_world.h"
#include "tests/support/crash_world_run.h"

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
        if (chance_below(&load.chance, 8) != 0)
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

int main(int count, char **word)
{
    struct crash_run run;
    struct load_counters counters = {0};
    uint64_t violations = 0;
    if (crash_run_begin(&run, "crash_broker", 9000, count, word) != STATUS_OK)
        return 2;
    bool is_one = run.life != UINT64_MAX;
    for (uint64_t life = is_one ? run.life : 0;
         is_one ? life == run.life : crash_run_goes_on(&run, counters.cases, violations); life++) {
        const char *violation = run_case(run.seed, life, &counters);
        if (violation == NULL)
            continue;
        violations++;
        printf("violation: %s\n  again: crash_broker --seed %" PRIu64 " --life %" PRIu64 "\n",
               violation, run.seed, life);
    }
    printf("%" PRIu64 " lives: %" PRIu64 " crashes, %" PRIu64 " sent, %" PRIu64
           " confirmed, %" PRIu64 " refused, %" PRIu64 " sent again, %" PRIu64
           " delivered, %" PRIu64 " of them again, %" PRIu64 " settled\n",
           counters.cases, counters.crashes, counters.sent, counters.confirmed, counters.refused,
           counters.resent, counters.delivered, counters.redelivered, counters.settled);
    return crash_run_end(&run, counters.cases, violations);
}
