/* Statuses and the last error. */
#include "client-lib/client.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [HERALD_OK] = "HERALD_OK",
    [HERALD_ETIMEOUT] = "HERALD_ETIMEOUT",
    [HERALD_EAGAIN] = "HERALD_EAGAIN",
    [HERALD_EWOULDDEADLOCK] = "HERALD_EWOULDDEADLOCK",
    [HERALD_EREFUSED] = "HERALD_EREFUSED",
    [HERALD_EDENIED] = "HERALD_EDENIED",
    [HERALD_ENOTFOUND] = "HERALD_ENOTFOUND",
    [HERALD_ECONNECT] = "HERALD_ECONNECT",
    [HERALD_ELOST] = "HERALD_ELOST",
    [HERALD_EFAILED] = "HERALD_EFAILED",
    [HERALD_ESTALE] = "HERALD_ESTALE",
    [HERALD_ECLOSED] = "HERALD_ECLOSED",
    [HERALD_EINVAL] = "HERALD_EINVAL",
    [HERALD_ETOOLARGE] = "HERALD_ETOOLARGE",
    [HERALD_ENOMEMORY] = "HERALD_ENOMEMORY",
    [HERALD_EUNSUPPORTED] = "HERALD_EUNSUPPORTED",
    [HERALD_ESTOPPED] = "HERALD_ESTOPPED",
    [HERALD_ECONFLICT] = "HERALD_ECONFLICT",
};

const char *herald_status_name(enum herald_status status)
{
    size_t index = (size_t)status;
    if (index >= sizeof names / sizeof names[0] || names[index] == NULL)
        return "HERALD_UNKNOWN";
    return names[index];
}

const char *herald_version(void)
{
    return HERALD_VERSION;
}

struct herald_error herald_last_error(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    struct herald_error error = client->error;
    pthread_mutex_unlock(&client->lock);
    return error;
}

enum herald_status error_set(struct herald_client *client, enum herald_status status,
                             const char *text)
{
    client->error = (struct herald_error){.status = status};
    (void)snprintf(client->error.text, sizeof client->error.text, "%s", text);
    return status;
}

enum herald_status error_set_errno(struct herald_client *client, enum herald_status status,
                                   const char *what, int error)
{
    client->error = (struct herald_error){.status = status};
    char reason[128];
    const char *text = strerror_r(error, reason, sizeof reason);
    (void)snprintf(client->error.text, sizeof client->error.text, "%s: %s", what, text);
    return status;
}

enum herald_status error_status_of(unsigned code)
{
    switch (code) {
    case STATUS_OK:
        return HERALD_OK;
    case STATUS_NO_QUEUE:
    case STATUS_NO_EXCHANGE:
    case STATUS_NO_BINDING:
    case STATUS_NOT_PARKED:
    case STATUS_UNKNOWN_COMMAND:
    case STATUS_NO_ENTITY:
        return HERALD_ENOTFOUND;
    case STATUS_DENIED:
    case STATUS_AUTHENTICATION_FAILED:
        return HERALD_EDENIED;
    case STATUS_TOO_LARGE:
        return HERALD_ETOOLARGE;
    case STATUS_STALE_DELIVERY:
        return HERALD_ESTALE;
    case STATUS_EXPIRED:
        return HERALD_ETIMEOUT;
    case STATUS_VERSION_CONFLICT:
        return HERALD_ECONFLICT;
    default:
        return HERALD_EREFUSED;
    }
}

/* The broker's text of a conflict is the version in decimal, and nothing else. */
static bool parse_version(struct wire_bytes text, uint64_t *version)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < text.bytes; i++) {
        unsigned digit = (unsigned)text.at[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *version = value;
    return text.bytes > 0;
}

void error_fill(struct herald_error *error, unsigned code, struct wire_bytes text)
{
    *error = (struct herald_error){.status = error_status_of(code), .code = code};
    (void)snprintf(error->name, sizeof error->name, "%s", status_name(code));
    if (code == STATUS_VERSION_CONFLICT && parse_version(text, &error->version))
        (void)snprintf(error->text, sizeof error->text, "the entity is at version %" PRIu64,
                       error->version);
    else if (text.bytes > 0)
        (void)snprintf(error->text, sizeof error->text, "%.*s", (int)text.bytes,
                       (const char *)text.at);
    else
        (void)snprintf(error->text, sizeof error->text, "%s", status_text(code));
}

enum herald_status error_set_code(struct herald_client *client, unsigned code,
                                  struct wire_bytes text)
{
    error_fill(&client->error, code, text);
    return client->error.status;
}
