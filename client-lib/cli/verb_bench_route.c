/* herald bench route: events with many different keys, of which each subscriber wants a few.
 *
 * A key is "bench.A.B.C.D", its words being the digits of its number in a base that is just large
 * enough; a pattern leaves one of the four open and says the other three. So each event is for
 * about one of the subscriptions.
 */
#include "client-lib/cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client-lib/cli/bench_events.h"
#include "client-lib/cli/report.h"

enum {
    COUNT = 1000000,
    SUBSCRIBERS = 16,
    PATTERNS = 10000,
    KEYS = 200000,
    DIGITS = 4,
    BASE = 22, /* 22^4 is more than KEYS */
    KEY_BYTES = 32,
    STEP = 100003, /* a prime that does not divide KEYS: keys come in no order */
};

struct bench_route {
    char (*keys)[KEY_BYTES];
};

static int digit_of(int64_t number, int place)
{
    for (; place > 0; place--)
        number /= BASE;
    return (int)(number % BASE);
}

/* The pattern of this number leaves the word of this place open: */
static int open_place(int64_t pattern)
{
    return (int)(pattern % DIGITS);
}

static void make_pattern(int64_t number, char pattern[AUDIENCE_PATTERN_BYTES])
{
    size_t bytes = (size_t)snprintf(pattern, AUDIENCE_PATTERN_BYTES, "bench");
    int given = 0;
    for (int place = 0; place < DIGITS; place++) {
        if (place == open_place(number))
            bytes += (size_t)snprintf(pattern + bytes, AUDIENCE_PATTERN_BYTES - bytes, ".%s",
                                      place == DIGITS - 1 ? "#" : "*");
        else
            bytes += (size_t)snprintf(pattern + bytes, AUDIENCE_PATTERN_BYTES - bytes, ".w%d",
                                      digit_of(number / DIGITS, given++));
    }
}

static int64_t number_of(int64_t event)
{
    return event * STEP % KEYS;
}

static const char *key_of(void *context, int64_t event)
{
    const struct bench_route *bench = context;
    return bench->keys[event % KEYS];
}

/* How many of the patterns match: the one that leaves a word open and has the others, if there is
 * one of that number. */
static int64_t wanted_of(void *context, int64_t event)
{
    (void)context;
    int64_t wanted = 0;
    for (int open = 0; open < DIGITS; open++) {
        int64_t rest = 0;
        for (int place = DIGITS - 1; place >= 0; place--)
            if (place != open)
                rest = rest * BASE + digit_of(number_of(event % KEYS), place);
        wanted += rest * DIGITS + open < PATTERNS;
    }
    return wanted;
}

int verb_bench_route(const struct arguments *arguments)
{
    struct bench_route route = {.keys = malloc(KEYS * sizeof *route.keys)};
    const struct bench_events bench = {
        .name = "bench route",
        .count = COUNT,
        .connections = arguments_number(arguments, OPTION_SUBSCRIBERS, SUBSCRIBERS),
        .subscriptions = PATTERNS,
        .make_pattern = make_pattern,
        .key_of = key_of,
        .wanted_of = wanted_of,
        .context = &route,
    };
    if (route.keys == NULL) {
        report_say("out of memory");
        return EXIT_FAILED;
    }
    for (int64_t i = 0; i < KEYS; i++) {
        int64_t number = number_of(i);
        snprintf(route.keys[i], KEY_BYTES, "bench.w%d.w%d.w%d.w%d", digit_of(number, 0),
                 digit_of(number, 1), digit_of(number, 2), digit_of(number, 3));
    }
    int code = bench_events_run(&bench, arguments);
    free(route.keys);
    return code;
}
