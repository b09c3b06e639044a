/* Taking messages one after another and printing them: what `work` without a command and
 * `subscribe` have in common. */
#ifndef HERALD_CLI_RECEIVE_H
#define HERALD_CLI_RECEIVE_H

#include <stdbool.h>

#include "client-lib/cli/message.h"
#include "client-lib/cli/report.h"
#include "client-lib/cli/contact.h"

enum receive_settle { RECEIVE_DONE, RECEIVE_LIVE };

struct receiver {
    struct contact contact;
    struct output output;
    enum message_style style;
    enum receive_settle settle;
    struct report_names names;
    int64_t count; /* messages to take; 0: no end */
    int64_t taken;
    int64_t idle_ms; /* 0: no end */
    int64_t last_ms;
    bool is_following; /* a history */
    bool is_stopping;
    int code;
    struct herald_consumer *consumer; /* NULL: there is none */
};

/* Reads the options that both have. */
void receive_init(struct receiver *receiver, const struct arguments *arguments);

/* How many messages to ask for at a time: as given, and never more than are to be taken. 0: the
 * broker's default. */
uint32_t receive_prefetch(const struct receiver *receiver, const struct arguments *arguments);

/* The callbacks of the consumer; the context is the receiver. */
void receive_on_message(struct herald_message *message, void *context);
void receive_on_gone(struct herald_consumer *consumer, unsigned code, const char *text,
                     void *context);
void receive_on_gap(struct herald_consumer *consumer, uint64_t missed, void *context);

/* Runs until the end, settles, closes the contact and returns the exit code. `status` is how
 * starting the consumer went. */
int receive_run(struct receiver *receiver, enum herald_status status);

/* How long to wait before an idle time is over; -1: for ever. */
int receive_idle_left_ms(int64_t idle_ms, int64_t last_ms);

#endif
