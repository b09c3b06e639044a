/* Watchers: peers that want to hear what becomes of a tracked command. */
#include "broker/core/watch.h"

#include <stdlib.h>

#include "broker/core/call.h"
#include "broker/core/kept.h"
#include "broker/core/kin.h"
#include "broker/core/line.h"
#include "broker/core/output.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/plant.h"

/* --- how it is ----------------------------------------------------------------------------------
 */

static struct aside *standing_of(const struct core *core, const struct tracked *tracked)
{
    const struct queue *queue = queue_find_number(core, tracked->queue);
    return queue != NULL ? asides_find(&queue->asides, tracked->number) : NULL;
}

static void state_of_open(const struct core *core, const struct tracked *tracked,
                          struct frame_command_state *state)
{
    struct aside *aside = standing_of(core, tracked);
    const struct progress *progress = tracked->progress;
    state->state = COMMAND_READY;
    if (progress != NULL) {
        state->done = progress->done;
        state->total = progress->total;
        state->note = wire_bytes_of(progress->note, progress->note_bytes);
    }
    if (aside == NULL)
        return;
    const struct attempted *attempted = kept_find_attempted(aside_queue(aside), aside->number);
    if (attempted != NULL) {
        state->attempts = attempted->failed;
        state->cancel = attempted->is_cancelled;
    }
    if (aside->state == ASIDE_OUT)
        state->state = COMMAND_RUNNING;
    if (aside->state == ASIDE_WAITING) {
        bool has_failed = attempted != NULL && attempted->history != NULL;
        state->state = has_failed ? COMMAND_RETRYING : COMMAND_SCHEDULED;
        state->time_ms = aside->as.timer.due_tick * WHEEL_TICK_MS;
    }
}

static struct wire_bytes code_of(const struct kept_outcome *outcome)
{
    return wire_bytes_of(outcome->bytes, outcome->code_bytes);
}

static struct wire_bytes text_of(const struct kept_outcome *outcome)
{
    return wire_bytes_of(outcome->bytes + outcome->code_bytes, outcome->text_bytes);
}

static struct wire_bytes body_of(const struct kept_outcome *outcome)
{
    return wire_bytes_of(outcome->bytes + outcome->code_bytes + outcome->text_bytes,
                         outcome->body_bytes);
}

static struct frame_command_state state_of(const struct core *core, const struct tracked *tracked)
{
    struct frame_command_state state = {
        .id = tracked->id, .number = tracked->number, .accepted_ms = tracked->accepted_ms};
    const struct queue *queue = queue_find_number(core, tracked->queue);
    if (queue != NULL)
        state.queue = queue_name(queue);
    if (tracked->kin != NULL) {
        state.repairs = tracked->kin->repairs;
        state.repaired_by = tracked->kin->repaired_by;
    }
    const struct kept_outcome *outcome = tracked->outcome;
    if (outcome == NULL) {
        state_of_open(core, tracked, &state);
        return state;
    }
    state.state = outcome->state == OUTCOME_DONE ? COMMAND_DONE : COMMAND_FAILED;
    state.ran = outcome->ran;
    state.attempts = outcome->attempts;
    state.time_ms = tracked->finished_ms;
    state.code = code_of(outcome);
    state.text = text_of(outcome);
    state.body = body_of(outcome);
    state.body_bytes = outcome->body_bytes;
    return state;
}

/* --- answers ------------------------------------------------------------------------------------
 */

static void answer_state(struct peer *peer, uint64_t tag, const struct tracked *tracked,
                         bool is_last)
{
    struct frame_command_state state = state_of(peer->core, tracked);
    struct buffer frames;
    buffer_init(&frames);
    if (output_encode_state(&frames, peer, tag, is_last ? FLAG_LAST : 0, &state))
        line_answer(peer, tag, buffer_at(&frames), buffer_bytes(&frames),
                    recorder_needs(peer->core));
    else
        peer_close(peer, STATUS_NO_MEMORY, NULL);
    buffer_deinit(&frames);
}

static void answer_outcome(struct peer *peer, uint64_t tag, const struct frame_outcome *outcome)
{
    struct buffer frames;
    buffer_init(&frames);
    peer->core->counters.calls_answered++;
    if (output_encode_outcome(&frames, peer, tag, outcome))
        line_answer(peer, tag, buffer_at(&frames), buffer_bytes(&frames),
                    recorder_needs(peer->core));
    else
        peer_close(peer, STATUS_NO_MEMORY, NULL);
    buffer_deinit(&frames);
}

/* A durable call that is told no outcome: its command goes on without it. */
static void answer_undecided(struct peer *peer, uint64_t tag, enum status status)
{
    struct frame_outcome answer = {.state = OUTCOME_FAILED,
                                   .ran = OUTCOME_MAYBE_RUN,
                                   .code = wire_bytes_of_text(status_name(status)),
                                   .text = wire_bytes_of_text(status_text(status))};
    answer_outcome(peer, tag, &answer);
}

void watch_answer(struct peer *peer, struct tracked *tracked, uint64_t tag)
{
    answer_state(peer, tag, tracked, true);
}

/* --- watching -----------------------------------------------------------------------------------
 */

static void watcher_free(struct watcher *watcher)
{
    struct core *core = watcher->peer->core;
    wheel_disarm(&core->wheel, &watcher->timer);
    LIST_REMOVE(watcher, tracked_link);
    LIST_REMOVE(watcher, peer_link);
    core->call_count--;
    free(watcher);
}

/* The last word to a watcher: the outcome, or how things are at its timeout. */
static void conclude(struct watcher *watcher)
{
    const struct tracked *tracked = watcher->tracked;
    const struct kept_outcome *outcome = tracked->outcome;
    if (watcher->kind != WATCH_CALL) {
        answer_state(watcher->peer, watcher->tag, tracked, true);
    } else if (outcome != NULL) {
        struct frame_outcome answer = {.state = outcome->state,
                                       .ran = outcome->ran,
                                       .code = code_of(outcome),
                                       .text = text_of(outcome),
                                       .body_bytes = outcome->body_bytes,
                                       .body = body_of(outcome)};
        answer_outcome(watcher->peer, watcher->tag, &answer);
    } else {
        answer_undecided(watcher->peer, watcher->tag, STATUS_EXPIRED);
    }
    watcher_free(watcher);
}

enum status watch_new(struct peer *peer, struct tracked *tracked, uint64_t tag,
                      enum watch_kind kind, uint32_t timeout_ms)
{
    struct core *core = peer->core;
    if (core->call_count >= core->limits.calls_max)
        return STATUS_LIMIT;
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (watcher == NULL)
        return STATUS_NO_MEMORY;
    *watcher = (struct watcher){
        .timer.kind = TIMER_WATCHER, .peer = peer, .tracked = tracked, .tag = tag, .kind = kind};
    LIST_INSERT_HEAD(&tracked->watchers, watcher, tracked_link);
    LIST_INSERT_HEAD(&peer->watchers, watcher, peer_link);
    core->call_count++;
    if (tracked->outcome != NULL)
        conclude(watcher);
    else if (timeout_ms > 0)
        wheel_arm(&core->wheel, &watcher->timer, core->now_ms + timeout_ms);
    if (tracked->outcome == NULL && kind == WATCH_CHANGES)
        answer_state(peer, tag, tracked, false);
    return STATUS_OK;
}

void watch_tell(struct core *core, struct tracked *tracked)
{
    struct watcher *watcher = LIST_FIRST(&tracked->watchers);
    (void)core;
    while (watcher != NULL) {
        struct watcher *next = LIST_NEXT(watcher, tracked_link);
        if (tracked->outcome != NULL)
            conclude(watcher);
        else if (watcher->kind == WATCH_CHANGES && !planted(PLANT_STATES_NOT_TOLD))
            answer_state(watcher->peer, watcher->tag, tracked, false);
        watcher = next;
    }
}

void watch_tell_aside(struct core *core, struct aside *aside)
{
    const struct ward *ward = aside_ward(aside);
    if (ward != NULL && ward->tracked != NULL)
        watch_tell(core, ward->tracked);
}

void watch_on_timer(struct core *core, struct wheel_timer *timer)
{
    (void)core;
    conclude((struct watcher *)(void *)((char *)timer - offsetof(struct watcher, timer)));
}

static void refuse(struct watcher *watcher, enum status status)
{
    if (watcher->kind == WATCH_CALL)
        answer_undecided(watcher->peer, watcher->tag, status);
    else
        line_refuse(watcher->peer, watcher->tag, status, NULL, 0);
    watcher_free(watcher);
}

void watch_end_all(struct core *core, struct tracked *tracked)
{
    struct watcher *watcher;
    (void)core;
    while ((watcher = LIST_FIRST(&tracked->watchers)) != NULL)
        refuse(watcher, STATUS_UNKNOWN_COMMAND);
}

void watch_end_peer(struct peer *peer)
{
    struct watcher *watcher;
    while ((watcher = LIST_FIRST(&peer->watchers)) != NULL)
        watcher_free(watcher);
}

void watch_on_drain(struct core *core)
{
    struct peer *peer;
    TAILQ_FOREACH (peer, &core->peers, link) {
        struct watcher *watcher;
        while ((watcher = LIST_FIRST(&peer->watchers)) != NULL)
            refuse(watcher, STATUS_DRAINING);
    }
}
