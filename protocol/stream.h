/* The splitter: finds whole frames in a run of bytes, and refuses what cannot become one.
 *
 * Pure: it is given all bytes that are there and says what comes first. A header is judged as soon
 * as its bytes are there, before the rest of the frame is waited for or room is made for it.
 */
#ifndef HERALD_STREAM_H
#define HERALD_STREAM_H

#include "protocol/frame.h"

struct stream {
    enum frame_sender sender; /* who is speaking */
    enum frame_phase phase;   /* moved on by the owner */
    uint32_t frame_bytes_max;
};

/* Judges the first bytes of a client's connection.
 * STATUS_OK: the magic is whole, FRAME_MAGIC_BYTES are used up. STATUS_MORE: so far it may be.
 * STATUS_TLS_EXPECTED: a TLS handshake. STATUS_VERSION: Herald, but a major version that is not
 * spoken here. STATUS_BAD_MAGIC: anything else. */
enum status stream_check_magic(const unsigned char *at, size_t bytes);

/* Finds and decodes the next frame at `at`.
 * STATUS_OK: *frame holds it, frame->header.length bytes are used up, and its fields point into
 * them. STATUS_MORE: `*wanted` bytes in all are needed to get on, more than there are. Anything
 * else: the stream is broken and the connection must be closed with that status. */
enum status stream_next(const struct stream *stream, const unsigned char *at, size_t bytes,
                        struct frame *frame, size_t *wanted);

#endif
