/* Values as people write and read them: durations, sizes, counts, ids. */
#include "client-lib/cli/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The largest number that every reader of JSON keeps exact. */
#define COUNT_MAX (INT64_C(1) << 53)

/* 100 years. */
#define PERIOD_MS_MAX (36525 * 86400e3)

struct unit {
    const char *name;
    double factor;
};

static const struct unit size_units[] = {
    {"", 1},         {"B", 1},      {"KiB", 0x1p10}, {"K", 0x1p10}, {"MiB", 0x1p20}, {"M", 0x1p20},
    {"GiB", 0x1p30}, {"G", 0x1p30}, {"TiB", 0x1p40}, {"T", 0x1p40}, {NULL, 0},
};

static const struct unit duration_units[] = {
    {"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}, {NULL, 0},
};

bool value_parse_count(const char *text, int64_t *value)
{
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < 1 || number > COUNT_MAX)
        return false;
    *value = number;
    return true;
}

/* A decimal number with one of the units; only digits and a point, so that strtod cannot read
 * "inf", "nan" or hexadecimal. */
static bool parse_with_unit(const char *text, const struct unit *units, double *value)
{
    size_t digits = strspn(text, "0123456789.");
    char number[VALUE_TEXT_BYTES];
    if (digits == 0 || digits >= sizeof number || !isdigit((unsigned char)text[0]))
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    char *end;
    double parsed = strtod(number, &end);
    if (*end != '\0')
        return false;
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, text + digits) == 0) {
            *value = parsed * units->factor;
            return true;
        }
    }
    return false;
}

bool value_parse_size(const char *text, int64_t *bytes)
{
    double value;
    if (!parse_with_unit(text, size_units, &value) || value < 1 || value > (double)COUNT_MAX)
        return false;
    *bytes = (int64_t)value;
    return true;
}

static bool parse_time_span(const char *text, double most, int64_t *ms)
{
    double value;
    if (!parse_with_unit(text, duration_units, &value) || value < 1 || value > most)
        return false;
    *ms = (int64_t)value;
    return true;
}

bool value_parse_duration(const char *text, int64_t *ms)
{
    return parse_time_span(text, INT_MAX, ms);
}

bool value_parse_period(const char *text, int64_t *ms)
{
    return parse_time_span(text, PERIOD_MS_MAX, ms);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_uuid_dashed(const char *text)
{
    return strlen(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' &&
           text[23] == '-';
}

bool value_parse_time(const char *text, uint64_t *ms)
{
    int64_t seconds;
    if (text[0] == '@') {
        if (!value_parse_count(text + 1, &seconds) || seconds > INT64_MAX / 1000)
            return false;
    } else {
        struct tm parts = {0};
        const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
        if (end == NULL || *end != '\0')
            return false;
        seconds = timegm(&parts);
        if (seconds <= 0)
            return false;
    }
    *ms = (uint64_t)seconds * 1000;
    return true;
}

bool value_parse_id(const char *text, unsigned char id[16])
{
    unsigned char parsed[16];
    bool is_dashed = is_uuid_dashed(text);
    if (!is_dashed && strlen(text) != 32)
        return false;
    for (size_t i = 0; i < sizeof parsed; i++) {
        if (is_dashed && (i == 4 || i == 6 || i == 8 || i == 10))
            text++;
        int high = hex_digit(text[0]);
        int low = hex_digit(text[1]);
        if (high < 0 || low < 0)
            return false;
        parsed[i] = (unsigned char)(high << 4 | low);
        text += 2;
    }
    memcpy(id, parsed, sizeof parsed);
    return true;
}

void value_print_size(uint64_t bytes, char text[VALUE_TEXT_BYTES])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    /* 1023.95 and more would be printed as 1024.0. */
    while (value >= 1023.95 && unit < sizeof names / sizeof names[0] - 1) {
        value /= 1024;
        unit++;
    }
    snprintf(text, VALUE_TEXT_BYTES, "%.*f%s", unit == 0 ? 0 : 1, value, names[unit]);
}

void value_print_duration(uint64_t ms, char text[VALUE_TEXT_BYTES])
{
    uint64_t minutes = ms / 60000;
    if (ms < 1000)
        snprintf(text, VALUE_TEXT_BYTES, "%" PRIu64 "ms", ms);
    else if (minutes == 0)
        snprintf(text, VALUE_TEXT_BYTES, "%" PRIu64 ".%" PRIu64 "s", ms / 1000, ms / 100 % 10);
    else if (minutes < 60)
        snprintf(text, VALUE_TEXT_BYTES, "%" PRIu64 "m%02" PRIu64 "s", minutes, ms / 1000 % 60);
    else
        snprintf(text, VALUE_TEXT_BYTES, "%" PRIu64 "h%02" PRIu64 "m", minutes / 60, minutes % 60);
}

void value_print_time(uint64_t ms, char text[VALUE_TEXT_BYTES])
{
    struct tm tm;
    time_t seconds = (time_t)(ms / 1000);
    size_t bytes = 0;
    if (gmtime_r(&seconds, &tm) != NULL)
        bytes = strftime(text, VALUE_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    if (bytes > 0 && bytes + sizeof ".000Z" <= VALUE_TEXT_BYTES)
        snprintf(text + bytes, VALUE_TEXT_BYTES - bytes, ".%03uZ", (unsigned)(ms % 1000));
    else
        snprintf(text, VALUE_TEXT_BYTES, "?");
}

/* How many bytes a character that begins with this byte has, 0 if none can; *least is the smallest
 * value that may be written with so many. */
static size_t utf8_length(unsigned char first, uint32_t *value, uint32_t *least)
{
    if (first < 0x80) {
        *value = first;
        *least = 0;
        return 1;
    }
    if (first >= 0xc2 && first < 0xe0) {
        *value = first & 0x1fu;
        *least = 0x80;
        return 2;
    }
    if (first >= 0xe0 && first < 0xf0) {
        *value = first & 0x0fu;
        *least = 0x800;
        return 3;
    }
    if (first >= 0xf0 && first < 0xf5) {
        *value = first & 0x07u;
        *least = 0x10000;
        return 4;
    }
    return 0;
}

bool value_is_utf8(const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    while (count > 0) {
        uint32_t value;
        uint32_t least;
        size_t length = utf8_length(at[0], &value, &least);
        if (length == 0 || length > count)
            return false;
        for (size_t i = 1; i < length; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return false;
            value = value << 6 | (at[i] & 0x3fu);
        }
        if (value < least || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return false;
        at += length;
        count -= length;
    }
    return true;
}
