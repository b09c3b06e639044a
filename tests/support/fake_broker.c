/* The broker's side of a connection, played by a test. */
#include "tests/support/fake_broker.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "protocol/stream.h"

enum { PATIENCE_MS = 5000, SILENCE_MS = 30 };

struct fake_broker *fake_new(void)
{
    struct fake_broker *fake = calloc(1, sizeof *fake);
    ck_assert_ptr_nonnull(fake);
    fake->file = -1;
    fake->frame_bytes_max = 65536;
    fake->message_bytes_max = 1024 * 1024;
    fake->heartbeat_ms = 20000;
    snprintf(fake->directory, sizeof fake->directory, "/tmp/herald-fake-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fake->directory));
    snprintf(fake->path, sizeof fake->path, "%s/s", fake->directory);
    snprintf(fake->url, sizeof fake->url, "unix:%s", fake->path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, fake->path, sizeof fake->path);
    fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fake->listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fake->listener, 8), 0);
    return fake;
}

void fake_free(struct fake_broker *fake)
{
    fake_drop(fake);
    close(fake->listener);
    unlink(fake->path);
    rmdir(fake->directory);
    free(fake);
}

struct herald_client *fake_client(struct fake_broker *fake, const struct herald_options *options)
{
    struct herald_options own = options != NULL ? *options : herald_options_default();
    own.url = fake->url;
    if (own.reconnect_ms_min == 0)
        own.reconnect_ms_min = 1;
    if (own.reconnect_ms_max == 0)
        own.reconnect_ms_max = 5;
    fake->client = herald_new(&own);
    ck_assert_ptr_nonnull(fake->client);
    ck_assert_int_eq(herald_connect(fake->client, 0), HERALD_OK);
    return fake->client;
}

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Lets the client process, then waits a moment for `file`. */
static void step(struct fake_broker *fake, int file)
{
    if (fake->client != NULL)
        herald_process(fake->client);
    struct pollfd wait = {.fd = file, .events = POLLIN};
    poll(&wait, 1, 1);
}

void fake_let_run(struct fake_broker *fake, int time_ms)
{
    for (int64_t end = clock_ms() + time_ms; clock_ms() < end;)
        step(fake, -1);
}

/* Waits for more bytes; false at the deadline or at the end of the stream. */
static bool receive(struct fake_broker *fake, int64_t deadline)
{
    while (clock_ms() < deadline) {
        ssize_t bytes = recv(fake->file, fake->in + fake->in_bytes,
                             sizeof fake->in - fake->in_bytes, MSG_DONTWAIT);
        if (bytes > 0) {
            fake->in_bytes += (size_t)bytes;
            return true;
        }
        if (bytes == 0)
            return false;
        step(fake, fake->file);
    }
    return false;
}

static void use_up(struct fake_broker *fake, size_t bytes)
{
    memcpy(fake->taken, fake->in, bytes);
    fake->in_bytes -= bytes;
    memmove(fake->in, fake->in + bytes, fake->in_bytes);
}

/* The next frame whatever it is; false when none comes. */
static bool take_any(struct fake_broker *fake, struct frame *frame, int64_t deadline)
{
    for (;;) {
        size_t length = fake->in_bytes >= FRAME_HEADER_BYTES ? wire_load_u32(fake->in) : SIZE_MAX;
        if (fake->in_bytes >= length) {
            ck_assert_uint_ge(length, FRAME_HEADER_BYTES);
            ck_assert_uint_le(length, fake->frame_bytes_max);
            use_up(fake, length);
            ck_assert_int_eq(frame_decode(frame, fake->taken), STATUS_OK);
            return true;
        }
        if (!receive(fake, deadline))
            return false;
    }
}

static bool take_next(struct fake_broker *fake, struct frame *frame, int64_t deadline)
{
    while (take_any(fake, frame, deadline)) {
        if (frame->header.type == FRAME_SEEN)
            fake->seen = frame->as.seen.through;
        else if (frame->header.type != FRAME_HEARTBEAT)
            return true;
    }
    return false;
}

void fake_take(struct fake_broker *fake, enum frame_type type, struct frame *frame)
{
    ck_assert_msg(take_next(fake, frame, clock_ms() + PATIENCE_MS), "no %s came", frame_name(type));
    ck_assert_str_eq(frame_name(frame->header.type), frame_name(type));
}

void fake_expect_silence(struct fake_broker *fake)
{
    struct frame frame = {.header.type = 0};
    bool came = take_next(fake, &frame, clock_ms() + SILENCE_MS);
    ck_assert_msg(!came, "%s came", frame_name(frame.header.type));
}

void fake_accept(struct fake_broker *fake)
{
    int64_t deadline = clock_ms() + PATIENCE_MS;
    fake_drop(fake);
    while (fake->file < 0 && clock_ms() < deadline) {
        fake->file = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fake->file < 0)
            step(fake, fake->listener);
    }
    ck_assert_msg(fake->file >= 0, "nobody connected");
    while (fake->in_bytes < FRAME_MAGIC_BYTES)
        ck_assert(receive(fake, deadline));
    use_up(fake, FRAME_MAGIC_BYTES);
    ck_assert_mem_eq(fake->taken, frame_magic, FRAME_MAGIC_BYTES);
    struct frame frame;
    fake_take(fake, FRAME_HELLO, &frame);
    fake->hello = frame.as.hello;
    memcpy(fake->name, frame.as.hello.client.at, frame.as.hello.client.bytes);
    fake->name[frame.as.hello.client.bytes] = '\0';
    fake_take(fake, FRAME_AUTH, &frame);
    ck_assert(wire_bytes_equal(frame.as.auth.mechanism, wire_bytes_of_text("EXTERNAL")));
}

void fake_greet(struct fake_broker *fake, uint64_t answered, uint32_t credit)
{
    struct frame hello = {
        .header.type = FRAME_HELLO_OK,
        .as.hello_ok = {.version = FRAME_VERSION,
                        .start = FAKE_START,
                        .frame_bytes_max = fake->frame_bytes_max,
                        .message_bytes_max = fake->message_bytes_max,
                        .heartbeat_ms = fake->heartbeat_ms},
    };
    struct frame auth = {.header.type = FRAME_AUTH_OK, .as.auth_ok.answered = answered};
    fake_say(fake, &hello);
    fake_say(fake, &auth);
    if (credit > 0)
        fake_credit(fake, credit, credit * 1024);
}

void fake_open(struct fake_broker *fake)
{
    fake_accept(fake);
    fake_greet(fake, 0, 10000);
}

void fake_say_bytes(struct fake_broker *fake, const void *at, size_t bytes)
{
    const unsigned char *from = at;
    int64_t deadline = clock_ms() + PATIENCE_MS;
    while (bytes > 0 && clock_ms() < deadline) {
        ssize_t sent = send(fake->file, from, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            from += sent;
            bytes -= (size_t)sent;
        } else {
            step(fake, -1);
        }
    }
    ck_assert_uint_eq(bytes, 0);
}

void fake_say(struct fake_broker *fake, struct frame *frame)
{
    size_t bytes = frame_encoded_bytes(frame);
    unsigned char *at = malloc(bytes);
    ck_assert_ptr_nonnull(at);
    struct wire_writer w = wire_writer_of(at, bytes);
    ck_assert(frame_encode(&w, frame));
    fake_say_bytes(fake, at, bytes);
    free(at);
}

void fake_confirm(struct fake_broker *fake, uint64_t first, uint64_t last)
{
    struct frame frame = {.header.type = FRAME_CONFIRM, .as.confirm = {first, last}};
    fake_say(fake, &frame);
}

void fake_refuse(struct fake_broker *fake, uint64_t tag, unsigned code, const char *text)
{
    struct frame frame = {
        .header = {.type = FRAME_REFUSE, .tag = tag},
        .as.refuse = {(uint16_t)code, wire_bytes_of_text(text)},
    };
    fake_say(fake, &frame);
}

void fake_credit(struct fake_broker *fake, uint32_t messages, uint32_t bytes)
{
    struct frame frame = {.header.type = FRAME_CREDIT, .as.credit = {messages, bytes}};
    fake_say(fake, &frame);
}

void fake_deliver(struct fake_broker *fake, uint32_t consumer, uint64_t delivery, const char *body)
{
    struct frame frame = {
        .header.type = FRAME_DELIVER,
        .as.deliver = {.consumer = consumer,
                       .delivery = delivery,
                       .number = delivery + 100,
                       .attempt = 1,
                       .body_bytes = (uint32_t)strlen(body),
                       .body = wire_bytes_of_text(body)},
    };
    fake_say(fake, &frame);
}

void fake_outcome(struct fake_broker *fake, uint64_t tag, const char *code, const char *body)
{
    struct frame frame = {
        .header = {.type = FRAME_OUTCOME, .tag = tag},
        .as.outcome = {.state = code[0] != '\0' ? OUTCOME_FAILED : OUTCOME_DONE,
                       .ran = code[0] != '\0' ? OUTCOME_NOT_RUN : OUTCOME_RAN,
                       .code = wire_bytes_of_text(code),
                       .body_bytes = (uint32_t)strlen(body),
                       .body = wire_bytes_of_text(body)},
    };
    fake_say(fake, &frame);
}

void fake_close_with(struct fake_broker *fake, unsigned code)
{
    struct frame frame = {.header.type = FRAME_CLOSE, .as.close.code = (uint16_t)code};
    fake_say(fake, &frame);
}

void fake_drop(struct fake_broker *fake)
{
    if (fake->file >= 0)
        close(fake->file);
    fake->file = -1;
    fake->in_bytes = 0;
}

uint32_t fake_take_consumer(struct fake_broker *fake, enum frame_type type)
{
    struct frame frame;
    fake_take(fake, type, &frame);
    uint32_t consumer =
        type == FRAME_CONSUME ? frame.as.consume.consumer : frame.as.subscribe.consumer;
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    return consumer;
}

static void *run_asker(void *argument)
{
    struct fake_asker *asker = argument;
    asker->status = asker->ask(asker->client);
    return NULL;
}

struct fake_broker *fake_with_asker(struct fake_asker *asker)
{
    struct fake_broker *fake = fake_new();
    asker->client = fake_client(fake, NULL);
    fake_open(fake);
    ck_assert_int_eq(herald_connect(asker->client, 1000), HERALD_OK);
    fake->client = NULL;
    return fake;
}

void fake_begin_asking(struct fake_asker *asker,
                       enum herald_status (*ask)(struct herald_client *client))
{
    asker->ask = ask;
    ck_assert_int_eq(pthread_create(&asker->thread, NULL, run_asker, asker), 0);
}

enum herald_status fake_end_asking(struct fake_asker *asker)
{
    pthread_join(asker->thread, NULL);
    return asker->status;
}
