/* One case of the model: what its steps do, and what must be the same then. */
#include "tests/support/trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/property.h"
#include "tests/support/model.h"
#include "tests/support/scene.h"

enum {
    SEGMENT_BYTES = 64 << 10,
    CHURN_BYTES = 3000, /* of a message that is only sent to fill segments */
    CHURN_MESSAGES = 7,
    CHURN_GROUPS = 14,
    TICK_MS = 10,
};

const char *const act_names[ACTS] = {
    "SEND_PLAIN",    "SEND_TRACKED", "SEND_URGENT",
    "SEND_LATER",    "SEND_LANE",    "SEND_TRACKED_LANE",
    "SEND_DEADLINE", "SEND_TTL",     "SEND_ALL",
    "DONE",          "FAIL",         "RELEASE",
    "CANCEL",        "LOSE_WORKER",  "PURGE",
    "RETRY_PARKED",  "DROP_PARKED",  "RETRY_ONE",
    "DROP_ONE",      "LANE_POLICY",  "PAUSE",
    "PASS",          "CHURN",        "RESTART",
    "CRASH",
};

/* One case at work. */
struct trial {
    struct scene *scene;
    struct actor *alice;
    struct actor *bob;
    struct model model;
    uint64_t deliveries[MODEL_ITEMS_MAX]; /* names, of those that are held */
    char wrong[256];                      /* empty: all is well */
};

static void go_wrong(struct trial *trial, const char *what, uint64_t got, uint64_t expected)
{
    if (trial->wrong[0] == '\0')
        (void)snprintf(trial->wrong, sizeof trial->wrong, "%s: %" PRIu64 " instead of %" PRIu64,
                       what, got, expected);
}

/* --- talking ------------------------------------------------------------------------------------
 */

/* The answer to a frame of alice's: its type, or the code of a refusal; rows are summed up. */
static struct frame answer_of(struct trial *trial, struct actor *actor, uint64_t tag)
{
    struct frame frame;
    while (actor_next(actor, &frame)) {
        if (frame.header.type == FRAME_CONFIRM && frame.as.confirm.last >= tag)
            return frame;
        if (frame.header.tag == tag && frame.header.type != FRAME_CONFIRM)
            return frame;
    }
    go_wrong(trial, "no answer", 0, tag);
    memset(&frame, 0, sizeof frame);
    return frame;
}

static void say(struct trial *trial, struct frame *frame)
{
    struct frame answer = answer_of(trial, trial->alice, actor_say(trial->alice, frame));
    if (answer.header.type == FRAME_REFUSE)
        go_wrong(trial, "refused", answer.as.refuse.code, 0);
}

static struct wire_id id_of(int item)
{
    struct wire_id id = {{1}};
    id.byte[15] = (unsigned char)item;
    return id;
}

static uint64_t figure(struct wire_bytes fields, const char *name)
{
    struct wire_reader r = wire_reader_of(fields.at, fields.bytes);
    struct row_field field;
    while (row_next(&r, &field))
        if (wire_bytes_equal(field.name, wire_bytes_of_text(name)))
            return field.number;
    return UINT64_MAX;
}

/* --- the worker ---------------------------------------------------------------------------------
 */

static void consume(struct trial *trial)
{
    struct frame frame = {.header.type = FRAME_CONSUME};
    frame.as.consume = (struct frame_consume){1, wire_bytes_of_text("q"), MODEL_PREFETCH, 0};
    (void)actor_say(trial->bob, &frame);
}

/* What came to the worker must be what the model hands out, in the same order. */
static void compare_hand_outs(struct trial *trial)
{
    struct model *model = &trial->model;
    struct frame frame;
    while (actor_next(trial->bob, &frame)) {
        if (frame.header.type == FRAME_REFUSE)
            go_wrong(trial, "the worker was refused", frame.as.refuse.code, 0);
        if (frame.header.type != FRAME_DELIVER)
            continue;
        int expected = model_next(model);
        uint64_t got = frame.as.deliver.body.at[0];
        if (expected < 0 || got != (uint64_t)expected) {
            go_wrong(trial, "handed out", got, (uint64_t)expected);
            return;
        }
        if (frame.as.deliver.attempt != model->items[expected].failed + 1)
            go_wrong(trial, "attempt", frame.as.deliver.attempt, model->items[expected].failed + 1);
        model_hand_out(model, expected);
        trial->deliveries[expected] = frame.as.deliver.delivery;
    }
    if (model_next(model) >= 0)
        go_wrong(trial, "not handed out", UINT64_MAX, (uint64_t)model_next(model));
}

/* One that the worker holds; -1: it has none. */
static int held_item(const struct trial *trial, uint32_t chance)
{
    const struct model *model = &trial->model;
    if (model->held == 0)
        return -1;
    unsigned left = chance % model->held;
    for (unsigned i = 0; i < model->count; i++)
        if (model->items[i].is_held && left-- == 0)
            return (int)i;
    return -1;
}

static void settle(struct trial *trial, enum act act, uint32_t chance)
{
    struct model *model = &trial->model;
    struct actor *bob = trial->bob;
    struct frame frame = {0};
    int item = held_item(trial, chance);
    if (item < 0)
        return;
    uint64_t delivery = trial->deliveries[item];
    unsigned class = (chance >> 8) % 3;
    uint64_t after_ms = 100 * (1 + (chance >> 16) % 5);
    if (act == DONE) {
        frame.header.type = FRAME_DONE;
        frame.as.done = (struct frame_done){bob->start, delivery, delivery};
        model_done(model, item);
    } else if (act == RELEASE) {
        frame.header.type = FRAME_RELEASE;
        frame.as.release = (struct frame_release){bob->start, delivery, delivery};
        model_release(model, item);
    } else {
        frame.header.type = FRAME_FAIL;
        frame.as.fail = (struct frame_fail){.start = bob->start,
                                            .delivery = delivery,
                                            .class = (uint8_t) class,
                                            .retry_after_ms = after_ms,
                                            .code = wire_bytes_of_text("E")};
        model_fail(model, item, class, after_ms);
    }
    model_expire(model);
    (void)actor_say(bob, &frame);
}

/* --- the sender ---------------------------------------------------------------------------------
 */

static void send_one(struct trial *trial, enum act act, uint32_t chance)
{
    struct model *model = &trial->model;
    if (model->count == MODEL_ITEMS_MAX)
        return;
    int item = (int)model->count++;
    struct model_item *made = &model->items[item];
    *made =
        (struct model_item){.priority = 4, .deadline_ms = MODEL_NEVER, .leaves_ms = MODEL_NEVER};
    unsigned char properties[128];
    struct wire_writer w = wire_writer_of(properties, sizeof properties);
    bool is_all = act == SEND_ALL;
    if (act == SEND_TRACKED || act == SEND_TRACKED_LANE || act == SEND_DEADLINE ||
        act == SEND_TTL || is_all) {
        struct wire_id id = id_of(item);
        property_put(&w, PROPERTY_MESSAGE_ID, wire_bytes_of(id.byte, sizeof id.byte));
        property_put_number(&w, PROPERTY_MESSAGE_TRACK, 1);
        made->is_tracked = true;
    }
    if (act == SEND_URGENT || is_all) {
        made->priority = (uint8_t)(chance % 10);
        property_put_number(&w, PROPERTY_MESSAGE_PRIORITY, made->priority);
    }
    uint64_t time_ms = 100 * (1 + (chance >> 4) % 8);
    if (act == SEND_LATER || is_all) {
        made->due_ms = model->now_ms + time_ms;
        property_put_number(&w, PROPERTY_MESSAGE_DELAY, time_ms);
    }
    if (act == SEND_LANE || act == SEND_TRACKED_LANE || is_all) {
        made->lane = (uint8_t)(1 + chance % MODEL_LANES);
        property_put(&w, PROPERTY_MESSAGE_LANE, wire_bytes_of(&made->lane, 1));
    }
    if (act == SEND_DEADLINE || is_all) {
        made->deadline_ms = model->now_ms + time_ms + 300;
        property_put_number(&w, PROPERTY_MESSAGE_TIMEOUT, time_ms + 300);
    }
    if (act == SEND_TTL) {
        made->leaves_ms = model->now_ms + time_ms;
        property_put_number(&w, PROPERTY_MESSAGE_TTL, time_ms);
    }
    unsigned char body = (unsigned char)item;
    struct frame frame = {.header.type = FRAME_SEND};
    frame.as.send =
        (struct frame_send){.queue = wire_bytes_of_text("q"),
                            .properties = wire_bytes_of(properties, (uint32_t)wire_written(&w)),
                            .body_bytes = 1,
                            .body = wire_bytes_of(&body, 1)};
    say(trial, &frame);
}

static void cancel(struct trial *trial, uint32_t chance)
{
    struct model *model = &trial->model;
    if (model->count == 0)
        return;
    int item = (int)(chance % model->count);
    if (!model->items[item].is_tracked)
        return;
    struct frame frame = {.header.type = FRAME_COMMAND_CANCEL};
    frame.as.command_cancel.id = id_of(item);
    bool is_in_time = model_cancel(model, item);
    struct frame answer = answer_of(trial, trial->alice, actor_say(trial->alice, &frame));
    bool was_in_time = answer.header.type == FRAME_CONFIRM;
    if (was_in_time != is_in_time)
        go_wrong(trial, "cancelled", was_in_time, is_in_time);
}

static void purge_queue(struct trial *trial, const char *queue)
{
    struct frame frame = {.header.type = FRAME_QUEUE_PURGE};
    frame.as.queue_purge.queue = wire_bytes_of_text(queue);
    say(trial, &frame);
}

static void set(struct trial *trial, uint8_t kind, uint64_t value)
{
    unsigned char settings[32];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    property_put_number(&w, kind, value);
    struct frame frame = {.header.type = FRAME_QUEUE_SET};
    frame.as.queue_set = (struct frame_queue_set){
        wire_bytes_of_text("q"), wire_bytes_of(settings, (uint32_t)wire_written(&w))};
    say(trial, &frame);
}

/* The number of a parked one, which may never have been handed out. */
static uint64_t number_of(struct trial *trial, int item)
{
    struct frame frame = {.header.type = FRAME_PEEK};
    uint64_t number = 0;
    do {
        frame.header.type = FRAME_PEEK;
        frame.header.tag = 0;
        frame.as.peek = (struct frame_peek){wire_bytes_of_text("q"), PEEK_PARKED, number};
        frame = answer_of(trial, trial->alice, actor_say(trial->alice, &frame));
        number = frame.as.peeked.number;
    } while (number != 0 && frame.as.peeked.body.at[0] != (unsigned)item);
    if (number == 0)
        go_wrong(trial, "not parked", 0, (uint64_t)item);
    return number;
}

/* All that are parked, or one of them. */
static void repair(struct trial *trial, enum act act, uint32_t chance)
{
    struct model *model = &trial->model;
    bool is_retry = act == RETRY_PARKED || act == RETRY_ONE;
    int item = act == RETRY_ONE || act == DROP_ONE ? model_parked(model, chance) : -1;
    uint64_t number = item >= 0 ? number_of(trial, item) : 0;
    int first = item >= 0 ? item : 0;
    int last = item >= 0 ? item : MODEL_ITEMS_MAX;
    unsigned count =
        is_retry ? model_retry_parked(model, first, last) : model_drop_parked(model, first, last);
    struct frame frame = {.header.type = is_retry ? FRAME_PARKED_RETRY : FRAME_PARKED_DROP};
    frame.as.parked_retry = (struct frame_parked_retry){wire_bytes_of_text("q"), number,
                                                        item >= 0 ? number : UINT64_MAX};
    struct frame answer = answer_of(trial, trial->alice, actor_say(trial->alice, &frame));
    if ((answer.header.type == FRAME_CONFIRM) != (count > 0))
        go_wrong(trial, "parked ones", answer.header.type, count);
}

static void manage(struct trial *trial, enum act act, uint32_t chance)
{
    struct model *model = &trial->model;
    if (act == PURGE) {
        model_purge(model);
        purge_queue(trial, "q");
    } else if (act == PAUSE) {
        model->is_paused = !model->is_paused;
        set(trial, PROPERTY_QUEUE_PAUSED, model->is_paused);
    } else if (act == LANE_POLICY) {
        model->lane_parked = (enum model_lane)(chance % 3);
        set(trial, PROPERTY_QUEUE_LANE_PARKED, model->lane_parked);
    } else {
        repair(trial, act, chance);
    }
}

/* --- the broker ---------------------------------------------------------------------------------
 */

static void enter(struct trial *trial)
{
    if (!actor_enter(trial->alice) || !actor_enter(trial->bob)) {
        go_wrong(trial, "not let in", 0, 1);
        return;
    }
    consume(trial);
}

static void pass(struct trial *trial, uint64_t ms)
{
    scene_advance_ms(trial->scene, ms);
    scene_settle(trial->scene);
    trial->model.now_ms = trial->scene->now_ms;
    model_expire(&trial->model);
}

/* So much comes and goes in another queue that the journal states again what lives. */
static void churn(struct trial *trial)
{
    static const unsigned char body[CHURN_BYTES];
    struct frame frame = {.header.type = FRAME_SEND};
    frame.as.send.queue = wire_bytes_of_text("churn");
    frame.as.send.body_bytes = sizeof body;
    frame.as.send.body = wire_bytes_of(body, sizeof body);
    for (unsigned i = 0; i < CHURN_GROUPS; i++) {
        for (unsigned k = 0; k < CHURN_MESSAGES; k++, frame.header.tag = 0)
            (void)actor_write(trial->alice, &frame);
        say(trial, &frame);
        frame.header.tag = 0;
    }
    purge_queue(trial, "churn");
    pass(trial, 100);
}

static void start_again(struct trial *trial, enum act act)
{
    scene_settle(trial->scene);
    if (act == RESTART)
        scene_restart(trial->scene);
    else
        scene_crash(trial->scene, DISK_SIM_NONE);
    trial->model.now_ms = trial->scene->now_ms;
    model_restart(&trial->model);
    model_expire(&trial->model);
    enter(trial);
}

static void lose_worker(struct trial *trial)
{
    actor_cut(trial->bob);
    scene_settle(trial->scene);
    model_lose_worker(&trial->model);
    model_expire(&trial->model);
    if (actor_enter(trial->bob))
        consume(trial);
}

/* --- comparing ----------------------------------------------------------------------------------
 */

static const char *const outcome_codes[] = {
    "", "", "E", "ATTEMPTS_EXHAUSTED", "EXPIRED", "CANCELLED", "LANE_PARKED"};

static void compare_outcome(struct trial *trial, int item)
{
    const struct model_item *expected = &trial->model.items[item];
    struct frame frame = {.header.type = FRAME_COMMAND_STATUS};
    frame.as.command_status.id = id_of(item);
    frame = answer_of(trial, trial->alice, actor_say(trial->alice, &frame));
    if (frame.header.type != FRAME_COMMAND_STATE) {
        go_wrong(trial, "status of", frame.header.type, (uint64_t)item);
        return;
    }
    const struct frame_command_state *state = &frame.as.command_state;
    bool is_open = state->state < COMMAND_DONE;
    if (is_open != (expected->outcome == MODEL_OPEN) ||
        (!is_open && (state->state == COMMAND_DONE) != (expected->outcome == MODEL_DONE)) ||
        !wire_bytes_equal(state->code, wire_bytes_of_text(outcome_codes[expected->outcome])))
        go_wrong(trial, "outcome", state->state, expected->outcome);
}

static void compare(struct trial *trial)
{
    struct model_figures expected = model_figures(&trial->model);
    struct frame frame = {.header.type = FRAME_QUERY};
    frame.as.query = (struct frame_query){.subject = QUERY_QUEUE, .name = wire_bytes_of_text("q")};
    frame = answer_of(trial, trial->alice, actor_say(trial->alice, &frame));
    struct wire_bytes fields = frame.as.row.fields;
    if (figure(fields, "messages") != expected.messages)
        go_wrong(trial, "messages", figure(fields, "messages"), expected.messages);
    if (figure(fields, "running") != expected.running)
        go_wrong(trial, "running", figure(fields, "running"), expected.running);
    if (figure(fields, "parked") != expected.parked)
        go_wrong(trial, "parked", figure(fields, "parked"), expected.parked);
    for (unsigned i = 0; i < trial->model.count && trial->wrong[0] == '\0'; i++)
        if (trial->model.items[i].is_tracked)
            compare_outcome(trial, (int)i);
}

/* --- a case -------------------------------------------------------------------------------------
 */

static void act_out(struct trial *trial, const struct step *step)
{
    if (step->act <= SEND_ALL)
        send_one(trial, step->act, step->chance);
    else if (step->act <= RELEASE)
        settle(trial, step->act, step->chance);
    else if (step->act == CANCEL)
        cancel(trial, step->chance);
    else if (step->act == LOSE_WORKER)
        lose_worker(trial);
    else if (step->act <= PAUSE)
        manage(trial, step->act, step->chance);
    else if (step->act == PASS)
        pass(trial, 100 * (step->chance % 10));
    else if (step->act == CHURN)
        churn(trial);
    else
        start_again(trial, step->act);
    model_park_lanes(&trial->model);
    compare_hand_outs(trial); /* what can go at once goes before the next tick */
    pass(trial, TICK_MS);
    model_park_lanes(&trial->model);
    compare_hand_outs(trial);
}

static void create(struct trial *trial)
{
    unsigned char settings[64];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    property_put_number(&w, PROPERTY_QUEUE_ATTEMPTS, MODEL_ATTEMPTS);
    struct frame frame = {.header.type = FRAME_QUEUE_CREATE};
    frame.as.queue_create = (struct frame_queue_create){
        wire_bytes_of_text("q"), wire_bytes_of(settings, (uint32_t)wire_written(&w))};
    say(trial, &frame);
    frame = (struct frame){.header.type = FRAME_QUEUE_CREATE};
    frame.as.queue_create.queue = wire_bytes_of_text("churn");
    say(trial, &frame);
}

bool trial_play(const struct step *steps, unsigned count, char wrong[256])
{
    struct core_limits limits = scene_limits();
    limits.result_ttl_ms = UINT32_MAX;
    struct trial *trial = calloc(1, sizeof *trial);
    trial->scene = scene_new_sized(1, &limits, SEGMENT_BYTES);
    trial->alice = scene_actor(trial->scene, "");
    trial->bob = scene_actor(trial->scene, "");
    trial->model.now_ms = trial->scene->now_ms;
    (void)actor_enter(trial->alice);
    create(trial);
    (void)actor_enter(trial->bob);
    consume(trial);
    for (unsigned i = 0; i < count && trial->wrong[0] == '\0'; i++)
        act_out(trial, &steps[i]);
    if (trial->wrong[0] == '\0')
        compare(trial);
    bool is_well = trial->wrong[0] == '\0';
    memcpy(wrong, trial->wrong, sizeof trial->wrong);
    scene_free(trial->scene);
    free(trial);
    return is_well;
}
