/* What is wrong with a configuration: every complaint, in the order found, for the person who wrote
 * it. */
#ifndef HERALD_CONFIG_ERROR_H
#define HERALD_CONFIG_ERROR_H

#include <stddef.h>

#define CONFIG_ERRORS_MAX 64
#define CONFIG_ERROR_BYTES 512

/* Zero it to begin with. */
struct config_errors {
    size_t count; /* complaints made; only the first CONFIG_ERRORS_MAX are kept */
    char *text[CONFIG_ERRORS_MAX];
};

/* Adds "where: text", with everything that cannot be printed escaped. A lack of memory drops the
 * text, never the count. */
void config_error_add(struct config_errors *errors, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Frees the texts; `errors` is empty then. */
void config_errors_deinit(struct config_errors *errors);

#endif
