/* What actors say about bindings with filters and between exchanges; see lines.h.
 *
 * Headers and filters are written "tenant=acme kind=big"; "" and NULL are none.
 */
#ifndef HERALD_TEST_LINES_ROUTE_H
#define HERALD_TEST_LINES_ROUTE_H

#include "tests/support/lines.h"

struct tie {
    const char *to;
    const char *exchange;
    const char *pattern;
    const char *filter;
    uint8_t flags; /* FLAG_TO_EXCHANGE */
};

/* The list; it holds until the next call. */
struct wire_bytes headers_of(const char *spec);

uint64_t say_tie(struct actor *actor, struct tie tie);
uint64_t say_untie(struct actor *actor, struct tie tie);
void do_tie(struct actor *actor, struct tie tie);
/* Events of one exchange go on to another. */
void do_relay(struct actor *actor, const char *to, const char *exchange, const char *pattern);
uint64_t say_relay(struct actor *actor, const char *to, const char *exchange, const char *pattern);
uint64_t say_unrelay(struct actor *actor, const char *to, const char *exchange,
                     const char *pattern);

uint64_t say_publish_headers(struct actor *actor, const char *exchange, const char *key,
                             const char *headers);
uint64_t say_subscribe_where(struct actor *actor, uint32_t consumer, const char *exchange,
                             const char *pattern, const char *filter);

/* Rows of QUERY_ROUTE and QUERY_EXPLAIN. */
struct route_row {
    char exchange[64];
    char queue[64];
    char onward[64];
    char pattern[64];
    char filter[128];
    char why[128];
    uint64_t number;
    bool is_live;
    bool passes; /* always, in an answer to QUERY_ROUTE */
};

struct route_question {
    uint8_t subject;
    const char *exchange;
    const char *key;
    const char *headers;
    uint64_t after;
    uint32_t limit;
};

uint64_t say_route(struct actor *actor, struct route_question question);

/* One page; returns how many rows there are, at most `most` are written. */
size_t ask_route(struct actor *actor, struct route_question question, struct route_row *rows,
                 size_t most);

#endif
