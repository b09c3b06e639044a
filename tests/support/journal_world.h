/* A journal on a simulated disk together with what was appended to it and promised of it. */
#ifndef HERALD_TEST_JOURNAL_WORLD_H
#define HERALD_TEST_JOURNAL_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/journal.h"
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

/* The first violation stays. */
void world_violate(struct world *world, const char *text);

/* Opens the journal and holds what it tells against the oracle, which goes on from there. */
enum status world_start(struct world *world, struct counters *counters);

/* Notes in the oracle what the journal says is durable. */
void world_note_durable(struct world *world);

/* Appends a record of `bytes` (at least RECORD_HEAD_BYTES); a settlement names the index of the
 * record that it settles. False: the journal or the oracle is full. */
bool world_append(struct world *world, enum record_kind kind, size_t settles, uint32_t bytes);

/* True when these are the bytes that were appended as `record`. */
bool world_matches(const struct oracle *oracle, const struct appended *record,
                   const unsigned char *at);

#endif
