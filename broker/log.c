/* The operator's log: lines made, escaped, counted and written.
 *
 *   log_write -> is it on? -> slot of its format string -> over the burst? counted, else written
 *
 * A slot is a format string with the time when its interval began and how many lines came since.
 * When the interval is over, the lines that were only counted are written as one. There is a fixed
 * number of slots; the one whose interval began first makes room.
 */
#include "broker/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLOT_COUNT 64

struct slot {
    const char *format; /* NULL: free */
    const char *area;
    enum log_level level;
    uint64_t began_ms;
    uint64_t count;   /* lines since, written or not */
    char sample[128]; /* the last one written, perhaps cut */
};

struct log {
    int fd;
    enum log_level level;
    bool is_journal;
    uint64_t repeat_interval_ms;
    char areas[LOG_AREAS_BYTES_MAX];
    struct slot slot[SLOT_COUNT];
};

struct level {
    const char *name;
    int syslog; /* of <syslog.h>, which the journal reads */
};

static const struct level levels[LOG_LEVEL_COUNT] = {
    [LOG_LEVEL_ERROR] = {"error", 3},   [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_NOTICE] = {"notice", 5}, [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},   [LOG_LEVEL_TRACE] = {"trace", 7},
};

struct log *log_new(const struct log_options *options)
{
    struct log *log = calloc(1, sizeof(*log));
    if (log == NULL)
        return NULL;
    log->fd = options->fd;
    log->is_journal = options->is_journal;
    log_configure(log, options);
    return log;
}

void log_configure(struct log *log, const struct log_options *options)
{
    log->level = options->level;
    log->repeat_interval_ms = options->repeat_interval_ms;
    snprintf(log->areas, sizeof(log->areas), "%s", options->areas == NULL ? "" : options->areas);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* "<4>" or "2026-11-23T19:43:55.123Z warning ". */
static size_t print_prefix(const struct log *log, enum log_level level, char *out, size_t out_bytes)
{
    struct timespec now;
    struct tm broken_down;
    char seconds[32];
    int bytes;
    if (log->is_journal) {
        bytes = snprintf(out, out_bytes, "<%d>", levels[level].syslog);
    } else {
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &broken_down);
        strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &broken_down);
        bytes = snprintf(out, out_bytes, "%s.%03ldZ %s ", seconds, now.tv_nsec / 1000000,
                         levels[level].name);
    }
    return bytes < 0 ? 0 : (size_t)bytes;
}

/* One write for one line, so that lines of several processes do not mix. A line that cannot be
 * written is lost: there is nowhere to say so. */
static void write_line(const struct log *log, const char *line, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(log->fd, line, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        line += written;
        bytes -= (size_t)written;
    }
}

static void emit(const struct log *log, enum log_level level, const char *area, const char *text)
{
    char line[LOG_LINE_BYTES_MAX];
    size_t used = print_prefix(log, level, line, sizeof(line));
    int bytes = snprintf(line + used, sizeof(line) - used, "%.64s: ", area);
    used += bytes < 0 ? 0 : (size_t)bytes;
    /* Room is kept for the dots and the newline, which takes the place of the NUL. */
    bool is_whole = log_escape(text, strlen(text), line + used, sizeof(line) - used - 3);
    used += strlen(line + used);
    for (int i = 0; !is_whole && i < 3; i++)
        line[used++] = '.';
    line[used++] = '\n';
    write_line(log, line, used);
}

/* Ends a slot's interval and says what was held back in it. */
static void close_slot(const struct log *log, struct slot *slot)
{
    char text[256];
    if (slot->format != NULL && slot->count > LOG_REPEAT_BURST) {
        snprintf(text, sizeof(text), "repeated %" PRIu64 " times: %s",
                 slot->count - LOG_REPEAT_BURST, slot->sample);
        emit(log, slot->level, slot->area, text);
    }
    slot->format = NULL;
}

static bool is_over(const struct log *log, const struct slot *slot, uint64_t now)
{
    return slot->format != NULL && now - slot->began_ms >= log->repeat_interval_ms;
}

void log_tick(struct log *log)
{
    uint64_t now = now_ms();
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        if (is_over(log, &log->slot[i], now))
            close_slot(log, &log->slot[i]);
    }
}

void log_free(struct log *log)
{
    if (log == NULL)
        return;
    for (size_t i = 0; i < SLOT_COUNT; i++)
        close_slot(log, &log->slot[i]);
    free(log);
}

static bool is_of_kind(const struct slot *slot, const struct slot *kind)
{
    return slot->format == kind->format && slot->area == kind->area && slot->level == kind->level;
}

/* The slot of this kind, or a free one, or the one that began first. */
static struct slot *find_slot(struct log *log, const struct slot *kind)
{
    struct slot *best = &log->slot[0];
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        struct slot *slot = &log->slot[i];
        if (is_of_kind(slot, kind))
            return slot;
        if (best->format != NULL && (slot->format == NULL || slot->began_ms < best->began_ms))
            best = slot;
    }
    return best;
}

/* Counts a line of this kind. NULL: it is one too many. */
static struct slot *admit(struct log *log, const struct slot *kind)
{
    struct slot *slot = find_slot(log, kind);
    if (!is_of_kind(slot, kind) || is_over(log, slot, kind->began_ms)) {
        close_slot(log, slot);
        *slot = *kind;
    }
    return ++slot->count <= LOG_REPEAT_BURST ? slot : NULL;
}

static bool is_counted(const struct log *log, enum log_level level)
{
    return log->repeat_interval_ms > 0 && level > LOG_LEVEL_ERROR && level < LOG_LEVEL_DEBUG;
}

/* Whether the comma-separated list holds this word; an empty list holds all. */
static bool is_listed(const char *list, const char *word)
{
    size_t bytes = strlen(word);
    if (*list == '\0')
        return true;
    while (*list != '\0') {
        list += strspn(list, ", ");
        if (strncmp(list, word, bytes) == 0 && strchr(", ", list[bytes]) != NULL)
            return true;
        list += strcspn(list, ", ");
    }
    return false;
}

bool log_is_on(const struct log *log, enum log_level level, const char *area)
{
    if (log == NULL || level > log->level)
        return false;
    return level < LOG_LEVEL_DEBUG || is_listed(log->areas, area);
}

void log_write(struct log *log, enum log_level level, const char *area, const char *format, ...)
{
    char text[LOG_LINE_BYTES_MAX];
    struct slot *slot = NULL;
    va_list arguments;
    int saved = errno;
    if (!log_is_on(log, level, area))
        return;
    if (is_counted(log, level)) {
        slot = admit(
            log,
            &(struct slot){.format = format, .area = area, .level = level, .began_ms = now_ms()});
        if (slot == NULL)
            return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (slot != NULL)
        snprintf(slot->sample, sizeof(slot->sample), "%.*s", (int)sizeof(slot->sample) - 1, text);
    emit(log, level, area, text);
    errno = saved;
}

bool log_is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    uintmax_t device;
    uintmax_t inode;
    char *end;
    if (stream == NULL || fstat(fd, &status) != 0)
        return false;
    device = strtoumax(stream, &end, 10);
    if (*end != ':')
        return false;
    inode = strtoumax(end + 1, &end, 10);
    return *end == '\0' && device == status.st_dev && inode == status.st_ino;
}

/* Length of the UTF-8 sequence that begins with this byte, 0 if none does. */
static size_t utf8_length(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xC0 || first >= 0xF8)
        return 0;
    return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* The bits of a sequence of the right form. False: its other bytes are no continuation. */
static bool join_utf8(const unsigned char *text, size_t length, uint32_t *point)
{
    *point = length == 1 ? text[0] : text[0] & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return false;
        *point = *point << 6 | (text[i] & 0x3F);
    }
    return true;
}

/* Length of the character at `text` and its code point; 0 if it is none that UTF-8 allows. */
static size_t decode_utf8(const unsigned char *text, size_t bytes, uint32_t *point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = utf8_length(text[0]);
    if (length == 0 || length > bytes || !join_utf8(text, length, point))
        return 0;
    bool is_surrogate = *point >= 0xD800 && *point <= 0xDFFF;
    if (*point < smallest[length] || *point > 0x10FFFF || is_surrogate)
        return 0;
    return length;
}

/* Control characters, and those that are invisible, break lines or change the direction of writing.
 */
static bool is_printable(uint32_t point)
{
    static const uint32_t hidden[][2] = {
        {0x00, 0x1F},     {0x7F, 0x9F},     {0xAD, 0xAD},     {0x61C, 0x61C},   {0x200B, 0x200F},
        {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE0FFF},
    };
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        if (point >= hidden[i][0] && point <= hidden[i][1])
            return false;
    }
    return true;
}

/* Puts what stands for the character at `at` into `out`, 4 bytes at most, and says how many bytes
 * of text that used up. */
static size_t escape_one(const unsigned char *at, size_t bytes, char out[4], size_t *used)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t point = 0;
    size_t length = decode_utf8(at, bytes, &point);
    if (length > 0 && is_printable(point)) {
        memcpy(out, at, length);
        *used = length;
        return length;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[*at >> 4];
    out[3] = digits[*at & 15];
    *used = 4;
    return 1;
}

bool log_escape(const char *text, size_t bytes, char *out, size_t out_bytes)
{
    size_t filled = 0;
    size_t i = 0;
    while (i < bytes) {
        char one[4];
        size_t used;
        size_t taken = escape_one((const unsigned char *)text + i, bytes - i, one, &used);
        if (used >= out_bytes - filled)
            break;
        memcpy(out + filled, one, used);
        filled += used;
        i += taken;
    }
    out[filled] = '\0';
    return i == bytes;
}

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

bool log_level_parse(const char *text, enum log_level *level)
{
    for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (strcmp(levels[i].name, text) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}
