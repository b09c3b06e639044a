/* What went wrong: the words on standard error and the exit code. */
#include "client-lib/cli/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { REPORT_BYTES_MAX = 8192 };

int report_exit_code(enum herald_status status)
{
    switch (status) {
    case HERALD_OK:
        return EXIT_OK;
    case HERALD_ETIMEOUT:
        return EXIT_TIMEOUT;
    case HERALD_EDENIED:
        return EXIT_DENIED;
    case HERALD_ENOTFOUND:
        return EXIT_NOT_FOUND;
    case HERALD_ECONNECT:
    case HERALD_ELOST:
    case HERALD_ECLOSED:
        return EXIT_CONNECT;
    case HERALD_EINVAL:
        return EXIT_USAGE;
    case HERALD_EAGAIN:
    case HERALD_EWOULDDEADLOCK:
    case HERALD_EREFUSED:
    case HERALD_EFAILED:
    case HERALD_ESTALE:
    case HERALD_ETOOLARGE:
    case HERALD_ENOMEMORY:
    case HERALD_EUNSUPPORTED:
        return EXIT_FAILED;
    }
    return EXIT_FAILED;
}

void report_say(const char *format, ...)
{
    char text[REPORT_BYTES_MAX];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (char *c = text; *c != '\0'; c++) {
        if (((unsigned char)*c < ' ' && *c != '\n' && *c != '\t') || *c == 0x7f)
            *c = '?';
    }
    fprintf(stderr, "herald: %s\n", text);
}

int report_refusal(enum herald_status status, const char *code, const char *text,
                   const struct report_names *names)
{
    if (strcmp(code, "NO_QUEUE") == 0 && names->queue != NULL)
        report_say("there is no queue '%s'; make it with\n  herald queue create %s", names->queue,
                   names->queue);
    else if (strcmp(code, "NO_EXCHANGE") == 0 && names->exchange != NULL)
        report_say("there is no exchange '%s'; make it with\n  herald exchange create %s",
                   names->exchange, names->exchange);
    else if (code[0] != '\0' && text[0] != '\0')
        report_say("%s: %s", code, text);
    else
        report_say("%s", code[0] != '\0'   ? code
                         : text[0] != '\0' ? text
                                           : herald_status_name(status));
    if (strcmp(code, "NO_QUEUE") == 0 || strcmp(code, "NO_EXCHANGE") == 0 ||
        strcmp(code, "NO_BINDING") == 0)
        return EXIT_NOT_FOUND;
    if (strcmp(code, "DENIED") == 0)
        return EXIT_DENIED;
    if (strcmp(code, "EXPIRED") == 0)
        return EXIT_TIMEOUT;
    return report_exit_code(status);
}

int report_status(struct herald_client *client, enum herald_status status,
                  const struct report_names *names)
{
    static const struct report_names none;
    if (status == HERALD_OK)
        return EXIT_OK;
    struct herald_error error = herald_last_error(client);
    if (error.status != status)
        return report_refusal(status, "", "", names != NULL ? names : &none);
    return report_refusal(status, error.name, error.text, names != NULL ? names : &none);
}
