/* Names, routing keys and patterns. */
#include "protocol/topic.h"

static bool is_name_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == ':' || c == '/' || c == '-';
}

enum status topic_check_name(struct wire_bytes name)
{
    uint32_t i = topic_name_is_reserved(name) ? 1 : 0;
    if (name.bytes <= i || name.bytes > TOPIC_NAME_BYTES_MAX)
        return STATUS_BAD_NAME;
    for (; i < name.bytes; i++)
        if (!is_name_byte(name.at[i]))
            return STATUS_BAD_NAME;
    return STATUS_OK;
}

bool topic_name_is_reserved(struct wire_bytes name)
{
    return name.bytes > 0 && name.at[0] == '$';
}

/* Bytes of the code point that begins with this byte; 0 where none may. */
static uint32_t utf8_bytes(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if ((first & 0xe0) == 0xc0)
        return 2;
    if ((first & 0xf0) == 0xe0)
        return 3;
    return (first & 0xf8) == 0xf0 ? 4 : 0;
}

/* The code point at the front of a text and its length, or length 0 where it is not UTF-8. */
static uint32_t utf8_next(const unsigned char *at, size_t left, uint32_t *length)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t count = utf8_bytes(at[0]);
    *length = 0;
    if (count == 0 || count > left)
        return 0;
    uint32_t point = count == 1 ? at[0] : at[0] & (0x7fU >> count);
    for (uint32_t i = 1; i < count; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3fU);
    }
    if (point < lowest[count] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *length = count;
    return point;
}

/* Eight bytes, none of which has any of these bits, are eight characters. */
#define NOT_ASCII UINT64_C(0x8080808080808080)

bool topic_is_utf8(struct wire_bytes text)
{
    uint32_t length;
    for (uint32_t i = 0; i < text.bytes; i += length) {
        while (text.bytes - i >= 8 && (wire_load_u64(text.at + i) & NOT_ASCII) == 0)
            i += 8;
        if (i == text.bytes)
            break;
        utf8_next(text.at + i, text.bytes - i, &length);
        if (length == 0)
            return false;
    }
    return true;
}

/* Printable: no control characters (C0, C1), no separators of lines, no marks that turn the
 * direction of writing, which could make a key read as another one. */
static bool is_printable(uint32_t point)
{
    return point > 0x20 && !(point >= 0x7f && point <= 0xa0) && point != 0x061c &&
           !(point >= 0x200b && point <= 0x200f) && !(point >= 0x2028 && point <= 0x202e) &&
           !(point >= 0x2066 && point <= 0x2069) && point != 0xfeff;
}

static bool has_wildcard(struct wire_bytes word)
{
    return memchr(word.at, '*', word.bytes) != NULL || memchr(word.at, '#', word.bytes) != NULL;
}

static bool word_is(struct wire_bytes word, char c)
{
    return word.bytes == 1 && word.at[0] == (unsigned char)c;
}

static bool word_is_good(struct wire_bytes word)
{
    if (word.bytes == 0)
        return false;
    uint32_t length;
    for (uint32_t i = 0; i < word.bytes; i += length) {
        uint32_t point = utf8_next(word.at + i, word.bytes - i, &length);
        if (length == 0 || !is_printable(point))
            return false;
    }
    return true;
}

/* Walks over the words of a text; false at the end. */
static bool word_next(struct wire_bytes *left, bool *more, struct wire_bytes *word)
{
    if (!*more)
        return false;
    const unsigned char *dot = left->bytes > 0 ? memchr(left->at, '.', left->bytes) : NULL;
    *more = dot != NULL;
    uint32_t bytes = dot != NULL ? (uint32_t)(dot - left->at) : left->bytes;
    *word = wire_bytes_of(left->at, bytes);
    if (dot != NULL) {
        left->at += bytes + 1;
        left->bytes -= bytes + 1;
    }
    return true;
}

/* What a byte of a key is. Most are plain, and nothing else needs to be asked about them. */
static bool is_plain_byte(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '.' && c != '*' && c != '#';
}

/* Every event's key is looked at: without cutting it into words first. */
enum status topic_check_key(struct wire_bytes key)
{
    if (key.bytes == 0 || key.bytes > TOPIC_KEY_BYTES_MAX)
        return STATUS_BAD_KEY;
    uint32_t count = 1;
    uint32_t first = 0; /* of the word */
    uint32_t length = 1;
    for (uint32_t i = 0; i < key.bytes; i += length) {
        unsigned char c = key.at[i];
        length = 1;
        if (is_plain_byte(c))
            continue;
        if (c == '.' && i > first && ++count <= TOPIC_WORDS_MAX) {
            first = i + 1;
            continue;
        }
        if (c < 0x80 || !is_printable(utf8_next(key.at + i, key.bytes - i, &length)) || length == 0)
            return STATUS_BAD_KEY;
    }
    return first < key.bytes ? STATUS_OK : STATUS_BAD_KEY;
}

enum status topic_check_pattern(struct wire_bytes pattern)
{
    if (pattern.bytes == 0 || pattern.bytes > TOPIC_KEY_BYTES_MAX)
        return STATUS_BAD_PATTERN;
    struct wire_bytes word;
    uint32_t count = 0;
    uint32_t hashes = 0;
    for (bool more = true; word_next(&pattern, &more, &word);) {
        if (++count > TOPIC_WORDS_MAX || !word_is_good(word))
            return STATUS_BAD_PATTERN;
        if (word_is(word, '#'))
            hashes++;
        else if (!word_is(word, '*') && has_wildcard(word))
            return STATUS_BAD_PATTERN;
    }
    return hashes <= TOPIC_HASHES_MAX ? STATUS_OK : STATUS_BAD_PATTERN;
}

void topic_split(struct wire_bytes text, struct topic_words *words)
{
    struct wire_bytes word;
    words->count = 0;
    for (bool more = true; words->count < TOPIC_WORDS_MAX && word_next(&text, &more, &word);)
        words->word[words->count++] = word;
}

/* Goes through both at once; on a mismatch the last # takes one word more. The earlier # need not
 * be tried again: whatever they could gain, the last one can gain too. */
bool topic_match(struct wire_bytes pattern, struct wire_bytes key)
{
    struct topic_words p;
    struct topic_words k;
    topic_split(pattern, &p);
    topic_split(key, &k);
    uint32_t pi = 0;
    uint32_t ki = 0;
    uint32_t hash_at = UINT32_MAX;
    uint32_t hash_ki = 0;
    while (ki < k.count) {
        if (pi < p.count && word_is(p.word[pi], '#')) {
            hash_at = pi++;
            hash_ki = ki;
        } else if (pi < p.count &&
                   (word_is(p.word[pi], '*') || wire_bytes_equal(p.word[pi], k.word[ki]))) {
            pi++;
            ki++;
        } else if (hash_at != UINT32_MAX) {
            pi = hash_at + 1;
            ki = ++hash_ki;
        } else {
            return false;
        }
    }
    while (pi < p.count && word_is(p.word[pi], '#'))
        pi++;
    return pi == p.count;
}
