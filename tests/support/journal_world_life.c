/* Lives on a journal: what a process does with it until it ends, and how it ends. */
#include <errno.h>
#include <string.h>

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
           (oracle->record[index].kind == RECORD_SETTLE || oracle->record[index].is_settled ||
            chance_below(&world->chance, 8) == 0))
        index++;
    if (index >= oracle->count)
        return;
    (void)world_append(world, RECORD_SETTLE, index, RECORD_HEAD_BYTES);
}

/* States the oldest record that lives again at the end, so that its segment can go. */
static void copy_one(struct world *world)
{
    const struct oracle *oracle = &world->oracle;
    size_t index = oracle->first;
    while (index < oracle->count &&
           (oracle->record[index].kind == RECORD_SETTLE || oracle->record[index].is_settled))
        index++;
    if (index < oracle->count)
        (void)world_append(world, RECORD_COPY, index, RECORD_HEAD_BYTES + 100);
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
    if (record->kind == RECORD_SETTLE || record->is_settled)
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
enum status world_live(struct world *world, uint64_t rounds, struct counters *counters)
{
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t sends = chance_below(&world->chance, 6);
        /* Now and then all that lives goes, and many segments at once with it. */
        uint64_t settles = chance_below(&world->chance, 16) == 0 ? world->oracle.count
                                                                 : chance_below(&world->chance, 7);
        for (uint64_t n = 0; n < sends; n++)
            send_one(world);
        for (uint64_t n = 0; n < settles; n++)
            settle_one(world);
        if (chance_below(&world->chance, 4) == 0)
            read_one(world, counters);
        if (journal_figures(world->journal).segment_count > 5)
            copy_one(world);
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
void world_die(struct world *world, struct counters *counters)
{
    if (world->journal != NULL)
        counters->batches += journal_figures(world->journal).batch_count;
    journal_free(world->journal);
    world->journal = NULL;
}

/* A good end: everything settled and the clean mark. */
void world_stop(struct world *world, struct counters *counters)
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
    world_die(world, counters);
    disk_sim_kill(world->sim);
}

void world_lose(struct world *world, unsigned loss)
{
    if (loss == LOSS_KILL)
        disk_sim_kill(world->sim);
    else
        disk_sim_power_loss(world->sim, (enum disk_sim_policy)loss, chance_next(&world->chance));
}

unsigned world_choose_loss(struct world *world)
{
    return chance_below(&world->chance, 4) == 0
               ? LOSS_KILL
               : (unsigned)chance_below(&world->chance, DISK_SIM_POLICIES);
}

void world_recover(struct world *world, struct counters *counters)
{
    if (world->violation != NULL)
        return;
    if (world_start(world, counters) != STATUS_OK)
        world_violate(world, world->failure.text[0] != '\0' ? world->failure.text
                                                            : "recovery failed without a fault");
}

void world_arm_fault(struct world *world, uint64_t span)
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

void world_branch(struct world *branch, const struct world *world)
{
    size_t count = world->oracle.count;
    branch->oracle.first = world->oracle.first;
    branch->oracle.count = count;
    branch->oracle.durable_count = world->oracle.durable_count;
    branch->oracle.serial = world->oracle.serial;
    memcpy(branch->oracle.record, world->oracle.record, count * sizeof world->oracle.record[0]);
    branch->sim = disk_sim_clone(world->sim);
    branch->journal = NULL;
    branch->now_ms = world->now_ms;
    branch->forged_count = world->forged_count;
    branch->violation = NULL;
}
