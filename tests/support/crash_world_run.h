/* What the crash programs have in common: their arguments, how long they run, and what they say. */
#ifndef HERALD_TEST_CRASH_WORLD_RUN_H
#define HERALD_TEST_CRASH_WORLD_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "protocol/status.h"

struct crash_run {
    const char *program;
    uint64_t seed;
    uint64_t cases;      /* to run, when no seconds are given */
    uint64_t seconds;    /* to run, or 0 */
    uint64_t life;       /* the only one to run; UINT64_MAX: all */
    uint64_t branch;     /* of it; UINT64_MAX: all */
    uint64_t violations; /* after so many it ends */
    struct timespec start;
    uint64_t told; /* seconds after which progress was told */
};

/* Reads the arguments, says the seed, and has the C library keep freed memory, which crash cases
 * want again at once. STATUS_BAD_VALUE: the usage was printed. */
enum status crash_run_begin(struct crash_run *run, const char *program, uint64_t cases, int count,
                            char **word);

/* Whether there is more to do; tells the progress of long runs every ten seconds. */
bool crash_run_goes_on(struct crash_run *run, uint64_t cases, uint64_t violations);

/* Prints the rate and what passed; returns the exit code. */
int crash_run_end(const struct crash_run *run, uint64_t cases, uint64_t violations);

#endif
