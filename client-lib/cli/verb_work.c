/* herald work: takes commands from a queue, to print them or to run a program for each. */
#include "client-lib/cli/verbs.h"

#include "client-lib/cli/receive.h"
#include "client-lib/cli/worker.h"

static int work_printing(const struct arguments *arguments)
{
    struct receiver receiver;
    receive_init(&receiver, arguments);
    receiver.settle = RECEIVE_DONE;
    receiver.names.queue = arguments->words[0];
    if (arguments_has(arguments, OPTION_PARALLEL)) {
        report_say("--parallel needs a command to run: -- CMD");
        return EXIT_USAGE;
    }
    int code = contact_open_plain(&receiver.contact, arguments);
    if (code != EXIT_OK)
        return code;
    struct herald_service service = herald_service(arguments->words[0], receive_on_message);
    service.context = &receiver;
    service.prefetch_messages = receive_prefetch(&receiver, arguments);
    service.on_gone = receive_on_gone;
    enum herald_status status =
        herald_serve(receiver.contact.client, &service, CONTACT_ANSWER_MS, &receiver.consumer);
    return receive_run(&receiver, status);
}

int verb_work(const struct arguments *arguments)
{
    if (arguments->words_before_dashes > 1) {
        report_say("put -- before the command to run: herald work %s -- %s", arguments->words[0],
                   arguments->words[1]);
        return EXIT_USAGE;
    }
    return arguments->word_count > 1 ? worker_run(arguments) : work_printing(arguments);
}
