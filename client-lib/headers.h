/* Headers as a program gives them, and as the wire has them. */
#ifndef HERALD_CLIENT_HEADERS_H
#define HERALD_CLIENT_HEADERS_H

#include "client-lib/buffer.h"
#include "client-lib/herald.h"
#include "protocol/wire.h"

/* The encoded size of all of them; 0 when there are none, or when they cannot be sent. */
size_t headers_measure(const struct herald_header *headers, size_t count);

/* Encodes what was measured. */
void headers_put(struct wire_writer *w, const struct herald_header *headers, size_t count);

/* Encodes them behind what the buffer holds. HERALD_OK, HERALD_EINVAL (they cannot be sent),
 * HERALD_ENOMEMORY. */
enum herald_status headers_append(struct buffer *buffer, const struct herald_header *headers,
                                  size_t count);

/* All that an otherwise empty buffer holds, as long as it holds it. */
struct wire_bytes headers_in(const struct buffer *buffer);

#endif
