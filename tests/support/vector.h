/* Golden vectors: frames written down twice, as fields and as bytes, in files for people and tests.
 *
 *     # A comment.
 *     frame SEND from client
 *       flags 0
 *       tag 1
 *       queue "orders"            text, with \" and \\; or bytes: [00 ff 10]
 *       body_bytes 5              a number
 *       hex 24 00 00 00 ...       the whole frame, in as many lines as it takes
 *
 * and `magic from client` with only hex for the first eight bytes. In a file named
 * conversation-*.txt the frames follow each other as on a connection.
 */
#ifndef HERALD_VECTOR_H
#define HERALD_VECTOR_H

#include "protocol/frame.h"

enum {
    VECTOR_NAME_MAX = 40,
    VECTOR_FIELDS_MAX = 20,
    VECTOR_HEX_MAX = 8192,
    VECTOR_VALUES_MAX = 8192,
    VECTORS_MAX = 64,
};

struct vector_field {
    char name[VECTOR_NAME_MAX];
    bool is_number;
    uint64_t number;
    struct wire_bytes bytes; /* in the vector's values */
};

struct vector {
    char name[VECTOR_NAME_MAX]; /* SEND, or "magic" */
    enum frame_sender sender;
    size_t field_count;
    struct vector_field field[VECTOR_FIELDS_MAX];
    size_t hex_bytes;
    unsigned char hex[VECTOR_HEX_MAX];
    size_t value_bytes;
    unsigned char value[VECTOR_VALUES_MAX];
};

struct vector_file {
    const char *path;
    size_t count;
    struct vector vector[VECTORS_MAX];
};

/* Reads a file; ends the program with file and line when it is not written as above. */
void vector_file_read(struct vector_file *file, const char *path);

/* Ends the test unless the frame has exactly the vector's flags, tag and fields. */
void vector_check(const struct vector *vector, const struct frame *frame);

#endif
