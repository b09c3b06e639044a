/* The broker's side of a connection, played by a test: it listens on a unix socket, takes the
 * client's frames one at a time and says what the test wants. While it waits for a frame it lets
 * the client process, so that one thread plays both sides; it fails the test after five seconds.
 */
#ifndef HERALD_FAKE_BROKER_H
#define HERALD_FAKE_BROKER_H

#include "client-lib/herald.h"
#include "protocol/frame.h"

#include <pthread.h>

enum { FAKE_ROOM_BYTES = 256 * 1024, FAKE_START = 7 };

struct fake_broker {
    int listener;
    int file; /* of the connection, -1: none */
    char directory[64];
    char path[100];
    char url[108];
    struct herald_client *client; /* processed while waiting; NULL: drives itself */
    struct frame_hello hello;     /* of the newest connection; texts void */
    char name[256];               /* the client's in that hello */
    uint64_t seen;                /* of the newest SEEN frame */
    uint32_t frame_bytes_max;
    uint32_t message_bytes_max;
    uint32_t heartbeat_ms;
    unsigned char in[FAKE_ROOM_BYTES];
    size_t in_bytes;
    unsigned char taken[FAKE_ROOM_BYTES]; /* what fake_take gave out points into it */
};

struct fake_broker *fake_new(void);
void fake_free(struct fake_broker *fake);

/* A handle that knows the fake's address, with quick retries. Closed by the test. */
struct herald_client *fake_client(struct fake_broker *fake, const struct herald_options *options);

/* Takes a connection, its hello and its authentication. */
void fake_accept(struct fake_broker *fake);

/* Answers the hello: HELLO_OK, AUTH_OK, CREDIT. */
void fake_greet(struct fake_broker *fake, uint64_t answered, uint32_t credit);

/* fake_accept and fake_greet with plenty of credit. */
void fake_open(struct fake_broker *fake);

/* The next frame, heartbeats and SEEN left out; must be of this type. Holds until the next call. */
void fake_take(struct fake_broker *fake, enum frame_type type, struct frame *frame);

/* Fails if the client says anything within some milliseconds, heartbeats and SEEN excepted. */
void fake_expect_silence(struct fake_broker *fake);

void fake_say(struct fake_broker *fake, struct frame *frame);
void fake_say_bytes(struct fake_broker *fake, const void *at, size_t bytes);
void fake_confirm(struct fake_broker *fake, uint64_t first, uint64_t last);
void fake_refuse(struct fake_broker *fake, uint64_t tag, unsigned code, const char *text);
void fake_credit(struct fake_broker *fake, uint32_t messages, uint32_t bytes);
void fake_deliver(struct fake_broker *fake, uint32_t consumer, uint64_t delivery, const char *body);
void fake_outcome(struct fake_broker *fake, uint64_t tag, const char *code, const char *body);
void fake_close_with(struct fake_broker *fake, unsigned code);

/* Hangs up. */
void fake_drop(struct fake_broker *fake);

/* Lets the client process for so long. */
void fake_let_run(struct fake_broker *fake, int time_ms);

/* Takes a CONSUME or SUBSCRIBE and confirms it. Returns the consumer's number. */
uint32_t fake_take_consumer(struct fake_broker *fake, enum frame_type type);

/* A blocking call on a thread of its own, which drives the handle while it waits. */
struct fake_asker {
    struct herald_client *client;
    enum herald_status (*ask)(struct herald_client *client);
    enum herald_status status;
    pthread_t thread;
};

/* A fake whose client is open and driven by nobody but the asker. */
struct fake_broker *fake_with_asker(struct fake_asker *asker);
void fake_begin_asking(struct fake_asker *asker,
                       enum herald_status (*ask)(struct herald_client *client));
enum herald_status fake_end_asking(struct fake_asker *asker);

#endif
