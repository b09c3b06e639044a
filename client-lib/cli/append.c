/* The yardstick of durable messages: plain appends. */
#include "client-lib/cli/append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-lib/cli/measure.h"
#include "client-lib/cli/report.h"

enum { RECORDS = 1024, BATCHES_IN_FILE = 64 };

static bool write_at(int fd, const char *bytes, size_t count, off_t offset)
{
    while (count > 0) {
        ssize_t put = pwrite(fd, bytes, count, offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        bytes += put;
        count -= (size_t)put;
        offset += put;
    }
    return true;
}

/* The file is written through once, so that the appends that count find their blocks allocated. */
static double append_all(int fd, const char *batch, size_t bytes, int64_t ms)
{
    int64_t end_ns = 0;
    int64_t started_ns = 0;
    double appended = 0;
    for (size_t i = 0;; i++) {
        if (!write_at(fd, batch, bytes, (off_t)(i % BATCHES_IN_FILE * bytes)))
            return -1;
        if (i < BATCHES_IN_FILE) {
            if (i == BATCHES_IN_FILE - 1 && fsync(fd) != 0)
                return -1;
            started_ns = measure_now_ns();
            end_ns = started_ns + ms * 1000000;
            continue;
        }
        if (fdatasync(fd) != 0)
            return -1;
        appended += RECORDS;
        int64_t now_ns = measure_now_ns();
        if (now_ns >= end_ns)
            return appended * 1e9 / (double)(now_ns - started_ns);
    }
}

double append_measure(const char *directory, int64_t record_bytes, int64_t ms)
{
    size_t bytes = (size_t)record_bytes * RECORDS;
    char *batch = malloc(bytes);
    double rate = -1;
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (batch != NULL && fd >= 0) {
        memset(batch, 0x5a, bytes);
        rate = append_all(fd, batch, bytes, ms);
    }
    if (rate < 0)
        report_say("cannot measure plain appends in %s: %s", directory, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(batch);
    return rate;
}
