/* What the offline tools say about histories, as people read it. */
#ifndef HERALD_TOOL_HISTORY_H
#define HERALD_TOOL_HISTORY_H

#include <stdio.h>

#include "broker/histories.h"

enum { TOOL_NAME_BYTES = 1024 };

/* The name of its exchange, as it may be printed, or its number. */
void tool_name_history(const struct history_view *view, char text[TOOL_NAME_BYTES]);

/* For each its events, where they are, its entities and cursors; then what files are left over. */
void tool_print_histories(FILE *out, const struct histories *histories);

/* Where files are damaged, and which events are nowhere. */
void tool_print_history_damage(FILE *out, const struct histories *histories);

/* "event 7", "events 7 to 9". */
void tool_print_events(FILE *out, uint64_t first, uint64_t last);

#endif
