/* A frame that is answered once, by a confirm, a refusal or rows: consume, bind, query... */
#ifndef HERALD_CLIENT_REQUEST_H
#define HERALD_CLIENT_REQUEST_H

#include "client-lib/herald.h"
#include "protocol/frame.h"

#include <sys/queue.h>

struct asking;
struct backup;
struct entity_reading;

struct request {
    TAILQ_ENTRY(request) link; /* in outbox.requests as long as it is unsent */
    unsigned char *frame;      /* encoded, without tag; NULL: it stands in the outbox's log */
    size_t bytes;
    uint8_t type;
    bool unsent;   /* in the list */
    bool waited;   /* a thread waits and frees it; otherwise it is freed when answered */
    bool answered; /* the error is valid */
    bool busy;     /* a row callback is running */
    struct herald_error error;        /* HERALD_OK: there was none */
    struct herald_consumer *consumer; /* of CONSUME, SUBSCRIBE and CANCEL; else NULL */
    const struct herald_query *query; /* while waited for */
    struct backup *backup;            /* likewise */
    struct herald_message **peeked;   /* of PEEK, likewise */
    struct asking *asking;            /* of COMMAND_STATUS, likewise */
    struct herald_appended *appended; /* of APPEND, likewise */
    struct entity_reading *reading;   /* of READ, likewise */
    uint64_t *row_number;             /* likewise: where the last row's "number" goes */
};

/* Makes a request from a filled frame. NULL without memory or when a field is too long. */
struct request *request_new(struct frame *frame);

/* Makes one whose frame goes into the outbox's log, under ENTRY_WAITED. NULL without memory. */
struct request *request_new_logged(enum frame_type type);
void request_free(struct request *request);

/* Appends it to those to be sent. */
void request_queue(struct herald_client *client, struct request *request);

/* Waits for the answer, then frees the request. On a timeout one that has not left is taken back.
 * Called and returns with the lock held. */
enum herald_status request_wait(struct herald_client *client, struct request *request,
                                int timeout_ms);

/* Queues the request and waits; NULL means that request_new had failed. Takes the lock. */
enum herald_status request_run(struct herald_client *client, struct request *request,
                               int timeout_ms);

/* The answer has come: tells who waits, or the consumer, or the hook. With the lock held; lets go
 * of it while a callback runs. */
void request_answer(struct herald_client *client, struct request *request, unsigned code,
                    struct wire_bytes text);

/* The connection was lost while the request was under way and its answer will not be repeated. */
void request_lose(struct herald_client *client, struct request *request);

#endif
