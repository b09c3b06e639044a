/* Commands without memory: every allocation of their lives fails in turn, alone or with all behind
 * it.
 *
 *   alloc_command [--seed S] [--life N]
 *
 * Tracked commands, with keys, lanes, times, priorities and reply queues, are sent, watched, tried,
 * done, parked, edited, moved, retried, taken back, peeked at and purged; part of it while memory
 * is short. Whatever fails must be refused, or close its connection. When there is memory again
 * every command that was confirmed is known; an outcome that was told stays as it is, also when the
 * broker starts again, short of memory at first; a new command goes all its way; and every block is
 * given back. `--life N` fails only allocation N/2, for good when N is odd.
 */
#include <stdio.h>
#include <string.h>

#include "protocol/property.h"
#include "tests/support/scarce_scene.h"

enum { JOBS = 16, PROPERTY_BYTES = 256, CODE_BYTES = 32 };

/* What a command asks for. Every one is tracked. */
struct wish {
    const char *lane;
    const char *key;
    const char *reply_to;
    unsigned delay_ms;
    unsigned deadline_ms;
    unsigned ttl_ms;
    unsigned priority; /* 0: the usual one */
};

static const struct wish wishes[] = {
    {0},
    {.key = "once"},
    {.lane = "one"},
    {.lane = "one", .priority = 9},
    {.delay_ms = 100, .reply_to = "answers"},
    {.deadline_ms = 150},
    {.ttl_ms = 150, .lane = "two"},
    {.reply_to = "answers", .key = "twice"},
    {.lane = "two", .deadline_ms = 5000},
};

enum { WISHES = sizeof wishes / sizeof wishes[0] };

struct job {
    uint64_t tag;
    bool is_confirmed;
    bool is_refused;
    uint64_t number; /* of its place; 0: never handed out */
    uint8_t state;   /* the last that was told, once final */
    char code[CODE_BYTES];
};

struct trial {
    struct scene *scene;
    struct actor *sender;
    struct actor *worker;
    struct job jobs[JOBS];
    unsigned count;
    const char *violation;
};

static void violate(struct trial *trial, const char *text)
{
    if (trial->violation == NULL)
        trial->violation = text;
}

static struct wire_id id_of(unsigned n)
{
    struct wire_id id = {{0x01, 0x92, 0xf0}};
    id.byte[15] = (unsigned char)n;
    return id;
}

/* --- the sender ---------------------------------------------------------------------------------
 */

static void put_text(struct wire_writer *w, uint8_t kind, const char *value)
{
    if (value != NULL)
        property_put(w, kind, wire_bytes_of_text(value));
}

static void put_time(struct wire_writer *w, uint8_t kind, unsigned ms)
{
    if (ms > 0)
        property_put_number(w, kind, ms);
}

static struct wire_bytes properties_of(unsigned n, unsigned char room[PROPERTY_BYTES])
{
    const struct wish *wish = &wishes[n % WISHES];
    struct wire_id id = id_of(n);
    struct wire_writer w = wire_writer_of(room, PROPERTY_BYTES);
    property_put(&w, PROPERTY_MESSAGE_ID, wire_bytes_of(id.byte, sizeof id.byte));
    property_put_number(&w, PROPERTY_MESSAGE_TRACK, 1);
    put_text(&w, PROPERTY_MESSAGE_LANE, wish->lane);
    put_text(&w, PROPERTY_MESSAGE_KEY, n < WISHES ? wish->key : NULL);
    put_text(&w, PROPERTY_MESSAGE_REPLY_TO, wish->reply_to);
    put_time(&w, PROPERTY_MESSAGE_DELAY, wish->delay_ms);
    put_time(&w, PROPERTY_MESSAGE_TIMEOUT, wish->deadline_ms);
    put_time(&w, PROPERTY_MESSAGE_TTL, wish->ttl_ms);
    put_time(&w, PROPERTY_MESSAGE_PRIORITY, wish->priority);
    return wire_bytes_of(room, (uint32_t)wire_written(&w));
}

static void listen_sender(struct trial *trial)
{
    struct frame frame;
    while (actor_next(trial->sender, &frame))
        for (unsigned n = 0; n < trial->count; n++) {
            struct job *job = &trial->jobs[n];
            if (frame.header.type == FRAME_REFUSE && frame.header.tag == job->tag)
                job->is_refused = true;
            if (frame.header.type == FRAME_CONFIRM && job->tag >= frame.as.confirm.first &&
                job->tag <= frame.as.confirm.last && !job->is_refused)
                job->is_confirmed = true;
        }
}

static void send_one(struct trial *trial)
{
    unsigned char room[PROPERTY_BYTES];
    unsigned n = trial->count++;
    unsigned char body = (unsigned char)n;
    struct frame frame = {.header.type = FRAME_SEND};
    frame.as.send = (struct frame_send){.queue = wire_bytes_of_text("work"),
                                        .properties = properties_of(n, room),
                                        .body_bytes = 1,
                                        .body = wire_bytes_of(&body, 1)};
    trial->jobs[n].tag = scarce_say(trial->sender, &frame);
    listen_sender(trial);
}

static void watch(struct trial *trial, unsigned n, unsigned until)
{
    struct frame frame = {.header.type = FRAME_COMMAND_STATUS};
    frame.as.command_status = (struct frame_command_status){id_of(n), (uint8_t)until, 1000};
    (void)scarce_say(trial->sender, &frame);
}

static void call(struct trial *trial, uint8_t flags)
{
    struct frame frame = {.header.type = FRAME_CALL, .header.flags = flags};
    frame.as.call = (struct frame_call){.queue = wire_bytes_of_text("work"),
                                        .timeout_ms = 300,
                                        .body_bytes = 1,
                                        .body = wire_bytes_of_text("c")};
    (void)scarce_say(trial->sender, &frame);
}

static void define(struct trial *trial)
{
    static const char *const queues[] = {"work", "answers", "manual"};
    unsigned char settings[64];
    struct wire_writer w = wire_writer_of(settings, sizeof settings);
    property_put_number(&w, PROPERTY_QUEUE_ATTEMPTS, 2);
    property_put_number(&w, PROPERTY_QUEUE_LEASE, 400);
    for (unsigned i = 0; i < sizeof queues / sizeof *queues; i++) {
        struct frame frame = {.header.type = FRAME_QUEUE_CREATE};
        frame.as.queue_create.queue = wire_bytes_of_text(queues[i]);
        if (i == 0)
            frame.as.queue_create.settings = wire_bytes_of(settings, (uint32_t)wire_written(&w));
        (void)scarce_say(trial->sender, &frame);
    }
    struct frame frame = {.header.type = FRAME_SUBSCRIBE};
    frame.as.subscribe = (struct frame_subscribe){
        .consumer = 1, .exchange = wire_bytes_of_text("$sys"), .pattern = wire_bytes_of_text("#")};
    (void)scarce_say(trial->sender, &frame);
}

/* --- the worker ---------------------------------------------------------------------------------
 */

static void consume(struct trial *trial)
{
    struct frame frame = {.header.type = FRAME_CONSUME};
    frame.as.consume =
        (struct frame_consume){.queue = wire_bytes_of_text("work"), .prefetch_messages = JOBS};
    (void)scarce_say(trial->worker, &frame);
}

static void progress(struct actor *worker, uint64_t delivery)
{
    struct frame frame = {.header.type = FRAME_PROGRESS};
    frame.as.progress = (struct frame_progress){.start = worker->start,
                                                .delivery = delivery,
                                                .done = 1,
                                                .total = 2,
                                                .note = wire_bytes_of_text("half"),
                                                .checkpoint = wire_bytes_of_text("point")};
    (void)scarce_say(worker, &frame);
}

static void fail(struct actor *worker, uint64_t delivery, unsigned class)
{
    struct frame frame = {.header.type = FRAME_FAIL};
    frame.as.fail = (struct frame_fail){.start = worker->start,
                                        .delivery = delivery,
                                        .class = (uint8_t) class,
                                        .retry_after_ms = 50,
                                        .code = wire_bytes_of_text("BROKEN"),
                                        .text = wire_bytes_of_text("because")};
    (void)scarce_say(worker, &frame);
}

static void finish(struct actor *worker, uint64_t delivery)
{
    struct frame frame = {.header.type = FRAME_RESULT};
    frame.as.result = (struct frame_result){.start = worker->start,
                                            .delivery = delivery,
                                            .body_bytes = 6,
                                            .body = wire_bytes_of_text("result")};
    (void)scarce_say(worker, &frame);
}

/* Takes what came and says something about each; the second attempt is done. */
static void work_off(struct trial *trial, bool is_all_well)
{
    struct actor *worker = trial->worker;
    struct frame frame;
    while (actor_next(worker, &frame)) {
        if (frame.header.type != FRAME_DELIVER || frame.as.deliver.body.bytes == 0)
            continue;
        unsigned n = frame.as.deliver.body.at[0];
        uint64_t delivery = frame.as.deliver.delivery;
        if (n < trial->count)
            trial->jobs[n].number = frame.as.deliver.number;
        if (n < trial->count && trial->jobs[n].is_refused)
            violate(trial, "what was refused is delivered");
        if (is_all_well || frame.as.deliver.attempt > 1)
            finish(worker, delivery);
        else if (n % 4 == 0)
            fail(worker, delivery, FAIL_RETRYABLE);
        else if (n % 4 == 1)
            progress(worker, delivery); /* and not a word more */
        else if (n % 4 == 2)
            fail(worker, delivery, FAIL_PERMANENT);
        else
            finish(worker, delivery);
    }
}

static void pass(struct trial *trial, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += 50) {
        trial->scene->now_ms += 50;
        scarce_run(trial->scene);
    }
}

/* --- repair -------------------------------------------------------------------------------------
 */

static void peek(struct trial *trial, unsigned what)
{
    struct frame frame = {.header.type = FRAME_PEEK};
    frame.as.peek = (struct frame_peek){wire_bytes_of_text("work"), (uint8_t)what, 0};
    (void)scarce_say(trial->sender, &frame);
}

static void replace(struct trial *trial, unsigned n, const char *to)
{
    struct frame frame = {.header.type = FRAME_PARKED_REPLACE};
    frame.as.parked_replace = (struct frame_parked_replace){.queue = wire_bytes_of_text("work"),
                                                            .number = trial->jobs[n].number,
                                                            .to = wire_bytes_of_text(to),
                                                            .body_bytes = 1,
                                                            .body = wire_bytes_of_text("r")};
    (void)scarce_say(trial->sender, &frame);
}

static void repair(struct trial *trial, enum frame_type type)
{
    struct frame frame = {.header.type = type};
    frame.as.parked_retry = (struct frame_parked_retry){wire_bytes_of_text("work"), 0, UINT64_MAX};
    (void)scarce_say(trial->sender, &frame);
}

static void take_back(struct trial *trial, unsigned n)
{
    struct frame frame = {.header.type = FRAME_COMMAND_CANCEL};
    frame.as.command_cancel.id = id_of(n);
    (void)scarce_say(trial->sender, &frame);
}

static void purge(struct trial *trial)
{
    struct frame frame = {.header.type = FRAME_QUEUE_PURGE};
    frame.as.queue_purge.queue = wire_bytes_of_text("work");
    (void)scarce_say(trial->sender, &frame);
}

/* --- a life -------------------------------------------------------------------------------------
 */

static void work(struct trial *trial)
{
    define(trial);
    for (unsigned n = 0; n < WISHES; n++)
        send_one(trial);
    watch(trial, 0, COMMAND_CHANGES);
    watch(trial, 1, COMMAND_OUTCOME);
    call(trial, FLAG_DURABLE);
    call(trial, 0);
    take_back(trial, 8);
    peek(trial, PEEK_WAITING);
    consume(trial);
    work_off(trial, false);
    take_back(trial, 1);
    pass(trial, 200);
    work_off(trial, false);
    pass(trial, 500); /* leases end, deadlines pass */
    work_off(trial, false);
    peek(trial, PEEK_PARKED);
    replace(trial, 2, "");
    replace(trial, 6, "manual");
    repair(trial, FRAME_PARKED_RETRY);
    work_off(trial, false);
    repair(trial, FRAME_PARKED_DROP);
    send_one(trial);
    purge(trial);
    listen_sender(trial);
}

/* What is told of a command now; NULL: it is not known. */
static const struct frame_command_state *ask(struct trial *trial, unsigned n)
{
    static struct frame frame;
    struct frame question = {.header.type = FRAME_COMMAND_STATUS};
    question.as.command_status = (struct frame_command_status){id_of(n), COMMAND_NOW, 0};
    uint64_t tag = scarce_say(trial->sender, &question);
    while (actor_next(trial->sender, &frame))
        if (frame.header.tag == tag && frame.header.type == FRAME_COMMAND_STATE)
            return &frame.as.command_state;
    return NULL;
}

static void check_known(struct trial *trial, unsigned n)
{
    struct job *job = &trial->jobs[n];
    const struct frame_command_state *state = ask(trial, n);
    char code[CODE_BYTES];
    if (state == NULL) {
        if (job->is_confirmed)
            violate(trial, "a confirmed command is not known");
        return;
    }
    (void)snprintf(code, sizeof code, "%.*s", (int)state->code.bytes, (const char *)state->code.at);
    bool was_final = job->state >= COMMAND_DONE;
    if (was_final && (state->state != job->state || strcmp(code, job->code) != 0))
        violate(trial, "an outcome has changed");
    job->state = state->state;
    (void)snprintf(job->code, sizeof job->code, "%s", code);
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
    for (unsigned n = 0; n < trial->count; n++)
        trial->jobs[n].tag = UINT64_MAX;
    define(trial);
    send_one(trial);
    unsigned last = trial->count - 1;
    if (!trial->jobs[last].is_confirmed)
        violate(trial, "a command is not taken although there is memory again");
    repair(trial, FRAME_PARKED_DROP); /* lanes may wait for it */
    consume(trial);
    for (unsigned i = 0; i < 20; i++) {
        work_off(trial, true);
        pass(trial, 100);
    }
    for (unsigned n = 0; n < trial->count; n++)
        check_known(trial, n);
    for (unsigned n = 0; n < trial->count; n++)
        if (trial->jobs[n].is_confirmed && trial->jobs[n].state < COMMAND_DONE)
            violate(trial, "a command has no outcome in the end");
    if (trial->jobs[last].state != COMMAND_DONE)
        violate(trial, "a command is not done although there is memory again");
}

static const char *live(uint64_t seed, const struct shortage *shortage)
{
    static struct trial trial;
    trial = (struct trial){.scene = scene_new(seed)};
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
    scene_free(trial.scene);
    return trial.violation;
}

int main(int count, char **word)
{
    return scarce_main("alloc_command", live, count, word);
}
