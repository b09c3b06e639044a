/* Tracked commands: those whose sender may ask what became of them.
 *
 *          its outcome is decided             too old, or too many
 *   open -------------------------> finished ----------------------> forgotten
 *                                      |                                ^
 *                                      | too many, and it has a key     | too old
 *                                      +-------------> keyed -----------+
 *
 * open      its message is in a queue; nothing but the message is on disk
 * finished  the OUTCOME operation is its home; the outcome is in memory, too
 * keyed     likewise, but for the text and the body of the outcome, which are forgotten
 *
 * Found by its id, and by its idempotency key where it has one. Outcomes are forgotten oldest first
 * when there are too many or they take too much memory; a key and the code of its outcome stay for
 * the whole result_ttl, and only keys_max bounds them. Forgetting is not recorded: what comes back
 * with a start is forgotten again.
 */
#ifndef HERALD_TRACKED_H
#define HERALD_TRACKED_H

#include <sys/queue.h>

#include "broker/core/chains.h"
#include "broker/core/home.h"
#include "broker/core/table.h"
#include "broker/store/record.h"
#include "protocol/status.h"

struct core;
struct kin;
struct message_terms;
struct queue;
struct watcher;

/* What is kept of an outcome: its code, text and body one behind the other. */
struct kept_outcome {
    uint8_t state; /* OUTCOME_DONE or OUTCOME_FAILED */
    uint8_t ran;
    uint16_t attempts;
    uint32_t code_bytes;
    uint32_t text_bytes;
    uint32_t body_bytes;
    unsigned char bytes[];
};

/* An idempotency key: the queue's number and the key. */
struct keyed {
    UT_hash_handle hh;
    struct tracked *tracked;
    uint32_t bytes;
    unsigned char key[];
};

/* What its worker has said of it, as long as the broker runs. */
struct progress {
    uint64_t done;
    uint64_t total;
    uint32_t note_bytes;
    unsigned char note[];
};

struct tracked {
    struct chain_link by_id;
    struct wire_id id;
    TAILQ_ENTRY(tracked) link;     /* in the list of its state, oldest first */
    LIST_HEAD(, watcher) watchers; /* who waits for it */
    struct kept_outcome *outcome;  /* NULL: it is open */
    struct progress *progress;     /* NULL: nothing was said */
    struct keyed *keyed;           /* NULL: it has no key */
    struct kin *kin;               /* NULL: it has none, see kin.h */
    struct home home;              /* the OUTCOME operation */
    uint64_t number;               /* of its message */
    uint64_t accepted_ms;
    uint64_t finished_ms;
    uint64_t digest;  /* of its body */
    uint32_t queue;   /* number */
    bool is_standing; /* open, and its message is in the queue */
    bool is_decided;  /* while recovering: it has or had an outcome, whether that is known or not */
    bool is_shrunk;   /* text and body of its outcome are forgotten: it is among the keyed */
};

TAILQ_HEAD(tracked_list, tracked);

struct tracked_table {
    struct chains by_id;
    uint32_t open_count;
    uint32_t finished_count; /* the keyed are not among them */
    uint64_t finished_bytes;
    struct keyed *keys;
    struct tracked_list open;
    struct tracked_list finished;
    struct tracked_list keyed;
};

void tracked_init(struct tracked_table *table);
/* Forgets all. */
void tracked_deinit(struct core *core);

/* NULL: none of this id is known. */
struct tracked *tracked_find(const struct core *core, struct wire_id id);
struct tracked *tracked_find_key(const struct core *core, uint32_t queue, struct wire_bytes key);

/* An open one that is not standing. NULL when memory runs out. */
struct tracked *tracked_new(struct core *core, uint32_t queue, struct wire_id id,
                            struct wire_bytes key);

/* Takes it out and frees it, and answers nobody. */
void tracked_forget(struct core *core, struct tracked *tracked);

/* Its worker says how far it is; without memory nobody hears of it. */
void tracked_note(struct tracked *tracked, uint64_t done, uint64_t total, struct wire_bytes note);

/* What a command is compared by when its id or key comes again. */
uint64_t tracked_digest(struct wire_bytes body);

/* The operation that states its outcome; the caller fills in state, ran, attempts, kin, code, text
 * and body. */
struct operation_outcome tracked_operation(const struct core *core, const struct tracked *tracked);

/* What is kept of the outcome that the operation states; NULL when memory ran out. */
struct kept_outcome *tracked_keep(const struct operation_outcome *operation);

/* Applies an OUTCOME operation live, with what tracked_keep has made of it before. */
void tracked_finish(struct core *core, const struct operation_outcome *operation, uint64_t position,
                    struct kept_outcome *outcome);

/* Recovery and restating. STATUS_NO_MEMORY only while recovering. */
enum status tracked_apply(struct core *core, const struct operation_outcome *operation,
                          uint64_t position);

/* Forgets what is too old or too much; a slice at a time. */
void tracked_work_off(struct core *core);

/* The broker has started: finished ones are in the order of their times; those whose messages went
 * with their queues get their outcome, and those whose outcome was forgotten are, too. STATUS_OK,
 * STATUS_NO_MEMORY, or the status of the journal. */
enum status tracked_start(struct core *core);

#endif
