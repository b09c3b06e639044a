/* A disk in memory that fails as disks do, the same way again for the same seed.
 *
 * It keeps three things apart: what a process sees (`current`), what is surely on the disk
 * (`durable`), and what lies between: writes and changes of size per file, and creations, removals
 * and renamings of the directory, in order, until a sync of the file or of the directory takes them
 * over.
 *
 * - Every call but close counts as one operation. disk_sim_crash_at stops the world before one of
 *   them: it and all later calls fail until disk_sim_power_loss or disk_sim_kill starts a new life.
 * - disk_sim_fail_at makes an operation fail, once or from then on. A failing write has written
 * half. A failing sync of a file drops what was pending, so that the process sees bytes that the
 * disk does not have, and a later sync says that all is well; some of what was dropped may have
 * arrived.
 * - disk_sim_power_loss keeps of what was pending what its policy and the seed say.
 *
 * Descriptors of an earlier life are never valid again. Not for use by two threads at once.
 */
#ifndef HERALD_TEST_DISK_SIM_H
#define HERALD_TEST_DISK_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/disk.h"

struct disk_sim;

enum disk_sim_policy {
    DISK_SIM_NONE,          /* nothing that was pending is there */
    DISK_SIM_ALL,           /* all of it */
    DISK_SIM_PREFIX,        /* all operations up to one of them */
    DISK_SIM_TORN,          /* the same, and of the next write a beginning */
    DISK_SIM_SECTORS,       /* any sectors of 512 bytes, of any write */
    DISK_SIM_GROWN_ZERO,    /* files have grown; sectors that are missing are zero */
    DISK_SIM_GROWN_GARBAGE, /* files have grown; sectors that are missing are anything */
    DISK_SIM_LAST_SECTOR,   /* only the last sector of the last write of each file */
    DISK_SIM_NAMES,         /* any sectors, and any subset of the directory's changes */
    DISK_SIM_POLICIES
};

const char *disk_sim_policy_name(enum disk_sim_policy policy);

enum disk_sim_operation {
    DISK_SIM_READ = 1,
    DISK_SIM_WRITE = 2,
    DISK_SIM_SYNC = 4,
    DISK_SIM_SYNC_DIRECTORY = 8,
    DISK_SIM_OPEN = 16,
    DISK_SIM_REMOVE = 32, /* and rename */
    DISK_SIM_ALLOCATE = 64,
    DISK_SIM_LIST = 128,
    DISK_SIM_ANY = 255
};

enum disk_sim_repeat { DISK_SIM_ONCE, DISK_SIM_FOREVER };

/* NULL without memory; tests may take it as there. */
struct disk_sim *disk_sim_new(uint64_t seed);
void disk_sim_free(struct disk_sim *sim);

/* A copy in the same state, without open files, pending faults and a listener. Cheap: both share
 * what neither of them changes. */
struct disk_sim *disk_sim_clone(const struct disk_sim *sim);

/* The door to it; as long as the sim lives. */
const struct disk *disk_sim_disk(struct disk_sim *sim);

/* Operations so far; the first is number 0. */
uint64_t disk_sim_operations(const struct disk_sim *sim);

/* Operations so far that changed something. */
uint64_t disk_sim_changes(const struct disk_sim *sim);

/* The world stops before this operation. UINT64_MAX: never. */
void disk_sim_crash_at(struct disk_sim *sim, uint64_t operation);
bool disk_sim_is_stopped(const struct disk_sim *sim);

/* Calls `on_operation` before every operation (NULL: no more), which may clone the disk: a clone is
 * what a crash at this point leaves. It must not change the disk itself. */
typedef void (*disk_sim_operation_fn)(void *argument);
void disk_sim_listen(struct disk_sim *sim, disk_sim_operation_fn on_operation, void *argument);

/* The first operation of these kinds at or after `operation` fails with -error (0: ends the
 * faults). */
void disk_sim_fail_at(struct disk_sim *sim, uint64_t operation, unsigned kinds,
                      enum disk_sim_repeat repeat, int error);

/* True when a fault of disk_sim_fail_at has happened. */
bool disk_sim_has_failed(const struct disk_sim *sim);

/* Every n-th write writes only a part and says so; 0: none. */
void disk_sim_short_writes(struct disk_sim *sim, uint64_t every);

/* Bytes that fit; beyond them files do not grow (ENOSPC). UINT64_MAX: no limit. */
void disk_sim_set_room(struct disk_sim *sim, uint64_t bytes);
uint64_t disk_sim_used(const struct disk_sim *sim);

/* The power fails and comes back: descriptors are gone, faults end, limits stay. */
void disk_sim_power_loss(struct disk_sim *sim, enum disk_sim_policy policy, uint64_t seed);

/* The process dies and the system lives on: what was pending is still pending. */
void disk_sim_kill(struct disk_sim *sim);

/* Everything pending becomes durable, as after a long time. */
void disk_sim_calm(struct disk_sim *sim);

/* Making and damaging files behind the process's back. */
bool disk_sim_has(const struct disk_sim *sim, const char *name);
uint64_t disk_sim_size(const struct disk_sim *sim, const char *name);
void disk_sim_put(struct disk_sim *sim, const char *name, const void *at, size_t bytes);
void disk_sim_put_irregular(struct disk_sim *sim, const char *name);
void disk_sim_take_away(struct disk_sim *sim, const char *name);
void disk_sim_cut(struct disk_sim *sim, const char *name, uint64_t bytes);
void disk_sim_flip(struct disk_sim *sim, const char *name, uint64_t offset, unsigned char mask);

/* The bytes that a process would see, until the next change; NULL: no such file. */
const unsigned char *disk_sim_bytes(const struct disk_sim *sim, const char *name, size_t *bytes);

/* The n-th name in the directory in no special order, or NULL. */
const char *disk_sim_name(const struct disk_sim *sim, size_t index);

#endif
