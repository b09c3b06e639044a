/* Values as people write and read them: durations, sizes, counts, ids. */
#ifndef HERALD_CLI_VALUE_H
#define HERALD_CLI_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for any value that is printed here, NUL included. */
enum { VALUE_TEXT_BYTES = 32 };

/* Each returns false, and leaves *value alone, when the text is no such value. */

/* 1 to 2^53, digits only. */
bool value_parse_count(const char *text, int64_t *value);

/* A count of bytes with an optional unit: B, KiB, MiB, GiB, TiB (or K, M, G, T). */
bool value_parse_size(const char *text, int64_t *bytes);

/* Milliseconds from "0.5s", "5m", "1h", "100ms", "2d"; a bare number is seconds. More than nothing
 * and less than 24 days, which is what an int of milliseconds holds. */
bool value_parse_duration(const char *text, int64_t *ms);

/* Likewise, up to 100 years. */
bool value_parse_period(const char *text, int64_t *ms);

/* A time in UTC as 2026-01-31T12:00:00Z, or @ and seconds since 1970; in milliseconds since then.
 */
bool value_parse_time(const char *text, uint64_t *ms);

/* 32 hexadecimal digits, with or without the dashes of a UUID. */
bool value_parse_id(const char *text, unsigned char id[16]);

/* "512B", "12.3KiB". */
void value_print_size(uint64_t bytes, char text[VALUE_TEXT_BYTES]);

/* "250ms", "1.5s", "5m", "2h30m". */
void value_print_duration(uint64_t ms, char text[VALUE_TEXT_BYTES]);

/* "2026-01-31T12:00:00.250Z", of milliseconds since 1970; a time that no calendar has is "?". */
void value_print_time(uint64_t ms, char text[VALUE_TEXT_BYTES]);

/* Whether the bytes are well-formed UTF-8: no overlong forms, surrogates or values above 10FFFF. */
bool value_is_utf8(const void *bytes, size_t count);

#endif
