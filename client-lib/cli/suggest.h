/* Did you mean: the nearest verb or option to what was mistyped. */
#ifndef HERALD_CLI_SUGGEST_H
#define HERALD_CLI_SUGGEST_H

#include <stddef.h>

/* How many letters must be changed, added, dropped or swapped to make one text of the other; texts
 * longer than 63 bytes are compared by their beginning. */
size_t suggest_distance(const char *a, const char *b);

/* Says on standard error that these words are no verb, and which one is near. */
void suggest_verb(char *const *words, size_t count);

/* Says on standard error which option is near, if one is. */
void suggest_option(const char *name, size_t bytes);

#endif
