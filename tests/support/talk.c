/* A client of few words for end-to-end tests. */
#include "tests/support/talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct talk *talk_over(int file)
{
    struct talk *talk = calloc(1, sizeof(*talk));
    if (talk == NULL)
        abort();
    talk->file = file;
    return talk;
}

void talk_end(struct talk *talk)
{
    close(talk->file);
    free(talk);
}

bool talk_put(struct talk *talk, const void *at, size_t bytes)
{
    const unsigned char *from = at;
    while (bytes > 0) {
        ssize_t done = send(talk->file, from, bytes, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        from += done;
        bytes -= (size_t)done;
    }
    return true;
}

bool talk_say(struct talk *talk, struct frame *frame)
{
    unsigned char out[TALK_ROOM_BYTES];
    struct wire_writer w = wire_writer_of(out, sizeof(out));
    return frame_encode(&w, frame) && talk_put(talk, out, wire_written(&w));
}

uint64_t talk_say_tagged(struct talk *talk, struct frame *frame)
{
    frame->header.tag = ++talk->tag;
    return talk_say(talk, frame) ? frame->header.tag : 0;
}

static bool fill(struct talk *talk, size_t wanted)
{
    while (talk->in_bytes < wanted) {
        ssize_t done =
            recv(talk->file, talk->in + talk->in_bytes, sizeof(talk->in) - talk->in_bytes, 0);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        talk->in_bytes += (size_t)done;
    }
    return true;
}

bool talk_take(struct talk *talk, struct frame *frame)
{
    if (!fill(talk, FRAME_HEADER_BYTES))
        return false;
    struct frame_header header = frame_header_load(talk->in);
    if (header.length < FRAME_HEADER_BYTES || header.length > sizeof(talk->in) ||
        !fill(talk, header.length))
        return false;
    memcpy(talk->taken, talk->in, header.length);
    talk->in_bytes -= header.length;
    memmove(talk->in, talk->in + header.length, talk->in_bytes);
    return frame_decode(frame, talk->taken) == STATUS_OK;
}

bool talk_take_type(struct talk *talk, enum frame_type type, struct frame *frame)
{
    while (talk_take(talk, frame))
        if (frame->header.type == (uint8_t)type)
            return true;
    return false;
}

int talk_close_code(struct talk *talk)
{
    struct frame frame;
    int code = 0;
    errno = 0;
    while (talk_take(talk, &frame))
        if (frame.header.type == FRAME_CLOSE)
            code = frame.as.close.code;
    bool is_open = errno == EAGAIN;
    return is_open ? -1 : code;
}

size_t talk_hello(unsigned char *at, size_t room, uint32_t heartbeat_ms, const char *client)
{
    struct wire_writer w = wire_writer_of(at, room);
    struct frame frame = {.header.type = FRAME_HELLO};
    frame.as.hello.version = FRAME_VERSION;
    frame.as.hello.frame_bytes_max = TALK_ROOM_BYTES;
    frame.as.hello.heartbeat_ms = heartbeat_ms;
    frame.as.hello.client = wire_bytes_of_text(client);
    frame.as.hello.product = wire_bytes_of_text("talk");
    wire_put_rest(&w, wire_bytes_of(frame_magic, FRAME_MAGIC_BYTES));
    return frame_encode(&w, &frame) ? wire_written(&w) : 0;
}

static size_t put_auth(unsigned char *at, size_t room, const char *mechanism)
{
    struct wire_writer w = wire_writer_of(at, room);
    struct frame frame = {.header.type = FRAME_AUTH};
    frame.as.auth.mechanism = wire_bytes_of_text(mechanism);
    return frame_encode(&w, &frame) ? wire_written(&w) : 0;
}

size_t talk_greeting(unsigned char *at, size_t room)
{
    size_t bytes = talk_hello(at, room, 0, "");
    return bytes + put_auth(at + bytes, room - bytes, "EXTERNAL");
}

bool talk_open(struct talk *talk, const char *mechanism, uint32_t heartbeat_ms, const char *client)
{
    unsigned char out[1024];
    struct frame frame;
    size_t bytes = talk_hello(out, sizeof(out), heartbeat_ms, client);
    bytes += put_auth(out + bytes, sizeof(out) - bytes, mechanism);
    if (!talk_put(talk, out, bytes) || !talk_take_type(talk, FRAME_HELLO_OK, &frame))
        return false;
    talk->start = frame.as.hello_ok.start;
    return talk_take_type(talk, FRAME_AUTH_OK, &frame);
}

bool talk_enter(struct talk *talk, const struct frame_hello *hello, uint64_t *answered)
{
    struct frame frame = {.header.type = FRAME_HELLO, .as.hello = *hello};
    struct frame auth = {.header.type = FRAME_AUTH};
    auth.as.auth.mechanism = wire_bytes_of_text("EXTERNAL");
    if (!talk_put(talk, frame_magic, FRAME_MAGIC_BYTES) || !talk_say(talk, &frame) ||
        !talk_say(talk, &auth) || !talk_take_type(talk, FRAME_HELLO_OK, &frame))
        return false;
    talk->start = frame.as.hello_ok.start;
    if (!talk_take_type(talk, FRAME_AUTH_OK, &frame))
        return false;
    *answered = frame.as.auth_ok.answered;
    return true;
}

int talk_ask(struct talk *talk, struct frame *frame)
{
    struct frame answer;
    uint64_t tag = talk_say_tagged(talk, frame);
    if (tag == 0)
        return -1;
    while (talk_take(talk, &answer)) {
        if (answer.header.type == FRAME_REFUSE && answer.header.tag == tag)
            return answer.as.refuse.code;
        if (answer.header.type == FRAME_CONFIRM && answer.as.confirm.last >= tag)
            return STATUS_OK;
    }
    return -1;
}

struct frame talk_queue_create(const char *queue)
{
    struct frame frame = {.header.type = FRAME_QUEUE_CREATE};
    frame.as.queue_create.queue = wire_bytes_of_text(queue);
    return frame;
}

struct frame talk_send(const char *queue, const char *body)
{
    struct frame frame = {.header.type = FRAME_SEND};
    frame.as.send.queue = wire_bytes_of_text(queue);
    frame.as.send.body_bytes = (uint32_t)strlen(body);
    frame.as.send.body = wire_bytes_of_text(body);
    return frame;
}

struct frame talk_consume(uint32_t consumer, const char *queue, uint32_t prefetch)
{
    struct frame frame = {.header.type = FRAME_CONSUME};
    frame.as.consume.consumer = consumer;
    frame.as.consume.queue = wire_bytes_of_text(queue);
    frame.as.consume.prefetch_messages = prefetch;
    return frame;
}
