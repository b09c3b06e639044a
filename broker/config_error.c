/* What is wrong with a configuration: every complaint, in the order found, for the person who wrote
 * it. */
#include "broker/config_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/log.h"

void config_error_add(struct config_errors *errors, const char *where, const char *format, ...)
{
    char text[CONFIG_ERROR_BYTES];
    char escaped[4 * CONFIG_ERROR_BYTES];
    va_list arguments;
    int bytes = snprintf(text, sizeof(text), "%s: ", where);
    size_t used = bytes < 0 ? 0 : (size_t)bytes;
    if (errors->count++ >= CONFIG_ERRORS_MAX)
        return;
    if (used < sizeof(text)) {
        va_start(arguments, format);
        vsnprintf(text + used, sizeof(text) - used, format, arguments);
        va_end(arguments);
    }
    log_escape(text, strlen(text), escaped, sizeof(escaped));
    errors->text[errors->count - 1] = strdup(escaped);
}

void config_errors_deinit(struct config_errors *errors)
{
    for (size_t i = 0; i < CONFIG_ERRORS_MAX; i++)
        free(errors->text[i]);
    memset(errors, 0, sizeof(*errors));
}
