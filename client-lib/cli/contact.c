/* The connection of a verb to the broker, and the signals that end it. */
#include "client-lib/cli/contact.h"

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

int64_t contact_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Runs on the library's thread when there is one. */
static void on_state(struct herald_client *client, enum herald_state state, void *user)
{
    (void)client;
    struct contact *contact = user;
    switch (state) {
    case HERALD_STATE_OPEN:
        if (atomic_exchange(&contact->lost_at_ms, 0) != 0)
            report_say("connected again");
        break;
    case HERALD_STATE_LOST:
        atomic_fetch_add(&contact->losses, 1);
        if (atomic_load(&contact->lost_at_ms) == 0) {
            atomic_store(&contact->lost_at_ms, contact_now_ms());
            report_say("connection lost, trying again for %d s", CONTACT_LOST_MS_MAX / 1000);
        }
        break;
    case HERALD_STATE_FORGOTTEN:
        report_say("the broker does not remember this program; "
                   "what it had not confirmed is sent anew and may be doubled");
        break;
    case HERALD_STATE_CLOSED:
        atomic_store(&contact->is_over, true);
        break;
    case HERALD_STATE_CONNECTING:
    case HERALD_STATE_DRAINING:
        break;
    }
}

/* Puts the user into a URL over TCP, the only place where a user is named. */
static bool add_user(struct contact *contact, const char *url, const char *user)
{
    const char *host = url != NULL ? strstr(url, "://") : NULL;
    if (host == NULL) {
        report_say("-u needs a broker over TCP: -s herald://host:port");
        return false;
    }
    host += 3;
    const char *at = strchr(host, '@');
    int bytes = snprintf(contact->url, sizeof contact->url, "%.*s%s@%s", (int)(host - url), url,
                         user, at != NULL ? at + 1 : host);
    if (bytes >= 0 && (size_t)bytes < sizeof contact->url)
        return true;
    report_say("the URL is too long");
    return false;
}

bool contact_options(struct contact *contact, const struct arguments *arguments,
                     struct herald_options *options)
{
    *options = herald_options_default();
    options->product = "herald";
    options->url = arguments->options[OPTION_SERVER].text;
    if (!arguments_has(arguments, OPTION_USER))
        return true;
    const char *url = options->url != NULL ? options->url : getenv("HERALD_URL");
    options->url = contact->url;
    return add_user(contact, url, arguments->options[OPTION_USER].text);
}

int contact_open(struct contact *contact, struct herald_options *options)
{
    contact->signal_fd = -1;
    contact->stops_seen = 0;
    contact->has_child_news = false;
    atomic_store(&contact->lost_at_ms, 0);
    atomic_store(&contact->losses, 0);
    atomic_store(&contact->is_over, false);
    options->user = contact;
    options->on_state = on_state;
    options->reconnect_ms_max = 1000;
    contact->client = herald_new(options);
    if (contact->client == NULL) {
        report_say("out of memory or descriptors");
        return EXIT_FAILED;
    }
    enum herald_status status = herald_connect(contact->client, CONTACT_CONNECT_MS);
    if (status == HERALD_OK)
        return EXIT_OK;
    int code = report_status(contact->client, status, NULL);
    if (status == HERALD_ETIMEOUT || status == HERALD_EREFUSED)
        code = EXIT_CONNECT;
    herald_close(contact->client, 0);
    return code;
}

int contact_open_plain(struct contact *contact, const struct arguments *arguments)
{
    struct herald_options options;
    if (!contact_options(contact, arguments, &options))
        return EXIT_USAGE;
    return contact_open(contact, &options);
}

void contact_catch_signals(struct contact *contact)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    contact->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    assert(contact->signal_fd >= 0);
}

static void read_signals(struct contact *contact)
{
    struct signalfd_siginfo info;
    while (read(contact->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            contact->has_child_news = true;
        else
            contact->stops_seen++;
    }
}

bool contact_is_lost_for_good(struct contact *contact)
{
    int64_t lost_at_ms = atomic_load(&contact->lost_at_ms);
    return lost_at_ms != 0 && contact_now_ms() - lost_at_ms > CONTACT_LOST_MS_MAX;
}

static int shorter_ms(int a, int b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

enum herald_status contact_wait(struct contact *contact, struct pollfd *fds, size_t count,
                                int timeout_ms)
{
    assert(count >= CONTACT_FDS);
    timeout_ms = shorter_ms(timeout_ms, herald_timeout(contact->client));
    fds[0] = (struct pollfd){.fd = herald_fd(contact->client), .events = POLLIN};
    fds[1] = (struct pollfd){.fd = contact->signal_fd, .events = POLLIN};
    if (poll(fds, count, timeout_ms) < 0) {
        if (errno != EINTR)
            return HERALD_ENOMEMORY;
        for (size_t i = 0; i < count; i++)
            fds[i].revents = 0;
    }
    if (fds[1].revents != 0)
        read_signals(contact);
    enum herald_status status = herald_process(contact->client);
    if (status == HERALD_OK && contact_is_lost_for_good(contact))
        return HERALD_ELOST;
    return status;
}

enum herald_status contact_flush(struct contact *contact)
{
    enum herald_status status = HERALD_ETIMEOUT;
    while (status == HERALD_ETIMEOUT) {
        status = herald_flush(contact->client, FLUSH_SLICE_MS);
        if (status != HERALD_ETIMEOUT)
            break;
        if (contact->signal_fd >= 0)
            read_signals(contact);
        if (contact_is_lost_for_good(contact) || contact->stops_seen > 1)
            return HERALD_ELOST;
    }
    return status;
}

enum herald_status contact_flush_settled(struct contact *contact)
{
    enum herald_status status = contact_flush(contact);
    return status == HERALD_ESTALE ? HERALD_OK : status;
}

void contact_close(struct contact *contact)
{
    bool is_gone = atomic_load(&contact->is_over) || atomic_load(&contact->lost_at_ms) != 0;
    herald_close(contact->client, is_gone ? 0 : DRAIN_MS);
    if (contact->signal_fd >= 0)
        close(contact->signal_fd);
}
