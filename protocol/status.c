/* Statuses by name and by code. */
#include "protocol/status.h"

#include <stddef.h>

struct status_entry {
    unsigned code;
    const char *name;
    const char *text;
};

static const struct status_entry entries[] = {
#define STATUS(NAME, code, text) {code, #NAME, text},
#include "protocol/status.def"
};

static const struct status_entry *entry_find(unsigned code)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        if (entries[i].code == code)
            return &entries[i];
    return NULL;
}

const char *status_name(unsigned code)
{
    const struct status_entry *entry = entry_find(code);
    return entry != NULL ? entry->name : "UNKNOWN";
}

const char *status_text(unsigned code)
{
    const struct status_entry *entry = entry_find(code);
    return entry != NULL ? entry->text : "a status that this version does not know";
}

bool status_is_public(unsigned code)
{
    return code < STATUS_MORE && entry_find(code) != NULL;
}
