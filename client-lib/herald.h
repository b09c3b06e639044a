/* libherald: send commands, publish events, serve queues and hear events through a Herald broker.
 *
 * One handle (struct herald_client) is one connection that is made again when it is lost. Nothing
 * in this header does I/O behind your back; it happens in one of three modes:
 *
 *   blocking     herald_wait and the calls that take a timeout do the I/O. For plain programs.
 *   own loop     watch herald_fd, call herald_process when it is readable or after herald_timeout.
 *   thread       herald_start_thread: the library does the I/O on a thread of its own.
 *
 * Threads. Every function may be called from every thread, in all modes; settling a message from
 * another thread is the common case. While one thread is inside herald_wait or another blocking
 * call, others that block on the same handle wait for its progress. herald_close ends the handle:
 * no other thread may be inside a call on it then, except for calls on retained messages.
 *
 * Callbacks run only inside herald_process, herald_wait and the calls that take a timeout, or on
 * the library's thread; never two at a time for one handle. They may send, publish, settle, start
 * calls (herald_call_async), cancel and close; what would have to wait returns
 * HERALD_EWOULDDEADLOCK.
 *
 * Ownership. What you pass in stays yours and is copied before the function returns, callbacks'
 * context pointers excepted. A received message and all that its functions point to live until the
 * callback returns, unless you keep it with herald_message_retain.
 *
 * Reconnecting. After a lost connection the handle connects again (0.25 s to 30 s between tries,
 * with jitter), sends again what was not confirmed, so that nothing is doubled, and starts its
 * consumers again. Messages that were being handled are taken back by the broker: settling them
 * returns HERALD_ESTALE. Calls that were under way end with the code CONNECTION_LOST.
 *
 * Timeouts are in milliseconds; a negative one means for ever.
 */
#ifndef HERALD_H
#define HERALD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HERALD_API __attribute__((visibility("default")))

struct herald_client;
struct herald_message;
struct herald_consumer;

/* What the functions return. */
enum herald_status {
    HERALD_OK = 0,
    HERALD_ETIMEOUT = 1,       /* the time given is over */
    HERALD_EAGAIN = 2,         /* the buffer is full: try again when the broker has caught up */
    HERALD_EWOULDDEADLOCK = 3, /* called in a callback, but would have to wait */
    HERALD_EREFUSED = 4,       /* the broker refused; herald_last_error has its code and text */
    HERALD_EDENIED = 5,        /* refused: this user may not */
    HERALD_ENOTFOUND = 6,      /* refused: no such queue, exchange or binding */
    HERALD_ECONNECT = 7,       /* no connection could be made in time */
    HERALD_ELOST = 8,          /* the connection was lost before the answer came */
    HERALD_EFAILED = 9,        /* the worker or the broker failed the command: see the outcome */
    HERALD_ESTALE = 10,        /* the message was settled before, or taken back by the broker */
    HERALD_ECLOSED = 11,       /* the handle is closed, or the broker will not have it back */
    HERALD_EINVAL = 12,        /* an argument cannot be right */
    HERALD_ETOOLARGE = 13,     /* the message is larger than the broker takes */
    HERALD_ENOMEMORY = 14,
    HERALD_EUNSUPPORTED = 15, /* known, but not in this version */
    HERALD_ESTOPPED = 16,     /* a callback of the program asked for the end */
    HERALD_ECONFLICT = 17     /* refused: the entity is at another version than was expected */
};

/* "HERALD_ETIMEOUT", or "HERALD_UNKNOWN"; and the library's version, "0.1.0". Static storage. */
HERALD_API const char *herald_status_name(enum herald_status status);
HERALD_API const char *herald_version(void);

/* The most recent failure on a handle. */
struct herald_error {
    enum herald_status status;
    unsigned code;    /* the broker's code, 0 if the broker did not speak */
    char name[32];    /* the broker's name for it, "NO_QUEUE"; empty if it did not speak */
    char text[256];   /* for people, always filled in */
    uint64_t version; /* of HERALD_ECONFLICT: the one that the entity has, 0: it has no event */
};

/* A copy; with several threads it may be another thread's failure. */
HERALD_API struct herald_error herald_last_error(struct herald_client *client);

/* --- the handle ------------------------------------------------------------------------------- */

enum herald_state {
    HERALD_STATE_CONNECTING, /* trying; again and again */
    HERALD_STATE_OPEN,       /* connected and authenticated */
    HERALD_STATE_LOST,       /* the connection broke; will be tried again */
    HERALD_STATE_DRAINING,   /* the broker stops soon: finish and send nothing new */
    HERALD_STATE_FORGOTTEN,  /* the broker does not remember this client: what was not confirmed
                                is sent anew and may be doubled */
    HERALD_STATE_CLOSED      /* over: closed, or the broker refuses this client for good */
};

enum herald_refused_kind {
    HERALD_REFUSED_SEND,   /* a send or publish was not carried out */
    HERALD_REFUSED_SETTLE, /* a settlement came too late: the message will be handed out again */
    HERALD_REFUSED_OTHER   /* something that nobody waited for, like a bind during a subscription */
};

struct herald_refusal {
    enum herald_refused_kind kind;
    void *context;    /* of the content that was sent; NULL for other kinds */
    unsigned code;    /* the broker's code */
    const char *name; /* its name, "OVERFLOW" */
    const char *text; /* for people */
    uint64_t version; /* of a VERSION_CONFLICT: the one that the entity has */
};

typedef void herald_state_fn(struct herald_client *client, enum herald_state state, void *user);
typedef void herald_confirmed_fn(struct herald_client *client, void *context, void *user);
typedef void herald_refused_fn(struct herald_client *client, const struct herald_refusal *refusal,
                               void *user);

/* Zero in a field means its default. `size` must be sizeof(struct herald_options). */
struct herald_options {
    size_t size;
    /* herald://host:port, unix:/path. NULL: the environment's HERALD_URL; without that the socket
     * /run/herald/herald.sock and then 127.0.0.1:7440. */
    const char *url;
    /* The program's own lasting name, 1 to 255 bytes. NULL: one is made up for this handle. Two
     * handles of one name throw each other out. */
    const char *client;
    const char *product;               /* program and version, for people */
    uint32_t heartbeat_ms;             /* longest silence; default: the broker's */
    size_t buffer_bytes_max;           /* unconfirmed and unsent messages; default 16 MiB */
    int send_timeout_ms;               /* how long a send waits for room; default 30 s, < 0: not */
    uint32_t reconnect_ms_min;         /* default 250 */
    uint32_t reconnect_ms_max;         /* default 30,000 */
    uint32_t renew_ms;                 /* renews the leases of unsettled messages every so long
                                          while the handle is driven, so not within a callback;
                                          default 0: the program does, with herald_progress */
    void *user;                        /* given to the hooks */
    herald_state_fn *on_state;         /* NULL: not told */
    herald_confirmed_fn *on_confirmed; /* called for each confirmed content that has a context */
    herald_refused_fn *on_refused;     /* called for each refusal that no call returns */
};

static inline struct herald_options herald_options_default(void)
{
    struct herald_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

/* Makes a handle, without any I/O; NULL options are the defaults. NULL when there is no memory, no
 * file descriptor, or the options are not usable (size, client longer than 255 bytes). */
HERALD_API struct herald_client *herald_new(const struct herald_options *options);

/* Connects, trying again until the time is over. With timeout 0 it only starts; see on_state.
 * HERALD_ECONNECT: nobody answered in time. HERALD_EDENIED: not let in. HERALD_EINVAL: the URL.
 * HERALD_EUNSUPPORTED: TLS, which this version does not speak. */
HERALD_API enum herald_status herald_connect(struct herald_client *client, int timeout_ms);

/* Ends the handle in good order: no new messages are taken, those being handled are waited for,
 * what was sent and settled is confirmed, for at most drain_ms; what is still unsettled then goes
 * back uncounted. Then the handle is freed, whatever is returned. HERALD_OK: all was confirmed.
 * HERALD_ETIMEOUT: something was not. Inside a callback it only asks for the end: the call that
 * runs the callback returns HERALD_ECLOSED, and the handle is still to be closed outside. */
HERALD_API enum herald_status herald_close(struct herald_client *client, int drain_ms);

/* --- the three modes -------------------------------------------------------------------------- */

/* A descriptor to watch, the same for the life of the handle. Do not read or close it. */
HERALD_API int herald_fd(struct herald_client *client);

/* The events of poll(2) to watch it for: POLLIN. */
HERALD_API short herald_events(struct herald_client *client);

/* Milliseconds after which herald_process must be called in any case; 0: now, -1: no need. Ask
 * again after each call on the handle. */
HERALD_API int herald_timeout(struct herald_client *client);

/* Does what can be done without waiting (host names in the URL excepted: they are looked up with
 * getaddrinfo). HERALD_OK also while the connection is lost; HERALD_ECLOSED when it is over. */
HERALD_API enum herald_status herald_process(struct herald_client *client);

/* Waits until something happened, at most timeout_ms, and processes it. HERALD_OK: call again.
 * HERALD_ETIMEOUT: nothing happened. HERALD_ECLOSED: over. */
HERALD_API enum herald_status herald_wait(struct herald_client *client, int timeout_ms);

/* herald_wait, again and again, until no callback has been called for idle_ms: then HERALD_OK.
 * HERALD_ECLOSED as there. */
HERALD_API enum herald_status herald_run(struct herald_client *client, int idle_ms);

/* Lets a thread of the library do the I/O and run the callbacks until herald_close. All signals are
 * blocked in it. HERALD_EINVAL if it is running already. */
HERALD_API enum herald_status herald_start_thread(struct herald_client *client);

/* --- sending ---------------------------------------------------------------------------------- */

struct herald_header {
    const char *name;
    size_t name_bytes; /* in what you send: 0 means up to the NUL */
    const void *value;
    size_t value_bytes;
};

#define HERALD_PRIORITY_DEFAULT 4
#define HERALD_PRIORITY_MAX 9

/* What an entity must be like for an event of it to be taken. */
enum herald_expect {
    HERALD_EXPECT_ANY = 0,    /* whatever it is */
    HERALD_EXPECT_NONE = 1,   /* no event of it yet */
    HERALD_EXPECT_EXISTS = 2, /* at least one */
    HERALD_EXPECT_VERSION = 3 /* at this version, 0 being none */
};

/* What is sent. Start from herald_content() or herald_text(), which set `size` and
 * `priority`. */
struct herald_content {
    size_t size;
    const void *body;
    size_t body_bytes;
    const struct herald_header *headers;
    size_t header_count;
    const unsigned char *id;  /* 16 bytes, see herald_id_make; NULL: none */
    const char *content_type; /* NULL: none */
    const char *correlation;  /* NULL: none */
    uint64_t delay_ms;        /* of a command: not handed out before it has waited so long */
    uint64_t due_ms;          /* of a command: nor before this time, milliseconds since 1970 */
    int priority;             /* of a command: 0 to HERALD_PRIORITY_MAX, higher first */
    uint64_t deadline_ms;     /* not begun after this time, milliseconds since 1970 */
    uint64_t timeout_ms;      /* nor later than this after the broker took it */
    uint64_t ttl_ms;          /* leaves its queue when it has waited so long */
    int track;                /* of a command: 1: its outcome is kept, see herald_command_wait;
                                 it must have an id */
    const char *key;          /* of a tracked one: idempotency key; NULL: none */
    const char *lane;         /* ordering key: one of a lane is handed out at a time; NULL: none */
    const char *reply_to;     /* of a command: queue that gets its outcome; NULL: none */
    int64_t attempts;         /* these four as in herald_queue_options, for this command alone: */
    int64_t backoff_ms;       /* 0: as the queue has it, < 0: no limit, no wait */
    int64_t backoff_max_ms;
    int64_t retry_for_ms;
    const struct herald_message *like;   /* NULL, or: headers, if none are given, and what this
                                            message says of its type, order and retries, and
                                            that it is tracked, if there is another id */
    const struct herald_message *within; /* NULL, or the command that is being handled: its deadline
                                            holds for this one too, and so does its cancelling */
    const unsigned char *parent;         /* its id, where it is not at hand; NULL: none */
    const char *entity;                  /* of an event in an exchange with history: the entity
                                            whose next version it is; NULL: none */
    enum herald_expect expect;           /* of an entity: the event is taken only if ... */
    uint64_t expect_version;             /* ... the entity is at this version */
    int snapshot;                        /* 1: the event holds the entity's whole state */
    int transient;                       /* 1: need not survive the broker; not confirmed */
    int confirm;                         /* 1: confirm it although it is transient */
    void *context;                       /* yours, for on_confirmed and on_refused */
};

static inline struct herald_content herald_content(const void *body, size_t body_bytes)
{
    struct herald_content content;
    memset(&content, 0, sizeof content);
    content.size = sizeof content;
    content.body = body;
    content.body_bytes = body_bytes;
    content.priority = HERALD_PRIORITY_DEFAULT;
    return content;
}

static inline struct herald_content herald_text(const char *text)
{
    return herald_content(text, strlen(text));
}

/* Makes a UUIDv7; prints an id as 8-4-4-4-12 hexadecimal digits and a NUL. */
HERALD_API void herald_id_make(unsigned char id[16]);
HERALD_API void herald_id_print(const unsigned char id[16], char text[37]);

/* Puts a command for a queue into the buffer. It has arrived only when it is confirmed: use
 * herald_flush or the on_confirmed hook. A refusal comes through herald_flush and on_refused.
 *
 * The buffer is written when 64 KiB have gathered, when nothing else is under way, in thread mode
 * soon in any case, and otherwise by the next herald_process, herald_wait or herald_flush.
 *
 * A full buffer is waited for, up to send_timeout_ms, with callbacks running meanwhile.
 * HERALD_EAGAIN: it is still full; inside a callback and with send_timeout_ms < 0 that is said at
 * once. HERALD_ETOOLARGE, HERALD_EINVAL (names, headers), HERALD_ECLOSED. */
HERALD_API enum herald_status herald_send(struct herald_client *client, const char *queue,
                                          const struct herald_content *content);

/* Puts an event for an exchange into the buffer; all else as herald_send. An event whose entity is
 * not as it expects is refused, HERALD_ECONFLICT, and those that were sent behind it are not
 * affected by that: each says for itself what it expects. */
HERALD_API enum herald_status herald_publish(struct herald_client *client, const char *exchange,
                                             const char *key, const struct herald_content *content);

/* Writes what the buffer holds, as far as it can be done without waiting. */
HERALD_API enum herald_status herald_flush_start(struct herald_client *client);

/* Waits until everything sent, published and settled so far is confirmed or refused. Returns the
 * first refusal of a send or publish since the last herald_flush; HERALD_ESTALE when only
 * settlements were refused, because their messages were taken back; HERALD_OK without either;
 * HERALD_ETIMEOUT when something is still open. */
HERALD_API enum herald_status herald_flush(struct herald_client *client, int timeout_ms);

/* Contents that are not confirmed or refused yet. */
HERALD_API size_t herald_unconfirmed(struct herald_client *client);

/* --- calls ------------------------------------------------------------------------------------ */

enum herald_ran { HERALD_NOT_RUN = 0, HERALD_MAYBE_RUN = 1, HERALD_RAN = 2 };

/* What became of a command. */
struct herald_outcome {
    enum herald_status status; /* HERALD_OK: done */
    enum herald_ran ran;
    const char *code; /* why it failed: the worker's code or the broker's name; "" when done */
    const char *text; /* for people; "" when done */
    const void *body; /* the result, or details of the failure; a NUL follows that is not counted */
    size_t body_bytes;
};

typedef void herald_outcome_fn(const struct herald_outcome *outcome, void *context);

/* Sends a command and waits for its outcome. With content->track it survives the broker and the
 * loss of the connection, over which this goes on to wait, and its outcome may be asked for by its
 * id, also after HERALD_ETIMEOUT; it has one attempt unless the content says otherwise, and is not
 * begun after the timeout.
 * HERALD_OK: done, the result is in the outcome. HERALD_EFAILED: failed, see code and ran.
 * HERALD_ENOTFOUND, HERALD_EDENIED: never ran. HERALD_ETIMEOUT: not known. HERALD_ELOST: see ran.
 * outcome may be NULL. *outcome is NULL or to be freed with herald_outcome_free. */
HERALD_API enum herald_status herald_call(struct herald_client *client, const char *queue,
                                          const struct herald_content *content, int timeout_ms,
                                          struct herald_outcome **outcome);

/* What a call asks for when its outcome is to come to a callback. */
struct herald_call {
    size_t size;
    const char *queue;
    int timeout_ms; /* must be positive */
    herald_outcome_fn *on_outcome;
    void *context;
};

/* Starts a call. The callback is called exactly once if HERALD_OK is returned and never otherwise;
 * the outcome lives until it returns. When the connection is lost, and at herald_close, calls under
 * way end with CONNECTION_LOST; what became of a tracked one may be asked for by its id. */
HERALD_API enum herald_status herald_call_async(struct herald_client *client,
                                                const struct herald_call *call,
                                                const struct herald_content *content);
/* NULL is fine. */
HERALD_API void herald_outcome_free(struct herald_outcome *outcome);

/* --- tracked commands ------------------------------------------------------------------------- */

enum herald_command_state {
    HERALD_COMMAND_SCHEDULED = 0, /* its time has not come */
    HERALD_COMMAND_READY = 1,
    HERALD_COMMAND_RUNNING = 2,  /* a worker has it */
    HERALD_COMMAND_RETRYING = 3, /* an attempt failed, the next one comes */
    HERALD_COMMAND_DONE = 4,
    HERALD_COMMAND_FAILED = 5
};

/* How a tracked command is. */
struct herald_command {
    unsigned char id[16];
    enum herald_command_state state;
    enum herald_ran ran; /* of one that failed */
    int is_cancelled;    /* asked to be cancelled while it ran */
    unsigned attempts;   /* failed so far */
    uint64_t done;       /* as the worker said last, see herald_progress: so much is done */
    uint64_t total;      /* of so much; 0: not known */
    const char *note;    /* "" when it said nothing */
    const unsigned char *repairs;     /* id of the parked command that it repairs, ... */
    const unsigned char *repaired_by; /* ... and of the one that repairs it; NULL: none */
    const char *queue;                /* "" when that is gone */
    uint64_t number;                  /* the broker's */
    uint64_t accepted_ms;             /* milliseconds since 1970, like time_ms: */
    uint64_t time_ms;                 /* when it is due, or when its outcome was decided; else 0 */
    const char *code;                 /* why it failed; "" else */
    const char *text;                 /* for people */
    const void *body;                 /* the result, or details of the failure; a NUL follows */
    size_t body_bytes;
};

typedef void herald_command_fn(const struct herald_command *command, void *context);

/* The first asks how a command is, the second waits until it is done or has failed, over lost
 * connections and restarts of the broker. HERALD_OK: see *command, which is to be freed with
 * herald_command_free. HERALD_ETIMEOUT: it has no outcome yet, *command may be NULL.
 * HERALD_ENOTFOUND: no tracked command of this id is known, or not any longer. */
HERALD_API enum herald_status herald_command_status(struct herald_client *client,
                                                    const unsigned char id[16], int timeout_ms,
                                                    struct herald_command **command);
HERALD_API enum herald_status herald_command_wait(struct herald_client *client,
                                                  const unsigned char id[16], int timeout_ms,
                                                  struct herald_command **command);
/* NULL is fine. */
HERALD_API void herald_command_free(struct herald_command *command);

/* As herald_command_wait, and has the function told how it is at first and at every change; after a
 * lost connection how it is then. */
HERALD_API enum herald_status herald_command_watch(struct herald_client *client,
                                                   const unsigned char id[16], int timeout_ms,
                                                   herald_command_fn *on_change, void *context);

/* Takes a command back. One that waits fails with CANCELLED; the worker of one that runs is told,
 * see herald_message_is_unwanted, and it is not tried again. HERALD_OK: that is on disk.
 * HERALD_EREFUSED (FINISHED): too late. HERALD_ENOTFOUND as above. */
HERALD_API enum herald_status herald_command_cancel(struct herald_client *client,
                                                    const unsigned char id[16], int timeout_ms);

/* --- receiving -------------------------------------------------------------------------------- */

typedef void herald_message_fn(struct herald_message *message, void *context);

/* The broker ended the consumer, or refused to start it: the queue is gone, for example. The
 * pointer must not be used after this. */
typedef void herald_gone_fn(struct herald_consumer *consumer, unsigned code, const char *text,
                            void *context);

/* A live subscription has been too slow and missed events here; or an exchange has not kept those
 * that should come here. */
typedef void herald_gap_fn(struct herald_consumer *consumer, uint64_t missed, void *context);

/* Serving a queue. Zero in a field means its default. */
struct herald_service {
    size_t size;
    const char *queue;
    herald_message_fn *on_message;
    void *context;
    uint32_t prefetch_messages; /* unsettled at a time; default: the broker's */
    uint32_t prefetch_bytes;    /* default: no limit */
    int auto_done;              /* 1: settled done when the callback returns without settling */
    herald_gone_fn *on_gone;    /* NULL: not told */
};

/* Hearing events. With a queue name the subscription is durable: the queue is created if needed,
 * bound, and keeps events while nobody is there. Without, only events from now on are heard. */
struct herald_subscription {
    size_t size;
    const char *exchange;
    const char *pattern; /* NULL: all, "#" */
    const char *queue;   /* NULL: live */
    herald_message_fn *on_message;
    void *context;
    uint32_t prefetch_messages; /* durable only */
    uint32_t prefetch_bytes;    /* durable only */
    int manual_settle; /* durable only. 1: the callback settles; default: done when it returns */
    herald_gone_fn *on_gone;
    herald_gap_fn *on_gap;
    const struct herald_header *filter; /* headers that an event must have, as in */
    size_t filter_count;                /* struct herald_binding */
};

static inline struct herald_service herald_service(const char *queue, herald_message_fn *on_message)
{
    struct herald_service service;
    memset(&service, 0, sizeof service);
    service.size = sizeof service;
    service.queue = queue;
    service.on_message = on_message;
    return service;
}

static inline struct herald_subscription
herald_subscription(const char *exchange, const char *pattern, herald_message_fn *on_message)
{
    struct herald_subscription subscription;
    memset(&subscription, 0, sizeof subscription);
    subscription.size = sizeof subscription;
    subscription.exchange = exchange;
    subscription.pattern = pattern;
    subscription.on_message = on_message;
    return subscription;
}

/* Starts to serve a queue and waits until the broker agreed; with timeout 0, as is needed in a
 * callback, without waiting: then on_gone tells a refusal. *consumer (may be NULL) is the library's
 * and lives until it is cancelled or gone, or the handle is closed; none after a failure. */
HERALD_API enum herald_status herald_serve(struct herald_client *client,
                                           const struct herald_service *service, int timeout_ms,
                                           struct herald_consumer **consumer);

/* The same for events. The exchange must exist. */
HERALD_API enum herald_status herald_subscribe(struct herald_client *client,
                                               const struct herald_subscription *subscription,
                                               int timeout_ms, struct herald_consumer **consumer);

/* Where in a history to begin. */
enum herald_from {
    HERALD_FROM_NEXT = 0,     /* with the next event that comes */
    HERALD_FROM_FIRST = 1,    /* the oldest that is kept */
    HERALD_FROM_SEQUENCE = 2, /* the one with the sequence `at` */
    HERALD_FROM_TIME = 3,     /* the first that came at the time `at` or later */
    HERALD_FROM_LAST = 4      /* the newest of every routing key, in order, and then as NEXT */
};

/* Following an exchange with history: the events that it has kept, in order, and then those that
 * come.
 *
 * Without a cursor nothing is settled and the broker remembers nothing: the reader gets every event
 * from its beginning on, as fast as it takes them. The handle begins it again after a lost
 * connection, behind the last event that the callback was given: none is lost or doubled.
 *
 * With a cursor the broker remembers how far it is. The first who names it makes it, and `from`
 * and `at` count only then; afterwards it is moved by settling and by herald_cursor_seek, and what
 * was not settled comes again. Several consumers, on any handles, may share it: each event goes to
 * one of them. It is a queue besides: herald_queue_set and herald_queue_delete go by its name.
 *
 * Where the exchange has dropped events before they were read, on_gap says how many. */
struct herald_reading {
    size_t size;
    const char *exchange;
    const char *pattern;                /* NULL: all, "#" */
    const struct herald_header *filter; /* headers that an event must have, and their values */
    size_t filter_count;
    const char *cursor; /* NULL: none */
    enum herald_from from;
    uint64_t at; /* a sequence, or milliseconds since 1970 */
    herald_message_fn *on_message;
    void *context;
    uint32_t prefetch_messages; /* of a cursor: unsettled at a time; default: the broker's */
    uint32_t prefetch_bytes;    /* of a cursor; default: no limit */
    int manual_settle; /* of a cursor. 1: the callback settles; default: done when it returns */
    herald_gone_fn *on_gone;
    herald_gap_fn *on_gap;
};

static inline struct herald_reading herald_reading(const char *exchange, const char *pattern,
                                                   herald_message_fn *on_message)
{
    struct herald_reading reading;
    memset(&reading, 0, sizeof reading);
    reading.size = sizeof reading;
    reading.exchange = exchange;
    reading.pattern = pattern;
    reading.on_message = on_message;
    return reading;
}

/* Starts to follow; timeout and *consumer as for herald_serve. HERALD_EREFUSED: the exchange has no
 * history (NO_HISTORY), or the cursor is of another exchange, pattern or filter (MISMATCH). */
HERALD_API enum herald_status herald_follow(struct herald_client *client,
                                            const struct herald_reading *reading, int timeout_ms,
                                            struct herald_consumer **consumer);

/* Has a cursor go on from another place, backward or forward; not from HERALD_FROM_LAST. What its
 * consumers hold unsettled is taken back, their settlements are refused. */
HERALD_API enum herald_status herald_cursor_seek(struct herald_client *client, const char *cursor,
                                                 enum herald_from from, uint64_t at,
                                                 int timeout_ms);

/* No callback of this consumer begins after this returns (another thread's may be under way). What
 * it still gets is given back; messages it had may still be settled. The pointer must not be used
 * afterwards. Does not wait. */
HERALD_API enum herald_status herald_cancel(struct herald_consumer *consumer);

/* Settling: from any thread, each message once. A callback that returns without having settled or
 * retained its message, where that is not automatic, fails it with the code NOT_SETTLED.
 * The settlement is written with the next batch; herald_flush waits for it to be on disk.
 * HERALD_ESTALE: settled before, a live event, or taken back because the connection was lost.
 * HERALD_ECLOSED: the handle was closed. The message itself stays yours to free if retained. */

/* The work is done; in the second case with a result, for who called. */
HERALD_API enum herald_status herald_done(struct herald_message *message);
HERALD_API enum herald_status herald_result(struct herald_message *message, const void *body,
                                            size_t body_bytes);

enum herald_fail_class {
    HERALD_FAIL_RETRYABLE = 0, /* another try may work */
    HERALD_FAIL_PERMANENT = 1, /* no use in trying again */
    HERALD_FAIL_BUSY = 2       /* not this worker's fault: not counted as an attempt */
};

/* The work failed. `code` is yours (1 to 255 bytes, like "CARD_DECLINED"), `text` for people, may
 * be NULL. */
HERALD_API enum herald_status herald_fail(struct herald_message *message,
                                          enum herald_fail_class fail_class, const char *code,
                                          const char *text);

struct herald_failure {
    size_t size;
    enum herald_fail_class fail_class;
    const char *code;
    const char *text;        /* NULL: none */
    const void *detail;      /* for the caller, unread */
    size_t detail_bytes;     /* at most 65,535 */
    uint64_t retry_after_ms; /* 0: as the queue has it */
};

HERALD_API enum herald_status herald_fail_with(struct herald_message *message,
                                               const struct herald_failure *failure);

/* Gives the message back unharmed; not counted as an attempt. */
HERALD_API enum herald_status herald_release(struct herald_message *message);

/* How far the work on a message is. */
struct herald_progress {
    size_t size;
    uint64_t done;
    uint64_t total;          /* 0: not known */
    const char *note;        /* for people, at most 255 bytes; NULL: none */
    const void *checkpoint;  /* for the next attempt, if there is one: see */
    size_t checkpoint_bytes; /* herald_message_checkpoint; 0: as it was */
};

/* Tells whoever watches a tracked command, and begins the lease of the message anew. Returns what
 * settling returns; a refusal comes through herald_flush as for a settlement. */
HERALD_API enum herald_status herald_progress(struct herald_message *message,
                                              const struct herald_progress *progress);

/* What a message holds. Everything returned lives as long as the message; texts with a count of
 * bytes are not NUL-terminated, and NULL with 0 bytes where there is none. */
HERALD_API const void *herald_message_body(const struct herald_message *message);
HERALD_API size_t herald_message_body_bytes(const struct herald_message *message);
/* "" for a command. Made at the first call: one thread at a time. */
HERALD_API const char *herald_message_key(struct herald_message *message);
HERALD_API const char *herald_message_exchange(struct herald_message *message);
/* The broker's number of the message; the attempt, 1 at the first try; whether it may have been
 * handed out before; whether somebody waits for the outcome; when the broker took it, milliseconds
 * since 1970. */
HERALD_API uint64_t herald_message_number(const struct herald_message *message);
HERALD_API unsigned herald_message_attempt(const struct herald_message *message);
HERALD_API int herald_message_is_redelivered(const struct herald_message *message);
HERALD_API int herald_message_is_call(const struct herald_message *message);
/* What the last attempt left as a checkpoint, and how it failed; NULL with 0 bytes where there is
 * none. */
HERALD_API const void *herald_message_checkpoint(const struct herald_message *message,
                                                 size_t *bytes);
HERALD_API const char *herald_message_last_code(const struct herald_message *message,
                                                size_t *bytes);
HERALD_API const char *herald_message_last_text(const struct herald_message *message,
                                                size_t *bytes);
/* Of a queue with a single active consumer: larger than the fence of any active consumer before.
 * What the work changes may refuse whoever comes with a smaller one. 0 for other queues. */
HERALD_API uint64_t herald_message_fence(const struct herald_message *message);
/* Whether nobody waits for the outcome any more, because the command was cancelled or its deadline
 * has passed: a handler that takes long may look and give up with herald_fail. From any thread; it
 * needs somebody to drive the handle. */
HERALD_API int herald_message_is_unwanted(const struct herald_message *message);
HERALD_API uint64_t herald_message_time_ms(const struct herald_message *message);
/* 16 bytes, or NULL if the sender gave none. */
HERALD_API const unsigned char *herald_message_id(const struct herald_message *message);
/* Of one that repairs a parked command: the id of that one, if it had any; else NULL. */
HERALD_API const unsigned char *herald_message_repairs(const struct herald_message *message);
/* When its outcome stops being of use, milliseconds since 1970 by the broker's clock; 0: never. */
HERALD_API uint64_t herald_message_deadline_ms(const struct herald_message *message);
/* Of a message in a reply queue: the id of the command whose outcome it is; else NULL. */
HERALD_API const unsigned char *herald_message_outcome_of(const struct herald_message *message);
HERALD_API const char *herald_message_content_type(const struct herald_message *message,
                                                   size_t *bytes);
HERALD_API const char *herald_message_correlation(const struct herald_message *message,
                                                  size_t *bytes);
HERALD_API const void *herald_message_header(const struct herald_message *message, const char *name,
                                             size_t *value_bytes);
/* The header of an index from 0 on; returns 0 when there are no more. */
HERALD_API int herald_message_header_at(const struct herald_message *message, size_t index,
                                        struct herald_header *header);
/* Of an event of an exchange with history: its place in it, from 1 and without a hole; 0 for all
 * others. Of an event of an entity: the entity's name, NULL for others; the version that the entity
 * has with it, 0 for others; whether it holds the whole state. */
HERALD_API uint64_t herald_message_sequence(const struct herald_message *message);
HERALD_API const char *herald_message_entity(const struct herald_message *message, size_t *bytes);
HERALD_API uint64_t herald_message_version(const struct herald_message *message);
HERALD_API int herald_message_is_snapshot(const struct herald_message *message);
/* The handle it came from; NULL once that is closed. */
HERALD_API struct herald_client *herald_message_client(const struct herald_message *message);

/* A copy that outlives the callback, to be settled later and then freed, both from any thread, even
 * after herald_close. The duty to settle goes to the copy. NULL: no memory; the duty stays. */
HERALD_API struct herald_message *herald_message_retain(struct herald_message *message);

/* Frees a retained message; one that is not settled is released. NULL is fine. */
HERALD_API void herald_message_free(struct herald_message *message);

/* --- entities --------------------------------------------------------------------------------- */

/* An entity is what events of an exchange with history are about: an account, an order. Its events
 * have versions from 1 on, and one that expects a version is taken only if the entity is at that
 * one: of two writers who have read the same, one is refused and looks again. A single event is
 * published, with `entity` and `expect` in its content; several are appended, all of them or none.
 */

struct herald_event {
    const char *key;
    struct herald_content content; /* without entity and expect */
};

struct herald_append {
    size_t size;
    const char *exchange;
    const char *entity; /* 1 to 255 bytes of UTF-8 */
    enum herald_expect expect;
    uint64_t expect_version;
    const struct herald_event *events;
    size_t event_count; /* 1 to 1,024; in all at most as large as a message may be */
};

/* Where the last of them has come to stand. */
struct herald_appended {
    uint64_t version;  /* of the entity; after HERALD_ECONFLICT the one that it has */
    uint64_t sequence; /* in the exchange */
};

/* Appends and waits until it is on disk; behind what this handle has published before.
 * HERALD_ECONFLICT: the entity is not as expected, nothing was appended. HERALD_EREFUSED: the
 * exchange has no history (NO_HISTORY), for example. HERALD_ETIMEOUT: if it had not left yet, it
 * never does, otherwise it is not known. HERALD_EAGAIN: no room in the buffer within
 * send_timeout_ms. *appended (may be NULL) is 0 after other failures, and where the connection was
 * lost just as the answer came, but for a version that follows from what was expected. */
HERALD_API enum herald_status herald_append(struct herald_client *client,
                                            const struct herald_append *append, int timeout_ms,
                                            struct herald_appended *appended);

/* Called for every event that is read; it is not settled, and lives until the function returns. A
 * return value other than 0 has the rest thrown away. */
typedef int herald_event_fn(struct herald_message *event, void *context);

struct herald_read {
    size_t size;
    const char *exchange;
    const char *entity;
    uint64_t from; /* version to begin with; 0: the first that is kept, or, backward, the last */
    int backward;  /* 1: the newest come first */
    int from_snapshot; /* 1: begins with the newest snapshot, or, backward, ends with it */
    uint32_t limit;    /* 0: all */
    herald_event_fn *on_event;
    void *context;
};

/* Reads the events of one entity. HERALD_OK: all have been given, be it none because there is none
 * from there on. HERALD_ENOTFOUND: the exchange has never had an event of this entity (NO_ENTITY).
 * HERALD_EREFUSED: it has no history (NO_HISTORY). HERALD_ESTOPPED: on_event said so. HERALD_ELOST,
 * HERALD_ETIMEOUT: some may have been given. */
HERALD_API enum herald_status herald_read(struct herald_client *client,
                                          const struct herald_read *read, int timeout_ms);

/* --- queues, exchanges, bindings -------------------------------------------------------------- */

/* Each waits for the answer; timeout 0 is not allowed. Creating what exists with the same
 * properties is fine. HERALD_EREFUSED, HERALD_ENOTFOUND, HERALD_EDENIED, HERALD_ETIMEOUT. */
enum herald_overflow {
    HERALD_OVERFLOW_DEFAULT = 0,
    HERALD_OVERFLOW_REFUSE = 1,
    HERALD_OVERFLOW_DROP_OLDEST = 2
};

/* What becomes of a lane when a command of it is parked. */
enum herald_lane_parked {
    HERALD_LANE_DEFAULT = 0, /* block, or unchanged */
    HERALD_LANE_BLOCK = 1,   /* it waits for the repair */
    HERALD_LANE_PARK = 2,    /* those behind are parked, too */
    HERALD_LANE_GO_ON = 3
};

struct herald_queue_options {
    size_t size;
    int transient;     /* only when creating: does not survive the broker */
    int exclusive;     /* only when creating: of this connection alone, goes with it */
    int auto_delete;   /* only when creating: goes with its last consumer */
    int64_t count_max; /* messages; 0: default, or unchanged; < 0: no limit */
    int64_t bytes_max; /* likewise */
    enum herald_overflow overflow;
    int64_t attempts;       /* failed ones after which a command is parked; 0 and < 0 likewise */
    int64_t backoff_ms;     /* longest wait before the second attempt; 0: default, or unchanged;
                               < 0: none. Doubles with every further one, ... */
    int64_t backoff_max_ms; /* ... at most to this */
    int64_t retry_for_ms;   /* from the first failed attempt on; 0 and < 0 likewise */
    enum herald_lane_parked lane_parked;
    int single_active; /* 1: one consumer at a time gets messages; 0: unchanged, < 0: all do */
    int paused;        /* 1: nothing is handed out; 0 and < 0 likewise */
    int64_t breaker;   /* failed attempts in a row after which one at a time is tried; likewise */
    int64_t ttl_ms;    /* how long a message may wait; likewise */
    int64_t lease_ms;  /* a worker may have a command so long without a word; likewise */
};

static inline struct herald_queue_options herald_queue_options_default(void)
{
    struct herald_queue_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

/* NULL options: a durable queue with defaults. */
HERALD_API enum herald_status herald_queue_create(struct herald_client *client, const char *queue,
                                                  const struct herald_queue_options *options,
                                                  int timeout_ms);
HERALD_API enum herald_status herald_queue_set(struct herald_client *client, const char *queue,
                                               const struct herald_queue_options *options,
                                               int timeout_ms);

enum herald_delete {
    HERALD_DELETE_ANYWAY = 0,
    HERALD_DELETE_IF_EMPTY = 1,
    HERALD_DELETE_IF_UNUSED = 2,
    HERALD_DELETE_IF_EMPTY_AND_UNUSED = 3
};

HERALD_API enum herald_status herald_queue_delete(struct herald_client *client, const char *queue,
                                                  enum herald_delete condition, int timeout_ms);
/* Throws all waiting messages away; *count (may be NULL) is how many. */
HERALD_API enum herald_status herald_queue_purge(struct herald_client *client, const char *queue,
                                                 uint64_t *count, int timeout_ms);

/* Shows the first message of a queue, or the first that is parked in it, whose number is above
 * `after`; nothing changes. *message is NULL when there is none; else it is to be freed with
 * herald_message_free, and cannot be settled. Its attempt is the number of those that failed. */
HERALD_API enum herald_status herald_peek(struct herald_client *client, const char *queue,
                                          uint64_t after, struct herald_message **message,
                                          int timeout_ms);
HERALD_API enum herald_status herald_peek_parked(struct herald_client *client, const char *queue,
                                                 uint64_t after, struct herald_message **message,
                                                 int timeout_ms);

/* Parked commands with broker's numbers from first to last, which come from HERALD_PARKED. */
struct herald_parked {
    const char *queue;
    uint64_t first;
    uint64_t last;
    uint64_t count; /* out: how many it were */
};

/* Has them tried again at their old places, as new commands with all attempts anew; or throws them
 * away. HERALD_ENOTFOUND: none of them is parked there. */
HERALD_API enum herald_status herald_parked_retry(struct herald_client *client,
                                                  struct herald_parked *parked, int timeout_ms);
HERALD_API enum herald_status herald_parked_drop(struct herald_client *client,
                                                 struct herald_parked *parked, int timeout_ms);

/* Puts the content in the place of the first one, which stays parked; or has it go to the end of
 * another queue as a new command instead, in one step. */
HERALD_API enum herald_status herald_parked_edit(struct herald_client *client,
                                                 const struct herald_parked *parked,
                                                 const struct herald_content *content,
                                                 int timeout_ms);
HERALD_API enum herald_status herald_parked_move(struct herald_client *client,
                                                 const struct herald_parked *parked, const char *to,
                                                 const struct herald_content *content,
                                                 int timeout_ms);

struct herald_exchange_options {
    size_t size;
    int transient;      /* only when creating: does not survive the broker, keeps no history */
    int history;        /* only when creating: keeps its durable events, see herald_follow. How
                           much of them: */
    int64_t age_max_ms; /* so old; 0: no limit, or unchanged; < 0: no limit */
    int64_t bytes_max;  /* so many bytes, the oldest go first; likewise */
    int64_t count_max;  /* so many events; likewise */
};

static inline struct herald_exchange_options herald_exchange_options_default(void)
{
    struct herald_exchange_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

/* NULL options: a durable exchange that keeps nothing. */
HERALD_API enum herald_status herald_exchange_create(struct herald_client *client,
                                                     const char *exchange,
                                                     const struct herald_exchange_options *options,
                                                     int timeout_ms);
/* Changes how much of its history is kept. HERALD_EREFUSED (NO_HISTORY): it has none. */
HERALD_API enum herald_status herald_exchange_set(struct herald_client *client,
                                                  const char *exchange,
                                                  const struct herald_exchange_options *options,
                                                  int timeout_ms);
/* HERALD_DELETE_ANYWAY or HERALD_DELETE_IF_UNUSED. */
HERALD_API enum herald_status herald_exchange_delete(struct herald_client *client,
                                                     const char *exchange,
                                                     enum herald_delete condition, int timeout_ms);
/* Events whose key matches go to the queue; or they do not any longer. */
HERALD_API enum herald_status herald_bind(struct herald_client *client, const char *queue,
                                          const char *exchange, const char *pattern,
                                          int timeout_ms);
HERALD_API enum herald_status herald_unbind(struct herald_client *client, const char *queue,
                                            const char *exchange, const char *pattern,
                                            int timeout_ms);

/* A binding with all that it may have. Start from herald_binding(). Destination, exchange and
 * pattern say which one it is. */
struct herald_binding {
    size_t size;
    const char *to; /* a queue, or the exchange that events go on to */
    const char *exchange;
    const char *pattern;
    int to_exchange; /* 1: `to` is an exchange */
    /* Headers that an event must have, all with exactly these values: at most 8 and 1 KiB. */
    const struct herald_header *filter;
    size_t filter_count; /* 0: any event */
};

static inline struct herald_binding herald_binding(const char *to, const char *exchange,
                                                   const char *pattern)
{
    struct herald_binding binding;
    memset(&binding, 0, sizeof binding);
    binding.size = sizeof binding;
    binding.to = to;
    binding.exchange = exchange;
    binding.pattern = pattern;
    return binding;
}

/* The same for these; the filter does not matter when a binding is ended. HERALD_EREFUSED with the
 * name MISMATCH: it is there with another filter; CYCLE: events would come back to the exchange
 * that they left; LIMIT: they would go through more than 8 exchanges behind the first. */
HERALD_API enum herald_status herald_bind_with(struct herald_client *client,
                                               const struct herald_binding *binding,
                                               int timeout_ms);
HERALD_API enum herald_status herald_unbind_with(struct herald_client *client,
                                                 const struct herald_binding *binding,
                                                 int timeout_ms);

/* --- asking the broker ------------------------------------------------------------------------ */

enum herald_subject {
    HERALD_QUEUES = 1,
    HERALD_QUEUE = 2, /* name */
    HERALD_EXCHANGES = 3,
    HERALD_EXCHANGE = 4, /* name */
    HERALD_BINDINGS = 5, /* name of an exchange */
    HERALD_ROUTE = 6,    /* name of an exchange, key, headers: the bindings an event would pass */
    HERALD_STATS = 7,
    HERALD_CONNECTIONS = 8,
    HERALD_PARKED = 9,    /* name of a queue: its parked commands */
    HERALD_ATTEMPTS = 10, /* name of a queue, key: number of a message: its failed attempts */
    HERALD_EXPLAIN = 16   /* as HERALD_ROUTE, with the others, and what is in the way there */
};

enum herald_field_kind {
    HERALD_FIELD_TEXT = 0,
    HERALD_FIELD_NUMBER = 1,
    HERALD_FIELD_FLAG = 2,        /* 0 or 1 */
    HERALD_FIELD_BYTES = 3,       /* a size */
    HERALD_FIELD_MILLISECONDS = 4 /* a duration */
};

struct herald_field {
    const char *name;
    enum herald_field_kind kind;
    const char *text; /* HERALD_FIELD_TEXT, NUL-terminated; "" for other kinds */
    size_t text_bytes;
    uint64_t number; /* the other kinds */
};

/* One row of the answer; lives until the function returns. */
typedef void herald_row_fn(const struct herald_field *fields, size_t field_count, void *context);

struct herald_query {
    size_t size;
    enum herald_subject subject;
    const char *name; /* where the subject wants one; NULL: none */
    const char *key;  /* likewise */
    herald_row_fn *on_row;
    void *context;
    const struct herald_header *headers; /* likewise */
    size_t header_count;
};

/* Asks, and has on_row called for every row, over as many pages as there are. */
HERALD_API enum herald_status herald_query(struct herald_client *client,
                                           const struct herald_query *query, int timeout_ms);

/* --- backup ----------------------------------------------------------------------------------- */

/* Bytes of a file of the broker's data directory. Pieces of a file follow each other without a gap,
 * and a file comes whole before the next; what no piece brings at its end is zeros. */
struct herald_backup_piece {
    size_t size;
    const char *file;    /* its name; NULL in the first call, which brings nothing */
    uint64_t file_bytes; /* its size */
    uint64_t offset;     /* of these bytes in it */
    const void *bytes;   /* they and the name live until the function returns */
    size_t byte_count;
    uint64_t done_bytes; /* of all pieces before this one */
    uint64_t all_bytes;  /* of all pieces together */
};

/* Called for every piece. A return value other than 0 stops the backup. */
typedef int herald_backup_fn(const struct herald_backup_piece *piece, void *context);

struct herald_backup {
    size_t size;
    herald_backup_fn *on_piece;
    void *context;
};

/* Fetches a copy of all that is on the broker's disk now, everything confirmed so far and all
 * events that are kept included. Files made of it are a data directory to start from; it is good
 * only when HERALD_OK is returned. HERALD_EDENIED: not an administrator. HERALD_EREFUSED: another
 * backup is under way, or the broker could not read. HERALD_ESTOPPED: on_piece said so.
 * HERALD_ETIMEOUT: not all came in time. The last two drop the connection, which is made again.
 * HERALD_ELOST: the connection was lost. */
HERALD_API enum herald_status herald_backup(struct herald_client *client,
                                            const struct herald_backup *backup, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
