/* Listing a data directory. Names that are not the journal's are left alone. */
#include "broker/store/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/failure.h"
#include "broker/store/segment.h"

struct listing {
    struct directory *directory;
    char bad_name[64];
};

static int add(struct directory_entries *entries, uint64_t number, uint64_t bytes)
{
    if (entries->count == entries->capacity) {
        size_t capacity = entries->capacity == 0 ? 64 : 2 * entries->capacity;
        struct directory_entry *entry = realloc(entries->entry, capacity * sizeof *entry);
        if (entry == NULL)
            return -ENOMEM;
        entries->entry = entry;
        entries->capacity = capacity;
    }
    entries->entry[entries->count++] = (struct directory_entry){number, bytes};
    return 0;
}

static int on_name(void *argument, const char *name, uint64_t bytes)
{
    struct listing *listing = argument;
    uint64_t number;
    switch (segment_parse_name(name, &number)) {
    case NAME_SEGMENT:
        return add(&listing->directory->segments, number, bytes);
    case NAME_SPARE:
        return add(&listing->directory->spares, number, bytes);
    case NAME_MAKING:
        return add(&listing->directory->makings, number, bytes);
    case NAME_SEGMENT_BAD:
        (void)snprintf(listing->bad_name, sizeof listing->bad_name, "%s", name);
        return 0;
    case NAME_OTHER:
        return 0;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct directory_entry *left = a;
    const struct directory_entry *right = b;
    return left->number < right->number ? -1 : left->number > right->number;
}

static void sort(struct directory_entries *entries)
{
    if (entries->count > 0)
        qsort(entries->entry, entries->count, sizeof *entries->entry, compare);
}

enum status directory_read(struct directory *directory, const struct disk *disk,
                           struct journal_failure *failure)
{
    *directory = (struct directory){0};
    struct listing listing = {.directory = directory};
    int error = disk->list(disk->context, on_name, &listing);
    if (error == -ENOMEM)
        return failure_set(failure, STATUS_NO_MEMORY, "", error, "cannot list the data directory");
    if (error != 0)
        return failure_set(failure, STATUS_IO_ERROR, "", error, "cannot list the data directory");
    if (listing.bad_name[0] != '\0')
        return failure_set(failure, STATUS_CORRUPT, listing.bad_name, 0,
                           "a file with the name of a segment, but no segment's number");
    sort(&directory->segments);
    sort(&directory->spares);
    sort(&directory->makings);
    return STATUS_OK;
}

void directory_deinit(struct directory *directory)
{
    free(directory->segments.entry);
    free(directory->spares.entry);
    free(directory->makings.entry);
}
