/* A message that comes in pieces: gathered until its body is whole, one at a time per peer. */
#ifndef HERALD_ASSEMBLY_H
#define HERALD_ASSEMBLY_H

#include "protocol/frame.h"

struct peer;

/* Looks whether a frame begins a body that is not whole yet.
 * STATUS_OK: it does not, handle it now. STATUS_MORE: it does, pieces must follow.
 * STATUS_BODY_OVERFLOW: more came than was announced. Charges credit for what it begins, too:
 * STATUS_FLOW_VIOLATION. */
enum status assembly_begin(struct peer *peer, const struct frame *frame);

/* Adds a piece. STATUS_MORE: not whole yet. STATUS_OK: *whole is the frame as if it had come in
 * one, valid until assembly_free. STATUS_TOO_LARGE, STATUS_NO_MEMORY: whole, but swallowed unread;
 * *whole has its header. STATUS_BODY_OVERFLOW, STATUS_UNEXPECTED_FRAME close the connection. */
enum status assembly_add(struct peer *peer, struct wire_bytes piece, struct frame *whole);

/* Gives the memory back. */
void assembly_free(struct peer *peer);

#endif
