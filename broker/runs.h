/* Sets of sequences as runs: what survives of a history, and what does not. */
#ifndef HERALD_RUNS_H
#define HERALD_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

struct run {
    uint64_t first;
    uint64_t last;
};

/* In order, neither overlapping nor touching. All zero: empty. */
struct runs {
    struct run *run;
    size_t count;
    size_t room;
};

void runs_deinit(struct runs *runs);

/* `first` is not above `last`. STATUS_NO_MEMORY. */
enum status runs_add(struct runs *runs, uint64_t first, uint64_t last);

/* The run that holds the sequence; NULL: none does. */
const struct run *runs_find(const struct runs *runs, uint64_t sequence);

/* The first run that ends at or behind the sequence; NULL: none does. */
const struct run *runs_find_from(const struct runs *runs, uint64_t sequence);

/* How many sequences from `first` to `last` are in it. */
uint64_t runs_count(const struct runs *runs, uint64_t first, uint64_t last);

/* Calls `on_gap` for each run of sequences from `first` to `last` that are not in it. */
typedef void (*runs_gap_fn)(void *argument, uint64_t first, uint64_t last);
void runs_each_gap(const struct runs *runs, struct run within, runs_gap_fn on_gap, void *argument);

#endif
