/* What clients of a broker saw, and whether a broker that keeps its promises can have shown it. */
#include "tests/support/history.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct history {
    pthread_mutex_t lock;
    struct history_event *events;
    size_t count;
    size_t room;
};

struct history *history_new(void)
{
    struct history *history = calloc(1, sizeof *history);
    assert(history != NULL);
    pthread_mutex_init(&history->lock, NULL);
    return history;
}

void history_free(struct history *history)
{
    pthread_mutex_destroy(&history->lock);
    free(history->events);
    free(history);
}

void history_note(struct history *history, const struct history_event *event)
{
    pthread_mutex_lock(&history->lock);
    if (history->count == history->room) {
        history->room = history->room > 0 ? history->room * 2 : 1024;
        history->events = realloc(history->events, history->room * sizeof *history->events);
        assert(history->events != NULL);
    }
    history->events[history->count++] = *event;
    pthread_mutex_unlock(&history->lock);
}

size_t history_count(const struct history *history)
{
    return history->count;
}

struct history_event *history_at(struct history *history, size_t index)
{
    return &history->events[index];
}

void history_remove(struct history *history, size_t index)
{
    memmove(history->events + index, history->events + index + 1,
            (--history->count - index) * sizeof *history->events);
}

/* --- judging ------------------------------------------------------------------------------------
 */

/* What is known of a message in one queue as the events go by. */
struct stay {
    bool is_delivered;
    bool is_owned;
    bool is_said; /* its settlement was said; without a confirm it may hold or not */
    bool is_settled;
    uint32_t first_start;   /* earliest start that delivered it */
    uint32_t owner_start;   /* start of the newest delivery */
    uint32_t settled_start; /* start in which the settlement was confirmed */
};

struct fate {
    bool is_sent;
    bool is_confirmed;
    bool is_refused;
    uint8_t queues;
    uint32_t publisher;
    uint64_t number; /* 0: it never came */
    struct stay stays[HISTORY_QUEUES_MAX];
};

struct judge {
    struct fate *fates;
    size_t count;
    uint64_t confirmed_next[HISTORY_PEERS_MAX]; /* the index behind the newest confirmed one */
    uint64_t first_number[HISTORY_PEERS_MAX][HISTORY_QUEUES_MAX]; /* newest first delivery */
    struct history_findings found;
};

static void on_confirm(struct judge *judge, const struct fate *fate, uint32_t message)
{
    uint64_t *next = &judge->confirmed_next[fate->publisher];
    judge->found.confirmed_early += message < *next;
    *next = message + (uint64_t)1;
}

static void on_answer(struct judge *judge, const struct history_event *event)
{
    struct fate *fate = &judge->fates[event->message];
    bool is_confirm = event->kind == HISTORY_CONFIRMED;
    if (!fate->is_sent)
        judge->found.answered_unsent++;
    if (fate->is_confirmed || fate->is_refused)
        judge->found.answered_twice++;
    else if (is_confirm)
        on_confirm(judge, fate, event->message);
    fate->is_confirmed |= is_confirm;
    fate->is_refused |= !is_confirm;
    judge->found.confirmed += is_confirm;
    judge->found.refused += !is_confirm;
}

/* What a consumer is given for the first time comes in the order of the queue. */
static void judge_first(struct judge *judge, const struct history_event *event)
{
    uint64_t *newest = &judge->first_number[event->publisher][event->queue];
    judge->found.disordered += event->number <= *newest;
    *newest = event->number;
}

/* A delivery may be read late, after those of the next start: starts tell what came first. */
static void on_delivery(struct judge *judge, struct fate *fate, const struct history_event *event)
{
    struct stay *stay = &fate->stays[event->queue];
    judge->found.delivered++;
    judge->found.redelivered += event->is_redelivered;
    if (!fate->is_sent || (fate->queues >> event->queue & 1) == 0 ||
        (fate->number != 0 && fate->number != event->number))
        judge->found.phantoms++;
    if (stay->is_delivered && !event->is_redelivered && stay->first_start <= event->start)
        judge->found.unflagged++;
    if (stay->is_settled && event->start >= stay->settled_start)
        judge->found.resurrected++;
    if (stay->is_owned && event->start == stay->owner_start)
        judge->found.doubly_owned++;
    if (!stay->is_delivered || event->start < stay->first_start)
        stay->first_start = event->start;
    if (!stay->is_owned || event->start > stay->owner_start) {
        stay->owner_start = event->start;
        stay->is_owned = true;
    }
    stay->is_delivered = true;
    fate->number = event->number;
    if (!event->is_redelivered)
        judge_first(judge, event);
}

static void on_event(struct judge *judge, const struct history_event *event)
{
    struct fate *fate = &judge->fates[event->message];
    struct stay *stay = &fate->stays[event->queue];
    switch (event->kind) {
    case HISTORY_SENT:
        fate->is_sent = true;
        fate->publisher = event->publisher;
        fate->queues = event->queues != 0 ? event->queues : 1;
        judge->found.sent++;
        break;
    case HISTORY_CONFIRMED:
    case HISTORY_REFUSED:
        on_answer(judge, event);
        break;
    case HISTORY_DELIVERED:
        on_delivery(judge, fate, event);
        break;
    case HISTORY_GIVEN_BACK:
    case HISTORY_SETTLED:
        stay->is_said |= event->kind == HISTORY_SETTLED;
        if (event->start == stay->owner_start)
            stay->is_owned = false;
        break;
    case HISTORY_SETTLED_SURE:
        judge->found.settled++;
        stay->is_settled = true;
        stay->settled_start = event->start;
        break;
    }
}

/* A publisher's messages have their indices in the order it sent them. */
static void judge_order(struct judge *judge)
{
    uint64_t last[HISTORY_PEERS_MAX] = {0};
    for (size_t i = 0; i < judge->count; i++) {
        const struct fate *fate = &judge->fates[i];
        if (!fate->is_sent || fate->number == 0)
            continue;
        judge->found.disordered += fate->number <= last[fate->publisher];
        last[fate->publisher] = fate->number;
    }
}

/* Everything was delivered that was there: what did this message come to? */
static void judge_end(struct judge *judge, const struct fate *fate)
{
    unsigned came = 0;
    unsigned wanted = 0;
    unsigned lost = 0;
    for (unsigned i = 0; i < HISTORY_QUEUES_MAX; i++) {
        const struct stay *stay = &fate->stays[i];
        bool is_wanted = (fate->queues >> i & 1) != 0;
        wanted += is_wanted;
        came += is_wanted && stay->is_delivered;
        lost += is_wanted && !stay->is_said;
    }
    judge->found.lost += fate->is_confirmed && lost > 0;
    judge->found.torn_apart += came > 0 && came < wanted;
    judge->found.phantoms += fate->is_refused && came > 0;
    judge->found.recovered += !fate->is_confirmed && !fate->is_refused && came > 0;
}

struct history_findings history_judge(const struct history *history)
{
    struct judge judge = {0};
    for (size_t i = 0; i < history->count; i++) {
        const struct history_event *event = &history->events[i];
        assert(event->queue < HISTORY_QUEUES_MAX && event->publisher < HISTORY_PEERS_MAX);
        if (event->message >= judge.count)
            judge.count = event->message + (size_t)1;
    }
    judge.fates = calloc(judge.count + 1, sizeof *judge.fates);
    assert(judge.fates != NULL);
    for (size_t i = 0; i < history->count; i++)
        on_event(&judge, &history->events[i]);
    for (size_t i = 0; i < judge.count; i++)
        judge_end(&judge, &judge.fates[i]);
    judge_order(&judge);
    free(judge.fates);
    return judge.found;
}

uint64_t history_violations(const struct history_findings *findings)
{
    return findings->lost + findings->phantoms + findings->unflagged + findings->resurrected +
           findings->disordered + findings->doubly_owned + findings->answered_twice +
           findings->answered_unsent + findings->confirmed_early + findings->torn_apart;
}
