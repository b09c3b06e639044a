/* What the benches of events have in common: one publisher, an audience, and the figures.
 *
 * The time ends when every subscriber has heard of every event that is for it, be it that it was
 * too slow and missed it.
 */
#ifndef HERALD_CLI_BENCH_EVENTS_H
#define HERALD_CLI_BENCH_EVENTS_H

#include "client-lib/cli/arguments.h"
#include "client-lib/cli/audience.h"

struct bench_events {
    const char *name;      /* "bench publish" */
    int64_t count;         /* events, when the command line does not say */
    int64_t connections;   /* 0: nobody listens */
    int64_t subscriptions; /* of all of them */
    int64_t in_flight;     /* when the command line does not say; 0: as usual */
    bool is_kept;          /* the exchange keeps its events */
    void (*make_pattern)(int64_t number, char pattern[AUDIENCE_PATTERN_BYTES]);
    const char *(*key_of)(void *context, int64_t number); /* of the event of this number */
    int64_t (*wanted_of)(void *context, int64_t number);  /* how many are to hear it */
    void *context;
};

/* The whole verb. Returns the exit code. */
int bench_events_run(const struct bench_events *bench, const struct arguments *arguments);

#endif
