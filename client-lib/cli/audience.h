/* The live subscribers of a bench, in processes of their own; what they heard stands in memory that
 * is shared with them.
 *
 * Each event carries the time it was sent at in its first bytes.
 */
#ifndef HERALD_CLI_AUDIENCE_H
#define HERALD_CLI_AUDIENCE_H

#include "client-lib/cli/helpers.h"
#include "client-lib/cli/histogram.h"
#include "client-lib/herald.h"

enum { AUDIENCE_PATTERN_BYTES = 64 };

struct audience_plan {
    const struct herald_options *options;
    const char *exchange;
    int64_t connections;
    int64_t subscriptions; /* of all connections together, shared out evenly */
    void (*make_pattern)(int64_t number, char pattern[AUDIENCE_PATTERN_BYTES]);
};

struct audience {
    struct helpers helpers;
    struct audience_share *shares; /* one for each helper */
    int64_t connections_each;
    struct audience_plan plan;
};

/* Returns the exit code, which it has explained; audience_stop must be called in any case. */
int audience_start(struct audience *audience, const struct audience_plan *plan);
void audience_stop(struct audience *audience);

/* Events that were handed out, and those that were missed for slowness, so far. */
int64_t audience_heard(const struct audience *audience);
int64_t audience_missed(const struct audience *audience);

/* How long one in 16 of them took. */
void audience_times(const struct audience *audience, struct histogram *heard_ns);

#endif
