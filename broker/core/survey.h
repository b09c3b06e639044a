/* A survey of a history: which event is the last of its key.
 *
 *   COLLECTING  every event up to the end is noted, the later one of a key in the place of the
 * former PICKING     the noted ones are given out in the order of their sequences
 */
#ifndef HERALD_SURVEY_H
#define HERALD_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/status.h"
#include "protocol/wire.h"

struct survey;

/* Of everything up to sequence `last`. NULL: no memory. */
struct survey *survey_new(uint64_t last);

/* NULL is fine. */
void survey_free(struct survey *survey);

/* Whether `next` is an event that is still to be noted. */
bool survey_is_collecting(const struct survey *survey, uint64_t next);

/* The event is the last of its key so far; of `count_max` keys at most. STATUS_LIMIT,
 * STATUS_NO_MEMORY. */
enum status survey_note(struct survey *survey, struct wire_bytes key, uint64_t sequence,
                        uint32_t count_max);

/* The first noted event that is not given out yet and not before `next`, which is 0 at first.
 * False: there are no more; *sequence is then the first event behind those that were surveyed. */
bool survey_pick(struct survey *survey, uint64_t next, uint64_t *sequence);

#endif
