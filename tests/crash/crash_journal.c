/* The crash harness of the journal: work on a simulated disk, cut off before every operation, with
 * all that a disk may lose; recover, and hold what came back against what was promised.
 *
 *   crash_journal [--cases N] [--seconds S] [--seed S] [--life L] [--branch B]
 *
 * A life is work of some rounds, an end, and a life after it, and is made by the seed and its
 * number alone. Before every operation that follows a change, copies of the disk branch off: in
 * each the power fails by one of nine policies, or the process is killed, and recovery has to bring
 * back what was promised. That is a case. In one of eight branches every operation of the recovery
 * is cut off in the same way, three deep; in one of four work goes on and ends once more. In every
 * third life an operation fails, once or for good, the process is restarted and works on, with
 * branches all the way; the sweep, first of all, has every operation of every kind fail in turn.
 *
 * `--seed S --life L --branch B`, as a violation prints it, plays one case again.
 *
 * Checked (D1, D3, D4, D5, D6, D7, D8, D9, D13): what comes back is a gapless run of what was
 * appended, byte for byte and at the same positions; it holds all that was said to be durable;
 * nothing before it is still wanted; and reading back gives what was written. Bodies hold copies of
 * batches of the same disk.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/support/crash_world_run.h"
#include "tests/support/journal_world.h"

enum { DEPTH_MAX = 3 };

/* Numbers of lives from here on are those of the sweep. */
static const uint64_t first_sweep = 1000000000;

/* What branches off while a world works; depth 0 is the life itself. */
struct tree {
    const struct crash_run *run;
    struct counters *counters;
    uint64_t life;
    uint64_t branch;
    struct limb {
        struct world world;
        struct chance chance;
        uint64_t change_count; /* at the last branch */
        size_t durable_count;
    } limb[DEPTH_MAX + 1];
    unsigned depth;
    uint64_t odds; /* of a branch of the life, one in so many */
};

static void report(struct tree *tree, const struct world *world, const char *loss)
{
    tree->counters->violations++;
    printf("violation: %s (%s, depth %u)\n  again: crash_journal --seed %" PRIu64 " --life %" PRIu64
           " --branch %" PRIu64 "\n",
           world->violation, loss, tree->depth, tree->run->seed, tree->life, tree->branch);
}

static void on_operation(void *argument);

static void listen(struct tree *tree)
{
    struct limb *limb = &tree->limb[tree->depth];
    limb->change_count = UINT64_MAX;
    disk_sim_listen(limb->world.sim, on_operation, tree);
}

/* Works on after a recovery, ends somehow, and recovers once more. */
static void later_life(struct world *world, uint64_t rounds_max, struct counters *counters)
{
    if (world->violation != NULL)
        return;
    /* Sometimes the end comes at once: what recovery showed must be on disk by then. */
    uint64_t rounds =
        chance_below(&world->chance, 4) == 0 ? 0 : chance_below(&world->chance, rounds_max);
    if (world_live(world, rounds, counters) != STATUS_OK)
        world_violate(world, "the journal failed without a fault");
    if (chance_below(&world->chance, 3) == 0) {
        world_stop(world, counters);
        if (chance_below(&world->chance, 2) == 0)
            world_lose(world, (unsigned)chance_below(&world->chance, DISK_SIM_POLICIES));
    } else {
        world_die(world, counters);
        world_lose(world, world_choose_loss(world));
    }
    world_recover(world, counters);
}

/* One case: what is left if the world ends here. */
static void branch_off(struct tree *tree, unsigned loss)
{
    struct counters *counters = tree->counters;
    const struct world *from = &tree->limb[tree->depth].world;
    struct limb *limb = &tree->limb[++tree->depth];
    struct world *world = &limb->world;
    world_branch(world, from);
    world->chance.state = tree->branch * 0x9e3779b97f4a7c15u + tree->life + tree->depth;
    world_lose(world, loss);
    if (tree->depth < DEPTH_MAX && chance_below(&world->chance, 8) == 0) {
        limb->chance.state = chance_next(&world->chance);
        listen(tree);
    }
    world_recover(world, counters);
    disk_sim_listen(world->sim, NULL, NULL);
    counters->cases++;
    counters->nested += tree->depth > 1;
    if (chance_below(&world->chance, 4) == 0)
        later_life(world, 6, counters);
    if (world->violation != NULL)
        report(tree, world,
               loss == LOSS_KILL ? "kill" : disk_sim_policy_name((enum disk_sim_policy)loss));
    world_die(world, counters);
    disk_sim_free(world->sim);
    tree->depth--;
}

static void on_operation(void *argument)
{
    struct tree *tree = argument;
    struct limb *limb = &tree->limb[tree->depth];
    uint64_t change_count = disk_sim_changes(limb->world.sim);
    if (change_count == limb->change_count &&
        limb->durable_count == limb->world.oracle.durable_count)
        return;
    limb->change_count = change_count;
    limb->durable_count = limb->world.oracle.durable_count;
    if (tree->depth > 0) {
        branch_off(tree, (unsigned)chance_below(&limb->chance, LOSS_COUNT));
        return;
    }
    for (unsigned loss = 0; loss < LOSS_COUNT; loss++) {
        if (chance_below(&limb->chance, tree->odds) != 0)
            continue;
        tree->branch++;
        if (tree->run->branch == UINT64_MAX || tree->run->branch == tree->branch)
            branch_off(tree, loss);
    }
}

/* The restart after a fault, which may still be there. */
static void restart_faulty(struct world *world, struct counters *counters)
{
    counters->faults += disk_sim_has_failed(world->sim);
    disk_sim_kill(world->sim);
    if (chance_below(&world->chance, 3) == 0) {
        world_arm_fault(world, 40);
        if (world_start(world, counters) == STATUS_OK)
            (void)world_live(world, 4, counters);
        world_die(world, counters);
        disk_sim_kill(world->sim);
    }
    world_recover(world, counters);
}

static void first_life(struct world *world, bool has_fault, struct counters *counters)
{
    world_recover(world, counters);
    if (world->journal == NULL)
        return;
    if (world_live(world, 4 + chance_below(&world->chance, 12), counters) != STATUS_OK)
        world_violate(world, "the journal failed without a fault");
    if (has_fault)
        world_arm_fault(world, 120);
    (void)world_live(world, 10, counters);
    world_die(world, counters);
}

/* Every operation of every kind fails in a short life of its own, once and for good. */
enum { SWEEP_KINDS = 8, SWEEP_TURN = 2 * SWEEP_KINDS };

static void sweep_life(struct world *world, uint64_t number, struct counters *counters)
{
    static const int errors[] = {EIO, ENOSPC, EIO, EMFILE};
    uint64_t operation = number / SWEEP_TURN;
    unsigned kind = number % SWEEP_KINDS == SWEEP_KINDS - 1 ? (unsigned)DISK_SIM_ANY
                                                            : 1u << number % SWEEP_KINDS;
    disk_sim_fail_at(world->sim, operation, kind,
                     number / SWEEP_KINDS % 2 == 0 ? DISK_SIM_ONCE : DISK_SIM_FOREVER,
                     errors[operation % 4]);
    if (world_start(world, counters) == STATUS_OK)
        (void)world_live(world, 14, counters);
    world_die(world, counters);
}

/* True when a fault was met. */
static bool run_life(struct tree *tree, uint64_t life)
{
    struct limb *limb = &tree->limb[0];
    struct world *world = &limb->world;
    struct counters *counters = tree->counters;
    bool is_sweep = life >= first_sweep;
    bool has_failed = false;
    tree->life = life;
    tree->branch = 0;
    *world = (struct world){.chance = {tree->run->seed * 1000003 + (is_sweep ? 0 : life)},
                            .now_ms = 1000};
    world->sim = disk_sim_new(chance_next(&world->chance));
    limb->chance.state = chance_next(&world->chance) + life;
    if (chance_below(&world->chance, 4) == 0)
        disk_sim_short_writes(world->sim, 1 + chance_below(&world->chance, 5));
    if (chance_below(&world->chance, 8) == 0)
        disk_sim_set_room(world->sim, (5 + chance_below(&world->chance, 4)) * SEGMENT_BYTES);
    listen(tree);
    tree->odds = is_sweep ? 64 : 4;
    if (is_sweep)
        sweep_life(world, life - first_sweep, counters);
    else
        first_life(world, life % 3 == 2, counters);
    has_failed = disk_sim_has_failed(world->sim);
    if (world->violation == NULL && (is_sweep || life % 3 == 2)) {
        restart_faulty(world, counters);
    } else if (world->violation == NULL) {
        world_lose(world, world_choose_loss(world));
        world_recover(world, counters);
    }
    later_life(world, 12, counters);
    tree->branch = 0;
    if (world->violation != NULL)
        report(tree, world, "the life itself");
    disk_sim_listen(world->sim, NULL, NULL);
    world_die(world, counters);
    disk_sim_free(world->sim);
    counters->cases++;
    counters->forged += world->forged_count;
    return has_failed;
}

/* On to the operation that none of its lives reaches. */
static uint64_t sweep(struct tree *tree)
{
    uint64_t fault_count = 0;
    uint64_t before = UINT64_MAX;
    for (uint64_t life = first_sweep; before != fault_count; life += SWEEP_TURN) {
        before = fault_count;
        for (uint64_t i = 0; i < SWEEP_TURN; i++)
            fault_count += run_life(tree, life + i);
    }
    return fault_count;
}

int main(int count, char **word)
{
    static struct tree tree;
    struct counters counters = {0};
    struct crash_run run;
    if (crash_run_begin(&run, "crash_journal", 400000, count, word) != STATUS_OK)
        return 2;
    tree.run = &run;
    tree.counters = &counters;
    if (run.life != UINT64_MAX) {
        (void)run_life(&tree, run.life);
    } else {
        printf("%" PRIu64 " faults swept\n", sweep(&tree));
        for (uint64_t life = 0; crash_run_goes_on(&run, counters.cases, counters.violations);
             life++)
            (void)run_life(&tree, life);
    }
    printf("%" PRIu64 " cases: %" PRIu64 " recoveries, %" PRIu64 " nested, %" PRIu64
           " tails cut, %" PRIu64 " clean, %" PRIu64 " trimmed, %" PRIu64 " batches, %" PRIu64
           " fetches, %" PRIu64 " rounds full, %" PRIu64 " faults, %" PRIu64 " forged batches\n",
           counters.cases, counters.recoveries, counters.nested, counters.cuts, counters.clean,
           counters.trimmed, counters.batches, counters.fetches, counters.full, counters.faults,
           counters.forged);
    return crash_run_end(&run, counters.cases, counters.violations);
}
