/* A client of few words for end-to-end tests: it puts frames, or any bytes, into a blocking socket
 * and takes frames out again, one at a time. No library of the project stands between the test and
 * the wire.
 */
#ifndef HERALD_TALK_H
#define HERALD_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/frame.h"

#define TALK_ROOM_BYTES 65536

/* Zero it and set the file to begin with; see talk_over. */
struct talk {
    int file;
    uint64_t tag;   /* of the last tagged frame */
    uint32_t start; /* of the broker, after talk_open */
    unsigned char in[TALK_ROOM_BYTES];
    size_t in_bytes;
    unsigned char taken[TALK_ROOM_BYTES]; /* the frame that talk_take gave out points into it */
};

/* Takes the socket over. Freed by talk_end. */
struct talk *talk_over(int file);
void talk_end(struct talk *talk);

/* False when the other side does not take them. */
bool talk_put(struct talk *talk, const void *at, size_t bytes);

/* Encodes and puts a frame. */
bool talk_say(struct talk *talk, struct frame *frame);

/* The same with the next tag. Returns the tag, 0 on failure. */
uint64_t talk_say_tagged(struct talk *talk, struct frame *frame);

/* The next frame of the broker; it holds until the next call. False at the end of the stream, after
 * ten seconds of silence, and at what is no frame. */
bool talk_take(struct talk *talk, struct frame *frame);

/* Takes frames until one of this type comes. */
bool talk_take_type(struct talk *talk, enum frame_type type, struct frame *frame);

/* Takes everything to the end of the stream. The code of the CLOSE frame; 0 if it ended without
 * one, -1 if it did not end. */
int talk_close_code(struct talk *talk);

/* Magic, HELLO and AUTH, and the answers up to AUTH_OK. `heartbeat_ms` 0 leaves it to the broker;
 * `client` may be empty. */
bool talk_open(struct talk *talk, const char *mechanism, uint32_t heartbeat_ms, const char *client);

/* The same by EXTERNAL with any HELLO, one that resumes too; *answered is what AUTH_OK says. */
bool talk_enter(struct talk *talk, const struct frame_hello *hello, uint64_t *answered);

/* The magic and a HELLO, the same with AUTH EXTERNAL, as bytes; returns how many. */
size_t talk_hello(unsigned char *at, size_t room, uint32_t heartbeat_ms, const char *client);
size_t talk_greeting(unsigned char *at, size_t room);

/* Says a frame that is answered in line and takes its answer: STATUS_OK or why it was refused, -1
 * when there is none. */
int talk_ask(struct talk *talk, struct frame *frame);

/* Frames that many tests want; names are made of `at` with no copy. */
struct frame talk_queue_create(const char *queue);
struct frame talk_send(const char *queue, const char *body);
struct frame talk_consume(uint32_t consumer, const char *queue, uint32_t prefetch);

#endif
