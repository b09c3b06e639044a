/* The operator's log: one line for each thing that the person who runs the daemon should know.
 *
 * Lines go to a descriptor, under systemd with its level prefixes, elsewhere with the time of day.
 * Whatever a line is made of, nothing but printable UTF-8 leaves: bytes that came from a network
 * cannot forge a line or turn the terminal around. Lines of one kind (one format string) are
 * limited in number, so that no peer can fill the disk.
 *
 * A log belongs to one thread, the loop's.
 */
#ifndef HERALD_LOG_H
#define HERALD_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR,   /* the daemon stops, or does not start */
    LOG_LEVEL_WARNING, /* the operator should do something */
    LOG_LEVEL_NOTICE,  /* rare and worth knowing: started, reloaded, stopping */
    LOG_LEVEL_INFO,    /* ordinary */
    LOG_LEVEL_DEBUG,   /* what happens to connections and files */
    LOG_LEVEL_TRACE,   /* what is decided about each frame, and why */
};
#define LOG_LEVEL_COUNT 6

/* Lines of one kind that are written within one repeat interval. */
#define LOG_REPEAT_BURST 10
/* Bytes of a line, the newline included; what is longer ends in "...". */
#define LOG_LINE_BYTES_MAX 2048
#define LOG_AREAS_BYTES_MAX 256

struct log;

struct log_options {
    int fd; /* stays the caller's */
    enum log_level level;
    const char *areas; /* comma separated, or "" or NULL for all; copied */
    uint64_t repeat_interval_ms;
    bool is_journal; /* prefixes of systemd's journal instead of the time */
};

/* NULL: no memory. */
struct log *log_new(const struct log_options *options);

/* Writes the counts that are still owed. NULL is fine. */
void log_free(struct log *log);

/* Changes level, areas and repeat interval; what a reload does. */
void log_configure(struct log *log, const struct log_options *options);

/* Whether a line of this level and area would be written; saves the work of making one. */
bool log_is_on(const struct log *log, enum log_level level, const char *area);

/* Writes a line "area: text". `area` and `format` must be string literals, they are remembered. A
 * log of NULL writes nothing. Keeps errno. */
void log_write(struct log *log, enum log_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes "repeated N times" for lines that were held back and whose interval is over. Called about
 * once a second. */
void log_tick(struct log *log);

/* Whether `fd` is what systemd connected to its journal: JOURNAL_STREAM names it. */
bool log_is_journal(int fd);

/* Copies `bytes` bytes so that they can be shown: printable UTF-8 stays, everything else (control
 * characters, line separators, marks that reverse the direction of writing, what is not UTF-8)
 * becomes \xNN, byte by byte. Escaping twice is the same as once. `out` always ends in a NUL;
 * returns whether all of it had room. Four bytes of room per byte, and one, always suffice. */
bool log_escape(const char *text, size_t bytes, char *out, size_t out_bytes);

/* "warning"; static storage. */
const char *log_level_name(enum log_level level);
bool log_level_parse(const char *text, enum log_level *level);

#endif
