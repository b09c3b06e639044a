/* Where a broker is: parsing of URLs. */
#include "client-lib/url.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char port_plain[] = "7440";
static const char port_tls[] = "7441";

static bool copy_part(char *to, size_t room, const char *from, size_t bytes)
{
    if (bytes == 0 || bytes >= room)
        return false;
    memcpy(to, from, bytes);
    to[bytes] = '\0';
    return true;
}

static bool parse_port(struct url *url, const char *text, size_t bytes)
{
    if (strspn(text, "0123456789") < bytes || !copy_part(url->port, sizeof url->port, text, bytes))
        return false;
    long port = strtol(url->port, NULL, 10);
    return port >= 1 && port <= 65535;
}

/* Takes what stands before an @; *text goes on behind it. */
static bool parse_user(struct url *url, const char **text, size_t bytes)
{
    const char *at = memchr(*text, '@', bytes);
    if (at == NULL)
        return true;
    bool fits = copy_part(url->user, sizeof url->user, *text, (size_t)(at - *text));
    *text = at + 1;
    return fits;
}

/* [user@]host[:port][/], where a host with colons stands in brackets. */
static bool parse_authority(struct url *url, const char *text, const char **reason)
{
    size_t bytes = strcspn(text, "/");
    if (text[bytes] == '/' && text[bytes + 1] != '\0') {
        *reason = "the URL goes on after host and port";
        return false;
    }
    const char *end = text + bytes;
    if (!parse_user(url, &text, bytes)) {
        *reason = "the user name in the URL is empty or too long";
        return false;
    }
    const char *host_end = end;
    const char *colon = memchr(text, ':', (size_t)(end - text));
    if (text < end && *text == '[') {
        text++;
        host_end = memchr(text, ']', (size_t)(end - text));
        colon = host_end != NULL && host_end + 1 < end ? host_end + 1 : NULL;
    } else if (colon != NULL) {
        host_end = colon;
    }
    if (host_end == NULL ||
        !copy_part(url->host, sizeof url->host, text, (size_t)(host_end - text))) {
        *reason = "the host in the URL is missing or too long";
        return false;
    }
    if (colon != NULL &&
        (*colon != ':' || !parse_port(url, colon + 1, (size_t)(end - colon - 1)))) {
        *reason = "the port in the URL is not a number from 1 to 65535";
        return false;
    }
    return true;
}

bool url_parse(struct url *url, const char *text, const char **reason)
{
    *url = (struct url){.kind = URL_TCP};
    if (strncmp(text, "unix:", 5) == 0) {
        url->kind = URL_UNIX;
        if (copy_part(url->path, sizeof url->path, text + 5, strlen(text + 5)))
            return true;
        *reason = "the path in the URL is empty or longer than 107 bytes";
        return false;
    }
    if (strncmp(text, "herald://", 9) == 0) {
        memcpy(url->port, port_plain, sizeof port_plain);
        return parse_authority(url, text + 9, reason);
    }
    if (strncmp(text, "heralds://", 10) == 0) {
        url->kind = URL_TLS;
        memcpy(url->port, port_tls, sizeof port_tls);
        return parse_authority(url, text + 10, reason);
    }
    *reason = "the URL must begin with herald://, heralds:// or unix:";
    return false;
}
