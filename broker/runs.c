/* Sets of sequences as runs. */
#include "broker/runs.h"

#include <stdlib.h>
#include <string.h>

void runs_deinit(struct runs *runs)
{
    free(runs->run);
    *runs = (struct runs){0};
}

/* The index of the first run that ends at or behind the sequence. */
static size_t find_index(const struct runs *runs, uint64_t sequence)
{
    size_t low = 0;
    size_t high = runs->count;
    if (high > 0 && runs->run[high - 1].last < sequence)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (runs->run[middle].last < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum status reserve(struct runs *runs)
{
    if (runs->count < runs->room)
        return STATUS_OK;
    size_t room = runs->room > 0 ? 2 * runs->room : 16;
    struct run *run = realloc(runs->run, room * sizeof *run);
    if (run == NULL)
        return STATUS_NO_MEMORY;
    runs->run = run;
    runs->room = room;
    return STATUS_OK;
}

enum status runs_add(struct runs *runs, uint64_t first, uint64_t last)
{
    /* What touches the new run becomes part of it. */
    size_t from = find_index(runs, first > 0 ? first - 1 : 0);
    size_t to = from;
    if (reserve(runs) != STATUS_OK)
        return STATUS_NO_MEMORY;
    for (; to < runs->count && (last == UINT64_MAX || runs->run[to].first <= last + 1); to++) {
        if (runs->run[to].first < first)
            first = runs->run[to].first;
        if (runs->run[to].last > last)
            last = runs->run[to].last;
    }
    memmove(runs->run + from + 1, runs->run + to, (runs->count - to) * sizeof *runs->run);
    runs->count = runs->count - (to - from) + 1;
    runs->run[from] = (struct run){first, last};
    return STATUS_OK;
}

const struct run *runs_find_from(const struct runs *runs, uint64_t sequence)
{
    size_t index = find_index(runs, sequence);
    return index < runs->count ? &runs->run[index] : NULL;
}

const struct run *runs_find(const struct runs *runs, uint64_t sequence)
{
    const struct run *run = runs_find_from(runs, sequence);
    return run != NULL && run->first <= sequence ? run : NULL;
}

uint64_t runs_count(const struct runs *runs, uint64_t first, uint64_t last)
{
    uint64_t count = 0;
    for (size_t i = find_index(runs, first); i < runs->count && runs->run[i].first <= last; i++) {
        const struct run *run = &runs->run[i];
        count +=
            (run->last < last ? run->last : last) - (run->first > first ? run->first : first) + 1;
    }
    return count;
}

void runs_each_gap(const struct runs *runs, struct run within, runs_gap_fn on_gap, void *argument)
{
    uint64_t next = within.first;
    for (size_t i = find_index(runs, next); next <= within.last; i++) {
        const struct run *run = i < runs->count ? &runs->run[i] : NULL;
        if (run == NULL || run->first > within.last) {
            on_gap(argument, next, within.last);
            return;
        }
        if (run->first > next)
            on_gap(argument, next, run->first - 1);
        if (run->last >= within.last)
            return;
        next = run->last + 1;
    }
}
