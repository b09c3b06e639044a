/* The crash harness of the journal: work on a simulated disk, stop the world at any operation, lose
 * what the disk may lose, recover, and hold what came back against what was promised.
 *
 *   crash_journal [--cases N] [--seed S] [--seconds S] [--case K]
 *
 * A case is made by the seed and its number alone: `--seed S --case K` plays it again. Kinds of
 * cases: crash     the power fails before a random operation, or the process is killed; nested the
 * same, and again at every operation of the recovery that follows; fault     an operation fails,
 * once or for good; the process is restarted, works on, and then the power fails. After each comes
 * a second life, another crash or a clean stop, and another recovery. At the end bits of a small
 * journal are flipped, one at a time.
 *
 * Checked (D1, D3, D4, D5, D6, D7, D8, D9, D13): what comes back is a gapless run of what was
 * appended, byte for byte and at the same positions; it holds all that was said to be durable;
 * nothing before it is still wanted; and reading back gives what was written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/journal_world.h"

static void send_one(struct world *world)
{
    uint64_t size = chance_below(&world->chance, 100);
    uint32_t bytes = (uint32_t)chance_below(&world->chance, size < 70   ? 400
                                                            : size < 97 ? 6000
                                                                        : SEGMENT_BYTES / 4 - 100);
    (void)world_append(world, RECORD_SEND, 0, bytes + RECORD_HEAD_BYTES);
}

static void settle_one(struct world *world)
{
    struct oracle *oracle = &world->oracle;
    size_t index = oracle->first;
    while (index < oracle->count &&
           (oracle->record[index].kind != RECORD_SEND || oracle->record[index].is_settled ||
            chance_below(&world->chance, 8) == 0))
        index++;
    if (index >= oracle->count)
        return;
    uint64_t position = oracle->record[index].position;
    if (!world_append(world, RECORD_SETTLE, index, RECORD_HEAD_BYTES))
        return;
    oracle->record[index].is_settled = true;
    journal_home_remove(world->journal, position, 1, 1);
}

static void check_bytes(struct world *world, const struct appended *record)
{
    size_t bytes;
    const unsigned char *at = journal_peek(world->journal, record->position, &bytes);
    if (at != NULL && (bytes < record->bytes || !world_matches(&world->oracle, record, at)))
        world_violate(world, "reading back gave other bytes");
}

static void on_fetch(void *argument, uint64_t position, enum status status)
{
    struct world *world = argument;
    size_t bytes;
    if (status == STATUS_CORRUPT)
        world_violate(world, "a durable record does not verify");
    if (status != STATUS_OK)
        return;
    if (journal_peek(world->journal, position, &bytes) == NULL)
        world_violate(world, "a fetch brought nothing");
    for (size_t i = world->oracle.first; i < world->oracle.count; i++)
        if (world->oracle.record[i].position == position)
            check_bytes(world, &world->oracle.record[i]);
}

static void read_one(struct world *world, struct counters *counters)
{
    struct oracle *oracle = &world->oracle;
    if (oracle->count == oracle->first)
        return;
    size_t index =
        oracle->first + (size_t)chance_below(&world->chance, oracle->count - oracle->first);
    const struct appended *record = &oracle->record[index];
    size_t bytes;
    if (record->kind != RECORD_SEND || record->is_settled)
        return;
    if (journal_peek(world->journal, record->position, &bytes) != NULL) {
        check_bytes(world, record);
        return;
    }
    if (index >= oracle->durable_count)
        world_violate(world, "a record that is not durable is not in memory");
    else if (journal_fetch(world->journal, record->position, record->position, on_fetch, world) ==
             STATUS_OK)
        counters->fetches++;
}

static enum status run_some(struct world *world)
{
    uint64_t count = chance_below(&world->chance, 5);
    for (uint64_t i = 0; i < count; i++) {
        enum errand_worker worker =
            chance_below(&world->chance, 2) == 0 ? ERRAND_COMMIT : ERRAND_BACKGROUND;
        enum status status = errand_line_run_one(&world->line, world->journal, worker);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            return status;
        world_note_durable(world);
    }
    return STATUS_OK;
}

/* A life of so many rounds. Anything but STATUS_OK: the process had to end. */
static enum status live(struct world *world, uint64_t rounds, struct counters *counters)
{
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t sends = chance_below(&world->chance, 6);
        uint64_t settles = chance_below(&world->chance, 7);
        for (uint64_t n = 0; n < sends; n++)
            send_one(world);
        for (uint64_t n = 0; n < settles; n++)
            settle_one(world);
        if (chance_below(&world->chance, 4) == 0)
            read_one(world, counters);
        counters->full += journal_is_full(world->journal);
        world->now_ms += chance_below(&world->chance, 10) == 0 ? 150 : 3;
        journal_round(world->journal, world->now_ms);
        enum status status = run_some(world);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* Ends the process as it stands. */
static void die(struct world *world, struct counters *counters)
{
    if (world->journal != NULL)
        counters->batches += journal_figures(world->journal).batch_count;
    journal_free(world->journal);
    world->journal = NULL;
}

/* A good end: everything settled and the clean mark. */
static void stop(struct world *world, struct counters *counters)
{
    enum status status = errand_line_settle(&world->line, world->journal, world->now_ms);
    if (status == STATUS_OK)
        status = journal_stop(world->journal, world->now_ms);
    if (status == STATUS_OK)
        world_note_durable(world);
    if (status == STATUS_OK && world->oracle.durable_count != world->oracle.count)
        world_violate(world, "a clean stop left records that are not durable");
    if (status != STATUS_OK)
        world_violate(world, "a clean stop failed without a fault");
    die(world, counters);
    disk_sim_kill(world->sim);
}

static void lose_power(struct world *world)
{
    enum disk_sim_policy policy =
        (enum disk_sim_policy)chance_below(&world->chance, DISK_SIM_POLICIES);
    disk_sim_power_loss(world->sim, policy, chance_next(&world->chance));
}

static void crash(struct world *world)
{
    if (chance_below(&world->chance, 4) == 0)
        disk_sim_kill(world->sim);
    else
        lose_power(world);
}

static void recover(struct world *world, struct counters *counters)
{
    if (world->violation != NULL)
        return;
    if (world_start(world, counters) != STATUS_OK)
        world_violate(world, world->failure.text[0] != '\0' ? world->failure.text
                                                            : "recovery failed without a fault");
}

/* Recovery with a crash before each of its operations in turn, until it gets through. */
static void recover_nested(struct world *world, struct counters *counters)
{
    uint64_t step = 1 + chance_below(&world->chance, 3);
    for (uint64_t n = chance_below(&world->chance, step); world->violation == NULL; n += step) {
        disk_sim_crash_at(world->sim, disk_sim_operations(world->sim) + n);
        enum status status = world_start(world, counters);
        if (status == STATUS_OK) {
            disk_sim_crash_at(world->sim, UINT64_MAX);
            return;
        }
        if (!disk_sim_is_stopped(world->sim)) {
            recover(world, counters);
            return;
        }
        crash(world);
    }
}

static void arm_fault(struct world *world, uint64_t span)
{
    static const unsigned kinds[] = {
        DISK_SIM_WRITE,    DISK_SIM_SYNC,   DISK_SIM_SYNC_DIRECTORY,
        DISK_SIM_OPEN,     DISK_SIM_REMOVE, DISK_SIM_ANY,
        DISK_SIM_ALLOCATE, DISK_SIM_READ,   DISK_SIM_WRITE | DISK_SIM_SYNC,
    };
    static const int errors[] = {EIO, ENOSPC, EMFILE};
    disk_sim_fail_at(world->sim,
                     disk_sim_operations(world->sim) + chance_below(&world->chance, span),
                     kinds[chance_below(&world->chance, sizeof kinds / sizeof kinds[0])],
                     chance_below(&world->chance, 2) == 0 ? DISK_SIM_ONCE : DISK_SIM_FOREVER,
                     errors[chance_below(&world->chance, 3)]);
}

/* The first life, until the world stops or it has lived enough. */
static void first_life(struct world *world, bool has_fault, struct counters *counters)
{
    recover(world, counters);
    if (world->journal == NULL)
        return;
    if (live(world, 6 + chance_below(&world->chance, 20), counters) != STATUS_OK)
        world_violate(world, "the journal failed without a fault");
    if (has_fault)
        arm_fault(world, 120);
    else
        disk_sim_crash_at(world->sim,
                          disk_sim_operations(world->sim) + chance_below(&world->chance, 160));
    (void)live(world, 30, counters);
    die(world, counters);
}

/* Works on after a recovery, ends somehow, and recovers once more. */
static void later_life(struct world *world, struct counters *counters)
{
    if (world->violation != NULL)
        return;
    /* Sometimes the end comes at once: what recovery showed must be on disk by then. */
    uint64_t rounds = chance_below(&world->chance, 4) == 0 ? 0 : chance_below(&world->chance, 22);
    if (live(world, rounds, counters) != STATUS_OK)
        world_violate(world, "the journal failed without a fault");
    if (chance_below(&world->chance, 3) == 0) {
        stop(world, counters);
        if (chance_below(&world->chance, 2) == 0)
            lose_power(world);
    } else {
        die(world, counters);
        crash(world);
    }
    recover(world, counters);
}

/* The restart after a fault, which may still be there. */
static void restart_faulty(struct world *world, struct counters *counters)
{
    counters->faults += disk_sim_has_failed(world->sim);
    disk_sim_kill(world->sim);
    if (chance_below(&world->chance, 3) == 0) {
        arm_fault(world, 40);
        if (world_start(world, counters) == STATUS_OK)
            (void)live(world, 4, counters);
        die(world, counters);
        disk_sim_kill(world->sim);
    }
    recover(world, counters);
}

static const char *run_case(uint64_t seed, uint64_t number, struct counters *counters)
{
    static struct world world;
    world = (struct world){.chance = {seed * 1000003 + number}, .now_ms = 1000};
    world.sim = disk_sim_new(chance_next(&world.chance));
    if (chance_below(&world.chance, 4) == 0)
        disk_sim_short_writes(world.sim, 1 + chance_below(&world.chance, 5));
    if (chance_below(&world.chance, 8) == 0)
        disk_sim_set_room(world.sim, (5 + chance_below(&world.chance, 4)) * SEGMENT_BYTES);
    uint64_t kind = chance_below(&world.chance, 4);
    first_life(&world, kind == 3, counters);
    if (world.violation == NULL) {
        if (kind == 3) {
            restart_faulty(&world, counters);
        } else {
            crash(&world);
            if (kind == 2)
                recover_nested(&world, counters);
            else
                recover(&world, counters);
        }
    }
    for (uint64_t n = 1 + chance_below(&world.chance, 2); n > 0; n--)
        later_life(&world, counters);
    die(&world, counters);
    disk_sim_free(world.sim);
    counters->cases++;
    return world.violation;
}

struct flips {
    uint64_t refused;
    uint64_t complete;
    uint64_t last_lost;
};

/* A journal of a few segments that was killed; returns how many records stood before its last
 * batch. */
static size_t prepare_flips(struct world *world, struct counters *counters)
{
    recover(world, counters);
    size_t before_last = 0;
    while (world->violation == NULL && journal_figures(world->journal).segment_count < 3) {
        for (int i = 0; i < 3; i++)
            (void)world_append(world, RECORD_SEND, 0,
                               RECORD_HEAD_BYTES + (uint32_t)chance_below(&world->chance, 9000));
        before_last = world->oracle.durable_count;
        if (errand_line_settle(&world->line, world->journal, world->now_ms) != STATUS_OK)
            world_violate(world, "the journal failed without a fault");
        world_note_durable(world);
    }
    die(world, counters);
    disk_sim_kill(world->sim);
    disk_sim_calm(world->sim);
    return before_last;
}

static void flip_one(struct world *world, const char *name, uint64_t offset, size_t before_last,
                     struct flips *flips)
{
    struct counters ignored = {0};
    struct disk_sim *base = world->sim;
    struct oracle *oracle = &world->oracle;
    size_t count = oracle->count;
    unsigned char mask = (unsigned char)(1u << chance_below(&world->chance, 8));
    world->sim = disk_sim_clone(base);
    disk_sim_flip(world->sim, name, offset, mask);
    uint64_t changes = disk_sim_changes(world->sim);
    oracle->durable_count = before_last;
    enum status status = world_start(world, &ignored);
    if (status == STATUS_CORRUPT || status == STATUS_NEWER_FORMAT) {
        flips->refused++;
        if (disk_sim_changes(world->sim) != changes)
            world_violate(world, "a journal that was refused was written to");
        if (world->failure.file[0] == '\0')
            world_violate(world, "a refusal names no file");
    } else if (status != STATUS_OK) {
        world_violate(world, "recovery failed in another way");
    } else if (oracle->count == count) {
        flips->complete++;
    } else {
        flips->last_lost++;
    }
    journal_free(world->journal);
    world->journal = NULL;
    oracle->count = count;
    disk_sim_free(world->sim);
    world->sim = base;
}

static const char *run_flips(uint64_t seed, struct flips *flips, uint64_t stride)
{
    static struct world world;
    struct counters counters = {0};
    world = (struct world){.chance = {seed}, .now_ms = 1000};
    world.sim = disk_sim_new(seed);
    size_t before_last = prepare_flips(&world, &counters);
    const char *name;
    for (size_t n = 0; (name = disk_sim_name(world.sim, n)) != NULL; n++) {
        if (strncmp(name, "segment-", 8) != 0)
            continue;
        for (uint64_t offset = 0; offset < SEGMENT_BYTES && world.violation == NULL;
             offset += offset < 128 || offset % 4096 < 96 ? 1 : stride)
            flip_one(&world, name, offset, before_last, flips);
    }
    disk_sim_free(world.sim);
    return world.violation;
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
        if (value == NULL || i + 1 == count) {
            (void)fprintf(stderr, "usage: crash_journal [--cases N] [--seed S] [--seconds S] "
                                  "[--case K]\n");
            return 2;
        }
        *value = strtoull(word[i + 1], NULL, 10);
    }
    return 0;
}

static uint64_t run_cases(const struct arguments *arguments, struct counters *counters)
{
    uint64_t violations = 0;
    time_t end = time(NULL) + (time_t)arguments->seconds;
    for (uint64_t n = 0;; n++) {
        if (arguments->only != UINT64_MAX ? n > 0
            : arguments->seconds > 0      ? time(NULL) >= end
                                          : n >= arguments->cases)
            return violations;
        uint64_t number = arguments->only != UINT64_MAX ? arguments->only : n;
        const char *violation = run_case(arguments->seed, number, counters);
        if (violation == NULL)
            continue;
        violations++;
        printf("violation: %s\n  again: crash_journal --seed %" PRIu64 " --case %" PRIu64 "\n",
               violation, arguments->seed, number);
    }
}

int main(int count, char **word)
{
    struct arguments arguments = {.cases = 3000, .seed = 1, .only = UINT64_MAX};
    if (parse(&arguments, count, word) != 0)
        return 2;
    printf("seed %" PRIu64 "\n", arguments.seed);
    struct counters counters = {0};
    uint64_t violations = run_cases(&arguments, &counters);
    printf("%" PRIu64 " cases: %" PRIu64 " recoveries, %" PRIu64 " tails cut, %" PRIu64
           " clean, %" PRIu64 " trimmed, %" PRIu64 " batches, %" PRIu64 " fetches, %" PRIu64
           " rounds full, %" PRIu64 " faults\n",
           counters.cases, counters.recoveries, counters.cuts, counters.clean, counters.trimmed,
           counters.batches, counters.fetches, counters.full, counters.faults);
    struct flips flips = {0};
    uint64_t checks = counters.cases;
    if (arguments.only == UINT64_MAX) {
        const char *violation = run_flips(arguments.seed, &flips, arguments.seconds > 60 ? 1 : 29);
        if (violation != NULL) {
            violations++;
            printf("violation: %s (flipping a bit)\n", violation);
        }
        printf("bits flipped: %" PRIu64 " refused, %" PRIu64 " complete, %" PRIu64
               " lost the last batch\n",
               flips.refused, flips.complete, flips.last_lost);
        checks += flips.refused + flips.complete + flips.last_lost;
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", checks - violations, violations);
    return violations == 0 ? 0 : 1;
}
