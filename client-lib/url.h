/* Where a broker is: herald://[user@]host[:port], heralds://..., unix:/path. */
#ifndef HERALD_CLIENT_URL_H
#define HERALD_CLIENT_URL_H

#include <stdbool.h>

enum url_kind {
    URL_TCP,
    URL_TLS,
    URL_UNIX,
};

enum {
    URL_HOST_BYTES = 256,
    URL_PORT_BYTES = 6,
    URL_PATH_BYTES = 108, /* sun_path of a unix socket, NUL included */
    URL_USER_BYTES = 256,
};

struct url {
    enum url_kind kind;
    char host[URL_HOST_BYTES];
    char port[URL_PORT_BYTES];
    char path[URL_PATH_BYTES];
    char user[URL_USER_BYTES]; /* empty: none */
};

/* False when the text is no such URL; *reason then says why, static storage. */
bool url_parse(struct url *url, const char *text, const char **reason);

#endif
