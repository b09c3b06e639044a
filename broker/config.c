/* The configuration: the sources in their order, what must hold between options, printing,
 * reloading. */
#include "broker/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "broker/config_file.h"
#include "broker/config_option.h"

#define UNIX_PATH_BYTES_MAX 107 /* of sockaddr_un */

void config_init(struct config *config)
{
    char why[CONFIG_WHY_BYTES];
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        enum status status =
            config_option_set(&config_options[i], config, config_options[i].preset, why);
        assert(status == STATUS_OK); /* it stands in config.def */
        snprintf(config->where[i], CONFIG_WHERE_BYTES, "default");
    }
}

static const char *where(const struct config *config, enum config_index index)
{
    return config->where[index];
}

static void check_listen(const struct config *config, struct config_errors *errors)
{
    for (unsigned i = 0; i < config->listen_tcp.count; i++) {
        const struct config_address *address = &config->listen_tcp.address[i];
        if (!address->is_loopback && !config->listen_allow_plaintext)
            config_error_add(errors, where(config, CONFIG_INDEX_listen_tcp),
                             "listen.tcp: %s is not a loopback address and nothing is encrypted "
                             "there; if that is meant, set listen.allow_plaintext = yes",
                             address->host);
    }
    if (strlen(config->listen_unix) > UNIX_PATH_BYTES_MAX)
        config_error_add(errors, where(config, CONFIG_INDEX_listen_unix),
                         "listen.unix is longer than %d bytes", UNIX_PATH_BYTES_MAX);
    if (config->listen_tcp.count == 0 && config->listen_unix[0] == '\0')
        config_error_add(errors, where(config, CONFIG_INDEX_listen_unix),
                         "neither listen.tcp nor listen.unix says where to listen");
}

/* What must hold between two options, or is more than a bound. */
static void check_all(const struct config *config, struct config_errors *errors)
{
    check_listen(config, errors);
    if (config->data_directory[0] == '\0')
        config_error_add(errors, where(config, CONFIG_INDEX_data_directory),
                         "data.directory is empty");
    if (config->journal_segment_bytes % 4096 != 0)
        config_error_add(errors, where(config, CONFIG_INDEX_journal_segment_bytes),
                         "journal.segment_bytes is not a multiple of 4KiB");
    if (config->limits_message_bytes_max > config->journal_segment_bytes / 4)
        config_error_add(
            errors, where(config, CONFIG_INDEX_limits_message_bytes_max),
            "limits.message_bytes_max is more than a quarter of journal.segment_bytes");
    if (config->limits_credit_bytes < config->limits_message_bytes_max)
        config_error_add(errors, where(config, CONFIG_INDEX_limits_credit_bytes),
                         "limits.credit_bytes is less than limits.message_bytes_max");
    if (config->limits_live_unsent_bytes_max < config->limits_unsent_bytes_max)
        config_error_add(errors, where(config, CONFIG_INDEX_limits_live_unsent_bytes_max),
                         "limits.live_unsent_bytes_max is less than limits.unsent_bytes_max");
    if (strlen(config->log_areas) >= LOG_AREAS_BYTES_MAX)
        config_error_add(errors, where(config, CONFIG_INDEX_log_areas), "log.areas is too long");
}

/* Whether `name`, behind "HERALD_", begins with this section; *key is then what follows its line.
 */
static bool is_in_section(const char *name, const char *section, const char **key)
{
    for (; *section != '\0'; section++, name++) {
        if (toupper((unsigned char)*section) != *name)
            return false;
    }
    *key = name + 1;
    return *name == '_';
}

static void to_lower(const char *text, char *out, size_t out_bytes)
{
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < out_bytes; i++)
        out[i] = (char)tolower((unsigned char)text[i]);
    out[i] = '\0';
}

static void suggest_variable(const char *where, const char *section, const char *key,
                             struct config_errors *errors)
{
    const char *suggestion = config_option_suggest(section, key);
    if (suggestion == NULL)
        config_error_add(errors, where, "the section %s has no option %s", section, key);
    else
        config_error_add(errors, where, "the section %s has no option %s, did you mean %s?",
                         section, key, suggestion);
}

static void take_variable(struct config *config, const char *section, const char *name,
                          const char *value, struct config_errors *errors)
{
    char key[64];
    char why[CONFIG_WHY_BYTES];
    const struct config_option *option;
    to_lower(name + strlen("HERALD_") + strlen(section) + 1, key, sizeof(key));
    option = config_option_find(section, key);
    if (option == NULL)
        suggest_variable(name, section, key, errors);
    else if (config_option_set(option, config, value, why) != STATUS_OK)
        config_error_add(errors, name, "%.200s %s", value, why);
    else
        snprintf(config->where[config_option_index(option)], CONFIG_WHERE_BYTES, "%s", name);
}

/* One "NAME=value". Names that begin with no section of ours belong to somebody else, as
 * HERALD_URL. */
static void read_variable(struct config *config, const char *variable, struct config_errors *errors)
{
    char name[CONFIG_WHERE_BYTES];
    const char *equals = strchr(variable, '=');
    if (strncmp(variable, "HERALD_", 7) != 0 || equals == NULL)
        return;
    snprintf(name, sizeof(name), "%.*s", (int)(equals - variable), variable);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *section = config_options[i].section;
        const char *key;
        if (is_in_section(name + 7, section, &key)) {
            take_variable(config, section, name, equals + 1, errors);
            return;
        }
    }
}

/* The file named, or the default one, and what stands beside it. */
static void read_files(struct config *config, const char *path, struct config_errors *errors)
{
    struct config_listing listing;
    const char *file = path == NULL ? CONFIG_PATH_DEFAULT : path;
    config_file_read(config, file, path == NULL ? CONFIG_MAY_BE_MISSING : CONFIG_MUST_EXIST,
                     errors);
    config_listing_read(&listing, file, errors);
    for (size_t i = 0; i < listing.count; i++)
        config_file_read(config, listing.path[i], CONFIG_MUST_EXIST, errors);
    config_listing_deinit(&listing);
}

static void set_from_command_line(struct config *config, enum config_index index, const char *value,
                                  struct config_errors *errors)
{
    char why[CONFIG_WHY_BYTES];
    if (config_option_set(&config_options[index], config, value, why) != STATUS_OK)
        config_error_add(errors, "--dev", "%s %s", value, why);
    else
        snprintf(config->where[index], CONFIG_WHERE_BYTES, "--dev");
}

static void apply_dev(struct config *config, const char *directory, struct config_errors *errors)
{
    char absolute[4096];
    char socket[4200];
    char here[2048] = "";
    bool is_relative = directory[0] != '/';
    if (is_relative && getcwd(here, sizeof(here)) == NULL) {
        config_error_add(errors, "--dev", "the current directory: %s", strerror(errno));
        return;
    }
    snprintf(absolute, sizeof(absolute), "%s%s%.2000s", here, is_relative ? "/" : "", directory);
    snprintf(socket, sizeof(socket), "%s/herald.sock", absolute);
    set_from_command_line(config, CONFIG_INDEX_data_directory, absolute, errors);
    set_from_command_line(config, CONFIG_INDEX_listen_unix, socket, errors);
}

static enum status finish(const struct config *config, struct config_errors *errors)
{
    check_all(config, errors);
    return errors->count == 0 ? STATUS_OK : STATUS_BAD_CONFIG;
}

enum status config_load(struct config *config, const struct config_source *source,
                        struct config_errors *errors)
{
    config_init(config);
    if (source->path != NULL || source->dev_directory == NULL)
        read_files(config, source->path, errors);
    for (char **variable = source->environment; variable != NULL && *variable != NULL; variable++)
        read_variable(config, *variable, errors);
    if (source->dev_directory != NULL)
        apply_dev(config, source->dev_directory, errors);
    return finish(config, errors);
}

enum status config_load_text(struct config *config, const char *name, const char *text,
                             size_t bytes, struct config_errors *errors)
{
    config_init(config);
    config_file_parse(config, name, text, bytes, errors);
    return finish(config, errors);
}

void config_print(const struct config *config, FILE *out)
{
    const char *section = "";
    fprintf(out, "# The configuration of heraldd " HERALD_VERSION " as it takes effect.\n");
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *option = &config_options[i];
        char value[CONFIG_VALUE_BYTES];
        char origin[4 * CONFIG_WHERE_BYTES];
        if (strcmp(section, option->section) != 0)
            fprintf(out, "\n[%s]\n", option->section);
        section = option->section;
        config_option_print(option, config, value, sizeof(value));
        log_escape(config->where[i], strlen(config->where[i]), origin, sizeof(origin));
        /* A comment may not be longer than a line may be. */
        fprintf(out, "# %.190s\n%s =%s%s\n", origin, option->key, *value == '\0' ? "" : " ", value);
    }
}

void config_reload(struct config *running, const struct config *fresh, config_change_fn on_change,
                   void *argument)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *option = &config_options[i];
        bool is_taken = option->when == CONFIG_RELOAD;
        if (config_option_is_equal(option, running, fresh))
            continue;
        if (is_taken)
            config_option_copy(option, running, fresh);
        on_change(argument, option->name, is_taken ? CONFIG_CHANGED : CONFIG_NEEDS_RESTART);
    }
}
