/* What actors of a scene say and hear, in short calls.
 *
 * A say_ function writes one frame, has the broker read it and settles the scene; it returns the
 * frame's tag. A hear_ function takes the next frame of the broker and fails the test when it is
 * another one than expected.
 */
#ifndef HERALD_TEST_LINES_H
#define HERALD_TEST_LINES_H

#include "tests/support/scene.h"

uint64_t say_queue(struct actor *actor, const char *queue);
uint64_t say_queue_with(struct actor *actor, const char *queue, uint8_t flags, uint64_t count_max,
                        uint64_t overflow);
uint64_t say_queue_set(struct actor *actor, const char *queue, uint8_t property, uint64_t value);
uint64_t say_queue_delete(struct actor *actor, const char *queue, uint8_t flags);
uint64_t say_queue_purge(struct actor *actor, const char *queue);
uint64_t say_exchange(struct actor *actor, const char *exchange, uint8_t flags);
uint64_t say_exchange_delete(struct actor *actor, const char *exchange, uint8_t flags);
uint64_t say_bind(struct actor *actor, const char *queue, const char *exchange,
                  const char *pattern);
uint64_t say_unbind(struct actor *actor, const char *queue, const char *exchange,
                    const char *pattern);

uint64_t say_send(struct actor *actor, const char *queue, const char *body);
uint64_t say_send_with(struct actor *actor, const char *queue, const char *body, uint8_t flags);
uint64_t say_send_bytes(struct actor *actor, const char *queue, const void *body, uint32_t bytes);
uint64_t say_publish(struct actor *actor, const char *exchange, const char *key, const char *body);
uint64_t say_publish_with(struct actor *actor, const char *exchange, const char *key,
                          const char *body, uint8_t flags);
uint64_t say_call(struct actor *actor, const char *queue, const char *body, uint32_t timeout_ms);

uint64_t say_consume(struct actor *actor, uint32_t consumer, const char *queue, uint32_t prefetch);
uint64_t say_subscribe(struct actor *actor, uint32_t consumer, const char *exchange,
                       const char *pattern);
uint64_t say_cancel(struct actor *actor, uint32_t consumer);
uint64_t say_done(struct actor *actor, uint64_t first, uint64_t last);
uint64_t say_result(struct actor *actor, uint64_t delivery, const char *result);
uint64_t say_fail(struct actor *actor, uint64_t delivery, const char *code);
uint64_t say_release(struct actor *actor, uint64_t first, uint64_t last);
uint64_t say_query(struct actor *actor, uint8_t subject, const char *name, uint64_t after,
                   uint32_t limit);
void say_piece(struct actor *actor, const void *at, uint32_t bytes);
void say_seen(struct actor *actor, uint64_t through);
void say_goodbye(struct actor *actor);

/* A delivery that was heard; body and key end in a zero byte. */
struct heard {
    uint32_t consumer;
    uint64_t delivery;
    uint64_t number;
    uint16_t attempt;
    bool is_redelivered;
    bool is_call;
    uint32_t body_bytes;
    uint64_t sequence; /* of an event that is kept; else 0 */
    uint64_t version;
    char key[64];
    char body[256]; /* its beginning */
};

void hear_nothing(struct actor *actor);
/* Confirms up to this tag and no further. */
void hear_confirm(struct actor *actor, uint64_t tag);
void hear_refuse(struct actor *actor, uint64_t tag, enum status status);
struct heard hear_delivery(struct actor *actor, const char *body);
void hear_gap(struct actor *actor, uint32_t consumer, uint64_t missed);
void hear_gone(struct actor *actor, uint32_t consumer, enum status status);
void hear_outcome(struct actor *actor, uint64_t tag, const char *result);
void hear_failure(struct actor *actor, uint64_t tag, const char *code, enum frame_outcome_ran ran);
void hear_close(struct actor *actor, enum status status);

/* Forgets all that has come. */
void hear_out(struct actor *actor);

/* Asks for one figure of a queue, exchange or the broker; fails when there is none. */
uint64_t ask_queue(struct actor *actor, const char *queue, const char *field);
uint64_t ask_stat(struct actor *actor, const char *name);

/* Rows of a query, counted; `last_number` is the last row's number, 0 for none; may be NULL. */
size_t ask_rows(struct actor *actor, uint8_t subject, const char *name, uint64_t after,
                uint32_t limit, uint64_t *last_number);

/* Says and expects the confirm. */
void do_queue(struct actor *actor, const char *queue);
void do_exchange(struct actor *actor, const char *exchange);
void do_bind(struct actor *actor, const char *queue, const char *exchange, const char *pattern);
void do_send(struct actor *actor, const char *queue, const char *body);
void do_publish(struct actor *actor, const char *exchange, const char *key, const char *body);
void do_consume(struct actor *actor, uint32_t consumer, const char *queue, uint32_t prefetch);
void do_done(struct actor *actor, uint64_t delivery);

/* A connected actor; fails when it is not let in. */
struct actor *enter_as(struct scene *scene, const char *client);

#endif
