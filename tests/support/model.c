/* A plain model of one queue with one sender and one worker. */
#include "tests/support/model.h"

#include "protocol/frame.h"

static void end(struct model_item *item, enum model_outcome outcome)
{
    item->state = MODEL_GONE;
    if (item->outcome == MODEL_OPEN)
        item->outcome = outcome;
}

static bool is_over(const struct model *model, const struct model_item *item)
{
    return item->deadline_ms <= model->now_ms || item->leaves_ms <= model->now_ms;
}

/* Out, or waiting for its next attempt. */
static bool holds_lane(const struct model *model, const struct model_item *item)
{
    return item->state == MODEL_OUT ||
           (item->state == MODEL_WAITING && item->is_attempted && item->due_ms > model->now_ms);
}

static bool may_go(const struct model *model, int i)
{
    const struct model_item *item = &model->items[i];
    if (item->state != MODEL_WAITING || item->due_ms > model->now_ms)
        return false;
    for (unsigned k = 0; item->lane != 0 && k < model->count; k++) {
        const struct model_item *other = &model->items[k];
        if ((int)k == i || other->lane != item->lane)
            continue;
        if (holds_lane(model, other))
            return false;
        if ((int)k < i && other->state == MODEL_PARKED && model->lane_parked != LANE_GOES_ON)
            return false;
        if ((int)k < i && other->state == MODEL_WAITING && other->due_ms <= model->now_ms)
            return false;
    }
    return true;
}

int model_next(const struct model *model)
{
    int best = -1;
    if (model->is_paused || model->held >= MODEL_PREFETCH)
        return -1;
    for (unsigned i = 0; i < model->count; i++)
        if (may_go(model, (int)i) &&
            (best < 0 || model->items[i].priority > model->items[best].priority))
            best = (int)i;
    return best;
}

void model_hand_out(struct model *model, int i)
{
    struct model_item *item = &model->items[i];
    item->state = MODEL_OUT;
    item->is_held = true;
    item->held_order = ++model->hand_outs;
    model->held++;
}

static bool lane_is_held(const struct model *model, unsigned lane)
{
    for (unsigned i = 0; i < model->count; i++)
        if (model->items[i].lane == lane && holds_lane(model, &model->items[i]))
            return true;
    return false;
}

void model_park_lanes(struct model *model)
{
    for (unsigned lane = 1; lane <= MODEL_LANES && model->lane_parked == LANE_IS_PARKED; lane++) {
        bool is_behind = false;
        for (unsigned i = 0; i < model->count && !lane_is_held(model, lane); i++) {
            struct model_item *item = &model->items[i];
            if (item->lane != lane)
                continue;
            if (item->state == MODEL_PARKED)
                is_behind = true;
            if (item->state != MODEL_WAITING || item->due_ms > model->now_ms)
                continue;
            if (!is_behind)
                break;
            end(item, MODEL_LANE_PARKED);
            item->state = MODEL_PARKED;
        }
    }
}

void model_expire(struct model *model)
{
    for (unsigned i = 0; i < model->count; i++) {
        struct model_item *item = &model->items[i];
        if (item->state == MODEL_WAITING && is_over(model, item))
            end(item, MODEL_EXPIRED);
        /* One that runs is given up at its deadline; in a lane, once its worker has said so. */
        if (item->state == MODEL_OUT && item->lane == 0 && item->deadline_ms <= model->now_ms)
            end(item, MODEL_EXPIRED);
    }
}

static void let_go(struct model *model, struct model_item *item)
{
    item->is_held = false;
    model->held--;
}

void model_done(struct model *model, int i)
{
    struct model_item *item = &model->items[i];
    let_go(model, item);
    if (item->state == MODEL_OUT)
        end(item, MODEL_DONE);
}

static void attempt_failed(struct model *model, struct model_item *item, unsigned class,
                           uint64_t after_ms)
{
    if (item->state != MODEL_OUT)
        return;
    if (item->deadline_ms <= model->now_ms) {
        end(item, MODEL_EXPIRED);
        return;
    }
    item->failed += class != FAIL_BUSY;
    if (item->is_cancelled) {
        end(item, MODEL_CANCELLED);
    } else if (class == FAIL_PERMANENT ||
               (class == FAIL_RETRYABLE && item->failed >= MODEL_ATTEMPTS)) {
        end(item, class == FAIL_PERMANENT ? MODEL_FAILED : MODEL_EXHAUSTED);
        item->state = MODEL_PARKED;
    } else {
        item->state = MODEL_WAITING;
        item->is_attempted = true;
        item->due_ms = model->now_ms + after_ms;
    }
}

void model_fail(struct model *model, int i, unsigned class, uint64_t after_ms)
{
    let_go(model, &model->items[i]);
    attempt_failed(model, &model->items[i], class, after_ms);
}

static void give_back(struct model_item *item)
{
    if (item->state != MODEL_OUT)
        return;
    item->state = MODEL_WAITING;
    item->due_ms = 0;
    if (item->is_cancelled)
        end(item, MODEL_CANCELLED);
}

void model_release(struct model *model, int i)
{
    let_go(model, &model->items[i]);
    give_back(&model->items[i]);
}

void model_lose_worker(struct model *model)
{
    int oldest = -1;
    for (unsigned i = 0; i < model->count; i++)
        if (model->items[i].is_held &&
            (oldest < 0 || model->items[i].held_order < model->items[oldest].held_order))
            oldest = (int)i;
    for (unsigned i = 0; i < model->count; i++) {
        if (!model->items[i].is_held)
            continue;
        let_go(model, &model->items[i]);
        if ((int)i == oldest)
            attempt_failed(model, &model->items[i], FAIL_RETRYABLE, 0);
        else
            give_back(&model->items[i]);
    }
}

void model_restart(struct model *model)
{
    for (unsigned i = 0; i < model->count; i++) {
        if (model->items[i].is_held)
            let_go(model, &model->items[i]);
        give_back(&model->items[i]);
    }
}

bool model_cancel(struct model *model, int i)
{
    struct model_item *item = &model->items[i];
    if (item->outcome != MODEL_OPEN)
        return false;
    if (item->state == MODEL_OUT)
        item->is_cancelled = true;
    else
        end(item, MODEL_CANCELLED);
    return true;
}

void model_purge(struct model *model)
{
    for (unsigned i = 0; i < model->count; i++)
        if (model->items[i].state == MODEL_WAITING)
            end(&model->items[i], MODEL_CANCELLED);
}

int model_parked(const struct model *model, unsigned chance)
{
    unsigned count = model_figures(model).parked;
    unsigned left = count > 0 ? chance % count : 0;
    for (unsigned i = 0; i < model->count; i++)
        if (model->items[i].state == MODEL_PARKED && left-- == 0)
            return (int)i;
    return -1;
}

unsigned model_retry_parked(struct model *model, int first, int last)
{
    unsigned count = 0;
    for (int i = first; i < (int)model->count && i <= last; i++) {
        struct model_item *item = &model->items[i];
        if (item->state != MODEL_PARKED)
            continue;
        item->state = MODEL_WAITING;
        item->failed = 0;
        item->due_ms = 0;
        item->deadline_ms = item->leaves_ms = MODEL_NEVER; /* a repair begins anew */
        count++;
    }
    return count;
}

unsigned model_drop_parked(struct model *model, int first, int last)
{
    unsigned count = 0;
    for (int i = first; i < (int)model->count && i <= last; i++)
        if (model->items[i].state == MODEL_PARKED) {
            model->items[i].state = MODEL_GONE;
            count++;
        }
    return count;
}

struct model_figures model_figures(const struct model *model)
{
    struct model_figures figures = {0};
    for (unsigned i = 0; i < model->count; i++) {
        enum model_state state = model->items[i].state;
        figures.messages += state == MODEL_WAITING || state == MODEL_OUT;
        figures.running += state == MODEL_OUT;
        figures.parked += state == MODEL_PARKED;
    }
    return figures;
}
