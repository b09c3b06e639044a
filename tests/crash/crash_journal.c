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
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/store/journal.h"
#include "protocol/wire.h"
#include "tests/support/chance.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

#define SEGMENT_BYTES 65536u
#define RECORDS_MAX 4096u
#define RECORD_HEAD_BYTES 17u

enum record_kind { RECORD_SEND = 1, RECORD_SETTLE = 2 };

struct appended {
    uint64_t position;
    uint64_t serial;
    uint64_t settles; /* index of the record that a settlement settles */
    uint32_t bytes;
    enum record_kind kind;
    bool is_settled;
};

/* All records that were appended, and what was promised of them. */
struct oracle {
    struct appended record[RECORDS_MAX];
    size_t first; /* index of the first that the last recovery found */
    size_t count;
    size_t durable_count; /* of them the journal said so */
    uint64_t serial;
};

struct world {
    struct disk_sim *sim;
    struct journal *journal;
    struct errand_line line;
    struct chance chance;
    struct oracle oracle;
    uint64_t now_ms;
    size_t replayed; /* during a recovery: index of the next record */
    bool is_found;   /* during a recovery: the first record was found */
    struct journal_failure failure;
    const char *violation;
};

struct counters {
    uint64_t cases;
    uint64_t recoveries;
    uint64_t records;
    uint64_t cuts;
    uint64_t clean;
    uint64_t trimmed;
    uint64_t batches;
    uint64_t fetches;
    uint64_t full;
    uint64_t faults;
};

static unsigned char filler(uint64_t serial, size_t i)
{
    return (unsigned char)(serial * 131 + i * 7 + (i >> 8));
}

static void fill(const struct oracle *oracle, const struct appended *record, unsigned char *at)
{
    wire_store_u64(at, record->serial);
    at[8] = (unsigned char)record->kind;
    wire_store_u64(at + 9,
                   record->kind == RECORD_SETTLE ? oracle->record[record->settles].serial : 0);
    for (size_t i = RECORD_HEAD_BYTES; i < record->bytes; i++)
        at[i] = filler(record->serial, i);
}

static bool matches(const struct oracle *oracle, const struct appended *record,
                    const unsigned char *at)
{
    static unsigned char expected[SEGMENT_BYTES];
    fill(oracle, record, expected);
    return memcmp(expected, at, record->bytes) == 0;
}

static void violate(struct world *world, const char *text)
{
    if (world->violation == NULL)
        world->violation = text;
}

/* Recovery tells its records: the first one says where in the history it begins. */
static enum status on_record(void *argument, uint64_t position, const unsigned char *at,
                             uint32_t bytes, uint64_t now_ms)
{
    struct world *world = argument;
    struct oracle *oracle = &world->oracle;
    (void)now_ms;
    if (!world->is_found) {
        world->is_found = true;
        while (world->replayed < oracle->count &&
               oracle->record[world->replayed].position != position)
            world->replayed++;
        oracle->first = world->replayed;
    }
    if (world->replayed >= oracle->count) {
        violate(world, "recovery found a record that was never appended");
        return STATUS_CORRUPT;
    }
    struct appended *record = &oracle->record[world->replayed];
    if (record->position != position || record->bytes != bytes || !matches(oracle, record, at)) {
        violate(world, "recovery found a record that differs, or skipped one");
        return STATUS_CORRUPT;
    }
    world->replayed++;
    if (record->kind == RECORD_SEND)
        journal_home_add(world->journal, position, 1);
    else if (record->settles >= oracle->first)
        journal_home_remove(world->journal, oracle->record[record->settles].position, 1);
    return STATUS_OK;
}

/* The history ends where recovery ended; what was settled by lost settlements is not. */
static void accept_recovery(struct world *world, struct counters *counters)
{
    struct oracle *oracle = &world->oracle;
    if (!world->is_found) {
        /* Nothing is there: fine if nothing that is promised is still wanted. */
        world->replayed = 0;
        if (oracle->durable_count > 0)
            world->replayed = oracle->durable_count;
        oracle->first = world->replayed;
    }
    if (world->replayed < oracle->durable_count)
        violate(world, "recovery lost records that were durable");
    oracle->count = world->replayed;
    oracle->durable_count = oracle->count;
    for (size_t i = 0; i < oracle->count; i++)
        oracle->record[i].is_settled = false;
    for (size_t i = 0; i < oracle->count; i++)
        if (oracle->record[i].kind == RECORD_SETTLE)
            oracle->record[oracle->record[i].settles].is_settled = true;
    for (size_t i = 0; i < oracle->first && i < oracle->count; i++)
        if (oracle->record[i].kind == RECORD_SEND && !oracle->record[i].is_settled)
            violate(world, "a segment was freed that held a live record");
    struct journal_recovery seen = journal_recovery(world->journal);
    counters->recoveries++;
    counters->records += seen.record_count;
    counters->cuts += seen.cut_bytes > 0;
    counters->clean += seen.was_clean;
    counters->trimmed += oracle->first > 0;
}

static enum status start(struct world *world, struct counters *counters)
{
    errand_line_init(&world->line);
    struct journal_options options = {.segment_bytes = SEGMENT_BYTES,
                                      .spare_count = 2,
                                      .cache_bytes_max = SEGMENT_BYTES,
                                      .post = errand_line_post,
                                      .post_context = &world->line};
    world->replayed = 0;
    world->is_found = false;
    enum status status = journal_open(&world->journal, disk_sim_disk(world->sim), &options,
                                      on_record, world, &world->failure);
    if (status == STATUS_OK)
        accept_recovery(world, counters);
    return status;
}

static void note_durable(struct world *world)
{
    struct oracle *oracle = &world->oracle;
    uint64_t durable = journal_durable_position(world->journal);
    while (oracle->durable_count < oracle->count &&
           oracle->record[oracle->durable_count].position < durable)
        oracle->durable_count++;
}

static bool append(struct world *world, enum record_kind kind, size_t settles, uint32_t bytes)
{
    struct oracle *oracle = &world->oracle;
    if (oracle->count == RECORDS_MAX)
        return false;
    struct appended *record = &oracle->record[oracle->count];
    *record = (struct appended){
        .serial = ++oracle->serial, .settles = settles, .bytes = bytes, .kind = kind};
    enum journal_urgency urgency = kind == RECORD_SEND ? JOURNAL_FRESH : JOURNAL_URGENT;
    size_t room = bytes + (size_t)chance_below(&world->chance, 64);
    if (room > journal_record_bytes_max(world->journal))
        room = bytes;
    unsigned char *at = journal_open_record(world->journal, room, urgency, &record->position);
    if (at == NULL)
        return false;
    fill(oracle, record, at);
    journal_close_record(world->journal, bytes);
    oracle->count++;
    if (kind == RECORD_SEND)
        journal_home_add(world->journal, record->position, 1);
    return true;
}

static void send_one(struct world *world)
{
    uint64_t size = chance_below(&world->chance, 100);
    uint32_t bytes = (uint32_t)chance_below(&world->chance, size < 70   ? 400
                                                            : size < 97 ? 6000
                                                                        : SEGMENT_BYTES / 4 - 100);
    (void)append(world, RECORD_SEND, 0, bytes + RECORD_HEAD_BYTES);
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
    if (!append(world, RECORD_SETTLE, index, RECORD_HEAD_BYTES))
        return;
    oracle->record[index].is_settled = true;
    journal_home_remove(world->journal, position, 1);
}

static void check_bytes(struct world *world, const struct appended *record)
{
    size_t bytes;
    const unsigned char *at = journal_peek(world->journal, record->position, &bytes);
    if (at != NULL && (bytes < record->bytes || !matches(&world->oracle, record, at)))
        violate(world, "reading back gave other bytes");
}

static void on_fetch(void *argument, uint64_t position, enum status status)
{
    struct world *world = argument;
    size_t bytes;
    if (status == STATUS_CORRUPT)
        violate(world, "a durable record does not verify");
    if (status != STATUS_OK)
        return;
    if (journal_peek(world->journal, position, &bytes) == NULL)
        violate(world, "a fetch brought nothing");
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
        violate(world, "a record that is not durable is not in memory");
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
        note_durable(world);
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
        note_durable(world);
    if (status == STATUS_OK && world->oracle.durable_count != world->oracle.count)
        violate(world, "a clean stop left records that are not durable");
    if (status != STATUS_OK)
        violate(world, "a clean stop failed without a fault");
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
    if (start(world, counters) != STATUS_OK)
        violate(world, world->failure.text[0] != '\0' ? world->failure.text
                                                      : "recovery failed without a fault");
}

/* Recovery with a crash before each of its operations in turn, until it gets through. */
static void recover_nested(struct world *world, struct counters *counters)
{
    uint64_t step = 1 + chance_below(&world->chance, 3);
    for (uint64_t n = chance_below(&world->chance, step); world->violation == NULL; n += step) {
        disk_sim_crash_at(world->sim, disk_sim_operations(world->sim) + n);
        enum status status = start(world, counters);
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
        violate(world, "the journal failed without a fault");
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
        violate(world, "the journal failed without a fault");
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
        if (start(world, counters) == STATUS_OK)
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
            (void)append(world, RECORD_SEND, 0,
                         RECORD_HEAD_BYTES + (uint32_t)chance_below(&world->chance, 9000));
        before_last = world->oracle.durable_count;
        if (errand_line_settle(&world->line, world->journal, world->now_ms) != STATUS_OK)
            violate(world, "the journal failed without a fault");
        note_durable(world);
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
    enum status status = start(world, &ignored);
    if (status == STATUS_CORRUPT || status == STATUS_NEWER_FORMAT) {
        flips->refused++;
        if (disk_sim_changes(world->sim) != changes)
            violate(world, "a journal that was refused was written to");
        if (world->failure.file[0] == '\0')
            violate(world, "a refusal names no file");
    } else if (status != STATUS_OK) {
        violate(world, "recovery failed in another way");
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
