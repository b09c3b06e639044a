/* Where in a history to begin, and what to expect of an entity. */
#include "client-lib/cli/place.h"

#include <string.h>

#include "client-lib/cli/value.h"

bool place_parse(const char *text, struct place *place)
{
    static const struct {
        const char *text;
        enum herald_from from;
    } words[] = {
        {"first", HERALD_FROM_FIRST}, {"next", HERALD_FROM_NEXT}, {"last", HERALD_FROM_LAST}};
    int64_t sequence;
    uint64_t ms;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i].text) == 0) {
            *place = (struct place){words[i].from, 0};
            return true;
        }
    }
    if (value_parse_count(text, &sequence))
        *place = (struct place){HERALD_FROM_SEQUENCE, (uint64_t)sequence};
    else if (value_parse_time(text, &ms))
        *place = (struct place){HERALD_FROM_TIME, ms};
    else
        return false;
    return true;
}

bool place_parse_expectation(const char *text, struct expectation *expectation)
{
    static const struct {
        const char *text;
        enum herald_expect expect;
    } words[] = {{"any", HERALD_EXPECT_ANY},
                 {"none", HERALD_EXPECT_NONE},
                 {"0", HERALD_EXPECT_NONE},
                 {"exists", HERALD_EXPECT_EXISTS}};
    int64_t version;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i].text) == 0) {
            *expectation = (struct expectation){words[i].expect, 0};
            return true;
        }
    }
    if (!value_parse_count(text, &version))
        return false;
    *expectation = (struct expectation){HERALD_EXPECT_VERSION, (uint64_t)version};
    return true;
}
