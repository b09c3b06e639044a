/* The journal without memory: every allocation of two lives fails in turn, alone or with all behind
 * it.
 *
 *   alloc_journal [--seed S] [--life N]
 *
 * A new journal is worked on, killed, started again, worked on, and stopped. Whatever fails must be
 * refused as lack of memory and change nothing; when there is memory again the next record is
 * taken and a clean stop works; what was durable is there after the next start; and every block
 * is given back. `--life N` fails only allocation N/2, for good when N is odd.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/support/crash_world_run.h"
#include "tests/support/journal_world.h"
#include "tests/support/scarce.h"

static void start(struct world *world, struct counters *counters)
{
    enum status status = world_start(world, counters);
    if (status == STATUS_OK)
        return;
    if (status != STATUS_NO_MEMORY || !scarce_has_failed())
        world_violate(world, world->failure.text[0] != '\0'
                                 ? world->failure.text
                                 : "a start failed for something else than lack of memory");
    disk_sim_kill(world->sim);
    scarce_end();
    world_recover(world, counters);
}

static void work(struct world *world, struct counters *counters)
{
    if (world->violation != NULL)
        return;
    if (world_live(world, 12, counters) != STATUS_OK)
        world_violate(world, "lack of memory ended the journal");
    if (!scarce_has_failed())
        return;
    scarce_end();
    if (world_live(world, 2, counters) != STATUS_OK)
        world_violate(world, "the journal failed although there was memory again");
    if (!world_append(world, RECORD_SEND, 0, RECORD_HEAD_BYTES + 100) &&
        !journal_is_full(world->journal))
        world_violate(world, "a record was not taken although there was memory again");
}

static const char *run_one(uint64_t seed, uint64_t number, struct counters *counters)
{
    static struct world world;
    uint64_t block_count = scarce_block_count();
    world = (struct world){.chance = {seed}, .now_ms = 1000};
    world.sim = disk_sim_new(seed);
    scarce_fail_at(number / 2, number % 2 == 0 ? SCARCE_ONCE : SCARCE_FOREVER);
    start(&world, counters);
    work(&world, counters);
    world_die(&world, counters);
    disk_sim_kill(world.sim);
    if (world.violation == NULL)
        start(&world, counters);
    work(&world, counters);
    scarce_end();
    if (world.violation == NULL)
        world_stop(&world, counters);
    if (world.violation == NULL)
        world_recover(&world, counters);
    world_die(&world, counters);
    disk_sim_free(world.sim);
    if (scarce_block_count() != block_count)
        world_violate(&world, "memory was not given back");
    counters->cases++;
    return world.violation;
}

int main(int count, char **word)
{
    struct crash_run run;
    struct counters counters = {0};
    if (crash_run_begin(&run, "alloc_journal", UINT64_MAX, count, word) != STATUS_OK)
        return 2;
    uint64_t number = run.life != UINT64_MAX ? run.life : 0;
    do {
        const char *violation = run_one(run.seed, number, &counters);
        if (violation != NULL) {
            counters.violations++;
            printf("violation: %s\n  again: alloc_journal --seed %" PRIu64 " --life %" PRIu64 "\n",
                   violation, run.seed, number);
        }
        number++;
    } while (scarce_has_failed() && run.life == UINT64_MAX);
    return crash_run_end(&run, counters.cases, counters.violations);
}
