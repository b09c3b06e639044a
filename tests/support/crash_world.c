/* A broker under a random load, and the oracle that knows what it owes its clients. */
#include "tests/support/crash_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_HEAD_BYTES = 8, BODY_BYTES_MAX = 9000, PIECE_BYTES = 3000 };

static const char *const queue_names[LOAD_QUEUES] = {"orders", "copies"};

void load_violate(struct load *load, const char *text)
{
    if (load->violation == NULL)
        load->violation = text;
}

static bool percent(struct load *load, unsigned chance)
{
    return chance_below(&load->chance, 100) < chance;
}

static unsigned char filler(uint32_t message, uint32_t i)
{
    return (unsigned char)(message * 31 + i * 7 + (i >> 8));
}

static void fill_body(uint32_t message, unsigned char *at, uint32_t bytes)
{
    wire_store_u32(at, 0x4c4f4144);
    wire_store_u32(at + 4, message);
    for (uint32_t i = BODY_HEAD_BYTES; i < bytes; i++)
        at[i] = filler(message, i);
}

/* --- publishing ---------------------------------------------------------------------------------
 */

/* Writes the message under a tag, in pieces when it is large. */
static void write_message(const struct load *load, struct load_publisher *publisher, uint64_t tag)
{
    static unsigned char body[BODY_BYTES_MAX];
    uint32_t index = publisher->message_of[tag];
    const struct load_message *message = &load->messages[index];
    fill_body(index, body, message->bytes);
    uint32_t first = message->bytes < PIECE_BYTES ? message->bytes : PIECE_BYTES;
    struct frame frame = {.header.tag = tag};
    if (message->targets == 1) {
        frame.header.type = FRAME_SEND;
        frame.as.send.queue = wire_bytes_of_text(queue_names[0]);
        frame.as.send.body = wire_bytes_of(body, first);
        frame.as.send.body_bytes = message->bytes;
    } else {
        frame.header.type = FRAME_PUBLISH;
        frame.as.publish.exchange = wire_bytes_of_text("news");
        frame.as.publish.key = wire_bytes_of_text("order.placed");
        frame.as.publish.body = wire_bytes_of(body, first);
        frame.as.publish.body_bytes = message->bytes;
    }
    actor_write(publisher->actor, &frame);
    for (uint32_t sent = first; sent < message->bytes;) {
        uint32_t bytes = message->bytes - sent;
        bytes = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
        struct frame piece = {.header.type = FRAME_PIECE};
        piece.as.piece.body = wire_bytes_of(body + sent, bytes);
        actor_write(publisher->actor, &piece);
        sent += bytes;
    }
}

static void publish_some(struct load *load, struct load_publisher *publisher)
{
    uint64_t count = 1 + chance_below(&load->chance, load->is_deep ? 40 : 8);
    for (uint64_t i = 0; i < count && load->message_count < LOAD_MESSAGES_MAX; i++) {
        uint32_t index = (uint32_t)load->message_count++;
        uint64_t span = load->is_deep || percent(load, 70) ? 400 : percent(load, 80) ? 3000 : 8000;
        load->messages[index] = (struct load_message){
            .publisher = (uint32_t)(publisher - load->publishers),
            .bytes = BODY_HEAD_BYTES + (uint32_t)chance_below(&load->chance, span),
            .targets = percent(load, 50) ? 1 : 3,
        };
        uint64_t tag = ++publisher->tag_count;
        publisher->message_of[tag] = index;
        write_message(load, publisher, tag);
        load->counters->sent++;
    }
    actor_flush(publisher->actor);
}

static void take_answer(struct load *load, struct load_publisher *publisher, uint64_t tag,
                        enum load_answer answer)
{
    struct load_message *message = &load->messages[publisher->message_of[tag]];
    if (message->answer != ANSWER_NONE && message->answer != answer)
        load_violate(load, "Q6: a message has two answers that differ");
    load->counters->confirmed += answer == ANSWER_CONFIRMED && message->answer == ANSWER_NONE;
    load->counters->refused += answer == ANSWER_REFUSED && message->answer == ANSWER_NONE;
    message->answer = answer;
}

static void take_answers(struct load *load, struct load_publisher *publisher)
{
    struct frame frame;
    while (actor_next(publisher->actor, &frame)) {
        if (frame.header.type == FRAME_REFUSE) {
            if (frame.header.tag == 0 || frame.header.tag > publisher->tag_count)
                load_violate(load, "Q6: what was never sent is refused");
            else
                take_answer(load, publisher, frame.header.tag, ANSWER_REFUSED);
        } else if (frame.header.type == FRAME_CONFIRM) {
            if (frame.as.confirm.last > publisher->tag_count) {
                load_violate(load, "Q6: what was never sent is confirmed");
                return;
            }
            for (uint64_t tag = frame.as.confirm.first; tag <= frame.as.confirm.last; tag++)
                if (load->messages[publisher->message_of[tag]].answer != ANSWER_REFUSED)
                    take_answer(load, publisher, tag, ANSWER_CONFIRMED);
        }
    }
    while (publisher->seen < publisher->tag_count &&
           load->messages[publisher->message_of[publisher->seen + 1]].answer != ANSWER_NONE)
        publisher->seen++;
}

/* Comes back, and sends again what has no answer. */
static void publisher_enter(struct load *load, struct load_publisher *publisher)
{
    struct actor *actor = publisher->actor;
    publisher->is_in = actor_resume(actor, publisher->seen);
    if (!publisher->is_in && !load->scene->has_failed) {
        if (publisher->was_let_in && publisher->tag_count > 0)
            load_violate(load, "D11: a client that was let in is not known any more");
        publisher->is_in = actor_enter(actor);
    }
    if (!publisher->is_in)
        return;
    publisher->was_let_in = true;
    if (actor->answered > publisher->tag_count || actor->answered < publisher->seen) {
        load_violate(load, "D11: AUTH_OK says that other tags are answered than were");
        return;
    }
    take_answers(load, publisher);
    for (uint64_t tag = actor->answered + 1; tag <= publisher->tag_count; tag++) {
        write_message(load, publisher, tag);
        load->counters->resent++;
    }
    actor_flush(actor);
}

/* --- consuming ----------------------------------------------------------------------------------
 */

static void consumer_enter(struct load *load, struct load_consumer *consumer)
{
    consumer->is_in = actor_enter(consumer->actor);
    consumer->held_count = consumer->settling_count = 0;
    bool is_idle = load->is_deep && !load->is_ending && !percent(load, 20);
    for (uint32_t i = 0; consumer->is_in && !is_idle && i < LOAD_QUEUES; i++) {
        struct frame frame = {.header.type = FRAME_CONSUME};
        frame.as.consume = (struct frame_consume){.consumer = i,
                                                  .queue = wire_bytes_of_text(queue_names[i]),
                                                  .prefetch_messages = LOAD_HELD_MAX / 2 - 8};
        actor_write(consumer->actor, &frame);
    }
    if (load->scene->core != NULL)
        actor_flush(consumer->actor);
}

static void judge_delivery(struct load *load, const struct frame *frame, uint32_t index,
                           uint32_t queue)
{
    struct load_message *message = &load->messages[index];
    const struct wire_bytes body = frame->as.deliver.body;
    bool is_redelivered = (frame->header.flags & FLAG_REDELIVERED) != 0;
    for (uint32_t i = BODY_HEAD_BYTES; i < body.bytes; i++)
        if (body.at[i] != filler(index, i)) {
            load_violate(load, "D5: a body differs from what was published");
            break;
        }
    if (body.bytes != message->bytes)
        load_violate(load, "D5: a body has another length");
    if ((message->targets & 1u << queue) == 0)
        load_violate(load, "a message is in a queue that it was not meant for");
    if (message->answer == ANSWER_REFUSED)
        load_violate(load, "D4: a refused message is delivered");
    if (message->settle[queue] == SETTLE_SURE)
        load_violate(load, "D3: a message comes back although its settlement was confirmed");
    if (message->was_handed[queue] && !is_redelivered)
        load_violate(load, "Q3: a message comes again and is not flagged");
    if (message->is_owned[queue])
        load_violate(load, "Q4: a message is handed out twice");
    if (message->number != 0 && message->number != frame->as.deliver.number)
        load_violate(load, "rule 8: a message is there twice");
    message->number = frame->as.deliver.number;
    load->counters->delivered++;
    load->counters->redelivered += is_redelivered;
    message->was_handed[queue] = true;
    message->is_owned[queue] = true;
    if (message->settle[queue] == SETTLE_TRIED)
        message->settle[queue] = SETTLE_NONE; /* it was lost with the crash */
}

static void take_delivery(struct load *load, struct load_consumer *consumer,
                          const struct frame *frame)
{
    const struct frame_deliver *deliver = &frame->as.deliver;
    uint32_t index = deliver->body.bytes >= BODY_HEAD_BYTES ? wire_load_u32(deliver->body.at + 4)
                                                            : LOAD_MESSAGES_MAX;
    if (index >= load->message_count || deliver->consumer >= LOAD_QUEUES) {
        load_violate(load, "a message is delivered that nobody sent");
        return;
    }
    judge_delivery(load, frame, index, deliver->consumer);
    assert(consumer->held_count < LOAD_HELD_MAX);
    consumer->held[consumer->held_count++] =
        (struct load_held){deliver->delivery, index, deliver->consumer, false};
}

static void take_settled(struct load *load, struct load_consumer *consumer, uint64_t last)
{
    size_t count = 0;
    while (count < consumer->settling_count && consumer->settling_tag[count] <= last) {
        const struct load_held *held = &consumer->settling[count++];
        load->messages[held->message].settle[held->queue] = SETTLE_SURE;
        load->messages[held->message].is_parked[held->queue] = held->is_failed;
        load->counters->settled++;
    }
    consumer->settling_count -= count;
    memmove(consumer->settling, consumer->settling + count,
            consumer->settling_count * sizeof consumer->settling[0]);
    memmove(consumer->settling_tag, consumer->settling_tag + count,
            consumer->settling_count * sizeof consumer->settling_tag[0]);
}

static void take_deliveries(struct load *load, struct load_consumer *consumer)
{
    struct frame frame;
    while (actor_next(consumer->actor, &frame)) {
        if (frame.header.type == FRAME_DELIVER)
            take_delivery(load, consumer, &frame);
        else if (frame.header.type == FRAME_CONFIRM)
            take_settled(load, consumer, frame.as.confirm.last);
        else if (frame.header.type == FRAME_REFUSE)
            load_violate(load, "a settlement or a consumer is refused");
    }
}

/* Says one word on the delivery: done mostly, failed, or given back. */
static void settle_one(struct load *load, struct load_consumer *consumer, size_t at)
{
    struct load_held held = consumer->held[at];
    struct load_message *message = &load->messages[held.message];
    uint32_t start = consumer->actor->start;
    uint64_t word = chance_below(&load->chance, 10);
    struct frame frame = {.header.type = FRAME_DONE};
    frame.as.done = (struct frame_done){start, held.delivery, held.delivery};
    if (word == 0) {
        frame.header.type = FRAME_RELEASE;
        frame.as.release = (struct frame_release){start, held.delivery, held.delivery};
    } else if (word == 1) {
        frame.header.type = FRAME_FAIL;
        frame.as.fail = (struct frame_fail){.start = start,
                                            .delivery = held.delivery,
                                            .class = FAIL_PERMANENT,
                                            .code = wire_bytes_of_text("NO")};
    }
    uint64_t tag = actor_write(consumer->actor, &frame);
    message->is_owned[held.queue] = false;
    if (word != 0) {
        held.is_failed = word == 1;
        message->settle[held.queue] = SETTLE_TRIED;
        consumer->settling_tag[consumer->settling_count] = tag;
        consumer->settling[consumer->settling_count++] = held;
    }
    memmove(consumer->held + at, consumer->held + at + 1,
            (--consumer->held_count - at) * sizeof consumer->held[0]);
}

static void settle_some(struct load *load, struct load_consumer *consumer, unsigned chance)
{
    for (size_t i = 0; i < consumer->held_count;) {
        bool is_straggler = consumer->held[i].message % LOAD_STRAGGLER_EVERY == 0;
        bool is_left = is_straggler && !load->is_ending && !percent(load, 5);
        if (!is_left && percent(load, chance))
            settle_one(load, consumer, i);
        else
            i++;
    }
    actor_flush(consumer->actor);
}

static void consumer_lose(struct load *load, struct load_consumer *consumer)
{
    for (size_t i = 0; i < consumer->held_count; i++)
        load->messages[consumer->held[i].message].is_owned[consumer->held[i].queue] = false;
    consumer->held_count = consumer->settling_count = 0;
    consumer->is_in = false;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

void load_start(struct load *load, uint64_t seed, struct load_counters *counters)
{
    struct core_limits limits = scene_limits();
    limits.message_bytes_max = BODY_BYTES_MAX;
    limits.attempts_max = 0; /* parked ones would have to be looked for */
    memset(load, 0, sizeof *load);
    load->chance.state = seed;
    load->counters = counters;
    load->is_deep = chance_below(&load->chance, 12) == 0;
    if (load->is_deep)
        limits.index_bytes_max = 1;
    load->scene = scene_new_sized(seed, &limits, LOAD_SEGMENT_BYTES);
    load->keeper = scene_actor(load->scene, "");
    load->absentee = scene_actor(load->scene, "absentee");
    load->listener = scene_actor(load->scene, "");
    for (int i = 0; i < LOAD_PUBLISHERS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "publisher-%d", i);
        load->publishers[i].actor = scene_actor(load->scene, name);
    }
    for (int i = 0; i < LOAD_CONSUMERS; i++)
        load->consumers[i].actor = scene_actor(load->scene, "");
    (void)actor_enter(load->keeper);
    load_define(load);
}

void load_end(struct load *load)
{
    scene_free(load->scene);
}

void load_enter(struct load *load)
{
    if (load->scene->has_failed || load->scene->core == NULL)
        return;
    if (load->keeper->peer == NULL && actor_enter(load->keeper))
        load_judge_definitions(load);
    for (int i = 0; i < LOAD_PUBLISHERS; i++)
        if (!load->publishers[i].is_in)
            publisher_enter(load, &load->publishers[i]);
    for (int i = 0; i < LOAD_CONSUMERS; i++)
        if (!load->consumers[i].is_in)
            consumer_enter(load, &load->consumers[i]);
    if (!load->is_deep)
        load_listener_enter(load);
}

static void listen(struct load *load)
{
    for (int i = 0; i < LOAD_PUBLISHERS; i++)
        if (load->publishers[i].is_in)
            take_answers(load, &load->publishers[i]);
    for (int i = 0; i < LOAD_CONSUMERS; i++)
        if (load->consumers[i].is_in)
            take_deliveries(load, &load->consumers[i]);
    load_keeper_listen(load);
    if (!load->is_deep)
        load_listener_listen(load);
}

void load_step(struct load *load)
{
    struct scene *scene = load->scene;
    uint64_t what = chance_below(&load->chance, 20);
    struct load_publisher *publisher =
        &load->publishers[chance_below(&load->chance, LOAD_PUBLISHERS)];
    struct load_consumer *consumer = &load->consumers[chance_below(&load->chance, LOAD_CONSUMERS)];
    if (what < 9 && publisher->is_in) {
        publish_some(load, publisher);
    } else if (what < 17 && consumer->is_in) {
        settle_some(load, consumer, 50);
    } else if (what == 17) {
        load_keeper_change(load);
    } else if (what == 18 && publisher->is_in) {
        actor_cut(publisher->actor);
        publisher->is_in = false;
    } else if (what == 19 && consumer->is_in) {
        actor_cut(consumer->actor);
        consumer_lose(load, consumer);
    }
    scene->now_ms += percent(load, 10) ? 150 : 3;
    if (percent(load, 20))
        scene_settle(scene);
    else
        scene_step(scene, chance_below(&load->chance, 5));
    load_watch_space(load);
    listen(load);
    if (percent(load, 30))
        load_enter(load);
}

void load_lose_connections(struct load *load)
{
    listen(load);
    for (int i = 0; i < LOAD_PUBLISHERS; i++)
        load->publishers[i].is_in = false;
    for (int i = 0; i < LOAD_CONSUMERS; i++)
        consumer_lose(load, &load->consumers[i]);
}

static void judge_message(struct load *load, const struct load_message *message)
{
    uint32_t there = 0;
    for (uint32_t i = 0; i < LOAD_QUEUES; i++) {
        bool is_meant = (message->targets & 1u << i) != 0;
        there |= message->was_handed[i] ? 1u << i : 0;
        if (is_meant && message->answer == ANSWER_CONFIRMED && !message->was_handed[i])
            load_violate(load, "D1: a confirmed message was never delivered");
        if (is_meant && message->answer == ANSWER_CONFIRMED && message->settle[i] == SETTLE_NONE)
            load_violate(load, "D1: a confirmed message that nobody settled is gone");
    }
    if (there != 0 && there != message->targets)
        load_violate(load, "D4: a message is in some of its queues only");
}

/* Has everything delivered and settled that is there. */
static void consume_all(struct load *load)
{
    size_t quiet_count = 0;
    for (int rounds = 0; rounds < 10000 && quiet_count < 3; rounds++) {
        uint64_t before = load->counters->delivered + load->counters->settled;
        scene_settle(load->scene);
        listen(load);
        for (int i = 0; i < LOAD_CONSUMERS; i++)
            if (load->consumers[i].is_in)
                settle_some(load, &load->consumers[i], 100);
        scene_settle(load->scene);
        listen(load);
        bool is_quiet = before == load->counters->delivered + load->counters->settled;
        quiet_count = is_quiet ? quiet_count + 1 : 0;
    }
}

void load_judge(struct load *load)
{
    load_enter(load);
    load_judge_space(load);
    load->is_ending = true;
    for (int i = 0; load->is_deep && i < LOAD_CONSUMERS; i++) {
        actor_cut(load->consumers[i].actor);
        consumer_lose(load, &load->consumers[i]);
    }
    load_enter(load);
    consume_all(load);
    load_judge_absentee(load);
    if (load->scene->has_failed)
        return;
    for (int i = 0; i < LOAD_PUBLISHERS; i++)
        if (load->publishers[i].seen != load->publishers[i].tag_count)
            load_violate(load, "Q6: a message has no answer");
    for (size_t i = 0; i < load->message_count; i++)
        judge_message(load, &load->messages[i]);
    load_judge_space(load);
    load_judge_live_bytes(load);
}
