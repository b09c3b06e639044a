/* Filters: headers that a message must have to go through a binding, a subscription or a reader.
 *
 * A filter is a list of headers as messages carry them. A message passes when each of them stands
 * among its own with exactly that value; an empty filter lets everything pass.
 */
#ifndef HERALD_FILTER_H
#define HERALD_FILTER_H

#include "protocol/property.h"
#include "protocol/status.h"
#include "protocol/wire.h"

/* What one may be: every event that reaches it is compared with it. */
enum {
    FILTER_COUNT_MAX = 8,
    FILTER_BYTES_MAX = 1024,
};

/* STATUS_OK or STATUS_BAD_HEADER, also beyond the limits. */
enum status filter_check(struct wire_bytes filter);

/* Both lists are checked. At most entries of the filter x headers steps. */
bool filter_matches(struct wire_bytes filter, struct wire_bytes headers);

/* The first entry that is not met; false when all are. It points into the filter. */
bool filter_find_unmet(struct wire_bytes filter, struct wire_bytes headers, struct header *unmet);

/* Whether both ask for the same, in whatever order. */
bool filter_is_same(struct wire_bytes a, struct wire_bytes b);

#endif
