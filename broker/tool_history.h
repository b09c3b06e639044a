/* What the offline tools say about histories, as people read it. */
#ifndef HERALD_TOOL_HISTORY_H
#define HERALD_TOOL_HISTORY_H

#include <stdio.h>

#include "broker/histories.h"

/* For each its events, where they are, its entities and cursors; then what files are left over. */
void tool_print_histories(FILE *out, const struct histories *histories);

/* Where files are damaged, and which events are nowhere. */
void tool_print_history_damage(FILE *out, const struct histories *histories);

/* "event 7 is", "events 7 to 9 are": who is the subject of a sentence. */
void tool_print_events(FILE *out, uint64_t first, uint64_t last);

#endif
