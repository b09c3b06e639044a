/* The configuration: a struct with a field for every option of config.def, and how it is found.
 *
 * What is stronger overwrites what is weaker:
 *
 *   command line (--dev) > HERALD_SECTION_KEY > conf.d, in lexical order > herald.conf > default
 *
 * Everything wrong is reported, not only the first thing, and then nothing of it is used. Text
 * stands inside the struct, so a configuration may be copied, and nothing of it needs freeing.
 */
#ifndef HERALD_CONFIG_H
#define HERALD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/config_error.h"
#include "broker/config_value.h"
#include "broker/log.h"
#include "protocol/status.h"

#define CONFIG_PATH_DEFAULT "/etc/herald/herald.conf"
#define CONFIG_FILE_BYTES_MAX ((size_t)1 << 20)
#define CONFIG_FILES_MAX 256
#define CONFIG_WHERE_BYTES 256

/* Each option's place in config_options. */
enum config_index {
#define OPTION(section, key, kind, preset, min, max, when, help) CONFIG_INDEX_##section##_##key,
#include "broker/config.def"
    CONFIG_OPTION_COUNT
};

#define CONFIG_FIELD_BOOL(name) bool name;
#define CONFIG_FIELD_COUNT(name) uint64_t name;
#define CONFIG_FIELD_SIZE(name) uint64_t name;
#define CONFIG_FIELD_DURATION(name) uint64_t name; /* ms */
#define CONFIG_FIELD_MODE(name) uint64_t name;
#define CONFIG_FIELD_LEVEL(name) enum log_level name;
#define CONFIG_FIELD_TEXT(name) char name[CONFIG_TEXT_BYTES];
#define CONFIG_FIELD_PATH(name) char name[CONFIG_TEXT_BYTES];
#define CONFIG_FIELD_LISTEN(name) struct config_addresses name;

struct config {
#define OPTION(section, key, kind, preset, min, max, when, help)                                   \
    CONFIG_FIELD_##kind(section##_##key)
#include "broker/config.def"
    /* Where each value came from: "default", "/etc/herald/herald.conf:12", "HERALD_LISTEN_TCP". */
    char where[CONFIG_OPTION_COUNT][CONFIG_WHERE_BYTES];
};

#undef CONFIG_FIELD_BOOL
#undef CONFIG_FIELD_COUNT
#undef CONFIG_FIELD_SIZE
#undef CONFIG_FIELD_DURATION
#undef CONFIG_FIELD_MODE
#undef CONFIG_FIELD_LEVEL
#undef CONFIG_FIELD_TEXT
#undef CONFIG_FIELD_PATH
#undef CONFIG_FIELD_LISTEN

/* Where to look. */
struct config_source {
    const char *path;          /* -c FILE; NULL for CONFIG_PATH_DEFAULT if there is one */
    const char *dev_directory; /* --dev DIR, which then reads no file without -c; NULL without */
    char **environment;        /* as `environ`; NULL for none */
};

/* Every option at its default. */
void config_init(struct config *config);

/* Finds the whole configuration.
 *
 * STATUS_BAD_CONFIG: `errors` has at least one text, and *config must not be used. The texts are
 * freed by config_errors_deinit, whatever was returned. */
enum status config_load(struct config *config, const struct config_source *source,
                        struct config_errors *errors);

/* The same from one text in memory, which stands for a file called `name`. No other source is
 * asked. */
enum status config_load_text(struct config *config, const char *name, const char *text,
                             size_t bytes, struct config_errors *errors);

/* Writes it as a file that loads to the same configuration, each value under a comment that says
 * where it came from. The caller checks ferror. */
void config_print(const struct config *config, FILE *out);

enum config_change {
    CONFIG_CHANGED,       /* `running` has the new value now */
    CONFIG_NEEDS_RESTART, /* `running` keeps the old value */
};

/* `name` is "section.key", static storage. */
typedef void (*config_change_fn)(void *argument, const char *name, enum config_change change);

/* Takes over what may change in a running daemon, and tells of every option that differs. `fresh`
 * is a configuration that config_load accepted, so this cannot fail halfway. */
void config_reload(struct config *running, const struct config *fresh, config_change_fn on_change,
                   void *argument);

#endif
