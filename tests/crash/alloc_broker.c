/* The broker without memory: every allocation of a scenario fails in turn, alone or with all behind
 * it.
 *
 *   alloc_broker [--seed S] [--life N]
 *
 * A broker on the simulated disk is given definitions, connections, messages that are small, large,
 * in pieces and for many queues, settlements and failures, and histories (scarce_history.h); part
 * of it while memory is short. Whatever fails must be refused, or close its connection. When there
 * is memory again a new connection works; what was confirmed is delivered; the broker starts again,
 * short of memory at first, and has it all still; and every block is given back. `--life N` fails
 * only allocation N/2, for good when N is odd.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/scarce_history.h"
#include "tests/support/scarce_scene.h"

enum { SENDS_MAX = 64, BODY_LARGE = 20000, PIECE_BYTES = 6000, QUEUES = 6 };

struct trial {
    struct scene *scene;
    struct actor *sender;
    struct actor *worker;
    struct scarce_history *history;
    size_t sent_count;
    bool is_confirmed[SENDS_MAX]; /* by serial of the message, to the queue `work` */
    bool is_refused[SENDS_MAX];
    bool is_event[SENDS_MAX];   /* whose binding may have been refused */
    bool is_settled[SENDS_MAX]; /* or tried */
    bool is_seen[SENDS_MAX];
    uint64_t tag_of[SENDS_MAX];
    const char *violation;
};

static void violate(struct trial *trial, const char *text)
{
    if (trial->violation == NULL)
        trial->violation = text;
}

static struct wire_bytes queue_name(int i, char name[16])
{
    (void)snprintf(name, 16, "queue-%d", i);
    return i == 0 ? wire_bytes_of_text("work") : wire_bytes_of_text(name);
}

/* A filter, another exchange behind the first, and both at once. */
static void define_ways(struct actor *actor)
{
    static const unsigned char filter[] = {1, 'k', 1, 0, 'v'};
    struct frame frame = {.header.type = FRAME_EXCHANGE_CREATE};
    frame.as.exchange_create.exchange = wire_bytes_of_text("more");
    (void)scarce_say(actor, &frame);
    for (int i = 0; i < 3; i++) {
        frame = (struct frame){.header.type = FRAME_BIND};
        frame.header.flags = i < 2 ? FLAG_TO_EXCHANGE : 0;
        frame.as.bind = (struct frame_bind){wire_bytes_of_text(i < 2 ? "more" : "work"),
                                            wire_bytes_of_text(i < 2 ? "news" : "more"),
                                            wire_bytes_of_text(i == 1 ? "b.#" : "#"),
                                            wire_bytes_of(filter, i > 0 ? sizeof filter : 0)};
        (void)scarce_say(actor, &frame);
    }
    frame = (struct frame){.header.type = FRAME_UNBIND, .header.flags = FLAG_TO_EXCHANGE};
    frame.as.unbind = (struct frame_unbind){wire_bytes_of_text("more"), wire_bytes_of_text("news"),
                                            wire_bytes_of_text("b.#")};
    (void)scarce_say(actor, &frame);
}

static void define(struct actor *actor)
{
    char name[16];
    struct frame frame = {.header.type = FRAME_EXCHANGE_CREATE};
    frame.as.exchange_create.exchange = wire_bytes_of_text("news");
    (void)scarce_say(actor, &frame);
    for (int i = 0; i < QUEUES; i++) {
        frame = (struct frame){.header.type = FRAME_QUEUE_CREATE};
        frame.as.queue_create.queue = queue_name(i, name);
        (void)scarce_say(actor, &frame);
        frame = (struct frame){.header.type = FRAME_BIND};
        frame.as.bind = (struct frame_bind){queue_name(i, name),
                                            wire_bytes_of_text("news"),
                                            wire_bytes_of_text(i % 2 == 0 ? "a.#" : "a.*.c"),
                                            {NULL, 0}};
        (void)scarce_say(actor, &frame);
    }
    define_ways(actor);
}

/* Sends a message with its serial at the front, in pieces when it is long. */
static void send_one(struct trial *trial, uint32_t bytes, bool is_event)
{
    static unsigned char body[BODY_LARGE];
    struct actor *actor = trial->sender;
    if (actor->peer == NULL || trial->sent_count == SENDS_MAX)
        return;
    size_t serial = trial->sent_count++;
    trial->is_event[serial] = is_event;
    memset(body, (int)serial, bytes);
    uint32_t first = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
    struct frame frame = {.header.type = is_event ? FRAME_PUBLISH : FRAME_SEND};
    if (is_event) {
        frame.as.publish.exchange = wire_bytes_of_text("news");
        frame.as.publish.key = wire_bytes_of_text("a.b.c");
        frame.as.publish.body = wire_bytes_of(body, first);
        frame.as.publish.body_bytes = bytes;
    } else {
        frame.as.send.queue = wire_bytes_of_text("work");
        frame.as.send.body = wire_bytes_of(body, first);
        frame.as.send.body_bytes = bytes;
    }
    trial->tag_of[serial] = actor_write(actor, &frame);
    for (uint32_t sent = first; sent < bytes; sent += PIECE_BYTES) {
        struct frame piece = {.header.type = FRAME_PIECE};
        uint32_t left = bytes - sent;
        piece.as.piece.body = wire_bytes_of(body + sent, left < PIECE_BYTES ? left : PIECE_BYTES);
        (void)actor_write(actor, &piece);
    }
    actor_flush(actor);
}

static void listen_sender(struct trial *trial)
{
    struct frame frame;
    while (actor_next(trial->sender, &frame))
        for (size_t i = 0; i < trial->sent_count; i++) {
            if (frame.header.type == FRAME_REFUSE && frame.header.tag == trial->tag_of[i])
                trial->is_refused[i] = true;
            if (frame.header.type == FRAME_CONFIRM && trial->tag_of[i] >= frame.as.confirm.first &&
                trial->tag_of[i] <= frame.as.confirm.last && !trial->is_refused[i])
                trial->is_confirmed[i] = true;
        }
}

static void settle(struct trial *trial, uint64_t delivery, size_t serial)
{
    struct actor *worker = trial->worker;
    struct frame frame = {.header.type = FRAME_DONE};
    if (serial % 4 == 3) {
        frame.header.type = FRAME_RELEASE;
        frame.as.release = (struct frame_release){worker->start, delivery, delivery};
        (void)scarce_say(worker, &frame);
        return;
    }
    trial->is_settled[serial] = true;
    if (serial % 4 == 2) {
        frame.header.type = FRAME_FAIL;
        frame.as.fail = (struct frame_fail){.start = worker->start,
                                            .delivery = delivery,
                                            .class = FAIL_PERMANENT,
                                            .code = wire_bytes_of_text("NO")};
    } else {
        frame.as.done = (struct frame_done){worker->start, delivery, delivery};
    }
    (void)scarce_say(worker, &frame);
}

/* Takes what came; settles so many of it. */
static void listen_worker(struct trial *trial, size_t settles)
{
    struct frame frame;
    while (actor_next(trial->worker, &frame)) {
        if (frame.header.type != FRAME_DELIVER || frame.as.deliver.body.bytes == 0)
            continue;
        size_t serial = frame.as.deliver.body.at[0];
        uint64_t delivery = frame.as.deliver.delivery;
        if (serial >= trial->sent_count || trial->is_refused[serial])
            violate(trial, "what was refused or never sent is delivered");
        else
            trial->is_seen[serial] = true;
        if (serial < trial->sent_count && settles > 0) {
            settles--;
            settle(trial, delivery, serial);
        }
    }
}

static void consume(struct trial *trial)
{
    struct frame frame = {.header.type = FRAME_CONSUME};
    frame.as.consume =
        (struct frame_consume){.queue = wire_bytes_of_text("work"), .prefetch_messages = SENDS_MAX};
    (void)scarce_say(trial->worker, &frame);
}

static void work(struct trial *trial)
{
    static const uint32_t sizes[] = {10, 300, BODY_LARGE, 4000, 20};
    define(trial->sender);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        send_one(trial, sizes[i], i % 2 == 1);
        scarce_run(trial->scene);
    }
    consume(trial);
    listen_sender(trial);
    listen_worker(trial, 3);
    actor_cut(trial->worker);
    if (scarce_enter(trial->worker))
        consume(trial);
    send_one(trial, 50, true);
    scarce_run(trial->scene);
    listen_sender(trial);
    listen_worker(trial, 2);
    scarce_history_work(trial->history);
}

/* Everybody connects anew and all works: there is memory again. */
static void check_alive(struct trial *trial)
{
    if (trial->scene->has_failed) {
        violate(trial, "lack of memory ended the broker");
        return;
    }
    actor_cut(trial->sender);
    actor_cut(trial->worker);
    if (!scarce_enter(trial->sender) || !scarce_enter(trial->worker)) {
        violate(trial, "a connection is refused although there is memory again");
        return;
    }
    memset(trial->tag_of, 0, sizeof trial->tag_of);
    define(trial->sender);
    send_one(trial, 100, true);
    size_t serial = trial->sent_count - 1;
    scarce_run(trial->scene);
    listen_sender(trial);
    consume(trial);
    listen_worker(trial, 0);
    if (!trial->is_confirmed[serial] || !trial->is_seen[serial])
        violate(trial, "a message does not get through although there is memory again");
    for (size_t i = 0; i < trial->sent_count; i++)
        if (trial->is_confirmed[i] && !trial->is_seen[i] && !trial->is_settled[i] &&
            !trial->is_event[i])
            violate(trial, "a confirmed message is not there");
    memset(trial->is_seen, 0, sizeof trial->is_seen);
    const char *violation = scarce_history_judge(trial->history);
    if (violation != NULL)
        violate(trial, violation);
}

static const char *live(uint64_t seed, const struct shortage *shortage)
{
    static struct trial trial;
    struct core_limits limits = scene_limits();
    scarce_history_limits(&limits);
    trial = (struct trial){.scene = scene_new_with(seed, &limits)};
    trial.history = scarce_history_new(trial.scene);
    trial.sender = scene_actor(trial.scene, "sender");
    trial.worker = scene_actor(trial.scene, "");
    if (!scarce_enter(trial.sender) || !scarce_enter(trial.worker))
        violate(&trial, "a connection is refused without a fault");
    scarce_begin(shortage);
    work(&trial);
    scarce_end();
    check_alive(&trial);
    if (trial.violation == NULL)
        trial.violation = scarce_start_again(trial.scene, shortage);
    if (trial.violation == NULL)
        check_alive(&trial);
    scarce_history_free(trial.history);
    scene_free(trial.scene);
    return trial.violation;
}

int main(int count, char **word)
{
    return scarce_main("alloc_broker", live, count, word);
}
