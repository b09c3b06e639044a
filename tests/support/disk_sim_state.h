/* What the simulated disk is made of; for its own files only. */
#ifndef HERALD_TEST_DISK_SIM_STATE_H
#define HERALD_TEST_DISK_SIM_STATE_H

#include <sys/queue.h>

#include "tests/support/chance.h"
#include "tests/support/disk_sim.h"

#define SIM_NAME_BYTES 64

#define SIM_PAGE_BYTES 4096u

struct sim_page;

struct sim_image {
    struct sim_page **page;
    size_t bytes;
    size_t room; /* pages */
};

/* What a write brought; clones of a disk share it. */
struct sim_bytes {
    size_t ref_count;
    unsigned char at[];
};

/* A write, or a change of size to `offset`, that no sync has taken over yet. */
struct sim_write {
    TAILQ_ENTRY(sim_write) link;
    struct sim_bytes *held; /* NULL: a change of size */
    const unsigned char *at;
    size_t bytes;
    size_t offset;
    uint64_t order;
    bool is_resize;
};

struct sim_inode {
    struct sim_image current;
    struct sim_image durable;
    TAILQ_HEAD(, sim_write) pending;
    unsigned char *flat; /* for disk_sim_bytes */
    size_t index;
    bool is_irregular;
    bool is_copied; /* into this clone, while it is made */
};

struct sim_entry {
    char name[SIM_NAME_BYTES];
    struct sim_inode *inode;
};

struct sim_names {
    struct sim_entry *entry;
    size_t count;
};

/* A creation (no from), a removal (no to) or a renaming. */
struct sim_change {
    TAILQ_ENTRY(sim_change) link;
    char from[SIM_NAME_BYTES];
    char to[SIM_NAME_BYTES];
    struct sim_inode *inode;
    uint64_t order;
};

struct disk_sim {
    struct disk disk;
    struct chance chance;
    struct sim_inode **inodes; /* all there ever were in this life */
    size_t inode_count;
    struct sim_names current;
    struct sim_names durable;
    TAILQ_HEAD(, sim_change) changes;
    struct sim_inode **files; /* by descriptor - file_base; NULL: closed */
    int file_base;
    int file_count;
    uint64_t order; /* of the next pending change */
    uint64_t operation;
    uint64_t change_count;
    uint64_t write_count;
    uint64_t crash_at;
    uint64_t fail_at;
    unsigned fail_kinds;
    enum disk_sim_repeat fail_repeat;
    int fail_error;
    bool has_failed;
    bool is_stopped;
    uint64_t short_every;
    uint64_t room_bytes;
    disk_sim_operation_fn on_operation;
    void *on_operation_argument;
};

void sim_image_resize(struct sim_image *image, size_t bytes);
void sim_image_write(struct sim_image *image, const unsigned char *at, size_t bytes, size_t offset);
void sim_image_read(const struct sim_image *image, unsigned char *at, size_t bytes, size_t offset);
/* The same bytes; pages are copied when one of both writes. */
void sim_image_share(struct sim_image *to, const struct sim_image *from);
void sim_image_free(struct sim_image *image);
void sim_write_apply(struct sim_image *image, const struct sim_write *write);
void sim_pending_clear(struct sim_inode *inode);
struct sim_entry *sim_entry_find(struct sim_names *names, const char *name);
void sim_entry_add(struct sim_names *names, const char *name, struct sim_inode *inode);
void sim_entry_remove(struct sim_names *names, const char *name);
void sim_change_apply(struct sim_names *names, const struct sim_change *change);
void sim_changes_clear(struct disk_sim *sim);

#endif
