/* Where in a history to begin, as people write it. */
#ifndef HERALD_CLI_PLACE_H
#define HERALD_CLI_PLACE_H

#include <stdbool.h>

#include "client-lib/herald.h"

struct place {
    enum herald_from from;
    uint64_t at;
};

/* "first", "next", "last", a sequence in digits, or a time as value_parse_time reads it. False, and
 * *place is left alone, for anything else. */
bool place_parse(const char *text, struct place *place);

/* What an event expects of its entity: "none", "exists", "any" or a version in digits. */
struct expectation {
    enum herald_expect expect;
    uint64_t version;
};

bool place_parse_expectation(const char *text, struct expectation *expectation);

#endif
