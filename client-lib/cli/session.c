/* The connection of a verb to the broker, and the signals that end it. */
#include "client-lib/cli/session.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "client-lib/cli/report.h"

enum {
    FLUSH_SLICE_MS = 500,
    DRAIN_MS = 5000,
};

int64_t session_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Runs on the library's thread when there is one. */
static void on_state(struct herald_client *client, enum herald_state state, void *user)
{
    (void)client;
    struct session *session = user;
    switch (state) {
    case HERALD_STATE_OPEN:
        if (atomic_exchange(&session->lost_at_ms, 0) != 0)
            report_say("connected again");
        break;
    case HERALD_STATE_LOST:
        atomic_fetch_add(&session->losses, 1);
        if (atomic_load(&session->lost_at_ms) == 0) {
            atomic_store(&session->lost_at_ms, session_now_ms());
            report_say("connection lost, trying again for %d s", SESSION_LOST_MS_MAX / 1000);
        }
        break;
    case HERALD_STATE_FORGOTTEN:
        report_say("the broker does not remember this program; "
                   "what it had not confirmed is sent anew and may be doubled");
        break;
    case HERALD_STATE_CLOSED:
        atomic_store(&session->is_over, true);
        break;
    case HERALD_STATE_CONNECTING:
    case HERALD_STATE_DRAINING:
        break;
    }
}

/* Puts the user into a URL over TCP, the only place where a user is named. */
static bool add_user(struct session *session, const char *url, const char *user)
{
    const char *host = url != NULL ? strstr(url, "://") : NULL;
    if (host == NULL) {
        report_say("-u needs a broker over TCP: -s herald://host:port");
        return false;
    }
    host += 3;
    const char *at = strchr(host, '@');
    int bytes = snprintf(session->url, sizeof session->url, "%.*s%s@%s", (int)(host - url), url,
                         user, at != NULL ? at + 1 : host);
    if (bytes >= 0 && (size_t)bytes < sizeof session->url)
        return true;
    report_say("the URL is too long");
    return false;
}

bool session_options(struct session *session, const struct arguments *arguments,
                     struct herald_options *options)
{
    *options = herald_options_default();
    options->product = "herald";
    options->url = arguments->options[OPTION_SERVER].text;
    if (!arguments_has(arguments, OPTION_USER))
        return true;
    const char *url = options->url != NULL ? options->url : getenv("HERALD_URL");
    options->url = session->url;
    return add_user(session, url, arguments->options[OPTION_USER].text);
}

int session_open(struct session *session, struct herald_options *options)
{
    session->signal_fd = -1;
    session->stops_seen = 0;
    session->has_child_news = false;
    atomic_store(&session->lost_at_ms, 0);
    atomic_store(&session->losses, 0);
    atomic_store(&session->is_over, false);
    options->user = session;
    options->on_state = on_state;
    options->reconnect_ms_max = 1000;
    session->client = herald_new(options);
    if (session->client == NULL) {
        report_say("out of memory or descriptors");
        return EXIT_FAILED;
    }
    enum herald_status status = herald_connect(session->client, SESSION_CONNECT_MS);
    if (status == HERALD_OK)
        return EXIT_OK;
    int code = report_status(session->client, status, NULL);
    if (status == HERALD_ETIMEOUT || status == HERALD_EREFUSED)
        code = EXIT_CONNECT;
    herald_close(session->client, 0);
    return code;
}

int session_open_plain(struct session *session, const struct arguments *arguments)
{
    struct herald_options options;
    if (!session_options(session, arguments, &options))
        return EXIT_USAGE;
    return session_open(session, &options);
}

void session_catch_signals(struct session *session)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    session->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    assert(session->signal_fd >= 0);
}

static void read_signals(struct session *session)
{
    struct signalfd_siginfo info;
    while (read(session->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            session->has_child_news = true;
        else
            session->stops_seen++;
    }
}

bool session_is_lost_for_good(struct session *session)
{
    int64_t lost_at_ms = atomic_load(&session->lost_at_ms);
    return lost_at_ms != 0 && session_now_ms() - lost_at_ms > SESSION_LOST_MS_MAX;
}

static int shorter_ms(int a, int b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

enum herald_status session_wait(struct session *session, struct pollfd *fds, size_t count,
                                int timeout_ms)
{
    assert(count >= SESSION_FDS);
    timeout_ms = shorter_ms(timeout_ms, herald_timeout(session->client));
    fds[0] = (struct pollfd){.fd = herald_fd(session->client), .events = POLLIN};
    fds[1] = (struct pollfd){.fd = session->signal_fd, .events = POLLIN};
    if (poll(fds, count, timeout_ms) < 0) {
        if (errno != EINTR)
            return HERALD_ENOMEMORY;
        for (size_t i = 0; i < count; i++)
            fds[i].revents = 0;
    }
    if (fds[1].revents != 0)
        read_signals(session);
    enum herald_status status = herald_process(session->client);
    if (status == HERALD_OK && session_is_lost_for_good(session))
        return HERALD_ELOST;
    return status;
}

enum herald_status session_flush(struct session *session)
{
    enum herald_status status = HERALD_ETIMEOUT;
    while (status == HERALD_ETIMEOUT) {
        status = herald_flush(session->client, FLUSH_SLICE_MS);
        if (status != HERALD_ETIMEOUT)
            break;
        if (session->signal_fd >= 0)
            read_signals(session);
        if (session_is_lost_for_good(session) || session->stops_seen > 1)
            return HERALD_ELOST;
    }
    return status;
}

void session_close(struct session *session)
{
    bool is_gone = atomic_load(&session->is_over) || atomic_load(&session->lost_at_ms) != 0;
    herald_close(session->client, is_gone ? 0 : DRAIN_MS);
    if (session->signal_fd >= 0)
        close(session->signal_fd);
}
