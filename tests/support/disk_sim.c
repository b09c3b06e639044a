/* The simulated disk: the calls of a disk, and what makes them fail. Power loss is in
 * disk_sim_power.c. */
#include "tests/support/disk_sim.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/disk_sim_state.h"

static struct sim_inode *inode_new(struct disk_sim *sim)
{
    sim->inodes = realloc(sim->inodes, (sim->inode_count + 1) * sizeof(struct sim_inode *));
    struct sim_inode *inode = calloc(1, sizeof *inode);
    assert(sim->inodes != NULL && inode != NULL);
    inode->index = sim->inode_count;
    sim->inodes[sim->inode_count++] = inode;
    return inode;
}

static void write_free(struct sim_write *write)
{
    if (write->held != NULL && --write->held->ref_count == 0)
        free(write->held);
    free(write);
}

void sim_pending_clear(struct sim_inode *inode)
{
    struct sim_write *write;
    while ((write = TAILQ_FIRST(&inode->pending)) != NULL) {
        TAILQ_REMOVE(&inode->pending, write, link);
        write_free(write);
    }
}

void sim_write_apply(struct sim_image *image, const struct sim_write *write)
{
    if (write->is_resize)
        sim_image_resize(image, write->offset);
    else
        sim_image_write(image, write->at, write->bytes, write->offset);
}

static void remember(struct disk_sim *sim, struct sim_inode *inode, const struct sim_write *change)
{
    struct sim_write *write = malloc(sizeof *write);
    assert(write != NULL);
    *write = *change;
    if (!change->is_resize) {
        write->held = malloc(sizeof *write->held + change->bytes);
        assert(write->held != NULL);
        write->held->ref_count = 1;
        memcpy(write->held->at, change->at, change->bytes);
        write->at = write->held->at;
    }
    write->order = sim->order++;
    TAILQ_INSERT_TAIL(&inode->pending, write, link);
    sim_write_apply(&inode->current, write);
}

struct sim_entry *sim_entry_find(struct sim_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->entry[i].name, name) == 0)
            return &names->entry[i];
    return NULL;
}

void sim_entry_remove(struct sim_names *names, const char *name)
{
    struct sim_entry *entry = sim_entry_find(names, name);
    if (entry != NULL)
        *entry = names->entry[--names->count];
}

void sim_entry_add(struct sim_names *names, const char *name, struct sim_inode *inode)
{
    sim_entry_remove(names, name);
    names->entry = realloc(names->entry, (names->count + 1) * sizeof *names->entry);
    assert(names->entry != NULL);
    struct sim_entry *entry = &names->entry[names->count++];
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->inode = inode;
}

void sim_change_apply(struct sim_names *names, const struct sim_change *change)
{
    if (change->from[0] != '\0')
        sim_entry_remove(names, change->from);
    if (change->to[0] != '\0')
        sim_entry_add(names, change->to, change->inode);
}

static void change_names(struct disk_sim *sim, const char *from, const char *to,
                         struct sim_inode *inode)
{
    struct sim_change *change = calloc(1, sizeof *change);
    assert(change != NULL);
    (void)snprintf(change->from, sizeof change->from, "%s", from);
    (void)snprintf(change->to, sizeof change->to, "%s", to);
    change->inode = inode;
    change->order = sim->order++;
    TAILQ_INSERT_TAIL(&sim->changes, change, link);
    sim_change_apply(&sim->current, change);
}

/* Counts an operation; an error if it is to fail. */
static int operate(struct disk_sim *sim, enum disk_sim_operation kind)
{
    if (sim->is_stopped || sim->operation == sim->crash_at) {
        sim->is_stopped = true;
        return -EIO;
    }
    if (sim->on_operation != NULL)
        sim->on_operation(sim->on_operation_argument);
    uint64_t operation = sim->operation++;
    if (kind != DISK_SIM_READ && kind != DISK_SIM_LIST && kind != DISK_SIM_OPEN)
        sim->change_count++;
    if (sim->fail_error == 0 || operation < sim->fail_at || (sim->fail_kinds & kind) == 0)
        return 0;
    if (sim->has_failed && sim->fail_repeat == DISK_SIM_ONCE)
        return 0;
    sim->has_failed = true;
    return -sim->fail_error;
}

static struct sim_inode *inode_of(struct disk_sim *sim, int file)
{
    int index = file - sim->file_base;
    if (index < 0 || index >= sim->file_count)
        return NULL;
    return sim->files[index];
}

static int sim_open(void *context, const char *name, enum disk_open_mode mode)
{
    struct disk_sim *sim = context;
    int error = operate(sim, DISK_SIM_OPEN);
    if (error != 0)
        return error;
    const struct sim_entry *entry = sim_entry_find(&sim->current, name);
    struct sim_inode *inode = entry != NULL ? entry->inode : NULL;
    if (mode == DISK_OPEN_CREATE) {
        if (inode != NULL)
            return -EEXIST;
        inode = inode_new(sim);
        TAILQ_INIT(&inode->pending);
        change_names(sim, "", name, inode);
        sim->change_count++;
    }
    if (inode == NULL)
        return -ENOENT;
    if (inode->is_irregular)
        return -EINVAL;
    sim->files = realloc(sim->files, ((size_t)sim->file_count + 1) * sizeof(struct sim_inode *));
    assert(sim->files != NULL);
    sim->files[sim->file_count] = inode;
    return sim->file_base + sim->file_count++;
}

static int sim_close(void *context, int file)
{
    struct disk_sim *sim = context;
    if (inode_of(sim, file) == NULL)
        return -EBADF;
    sim->files[file - sim->file_base] = NULL;
    return 0;
}

static int64_t sim_read(void *context, int file, void *at, size_t bytes, uint64_t offset)
{
    struct disk_sim *sim = context;
    int error = operate(sim, DISK_SIM_READ);
    if (error != 0)
        return error;
    const struct sim_inode *inode = inode_of(sim, file);
    if (inode == NULL)
        return -EBADF;
    if (offset >= inode->current.bytes)
        return 0;
    size_t left = inode->current.bytes - (size_t)offset;
    size_t count = bytes < left ? bytes : left;
    sim_image_read(&inode->current, at, count, (size_t)offset);
    return (int64_t)count;
}

uint64_t disk_sim_used(const struct disk_sim *sim)
{
    uint64_t used = 0;
    for (size_t i = 0; i < sim->current.count; i++)
        used += sim->current.entry[i].inode->current.bytes;
    return used;
}

static bool has_room(const struct disk_sim *sim, const struct sim_inode *inode, uint64_t end)
{
    if (end <= inode->current.bytes || sim->room_bytes == UINT64_MAX)
        return true;
    return disk_sim_used(sim) + (end - inode->current.bytes) <= sim->room_bytes;
}

static int64_t sim_write(void *context, int file, const void *at, size_t bytes, uint64_t offset)
{
    struct disk_sim *sim = context;
    int error = operate(sim, DISK_SIM_WRITE);
    struct sim_inode *inode = inode_of(sim, file);
    if (sim->is_stopped || inode == NULL)
        return error != 0 ? error : -EBADF;
    if (error == 0 && !has_room(sim, inode, offset + bytes))
        return -ENOSPC;
    sim->write_count++;
    if (error != 0 || (sim->short_every != 0 && sim->write_count % sim->short_every == 0))
        bytes = (bytes + 1) / 2;
    struct sim_write write = {.at = at, .bytes = bytes, .offset = (size_t)offset};
    remember(sim, inode, &write);
    return error != 0 ? error : (int64_t)bytes;
}

static int sim_sync(void *context, int file)
{
    struct disk_sim *sim = context;
    int error = operate(sim, DISK_SIM_SYNC);
    struct sim_inode *inode = inode_of(sim, file);
    if (sim->is_stopped || inode == NULL)
        return error != 0 ? error : -EBADF;
    const struct sim_write *write;
    TAILQ_FOREACH (write, &inode->pending, link)
        if (error == 0 || chance_below(&sim->chance, 2) == 0)
            sim_write_apply(&inode->durable, write);
    sim_pending_clear(inode);
    return error;
}

void sim_changes_clear(struct disk_sim *sim)
{
    struct sim_change *change;
    while ((change = TAILQ_FIRST(&sim->changes)) != NULL) {
        TAILQ_REMOVE(&sim->changes, change, link);
        free(change);
    }
}

static void settle_names(struct disk_sim *sim)
{
    const struct sim_change *change;
    TAILQ_FOREACH (change, &sim->changes, link)
        sim_change_apply(&sim->durable, change);
    sim_changes_clear(sim);
}

static void sim_forget(void *context, int file, uint64_t offset, uint64_t bytes)
{
    (void)context, (void)file, (void)offset, (void)bytes;
}

static int sim_sync_directory(void *context)
{
    struct disk_sim *sim = context;
    int error = operate(sim, DISK_SIM_SYNC_DIRECTORY);
    if (error == 0)
        settle_names(sim);
    return error;
}

static int resize(struct disk_sim *sim, int file, uint64_t bytes, bool may_shrink)
{
    int error = operate(sim, DISK_SIM_ALLOCATE);
    struct sim_inode *inode = inode_of(sim, file);
    if (error != 0 || inode == NULL)
        return error != 0 ? error : -EBADF;
    if (!has_room(sim, inode, bytes))
        return -ENOSPC;
    if (bytes < inode->current.bytes && !may_shrink)
        return 0;
    struct sim_write write = {.offset = (size_t)bytes, .is_resize = true};
    remember(sim, inode, &write);
    return 0;
}

static int sim_allocate(void *context, int file, uint64_t bytes)
{
    return resize(context, file, bytes, false);
}

static int sim_truncate(void *context, int file, uint64_t bytes)
{
    return resize(context, file, bytes, true);
}

static int sim_rename(void *context, const char *from, const char *to)
{
    struct disk_sim *sim = context;
    int error = operate(sim, DISK_SIM_REMOVE);
    if (error != 0)
        return error;
    const struct sim_entry *entry = sim_entry_find(&sim->current, from);
    if (entry == NULL)
        return -ENOENT;
    change_names(sim, from, to, entry->inode);
    return 0;
}

static int sim_remove(void *context, const char *name)
{
    struct disk_sim *sim = context;
    int error = operate(sim, DISK_SIM_REMOVE);
    if (error != 0)
        return error;
    if (sim_entry_find(&sim->current, name) == NULL)
        return -ENOENT;
    change_names(sim, name, "", NULL);
    return 0;
}

static int sim_list(void *context, disk_list_fn on_name, void *argument)
{
    struct disk_sim *sim = context;
    int result = operate(sim, DISK_SIM_LIST);
    for (size_t i = 0; i < sim->current.count && result == 0; i++)
        result = on_name(argument, sim->current.entry[i].name,
                         sim->current.entry[i].inode->current.bytes);
    return result;
}

static int sim_space(void *context, uint64_t *free_bytes)
{
    struct disk_sim *sim = context;
    uint64_t used = disk_sim_used(sim);
    *free_bytes = sim->room_bytes > used ? sim->room_bytes - used : 0;
    return sim->is_stopped ? -EIO : 0;
}

static int sim_random(void *context, unsigned char salt[16])
{
    struct disk_sim *sim = context;
    for (size_t i = 0; i < 16; i++)
        salt[i] = (unsigned char)chance_next(&sim->chance);
    return 0;
}

static const struct disk calls = {
    .open = sim_open,
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .forget = sim_forget,
    .sync_directory = sim_sync_directory,
    .allocate = sim_allocate,
    .truncate = sim_truncate,
    .rename = sim_rename,
    .remove = sim_remove,
    .list = sim_list,
    .space = sim_space,
    .random = sim_random,
};

struct disk_sim *disk_sim_new(uint64_t seed)
{
    struct disk_sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL)
        return NULL;
    sim->disk = calls;
    sim->disk.context = sim;
    sim->chance.state = seed;
    sim->crash_at = UINT64_MAX;
    sim->room_bytes = UINT64_MAX;
    TAILQ_INIT(&sim->changes);
    return sim;
}

void disk_sim_free(struct disk_sim *sim)
{
    if (sim == NULL)
        return;
    for (size_t i = 0; i < sim->inode_count; i++) {
        sim_pending_clear(sim->inodes[i]);
        sim_image_free(&sim->inodes[i]->current);
        sim_image_free(&sim->inodes[i]->durable);
        free(sim->inodes[i]->flat);
        free(sim->inodes[i]);
    }
    sim_changes_clear(sim);
    free(sim->inodes);
    free(sim->files);
    free(sim->current.entry);
    free(sim->durable.entry);
    free(sim);
}

const struct disk *disk_sim_disk(struct disk_sim *sim)
{
    return &sim->disk;
}

uint64_t disk_sim_operations(const struct disk_sim *sim)
{
    return sim->operation;
}

uint64_t disk_sim_changes(const struct disk_sim *sim)
{
    return sim->change_count;
}

void disk_sim_crash_at(struct disk_sim *sim, uint64_t operation)
{
    sim->crash_at = operation;
}

bool disk_sim_is_stopped(const struct disk_sim *sim)
{
    return sim->is_stopped;
}

void disk_sim_listen(struct disk_sim *sim, disk_sim_operation_fn on_operation, void *argument)
{
    sim->on_operation = on_operation;
    sim->on_operation_argument = argument;
}

void disk_sim_fail_at(struct disk_sim *sim, uint64_t operation, unsigned kinds,
                      enum disk_sim_repeat repeat, int error)
{
    sim->fail_at = operation;
    sim->fail_kinds = kinds;
    sim->fail_repeat = repeat;
    sim->fail_error = error;
    sim->has_failed = false;
}

bool disk_sim_has_failed(const struct disk_sim *sim)
{
    return sim->has_failed;
}

void disk_sim_short_writes(struct disk_sim *sim, uint64_t every)
{
    sim->short_every = every;
}

void disk_sim_set_room(struct disk_sim *sim, uint64_t bytes)
{
    sim->room_bytes = bytes;
}
