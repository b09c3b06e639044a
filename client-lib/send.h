/* Encoding what is sent into the outbox. */
#ifndef HERALD_CLIENT_SEND_H
#define HERALD_CLIENT_SEND_H

#include "client-lib/client.h"

/* Puts a call into the outbox and the list of calls; `call` is the caller's and must stay until it
 * is answered or abandoned. With the lock held. Errors as herald_send. */
enum herald_status send_call(struct herald_client *client, const char *queue,
                             const struct herald_content *content, uint32_t timeout_ms,
                             struct call *call);

/* The size of a list of headers; 0 when there are none or they cannot be sent. */
size_t send_measure_headers(const struct herald_header *headers, size_t count);

/* Writes headers that were measured. */
void send_put_headers(struct wire_writer *w, const struct herald_header *headers, size_t count);

#endif
