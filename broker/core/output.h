/* What goes to a peer: frames encoded at the end of its output, written out after the round. */
#ifndef HERALD_OUTPUT_H
#define HERALD_OUTPUT_H

#include "protocol/frame.h"

struct core;
struct peer;

/* Encoded frames as they are. A peer whose output cannot grow is broken and closes. */
void output_append(struct peer *peer, const void *frames, size_t bytes);

void output_confirm(struct peer *peer, const struct frame_confirm *confirm);

/* Any frame without a body. */
void output_frame(struct peer *peer, struct frame *frame);

/* A delivery, an outcome, an event, in pieces when the body does not fit the peer's largest frame.
 */
void output_deliver(struct peer *peer, uint8_t flags, const struct frame_deliver *deliver);
void output_outcome(struct peer *peer, uint64_t tag, const struct frame_outcome *outcome);
void output_event(struct peer *peer, uint8_t flags, uint64_t tag, const struct frame_event *event);

/* Encoded behind what `frames` holds, in pieces as the peer wants them; for an answer line. False:
 * no memory. */
struct buffer;
bool output_encode_outcome(struct buffer *frames, const struct peer *peer, uint64_t tag,
                           const struct frame_outcome *outcome);
bool output_encode_state(struct buffer *frames, const struct peer *peer, uint64_t tag,
                         uint8_t flags, const struct frame_command_state *state);

bool output_encode_peeked(struct buffer *frames, const struct peer *peer, uint64_t tag,
                          const struct frame_peeked *peeked);

/* The output is empty: its memory goes where it is of more use. */
void output_rest(struct peer *peer);

/* The peer has something to write or changed its state: the next flush must look at it. */
void output_mark_dirty(struct peer *peer);

#endif
