/* Taking messages one after another and printing them. */
#include "client-lib/cli/receive.h"

#include <inttypes.h>

void receive_init(struct receiver *receiver, const struct arguments *arguments)
{
    *receiver = (struct receiver){
        .count = arguments_number(arguments, OPTION_COUNT, 0),
        .idle_ms = arguments_number(arguments, OPTION_IDLE, 0),
    };
    output_init(&receiver->output, arguments);
}

uint32_t receive_prefetch(const struct receiver *receiver, const struct arguments *arguments)
{
    int64_t prefetch = arguments_number(arguments, OPTION_PREFETCH, 0);
    if (receiver->count > 0 && (prefetch == 0 || prefetch > receiver->count))
        prefetch = receiver->count;
    /* A count asks for no more than the broker would give by itself. */
    if (!arguments_has(arguments, OPTION_PREFETCH) && prefetch > 256)
        prefetch = 256;
    return (uint32_t)prefetch;
}

static void stop(struct receiver *receiver)
{
    receiver->is_stopping = true;
    if (receiver->consumer != NULL)
        herald_cancel(receiver->consumer);
    receiver->consumer = NULL;
}

void receive_on_message(struct herald_message *message, void *context)
{
    struct receiver *receiver = context;
    if (receiver->is_stopping) {
        herald_release(message);
        return;
    }
    receiver->last_ms = contact_now_ms();
    message_print(&receiver->output, message, receiver->style);
    /* Only what has left this process is done. */
    bool is_out = output_flush(&receiver->output);
    if (is_out)
        receiver->taken++;
    if (receiver->settle == RECEIVE_DONE && is_out)
        herald_done(message);
    else if (receiver->settle == RECEIVE_DONE)
        herald_release(message);
    if (!is_out || receiver->taken == receiver->count)
        stop(receiver);
}

void receive_on_gone(struct herald_consumer *consumer, unsigned code, const char *text,
                     void *context)
{
    (void)consumer;
    (void)code;
    struct receiver *receiver = context;
    receiver->consumer = NULL;
    receiver->is_stopping = true;
    receiver->code = EXIT_NOT_FOUND;
    report_say("nothing more comes: %s", text);
}

void receive_on_gap(struct herald_consumer *consumer, uint64_t missed, void *context)
{
    (void)consumer;
    const struct receiver *receiver = context;
    if (receiver->is_following)
        report_say("%" PRIu64 " events are missing here: they are not kept any more", missed);
    else
        report_say("too slow: %" PRIu64 " events missed here", missed);
}

int receive_idle_left_ms(int64_t idle_ms, int64_t last_ms)
{
    if (idle_ms == 0)
        return -1;
    int64_t left_ms = last_ms + idle_ms - contact_now_ms();
    return left_ms > 0 ? (int)left_ms : 0;
}

/* One wait; decides whether it was the last. */
static void step(struct receiver *receiver)
{
    struct contact *contact = &receiver->contact;
    struct pollfd fds[CONTACT_FDS + 1];
    fds[CONTACT_FDS] = (struct pollfd){.fd = output_watch_fd()};
    int left_ms = receive_idle_left_ms(receiver->idle_ms, receiver->last_ms);
    enum herald_status status = contact_wait(contact, fds, CONTACT_FDS + 1, left_ms);
    if (receiver->is_stopping)
        return;
    if (status != HERALD_OK) {
        receiver->code = report_status(contact->client, status, &receiver->names);
        stop(receiver);
    } else if (fds[CONTACT_FDS].revents != 0) {
        output_mark_gone(&receiver->output);
        stop(receiver);
    } else if (contact->stops_seen > 0) {
        stop(receiver);
    } else if (receive_idle_left_ms(receiver->idle_ms, receiver->last_ms) == 0) {
        if (receiver->count > 0)
            receiver->code = EXIT_TIMEOUT;
        stop(receiver);
    }
}

int receive_run(struct receiver *receiver, enum herald_status status)
{
    struct contact *contact = &receiver->contact;
    if (status != HERALD_OK) {
        receiver->code = report_status(contact->client, status, &receiver->names);
        contact_close(contact);
        return receiver->code;
    }
    contact_catch_signals(contact);
    receiver->last_ms = contact_now_ms();
    while (!receiver->is_stopping)
        step(receiver);
    output_end_array(&receiver->output);
    if (receiver->settle == RECEIVE_DONE && receiver->code != EXIT_CONNECT) {
        status = contact_flush_settled(contact);
        if (receiver->code == EXIT_OK)
            receiver->code = report_status(contact->client, status, &receiver->names);
    }
    contact_close(contact);
    return output_finish(&receiver->output, receiver->code);
}
