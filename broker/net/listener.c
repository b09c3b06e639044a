/* A listener: accepts connections at one address until the daemon stops. */
#include "broker/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/net/connection.h"
#include "broker/net/loop.h"
#include "broker/net/unix_path.h"

/* The kernel cuts it to net.core.somaxconn. */
#define LISTENER_BACKLOG 4096
/* Accepted in one round. */
#define LISTENER_ACCEPT_MAX 64
#define LISTENER_REST_MS 100

struct listener {
    TAILQ_ENTRY(listener) all;
    struct net *net;
    int file;
    struct event *event;
    struct net_timer rest;
    struct unix_path *path; /* NULL for TCP */
};

/* --- accepting
 * ------------------------------------------------------------------------------------ */

static void origin_of_tcp(struct peer_origin *origin, const struct sockaddr_storage *address)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
        (void)inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        origin->is_loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
        (void)snprintf(origin->text, sizeof origin->text, "[%s]:%u", host, ntohs(six->sin6_port));
        return;
    }
    struct sockaddr_in four;
    memcpy(&four, address, sizeof four);
    (void)inet_ntop(AF_INET, &four.sin_addr, host, sizeof host);
    origin->is_loopback = ntohl(four.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    (void)snprintf(origin->text, sizeof origin->text, "%s:%u", host, ntohs(four.sin_port));
}

/* A socket that cannot say who is at its other end belongs to nobody. */
static void origin_of_unix(struct peer_origin *origin, int file)
{
    struct ucred who = {0, (uid_t)-1, (gid_t)-1};
    socklen_t bytes = sizeof who;
    if (getsockopt(file, SOL_SOCKET, SO_PEERCRED, &who, &bytes) != 0)
        who.uid = (uid_t)-1;
    origin->is_unix = true;
    origin->uid = who.uid;
    origin->is_administrator = who.uid == 0 || who.uid == geteuid();
    (void)snprintf(origin->text, sizeof origin->text, "unix uid %u", who.uid);
}

/* The kernel, which is short of something, is asked again a little later. */
static void listener_rest(struct listener *listener)
{
    event_del(listener->event);
    net_arm(listener->net, &listener->rest, listener->net->now_ms + LISTENER_REST_MS);
}

static void on_rested(void *owner)
{
    struct listener *listener = owner;
    if (event_add(listener->event, NULL) != 0)
        listener_rest(listener);
}

/* Somebody waits and cannot be let in. With the spare descriptor given up there is room to tell
 * them; without one the rest alone must do. */
static void listener_shed(struct listener *listener, int error)
{
    struct net *net = listener->net;
    if (net_may_complain(net))
        net_say(net, CORE_NOTE_WARNING, "connections are turned away: %s", strerror(error));
    if (net->spare_file >= 0) {
        close(net->spare_file);
        int file = accept4(listener->file, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (file >= 0)
            connection_refuse_take(net, file, "the broker is out of file descriptors");
    }
    net->spare_file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    listener_rest(listener);
}

static bool error_is_of_one_connection(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM ||
           error == ENETDOWN || error == ENETUNREACH || error == EHOSTDOWN ||
           error == EHOSTUNREACH || error == ENONET || error == ENOPROTOOPT || error == EOPNOTSUPP;
}

static bool listener_accept(struct listener *listener)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t bytes = sizeof address;
    int file =
        accept4(listener->file, (struct sockaddr *)&address, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (file < 0) {
        if (error_is_of_one_connection(errno))
            return true;
        if (errno != EAGAIN)
            listener_shed(listener, errno);
        return false;
    }
    struct peer_origin origin = {0};
    if (listener->path != NULL)
        origin_of_unix(&origin, file);
    else
        origin_of_tcp(&origin, &address);
    connection_open_take(listener->net, file, &origin);
    return true;
}

static void on_acceptable(evutil_socket_t file, short what, void *argument)
{
    (void)file;
    (void)what;
    struct listener *listener = argument;
    net_begin(listener->net);
    for (int i = 0; i < LISTENER_ACCEPT_MAX; i++)
        if (!listener_accept(listener))
            return;
}

/* --- opening
 * -------------------------------------------------------------------------------------- */

static enum status fail(char *error, const char *what, enum status status)
{
    (void)snprintf(error, NET_ERROR_BYTES, "%s: %s", what, strerror(errno));
    return status;
}

/* Takes the file and the path over, on failure too. */
static enum status listener_start_take(struct net *net, int file, struct unix_path *path,
                                       char *error)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        goto fail;
    listener->event =
        event_new(loop_base(net->loop), file, EV_READ | EV_PERSIST, on_acceptable, listener);
    if (listener->event == NULL || event_add(listener->event, NULL) != 0)
        goto fail;
    listener->net = net;
    listener->file = file;
    listener->path = path;
    listener->rest.on_due = on_rested;
    listener->rest.owner = listener;
    TAILQ_INSERT_TAIL(&net->listeners, listener, all);
    return STATUS_OK;

fail:
    if (listener != NULL && listener->event != NULL)
        event_free(listener->event);
    free(listener);
    close(file);
    unix_path_remove(path);
    (void)snprintf(error, NET_ERROR_BYTES, "no memory for a listener");
    return STATUS_NO_MEMORY;
}

static bool address_fill(struct sockaddr_storage *address, const char *host, uint16_t port)
{
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return true;
    }
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    return inet_pton(AF_INET6, host, &six->sin6_addr) == 1;
}

static socklen_t address_bytes(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

/* Small frames must not wait for each other, and a peer that vanished without a word is noticed at
 * the latest by the kernel. Accepted sockets inherit all of it. */
static bool socket_set_options(int file, int family)
{
    const int on = 1;
    if (family == AF_INET6 && setsockopt(file, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        return false;
    return setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           setsockopt(file, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0 &&
           setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

enum status listener_open_tcp(struct net *net, const char *host, uint16_t port, char *error)
{
    struct sockaddr_storage address = {0};
    if (!address_fill(&address, host, port)) {
        (void)snprintf(error, NET_ERROR_BYTES, "%s is not a numeric address", host);
        return STATUS_BAD_VALUE;
    }
    int file = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (file < 0)
        return fail(error, "socket", STATUS_IO_ERROR);
    socklen_t bytes = address_bytes(&address);
    if (!socket_set_options(file, address.ss_family) ||
        bind(file, (struct sockaddr *)&address, bytes) != 0 ||
        listen(file, LISTENER_BACKLOG) != 0 ||
        getsockname(file, (struct sockaddr *)&address, &bytes) != 0) {
        char what[64];
        (void)snprintf(what, sizeof what, "cannot listen at %s port %u", host, port);
        enum status status =
            fail(error, what, errno == EADDRINUSE ? STATUS_IN_USE : STATUS_IO_ERROR);
        close(file);
        return status;
    }
    enum status status = listener_start_take(net, file, NULL, error);
    struct peer_origin bound = {0};
    origin_of_tcp(&bound, &address);
    if (status == STATUS_OK)
        (void)snprintf(error, NET_ERROR_BYTES, "%s", bound.text);
    return status;
}

enum status listener_open_unix(struct net *net, const char *path, uint32_t mode, char *error)
{
    struct unix_path *bound = NULL;
    int file = -1;
    enum status status = unix_path_bind(path, mode, &bound, &file, error);
    if (status != STATUS_OK)
        return status;
    if (listen(file, LISTENER_BACKLOG) != 0) {
        status = fail(error, path, STATUS_IO_ERROR);
        close(file);
        unix_path_remove(bound);
        return status;
    }
    status = listener_start_take(net, file, bound, error);
    if (status == STATUS_OK)
        (void)snprintf(error, NET_ERROR_BYTES, "%s", path);
    return status;
}

void listener_close(struct listener *listener)
{
    TAILQ_REMOVE(&listener->net->listeners, listener, all);
    net_disarm(listener->net, &listener->rest);
    event_free(listener->event);
    /* Gone from the directory before it is closed: nobody finds a socket that refuses. */
    unix_path_remove(listener->path);
    close(listener->file);
    free(listener);
}
