/* Which queues are cursors. */
#include "client-lib/cli/cursor.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/cli/report.h"

static void on_row(const struct herald_field *fields, size_t count, void *context)
{
    struct cursor *cursor = context;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, "exchange") == 0)
            snprintf(cursor->exchange, sizeof cursor->exchange, "%s", fields[i].text);
        else if (strcmp(fields[i].name, "pattern") == 0)
            snprintf(cursor->pattern, sizeof cursor->pattern, "%s", fields[i].text);
    }
    cursor->is_there = cursor->exchange[0] != '\0';
}

int cursor_find(struct contact *contact, const char *name, struct cursor *cursor)
{
    *cursor = (struct cursor){.is_there = false};
    struct herald_query query = {.size = sizeof query,
                                 .subject = HERALD_QUEUE,
                                 .name = name,
                                 .on_row = on_row,
                                 .context = cursor};
    enum herald_status status = herald_query(contact->client, &query, CONTACT_ANSWER_MS);
    if (status == HERALD_ENOTFOUND)
        return EXIT_OK;
    return report_status(contact->client, status, NULL);
}

int cursor_must_be(struct contact *contact, const char *name)
{
    struct cursor cursor;
    int code = cursor_find(contact, name, &cursor);
    if (code != EXIT_OK || cursor.is_there)
        return code;
    report_say("there is no cursor '%s'; make it with\n"
               "  herald subscribe EXCHANGE --name %s --from first",
               name, name);
    return EXIT_NOT_FOUND;
}
