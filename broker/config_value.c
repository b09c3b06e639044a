/* Values of options as text: numbers, sizes, durations and addresses, read and printed. */
#include "broker/config_value.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first; the first that divides a number is the one it is printed with. */
static const struct unit size_units[] = {
    {"TiB", UINT64_C(1) << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20},
    {"KiB", 1 << 10},           {"B", 1},         {NULL, 0},
};
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits of `base` at *text, which moves behind them. */
static enum status parse_digits(const char **text, unsigned base, uint64_t *number,
                                const char **why)
{
    const char *at = *text;
    uint64_t value = 0;
    while (is_digit(*at) && (unsigned)(*at - '0') < base) {
        uint64_t digit = (uint64_t)(*at++ - '0');
        if (value > (UINT64_MAX - digit) / base) {
            *why = "is too large a number";
            return STATUS_BAD_VALUE;
        }
        value = value * base + digit;
    }
    if (at == *text) {
        *why = *at == '-' ? "may not be negative" : "is not a number";
        return STATUS_BAD_VALUE;
    }
    *text = at;
    *number = value;
    return STATUS_OK;
}

static enum status multiply(uint64_t *number, uint64_t factor, const char **why)
{
    if (*number > UINT64_MAX / factor) {
        *why = "is too large a number";
        return STATUS_BAD_VALUE;
    }
    *number *= factor;
    return STATUS_OK;
}

/* The factor of the unit at `text`, which must be all that is left; 0 if there is none such. */
static uint64_t unit_factor(const struct unit *unit, const char *text)
{
    while (*text == ' ')
        text++;
    for (; unit->name != NULL; unit++) {
        if (strcmp(unit->name, text) == 0)
            return unit->factor;
    }
    return 0;
}

static enum status parse_size(const char *text, uint64_t *number, const char **why)
{
    enum status status = parse_digits(&text, 10, number, why);
    if (status != STATUS_OK)
        return status;
    if (*text == '\0')
        return STATUS_OK;
    uint64_t factor = unit_factor(size_units, text);
    if (factor == 0) {
        *why = "is not a size: write whole numbers of B, KiB, MiB, GiB or TiB";
        return STATUS_BAD_VALUE;
    }
    return multiply(number, factor, why);
}

/* Adds the fraction at *text, behind its point, as a part of `factor` milliseconds. */
static enum status parse_fraction(const char **text, char *digits, size_t digits_max,
                                  const char **why)
{
    size_t count = 0;
    const char *at = *text;
    for (; is_digit(*at); at++) {
        if (count == digits_max) {
            *why = "has too many digits behind the point";
            return STATUS_BAD_VALUE;
        }
        digits[count++] = *at;
    }
    if (count == 0) {
        *why = "has no digits behind the point";
        return STATUS_BAD_VALUE;
    }
    digits[count] = '\0';
    *text = at;
    return STATUS_OK;
}

static enum status add_fraction(uint64_t *number, const char *digits, uint64_t factor,
                                const char **why)
{
    uint64_t part = 0;
    uint64_t scale = 1;
    for (; *digits != '\0'; digits++) {
        part = part * 10 + (uint64_t)(*digits - '0');
        scale *= 10;
    }
    part *= factor; /* at most 10^6 times a day */
    if (part % scale != 0) {
        *why = "is finer than a millisecond";
        return STATUS_BAD_VALUE;
    }
    if (*number > UINT64_MAX - part / scale) {
        *why = "is too large a number";
        return STATUS_BAD_VALUE;
    }
    *number += part / scale;
    return STATUS_OK;
}

static enum status parse_duration(const char *text, uint64_t *number, const char **why)
{
    char fraction[7] = "";
    enum status status = parse_digits(&text, 10, number, why);
    if (status != STATUS_OK)
        return status;
    if (*text == '.') {
        text++;
        status = parse_fraction(&text, fraction, sizeof(fraction) - 1, why);
        if (status != STATUS_OK)
            return status;
    }
    uint64_t factor = *text == '\0' ? 1000 : unit_factor(duration_units, text);
    if (factor == 0) {
        *why = "is not a duration: the units are ms, s, m, h and d";
        return STATUS_BAD_VALUE;
    }
    status = multiply(number, factor, why);
    return status == STATUS_OK ? add_fraction(number, fraction, factor, why) : status;
}

/* COUNT and MODE: digits and nothing else. */
static enum status parse_plain(const char *text, unsigned base, uint64_t *number, const char **why)
{
    enum status status = parse_digits(&text, base, number, why);
    if (status != STATUS_OK)
        return status;
    if (*text != '\0') {
        *why = base == 8 ? "is not an octal number" : "is not a whole number";
        return STATUS_BAD_VALUE;
    }
    return STATUS_OK;
}

enum status config_number_parse(enum config_kind kind, const char *text, uint64_t *number,
                                const char **why)
{
    switch (kind) {
    case CONFIG_COUNT:
        return parse_plain(text, 10, number, why);
    case CONFIG_MODE:
        return parse_plain(text, 8, number, why);
    case CONFIG_SIZE:
        return parse_size(text, number, why);
    case CONFIG_DURATION:
        return parse_duration(text, number, why);
    case CONFIG_BOOL:
    case CONFIG_LEVEL:
    case CONFIG_TEXT:
    case CONFIG_PATH:
    case CONFIG_LISTEN:
        break;
    }
    assert(false && "a number's kind");
    return STATUS_BAD_VALUE;
}

void config_number_print(enum config_kind kind, uint64_t number, char *out, size_t out_bytes)
{
    const struct unit *unit = kind == CONFIG_SIZE ? size_units : duration_units;
    if (kind == CONFIG_MODE) {
        snprintf(out, out_bytes, "0%03" PRIo64, number);
        return;
    }
    if (kind == CONFIG_COUNT || number == 0) {
        snprintf(out, out_bytes, "%" PRIu64, number);
        return;
    }
    while (number % unit->factor != 0)
        unit++;
    snprintf(out, out_bytes, "%" PRIu64 "%s", number / unit->factor, unit->name);
}

enum status config_bool_parse(const char *text, bool *value, const char **why)
{
    static const char *const words[2][3] = {{"no", "false", "off"}, {"yes", "true", "on"}};
    for (unsigned i = 0; i < 6; i++) {
        if (strcmp(text, words[i / 3][i % 3]) == 0) {
            *value = i / 3 == 1;
            return STATUS_OK;
        }
    }
    *why = "is neither yes nor no";
    return STATUS_BAD_VALUE;
}

/* Whether the text survives being written to a file and read again. */
static const char *text_complaint(const char *text, size_t bytes)
{
    char escaped[4 * CONFIG_TEXT_BYTES];
    if (bytes >= CONFIG_TEXT_BYTES)
        return "is longer than 159 bytes";
    log_escape(text, bytes, escaped, sizeof(escaped));
    if (strcmp(text, escaped) != 0)
        return "holds characters that cannot be printed";
    if (bytes > 0 && (text[0] == ' ' || text[bytes - 1] == ' '))
        return "begins or ends with a space";
    if (strchr(text, ';') != NULL)
        return "holds a semicolon, which begins a comment";
    return NULL;
}

enum status config_text_parse(enum config_kind kind, const char *text, char *out, const char **why)
{
    size_t bytes = strlen(text);
    *why = text_complaint(text, bytes);
    if (*why == NULL && kind == CONFIG_PATH && bytes > 0 && text[0] != '/')
        *why = "is not an absolute path";
    if (*why != NULL)
        return STATUS_BAD_VALUE;
    memcpy(out, text, bytes + 1);
    return STATUS_OK;
}

/* Splits "host:port" or "[host]:port" in place. */
static const char *split_address(char *text, char **host, char **port)
{
    if (*text == '[') {
        char *end = strchr(text, ']');
        if (end == NULL || end[1] != ':')
            return "is not an address such as 127.0.0.1:7440 or [::1]:7440";
        *end = '\0';
        *host = text + 1;
        *port = end + 2;
        return NULL;
    }
    char *colon = strrchr(text, ':');
    if (colon == NULL || strchr(text, ':') != colon)
        return "is not an address such as 127.0.0.1:7440 or [::1]:7440";
    *colon = '\0';
    *host = text;
    *port = colon + 1;
    return NULL;
}

static const char *parse_host(const char *host, bool is_ipv6, struct config_address *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    int family = is_ipv6 ? AF_INET6 : AF_INET;
    void *bytes = is_ipv6 ? (void *)&v6 : (void *)&v4;
    if (inet_pton(family, host, bytes) != 1)
        return "has a host that is not a numeric address such as 127.0.0.1 or [::1]";
    const char *printed = inet_ntop(family, bytes, address->host, sizeof(address->host));
    assert(printed != NULL);
    address->is_loopback = is_ipv6 ? IN6_IS_ADDR_LOOPBACK(&v6) : ntohl(v4.s_addr) >> 24 == 127;
    return NULL;
}

static const char *parse_address(char *text, struct config_address *address)
{
    char *host;
    char *port;
    const char *why;
    bool is_ipv6 = *text == '[';
    uint64_t number;
    why = split_address(text, &host, &port);
    if (why == NULL)
        why = parse_host(host, is_ipv6, address);
    if (why != NULL)
        return why;
    if (parse_plain(port, 10, &number, &why) != STATUS_OK || number > UINT16_MAX)
        return "has a port that is not a number up to 65535";
    address->port = (uint16_t)number;
    return NULL;
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
{
    size_t bytes;
    text += strspn(text, " \t");
    bytes = strlen(text);
    while (bytes > 0 && strchr(" \t", text[bytes - 1]) != NULL)
        text[--bytes] = '\0';
    return text;
}

enum status config_addresses_parse(const char *text, struct config_addresses *addresses,
                                   const char **why)
{
    char copy[CONFIG_TEXT_BYTES];
    char printed[CONFIG_ADDRESSES_MAX * 56];
    struct config_addresses parsed = {0};
    char *rest = copy;
    char *piece;
    *why = text_complaint(text, strlen(text));
    if (*why != NULL)
        return STATUS_BAD_VALUE;
    memcpy(copy, text, strlen(text) + 1);
    if (*trim(copy) == '\0')
        rest = NULL;
    while (*why == NULL && (piece = strsep(&rest, ",")) != NULL) {
        if (parsed.count == CONFIG_ADDRESSES_MAX)
            *why = "names more than 16 addresses";
        else
            *why = parse_address(trim(piece), &parsed.address[parsed.count++]);
    }
    /* The canonical form of an address may be longer than what was written. */
    config_addresses_print(&parsed, printed, sizeof(printed));
    if (*why == NULL && strlen(printed) >= CONFIG_TEXT_BYTES)
        *why = "is longer than 159 bytes";
    if (*why != NULL)
        return STATUS_BAD_VALUE;
    *addresses = parsed;
    return STATUS_OK;
}

void config_addresses_print(const struct config_addresses *addresses, char *out, size_t out_bytes)
{
    size_t used = 0;
    assert(out_bytes > 0);
    out[0] = '\0';
    for (unsigned i = 0; i < addresses->count; i++) {
        const struct config_address *address = &addresses->address[i];
        bool is_ipv6 = strchr(address->host, ':') != NULL;
        int bytes = snprintf(out + used, out_bytes - used, "%s%s%s%s:%u", i > 0 ? "," : "",
                             is_ipv6 ? "[" : "", address->host, is_ipv6 ? "]" : "",
                             (unsigned)address->port);
        if (bytes < 0 || (size_t)bytes >= out_bytes - used)
            return;
        used += (size_t)bytes;
    }
}
