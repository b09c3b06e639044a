/* What went wrong: the words on standard error and the exit code. */
#include "client-lib/cli/report.h"

#include <stdarg.h>
#include <stdbool.h>
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
    case HERALD_ESTOPPED:
    case HERALD_ECONFLICT:
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

/* Whether the broker's text is about the other queue. */
static bool is_about_other(const char *text, const struct report_names *names)
{
    char part[300];
    if (names->other == NULL)
        return false;
    (void)snprintf(part, sizeof part, " queue %s to ", names->other);
    return strstr(text, part) != NULL;
}

/* What is missing, with the line that makes it; false if nothing is. */
static bool say_missing(const char *code, const char *text, const struct report_names *names)
{
    const char *queue = is_about_other(text, names) ? names->other : names->queue;
    if (strcmp(code, "NO_QUEUE") == 0 && queue != NULL)
        report_say("there is no queue '%s'; make it with\n  herald queue create %s", queue, queue);
    else if (strcmp(code, "NO_EXCHANGE") == 0 && names->exchange != NULL)
        report_say("there is no exchange '%s'; make it with\n  herald exchange create %s",
                   names->exchange, names->exchange);
    else
        return false;
    return true;
}

int report_refusal(enum herald_status status, const char *code, const char *text,
                   const struct report_names *names)
{
    static const struct {
        const char *code;
        enum exit_code exit_code;
    } known[] = {
        {"NO_QUEUE", EXIT_NOT_FOUND},   {"NO_EXCHANGE", EXIT_NOT_FOUND},
        {"NO_BINDING", EXIT_NOT_FOUND}, {"NOT_PARKED", EXIT_NOT_FOUND},
        {"NO_ENTITY", EXIT_NOT_FOUND},  {"DENIED", EXIT_DENIED},
        {"EXPIRED", EXIT_TIMEOUT},
    };
    const char *separator = code[0] != '\0' && text[0] != '\0' ? ": " : "";
    bool is_silent = code[0] == '\0' && text[0] == '\0';
    if (!say_missing(code, text, names))
        report_say("%s%s%s", code, separator, is_silent ? herald_status_name(status) : text);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(code, known[i].code) == 0)
            return (int)known[i].exit_code;
    }
    return report_exit_code(status);
}

int report_status(struct herald_client *client, enum herald_status status,
                  const struct report_names *names)
{
    static const struct report_names none;
    if (status == HERALD_OK)
        return EXIT_OK;
    struct herald_error error = herald_last_error(client);
    const char *text = status == HERALD_ELOST ? "the connection did not come back" : "";
    if (error.status != status)
        return report_refusal(status, "", text, names != NULL ? names : &none);
    return report_refusal(status, error.name, error.text, names != NULL ? names : &none);
}
