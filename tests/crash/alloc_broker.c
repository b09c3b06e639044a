/* The broker without memory: every allocation of a scenario fails in turn, alone or with all behind
 * it.
 *
 *   alloc_broker [--seed S] [--life N]
 *
 * A broker on the simulated disk is given definitions, connections, messages that are small, large,
 * in pieces and for many queues, settlements and failures; part of it while memory is short.
 * Whatever fails must be refused, or close its connection. When there is memory again a new
 * connection works; what was confirmed is delivered; the broker starts again, short of memory at
 * first, and has it all still; and every block is given back. `--life N` fails only allocation N/2,
 * for good when N is odd.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/crash_world_run.h"
#include "tests/support/scarce.h"
#include "tests/support/scene.h"

/* The fake peers of the net floor's tests lie in the same archive; core_new draws in the real ones.
 */
#pragma weak peer_new

enum { SENDS_MAX = 64, BODY_LARGE = 20000, PIECE_BYTES = 6000, QUEUES = 6 };

/* Where memory runs out. */
struct shortage {
    uint64_t number; /* of the allocation */
    enum scarce_repeat repeat;
    bool is_in_start; /* not in the work */
};

struct trial {
    struct scene *scene;
    struct actor *sender;
    struct actor *worker;
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

/* So many rounds and no more: without memory a broker may have to try the same again and again. */
static void run(struct scene *scene)
{
    enum { ROUNDS = 12, ERRANDS = 8 };
    for (int i = 0; i < ROUNDS; i++)
        scene_step(scene, ERRANDS);
}

/* As actor_enter, where a peer may be refused for lack of memory. */
static bool enter(struct actor *actor)
{
    struct scene *scene = actor->scene;
    struct peer_origin origin = {.is_loopback = true, .text = "127.0.0.1:1"};
    unsigned char greeting[512];
    struct frame frame;
    bool is_in = false;
    actor_cut(actor);
    actor->in_start = actor->in_bytes = actor->out_bytes = 0;
    actor->tag = 0;
    actor->peer =
        scene->core != NULL && !scene->has_failed ? peer_new(scene->core, &origin, actor) : NULL;
    if (actor->peer == NULL)
        return false;
    actor_put(actor, greeting, actor_greeting(actor, greeting, sizeof greeting, 0, 0));
    actor_flush(actor);
    run(scene);
    while (actor_next(actor, &frame)) {
        if (frame.header.type == FRAME_HELLO_OK)
            actor->start = frame.as.hello_ok.start;
        is_in = is_in || frame.header.type == FRAME_AUTH_OK;
    }
    return is_in;
}

static void say(struct actor *actor, struct frame *frame)
{
    if (actor->peer == NULL || actor->scene->has_failed)
        return;
    (void)actor_write(actor, frame);
    actor_flush(actor);
    run(actor->scene);
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
    say(actor, &frame);
    for (int i = 0; i < 3; i++) {
        frame = (struct frame){.header.type = FRAME_BIND};
        frame.header.flags = i < 2 ? FLAG_TO_EXCHANGE : 0;
        frame.as.bind = (struct frame_bind){wire_bytes_of_text(i < 2 ? "more" : "work"),
                                            wire_bytes_of_text(i < 2 ? "news" : "more"),
                                            wire_bytes_of_text(i == 1 ? "b.#" : "#"),
                                            wire_bytes_of(filter, i > 0 ? sizeof filter : 0)};
        say(actor, &frame);
    }
    frame = (struct frame){.header.type = FRAME_UNBIND, .header.flags = FLAG_TO_EXCHANGE};
    frame.as.unbind = (struct frame_unbind){wire_bytes_of_text("more"), wire_bytes_of_text("news"),
                                            wire_bytes_of_text("b.#")};
    say(actor, &frame);
}

static void define(struct actor *actor)
{
    char name[16];
    struct frame frame = {.header.type = FRAME_EXCHANGE_CREATE};
    frame.as.exchange_create.exchange = wire_bytes_of_text("news");
    say(actor, &frame);
    for (int i = 0; i < QUEUES; i++) {
        frame = (struct frame){.header.type = FRAME_QUEUE_CREATE};
        frame.as.queue_create.queue = queue_name(i, name);
        say(actor, &frame);
        frame = (struct frame){.header.type = FRAME_BIND};
        frame.as.bind = (struct frame_bind){queue_name(i, name),
                                            wire_bytes_of_text("news"),
                                            wire_bytes_of_text(i % 2 == 0 ? "a.#" : "a.*.c"),
                                            {NULL, 0}};
        say(actor, &frame);
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
        say(worker, &frame);
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
    say(worker, &frame);
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
    say(trial->worker, &frame);
}

static void work(struct trial *trial)
{
    static const uint32_t sizes[] = {10, 300, BODY_LARGE, 4000, 20};
    define(trial->sender);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        send_one(trial, sizes[i], i % 2 == 1);
        run(trial->scene);
    }
    consume(trial);
    listen_sender(trial);
    listen_worker(trial, 3);
    actor_cut(trial->worker);
    if (enter(trial->worker))
        consume(trial);
    send_one(trial, 50, true);
    run(trial->scene);
    listen_sender(trial);
    listen_worker(trial, 2);
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
    if (!enter(trial->sender) || !enter(trial->worker)) {
        violate(trial, "a connection is refused although there is memory again");
        return;
    }
    memset(trial->tag_of, 0, sizeof trial->tag_of);
    define(trial->sender);
    send_one(trial, 100, true);
    size_t serial = trial->sent_count - 1;
    run(trial->scene);
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
}

static void on_note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context;
    (void)level;
    (void)area;
    (void)text;
}

/* As scene_start, where a core may be refused for lack of memory. */
static enum status start_scarce(struct scene *scene)
{
    struct core *core = core_new(&scene->limits, on_note, NULL);
    if (core == NULL)
        return STATUS_NO_MEMORY;
    enum status status = journal_open(
        &scene->journal, disk_sim_disk(scene->sim), &scene->options,
        &(struct journal_reader){.on_record = core_on_record, .argument = core}, &scene->failure);
    if (status == STATUS_OK)
        status = core_start(core, scene->journal, scene->now_ms);
    core_free(core);
    journal_free(scene->journal);
    scene->journal = NULL;
    return status;
}

/* Kills the broker and starts it again, the first time perhaps without memory. */
static void start_again(struct trial *trial, const struct shortage *shortage)
{
    struct scene *scene = trial->scene;
    scene_die(scene);
    disk_sim_kill(scene->sim);
    if (shortage->is_in_start) {
        scarce_fail_at(shortage->number, shortage->repeat);
        enum status status = start_scarce(scene);
        if (status != STATUS_OK && (status != STATUS_NO_MEMORY || !scarce_has_failed()))
            violate(trial, "a start failed for something else than lack of memory");
        scarce_end();
        disk_sim_kill(scene->sim);
    }
    if (trial->violation == NULL && !scene_start(scene))
        violate(trial, "the broker does not start again although there is memory");
}

static const char *run_one(uint64_t seed, uint64_t number, bool is_in_start)
{
    static struct trial trial;
    uint64_t block_count = scarce_block_count();
    trial = (struct trial){.scene = scene_new(seed)};
    trial.sender = scene_actor(trial.scene, "sender");
    trial.worker = scene_actor(trial.scene, "");
    if (!enter(trial.sender) || !enter(trial.worker))
        violate(&trial, "a connection is refused without a fault");
    const struct shortage shortage = {.number = number / 2,
                                      .repeat = number % 2 == 0 ? SCARCE_ONCE : SCARCE_FOREVER,
                                      .is_in_start = is_in_start};
    if (!is_in_start)
        scarce_fail_at(shortage.number, shortage.repeat);
    work(&trial);
    scarce_end();
    check_alive(&trial);
    if (trial.violation == NULL)
        start_again(&trial, &shortage);
    if (trial.violation == NULL)
        check_alive(&trial);
    scene_free(trial.scene);
    if (scarce_block_count() != block_count)
        violate(&trial, "memory was not given back");
    return trial.violation;
}

/* Numbers of lives from here on run short in the start. */
static const uint64_t first_start = 1000000;

static uint64_t run_all(const struct crash_run *run, uint64_t first, uint64_t *cases)
{
    uint64_t violations = 0;
    uint64_t number = run->life != UINT64_MAX ? run->life : first;
    do {
        bool is_in_start = number >= first_start;
        const char *violation =
            run_one(run->seed, is_in_start ? number - first_start : number, is_in_start);
        ++*cases;
        if (violation != NULL) {
            violations++;
            printf("violation: %s\n  again: alloc_broker --seed %" PRIu64 " --life %" PRIu64 "\n",
                   violation, run->seed, number);
        }
        number++;
    } while (scarce_has_failed() && run->life == UINT64_MAX);
    return violations;
}

int main(int count, char **word)
{
    struct crash_run run;
    uint64_t cases = 0;
    if (crash_run_begin(&run, "alloc_broker", UINT64_MAX, count, word) != STATUS_OK)
        return 2;
    uint64_t violations = run_all(&run, 0, &cases);
    if (run.life == UINT64_MAX)
        violations += run_all(&run, first_start, &cases);
    return crash_run_end(&run, cases, violations);
}
