/* Values of options as text: numbers, sizes, durations and addresses, read and printed.
 *
 *   kind      written as                            is
 *   BOOL      yes, no (also true, false, on, off)   bool
 *   COUNT     128                                   uint64_t
 *   SIZE      1GiB, 64KiB, 512                      uint64_t, bytes
 *   DURATION  0.5s, 250ms, 5m, 1h, 2d, 30 (s)       uint64_t, milliseconds
 *   MODE      0660                                  uint64_t
 *   LEVEL     warning                               enum log_level
 *   TEXT      anything printable                    char[CONFIG_TEXT_BYTES]
 *   PATH      /an/absolute/path                     char[CONFIG_TEXT_BYTES]
 *   LISTEN    127.0.0.1:7440, [::1]:7440            struct config_addresses
 *
 * What is accepted prints in one way, and what is printed parses to the same value. Nothing here
 * allocates.
 */
#ifndef HERALD_CONFIG_VALUE_H
#define HERALD_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/log.h"
#include "protocol/status.h"

/* A line of the file has room for 197 bytes (the INI reader's limit), so a value with its key fits.
 */
#define CONFIG_TEXT_BYTES 160
#define CONFIG_ADDRESSES_MAX 16

enum config_kind {
    CONFIG_BOOL,
    CONFIG_COUNT,
    CONFIG_SIZE,
    CONFIG_DURATION,
    CONFIG_MODE,
    CONFIG_LEVEL,
    CONFIG_TEXT,
    CONFIG_PATH,
    CONFIG_LISTEN,
};

/* An address to listen at. */
struct config_address {
    char host[46]; /* numeric, IPv4 or IPv6 without brackets, in its canonical form */
    uint16_t port; /* 0: any free one */
    bool is_loopback;
};

struct config_addresses {
    unsigned count;
    struct config_address address[CONFIG_ADDRESSES_MAX];
};

/* A number of the kinds COUNT, SIZE, DURATION and MODE. STATUS_BAD_VALUE: *why says what is wrong
 * with it, static storage. */
enum status config_number_parse(enum config_kind kind, const char *text, uint64_t *number,
                                const char **why);

/* The shortest way to write it without loss. `out` should have CONFIG_TEXT_BYTES. */
void config_number_print(enum config_kind kind, uint64_t number, char *out, size_t out_bytes);

enum status config_bool_parse(const char *text, bool *value, const char **why);

/* TEXT and PATH: `out` has CONFIG_TEXT_BYTES. */
enum status config_text_parse(enum config_kind kind, const char *text, char *out, const char **why);

enum status config_addresses_parse(const char *text, struct config_addresses *addresses,
                                   const char **why);
void config_addresses_print(const struct config_addresses *addresses, char *out, size_t out_bytes);

#endif
