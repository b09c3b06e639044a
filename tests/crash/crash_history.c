/* The crash harness of histories: events go in, to files, and out again by readers and cursors, on
 * a simulated disk that loses what it may lose whenever it likes; calls of the disk fail; what is
 * kept must be what was told. See tests/support/history_world.h for what is checked.
 *
 *   crash_history [--cases N] [--seconds S] [--seed S] [--life L]
 *
 * A case is a life with some crashes; it is made by the seed and its number alone, and
 * `--seed S --life L` plays it again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/support/crash_world_run.h"
#include "tests/support/history_world.h"

enum {
    /* A run of so many lives says something only when these happened. */
    JUDGED_LIVES = 200,
    MOVED_MIN = 10000,
    RETIRED_MIN = 1000,
    SELDOM_MIN = 100, /* each of what is done seldom */
};

static const enum disk_sim_operation kinds[] = {
    DISK_SIM_READ, DISK_SIM_WRITE,  DISK_SIM_SYNC,     DISK_SIM_SYNC_DIRECTORY,
    DISK_SIM_OPEN, DISK_SIM_REMOVE, DISK_SIM_ALLOCATE, DISK_SIM_ANY,
};

static void plan(struct history_world *world, uint64_t operations_max)
{
    struct disk_sim *sim = history_world_scene(world)->sim;
    uint64_t at = disk_sim_operations(sim) + history_world_chance(world, operations_max);
    if (history_world_chance(world, 4) != 0) {
        disk_sim_crash_at(sim, at);
        return;
    }
    enum disk_sim_operation kind =
        kinds[history_world_chance(world, sizeof kinds / sizeof kinds[0])];
    disk_sim_fail_at(sim, at, kind,
                     history_world_chance(world, 2) == 0 ? DISK_SIM_ONCE : DISK_SIM_FOREVER, EIO);
}

/* The process ends where it stands; the power fails, or only the process is gone. */
static void die(struct history_world *world, struct history_counters *counters)
{
    struct scene *scene = history_world_scene(world);
    counters->faults += disk_sim_has_failed(scene->sim);
    disk_sim_fail_at(scene->sim, UINT64_MAX, DISK_SIM_ANY, DISK_SIM_ONCE, 0);
    history_world_lose(world);
    scene_die(scene);
    if (history_world_chance(world, 4) == 0) {
        disk_sim_kill(scene->sim);
        return;
    }
    enum disk_sim_policy policy =
        (enum disk_sim_policy)history_world_chance(world, DISK_SIM_POLICIES);
    disk_sim_power_loss(scene->sim, policy, history_world_chance(world, UINT64_MAX));
    counters->crashes++;
}

static void start_again(struct history_world *world, struct history_counters *counters)
{
    struct scene *scene = history_world_scene(world);
    while (history_world_chance(world, 3) == 0) {
        plan(world, 80);
        if (scene_start(scene))
            scene_settle(scene);
        die(world, counters);
    }
    disk_sim_crash_at(scene->sim, UINT64_MAX);
    if (scene_start(scene))
        return;
    static char text[400];
    (void)snprintf(text, sizeof text, "the start failed: %s", scene->failure.text);
    history_world_violate(world, text);
}

static void live(struct history_world *world, uint64_t steps)
{
    history_world_enter(world);
    for (uint64_t i = 0; i < steps && !history_world_scene(world)->has_failed &&
                         history_world_violation(world) == NULL;
         i++)
        history_world_step(world);
}

/* For a while the disk has no room; whoever was refused goes on when there is some again. */
static void live_short_of_space(struct history_world *world)
{
    struct disk_sim *sim = history_world_scene(world)->sim;
    disk_sim_set_room(sim, disk_sim_used(sim) + history_world_chance(world, 64 << 10));
    live(world, 40);
    disk_sim_set_room(sim, UINT64_MAX);
    if (!history_world_scene(world)->has_failed)
        scene_advance_ms(history_world_scene(world), 1000);
    live(world, 20);
}

static const char *run_case(uint64_t seed, uint64_t number, struct history_counters *counters)
{
    static char text[256];
    struct history_world *world = history_world_new(seed * 1000003 + number, counters);
    uint64_t lives = 1 + history_world_chance(world, 5);
    for (uint64_t i = 0; i < lives && history_world_violation(world) == NULL; i++) {
        if (history_world_chance(world, 6) == 0)
            live_short_of_space(world);
        live(world, 20 + history_world_chance(world, 200));
        if (history_world_chance(world, 8) == 0) {
            history_world_lose(world);
            scene_stop(history_world_scene(world));
        } else {
            plan(world, 150);
            live(world, 100);
            die(world, counters);
        }
        if (history_world_violation(world) == NULL)
            start_again(world, counters);
        if (history_world_violation(world) == NULL && history_world_chance(world, 3) == 0)
            history_world_judge(world);
    }
    if (history_world_violation(world) == NULL)
        history_world_judge(world);
    const char *violation = history_world_violation(world);
    if (violation != NULL)
        (void)snprintf(text, sizeof text, "%s", violation);
    history_world_free(world);
    counters->cases++;
    return violation != NULL ? text : NULL;
}

static void tell(const struct history_counters *counters)
{
    printf("%" PRIu64 " lives: %" PRIu64 " crashes, %" PRIu64 " faults, %" PRIu64
           " published, %" PRIu64 " confirmed, %" PRIu64 " moved to files, %" PRIu64
           " gone by retention, %" PRIu64 " handed out again, %" PRIu64 " failed, %" PRIu64
           " seeks, %" PRIu64 " exchanges deleted, %" PRIu64 " races won, %" PRIu64
           " versions asked\n",
           counters->cases, counters->crashes, counters->faults, counters->published,
           counters->confirmed, counters->moved, counters->retired, counters->redelivered,
           counters->failed, counters->seeks, counters->deleted, counters->races,
           counters->conflicts);
}

static bool says_something(const struct history_counters *counters)
{
    return counters->moved >= MOVED_MIN && counters->retired >= RETIRED_MIN &&
           counters->failed >= SELDOM_MIN && counters->seeks >= SELDOM_MIN &&
           counters->deleted >= SELDOM_MIN && counters->races >= SELDOM_MIN;
}

int main(int count, char **word)
{
    struct crash_run run;
    struct history_counters counters = {0};
    uint64_t violations = 0;
    if (crash_run_begin(&run, "crash_history", 300, count, word) != STATUS_OK)
        return 2;
    bool is_one = run.life != UINT64_MAX;
    for (uint64_t life = is_one ? run.life : 0;
         is_one ? life == run.life : crash_run_goes_on(&run, counters.cases, violations); life++) {
        const char *violation = run_case(run.seed, life, &counters);
        if (violation == NULL)
            continue;
        violations++;
        printf("violation: %s\n  again: crash_history --seed %" PRIu64 " --life %" PRIu64 "\n",
               violation, run.seed, life);
    }
    tell(&counters);
    if (counters.cases >= JUDGED_LIVES && !says_something(&counters)) {
        printf("violation: too little has happened to say anything\n");
        violations++;
    }
    return crash_run_end(&run, counters.cases, violations);
}
