/* Which bindings an event would pass, and why it would not pass the others. */
#ifndef HERALD_QUERY_ROUTE_H
#define HERALD_QUERY_ROUTE_H

#include "broker/core/page.h"
#include "protocol/frame.h"

struct binding;

/* A row for each binding that an event with this key and these headers passes, in all exchanges
 * that it comes to. STATUS_BAD_KEY, STATUS_BAD_HEADER, STATUS_NO_EXCHANGE, STATUS_NO_MEMORY. */
enum status query_route(struct page *page, const struct frame_query *query);

/* Likewise for all bindings of these exchanges: each says whether and why not. */
enum status query_explain(struct page *page, const struct frame_query *query);

/* The fields that say which binding it is. */
void query_put_binding(struct wire_writer *w, const struct binding *binding);

#endif
