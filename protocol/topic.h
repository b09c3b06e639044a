/* Names, routing keys and patterns: their grammar, and the reference matcher.
 *
 *   name     1 to 255 of A-Z a-z 0-9 . _ : / -      a leading $ is the broker's own
 *   key      words separated by dots, at most 255 bytes and 32 words; a word is 1 or more printable
 *            UTF-8 characters other than . * # and space
 *   pattern  like a key, but a word may also be * (exactly one word) or # (zero or more words),
 *            and # stands at most twice
 */
#ifndef HERALD_TOPIC_H
#define HERALD_TOPIC_H

#include "protocol/status.h"
#include "protocol/wire.h"

enum {
    TOPIC_NAME_BYTES_MAX = 255,
    TOPIC_KEY_BYTES_MAX = 255,
    TOPIC_WORDS_MAX = 32,
    TOPIC_HASHES_MAX = 2,
};

/* The words of a key or pattern, as cut by topic_split. */
struct topic_words {
    uint32_t count;
    struct wire_bytes word[TOPIC_WORDS_MAX];
};

/* STATUS_OK or STATUS_BAD_NAME. A leading $ is accepted here; topic_name_is_reserved tells. */
enum status topic_check_name(struct wire_bytes name);
bool topic_name_is_reserved(struct wire_bytes name);

/* STATUS_OK or STATUS_BAD_KEY. */
enum status topic_check_key(struct wire_bytes key);

/* STATUS_OK or STATUS_BAD_PATTERN. */
enum status topic_check_pattern(struct wire_bytes pattern);

/* Cuts at the dots; the words point into `text`. Only for what has passed its check. */
void topic_split(struct wire_bytes text, struct topic_words *words);

/* Whether the pattern matches the key, both checked. At most pattern words x key words steps. */
bool topic_match(struct wire_bytes pattern, struct wire_bytes key);

/* True for well-formed UTF-8 without overlong forms and surrogates (RFC 3629). */
bool topic_is_utf8(struct wire_bytes text);

#endif
