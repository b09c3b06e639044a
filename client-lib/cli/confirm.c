/* The question before something is destroyed. */
#include "client-lib/cli/confirm.h"

#include <stdio.h>
#include <unistd.h>

#include "client-lib/cli/report.h"

static int confirm_ask(const struct arguments *arguments, const char *question)
{
    char answer[16];
    if (arguments_has(arguments, OPTION_YES))
        return EXIT_OK;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        report_say("`herald %s` destroys something: say --yes", arguments->verb->words);
        return EXIT_USAGE;
    }
    fprintf(stderr, "%s [y/N] ", question);
    fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
        return EXIT_OK;
    report_say("nothing was done");
    return EXIT_FAILED;
}

int confirm_open(struct contact *contact, const struct arguments *arguments, const char *question)
{
    int code = confirm_ask(arguments, question);
    return code == EXIT_OK ? contact_open_plain(contact, arguments) : code;
}
