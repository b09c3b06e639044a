/* The crash harness of the whole broker: random work of named publishers, consumers and a keeper of
 * definitions on a simulated disk; the world stops before any disk operation, the disk loses what
 * it may lose, the broker starts again, and the clients go on where they were.
 *
 *   crash_broker [--cases N] [--seconds S] [--seed S] [--life L]
 *
 * Or a call of the disk fails, once or for good, and ends the process, which starts again on the
 * same system. The journal goes round several times in a life, so that stragglers, parked
 * commands, clients and definitions are stated again; in some lives index pages leave memory.
 *
 * A case is a life with up to four crashes; it is made by the seed and its number alone, and
 * `--seed S --life L` plays it again. Checked (D1, D3, D4, D5, D6, D11, Q3, Q4, Q6, rule 8, the
 * bound of the journal): see tests/support/crash_world.c, where each violation has its name.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/support/crash_world.h"
#include "tests/support/crash_world_run.h"

enum {
    /* A run of so many lives says something about restating and paging only when these happened. */
    JUDGED_LIVES = 1000,
    RESTATED_BYTES_MIN = 10 << 20,
    RESTATING_CRASHES_MIN = 100,
    PAGED_CRASHES_MIN = 20,
};

static const enum disk_sim_operation kinds[] = {
    DISK_SIM_READ, DISK_SIM_WRITE,  DISK_SIM_SYNC,     DISK_SIM_SYNC_DIRECTORY,
    DISK_SIM_OPEN, DISK_SIM_REMOVE, DISK_SIM_ALLOCATE, DISK_SIM_ANY,
};

static uint64_t chance_of(struct load *load, uint64_t below)
{
    return chance_below(&load->chance, below);
}

/* The world stops soon. */
static void plan_crash(struct load *load, uint64_t operations_max)
{
    struct disk_sim *sim = load->scene->sim;
    disk_sim_crash_at(sim, disk_sim_operations(sim) + chance_of(load, operations_max));
}

/* A call of the disk fails soon. */
static void plan_fault(struct load *load, uint64_t operations_max)
{
    struct disk_sim *sim = load->scene->sim;
    enum disk_sim_operation kind = kinds[chance_of(load, sizeof kinds / sizeof kinds[0])];
    disk_sim_fail_at(sim, disk_sim_operations(sim) + chance_of(load, operations_max), kind,
                     chance_of(load, 2) == 0 ? DISK_SIM_ONCE : DISK_SIM_FOREVER, EIO);
}

static void lose_power(struct load *load)
{
    struct scene *scene = load->scene;
    enum disk_sim_policy policy = (enum disk_sim_policy)chance_of(load, DISK_SIM_POLICIES);
    disk_sim_power_loss(scene->sim, policy, chance_next(&load->chance));
    load->counters->crashes++;
}

/* Ends the process where it stands. */
static void die(struct load *load)
{
    load->counters->faults += disk_sim_has_failed(load->scene->sim);
    disk_sim_fail_at(load->scene->sim, UINT64_MAX, DISK_SIM_ANY, DISK_SIM_ONCE, 0);
    load_count_end(load, true);
    scene_die(load->scene);
    load_lose_connections(load);
}

/* Starts the broker again, sometimes with a crash or a fault in the middle of its recovery. */
static void start_again(struct load *load)
{
    struct scene *scene = load->scene;
    while (chance_of(load, 4) == 0) {
        bool is_fault = chance_of(load, 3) == 0;
        if (is_fault)
            plan_fault(load, 60);
        else
            plan_crash(load, 60);
        if (scene_start(scene))
            scene_settle(scene);
        die(load);
        if (is_fault && chance_of(load, 2) == 0)
            disk_sim_kill(scene->sim);
        else
            lose_power(load);
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
    die(load);
    if (chance_of(load, 4) == 0)
        disk_sim_kill(load->scene->sim);
    else
        lose_power(load);
}

static void stop(struct load *load)
{
    load_count_end(load, false);
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
    uint64_t lives = 1 + chance_of(&load, 4);
    for (uint64_t i = 0; i < lives && load.violation == NULL; i++) {
        if (chance_of(&load, 8) != 0)
            live(&load, 10 + chance_of(&load, 150));
        uint64_t end = chance_of(&load, 10);
        if (end < 2) {
            stop(&load);
        } else {
            if (end < 4)
                plan_fault(&load, 120);
            else
                plan_crash(&load, 120);
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

/* Whether so many lives have shown what they are for. */
static bool is_telling(const struct load_counters *counters)
{
    return counters->cases < JUDGED_LIVES ||
           (counters->bytes_restated >= RESTATED_BYTES_MIN &&
            counters->restating_crashes >= RESTATING_CRASHES_MIN &&
            counters->paged_crashes >= PAGED_CRASHES_MIN);
}

static void tell(const struct load_counters *counters)
{
    printf("%" PRIu64 " lives: %" PRIu64 " crashes, %" PRIu64 " faults, %" PRIu64 " sent, %" PRIu64
           " confirmed, %" PRIu64 " refused, %" PRIu64 " sent again, %" PRIu64
           " delivered, %" PRIu64 " of them again, %" PRIu64 " settled\n",
           counters->cases, counters->crashes, counters->faults, counters->sent,
           counters->confirmed, counters->refused, counters->resent, counters->delivered,
           counters->redelivered, counters->settled);
    printf("%" PRIu64 " messages and %" PRIu64 " bytes restated, %" PRIu64
           " crashes while they were on their way, %" PRIu64 " pages written, %" PRIu64
           " read, %" PRIu64 " crashes while some were away, %" PRIu64 " bounds judged\n",
           counters->messages_restated, counters->bytes_restated, counters->restating_crashes,
           counters->pages_written, counters->pages_read, counters->paged_crashes,
           counters->bounds);
}

int main(int count, char **word)
{
    struct crash_run run;
    struct load_counters counters = {0};
    uint64_t violations = 0;
    if (crash_run_begin(&run, "crash_broker", 6000, count, word) != STATUS_OK)
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
    tell(&counters);
    if (!is_telling(&counters)) {
        printf("violation: too little was restated or paged to say anything\n");
        violations++;
    }
    return crash_run_end(&run, counters.cases, violations);
}
