/* Routing in words: why an event does not pass a binding. */
#ifndef HERALD_EXPLAIN_H
#define HERALD_EXPLAIN_H

#include "protocol/property.h"
#include "protocol/wire.h"

/* The longest text; what is longer is cut. Whatever names and values hold, it is printable UTF-8.
 */
enum { EXPLAIN_BYTES = 1152 };

/* True when the pattern matches the key, both checked; else says what is the first in the way. */
bool explain_pattern(struct wire_bytes pattern, struct wire_bytes key, char why[EXPLAIN_BYTES]);

/* True when the headers have all that the filter asks for; else says what is the first that they
 * have not. */
bool explain_unmet(struct wire_bytes filter, struct wire_bytes headers, char why[EXPLAIN_BYTES]);

/* The entries of a filter: "tenant=acme, kind=big". */
void explain_filter(struct wire_bytes filter, char text[EXPLAIN_BYTES]);

#endif
