/* Histories while memory runs out. */
#include "tests/support/scarce_history.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/append.h"
#include "protocol/property.h"
#include "tests/support/scarce_scene.h"

enum {
    EVENTS_MAX = 64,
    LARGE_BYTES = 24000,
    PIECE_BYTES = 3000,
    CURSOR = 1,
    READER = 2,
    JUDGE = 3,
    MOVE_MS = 6000,
};

enum fate { UNKNOWN, CONFIRMED, REFUSED };

/* Its body begins with its number, which is its place in the table. */
struct event {
    enum fate fate;
    uint64_t tag;
    unsigned batch; /* first event of those that were appended with it */
    bool is_there;
    bool is_done; /* or may be */
};

struct scarce_history {
    struct scene *scene;
    struct actor *publisher;
    struct actor *worker;
    struct event events[EVENTS_MAX];
    unsigned event_count;
    unsigned settled; /* deliveries of the cursor */
    const char *violation;
};

static void violate(struct scarce_history *history, const char *text)
{
    if (history->violation == NULL)
        history->violation = text;
}

void scarce_history_limits(struct core_limits *limits)
{
    limits->history_file_bytes = 64 << 10;
    limits->history_save_bytes = 1000;
    limits->history_read_bytes_max = 600 << 10;
}

struct scarce_history *scarce_history_new(struct scene *scene)
{
    struct scarce_history *history = calloc(1, sizeof *history);
    assert(history != NULL);
    history->scene = scene;
    history->publisher = scene_actor(scene, "");
    history->worker = scene_actor(scene, "");
    return history;
}

void scarce_history_free(struct scarce_history *history)
{
    free(history);
}

/* --- saying -------------------------------------------------------------------------------------
 */

static void advance(struct scarce_history *history, uint64_t ms)
{
    history->scene->now_ms += ms;
    scarce_run(history->scene);
}

static void take_answers(struct scarce_history *history)
{
    struct frame frame;
    while (actor_next(history->publisher, &frame)) {
        bool is_refusal = frame.header.type == FRAME_REFUSE;
        uint64_t first = is_refusal ? frame.header.tag : 0;
        uint64_t last = is_refusal ? frame.header.tag : 0;
        if (frame.header.type == FRAME_CONFIRM) {
            first = frame.as.confirm.first;
            last = frame.as.confirm.last;
        }
        for (unsigned i = 0; i < history->event_count; i++) {
            struct event *event = &history->events[i];
            if (event->tag != 0 && event->fate == UNKNOWN && event->tag >= first &&
                event->tag <= last)
                event->fate = is_refusal ? REFUSED : CONFIRMED;
        }
    }
}

/* The connection is gone: what is unanswered stays unknown. */
static void forget_tags(struct scarce_history *history)
{
    take_answers(history);
    for (unsigned i = 0; i < history->event_count; i++)
        history->events[i].tag = 0;
}

static void create(struct scarce_history *history, const char *exchange)
{
    unsigned char settings[32];
    struct wire_writer s = wire_writer_of(settings, sizeof settings);
    property_put_number(&s, PROPERTY_EXCHANGE_HISTORY, 1);
    struct frame frame = {.header.type = FRAME_EXCHANGE_CREATE};
    frame.as.exchange_create.exchange = wire_bytes_of_text(exchange);
    frame.as.exchange_create.settings = wire_bytes_of(settings, (uint32_t)wire_written(&s));
    (void)scarce_say(history->publisher, &frame);
}

static void set_count_max(struct scarce_history *history, uint64_t count_max)
{
    unsigned char settings[32];
    struct wire_writer s = wire_writer_of(settings, sizeof settings);
    property_put_number(&s, PROPERTY_EXCHANGE_COUNT_MAX, count_max);
    struct frame frame = {.header.type = FRAME_EXCHANGE_SET};
    frame.as.exchange_set.exchange = wire_bytes_of_text("book");
    frame.as.exchange_set.settings = wire_bytes_of(settings, (uint32_t)wire_written(&s));
    (void)scarce_say(history->publisher, &frame);
}

static unsigned event_new(struct scarce_history *history)
{
    assert(history->event_count < EVENTS_MAX);
    unsigned number = history->event_count++;
    history->events[number].batch = number;
    return number;
}

static void publish(struct scarce_history *history, const char *entity, uint32_t bytes)
{
    static unsigned char body[LARGE_BYTES];
    unsigned char list[64];
    struct wire_writer p = wire_writer_of(list, sizeof list);
    struct actor *actor = history->publisher;
    unsigned number = event_new(history);
    if (actor->peer == NULL)
        return;
    wire_store_u32(body, number);
    if (entity != NULL)
        property_put(&p, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text(entity));
    uint32_t sent = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
    struct frame frame = {.header.type = FRAME_PUBLISH};
    frame.as.publish =
        (struct frame_publish){.exchange = wire_bytes_of_text("book"),
                               .key = wire_bytes_of_text(number % 2 == 0 ? "a.b" : "c"),
                               .properties = wire_bytes_of(list, (uint32_t)wire_written(&p)),
                               .body_bytes = bytes,
                               .body = wire_bytes_of(body, sent)};
    history->events[number].tag = actor_write(actor, &frame);
    while (sent < bytes) {
        uint32_t piece = bytes - sent < PIECE_BYTES ? bytes - sent : PIECE_BYTES;
        frame = (struct frame){.header.type = FRAME_PIECE};
        frame.as.piece.body = wire_bytes_of(body + sent, piece);
        (void)actor_write(actor, &frame);
        sent += piece;
    }
    actor_flush(actor);
    scarce_run(history->scene);
}

static void append(struct scarce_history *history, unsigned count)
{
    unsigned char list[512];
    struct wire_writer l = wire_writer_of(list, sizeof list);
    unsigned first = history->event_count;
    for (unsigned i = 0; i < count; i++) {
        unsigned char body[4];
        unsigned number = event_new(history);
        history->events[number].batch = first;
        wire_store_u32(body, number);
        append_put(&l, &(struct append_event){.key = wire_bytes_of_text("a.several"),
                                              .body = wire_bytes_of(body, sizeof body)});
    }
    struct frame frame = {.header.type = FRAME_APPEND};
    frame.as.append =
        (struct frame_append){.exchange = wire_bytes_of_text("book"),
                              .entity = wire_bytes_of_text("several"),
                              .expect = EXPECT_ANY,
                              .body_bytes = (uint32_t)wire_written(&l),
                              .body = wire_bytes_of(list, (uint32_t)wire_written(&l))};
    uint64_t tag = scarce_say(history->publisher, &frame);
    for (unsigned i = first; i < history->event_count; i++)
        history->events[i].tag = tag;
}

static void follow(struct scarce_history *history, uint32_t consumer, const char *exchange,
                   const char *cursor, uint8_t from)
{
    struct frame frame = {.header.type = FRAME_FOLLOW};
    frame.as.follow = (struct frame_follow){.consumer = consumer,
                                            .exchange = wire_bytes_of_text(exchange),
                                            .pattern = wire_bytes_of_text("#"),
                                            .cursor = wire_bytes_of_text(cursor),
                                            .from = from,
                                            .prefetch_messages = EVENTS_MAX};
    (void)scarce_say(history->worker, &frame);
}

static void read_entity(struct scarce_history *history, const char *entity, uint8_t flags)
{
    struct frame frame = {.header = {.type = FRAME_READ, .flags = flags}};
    frame.as.read = (struct frame_read){.exchange = wire_bytes_of_text("book"),
                                        .entity = wire_bytes_of_text(entity)};
    (void)scarce_say(history->worker, &frame);
}

static void cancel(struct scarce_history *history, uint32_t consumer)
{
    struct frame frame = {.header.type = FRAME_CANCEL};
    frame.as.cancel.consumer = consumer;
    (void)scarce_say(history->worker, &frame);
}

/* In turn done, failed, given back and failed for good; of the third kind nothing is changed. */
static void settle(struct scarce_history *history, uint64_t delivery, unsigned number)
{
    static const enum frame_type types[] = {FRAME_DONE, FRAME_FAIL, FRAME_RELEASE, FRAME_FAIL};
    unsigned kind = history->settled++ % 4;
    struct actor *worker = history->worker;
    struct frame frame = {.header.type = (uint8_t)types[kind]};
    if (types[kind] == FRAME_DONE)
        frame.as.done = (struct frame_done){worker->start, delivery, delivery};
    else if (types[kind] == FRAME_RELEASE)
        frame.as.release = (struct frame_release){worker->start, delivery, delivery};
    else
        frame.as.fail = (struct frame_fail){.start = worker->start,
                                            .delivery = delivery,
                                            .class = kind == 1 ? FAIL_RETRYABLE : FAIL_PERMANENT,
                                            .code = wire_bytes_of_text("NO"),
                                            .retry_after_ms = 100};
    history->events[number].is_done |= kind == 0 || kind == 3;
    (void)scarce_say(worker, &frame);
}

static void take_work(struct scarce_history *history, unsigned settles)
{
    struct frame frame;
    while (actor_next(history->worker, &frame)) {
        if (frame.header.type != FRAME_DELIVER || frame.as.deliver.consumer != CURSOR ||
            settles == 0)
            continue;
        unsigned number = wire_load_u32(frame.as.deliver.body.at);
        if (number >= history->event_count) {
            violate(history, "an event that nobody published");
            return;
        }
        settles--;
        settle(history, frame.as.deliver.delivery, number);
    }
}

void scarce_history_work(struct scarce_history *history)
{
    (void)scarce_enter(history->publisher);
    (void)scarce_enter(history->worker);
    create(history, "book");
    create(history, "short");
    follow(history, CURSOR, "book", "cursor", FOLLOW_FIRST);
    follow(history, READER, "book", "", FOLLOW_FIRST);
    publish(history, "one", 10);
    publish(history, NULL, 200);
    append(history, 3);
    take_answers(history);
    take_work(history, 4);
    read_entity(history, "several", 0);
    advance(history, MOVE_MS);
    for (int i = 0; i < 4; i++)
        publish(history, "one", LARGE_BYTES);
    advance(history, MOVE_MS);
    append(history, 2);
    take_work(history, 4);
    cancel(history, READER);
    follow(history, READER, "book", "", FOLLOW_LAST);
    read_entity(history, "one", FLAG_BACKWARD);
    follow(history, JUDGE, "short", "gone", FOLLOW_FIRST);
    struct frame frame = {.header.type = FRAME_EXCHANGE_DELETE};
    frame.as.exchange_delete.exchange = wire_bytes_of_text("short");
    (void)scarce_say(history->publisher, &frame);
    frame = (struct frame){.header.type = FRAME_CURSOR_SEEK};
    frame.as.cursor_seek =
        (struct frame_cursor_seek){wire_bytes_of_text("cursor"), FOLLOW_FIRST, 0};
    for (unsigned i = 0; i < history->event_count; i++)
        history->events[i].is_done = true; /* whether it was moved or not */
    (void)scarce_say(history->worker, &frame);
    set_count_max(history, 1000);
    advance(history, MOVE_MS);
    take_answers(history);
    take_work(history, 0);
}

/* --- judging ------------------------------------------------------------------------------------
 */

/* All that is there, in order: without a hole, and of each entity without one either. */
static void read_all(struct scarce_history *history)
{
    struct frame frame;
    uint64_t next = 1;
    uint64_t versions[2] = {0, 0};
    follow(history, JUDGE, "book", "", FOLLOW_FIRST);
    for (int i = 0; i < 6; i++)
        scarce_run(history->scene);
    while (actor_next(history->worker, &frame)) {
        if (frame.header.type == FRAME_CONSUMER_GONE || frame.header.type == FRAME_GAP)
            violate(history, "a history cannot be read although there is memory again");
        if (frame.header.type != FRAME_DELIVER || frame.as.deliver.consumer != JUDGE)
            continue;
        struct wire_bytes properties = frame.as.deliver.properties;
        struct wire_bytes entity = property_find(properties, PROPERTY_MESSAGE_ENTITY);
        unsigned number = wire_load_u32(frame.as.deliver.body.at);
        if (property_find_number(properties, PROPERTY_MESSAGE_SEQUENCE, 0) != next++)
            violate(history, "a sequence is missing or doubled");
        if (number >= history->event_count) {
            violate(history, "an event that nobody published is kept");
            return;
        }
        history->events[number].is_there = true;
        unsigned which = wire_bytes_equal(entity, wire_bytes_of_text("one")) ? 0 : 1;
        if (entity.at != NULL &&
            property_find_number(properties, PROPERTY_MESSAGE_VERSION, 0) != ++versions[which])
            violate(history, "a version is missing or doubled");
    }
    cancel(history, JUDGE);
}

static void judge_events(struct scarce_history *history)
{
    for (unsigned i = 0; i < history->event_count; i++) {
        const struct event *event = &history->events[i];
        if (event->fate == CONFIRMED && !event->is_there)
            violate(history, "a confirmed event is not there");
        if (event->fate == REFUSED && event->is_there)
            violate(history, "an event that was refused is there");
        if (event->batch != i && event->is_there != history->events[i - 1].is_there)
            violate(history, "of several events some are there");
    }
}

/* All that is not done comes from the cursor: with what was failed as often as it takes. */
static void judge_cursor(struct scarce_history *history)
{
    struct frame frame;
    bool has_come[EVENTS_MAX] = {false};
    follow(history, CURSOR, "book", "cursor", FOLLOW_FIRST);
    for (int i = 0; i < 8; i++)
        advance(history, 1000);
    while (actor_next(history->worker, &frame))
        if (frame.header.type == FRAME_DELIVER && frame.as.deliver.consumer == CURSOR &&
            wire_load_u32(frame.as.deliver.body.at) < history->event_count)
            has_come[wire_load_u32(frame.as.deliver.body.at)] = true;
    for (unsigned i = 0; i < history->event_count; i++)
        if (history->events[i].is_there && !history->events[i].is_done && !has_come[i])
            violate(history, "a cursor does not give what it is not done with");
}

const char *scarce_history_judge(struct scarce_history *history)
{
    forget_tags(history);
    if (!scarce_enter(history->publisher) || !scarce_enter(history->worker)) {
        violate(history, "a connection is refused although there is memory again");
        return history->violation;
    }
    for (unsigned i = 0; i < history->event_count; i++)
        history->events[i].is_there = false;
    create(history, "book");
    publish(history, "one", 20);
    append(history, 2);
    publish(history, NULL, 30);
    take_answers(history);
    for (unsigned i = history->event_count - 4; i < history->event_count; i++)
        if (history->events[i].fate != CONFIRMED)
            violate(history, "an event is not taken although there is memory again");
    read_all(history);
    judge_events(history);
    judge_cursor(history);
    return history->violation;
}
