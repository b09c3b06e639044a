/* herald bench publish: events, confirmed, to many live subscribers, all of whom hear all of them.
 * With --history the exchange keeps the events, and nobody listens unless asked to. */
#include "client-lib/cli/verbs.h"

#include <string.h>

#include "client-lib/cli/bench_events.h"

enum { COUNT = 200000, SUBSCRIBERS = 10, HISTORY_IN_FLIGHT = 1024 };

static void make_pattern(int64_t number, char pattern[AUDIENCE_PATTERN_BYTES])
{
    (void)number;
    memcpy(pattern, "bench.#", sizeof "bench.#");
}

static const char *key_of(void *context, int64_t number)
{
    (void)context;
    (void)number;
    return "bench.event";
}

static int64_t wanted_of(void *context, int64_t number)
{
    (void)number;
    return *(const int64_t *)context;
}

int verb_bench_publish(const struct arguments *arguments)
{
    bool is_kept = arguments_has(arguments, OPTION_HISTORY);
    int64_t subscribers =
        arguments_number(arguments, OPTION_SUBSCRIBERS, is_kept ? 0 : SUBSCRIBERS);
    const struct bench_events bench = {
        .name = "bench publish",
        .count = COUNT,
        .connections = subscribers,
        .subscriptions = subscribers,
        .in_flight = is_kept ? HISTORY_IN_FLIGHT : 0,
        .is_kept = is_kept,
        .make_pattern = make_pattern,
        .key_of = key_of,
        .wanted_of = wanted_of,
        .context = &subscribers,
    };
    return bench_events_run(&bench, arguments);
}
