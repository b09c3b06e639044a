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

/* A copy states a live record again at the end and so takes its place. */
enum record_kind { RECORD_SEND = 1, RECORD_SETTLE = 2, RECORD_COPY = 3 };

struct appended {
    uint64_t position;
    uint64_t serial;
    uint64_t settles;            /* index of the record that a settlement or a copy ends */
    const unsigned char *forged; /* a batch of this very disk, in the midst of the body; or NULL */
    uint32_t forged_at;
    uint32_t forged_bytes;
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
    size_t forged_count;
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
    uint64_t nested;
    uint64_t forged;
    uint64_t violations;
};

/* The power fails by one of the policies, or only the process dies. */
#define LOSS_KILL ((unsigned)DISK_SIM_POLICIES)
#define LOSS_COUNT (LOSS_KILL + 1)

/* The first violation stays. */
void world_violate(struct world *world, const char *text);

/* Opens the journal and holds what it tells against the oracle, which goes on from there. */
enum status world_start(struct world *world, struct counters *counters);

/* Notes in the oracle what the journal says is durable. */
void world_note_durable(struct world *world);

/* Appends a record of `bytes` (at least RECORD_HEAD_BYTES); a settlement names the index of the
 * record that it settles. False: the journal or the oracle is full. */
bool world_append(struct world *world, enum record_kind kind, size_t settles, uint32_t bytes);

/* A copy that goes on by itself, on a clone of the disk and without a journal. */
void world_branch(struct world *branch, const struct world *world);

/* A life of so many rounds. Anything but STATUS_OK: the process had to end. */
enum status world_live(struct world *world, uint64_t rounds, struct counters *counters);

/* Ends the process as it stands, or in good order. */
void world_die(struct world *world, struct counters *counters);
void world_stop(struct world *world, struct counters *counters);

/* Starts where nothing may fail. */
void world_recover(struct world *world, struct counters *counters);

/* What is lost when the process has died: all by a policy, or nothing. */
void world_lose(struct world *world, unsigned loss);
unsigned world_choose_loss(struct world *world);

/* One of the next `span` operations fails, once or for good. */
void world_arm_fault(struct world *world, uint64_t span);

/* True when these are the bytes that were appended as `record`. */
bool world_matches(const struct oracle *oracle, const struct appended *record,
                   const unsigned char *at);

#endif
