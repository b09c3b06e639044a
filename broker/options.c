/* The command line of heraldd. */
#include "broker/options.h"

#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "broker/log.h"

enum letter {
    LETTER_DEV = 256,
    LETTER_CHECK_CONFIG,
    LETTER_PRINT_CONFIG,
    LETTER_VERIFY,
    LETTER_DUMP,
    LETTER_REPAIR,
    LETTER_YES,
    LETTER_VERSION,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"dev", required_argument, NULL, LETTER_DEV},
    {"check-config", no_argument, NULL, LETTER_CHECK_CONFIG},
    {"print-config", no_argument, NULL, LETTER_PRINT_CONFIG},
    {"verify", required_argument, NULL, LETTER_VERIFY},
    {"dump", required_argument, NULL, LETTER_DUMP},
    {"repair", required_argument, NULL, LETTER_REPAIR},
    {"yes", no_argument, NULL, LETTER_YES},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, LETTER_VERSION},
    {NULL, 0, NULL, 0},
};

static enum status complain(FILE *err, const char *what, const char *word)
{
    char escaped[1024];
    log_escape(word, strlen(word), escaped, sizeof(escaped));
    fprintf(err, "heraldd: %s %s; try heraldd --help\n", what, escaped);
    return STATUS_BAD_VALUE;
}

/* A second action would silently win over the first. */
static enum status choose(struct options *options, enum options_action action, FILE *err)
{
    if (options->action != OPTIONS_RUN && options->action != action)
        return complain(err,
                        "only one of --check-config, --print-config, --verify, --dump, "
                        "--repair, --help and --version",
                        "may be given");
    options->action = action;
    return STATUS_OK;
}

static enum status set_path(const char **path, const char *argument, const char *name, FILE *err)
{
    if (*path != NULL)
        return complain(err, "given twice:", name);
    if (*argument == '\0')
        return complain(err, "an empty path for", name);
    *path = argument;
    return STATUS_OK;
}

/* An action on a directory that is not the daemon's own to serve. */
static enum status choose_tool(struct options *options, enum options_action action,
                               const char *name, FILE *err)
{
    enum status status = choose(options, action, err);
    return status == STATUS_OK ? set_path(&options->directory, optarg, name, err) : status;
}

/* Tools read neither a configuration nor anything else that a daemon is told. */
static enum status check_together(const struct options *options, FILE *err)
{
    if (options->is_consented && options->action != OPTIONS_REPAIR)
        return complain(err, "only --repair takes", "--yes");
    if (options->directory != NULL &&
        (options->config_path != NULL || options->dev_directory != NULL))
        return complain(err, "--verify, --dump and --repair take no",
                        options->config_path != NULL ? "-c" : "--dev");
    return STATUS_OK;
}

/* Takes the option that stands in `word`. */
static enum status take(struct options *options, int letter, const char *word, FILE *err)
{
    switch (letter) {
    case 'c':
        return set_path(&options->config_path, optarg, "-c", err);
    case LETTER_DEV:
        return set_path(&options->dev_directory, optarg, "--dev", err);
    case LETTER_CHECK_CONFIG:
        return choose(options, OPTIONS_CHECK_CONFIG, err);
    case LETTER_PRINT_CONFIG:
        return choose(options, OPTIONS_PRINT_CONFIG, err);
    case LETTER_VERIFY:
        return choose_tool(options, OPTIONS_VERIFY, "--verify", err);
    case LETTER_DUMP:
        return choose_tool(options, OPTIONS_DUMP, "--dump", err);
    case LETTER_REPAIR:
        return choose_tool(options, OPTIONS_REPAIR, "--repair", err);
    case LETTER_YES:
        options->is_consented = true;
        return STATUS_OK;
    case 'h':
        return choose(options, OPTIONS_HELP, err);
    case LETTER_VERSION:
        return choose(options, OPTIONS_VERSION, err);
    case ':':
        return complain(err, "an argument is missing after", word);
    default:
        return complain(err, "unknown option", word);
    }
}

enum status options_parse(struct options *options, int argc, char **argv, FILE *err)
{
    enum status status = STATUS_OK;
    *options = (struct options){.action = OPTIONS_RUN};
    optind = 0; /* begin anew, whoever used getopt before */
    opterr = 0;
    while (status == STATUS_OK) {
        int at = optind == 0 ? 1 : optind;
        int letter = getopt_long(argc, argv, "+:c:h", long_options, NULL);
        if (letter == -1)
            break;
        status = take(options, letter, argv[at], err);
    }
    if (status == STATUS_OK && optind < argc)
        status = complain(err, "unexpected argument", argv[optind]);
    return status == STATUS_OK ? check_together(options, err) : status;
}

void options_print_help(FILE *out)
{
    fputs("usage: heraldd [-c FILE] [--dev DIR] [--check-config | --print-config]\n"
          "       heraldd --verify DIR | --dump DIR | --repair DIR [--yes]\n"
          "\n"
          "The daemon of Herald, a broker for commands and events.\n"
          "\n"
          "  -c, --config FILE  read this configuration instead of /etc/herald/herald.conf,\n"
          "                     and the files *.conf in the directory conf.d beside it\n"
          "      --dev DIR      keep data and socket in DIR and let anybody on this machine\n"
          "                     in; reads no configuration without -c\n"
          "      --check-config say what is wrong with the configuration, and exit\n"
          "      --print-config print the configuration as it takes effect, and exit\n"
          "      --verify DIR   say whether the data in DIR is whole, and what is in it\n"
          "      --dump DIR     print the data in DIR, one JSON object a line\n"
          "      --repair DIR   say what a repair would lose, ask (or --yes), and repair;\n"
          "                     the damaged directory is kept\n"
          "  -h, --help         print this\n"
          "      --version      print the version\n"
          "\n"
          "Exit codes: 0 stopped in good order, 2 wrong usage, 65 damaged data, 71 memory\n"
          "or an address is missing, 74 the disk failed or is in use, 78 wrong\n"
          "configuration. Manual: heraldd(8), herald.conf(5).\n",
          out);
}

void options_print_version(FILE *out)
{
    fputs("heraldd " HERALD_VERSION "\n", out);
}
