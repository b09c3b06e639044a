/* The yardstick of durable messages: records of the same size appended to a plain file, 1,024 at a
 * time, each time followed by fdatasync, in a file whose blocks were written before. */
#ifndef HERALD_CLI_APPEND_H
#define HERALD_CLI_APPEND_H

#include <stdint.h>

/* Runs for about `ms` in the directory; the file has no name and goes at the end. Returns records
 * per second, -1 after it has said why it could not. */
double append_measure(const char *directory, int64_t record_bytes, int64_t ms);

#endif
