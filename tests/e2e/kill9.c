/* Kills the real daemon again and again under load, and judges what its clients saw.
 *
 *   kill9 [CYCLES]        50 without argument
 *
 * Four named publishers send and resume after each kill, four consumers settle what they get. At
 * the end everything is drained and the history is checked: D1, D3, Q2, Q3, Q4, Q6, rule 8. A run
 * that confirmed fewer than 5,000 messages or saw fewer than 30 redeliveries says nothing and
 * counts as failed.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "protocol/property.h"
#include "tests/support/chance.h"
#include "tests/support/daemon.h"
#include "tests/support/history.h"
#include "tests/support/talk.h"

enum {
    PUBLISHERS = 4,
    CONSUMERS = 4,
    CYCLES = 50,
    WINDOW = 64,
    PACE_MS = 1, /* per window: the messages must last for all kills */
    PREFETCH = 16,
    MESSAGES_MAX = 400000,
    BODY_BYTES_MAX = 1500,
    CONFIRMED_MIN = 5000,
    REDELIVERED_MIN = 30,
    DRAIN_SECONDS = 30,
};

struct run {
    struct daemon *daemon;
    struct history *history;
    atomic_bool is_ending; /* nothing new is published */
    atomic_bool is_drained;
    atomic_uint message_count;
};

struct worker {
    struct run *run;
    pthread_t thread;
    uint32_t number;
    struct chance chance;
    _Atomic int file; /* -1: not connected */
};

static void pause_ms(unsigned ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Connects to the daemon, which may be dead just now: -1. */
static int try_connect(const struct daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = daemon_url(daemon) + strlen("unix:");
    size_t bytes = strlen(path) + 1;
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file < 0 || bytes > sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, bytes);
    if (connect(file, (const struct sockaddr *)&address, sizeof address) == 0)
        return file;
    close(file);
    return -1;
}

/* A talk behind HELLO and AUTH, or NULL. *answered is what AUTH_OK says. */
static struct talk *enter(struct worker *worker, const char *client, bool resumes, uint64_t seen,
                          uint64_t *answered)
{
    int file = try_connect(worker->run->daemon);
    if (file < 0)
        return NULL;
    struct timeval patience = {.tv_sec = 10};
    (void)setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct talk *talk = talk_over(file);
    worker->file = file;
    struct frame frame = {.header.type = FRAME_HELLO};
    frame.as.hello = (struct frame_hello){.version = FRAME_VERSION,
                                          .frame_bytes_max = TALK_ROOM_BYTES,
                                          .client = wire_bytes_of_text(client),
                                          .seen = seen,
                                          .resume = resumes,
                                          .product = wire_bytes_of_text("kill9")};
    struct frame auth = {.header.type = FRAME_AUTH};
    auth.as.auth.mechanism = wire_bytes_of_text("EXTERNAL");
    if (talk_put(talk, frame_magic, FRAME_MAGIC_BYTES) && talk_say(talk, &frame) &&
        talk_say(talk, &auth) && talk_take_type(talk, FRAME_HELLO_OK, &frame)) {
        talk->start = frame.as.hello_ok.start;
        if (talk_take_type(talk, FRAME_AUTH_OK, &frame)) {
            *answered = frame.as.auth_ok.answered;
            return talk;
        }
    }
    worker->file = -1;
    talk_end(talk);
    return NULL;
}

static void leave(struct worker *worker, struct talk *talk)
{
    worker->file = -1;
    talk_end(talk);
}

/* --- publishers ---------------------------------------------------------------------------------
 */

/* Tags and messages of one publisher; each has one message per tag, from 1. */
struct outbox {
    uint32_t *message_of; /* by tag */
    uint64_t tag_count;
    uint64_t answered; /* every tag up to here has its answer */
};

static bool send_tag(struct worker *worker, struct talk *talk, const struct outbox *outbox,
                     uint64_t tag)
{
    unsigned char body[BODY_BYTES_MAX];
    uint32_t message = outbox->message_of[tag];
    uint32_t bytes = 4 + (uint32_t)chance_below(&worker->chance, BODY_BYTES_MAX - 4);
    memset(body, (int)(message & 0x7f), sizeof body);
    wire_store_u32(body, message);
    struct frame frame = {.header.type = FRAME_SEND, .header.tag = tag};
    frame.as.send.queue = wire_bytes_of_text("work");
    frame.as.send.body = wire_bytes_of(body, bytes);
    frame.as.send.body_bytes = bytes;
    return talk_say(talk, &frame);
}

static bool send_new(struct worker *worker, struct talk *talk, struct outbox *outbox)
{
    struct run *run = worker->run;
    uint32_t message = atomic_fetch_add(&run->message_count, 1);
    if (message >= MESSAGES_MAX) {
        run->is_ending = true;
        atomic_fetch_sub(&run->message_count, 1);
        return true;
    }
    outbox->message_of[++outbox->tag_count] = message;
    history_note(run->history, &(struct history_event){.kind = HISTORY_SENT,
                                                       .message = message,
                                                       .publisher = worker->number});
    return send_tag(worker, talk, outbox, outbox->tag_count);
}

/* Takes one frame. False: the connection is gone. */
static bool take_answer(struct worker *worker, struct talk *talk, struct outbox *outbox)
{
    struct frame frame;
    if (!talk_take(talk, &frame))
        return false;
    struct history *history = worker->run->history;
    if (frame.header.type == FRAME_REFUSE)
        history_note(history,
                     &(struct history_event){.kind = HISTORY_REFUSED,
                                             .message = outbox->message_of[frame.header.tag]});
    if (frame.header.type != FRAME_CONFIRM)
        return frame.header.type != FRAME_CLOSE;
    for (uint64_t tag = frame.as.confirm.first; tag <= frame.as.confirm.last; tag++) {
        history_note(history, &(struct history_event){.kind = HISTORY_CONFIRMED,
                                                      .message = outbox->message_of[tag]});
    }
    outbox->answered = frame.as.confirm.last;
    return true;
}

/* One connection, from its beginning to its end. */
static void publish_on(struct worker *worker, struct talk *talk, struct outbox *outbox,
                       uint64_t answered)
{
    bool is_alive = true;
    for (uint64_t tag = answered + 1; is_alive && tag <= outbox->tag_count; tag++)
        is_alive = send_tag(worker, talk, outbox, tag);
    while (is_alive) {
        while (is_alive && !worker->run->is_ending && outbox->tag_count - outbox->answered < WINDOW)
            is_alive = send_new(worker, talk, outbox);
        pause_ms(outbox->tag_count - outbox->answered == WINDOW ? PACE_MS : 0);
        if (outbox->answered == outbox->tag_count && worker->run->is_ending)
            return;
        is_alive = is_alive && take_answer(worker, talk, outbox);
    }
}

static void *publish(void *argument)
{
    struct worker *worker = argument;
    struct outbox outbox = {.message_of = calloc(MESSAGES_MAX + 1, sizeof(uint32_t))};
    char client[32];
    (void)snprintf(client, sizeof client, "publisher-%u", worker->number);
    bool was_let_in = false;
    while (!worker->run->is_ending || outbox.answered < outbox.tag_count) {
        uint64_t answered = 0;
        struct talk *talk = enter(worker, client, was_let_in, outbox.answered, &answered);
        if (talk == NULL) {
            pause_ms(2);
            continue;
        }
        was_let_in = true;
        publish_on(worker, talk, &outbox, answered);
        leave(worker, talk);
    }
    free(outbox.message_of);
    return NULL;
}

/* --- consumers ----------------------------------------------------------------------------------
 */

/* Settlements of one connection that wait for their confirm. */
struct settling {
    uint64_t tag;
    uint32_t message;
};

struct session {
    struct worker *worker;
    struct talk *talk;
    struct settling settling[4096];
    size_t first;
    size_t end;
};

static void note_of(const struct session *session, enum history_kind kind, uint32_t message)
{
    history_note(
        session->worker->run->history,
        &(struct history_event){.kind = kind, .message = message, .start = session->talk->start});
}

static bool on_delivery(struct session *session, const struct frame *frame)
{
    const struct frame_deliver *deliver = &frame->as.deliver;
    uint32_t message = wire_load_u32(deliver->body.at);
    uint64_t delivery = deliver->delivery;
    uint32_t start = session->talk->start;
    if (message >= MESSAGES_MAX)
        message = MESSAGES_MAX; /* a phantom */
    struct history_event event = {.kind = HISTORY_DELIVERED,
                                  .message = message,
                                  .publisher = session->worker->number,
                                  .start = start,
                                  .number = deliver->number,
                                  .is_redelivered = (frame->header.flags & FLAG_REDELIVERED) != 0};
    history_note(session->worker->run->history, &event);
    if (chance_below(&session->worker->chance, 50) == 0) {
        struct frame release = {.header.type = FRAME_RELEASE};
        release.as.release = (struct frame_release){start, delivery, delivery};
        note_of(session, HISTORY_GIVEN_BACK, message);
        return talk_say_tagged(session->talk, &release) != 0;
    }
    struct frame done = {.header.type = FRAME_DONE};
    done.as.done = (struct frame_done){start, delivery, delivery};
    note_of(session, HISTORY_SETTLED, message);
    uint64_t tag = talk_say_tagged(session->talk, &done);
    session->settling[session->end++ % 4096] = (struct settling){tag, message};
    return tag != 0;
}

static void on_confirm(struct session *session, uint64_t last)
{
    while (session->first < session->end && session->settling[session->first % 4096].tag <= last) {
        uint32_t message = session->settling[session->first++ % 4096].message;
        note_of(session, HISTORY_SETTLED_SURE, message);
    }
}

static void consume_on(struct session *session)
{
    struct frame frame = talk_consume(1, "work", PREFETCH);
    bool is_alive = talk_say_tagged(session->talk, &frame) != 0;
    while (is_alive && talk_take(session->talk, &frame)) {
        if (frame.header.type == FRAME_DELIVER)
            is_alive = on_delivery(session, &frame);
        else if (frame.header.type == FRAME_CONFIRM)
            on_confirm(session, frame.as.confirm.last);
    }
}

static void *consume(void *argument)
{
    struct worker *worker = argument;
    struct session *session = calloc(1, sizeof *session);
    while (!worker->run->is_drained) {
        uint64_t answered;
        struct talk *talk = enter(worker, "", false, 0, &answered);
        if (talk == NULL) {
            pause_ms(2);
            continue;
        }
        *session = (struct session){.worker = worker, .talk = talk};
        consume_on(session);
        leave(worker, talk);
    }
    free(session);
    return NULL;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static void start_workers(struct run *run, struct worker *workers, uint64_t seed)
{
    for (uint32_t i = 0; i < PUBLISHERS + CONSUMERS; i++) {
        workers[i] = (struct worker){.run = run, .number = i, .chance = {seed + i}, .file = -1};
        if (pthread_create(&workers[i].thread, NULL, i < PUBLISHERS ? publish : consume,
                           &workers[i]) != 0) {
            fprintf(stderr, "kill9: cannot start a thread\n");
            exit(1);
        }
    }
}

static void create_queue(struct run *run)
{
    struct talk *talk = talk_over(daemon_connect(run->daemon));
    struct frame frame = talk_queue_create("work");
    if (!talk_open(talk, "EXTERNAL", 0, "") || talk_ask(talk, &frame) != STATUS_OK) {
        fprintf(stderr, "kill9: cannot create the queue\n");
        exit(1);
    }
    talk_end(talk);
}

/* Messages in the queue, with consumers or waiting. */
static uint64_t queue_messages(struct run *run)
{
    uint64_t messages = UINT64_MAX;
    struct talk *talk = talk_over(daemon_connect(run->daemon));
    struct frame frame = {.header.type = FRAME_QUERY};
    frame.as.query.subject = QUERY_QUEUE;
    frame.as.query.name = wire_bytes_of_text("work");
    if (talk_open(talk, "EXTERNAL", 0, "") && talk_say_tagged(talk, &frame) != 0 &&
        talk_take_type(talk, FRAME_ROW, &frame)) {
        struct wire_reader r = wire_reader_of(frame.as.row.fields.at, frame.as.row.fields.bytes);
        struct row_field field;
        while (row_next(&r, &field))
            if (wire_bytes_equal(field.name, wire_bytes_of_text("messages")))
                messages = field.number;
    }
    talk_end(talk);
    return messages;
}

/* Waits until publishers and consumers are done with everything; false when they are not in time.
 */
static bool drain(struct run *run, struct worker *workers)
{
    run->is_ending = true;
    for (int i = 0; i < PUBLISHERS; i++)
        pthread_join(workers[i].thread, NULL);
    bool is_drained = false;
    for (int i = 0; i < DRAIN_SECONDS * 20 && !is_drained; i++) {
        pause_ms(50);
        is_drained = queue_messages(run) == 0;
    }
    pause_ms(200); /* what must not come would come now */
    run->is_drained = true;
    for (int i = PUBLISHERS; i < PUBLISHERS + CONSUMERS; i++) {
        int file = workers[i].file;
        if (file >= 0)
            (void)shutdown(file, SHUT_RDWR);
        pthread_join(workers[i].thread, NULL);
    }
    return is_drained;
}

static int report(const struct history *history, bool is_drained)
{
    struct history_findings found = history_judge(history);
    printf("%" PRIu64 " sent, %" PRIu64 " confirmed, %" PRIu64 " refused, %" PRIu64
           " delivered, %" PRIu64 " of them again, %" PRIu64 " settled\n",
           found.sent, found.confirmed, found.refused, found.delivered, found.redelivered,
           found.settled);
    const struct {
        const char *name;
        uint64_t count;
    } checks[] = {
        {"lost", found.lost},
        {"never sent", found.phantoms},
        {"again and not flagged", found.unflagged},
        {"back after their settlement", found.resurrected},
        {"out of order", found.disordered},
        {"with two owners", found.doubly_owned},
        {"answered twice", found.answered_twice},
        {"answered and never sent", found.answered_unsent},
        {"not drained in time", !is_drained},
        {"confirmed too few to say anything", found.confirmed < CONFIRMED_MIN},
        {"redelivered too few to say anything", found.redelivered < REDELIVERED_MIN},
    };
    int failed = 0;
    int count = (int)(sizeof checks / sizeof checks[0]);
    for (int i = 0; i < count; i++) {
        if (checks[i].count == 0)
            continue;
        failed++;
        printf("FAIL %" PRIu64 " %s\n", checks[i].count, checks[i].name);
    }
    printf("%d passed, %d failed\n", count - failed, failed);
    return failed == 0 ? 0 : 1;
}

int main(int count, char **word)
{
    int cycles = count > 1 ? (int)strtol(word[1], NULL, 10) : CYCLES;
    struct run run = {.history = history_new()};
    struct worker workers[PUBLISHERS + CONSUMERS];
    uint64_t seed = (uint64_t)time(NULL);
    struct chance chance = {seed};
    (void)signal(SIGPIPE, SIG_IGN);
    printf("seed %" PRIu64 ", %d kills\n", seed, cycles);
    run.daemon = daemon_start(NULL, NULL);
    create_queue(&run);
    start_workers(&run, workers, seed);
    for (int i = 0; i < cycles; i++) {
        pause_ms(20 + (unsigned)chance_below(&chance, 280));
        daemon_kill9(run.daemon);
        daemon_restart(run.daemon);
    }
    bool is_drained = drain(&run, workers);
    int code = report(run.history, is_drained);
    daemon_free(run.daemon);
    history_free(run.history);
    return code;
}
