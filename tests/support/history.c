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

/* What is known of a message as the events go by. */
struct fate {
    bool is_sent;
    bool is_confirmed;
    bool is_refused;
    bool is_delivered;
    bool is_owned;
    bool is_said; /* its settlement was said; without a confirm it may hold or not */
    bool is_settled;
    uint32_t publisher;
    uint32_t first_start;   /* earliest start that delivered it */
    uint32_t owner_start;   /* start of the newest delivery */
    uint32_t settled_start; /* start in which the settlement was confirmed */
    uint64_t number;
};

struct judge {
    struct fate *fates;
    size_t count;
    struct history_findings found;
};

static void on_answer(struct judge *judge, struct fate *fate, bool is_confirm)
{
    if (!fate->is_sent)
        judge->found.answered_unsent++;
    if (fate->is_confirmed || fate->is_refused)
        judge->found.answered_twice++;
    fate->is_confirmed |= is_confirm;
    fate->is_refused |= !is_confirm;
    judge->found.confirmed += is_confirm;
    judge->found.refused += !is_confirm;
}

/* A delivery may be read late, after those of the next start: starts tell what came first. */
static void on_delivery(struct judge *judge, struct fate *fate, const struct history_event *event)
{
    judge->found.delivered++;
    judge->found.redelivered += event->is_redelivered;
    if (!fate->is_sent || (fate->is_delivered && fate->number != event->number))
        judge->found.phantoms++;
    if (fate->is_delivered && !event->is_redelivered && fate->first_start <= event->start)
        judge->found.unflagged++;
    if (fate->is_settled && event->start >= fate->settled_start)
        judge->found.resurrected++;
    if (fate->is_owned && event->start == fate->owner_start)
        judge->found.doubly_owned++;
    if (!fate->is_delivered || event->start < fate->first_start)
        fate->first_start = event->start;
    if (!fate->is_owned || event->start > fate->owner_start) {
        fate->owner_start = event->start;
        fate->is_owned = true;
    }
    fate->is_delivered = true;
    fate->number = event->number;
}

static void on_event(struct judge *judge, const struct history_event *event)
{
    struct fate *fate = &judge->fates[event->message];
    switch (event->kind) {
    case HISTORY_SENT:
        fate->is_sent = true;
        fate->publisher = event->publisher;
        judge->found.sent++;
        break;
    case HISTORY_CONFIRMED:
    case HISTORY_REFUSED:
        on_answer(judge, fate, event->kind == HISTORY_CONFIRMED);
        break;
    case HISTORY_DELIVERED:
        on_delivery(judge, fate, event);
        break;
    case HISTORY_GIVEN_BACK:
    case HISTORY_SETTLED:
        fate->is_said |= event->kind == HISTORY_SETTLED;
        if (event->start == fate->owner_start)
            fate->is_owned = false;
        break;
    case HISTORY_SETTLED_SURE:
        judge->found.settled++;
        fate->is_settled = true;
        fate->settled_start = event->start;
        break;
    }
}

/* A publisher's messages have their indices in the order it sent them. */
static void judge_order(struct judge *judge)
{
    enum { PUBLISHERS_MAX = 256 };
    uint64_t last[PUBLISHERS_MAX] = {0};
    for (size_t i = 0; i < judge->count; i++) {
        const struct fate *fate = &judge->fates[i];
        if (!fate->is_sent || !fate->is_delivered)
            continue;
        assert(fate->publisher < PUBLISHERS_MAX);
        judge->found.disordered += fate->number <= last[fate->publisher];
        last[fate->publisher] = fate->number;
    }
}

struct history_findings history_judge(const struct history *history)
{
    struct judge judge = {0};
    for (size_t i = 0; i < history->count; i++)
        if (history->events[i].message >= judge.count)
            judge.count = history->events[i].message + (size_t)1;
    judge.fates = calloc(judge.count + 1, sizeof *judge.fates);
    assert(judge.fates != NULL);
    for (size_t i = 0; i < history->count; i++)
        on_event(&judge, &history->events[i]);
    for (size_t i = 0; i < judge.count; i++) {
        const struct fate *fate = &judge.fates[i];
        judge.found.lost += fate->is_confirmed && !fate->is_delivered;
        judge.found.lost += fate->is_confirmed && fate->is_delivered && !fate->is_said;
        judge.found.phantoms += fate->is_refused && fate->is_delivered;
        judge.found.recovered += !fate->is_confirmed && !fate->is_refused && fate->is_delivered;
    }
    judge_order(&judge);
    free(judge.fates);
    return judge.found;
}

uint64_t history_violations(const struct history_findings *findings)
{
    return findings->lost + findings->phantoms + findings->unflagged + findings->resurrected +
           findings->disordered + findings->doubly_owned + findings->answered_twice +
           findings->answered_unsent;
}
