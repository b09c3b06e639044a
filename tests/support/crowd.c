/* Publishers and consumers that stay at work while the daemon under them is killed and started
 * again. */
#include "tests/support/crowd.h"

#include <pthread.h>
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
#include "tests/support/talk.h"

enum {
    PUBLISHERS = 4,
    CONSUMERS = 4,
    WORKERS = PUBLISHERS + CONSUMERS + 1, /* the last one is for `slow` */
    WINDOW = 64,
    PACE_MS = 1, /* per window: the messages must last for all kills */
    PREFETCH = 16,
    MESSAGES_MAX = 4000000,
    BODY_BYTES_MAX = 1500,
    BODY_BYTES_LARGE = 40000,
    FRAME_EXTRA_BYTES = 128, /* a message's frame without its body is smaller */
    SETTLING_MAX = 4096,
    DRAIN_SECONDS = 60,
};

enum queue { QUEUE_WORK, QUEUE_NORTH, QUEUE_SOUTH, QUEUE_SLOW, QUEUES };

static const char *const queue_names[QUEUES] = {"work", "north", "south", "slow"};

struct worker {
    struct crowd *crowd;
    pthread_t thread;
    uint32_t number;
    struct chance chance;
    _Atomic int file; /* -1: not connected */
};

struct crowd {
    struct daemon *daemon;
    struct history *history;
    atomic_bool is_ending; /* nothing new is published */
    atomic_bool is_drained;
    atomic_uint message_count;
    struct worker workers[WORKERS];
};

static void die(const char *what)
{
    fprintf(stderr, "crowd: cannot %s\n", what);
    exit(1);
}

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
    int file = try_connect(worker->crowd->daemon);
    if (file < 0)
        return NULL;
    struct timeval patience = {.tv_sec = 10};
    (void)setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct talk *talk = talk_over(file);
    worker->file = file;
    const struct frame_hello hello = {.version = FRAME_VERSION,
                                      .frame_bytes_max = TALK_ROOM_BYTES,
                                      .client = wire_bytes_of_text(client),
                                      .seen = seen,
                                      .resume = resumes,
                                      .product = wire_bytes_of_text("crowd")};
    if (talk_enter(talk, &hello, answered))
        return talk;
    worker->file = -1;
    talk_end(talk);
    return NULL;
}

static void leave(struct worker *worker, struct talk *talk)
{
    worker->file = -1;
    talk_end(talk);
}

/* --- messages -----------------------------------------------------------------------------------
 */

/* Everything about a message follows from its index, so that it is the same when it is sent again
 * and can be judged when it comes. */
static uint64_t message_chance(uint32_t message, uint64_t count)
{
    struct chance chance = {message};
    return chance_next(&chance) % count;
}

static bool message_is_event(uint32_t message)
{
    return message % 5 == 0;
}

static enum queue message_queue(uint32_t message)
{
    return message % 50 == 1 ? QUEUE_SLOW : QUEUE_WORK;
}

static uint32_t message_bytes(uint32_t message)
{
    uint32_t most = message % 100 == 7 ? BODY_BYTES_LARGE : BODY_BYTES_MAX;
    return 4 + (uint32_t)message_chance(message, most - 4);
}

static void message_fill(unsigned char *body, uint32_t message)
{
    memset(body, (int)(message & 0x7f), message_bytes(message));
    wire_store_u32(body, message);
}

/* The message that a delivery is, MESSAGES_MAX if it is not what any message looks like. */
static uint32_t message_of(const struct frame_deliver *deliver)
{
    unsigned char body[BODY_BYTES_LARGE];
    if (deliver->body.bytes < 4)
        return MESSAGES_MAX;
    uint32_t message = wire_load_u32(deliver->body.at);
    if (message >= MESSAGES_MAX || deliver->body.bytes != message_bytes(message))
        return MESSAGES_MAX;
    message_fill(body, message);
    return memcmp(body, deliver->body.at, deliver->body.bytes) == 0 ? message : MESSAGES_MAX;
}

/* --- publishers ---------------------------------------------------------------------------------
 */

/* Tags and messages of one publisher; each has one message per tag, from 1. */
struct outbox {
    uint32_t *message_of; /* by tag */
    bool *is_refused;     /* by tag */
    uint64_t tag_count;
    uint64_t next;     /* the tag to send next on this connection */
    uint64_t answered; /* every tag up to here has its answer */
    int64_t credit_messages;
    int64_t credit_bytes;
};

static bool send_tag(struct talk *talk, struct outbox *outbox)
{
    unsigned char body[BODY_BYTES_LARGE];
    uint32_t message = outbox->message_of[outbox->next];
    uint32_t bytes = message_bytes(message);
    struct wire_bytes whole = wire_bytes_of(body, bytes);
    message_fill(body, message);
    struct frame frame = {.header.tag = outbox->next++};
    if (message_is_event(message)) {
        frame.header.type = FRAME_PUBLISH;
        frame.as.publish.exchange = wire_bytes_of_text("news");
        frame.as.publish.key = wire_bytes_of_text(message % 2 == 0 ? "day.one" : "day.two");
        frame.as.publish.body = whole;
        frame.as.publish.body_bytes = bytes;
    } else {
        frame.header.type = FRAME_SEND;
        frame.as.send.queue = wire_bytes_of_text(queue_names[message_queue(message)]);
        frame.as.send.body = whole;
        frame.as.send.body_bytes = bytes;
    }
    outbox->credit_messages--;
    outbox->credit_bytes -= bytes + FRAME_EXTRA_BYTES;
    return talk_say(talk, &frame);
}

static void add_new(struct worker *worker, struct outbox *outbox)
{
    struct crowd *crowd = worker->crowd;
    uint32_t message = atomic_fetch_add(&crowd->message_count, 1);
    if (message >= MESSAGES_MAX)
        die("make so many messages");
    outbox->message_of[++outbox->tag_count] = message;
    uint8_t queues = message_is_event(message) ? 1u << QUEUE_NORTH | 1u << QUEUE_SOUTH
                                               : (uint8_t)(1u << message_queue(message));
    history_note(crowd->history, &(struct history_event){.kind = HISTORY_SENT,
                                                         .message = message,
                                                         .publisher = worker->number,
                                                         .queues = queues});
}

static void note_answer(struct worker *worker, enum history_kind kind, uint32_t message)
{
    history_note(worker->crowd->history, &(struct history_event){.kind = kind, .message = message});
}

/* Refusals may come before the confirms of earlier tags. */
static void skip_refused(struct outbox *outbox)
{
    while (outbox->answered < outbox->tag_count && outbox->is_refused[outbox->answered + 1])
        outbox->answered++;
}

/* A refusal is repeated after a reconnect until everything before it was answered, too. */
static void on_refusal(struct worker *worker, struct outbox *outbox, uint64_t tag)
{
    if (!outbox->is_refused[tag])
        note_answer(worker, HISTORY_REFUSED, outbox->message_of[tag]);
    outbox->is_refused[tag] = true;
    skip_refused(outbox);
}

/* Tags that were confirmed before are noted again: that must not be. */
static void on_confirms(struct worker *worker, struct outbox *outbox, struct frame_confirm confirm)
{
    for (uint64_t tag = confirm.first; tag <= confirm.last; tag++)
        if (!outbox->is_refused[tag])
            note_answer(worker, HISTORY_CONFIRMED, outbox->message_of[tag]);
    if (confirm.last > outbox->answered)
        outbox->answered = confirm.last;
    skip_refused(outbox);
}

/* Takes one frame. False: the connection is gone. */
static bool take_answer(struct worker *worker, struct talk *talk, struct outbox *outbox)
{
    struct frame frame;
    if (!talk_take(talk, &frame))
        return false;
    if (frame.header.type == FRAME_REFUSE) {
        on_refusal(worker, outbox, frame.header.tag);
    } else if (frame.header.type == FRAME_CONFIRM) {
        on_confirms(worker, outbox, frame.as.confirm);
    } else if (frame.header.type == FRAME_CREDIT) {
        outbox->credit_messages += frame.as.credit.messages;
        outbox->credit_bytes += frame.as.credit.bytes;
    }
    return frame.header.type != FRAME_CLOSE;
}

static bool may_send(const struct outbox *outbox)
{
    return outbox->next <= outbox->answered + WINDOW && outbox->credit_messages > 0 &&
           outbox->credit_bytes > BODY_BYTES_LARGE + FRAME_EXTRA_BYTES;
}

/* One connection, from its beginning to its end. */
static void publish_on(struct worker *worker, struct talk *talk, struct outbox *outbox)
{
    bool is_alive = true;
    outbox->credit_messages = outbox->credit_bytes = 0;
    while (is_alive) {
        bool is_ending = worker->crowd->is_ending;
        while (is_alive && may_send(outbox) && (!is_ending || outbox->next <= outbox->tag_count)) {
            if (outbox->next > outbox->tag_count)
                add_new(worker, outbox);
            is_alive = send_tag(talk, outbox);
        }
        pause_ms(outbox->tag_count - outbox->answered == WINDOW ? PACE_MS : 0);
        if (outbox->answered == outbox->tag_count && is_ending)
            return;
        is_alive = is_alive && take_answer(worker, talk, outbox);
    }
}

static void *publish(void *argument)
{
    struct worker *worker = argument;
    struct outbox outbox = {.message_of = calloc(MESSAGES_MAX + 1, sizeof(uint32_t)),
                            .is_refused = calloc(MESSAGES_MAX + 1, sizeof(bool))};
    char client[32];
    (void)snprintf(client, sizeof client, "publisher-%u", worker->number);
    bool was_let_in = false;
    while (!worker->crowd->is_ending || outbox.answered < outbox.tag_count) {
        uint64_t answered = 0;
        struct talk *talk = enter(worker, client, was_let_in, outbox.answered, &answered);
        if (talk == NULL) {
            pause_ms(2);
            continue;
        }
        was_let_in = true;
        outbox.next = answered + 1;
        publish_on(worker, talk, &outbox);
        leave(worker, talk);
    }
    free(outbox.message_of);
    free(outbox.is_refused);
    return NULL;
}

/* --- consumers ----------------------------------------------------------------------------------
 */

/* Settlements of one connection that wait for their confirm. */
struct settling {
    uint64_t tag;
    uint32_t message;
    uint8_t queue;
    bool is_refused; /* the journal was full: the message has gone back */
};

struct session {
    struct worker *worker;
    struct talk *talk;
    struct settling settling[SETTLING_MAX];
    size_t first;
    size_t end;
};

/* Consumers have the numbers of their queues, from 1. */
static uint8_t queue_of(const struct frame_deliver *deliver)
{
    return (uint8_t)(deliver->consumer - 1);
}

static void note_of(const struct session *session, enum history_kind kind, uint32_t message,
                    uint8_t queue)
{
    history_note(
        session->worker->crowd->history,
        &(struct history_event){
            .kind = kind, .message = message, .start = session->talk->start, .queue = queue});
}

static bool settle(struct session *session, const struct frame_deliver *deliver, uint32_t message)
{
    uint32_t start = session->talk->start;
    uint64_t delivery = deliver->delivery;
    uint8_t queue = queue_of(deliver);
    if (chance_below(&session->worker->chance, 50) == 0) {
        struct frame release = {.header.type = FRAME_RELEASE};
        release.as.release = (struct frame_release){start, delivery, delivery};
        note_of(session, HISTORY_GIVEN_BACK, message, queue);
        return talk_say_tagged(session->talk, &release) != 0;
    }
    struct frame done = {.header.type = FRAME_DONE};
    done.as.done = (struct frame_done){start, delivery, delivery};
    note_of(session, HISTORY_SETTLED, message, queue);
    uint64_t tag = talk_say_tagged(session->talk, &done);
    session->settling[session->end++ % SETTLING_MAX] =
        (struct settling){.tag = tag, .message = message, .queue = queue};
    return tag != 0;
}

static bool on_delivery(struct session *session, const struct frame *frame)
{
    const struct frame_deliver *deliver = &frame->as.deliver;
    uint32_t message = message_of(deliver);
    struct history_event event = {.kind = HISTORY_DELIVERED,
                                  .message = message,
                                  .publisher = session->worker->number,
                                  .queue = queue_of(deliver),
                                  .start = session->talk->start,
                                  .number = deliver->number,
                                  .is_redelivered = (frame->header.flags & FLAG_REDELIVERED) != 0};
    history_note(session->worker->crowd->history, &event);
    return settle(session, deliver, message);
}

static void on_confirm(struct session *session, uint64_t last)
{
    while (session->first < session->end &&
           session->settling[session->first % SETTLING_MAX].tag <= last) {
        const struct settling *sure = &session->settling[session->first++ % SETTLING_MAX];
        if (!sure->is_refused)
            note_of(session, HISTORY_SETTLED_SURE, sure->message, sure->queue);
    }
}

static void on_refuse(struct session *session, uint64_t tag)
{
    for (size_t i = session->first; i < session->end; i++)
        session->settling[i % SETTLING_MAX].is_refused |=
            session->settling[i % SETTLING_MAX].tag == tag;
}

static void consume_on(struct session *session)
{
    bool is_last = session->worker->number == WORKERS - 1;
    bool is_alive = true;
    struct frame frame;
    for (uint32_t queue = is_last ? QUEUE_SLOW : QUEUE_WORK;
         is_alive && queue < (is_last ? QUEUES : QUEUE_SLOW); queue++) {
        frame = talk_consume(queue + 1, queue_names[queue], PREFETCH);
        is_alive = talk_say_tagged(session->talk, &frame) != 0;
    }
    while (is_alive && talk_take(session->talk, &frame)) {
        if (frame.header.type == FRAME_DELIVER)
            is_alive = on_delivery(session, &frame);
        else if (frame.header.type == FRAME_CONFIRM)
            on_confirm(session, frame.as.confirm.last);
        else if (frame.header.type == FRAME_REFUSE)
            on_refuse(session, frame.header.tag);
    }
}

static void *consume(void *argument)
{
    struct worker *worker = argument;
    struct session *session = calloc(1, sizeof *session);
    while (!worker->crowd->is_drained) {
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

static void create(struct daemon *daemon)
{
    struct talk *talk = talk_over(daemon_connect(daemon));
    struct frame frame = {.header.type = FRAME_EXCHANGE_CREATE};
    frame.as.exchange_create.exchange = wire_bytes_of_text("news");
    bool is_made = talk_open(talk, "EXTERNAL", 0, "") && talk_ask(talk, &frame) == STATUS_OK;
    for (int i = 0; is_made && i < QUEUES; i++) {
        frame = talk_queue_create(queue_names[i]);
        is_made = talk_ask(talk, &frame) == STATUS_OK;
    }
    for (int i = QUEUE_NORTH; is_made && i <= QUEUE_SOUTH; i++) {
        frame = (struct frame){.header.type = FRAME_BIND};
        frame.as.bind.to = wire_bytes_of_text(queue_names[i]);
        frame.as.bind.exchange = wire_bytes_of_text("news");
        frame.as.bind.pattern = wire_bytes_of_text(i == QUEUE_NORTH ? "day.*" : "#");
        is_made = talk_ask(talk, &frame) == STATUS_OK;
    }
    if (!is_made)
        die("make the queues");
    talk_end(talk);
}

static void start_worker(struct worker *worker, void *(*work)(void *))
{
    if (pthread_create(&worker->thread, NULL, work, worker) != 0)
        die("start a thread");
}

struct crowd *crowd_start(struct daemon *daemon, struct history *history, uint64_t seed)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    if (crowd == NULL)
        die("get memory");
    crowd->daemon = daemon;
    crowd->history = history;
    create(daemon);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *worker = &crowd->workers[i];
        *worker = (struct worker){.crowd = crowd, .number = i, .chance = {seed + i}, .file = -1};
        if (i < WORKERS - 1)
            start_worker(worker, i < PUBLISHERS ? publish : consume);
    }
    return crowd;
}

/* Messages in all queues, with consumers or waiting. */
static uint64_t messages_left(struct crowd *crowd)
{
    uint64_t messages = 0;
    struct talk *talk = talk_over(daemon_connect(crowd->daemon));
    bool is_open = talk_open(talk, "EXTERNAL", 0, "");
    for (int i = 0; i < QUEUES && is_open; i++) {
        struct frame frame = {.header.type = FRAME_QUERY};
        frame.as.query.subject = QUERY_QUEUE;
        frame.as.query.name = wire_bytes_of_text(queue_names[i]);
        is_open = talk_say_tagged(talk, &frame) != 0 && talk_take_type(talk, FRAME_ROW, &frame);
        if (!is_open)
            break;
        struct wire_reader r = wire_reader_of(frame.as.row.fields.at, frame.as.row.fields.bytes);
        struct row_field field;
        while (row_next(&r, &field))
            if (wire_bytes_equal(field.name, wire_bytes_of_text("messages")))
                messages += field.number;
    }
    talk_end(talk);
    return is_open ? messages : UINT64_MAX;
}

bool crowd_drain(struct crowd *crowd)
{
    struct worker *workers = crowd->workers;
    crowd->is_ending = true;
    start_worker(&workers[WORKERS - 1], consume);
    for (int i = 0; i < PUBLISHERS; i++)
        pthread_join(workers[i].thread, NULL);
    bool is_drained = false;
    for (int i = 0; i < DRAIN_SECONDS * 20 && !is_drained; i++) {
        pause_ms(50);
        is_drained = messages_left(crowd) == 0;
    }
    pause_ms(200); /* what must not come would come now */
    crowd->is_drained = true;
    for (int i = PUBLISHERS; i < WORKERS; i++) {
        int file = workers[i].file;
        if (file >= 0)
            (void)shutdown(file, SHUT_RDWR);
        pthread_join(workers[i].thread, NULL);
    }
    return is_drained;
}

void crowd_free(struct crowd *crowd)
{
    free(crowd);
}
