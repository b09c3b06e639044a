/* What clients of a broker saw, and whether a broker that keeps its promises can have shown it.
 *
 * Clients note events as they happen; any number of threads may note, each its own in order. A
 * message is named by its index, its publisher and its place among the publisher's messages. It
 * goes to one queue or, by an exchange, to several, and has a life of its own in each of them. The
 * outcome of a message that was neither confirmed nor refused is open: it may be there or not.
 *
 * Found are: a confirmed message that never came or that nobody settled in one of its queues
 * (loss), one that nobody sent or not to this queue (phantom), one that came again unflagged, one
 * that came after its settlement was confirmed (resurrection), one of a publisher before its
 * predecessor or a first delivery behind a later one of its queue (order), one with two owners at a
 * time, two answers for one message, an answer for what was never sent, a confirm before that of an
 * earlier message of the publisher, and a message that came to some of its queues only.
 */
#ifndef HERALD_TEST_HISTORY_H
#define HERALD_TEST_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum history_kind {
    HISTORY_SENT,
    HISTORY_CONFIRMED,
    HISTORY_REFUSED,
    HISTORY_DELIVERED,
    HISTORY_GIVEN_BACK,
    HISTORY_SETTLED,      /* said, not confirmed */
    HISTORY_SETTLED_SURE, /* confirmed */
};

enum { HISTORY_QUEUES_MAX = 4, HISTORY_PEERS_MAX = 256 };

struct history_event {
    enum history_kind kind;
    uint32_t message;
    uint32_t publisher; /* SENT: who; DELIVERED: the consumer; below HISTORY_PEERS_MAX */
    uint8_t queues;     /* SENT: one bit for each queue it goes to; 0 means queue 0 */
    uint8_t queue;      /* DELIVERED, GIVEN_BACK, SETTLED...: below HISTORY_QUEUES_MAX */
    uint32_t start;     /* DELIVERED, GIVEN_BACK, SETTLED...: number of the broker's start */
    uint64_t number;    /* DELIVERED: the broker's number of the message */
    bool is_redelivered;
};

struct history;

struct history *history_new(void);
void history_free(struct history *history);

void history_note(struct history *history, const struct history_event *event);

/* For tests of the checker: the events themselves. */
size_t history_count(const struct history *history);
struct history_event *history_at(struct history *history, size_t index);
void history_remove(struct history *history, size_t index);

struct history_findings {
    uint64_t sent;
    uint64_t confirmed;
    uint64_t refused;
    uint64_t delivered;
    uint64_t redelivered;
    uint64_t settled;
    uint64_t recovered; /* never answered, and yet there */
    uint64_t lost;
    uint64_t phantoms;
    uint64_t unflagged;
    uint64_t resurrected;
    uint64_t disordered;
    uint64_t doubly_owned;
    uint64_t answered_twice;
    uint64_t answered_unsent;
    uint64_t confirmed_early; /* before an earlier message of the publisher */
    uint64_t torn_apart;      /* came to some of its queues only */
};

/* Judges all events, of which none may follow any more: everything that was there was delivered. */
struct history_findings history_judge(const struct history *history);

/* The number of broken promises. */
uint64_t history_violations(const struct history_findings *findings);

#endif
