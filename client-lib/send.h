/* Encoding what is sent into the outbox. */
#ifndef HERALD_CLIENT_SEND_H
#define HERALD_CLIENT_SEND_H

#include "client-lib/client.h"

/* Puts a call into the outbox and the list of calls; `call` is the caller's and must stay until it
 * is answered or abandoned. With the lock held. Errors as herald_send. */
enum herald_status send_call(struct herald_client *client, const char *queue,
                             const struct herald_content *content, uint32_t timeout_ms,
                             struct call *call);

/* What is expected of an entity, as frames say it. */
uint64_t send_expect(enum herald_expect expect, uint64_t version);

/* Adds an event to the list of an APPEND frame. */
enum herald_status send_put_event(struct herald_client *client, const struct herald_event *event,
                                  struct buffer *list);

/* Sends an APPEND frame and waits for its answer; *appended is filled in when the broker tells.
 * With the lock held. */
enum herald_status send_append(struct herald_client *client, const struct frame_append *fields,
                               int timeout_ms, struct herald_appended *appended);

#endif
