/* The program `herald`. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client-lib/cli/arguments.h"
#include "client-lib/cli/complete.h"
#include "client-lib/cli/help.h"
#include "client-lib/cli/report.h"
#include "client-lib/cli/verbs.h"

/* A program started with standard descriptors closed would open its socket or a pipe as one of
 * them, and then write messages into it. */
static void open_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int print_version(struct output *output)
{
    char line[64];
    int bytes = snprintf(line, sizeof line, "herald %s\n", herald_version());
    output_write(output, line, (size_t)bytes);
    return output_finish(output, EXIT_OK);
}

static int run(const struct arguments *arguments)
{
    struct output output;
    output_init(&output, arguments);
    if (arguments_has(arguments, OPTION_VERSION))
        return print_version(&output);
    if (!arguments_has(arguments, OPTION_HELP))
        return arguments->verb->run(arguments);
    if (arguments->verb == NULL)
        return verb_help(arguments);
    help_print_verb(arguments->verb, &output);
    return output_finish(&output, EXIT_OK);
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    open_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    if (argc >= 2 && strcmp(argv[1], "__complete") == 0)
        return complete_print(argv + 2, (size_t)argc - 2);
    int code = EXIT_USAGE;
    if (arguments_parse(&arguments, argc, argv))
        code = run(&arguments);
    arguments_deinit(&arguments);
    return code;
}
