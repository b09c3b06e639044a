/* The options of config.def as a table that can be searched, and their values as text. */
#ifndef HERALD_CONFIG_OPTION_H
#define HERALD_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/config.h"
#include "broker/config_value.h"
#include "protocol/status.h"

/* When a changed value takes effect. */
enum config_when {
    CONFIG_RELOAD,
    CONFIG_RESTART,
};

struct config_option {
    const char *section;
    const char *key;
    const char *name;  /* "section.key" */
    const char *field; /* "section_key" */
    size_t at;         /* of its field in struct config */
    enum config_kind kind;
    enum config_when when;
    const char *preset;
    const char *min; /* as it is written in a file; "" where there is no bound */
    const char *max;
    const char *help;
};

/* In the order of config.def, CONFIG_OPTION_COUNT of them. */
extern const struct config_option config_options[];

/* NULL: there is none of this name. */
const struct config_option *config_option_find(const char *section, const char *key);

/* Its place in the table. */
size_t config_option_index(const struct config_option *option);

bool config_section_is_known(const char *section);

/* The key of this section that is most like `key`, or the section most like `section`, when it is
 * close enough to be meant; else NULL. Static storage. */
const char *config_option_suggest(const char *section, const char *key);
const char *config_section_suggest(const char *section);

/* Reads `text`, checks it against the bounds and puts it into its field.
 *
 * STATUS_BAD_VALUE: nothing has changed, `why` (CONFIG_WHY_BYTES) says what is wrong. */
#define CONFIG_WHY_BYTES 128
enum status config_option_set(const struct config_option *option, struct config *config,
                              const char *text, char *why);

/* The value as config_option_set reads it; `out` should have CONFIG_VALUE_BYTES. */
#define CONFIG_VALUE_BYTES 1024
void config_option_print(const struct config_option *option, const struct config *config, char *out,
                         size_t out_bytes);

/* Whether both hold the same value, and making it so. */
bool config_option_is_equal(const struct config_option *option, const struct config *left,
                            const struct config *right);
void config_option_copy(const struct config_option *option, struct config *to,
                        const struct config *from);

#endif
