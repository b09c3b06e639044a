/* What leaves the client: frames that wait, frames that are being written, frames that are not
 * answered yet. Pure: no I/O, no clock.
 *
 *     append                 begin of a round              write            answer
 *   (send) ---> backlog, no tag ---> in flight, tagged ---> written ---> gone
 *                                        ^                                 |
 *                                        +---- outbox_reset, the rest -----+   (connection lost)
 *
 * Messages are encoded once, into the log, and stay there until they are answered: the log is what
 * is written from and what is sent again. A message gets its tag only when credit lets it go,
 * because settlements must be able to overtake those without credit while tags must grow on the
 * wire.
 *
 * Writing goes in rounds. A round is the staged bytes (requests, settlements, large messages cut
 * into pieces) followed by one region of the log; the next begins when it is wholly written.
 *
 * Always true between two calls:
 *   1. tags grow along `inflight`, `calls`, and on each connection;
 *   2. log front <= region_at <= region_end <= start of the first in the backlog;
 *   3. an entry leaves `inflight` only from the front, answered.
 */
#ifndef HERALD_CLIENT_OUTBOX_H
#define HERALD_CLIENT_OUTBOX_H

#include "client-lib/buffer.h"
#include "client-lib/ring.h"
#include "protocol/frame.h"

#include <sys/queue.h>
#include <sys/uio.h>

/* A frame that somebody waits for the answer of; see request.h. */
struct request;
TAILQ_HEAD(request_list, request);

struct done_range {
    uint64_t sequence_first; /* the library's own count of deliveries, without holes */
    uint64_t sequence_last;
    uint64_t first; /* the broker's names for them */
    uint64_t last;
};

struct outbox {
    struct buffer log;
    struct ring backlog;
    struct ring inflight;
    struct ring calls; /* tagged calls; answered outside the line */

    struct buffer staging;
    uint64_t region_at;
    uint64_t region_end;

    struct buffer settlements; /* encoded, without tags */
    struct done_range *ranges;
    size_t range_count;
    size_t range_capacity;
    struct request_list requests; /* not sent yet */

    size_t resend_count; /* in flight, at the end of the ring, to be sent again */
    size_t inflight_messages;
    uint64_t tag_next;
    uint64_t settle_round; /* settlements leave in rounds, counted from 1 */
    uint64_t answers;      /* since the last SEEN */
    int64_t credit_messages;
    int64_t credit_bytes;
    uint32_t frame_bytes_max;
    uint32_t start; /* of the broker */
    bool open;      /* messages, settlements and requests may leave */
};

void outbox_init(struct outbox *outbox);
void outbox_deinit(struct outbox *outbox);

/* Room for a message frame of at most `bytes`, or NULL. */
unsigned char *outbox_reserve(struct outbox *outbox, size_t bytes);

/* Takes the frame that was encoded there into the backlog. False without memory. */
bool outbox_commit(struct outbox *outbox, size_t bytes, enum entry_kind kind, void *context);

/* Bytes that messages take up, answered ones at the front excepted. */
size_t outbox_log_bytes(const struct outbox *outbox);

/* Bytes of messages that wait to be written. */
size_t outbox_unsent_bytes(const struct outbox *outbox);

/* Settles a delivery as done. False without memory. */
bool outbox_add_done(struct outbox *outbox, uint64_t sequence, uint64_t delivery);

/* Room for a settlement frame without tag; taken by buffer_commit on outbox->settlements. */
unsigned char *outbox_reserve_settlement(struct outbox *outbox, size_t bytes);
bool outbox_has_settlements(const struct outbox *outbox);

/* Stages a frame that has no tag, like a heartbeat. Only between rounds or while nothing but staged
 * bytes are in this one; false then, or without memory. */
bool outbox_stage_plain(struct outbox *outbox, const unsigned char *frame, size_t bytes);

/* What to write now, beginning a round if none is under way. Number of parts, 0: nothing. */
int outbox_gather(struct outbox *outbox, struct iovec parts[2]);

/* Whether a new round would have anything to write. */
bool outbox_is_ready(const struct outbox *outbox);

void outbox_written(struct outbox *outbox, size_t bytes);

/* Takes answered entries from the front and frees what the log does not need any more. */
void outbox_trim(struct outbox *outbox);

/* A point in what was sent and settled, to find out when everything before it is answered.
 * Settlements of a later point may count as before it, those before never as after it. */
struct outbox_mark {
    uint64_t offset;
    uint64_t settle_round;
};
struct outbox_mark outbox_mark(const struct outbox *outbox);
bool outbox_has_passed(const struct outbox *outbox, struct outbox_mark mark);

/* Highest tag such that every answer up to it has come. */
uint64_t outbox_seen(const struct outbox *outbox);

/* --- a connection lost and made again -----------------------------------------------------------
 */

/* The connection is gone: nothing more leaves until outbox_resume or outbox_restart. Settlements
 * that waited are dropped. What becomes of tagged settlements, requests and calls is the caller's.
 */
void outbox_reset(struct outbox *outbox);

/* The broker has answered up to `answered`; what is above is sent again under its tags. */
void outbox_resume(struct outbox *outbox, uint64_t answered);

/* The broker knows nothing: everything in flight is sent anew under new tags above `answered`. */
void outbox_restart(struct outbox *outbox, uint64_t answered);

#endif
