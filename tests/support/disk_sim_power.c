/* The simulated disk over the end of a life: power loss by policy, kills, clones, and damage. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/disk_sim_state.h"

#define SECTOR_BYTES 512u

static const char *const policy_names[DISK_SIM_POLICIES] = {
    [DISK_SIM_NONE] = "none",
    [DISK_SIM_ALL] = "all",
    [DISK_SIM_PREFIX] = "prefix",
    [DISK_SIM_TORN] = "torn",
    [DISK_SIM_SECTORS] = "sectors",
    [DISK_SIM_GROWN_ZERO] = "grown-zero",
    [DISK_SIM_GROWN_GARBAGE] = "grown-garbage",
    [DISK_SIM_LAST_SECTOR] = "last-sector",
    [DISK_SIM_NAMES] = "names",
};

const char *disk_sim_policy_name(enum disk_sim_policy policy)
{
    return policy_names[policy];
}

/* One power loss while it happens. */
struct loss {
    enum disk_sim_policy policy;
    struct chance chance;
    uint64_t cut; /* of the order of changes, for policies that keep a prefix */
};

static void keep_sectors(struct loss *loss, struct sim_image *image, const struct sim_write *write)
{
    for (size_t at = 0; at < write->bytes;) {
        size_t bytes = SECTOR_BYTES - (write->offset + at) % SECTOR_BYTES;
        if (bytes > write->bytes - at)
            bytes = write->bytes - at;
        if (chance_below(&loss->chance, 2) == 0)
            sim_image_write(image, write->at + at, bytes, write->offset + at);
        at += bytes;
    }
}

static void keep_write(struct loss *loss, struct sim_image *image, const struct sim_write *write,
                       bool is_last)
{
    bool is_before = write->order < loss->cut;
    switch (loss->policy) {
    case DISK_SIM_NONE:
    case DISK_SIM_POLICIES:
        return;
    case DISK_SIM_ALL:
        sim_write_apply(image, write);
        return;
    case DISK_SIM_PREFIX:
        if (is_before)
            sim_write_apply(image, write);
        return;
    case DISK_SIM_TORN:
        if (is_before)
            sim_write_apply(image, write);
        else if (write->order == loss->cut && !write->is_resize)
            sim_image_write(image, write->at, chance_below(&loss->chance, write->bytes + 1),
                            write->offset);
        return;
    case DISK_SIM_SECTORS:
    case DISK_SIM_GROWN_ZERO:
    case DISK_SIM_GROWN_GARBAGE:
    case DISK_SIM_NAMES:
        if (!write->is_resize)
            keep_sectors(loss, image, write);
        else if (chance_below(&loss->chance, 2) == 0)
            sim_write_apply(image, write);
        return;
    case DISK_SIM_LAST_SECTOR:
        if (is_last && !write->is_resize) {
            size_t bytes = (write->offset + write->bytes - 1) % SECTOR_BYTES + 1;
            if (bytes > write->bytes)
                bytes = write->bytes;
            sim_image_write(image, write->at + write->bytes - bytes, bytes,
                            write->offset + write->bytes - bytes);
        }
        return;
    }
}

static void put_garbage(struct loss *loss, struct sim_image *image, size_t from)
{
    while (from < image->bytes) {
        uint64_t garbage = chance_next(&loss->chance);
        size_t bytes = image->bytes - from < sizeof garbage ? image->bytes - from : sizeof garbage;
        sim_image_write(image, (const unsigned char *)&garbage, bytes, from);
        from += bytes;
    }
}

static void lose_writes(struct loss *loss, struct sim_inode *inode)
{
    struct sim_image *image = &inode->durable;
    bool is_grown = loss->policy == DISK_SIM_GROWN_ZERO || loss->policy == DISK_SIM_GROWN_GARBAGE;
    if (is_grown && inode->current.bytes > image->bytes) {
        size_t from = image->bytes;
        sim_image_resize(image, inode->current.bytes);
        if (loss->policy == DISK_SIM_GROWN_GARBAGE)
            put_garbage(loss, image, from);
    }
    const struct sim_write *write;
    TAILQ_FOREACH (write, &inode->pending, link)
        keep_write(loss, image, write, TAILQ_NEXT(write, link) == NULL);
    sim_pending_clear(inode);
    sim_image_share(&inode->current, image);
}

static bool keeps_change(struct loss *loss, const struct sim_change *change)
{
    switch (loss->policy) {
    case DISK_SIM_NONE:
    case DISK_SIM_POLICIES:
        return false;
    case DISK_SIM_ALL:
        return true;
    case DISK_SIM_NAMES:
        return chance_below(&loss->chance, 2) == 0;
    case DISK_SIM_PREFIX:
    case DISK_SIM_TORN:
    case DISK_SIM_SECTORS:
    case DISK_SIM_GROWN_ZERO:
    case DISK_SIM_GROWN_GARBAGE:
    case DISK_SIM_LAST_SECTOR:
        return change->order < loss->cut;
    }
    return false;
}

static void copy_names(struct sim_names *to, const struct sim_names *from)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++)
        sim_entry_add(to, from->entry[i].name, from->entry[i].inode);
}

void disk_sim_kill(struct disk_sim *sim)
{
    sim->file_base += sim->file_count;
    sim->file_count = 0;
    sim->is_stopped = false;
    sim->crash_at = UINT64_MAX;
    sim->fail_error = 0;
}

static uint64_t oldest_pending(const struct disk_sim *sim)
{
    uint64_t oldest = sim->order;
    if (!TAILQ_EMPTY(&sim->changes))
        oldest = TAILQ_FIRST(&sim->changes)->order;
    for (size_t i = 0; i < sim->inode_count; i++) {
        const struct sim_write *write = TAILQ_FIRST(&sim->inodes[i]->pending);
        if (write != NULL && write->order < oldest)
            oldest = write->order;
    }
    return oldest;
}

void disk_sim_power_loss(struct disk_sim *sim, enum disk_sim_policy policy, uint64_t seed)
{
    struct loss loss = {.policy = policy, .chance = {seed}};
    uint64_t oldest = oldest_pending(sim);
    loss.cut = oldest + chance_below(&loss.chance, sim->order - oldest + 1);
    struct sim_change *change;
    TAILQ_FOREACH (change, &sim->changes, link)
        if (keeps_change(&loss, change))
            sim_change_apply(&sim->durable, change);
    sim_changes_clear(sim);
    for (size_t i = 0; i < sim->inode_count; i++)
        lose_writes(&loss, sim->inodes[i]);
    copy_names(&sim->current, &sim->durable);
    disk_sim_kill(sim);
}

void disk_sim_calm(struct disk_sim *sim)
{
    struct loss loss = {.policy = DISK_SIM_ALL};
    struct sim_change *change;
    TAILQ_FOREACH (change, &sim->changes, link)
        sim_change_apply(&sim->durable, change);
    sim_changes_clear(sim);
    for (size_t i = 0; i < sim->inode_count; i++)
        lose_writes(&loss, sim->inodes[i]);
}

static void clone_inode(struct disk_sim *clone, const struct sim_inode *from)
{
    struct sim_inode *to = clone->inodes[from->index];
    if (to->is_copied)
        return;
    to->is_copied = true;
    to->is_irregular = from->is_irregular;
    sim_image_share(&to->current, &from->current);
    sim_image_share(&to->durable, &from->durable);
    const struct sim_write *write;
    TAILQ_FOREACH (write, &from->pending, link) {
        struct sim_write *copy = malloc(sizeof *copy);
        assert(copy != NULL);
        *copy = *write;
        if (copy->held != NULL)
            copy->held->ref_count++;
        TAILQ_INSERT_TAIL(&to->pending, copy, link);
    }
}

static void clone_names(struct disk_sim *clone, struct sim_names *to, const struct sim_names *from)
{
    for (size_t i = 0; i < from->count; i++)
        sim_entry_add(to, from->entry[i].name, clone->inodes[from->entry[i].inode->index]);
}

struct disk_sim *disk_sim_clone(const struct disk_sim *sim)
{
    struct disk_sim *clone = disk_sim_new(sim->chance.state);
    assert(clone != NULL);
    clone->inode_count = sim->inode_count;
    clone->inodes = calloc(sim->inode_count + 1, sizeof(struct sim_inode *));
    assert(clone->inodes != NULL);
    for (size_t i = 0; i < sim->inode_count; i++) {
        clone->inodes[i] = calloc(1, sizeof *clone->inodes[i]);
        assert(clone->inodes[i] != NULL);
        TAILQ_INIT(&clone->inodes[i]->pending);
        clone->inodes[i]->index = i;
    }
    /* What has no name any more is not worth a copy. */
    for (size_t i = 0; i < sim->current.count; i++)
        clone_inode(clone, sim->current.entry[i].inode);
    for (size_t i = 0; i < sim->durable.count; i++)
        clone_inode(clone, sim->durable.entry[i].inode);
    const struct sim_change *change;
    TAILQ_FOREACH (change, &sim->changes, link)
        if (change->inode != NULL)
            clone_inode(clone, change->inode);
    clone_names(clone, &clone->current, &sim->current);
    clone_names(clone, &clone->durable, &sim->durable);
    TAILQ_FOREACH (change, &sim->changes, link) {
        struct sim_change *copy = malloc(sizeof *copy);
        assert(copy != NULL);
        *copy = *change;
        copy->inode = change->inode != NULL ? clone->inodes[change->inode->index] : NULL;
        TAILQ_INSERT_TAIL(&clone->changes, copy, link);
    }
    clone->order = sim->order;
    clone->short_every = sim->short_every;
    clone->room_bytes = sim->room_bytes;
    return clone;
}

static struct sim_inode *find(const struct disk_sim *sim, const char *name)
{
    for (size_t i = 0; i < sim->current.count; i++)
        if (strcmp(sim->current.entry[i].name, name) == 0)
            return sim->current.entry[i].inode;
    return NULL;
}

/* The inode of a name that is there. */
static struct sim_inode *get(const struct disk_sim *sim, const char *name)
{
    struct sim_inode *inode = find(sim, name);
    assert(inode != NULL);
    return inode;
}

bool disk_sim_has(const struct disk_sim *sim, const char *name)
{
    return find(sim, name) != NULL;
}

uint64_t disk_sim_size(const struct disk_sim *sim, const char *name)
{
    return get(sim, name)->current.bytes;
}

static struct sim_inode *put(struct disk_sim *sim, const char *name)
{
    disk_sim_calm(sim);
    int file = sim->disk.open(sim, name, DISK_OPEN_CREATE);
    assert(file >= 0);
    (void)sim->disk.close(sim, file);
    disk_sim_calm(sim);
    return get(sim, name);
}

void disk_sim_put(struct disk_sim *sim, const char *name, const void *at, size_t bytes)
{
    struct sim_inode *inode = put(sim, name);
    sim_image_write(&inode->current, at, bytes, 0);
    sim_image_write(&inode->durable, at, bytes, 0);
}

void disk_sim_put_irregular(struct disk_sim *sim, const char *name)
{
    put(sim, name)->is_irregular = true;
}

void disk_sim_take_away(struct disk_sim *sim, const char *name)
{
    disk_sim_calm(sim);
    sim_entry_remove(&sim->current, name);
    sim_entry_remove(&sim->durable, name);
}

void disk_sim_cut(struct disk_sim *sim, const char *name, uint64_t bytes)
{
    disk_sim_calm(sim);
    struct sim_inode *inode = get(sim, name);
    sim_image_resize(&inode->current, (size_t)bytes);
    sim_image_resize(&inode->durable, (size_t)bytes);
}

static void flip(struct sim_image *image, size_t offset, unsigned char mask)
{
    unsigned char byte;
    sim_image_read(image, &byte, 1, offset);
    byte ^= mask;
    sim_image_write(image, &byte, 1, offset);
}

void disk_sim_flip(struct disk_sim *sim, const char *name, uint64_t offset, unsigned char mask)
{
    struct sim_inode *inode = get(sim, name);
    flip(&inode->current, (size_t)offset, mask);
    if (offset < inode->durable.bytes)
        flip(&inode->durable, (size_t)offset, mask);
}

const unsigned char *disk_sim_bytes(const struct disk_sim *sim, const char *name, size_t *bytes)
{
    struct sim_inode *inode = find(sim, name);
    if (inode == NULL)
        return NULL;
    *bytes = inode->current.bytes;
    inode->flat = realloc(inode->flat, *bytes + 1);
    assert(inode->flat != NULL);
    sim_image_read(&inode->current, inode->flat, *bytes, 0);
    return inode->flat;
}

const char *disk_sim_name(const struct disk_sim *sim, size_t index)
{
    return index < sim->current.count ? sim->current.entry[index].name : NULL;
}
