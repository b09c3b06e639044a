/* The handle from the inside, and the doors between the files of the library.
 *
 * One lock guards everything in struct herald_client. At any time at most one thread drives: it
 * waits for the socket, reads, runs callbacks and keeps the timers. It holds the lock except while
 * it waits and while a callback runs. Only the driver changes the state of the connection; other
 * threads append to the outbox, write from it, and wait for the driver's progress; when the driver
 * leaves, one of them takes over.
 */
#ifndef HERALD_CLIENT_CLIENT_H
#define HERALD_CLIENT_CLIENT_H

#include "client-lib/herald.h"
#include "client-lib/outbox.h"
#include "client-lib/transport.h"
#include "protocol/property.h"
#include "protocol/stream.h"

#include <pthread.h>
#include <sys/queue.h>

enum {
    NAME_BYTES_MAX = 255,
    RECEIVE_BYTES = 256 * 1024,
    FRAME_BYTES_OFFERED = 128 * 1024,
    MESSAGE_BYTES_LIMIT = 64 * 1024 * 1024, /* whatever the broker says */
};

enum session_state {
    SESSION_IDLE,       /* nothing was asked for yet */
    SESSION_WAITING,    /* until retry_at_ms */
    SESSION_CONNECTING, /* the socket's connect is under way */
    SESSION_HELLO,      /* hello sent */
    SESSION_AUTH,       /* hello answered, not let in yet */
    SESSION_OPEN,
    SESSION_OVER, /* closed, or thrown out for good */
};

struct session {
    enum session_state state;
    struct url urls[2]; /* tried in turn */
    size_t url_count;
    size_t url_index;
    unsigned failures; /* in a row */
    uint64_t retry_at_ms;
    uint64_t deadline_ms; /* of connect and handshake */
    uint64_t sent_ms;     /* when something was last written */
    uint64_t received_ms;
    uint32_t heartbeat_ms; /* agreed */
    uint32_t message_bytes_max;
    uint64_t seen_sent;
    bool resume; /* the broker has met this handle: ask it to remember */
    bool broken; /* a write failed: the driver must see to it */
    int broken_errno;
};

/* A body that comes in pieces, and the frame that announced it. */
struct assembly {
    struct frame frame; /* its fields point into `bytes` */
    unsigned char *bytes;
    uint32_t body_bytes; /* there so far */
    bool active;
};

struct inbox {
    unsigned char *bytes;
    size_t at;
    size_t end;
    struct stream stream;
    struct assembly assembly;
    bool is_busy; /* the last read filled much: read before waiting */
};

enum consumer_state {
    CONSUMER_STARTING,
    CONSUMER_RUNNING,
    CONSUMER_CANCELLED, /* no callbacks any more; freed when the broker agrees */
};

/* What a consumer follows in a history, see follow.c. */
struct following {
    uint64_t at;
    uint8_t from;
    char cursor[NAME_BYTES_MAX + 1]; /* "": a reader */
    uint32_t filter_bytes;
    unsigned char filter[]; /* list of headers */
};

struct herald_consumer {
    struct herald_client *client;
    uint32_t number;
    enum consumer_state state;
    unsigned gone_code; /* the broker ended it before it answered the start; 0: it did not */
    bool is_live;
    bool auto_done;
    char *source; /* a queue, or the exchange of a live subscription */
    char *pattern;
    struct following *following; /* NULL: it does not */
    struct buffer filter;        /* encoded; of a live subscription */
    uint32_t prefetch_messages;
    uint32_t prefetch_bytes;
    herald_message_fn *on_message;
    herald_gone_fn *on_gone;
    herald_gap_fn *on_gap;
    void *context;
    uint64_t fence; /* of the newest CONSUMER_ACTIVE; 0: none came */
};

/* A call whose outcome has not come. */
struct call {
    TAILQ_ENTRY(call) link;
    herald_outcome_fn *on_outcome; /* NULL: a thread waits for it */
    void *context;
    uint64_t deadline_ms; /* local: a little later than the broker's */
    bool answered;
    struct herald_outcome *outcome; /* what the waiter takes; NULL without memory */
};
TAILQ_HEAD(call_list, call);

/* Deliveries whose outcome nobody waits for, the newest ones. */
enum { UNWANTED_ROOM = 256 };

struct herald_client {
    pthread_mutex_t lock;
    pthread_cond_t progress; /* after every round and every answer somebody waits for */
    unsigned waiters;
    unsigned references; /* the handle and its retained messages */

    bool driving;
    bool polling; /* the driver waits for the socket */
    bool in_callback;
    uint64_t callback_count; /* so far: what a program would call something happening */
    bool woken;              /* a wake-up is on its way */
    bool own_loop;           /* the program watches the descriptor */
    pthread_t driver;
    pthread_t thread;
    bool has_thread;

    bool closing; /* asked for the end */
    bool closed;  /* nothing works any more */

    struct herald_options options; /* strings: own copies */
    char name[NAME_BYTES_MAX + 1];
    char product[NAME_BYTES_MAX + 1];
    char *url;

    struct transport transport;
    struct session session;
    struct outbox outbox;
    struct inbox inbox;

    struct herald_consumer **consumers; /* by number - 1; NULL: free */
    size_t consumer_count;
    struct call_list calls;
    struct frame_earlier earlier; /* for the delivery that follows */
    unsigned char *earlier_bytes;
    uint64_t renew_at_ms;
    uint64_t unwanted[UNWANTED_ROOM]; /* names of deliveries of this connection */
    uint32_t unwanted_count;
    uint64_t call_deadline_ms; /* none is earlier; UINT64_MAX: no calls */

    uint64_t generation;        /* of the connection */
    uint64_t delivery_sequence; /* deliveries on this connection */
    uint64_t delivery_first;    /* the broker's names of the first and last of them */
    uint64_t delivery_last;
    size_t unsettled;

    struct buffer scratch; /* encoded headers of the message being sent */
    uint64_t now_ms;
    struct herald_error error;
    struct herald_error refusal; /* the first since the last flush; HERALD_OK: none */
};

struct herald_message {
    struct herald_client *client; /* a retained one holds a reference */
    struct frame_deliver fields;
    uint8_t flags;
    bool settled;
    bool is_copy;
    bool handed_over; /* the duty to settle went to a copy */
    uint64_t generation;
    uint64_t sequence;
    struct frame_earlier earlier; /* of its own number, or empty */
    uint64_t fence;
    char key[256];
    char exchange[256];
    unsigned char bytes[]; /* of a copy */
};

/* --- command.c ----------------------------------------------------------------------------------
 */

/* The broker tells how a tracked command is. */
void command_handle_state(struct herald_client *client, const struct frame *frame,
                          struct wire_bytes body);

/* --- entity.c -----------------------------------------------------------------------------------
 */

/* Where the events of an APPEND have come to stand. */
void entity_handle_appended(struct herald_client *client, uint64_t tag,
                            const struct frame_appended *frame);

/* An event that was asked for. */
void entity_handle_event(struct herald_client *client, const struct frame *frame,
                         struct wire_bytes body);

/* --- error.c ------------------------------------------------------------------------------------
 */

/* Notes a failure and returns its status. */
enum herald_status error_set(struct herald_client *client, enum herald_status status,
                             const char *text);
enum herald_status error_set_errno(struct herald_client *client, enum herald_status status,
                                   const char *what, int error);

/* Notes the broker's word. */
enum herald_status error_set_code(struct herald_client *client, unsigned code,
                                  struct wire_bytes text);

/* What a code of the broker means to the program. */
enum herald_status error_status_of(unsigned code);

void error_fill(struct herald_error *error, unsigned code, struct wire_bytes text);

/* --- client.c -----------------------------------------------------------------------------------
 */

typedef bool client_condition_fn(struct herald_client *client, void *argument);

/* Drives, or lets another thread drive, until the condition holds. HERALD_OK, HERALD_ETIMEOUT,
 * HERALD_EWOULDDEADLOCK, or what ended the handle. With the lock held. */
enum herald_status client_wait_until(struct herald_client *client, client_condition_fn *condition,
                                     void *argument, int timeout_ms);

/* Lets the handle run for so long. */
void client_pause(struct herald_client *client, int time_ms);

bool client_is_in_callback(const struct herald_client *client);

/* Around a callback: lets go of the lock and takes it again. */
void client_enter_callback(struct herald_client *client);
void client_leave_callback(struct herald_client *client);

/* Tells the driver or the program's loop that there is something to write. */
void client_wake(struct herald_client *client);

/* Lets threads that wait look again. */
void client_notify(struct herald_client *client);

/* Drops a reference; the last one frees. Takes the lock and gives it back. */
void client_unref(struct herald_client *client);

uint64_t client_clock_ms(void);

/* --- session.c ----------------------------------------------------------------------------------
 */

/* Reads the URLs. HERALD_OK, HERALD_EINVAL, HERALD_EUNSUPPORTED. */
enum herald_status session_configure(struct herald_client *client);

/* Lets the timers act; connects when it is time to. */
void session_act(struct herald_client *client);

/* Milliseconds until session_act must be called; -1: never. */
int session_timeout(const struct herald_client *client);

/* Reads, dispatches, writes, as the events say. */
void session_on_events(struct herald_client *client, struct transport_events events);

/* Writes as much as the socket takes. From any thread. */
void session_flush(struct herald_client *client);

void session_handle_hello_ok(struct herald_client *client, const struct frame_hello_ok *frame);
void session_handle_auth_ok(struct herald_client *client, const struct frame_auth_ok *frame);
void session_handle_close(struct herald_client *client, const struct frame_close *frame);

/* The connection is of no use any more: try again later. error is an errno or 0. */
void session_lose(struct herald_client *client, const char *what, int error);

/* For good: no more connections. */
void session_end(struct herald_client *client);

/* Says goodbye and disconnects. */
void session_say_goodbye(struct herald_client *client);

void session_tell_state(struct herald_client *client, enum herald_state state);

/* --- inbox.c ------------------------------------------------------------------------------------
 */

bool inbox_init(struct inbox *inbox);
void inbox_deinit(struct inbox *inbox);
void inbox_reset(struct inbox *inbox);

/* Reads once and handles every whole frame. */
void inbox_receive(struct herald_client *client);

/* --- answer.c -----------------------------------------------------------------------------------
 */

void answer_handle_confirm(struct herald_client *client, const struct frame_confirm *frame);
void answer_handle_refuse(struct herald_client *client, uint64_t tag,
                          const struct frame_refuse *frame);
void answer_handle_count(struct herald_client *client, uint64_t tag, uint64_t count);
void answer_handle_peeked(struct herald_client *client, const struct frame *frame,
                          struct wire_bytes body);
void answer_handle_row(struct herald_client *client, const struct frame_header *header,
                       struct wire_bytes fields);
/* The request in flight of this tag, or NULL; and its good end. */
struct request *answer_find_request(struct herald_client *client, uint64_t tag);
void answer_finish_request(struct herald_client *client, uint64_t tag);

/* body: the whole body. */
void answer_handle_outcome(struct herald_client *client, uint64_t tag,
                           const struct frame_outcome *frame, struct wire_bytes body);

/* The connection is lost: ends what cannot go on. */
void answer_lose(struct herald_client *client);

/* Makes the outbox forget a call that gave up; whether it may have run. */
enum herald_ran answer_abandon_call(struct herald_client *client, struct call *call);

/* Ends calls whose time is over. */
void answer_check_calls(struct herald_client *client);

/* Ends every call, as at the end of the handle. */
void answer_end_calls(struct herald_client *client);

/* --- call.c -------------------------------------------------------------------------------------
 */

/* Gives a call its outcome; frees it unless a thread waits for it. */
void call_finish(struct herald_client *client, struct call *call,
                 const struct herald_outcome *outcome);

/* --- backup.c -----------------------------------------------------------------------------------
 */

/* A frame of a copy: its begin, a piece or its end. */
void backup_handle(struct herald_client *client, const struct frame *frame);

/* --- consumer.c ---------------------------------------------------------------------------------
 */

/* Starts a consumer like *from, whose texts and following are copied, and waits unless timeout_ms
 * is 0. With the lock held. Errors as herald_serve. */
enum herald_status consumer_start(struct herald_client *client, const struct herald_consumer *from,
                                  int timeout_ms, struct herald_consumer **result);

struct herald_consumer *consumer_find(const struct herald_client *client, uint32_t number);

/* Starts all consumers again on a new connection. */
void consumer_replay(struct herald_client *client);

/* The broker ended it, maybe before it answered the start. */
void consumer_handle_gone(struct herald_client *client, const struct frame_consumer_gone *frame);

/* The consumer is the active one of its queue from now on. */
void consumer_handle_active(struct herald_client *client,
                            const struct frame_consumer_active *frame);

/* The broker ended it, or refused to start it: tells the program and forgets it. */
void consumer_end(struct herald_client *client, struct herald_consumer *consumer, unsigned code,
                  const char *text);
void consumer_remove(struct herald_client *client, struct herald_consumer *consumer);
void consumer_free_all(struct herald_client *client);

/* No callbacks any more; asks the broker to stop. */
enum herald_status consumer_stop(struct herald_client *client, struct herald_consumer *consumer);

/* Asks the broker to stop all of them; no callbacks any more. */
void consumer_cancel_all(struct herald_client *client);

/* --- follow.c -----------------------------------------------------------------------------------
 */

/* NULL without memory. */
struct following *follow_copy(const struct following *following);

/* The frame that starts a consumer with a following as things stand now. NULL without memory or
 * when a text is too long. */
struct request *follow_request(const struct herald_consumer *consumer);

/* Makes that frame of a request that is to be sent again say how things stand now. */
void follow_renew(struct request *request);

/* The broker says behind which sequence a reader begins; an event of this sequence is given to the
 * program; so many events are missing. */
void follow_on_begin(struct herald_consumer *consumer, uint64_t before);
void follow_on_event(struct herald_consumer *consumer, uint64_t sequence);
void follow_on_gap(struct herald_consumer *consumer, uint64_t missed);

/* --- message.c ----------------------------------------------------------------------------------
 */

/* Runs the consumer's callback for a delivery with its whole body. */
void message_handle_deliver(struct herald_client *client, const struct frame *frame,
                            struct wire_bytes body);

/* A message that was only looked at, as a copy; NULL without memory. The lock is held. */
struct herald_message *message_of_peeked(struct herald_client *client,
                                         const struct frame_peeked *peeked, struct wire_bytes body);

/* Gives back everything unsettled on this connection. */
void message_release_all(struct herald_client *client);

/* HERALD_OK when it may be settled; else why not, noted. The lock is held. */
enum herald_status message_check_settle(struct herald_client *client,
                                        const struct herald_message *message);

/* Has a settlement, or what goes the same way, written with the next batch. The lock is held. */
enum herald_status message_add_frame(struct herald_client *client, struct frame *frame);

/* Copies bytes to *at, which moves on behind them; what was copied. */
struct wire_bytes message_keep(unsigned char **at, struct wire_bytes bytes);

/* --- progress.c ---------------------------------------------------------------------------------
 */

/* What earlier attempts have left for the next delivery. */
void message_handle_earlier(struct herald_client *client, const struct frame_earlier *earlier);

/* Renews the leases of all unsettled messages, where the program wants that and it is time. */
void message_renew(struct herald_client *client);

/* Nobody waits for the outcome of this delivery any more. */
void message_handle_unwanted(struct herald_client *client, uint64_t delivery);

#endif
