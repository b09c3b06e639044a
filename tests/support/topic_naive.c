/* The meaning of patterns, written down as plainly as possible. */
#include "tests/support/topic_naive.h"

static bool is_wildcard(struct wire_bytes word, char c)
{
    return word.bytes == 1 && word.at[0] == (unsigned char)c;
}

/* match[p][k]: the pattern from word p on matches the key from word k on. */
bool topic_match_naive(const struct topic_words *pattern, const struct topic_words *key)
{
    bool match[TOPIC_WORDS_MAX + 1][TOPIC_WORDS_MAX + 1];
    for (uint32_t k = 0; k <= key->count; k++)
        match[pattern->count][k] = k == key->count;
    for (uint32_t p = pattern->count; p-- > 0;) {
        for (uint32_t k = key->count + 1; k-- > 0;) {
            bool here = k < key->count;
            if (is_wildcard(pattern->word[p], '#'))
                match[p][k] = match[p + 1][k] || (here && match[p][k + 1]);
            else if (is_wildcard(pattern->word[p], '*'))
                match[p][k] = here && match[p + 1][k + 1];
            else
                match[p][k] =
                    here && wire_bytes_equal(pattern->word[p], key->word[k]) && match[p + 1][k + 1];
        }
    }
    return match[0][0];
}
