/* Flips one bit of every byte of a journal and starts on it.
 *
 *   crash_flip [--seed S] [--cases BITS] [--seconds S]
 *
 * The journal has a full segment and one in use, and was left behind by a kill. For every byte of
 * every segment, with one bit of it the other way round, the start must refuse and change nothing,
 * or bring back everything, or everything but the last batch; anything else is a violation. The
 * three are counted. `--cases` is the number of bits of each byte, 8 at most; `--life OFFSET` flips
 * but that byte of each segment.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/crash_world_run.h"
#include "tests/support/journal_world.h"

enum { BITS = 8 };

struct flips {
    struct world base;
    struct world world;
    size_t before_last; /* records before the last batch */
    struct counters ignored;
    uint64_t refused;
    uint64_t complete;
    uint64_t last_lost;
    uint64_t violations;
};

static void prepare(struct flips *flips, uint64_t seed)
{
    struct world *world = &flips->base;
    *world = (struct world){.chance = {seed}, .now_ms = 1000};
    world->sim = disk_sim_new(seed);
    world_recover(world, &flips->ignored);
    for (int behind = 0; world->violation == NULL &&
                         behind<4; behind += journal_figures(world->journal).segment_count> 2) {
        for (int i = 0; i < 3; i++)
            (void)world_append(world, RECORD_SEND, 0,
                               RECORD_HEAD_BYTES + (uint32_t)chance_below(&world->chance, 9000));
        flips->before_last = world->oracle.durable_count;
        if (errand_line_settle(&world->line, world->journal, world->now_ms) != STATUS_OK)
            world_violate(world, "the journal failed without a fault");
        world_note_durable(world);
    }
    world_die(world, &flips->ignored);
    disk_sim_kill(world->sim);
    disk_sim_calm(world->sim);
}

static void judge(struct flips *flips, enum status status, uint64_t changes)
{
    struct world *world = &flips->world;
    if (status == STATUS_CORRUPT || status == STATUS_NEWER_FORMAT) {
        flips->refused++;
        if (disk_sim_changes(world->sim) != changes)
            world_violate(world, "a journal that was refused was written to");
        if (world->failure.file[0] == '\0')
            world_violate(world, "a refusal names no file");
    } else if (status != STATUS_OK) {
        world_violate(world, "recovery failed in another way");
    } else if (world->oracle.count == flips->base.oracle.count) {
        flips->complete++;
    } else {
        flips->last_lost++;
    }
}

static void flip_one(struct flips *flips, const char *name, uint64_t offset, unsigned bit)
{
    struct world *world = &flips->world;
    world_branch(world, &flips->base);
    disk_sim_flip(world->sim, name, offset, (unsigned char)(1u << bit));
    uint64_t changes = disk_sim_changes(world->sim);
    world->oracle.durable_count = flips->before_last;
    judge(flips, world_start(world, &flips->ignored), changes);
    if (world->violation != NULL) {
        flips->violations++;
        printf("violation: %s (%s, byte %" PRIu64 ", bit %u)\n  again: crash_flip --life %" PRIu64
               "\n",
               world->violation, name, offset, bit, offset);
    }
    world_die(world, &flips->ignored);
    disk_sim_free(world->sim);
}

static uint64_t flip_count(const struct flips *flips)
{
    return flips->refused + flips->complete + flips->last_lost;
}

static void flip_file(struct flips *flips, const struct crash_run *run, const char *name)
{
    uint64_t bits = run->cases < BITS ? run->cases : BITS;
    for (uint64_t offset = 0; offset < SEGMENT_BYTES; offset++) {
        unsigned first = (unsigned)chance_below(&flips->base.chance, BITS);
        for (uint64_t i = 0; i < bits; i++)
            if ((run->life == UINT64_MAX || run->life == offset) &&
                flips->violations < run->violations)
                flip_one(flips, name, offset, (first + (unsigned)i) % BITS);
    }
}

int main(int count, char **word)
{
    static struct flips flips;
    struct crash_run run;
    if (crash_run_begin(&run, "crash_flip", 1, count, word) != STATUS_OK)
        return 2;
    prepare(&flips, run.seed);
    const char *name;
    for (size_t n = 0; (name = disk_sim_name(flips.base.sim, n)) != NULL; n++)
        if (strncmp(name, "segment-", 8) == 0)
            flip_file(&flips, &run, name);
    printf("bits flipped: %" PRIu64 " refused, %" PRIu64 " complete, %" PRIu64
           " lost the last batch\n",
           flips.refused, flips.complete, flips.last_lost);
    disk_sim_free(flips.base.sim);
    return crash_run_end(&run, flip_count(&flips) + flips.violations, flips.violations);
}
