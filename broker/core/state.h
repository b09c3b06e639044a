/* The core's own view of itself: the structs that its rooms share. Only files of core/ include
 * this.
 *
 * Durable state (queues, places, exchanges, bindings, clients) is changed only by apply.c; volatile
 * state (peers, consumers, deliveries, transient messages, calls) directly.
 */
#ifndef HERALD_STATE_H
#define HERALD_STATE_H

#include <sys/queue.h>
#include "broker/core/table.h"

#include "broker/core/aside.h"
#include "broker/core/breaker.h"
#include "broker/core/budget.h"
#include "broker/core/buffer.h"
#include "broker/core/core.h"
#include "broker/core/home.h"
#include "broker/core/index.h"
#include "broker/core/lane.h"
#include "broker/core/lane_plain.h"
#include "broker/core/message.h"
#include "broker/core/peer.h"
#include "broker/core/spill.h"
#include "broker/core/restate.h"
#include "broker/core/sys.h"
#include "broker/core/tracked.h"
#include "broker/core/ward.h"
#include "broker/core/wheel.h"
#include "protocol/frame.h"
#include "protocol/stream.h"

struct archive;
struct backup_files;
struct call;
struct client;
struct cursor;
struct feed;
struct history;
struct history_secret;
struct kept_bytes;
struct peek;
struct consumer;
struct exchange;
struct queue;
struct router;

struct core_counters {
#define COUNTER(name, text) uint64_t name;
#include "broker/core/counters.def"
};

enum queue_kind {
    QUEUE_DURABLE,
    QUEUE_TRANSIENT,
    QUEUE_LIVE, /* behind a live subscription: no name, nothing is settled */
};

/* Numbers of queues and exchanges are below this: a record tells them apart by HISTORY_BIT. */
#define NUMBERS_END (UINT32_C(1) << 31)

enum queue_overflow {
    QUEUE_REFUSE = 0,
    QUEUE_DROP_OLDEST = 1,
};

/* For whom a timer of the core's wheel fires. */
enum timer_kind {
    TIMER_CALL,
    TIMER_ASIDE,
    TIMER_WARD,
    TIMER_WATCHER,
    TIMER_LEASE,
    TIMER_BREAKER,
    TIMER_EXPIRY,
};

/* A parked command: where it is and why. */
struct parked {
    UT_hash_handle hh;
    uint64_t number;
    uint64_t word;    /* position and `back` of its message; 0: that comes later (recovery) */
    struct home home; /* the PARK operation */
    uint64_t time_ms;
    uint32_t size;
    uint16_t attempts;
    uint8_t priority;
    struct lane *lane; /* NULL: it is of none */
    TAILQ_ENTRY(parked) lane_link;
    struct retry_terms retry;   /* its own */
    struct kept_bytes *history; /* of its attempts, see kept.h */
    struct reply *reply;        /* who gets the outcome of its repair; NULL: nobody */
    struct wire_id id;          /* of a tracked one, and of a repair; zero: none that is known */
    uint64_t digest;            /* of a tracked one */
    bool is_tracked;
    bool is_repair; /* it repaired another one: its id is not the one in its message */
};

/* A message that was parked and is a new command now: what it repairs, and its own id. */
struct repair {
    struct wire_id id;
    struct wire_id repairs; /* zero: that of the message */
    uint64_t time_ms;
    struct home home; /* the REPAIR operation */
};

/* Failed attempts of a message that is still in its queue, where it stands aside. */
struct attempted {
    UT_hash_handle hh;
    uint64_t number;
    struct home home;        /* the ATTEMPT operation */
    struct home cancel_home; /* the CANCEL operation */
    struct home checkpoint_home;
    struct kept_bytes *history;    /* of the attempts, see kept.h */
    struct kept_bytes *checkpoint; /* of the newest one that gave any */
    struct repair *repair;         /* NULL: it repairs none */
    uint64_t due_ms;               /* not to be handed out before */
    uint64_t since_ms;             /* the first failed one */
    uint16_t failed;
    bool is_cancelled; /* its sender asked for it while it ran */
};

/* A named queue; see queue.c for its invariants. */
struct queue {
    UT_hash_handle by_name;
    UT_hash_handle by_number;
    struct core *core;
    TAILQ_ENTRY(queue) pump_link;
    TAILQ_HEAD(, consumer) willing; /* consumers with room, the next one first */
    TAILQ_HEAD(, consumer) all;     /* consumers, the first one first */
    struct consumer *active;        /* of those, where only one is given messages */
    struct consumer *live;          /* QUEUE_LIVE: the subscriber */
    char *name;
    uint32_t name_bytes;
    uint32_t number;
    uint32_t ref_count; /* deliveries and consumers that know it, and the directory */
    enum queue_kind kind;
    bool is_auto_delete;
    bool is_gone;
    bool is_in_pump;
    bool is_held;       /* in the held list: its head is not on disk yet */
    bool is_fetching;   /* bytes of its head are being read */
    bool is_paging;     /* a page of its index was asked for */
    bool had_consumer;  /* auto-delete begins with the last consumer's leaving */
    struct peer *owner; /* exclusive to this peer; NULL: to nobody */
    uint64_t count_max;
    uint64_t bytes_max;
    enum queue_overflow overflow;

    struct retry_terms retry;
    uint64_t lease_ms;            /* of its deliveries; 0: no limit */
    uint64_t ttl_ms;              /* how long a message may wait; 0: no limit */
    struct wheel_timer ttl_timer; /* TIMER_EXPIRY */
    enum lane_parked lane_parked;
    bool is_paused;
    bool is_single_active;
    struct breaker breaker;

    struct index index;
    struct asides asides;
    struct chains lanes; /* by key */
    struct lane_plains plains;
    struct cursor *cursor; /* it is filled from a history; NULL: by senders */
    struct feed *feed;     /* QUEUE_LIVE: a reader of a history; NULL: a live subscription */
    struct queue *grave;   /* while a purge takes pages out that are away: who gets them */
    struct parked *parked;
    struct attempted *attempted;
    uint64_t bytes;     /* of all that is not parked */
    uint64_t out_count; /* of them with consumers */
    uint64_t transient_count;

    struct home home;      /* the QUEUE operation */
    uint64_t mark;         /* no message above was handed out ... */
    struct home mark_home; /* ... as this MARK operation says */
    uint64_t mark_before;  /* the mark that is surely on disk, while the newer one may not be */
    uint64_t handed_max;   /* highest number handed out in this start */
    uint64_t redelivered_up_to; /* what is at or below it may have been handed out before */
    uint64_t attempt_position;  /* newest ATTEMPT operation: redeliveries rest on it */
    uint64_t missed;            /* QUEUE_LIVE: events lost since the last delivery */

    TAILQ_ENTRY(queue) overflow_link; /* while it is overflowing, as `$sys` has told */
    bool is_overflowing;

    uint32_t consumer_count;
    uint32_t binding_count;
    LIST_HEAD(, binding) bindings;
    uint64_t route_stamp; /* the route that found this queue last */

    uint64_t accepted_total;
    uint64_t delivered_total;
    uint64_t settled_total;
    uint64_t failed_total;
};

/* A peer's interest in a queue. Lives on after a cancel until its deliveries are settled. */
struct consumer {
    UT_hash_handle hh;                /* in its peer, by number */
    TAILQ_ENTRY(consumer) queue_link; /* while it is willing, see consumer.c */
    TAILQ_ENTRY(consumer) all_link;   /* until it is freed */
    struct peer *peer;
    struct queue *queue;
    struct exchange *exchange; /* of a live subscription, else NULL */
    uint32_t number;
    uint32_t prefetch_messages;
    uint32_t prefetch_bytes; /* 0: no limit */
    uint32_t unsettled_count;
    uint64_t unsettled_bytes;
    bool is_willing;
    bool is_cancelled;
    bool is_lost; /* its peer is gone and its oldest delivery was counted as failed */
};

/* One hand-out that is not settled. */
struct delivery {
    uint64_t name; /* its name on the wire; grows along the ring */
    uint64_t number;
    struct consumer *consumer; /* NULL: settled, only its slot is left */
    uint32_t bytes;
    uint32_t lease_tick; /* when its lease ends, see lease.c; 0: never */
};

/* A peer's unsettled deliveries in the order of their names: a ring whose room is a power of two.
 */
struct delivery_ring {
    struct delivery *slots;
    uint32_t room;
    uint32_t start;
    uint32_t count; /* settled ones in between included */
    uint32_t live_count;
};

/* What waits in a peer's answer line until it rests on durable ground; see line.c. */
struct line_entry {
    uint64_t needs;       /* leaves when the durable position is above this */
    uint64_t last;        /* confirm: the last tag; else the tag answered */
    unsigned char *frame; /* an encoded frame, or NULL for a confirm */
    uint32_t frame_bytes;
};

struct line {
    struct line_entry *entries;
    uint32_t room; /* a power of two */
    uint32_t start;
    uint32_t count;
    uint64_t needs;      /* of the newest entry: later ones rest on no less */
    uint64_t next_first; /* first tag that the next confirm speaks of */
};

/* A message that comes in pieces. */
struct assembly {
    unsigned char *frame; /* the whole frame as it would be in one; NULL: swallowed unread */
    struct frame_header header;
    size_t bytes;          /* so far */
    size_t bytes_left;     /* of the body */
    uint64_t last_between; /* highest tag settled while it was open; 0: none */
    bool is_open;
    bool is_too_large;
};

enum peer_state {
    PEER_HELLO,
    PEER_AUTH,
    PEER_OPEN,
    PEER_CLOSING,
};

struct peer {
    struct core *core;
    void *connection;
    struct buffer output;
    TAILQ_ENTRY(peer) link;        /* all peers */
    TAILQ_ENTRY(peer) dirty_link;  /* those with something to write */
    TAILQ_ENTRY(peer) line_link;   /* those with waiting answers */
    TAILQ_ENTRY(peer) credit_link; /* those who are owed credit */
    struct peer_origin *origin;
    struct stream stream;
    enum peer_state state;
    bool is_dirty;
    bool is_in_line;
    bool is_owed_credit;
    bool is_full;     /* output above unsent_bytes_max: consumers wait */
    bool is_admitted; /* authenticated once; not counted among the unknown any more */
    bool has_magic;
    bool is_leaving;      /* said CLOSE; goes once its answers are given */
    bool has_left;        /* said goodbye, or the broker did: what it holds goes back uncounted */
    bool is_client_kept;  /* it was the broker that left: the client may come back */
    uint16_t closed_with; /* a status, by either side; 0: it is not closed */
    uint8_t handshake_frames;
    uint32_t exclusive_count; /* queues that belong to it */
    uint32_t frame_bytes_max; /* what the peer takes */
    uint32_t heartbeat_ms;
    uint64_t number; /* for people and for paging */
    uint64_t last_tag;
    uint64_t answered_tag; /* highest tag in line that was taken, for the client's record */
    int64_t credit_messages;
    int64_t credit_bytes;
    uint32_t used_messages; /* credit used and not yet given anew */
    uint64_t used_bytes;
    uint64_t hello_seen;
    bool hello_resume;
    char *client_name;
    struct client *client;
    struct consumer *consumers;
    struct delivery_ring deliveries;
    struct line line;
    struct assembly assembly;
    struct call *calls;
    LIST_HEAD(, watcher) watchers;
    struct wheel_timer lease_timer; /* TIMER_LEASE */
    uint64_t lease_due_ms;          /* UINT64_MAX: it is not armed */
};

/* The refusals of a client that it has not seen yet, in the order of their tags. */
struct refusal {
    TAILQ_ENTRY(refusal) link;
    uint64_t tag;
    struct home home;
    uint16_t code;
    uint16_t text_bytes;
    char text[];
};

/* A client that names itself, connected or not. */
struct client {
    UT_hash_handle by_name;
    UT_hash_handle by_number;
    TAILQ_ENTRY(client) absent_link; /* those that left, oldest first */
    TAILQ_HEAD(refusal_list, refusal) refusals;
    uint32_t refusal_count;
    struct peer *peer; /* NULL: absent */
    char *name;
    uint32_t number;
    uint64_t answered;
    struct home home;          /* the CLIENT operation */
    struct home answered_home; /* the newest ANSWERED operation, if it is newer than that */
};

/* A call that waits for its outcome. */
struct call {
    UT_hash_handle hh; /* in its peer, by tag */
    struct wheel_timer timer;
    struct peer *peer;
    struct queue *queue;
    uint64_t tag;
    uint64_t number; /* of its message */
};

/* The one copy that may be under way; see backup.c. */
struct backup {
    struct peer *peer; /* NULL: none, or a read is out for a peer that has gone */
    uint64_t tag;
    uint64_t next; /* position of what is read next of the journal */
    uint64_t end;
    uint32_t segment_bytes;
    bool has_begun; /* the peer was told what is copied */
    bool is_journal_held;
    bool is_reading;
    struct backup_files *files; /* NULL: none are held */
};

/* The open record; see recorder.c. */
struct recorder {
    struct peer *peer; /* whose frames it holds; NULL: the broker's own */
    unsigned char *at;
    size_t room;
    size_t bytes; /* 0: no record is open */
    uint64_t position;
    bool is_open;
    bool is_held; /* what is appended now belongs together */
};

TAILQ_HEAD(queue_list, queue);
TAILQ_HEAD(peer_list, peer);
TAILQ_HEAD(client_list, client);

enum { CORE_SPARE_OUTPUTS = 8 };

struct core {
    struct core_limits limits;
    core_note_fn note;
    void *note_context;
    struct journal *journal;
    struct journal *const *opening; /* the one that recovery is reading */
    struct recorder recorder;
    struct spill *spill;
    struct restate restate;
    uint64_t now_ms;
    uint64_t started_ms;
    uint64_t durable_position;
    uint32_t start_number;
    struct home start_home;

    uint64_t next_message;
    uint32_t next_queue;
    uint32_t next_exchange;
    uint32_t next_client;
    uint64_t next_binding; /* volatile: for paging */
    uint64_t next_delivery;
    uint64_t next_peer;
    struct router *router;
    uint64_t route_stamp;
    struct queue **routed; /* the result of the last relay_route */
    size_t routed_room;
    unsigned char *numbers; /* of the receivers of the message that is recorded */
    size_t numbers_room;

    struct queue *last_queue;       /* the one a sender named last */
    struct exchange *last_exchange; /* likewise */
    struct queue *queues_by_name;
    struct queue *queues_by_number; /* live subscriptions' queues are in neither */
    struct exchange *exchanges_by_name;
    struct exchange *exchanges_by_number;
    struct client *clients_by_name;
    struct client *clients_by_number;
    uint32_t client_count;
    uint32_t binding_count;
    uint32_t consumer_count;
    uint32_t call_count;
    uint32_t aside_count;
    uint32_t laned_count;            /* of them, those in lanes */
    TAILQ_HEAD(, peek) peeks;        /* questions that wait for the disk */
    TAILQ_HEAD(, entity_read) reads; /* of entities, under way */
    struct lane_pool lane_pool;
    struct lane_list parking; /* lanes whose messages are to be parked */
    uint32_t fence_count;
    uint64_t transient_bytes;

    struct queue_list pump;      /* queues with something to hand out, perhaps */
    uint32_t pump_durable_count; /* of them, that have marks */
    struct queue_list held;      /* queues whose head waits for the disk */
    struct queue_list dying;     /* deleted queues whose places are worked off */
    struct peer_list peers;
    struct peer_list dirty;
    struct peer_list lines;
    struct peer_list creditors;
    struct client_list absent;
    uint32_t peer_count;
    uint32_t unauthenticated_count;
    struct wheel wheel;
    struct aside_blocks aside_blocks;
    struct backup backup;
    struct tracked_table tracked;

    struct archive *archive; /* NULL: there is none, histories cannot be used */
    struct mover *mover;
    struct saver *saver;
    TAILQ_HEAD(, history) histories_waiting; /* with a tail that may grow, the oldest first */
    TAILQ_HEAD(, history) histories_due;     /* with one that is to be moved */
    TAILQ_HEAD(, removal) removals;          /* of files */
    TAILQ_HEAD(, feed) feeds;                /* with windows, the one used longest ago first */
    TAILQ_HEAD(, feed) hungry;               /* that wait for room for one */
    uint64_t feed_bytes;                     /* of windows */
    uint64_t tail_bytes;                     /* of events that are in the journal alone */
    uint64_t retained_ms;                    /* when retention looked last */
    bool are_files_held;                     /* retention removes none now */
    uint64_t entity_count;
    struct history_secret *secrets;
    size_t secret_count;
    unsigned char secret[16];       /* for entities of histories that have none yet */
    struct journal_failure failure; /* what a start found */

    struct budget budget;
    struct sys sys;

    uint64_t rate_at_ms;       /* when rate_number was taken */
    uint64_t rate_number;      /* next_message then */
    uint64_t rate_delivered;   /* hand-outs then */
    uint64_t numbers_a_second; /* numbers given or handed out in the last full second */

    uint64_t round_count;
    uint64_t longest_us[2]; /* of the rounds since longest_at_ms, and of the time before */
    uint64_t longest_at_ms;

    uint64_t chance; /* of the jitter of retries: xorshift */
    bool is_checked; /* core_on_read is done */
    bool is_running; /* core_start is done */
    bool is_draining;
    bool is_ending; /* core_free has begun */
    bool is_anonymous_allowed;
    bool has_more;
    bool is_credit_withheld;
    struct buffer spares[CORE_SPARE_OUTPUTS]; /* empty outputs to be used again */
    unsigned spare_count;
    unsigned char event_properties[4096 + 512]; /* of the event that is being accepted */
    char explanation[256]; /* of the refusal that a handler is about to return */
    struct core_counters counters;
};

#endif
