/* A peer's answer line: answers leave in the order of the frames they answer, and not before what
 * they rest on is on disk.
 *
 * Entries wait in a ring; neighbouring confirms are one entry. An entry never rests on less than
 * the one before it, so that looking at the first is enough.
 */
#ifndef HERALD_LINE_H
#define HERALD_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

struct core;
struct peer;

/* Every tagged frame up to `tag` that was not refused is carried out; may leave when the durable
 * position is above `needs`. Closes the peer when memory runs out. */
void line_confirm(struct peer *peer, uint64_t tag, uint64_t needs);

/* Answers a tag with encoded frames, one or several, which are copied. */
void line_answer(struct peer *peer, uint64_t tag, const void *frames, size_t bytes, uint64_t needs);

/* Answers a tag with a refusal. `text` may be NULL: the status' own. */
void line_refuse(struct peer *peer, uint64_t tag, enum status status, const char *text,
                 uint64_t needs);

/* Tells how much the frame of this tag has concerned, before its confirm. */
void line_count(struct peer *peer, uint64_t tag, uint64_t count);

/* Tells where the events of the frame of this tag stand, before its confirm. */
void line_appended(struct peer *peer, uint64_t tag, uint64_t sequence, uint64_t version);

/* Lets everything pass that rests on durable ground, for all peers. */
void line_release_all(struct core *core);

/* Forgets what waits. */
void line_deinit(struct peer *peer);

#endif
