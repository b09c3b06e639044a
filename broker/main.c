/* heraldd: the broker's daemon. Command line, configuration and log; all else is broker.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/config.h"
#include "broker/log.h"
#include "broker/options.h"
#include "broker/settings.h"
#include "broker/tool.h"

/* Standard output was asked for something; a full disk or a closed pipe must not look like success.
 */
static int finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EX_OK;
    perror("heraldd: standard output");
    return EX_IOERR;
}

static int complain_about_config(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count && i < CONFIG_ERRORS_MAX; i++)
        fprintf(stderr, "heraldd: %s\n", errors->text[i]);
    if (errors->count > CONFIG_ERRORS_MAX)
        fprintf(stderr, "heraldd: and %zu more\n", errors->count - CONFIG_ERRORS_MAX);
    return EX_CONFIG;
}

static int serve(const struct config_source *source, struct config *config)
{
    struct log_options log_options = {
        .fd = STDERR_FILENO,
        .level = config->log_level,
        .areas = config->log_areas,
        .repeat_interval_ms = config->log_repeat_interval,
        .is_journal = log_is_journal(STDERR_FILENO),
    };
    int exit_code = EX_OSERR;
    struct log *log = log_new(&log_options);
    if (log == NULL)
        return exit_code;
    struct broker_options options = {source, config, log};
    struct broker *broker = broker_new(&options, &exit_code);
    if (broker != NULL)
        exit_code = broker_run(broker);
    broker_free(broker);
    log_free(log);
    return exit_code;
}

/* Files are the daemon's own; messages must not end up in a core dump that others read. A first try
 * with --dev may be looked into with a debugger. */
static void protect_process(const struct options *options)
{
    (void)umask(0077);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Until the broker listens to them. */
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN);
    if (options->dev_directory == NULL)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int run_with_config(const struct options *options, struct config *config)
{
    struct config_source source = {options->config_path, options->dev_directory, environ};
    struct config_errors errors = {0};
    int exit_code = EX_OK;
    if (config_load(config, &source, &errors) != STATUS_OK) {
        exit_code = complain_about_config(&errors);
    } else if (options->action == OPTIONS_PRINT_CONFIG) {
        config_print(config, stdout);
        exit_code = finish_output();
    } else if (options->action == OPTIONS_RUN) {
        protect_process(options);
        exit_code = serve(&source, config);
    }
    config_errors_deinit(&errors);
    return exit_code;
}

/* Whoever reads the output may go at any time. */
static int run_tool(const struct options *options)
{
    (void)umask(0077);
    (void)signal(SIGPIPE, SIG_IGN);
    if (options->action == OPTIONS_VERIFY)
        return tool_verify(options->directory);
    if (options->action == OPTIONS_DUMP)
        return tool_dump(options->directory);
    return tool_repair(options->directory, options->is_consented ? TOOL_CONSENTED : TOOL_ASK);
}

int main(int argc, char **argv)
{
    struct options options;
    if (options_parse(&options, argc, argv, stderr) != STATUS_OK)
        return OPTIONS_EXIT_USAGE;
    if (options.action == OPTIONS_HELP) {
        options_print_help(stdout);
        return finish_output();
    }
    if (options.action == OPTIONS_VERSION) {
        options_print_version(stdout);
        return finish_output();
    }
    settings_tune_memory();
    if (options.directory != NULL)
        return run_tool(&options);
    struct config *config = malloc(sizeof *config);
    if (config == NULL)
        return EX_OSERR;
    int exit_code = run_with_config(&options, config);
    free(config);
    return exit_code;
}
