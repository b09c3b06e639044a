/* Appending to a journal under the eyes of an oracle, and judging what recovery brings back. */
#include "tests/support/journal_world.h"

#include <string.h>

#include "protocol/wire.h"

/* Bodies are runs of one table, so that writing and comparing them is quick. */
enum { FILLER_BYTES = SEGMENT_BYTES / 4, FILLER_STARTS = 4096, FORGED_MAX = 64 };

static const unsigned char *filler(uint64_t serial)
{
    static unsigned char table[FILLER_BYTES + FILLER_STARTS];
    struct chance chance = {1};
    if (table[0] == 0)
        for (size_t i = 0; i < sizeof table; i++)
            table[i] = (unsigned char)(1 + chance_below(&chance, 255));
    return table + serial * 61 % FILLER_STARTS;
}

static void fill(const struct oracle *oracle, const struct appended *record, unsigned char *at)
{
    memcpy(at, filler(record->serial), record->bytes);
    wire_store_u64(at, record->serial);
    at[8] = (unsigned char)record->kind;
    wire_store_u64(at + 9,
                   record->kind != RECORD_SEND ? oracle->record[record->settles].serial : 0);
    if (record->forged != NULL)
        memcpy(at + record->forged_at, record->forged, record->forged_bytes);
}

/* Puts a batch from somewhere on the disk, whole or cut, where a batch might begin. */
static void forge(struct world *world, struct appended *record)
{
    static unsigned char arena[FORGED_MAX][SEGMENT_BYTES / 4];
    uint32_t at = (uint32_t)(512 - record->position % 512) % 512 + 512;
    const char *name = disk_sim_name(world->sim, (size_t)chance_below(&world->chance, 8));
    if (world->forged_count == FORGED_MAX || name == NULL || record->bytes < at + 512)
        return;
    size_t bytes;
    const unsigned char *file = disk_sim_bytes(world->sim, name, &bytes);
    size_t offset = (size_t)chance_below(&world->chance, bytes / 512 + 1) * 512;
    while (offset + 512 <= bytes && memcmp(file + offset, "HRBJ", 4) != 0)
        offset += 512;
    if (offset + 512 > bytes)
        return;
    size_t count = record->bytes - at;
    if (count > bytes - offset)
        count = bytes - offset;
    if (chance_below(&world->chance, 3) == 0)
        count = 1 + (size_t)chance_below(&world->chance, count);
    memcpy(arena[world->forged_count], file + offset, count);
    record->forged = arena[world->forged_count++];
    record->forged_at = at;
    record->forged_bytes = (uint32_t)count;
}

bool world_matches(const struct oracle *oracle, const struct appended *record,
                   const unsigned char *at)
{
    static unsigned char expected[SEGMENT_BYTES];
    fill(oracle, record, expected);
    return memcmp(expected, at, record->bytes) == 0;
}

void world_violate(struct world *world, const char *text)
{
    if (world->violation == NULL)
        world->violation = text;
}

/* What a record means for the homes; each weighs its record's bytes. */
static void take_homes(struct world *world, const struct appended *record)
{
    const struct oracle *oracle = &world->oracle;
    if (record->kind != RECORD_SETTLE)
        journal_home_state(world->journal, record->position, 1, record->bytes, record->bytes);
    if (record->kind == RECORD_SEND || record->settles < oracle->first)
        return;
    const struct appended *ended = &oracle->record[record->settles];
    journal_home_remove(world->journal, ended->position, 1, ended->bytes);
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
        world_violate(world, "recovery found a record that was never appended");
        return STATUS_CORRUPT;
    }
    struct appended *record = &oracle->record[world->replayed];
    if (record->position != position || record->bytes != bytes ||
        !world_matches(oracle, record, at)) {
        world_violate(world, "recovery found a record that differs, or skipped one");
        return STATUS_CORRUPT;
    }
    world->replayed++;
    take_homes(world, record);
    return STATUS_OK;
}

/* The history ends where recovery ended; what was settled by lost settlements is not. */
static void accept_recovery(struct world *world, struct counters *counters)
{
    struct oracle *oracle = &world->oracle;
    if (!world->is_found) {
        /* Everything up to where the journal goes on was freed: fine if nothing of it is wanted. */
        uint64_t end = journal_end_position(world->journal);
        world->replayed = 0;
        while (world->replayed < oracle->count && oracle->record[world->replayed].position < end)
            world->replayed++;
        oracle->first = world->replayed;
    }
    if (world->replayed < oracle->durable_count)
        world_violate(world, "recovery lost records that were durable");
    oracle->count = world->replayed;
    oracle->durable_count = oracle->count;
    for (size_t i = 0; i < oracle->count; i++)
        oracle->record[i].is_settled = false;
    for (size_t i = 0; i < oracle->count; i++)
        if (oracle->record[i].kind != RECORD_SEND)
            oracle->record[oracle->record[i].settles].is_settled = true;
    for (size_t i = 0; i < oracle->first && i < oracle->count; i++)
        if (oracle->record[i].kind != RECORD_SETTLE && !oracle->record[i].is_settled)
            world_violate(world, "a segment was freed that held a live record");
    struct journal_recovery seen = journal_recovery(world->journal);
    counters->recoveries++;
    counters->records += seen.record_count;
    counters->cuts += seen.cut_bytes > 0;
    counters->clean += seen.was_clean;
    counters->trimmed += oracle->first > 0;
}

enum status world_start(struct world *world, struct counters *counters)
{
    errand_line_init(&world->line);
    struct journal_options options = {.segment_bytes = SEGMENT_BYTES,
                                      .spare_count = 2,
                                      .cache_bytes_max = SEGMENT_BYTES,
                                      .post = errand_line_post,
                                      .post_context = &world->line};
    world->replayed = 0;
    world->is_found = false;
    enum status status = journal_open(
        &world->journal, disk_sim_disk(world->sim), &options,
        &(struct journal_reader){.on_record = on_record, .argument = world}, &world->failure);
    if (status == STATUS_OK)
        accept_recovery(world, counters);
    return status;
}

void world_note_durable(struct world *world)
{
    struct oracle *oracle = &world->oracle;
    uint64_t durable = journal_durable_position(world->journal);
    while (oracle->durable_count < oracle->count &&
           oracle->record[oracle->durable_count].position < durable)
        oracle->durable_count++;
}

bool world_append(struct world *world, enum record_kind kind, size_t settles, uint32_t bytes)
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
    if (kind == RECORD_SEND && chance_below(&world->chance, 2) == 0)
        forge(world, record);
    fill(oracle, record, at);
    journal_close_record(world->journal, bytes);
    oracle->count++;
    take_homes(world, record);
    if (kind != RECORD_SEND)
        oracle->record[settles].is_settled = true;
    return true;
}
