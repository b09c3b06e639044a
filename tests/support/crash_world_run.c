/* The frame of a crash program. */
#include "tests/support/crash_world_run.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRESS_SECONDS = 10, KEPT_BYTES = 256 << 20 };

static uint64_t *argument(struct crash_run *run, const char *word)
{
    return strcmp(word, "--cases") == 0        ? &run->cases
           : strcmp(word, "--seconds") == 0    ? &run->seconds
           : strcmp(word, "--seed") == 0       ? &run->seed
           : strcmp(word, "--life") == 0       ? &run->life
           : strcmp(word, "--branch") == 0     ? &run->branch
           : strcmp(word, "--violations") == 0 ? &run->violations
                                               : NULL;
}

enum status crash_run_begin(struct crash_run *run, const char *program, uint64_t cases, int count,
                            char **word)
{
    *run = (struct crash_run){.program = program,
                              .seed = 1,
                              .cases = cases,
                              .life = UINT64_MAX,
                              .branch = UINT64_MAX,
                              .violations = UINT64_MAX};
    for (int i = 1; i < count; i += 2) {
        uint64_t *value = argument(run, word[i]);
        char *end = NULL;
        if (value != NULL && i + 1 < count)
            *value = strtoull(word[i + 1], &end, 10);
        if (end != NULL && *end == '\0')
            continue;
        (void)fprintf(stderr,
                      "usage: %s [--cases N] [--seconds S] [--seed S] [--life L] "
                      "[--branch B] [--violations N]\n",
                      program);
        return STATUS_BAD_VALUE;
    }
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    (void)mallopt(M_TOP_PAD, 1 << 20);
    (void)clock_gettime(CLOCK_MONOTONIC, &run->start);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %" PRIu64 "\n", run->seed);
    return STATUS_OK;
}

static double elapsed(const struct crash_run *run)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - run->start.tv_sec) +
           (double)(now.tv_nsec - run->start.tv_nsec) / 1e9;
}

static void tell(const struct crash_run *run, uint64_t cases, uint64_t violations)
{
    double seconds = elapsed(run);
    printf("%s --seed %" PRIu64 ": %" PRIu64 " cases in %.0f s (%.0f/s), %" PRIu64 " violations\n",
           run->program, run->seed, cases, seconds, (double)cases / (seconds + 0.001), violations);
}

bool crash_run_goes_on(struct crash_run *run, uint64_t cases, uint64_t violations)
{
    if (violations >= run->violations)
        return false;
    uint64_t seconds = (uint64_t)elapsed(run);
    if (seconds >= run->told + PROGRESS_SECONDS) {
        run->told = seconds;
        tell(run, cases, violations);
    }
    return run->seconds > 0 ? seconds < run->seconds : cases < run->cases;
}

int crash_run_end(const struct crash_run *run, uint64_t cases, uint64_t violations)
{
    tell(run, cases, violations);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", cases - violations, violations);
    return violations == 0 ? 0 : 1;
}
