/* herald subscribe: hears events and prints them. */
#include "client-lib/cli/verbs.h"

#include "client-lib/cli/content.h"
#include "client-lib/cli/receive.h"

int verb_subscribe(const struct arguments *arguments)
{
    struct receiver receiver;
    struct herald_header filter[TEXTS_MAX];
    receive_init(&receiver, arguments);
    receiver.style = arguments_has(arguments, OPTION_VERBOSE) ? MESSAGE_KEY_AND_BODY : MESSAGE_BODY;
    receiver.settle = arguments_has(arguments, OPTION_NAME) ? RECEIVE_DONE : RECEIVE_LIVE;
    receiver.names.exchange = arguments->words[0];
    if (arguments_has(arguments, OPTION_PREFETCH) && receiver.settle == RECEIVE_LIVE) {
        report_say("--prefetch is for events that are kept: give --name too");
        return EXIT_USAGE;
    }
    if (!content_headers(arguments, "where", filter))
        return EXIT_USAGE;
    int code = contact_open_plain(&receiver.contact, arguments);
    if (code != EXIT_OK)
        return code;
    struct herald_subscription subscription = herald_subscription(
        arguments->words[0], arguments->word_count > 1 ? arguments->words[1] : "#",
        receive_on_message);
    subscription.context = &receiver;
    subscription.on_gone = receive_on_gone;
    subscription.on_gap = receive_on_gap;
    subscription.filter = filter;
    subscription.filter_count = arguments->text_count;
    if (receiver.settle == RECEIVE_DONE) {
        subscription.queue = arguments->options[OPTION_NAME].text;
        subscription.manual_settle = 1;
        subscription.prefetch_messages = receive_prefetch(&receiver, arguments);
    }
    enum herald_status status = herald_subscribe(receiver.contact.client, &subscription,
                                                 CONTACT_ANSWER_MS, &receiver.consumer);
    return receive_run(&receiver, status);
}
