/* Failures as sentences. */
#include "broker/store/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum status failure_set(struct journal_failure *failure, enum status status, const char *file,
                        int error, const char *format, ...)
{
    if (failure->text[0] != '\0')
        return status;
    *failure = (struct journal_failure){.error = -error};
    (void)snprintf(failure->file, sizeof failure->file, "%s", file);
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
    if (error != 0 && count >= 0 && (size_t)count < sizeof failure->text)
        (void)snprintf(failure->text + count, sizeof failure->text - (size_t)count, ": %s",
                       strerror(-error));
    return status;
}

void failure_set_offset(struct journal_failure *failure, uint64_t offset)
{
    failure->offset = offset;
}
