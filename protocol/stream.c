/* The splitter: finds whole frames in a run of bytes. */
#include "protocol/stream.h"

enum status stream_check_magic(const unsigned char *at, size_t bytes)
{
    /* A TLS record of type handshake (22), protocol version 3.x: RFC 8446, section 5.1. */
    if (bytes >= 1 && at[0] == 0x16)
        return bytes == 1 ? STATUS_MORE : at[1] == 0x03 ? STATUS_TLS_EXPECTED : STATUS_BAD_MAGIC;
    size_t count = bytes < FRAME_MAGIC_BYTES ? bytes : FRAME_MAGIC_BYTES;
    if (memcmp(at, frame_magic, count) != 0) {
        bool same_name = count > 6 && memcmp(at, frame_magic, 6) == 0;
        return same_name ? STATUS_VERSION : STATUS_BAD_MAGIC;
    }
    return count < FRAME_MAGIC_BYTES ? STATUS_MORE : STATUS_OK;
}

enum status stream_next(const struct stream *stream, const unsigned char *at, size_t bytes,
                        struct frame *frame, size_t *wanted)
{
    if (bytes < FRAME_HEADER_BYTES) {
        *wanted = FRAME_HEADER_BYTES;
        return STATUS_MORE;
    }
    struct frame_header header = frame_header_load(at);
    enum status status =
        frame_check(&header, stream->sender, stream->phase, stream->frame_bytes_max);
    if (status != STATUS_OK)
        return status;
    if (bytes < header.length) {
        *wanted = header.length;
        return STATUS_MORE;
    }
    return frame_decode(frame, at);
}
