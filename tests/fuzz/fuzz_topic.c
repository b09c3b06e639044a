/* Fuzzes names, keys and patterns: the matcher says what the plain meaning of the pattern says, and
 * a pattern without wildcards is a key.
 *
 * The input is a pattern and a key with a newline between them.
 */
#include <stdlib.h>

#include "tests/support/topic_naive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail_unless(bool good)
{
    if (!good)
        abort();
}

static bool has_byte(struct wire_bytes text, int byte)
{
    return text.bytes > 0 && memchr(text.at, byte, text.bytes) != NULL;
}

/* What all that is accepted has in common. */
static void check_grammar(struct wire_bytes text)
{
    bool is_key = topic_check_key(text) == STATUS_OK;
    bool is_pattern = topic_check_pattern(text) == STATUS_OK;
    bool is_wild = has_byte(text, '*') || has_byte(text, '#');
    fail_unless(!is_key || (is_pattern && !is_wild));
    fail_unless(!is_pattern || is_wild || is_key);
    if (is_pattern) {
        fail_unless(text.bytes > 0 && text.bytes <= TOPIC_KEY_BYTES_MAX && topic_is_utf8(text));
        fail_unless(!has_byte(text, ' ') && !has_byte(text, '\n') && !has_byte(text, 0));
    }
    if (is_key)
        fail_unless(topic_match(text, text));
    if (topic_check_name(text) == STATUS_OK)
        fail_unless(!has_byte(text, ' ') && !has_byte(text, 0) && topic_is_utf8(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
    if (line == NULL || size > 4096)
        return 0;
    uint32_t pattern_bytes = (uint32_t)(line - data);
    struct wire_bytes pattern = wire_bytes_of(data, pattern_bytes);
    struct wire_bytes key = wire_bytes_of(line + 1, (uint32_t)size - pattern_bytes - 1);
    check_grammar(pattern);
    check_grammar(key);
    if (topic_check_pattern(pattern) != STATUS_OK || topic_check_key(key) != STATUS_OK)
        return 0;
    struct topic_words pattern_words;
    struct topic_words key_words;
    topic_split(pattern, &pattern_words);
    topic_split(key, &key_words);
    fail_unless(topic_match(pattern, key) == topic_match_naive(&pattern_words, &key_words));
    return 0;
}
