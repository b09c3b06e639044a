/* A simulated disk as a real directory, and back. */
#include "tests/support/sim_dir.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void sim_dir_write(const struct disk_sim *sim, const char *path)
{
    const char *name;
    ck_assert_int_eq(mkdir(path, 0700), 0);
    for (size_t i = 0; (name = disk_sim_name(sim, i)) != NULL; i++) {
        char full[512];
        size_t bytes;
        const unsigned char *at = disk_sim_bytes(sim, name, &bytes);
        (void)snprintf(full, sizeof full, "%s/%s", path, name);
        FILE *file = fopen(full, "wb");
        ck_assert_ptr_nonnull(file);
        ck_assert(bytes == 0 || fwrite(at, bytes, 1, file) == 1);
        ck_assert_int_eq(fclose(file), 0);
    }
}

static void read_file(struct disk_sim *sim, const char *path, const char *name)
{
    char full[512];
    struct stat found;
    (void)snprintf(full, sizeof full, "%s/%s", path, name);
    ck_assert_int_eq(stat(full, &found), 0);
    size_t bytes = (size_t)found.st_size;
    unsigned char *at = malloc(bytes + 1);
    FILE *file = fopen(full, "rb");
    ck_assert(at != NULL && file != NULL);
    ck_assert(bytes == 0 || fread(at, bytes, 1, file) == 1);
    ck_assert_int_eq(fclose(file), 0);
    disk_sim_put(sim, name, at, bytes);
    free(at);
}

typedef void (*entry_fn)(struct disk_sim *sim, const char *path, const char *name);

static void each_entry(struct disk_sim *sim, const char *path, entry_fn on_entry)
{
    DIR *listing = opendir(path);
    ck_assert_ptr_nonnull(listing);
    const struct dirent *entry;
    while ((entry = readdir(listing)) != NULL)
        if (entry->d_name[0] != '.')
            on_entry(sim, path, entry->d_name);
    (void)closedir(listing);
}

struct disk_sim *sim_dir_read(const char *path)
{
    struct disk_sim *sim = disk_sim_new(1);
    each_entry(sim, path, read_file);
    return sim;
}

static void remove_file(struct disk_sim *sim, const char *path, const char *name)
{
    char full[512];
    (void)sim;
    (void)snprintf(full, sizeof full, "%s/%s", path, name);
    (void)unlink(full);
}

void sim_dir_remove(const char *path)
{
    each_entry(NULL, path, remove_file);
    (void)rmdir(path);
}
