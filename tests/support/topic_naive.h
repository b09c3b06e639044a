/* The meaning of patterns, written down as plainly as possible: what the matchers are tested by. */
#ifndef HERALD_TOPIC_NAIVE_H
#define HERALD_TOPIC_NAIVE_H

#include "protocol/topic.h"

/* Whether the pattern matches the key, both cut into words: * is one word, # is zero or more, any
 * other word is itself. Takes words by words steps, no more than 33 x 33. */
bool topic_match_naive(const struct topic_words *pattern, const struct topic_words *key);

#endif
