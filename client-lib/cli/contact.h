/* The connection of a verb to the broker, and the signals that end it.
 *
 * A first connection must be there within 5 s. One that is lost later is tried again for 60 s; the
 * library does the trying, the contact counts the time.
 */
#ifndef HERALD_CLI_CONTACT_H
#define HERALD_CLI_CONTACT_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client-lib/cli/arguments.h"
#include "client-lib/herald.h"

enum {
    CONTACT_CONNECT_MS = 5000,
    CONTACT_LOST_MS_MAX = 60000,
    CONTACT_ANSWER_MS = 60000, /* for one answer of the broker */
    CONTACT_URL_BYTES = 1024,
    CONTACT_FDS = 2, /* entries that contact_wait uses itself */
};

struct contact {
    struct herald_client *client;
    _Atomic int64_t lost_at_ms; /* when the connection broke; 0: it stands */
    _Atomic unsigned losses;    /* how often it broke */
    _Atomic bool is_over;       /* the broker will not have this client back */
    int signal_fd;              /* -1: signals do what they always do */
    unsigned stops_seen;        /* SIGINT and SIGTERM so far */
    bool has_child_news;        /* SIGCHLD came; who looks after it makes it false again */
    void *context;              /* the verb's own, for its hooks: they are given the contact */
    char url[CONTACT_URL_BYTES];
};

/* Fills in the options of a handle: where the broker is, as the command line says. False after it
 * has said on standard error that -u cannot be used like this. */
bool contact_options(struct contact *contact, const struct arguments *arguments,
                     struct herald_options *options);

/* Connects. More options than contact_options gives may be set in *options; the state hook and the
 * hooks' `user` are the contact's. Returns EXIT_OK, or the exit code after it has said why not;
 * then nothing is open. */
int contact_open(struct contact *contact, struct herald_options *options);

/* Both steps for verbs that need nothing more. */
int contact_open_plain(struct contact *contact, const struct arguments *arguments);

/* From now on SIGINT, SIGTERM and SIGCHLD come through contact_wait. To be called before any thread
 * is started. */
void contact_catch_signals(struct contact *contact);

/* Waits until the handle, a signal or one of the caller's descriptors wants something, at most
 * timeout_ms (< 0: for ever), and lets the handle do its work. The first CONTACT_FDS entries are
 * filled in by the contact; the caller's own follow, `count` in all.
 * HERALD_ELOST: the connection has been lost for too long. HERALD_ECLOSED: over. */
enum herald_status contact_wait(struct contact *contact, struct pollfd *fds, size_t count,
                                int timeout_ms);

/* Waits until all that was sent and settled is confirmed or refused, as long as the connection has
 * not been lost for too long. Returns what herald_flush returns, HERALD_ELOST for too long. */
enum herald_status contact_flush(struct contact *contact);

/* The same for those who only settle: settlements that a lost connection has made stale are no
 * failure, the broker has handed those messages out again. */
enum herald_status contact_flush_settled(struct contact *contact);

/* Whether the connection has been lost for longer than it is tried again. */
bool contact_is_lost_for_good(struct contact *contact);

/* Ends the handle, giving what is not settled back. */
void contact_close(struct contact *contact);

/* Milliseconds of a clock that only goes forward. */
int64_t contact_now_ms(void);

#endif
