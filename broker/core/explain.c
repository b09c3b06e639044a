/* Routing in words. */
#include "broker/core/explain.h"

#include <stdarg.h>
#include <stdio.h>

#include "broker/core/filter.h"
#include "protocol/topic.h"

/* --- texts --------------------------------------------------------------------------------------
 */

enum { PART_BYTES = 68 };

struct part {
    char text[PART_BYTES];
};

/* A word, name or value as it may be shown. */
static struct part part_of(struct wire_bytes bytes)
{
    enum { SHOWN_MAX = PART_BYTES - 4 };
    struct part part;
    if (!topic_is_utf8(bytes)) {
        (void)snprintf(part.text, sizeof part.text, "(%u bytes)", bytes.bytes);
        return part;
    }
    uint32_t shown = bytes.bytes;
    if (shown > SHOWN_MAX)
        for (shown = SHOWN_MAX; (bytes.at[shown] & 0xc0) == 0x80;)
            shown--;
    for (uint32_t i = 0; i < shown; i++) {
        unsigned char c = bytes.at[i];
        bool is_control = c < 0x20 || c == 0x7f || (c == 0xc2 && bytes.at[i + 1] < 0xa0);
        part.text[i] = (char)(is_control && c != 0xc2 ? '?' : c);
        if (is_control && c == 0xc2) { /* C1, in two bytes */
            part.text[i] = '?';
            part.text[++i] = '?';
        }
    }
    (void)snprintf(part.text + shown, sizeof part.text - shown, "%s",
                   shown < bytes.bytes ? "..." : "");
    return part;
}

static bool say(char why[EXPLAIN_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* False, for the caller to return. */
static bool say(char why[EXPLAIN_BYTES], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, EXPLAIN_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

/* --- patterns -----------------------------------------------------------------------------------
 */

static bool word_is(struct wire_bytes word, char c)
{
    return word.bytes == 1 && word.at[0] == (unsigned char)c;
}

/* The words before the first `#`, and those behind the last one. */
struct fixed {
    uint32_t before;
    uint32_t behind;
    uint32_t hash_count;
};

static struct fixed fixed_of(const struct topic_words *pattern)
{
    struct fixed fixed = {0, 0, 0};
    for (uint32_t i = 0; i < pattern->count; i++) {
        fixed.hash_count += word_is(pattern->word[i], '#');
        fixed.before += fixed.hash_count == 0;
        fixed.behind = word_is(pattern->word[i], '#') ? 0 : fixed.behind + 1;
    }
    if (fixed.hash_count == 0)
        fixed.behind = 0;
    return fixed;
}

/* Compares `count` words, from these two on. */
static bool explain_words(const struct topic_words *pattern, const struct topic_words *key,
                          uint32_t p, uint32_t k, char why[EXPLAIN_BYTES])
{
    for (; p < pattern->count && k < key->count && !word_is(pattern->word[p], '#'); p++, k++)
        if (!word_is(pattern->word[p], '*') && !wire_bytes_equal(pattern->word[p], key->word[k]))
            return say(why, "word %u is %s, not %s", k + 1, part_of(key->word[k]).text,
                       part_of(pattern->word[p]).text);
    return true;
}

bool explain_pattern(struct wire_bytes pattern, struct wire_bytes key, char why[EXPLAIN_BYTES])
{
    struct topic_words p;
    struct topic_words k;
    topic_split(pattern, &p);
    topic_split(key, &k);
    if (topic_match(pattern, key))
        return true;
    struct fixed fixed = fixed_of(&p);
    if (!explain_words(&p, &k, 0, 0, why))
        return false;
    if (fixed.hash_count == 0)
        return say(why, "%u words, not %u", k.count, p.count);
    uint32_t least = p.count - fixed.hash_count;
    if (k.count < least)
        return say(why, "%u words, not at least %u", k.count, least);
    if (!explain_words(&p, &k, p.count - fixed.behind, k.count - fixed.behind, why))
        return false;
    return say(why, "what stands between the two # is not there");
}

/* --- filters ------------------------------------------------------------------------------------
 */

bool explain_unmet(struct wire_bytes filter, struct wire_bytes headers, char why[EXPLAIN_BYTES])
{
    struct header unmet;
    if (!filter_find_unmet(filter, headers, &unmet))
        return true;
    struct wire_reader r = wire_reader_of(headers.at, headers.bytes);
    struct header header;
    while (header_next(&r, &header))
        if (wire_bytes_equal(header.name, unmet.name))
            return say(why, "header %s is %s, not %s", part_of(unmet.name).text,
                       part_of(header.value).text, part_of(unmet.value).text);
    return say(why, "no header %s", part_of(unmet.name).text);
}

void explain_filter(struct wire_bytes filter, char text[EXPLAIN_BYTES])
{
    struct wire_reader r = wire_reader_of(filter.at, filter.bytes);
    struct header header;
    size_t bytes = 0;
    text[0] = '\0';
    while (header_next(&r, &header) && bytes < EXPLAIN_BYTES) {
        int added = snprintf(text + bytes, EXPLAIN_BYTES - bytes, "%s%s=%s", bytes > 0 ? ", " : "",
                             part_of(header.name).text, part_of(header.value).text);
        bytes += (size_t)added;
    }
}
