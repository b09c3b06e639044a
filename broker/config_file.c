/* Configuration files: what lines are in them, and which files there are.
 *
 * inih splits lines; this file hands them over one by one, because inih's own reader cuts long
 * lines in two, and reports one wrong line only. A line is therefore looked at twice: here, whether
 * it may be given to inih at all, and afterwards, whether inih made something of it.
 *
 *   text --next_line--> check_line --> inih --on_value--> config_option_set
 *                           \______________\________________\______> errors, each with file:line
 */
#include "broker/config_file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/config_option.h"

/* inih's line of 200 bytes less its line end and NUL. */
#define LINE_BYTES_MAX 197

struct reading {
    struct config *config;
    struct config_errors *errors;
    const char *name;
    const char *at;
    const char *end;
    unsigned line;
    bool expects_value; /* the line that inih has now should come back as a value */
    bool is_skipping;   /* in a section that is unknown, which was reported */
    unsigned seen_line[CONFIG_OPTION_COUNT];
};

static void complain(struct reading *reading, const char *subject, const char *text)
{
    char where[CONFIG_WHERE_BYTES];
    snprintf(where, sizeof(where), "%.200s:%u", reading->name, reading->line);
    config_error_add(reading->errors, where, "%s%s%s", subject, *subject == '\0' ? "" : " ", text);
}

static void complain_unknown(struct reading *reading, const char *what, const char *word,
                             const char *suggestion)
{
    char where[CONFIG_WHERE_BYTES];
    snprintf(where, sizeof(where), "%.200s:%u", reading->name, reading->line);
    if (suggestion == NULL)
        config_error_add(reading->errors, where, "unknown %s %s", what, word);
    else
        config_error_add(reading->errors, where, "unknown %s %s, did you mean %s?", what, word,
                         suggestion);
}

/* Whether nothing but blanks or a comment follows. */
static bool is_rest_empty(const char *at)
{
    at += strspn(at, " \t\r");
    return *at == '\0' || *at == ';' || *at == '#';
}

static void enter_section(struct reading *reading, const char *line)
{
    char section[LINE_BYTES_MAX + 1];
    const char *end = strchr(line, ']');
    reading->is_skipping = true;
    if (end == NULL || !is_rest_empty(end + 1)) {
        complain(reading, "", "this is not a [section]");
        return;
    }
    snprintf(section, sizeof(section), "%.*s", (int)(end - line - 1), line + 1);
    reading->is_skipping = !config_section_is_known(section);
    if (reading->is_skipping)
        complain_unknown(reading, "section", section, config_section_suggest(section));
}

/* Whether inih may have this line; says what is wrong with it if not. */
static bool check_line(struct reading *reading, const char *text, size_t bytes)
{
    if (memchr(text, '\0', bytes) != NULL) {
        complain(reading, "", "the line holds a NUL byte");
        return false;
    }
    if (bytes > LINE_BYTES_MAX) {
        complain(reading, "", "the line is longer than 197 bytes");
        return false;
    }
    return true;
}

/* Takes the next line; NULL at the end. */
static const char *next_line(struct reading *reading, size_t *bytes)
{
    const char *line = reading->at;
    const char *newline;
    if (line == reading->end)
        return NULL;
    reading->line++;
    newline = memchr(line, '\n', (size_t)(reading->end - line));
    reading->at = newline == NULL ? reading->end : newline + 1;
    *bytes = (size_t)((newline == NULL ? reading->end : newline) - line);
    if (*bytes > 0 && line[*bytes - 1] == '\r')
        --*bytes;
    return line;
}

static void check_understood(struct reading *reading)
{
    if (reading->expects_value)
        complain(reading, "", "this is neither a [section] nor a \"key = value\"");
    reading->expects_value = false;
}

/* The reader that inih calls for each line. Blanks at its beginning are dropped, because to inih
 * they mean that the line before goes on. */
static char *on_read(char *out, int out_bytes, void *stream)
{
    struct reading *reading = stream;
    size_t bytes = 0;
    const char *line;
    assert(out_bytes > LINE_BYTES_MAX);
    check_understood(reading);
    line = next_line(reading, &bytes);
    if (line == NULL)
        return NULL;
    out[0] = '\0';
    if (!check_line(reading, line, bytes))
        return out;
    for (; bytes > 0 && (*line == ' ' || *line == '\t'); bytes--)
        line++;
    memcpy(out, line, bytes);
    out[bytes] = '\0';
    if (*out == '[')
        enter_section(reading, out);
    else
        reading->expects_value = !is_rest_empty(out);
    return out;
}

static void take_value(struct reading *reading, const struct config_option *option,
                       const char *value)
{
    char why[CONFIG_WHY_BYTES];
    char text[CONFIG_ERROR_BYTES];
    size_t index = config_option_index(option);
    if (reading->seen_line[index] != 0) {
        snprintf(text, sizeof(text), "stands here a second time, first in line %u",
                 reading->seen_line[index]);
        complain(reading, option->name, text);
        return;
    }
    reading->seen_line[index] = reading->line;
    if (config_option_set(option, reading->config, value, why) != STATUS_OK) {
        snprintf(text, sizeof(text), "= %.200s %s", value, why);
        complain(reading, option->name, text);
        return;
    }
    snprintf(reading->config->where[index], CONFIG_WHERE_BYTES, "%.200s:%u", reading->name,
             reading->line);
}

/* inih's handler; 1 tells it to go on. */
static int on_value(void *argument, const char *section, const char *key, const char *value)
{
    struct reading *reading = argument;
    const struct config_option *option;
    if (*key == '\0')
        return 1; /* "= value": check_understood speaks of it */
    reading->expects_value = false;
    if (reading->is_skipping)
        return 1;
    option = config_option_find(section, key);
    if (option != NULL)
        take_value(reading, option, value);
    else if (*section == '\0')
        complain(reading, key, "stands before the first [section]");
    else
        complain_unknown(reading, "option", key, config_option_suggest(section, key));
    return 1;
}

void config_file_parse(struct config *config, const char *name, const char *text, size_t bytes,
                       struct config_errors *errors)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    struct reading reading = {
        .config = config, .errors = errors, .name = name, .at = text, .end = text + bytes};
    if (bytes > CONFIG_FILE_BYTES_MAX) {
        config_error_add(errors, name, "the file is larger than 1MiB");
        return;
    }
    if (bytes >= 3 && memcmp(text, byte_order_mark, 3) == 0)
        reading.at += 3;
    /* What it returns is the first line that it did not understand; check_understood has them all.
     */
    (void)ini_parse_stream(on_read, &reading, on_value, &reading);
}

/* Reads all of an open file. NULL: *why says what is wrong. The text is the caller's to free. */
static char *read_all(int fd, size_t *bytes, const char **why)
{
    char *text = malloc(CONFIG_FILE_BYTES_MAX + 1);
    ssize_t got;
    *bytes = 0;
    if (text == NULL) {
        *why = "out of memory";
        return NULL;
    }
    do {
        got = read(fd, text + *bytes, CONFIG_FILE_BYTES_MAX + 1 - *bytes);
        if (got > 0)
            *bytes += (size_t)got;
    } while ((got > 0 && *bytes <= CONFIG_FILE_BYTES_MAX) || (got < 0 && errno == EINTR));
    if (got < 0) {
        *why = strerror(errno);
        free(text);
        return NULL;
    }
    return text;
}

void config_file_read(struct config *config, const char *path, enum config_presence presence,
                      struct config_errors *errors)
{
    struct stat status;
    const char *why = "";
    char *text = NULL;
    size_t bytes = 0;
    /* O_NONBLOCK: opening a pipe without a writer must not hang. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        if (errno != ENOENT || presence == CONFIG_MUST_EXIST)
            config_error_add(errors, path, "%s", strerror(errno));
        return;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        why = "this is not a regular file";
    else
        text = read_all(fd, &bytes, &why);
    close(fd);
    if (text == NULL)
        config_error_add(errors, path, "%s", why);
    else
        config_file_parse(config, path, text, bytes, errors);
    free(text);
}

/* Hidden files (those of editors, and . and ..) do not count. */
static int is_wanted(const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name);
    return entry->d_name[0] != '.' && bytes > 5 && strcmp(entry->d_name + bytes - 5, ".conf") == 0;
}

/* By bytes: alphasort would ask the locale. */
static int compare_names(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static void add_listed(struct config_listing *listing, const char *directory, const char *name,
                       struct config_errors *errors)
{
    size_t bytes = strlen(directory) + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path == NULL) {
        config_error_add(errors, directory, "out of memory");
        return;
    }
    snprintf(path, bytes, "%s/%s", directory, name);
    listing->path[listing->count++] = path;
}

void config_listing_read(struct config_listing *listing, const char *path,
                         struct config_errors *errors)
{
    char directory[4096];
    struct dirent **entries = NULL;
    const char *slash = strrchr(path, '/');
    int length = slash == NULL ? 0 : (int)(slash + 1 - path);
    int count;
    listing->count = 0;
    snprintf(directory, sizeof(directory), "%.*sconf.d", length, path);
    count = scandir(directory, &entries, is_wanted, compare_names);
    if (count < 0 && errno != ENOENT && errno != ENOTDIR)
        config_error_add(errors, directory, "%s", strerror(errno));
    if (count > CONFIG_FILES_MAX)
        config_error_add(errors, directory, "there are more than %d files", CONFIG_FILES_MAX);
    for (int i = 0; i < count; i++) {
        if (i < CONFIG_FILES_MAX)
            add_listed(listing, directory, entries[i]->d_name, errors);
        free(entries[i]);
    }
    free(entries);
}

void config_listing_deinit(struct config_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->path[i]);
    listing->count = 0;
}
