/* herald subscribe: hears events and prints them.
 *
 *   neither --name nor --from    live: from now on, as long as it runs
 *   --from                       a reader: what the exchange has kept from there on, and what comes
 *   --name                       if a cursor has this name it goes on there, else a bound queue
 *   both                         a cursor, which is made if it is not there
 */
#include "client-lib/cli/verbs.h"

#include <string.h>

#include "client-lib/cli/content.h"
#include "client-lib/cli/cursor.h"
#include "client-lib/cli/place.h"
#include "client-lib/cli/receive.h"

struct plan {
    const char *exchange;
    const char *pattern; /* NULL: none was given */
    const char *name;    /* NULL: none */
    bool is_following;
    struct place place;
    struct cursor cursor; /* what stands under the name */
    struct herald_header filter[TEXTS_MAX];
    size_t filter_count;
};

static bool make_plan(struct plan *plan, const struct arguments *arguments)
{
    *plan = (struct plan){
        .exchange = arguments->words[0],
        .pattern = arguments->word_count > 1 ? arguments->words[1] : NULL,
        .name = arguments->options[OPTION_NAME].text,
        .is_following = arguments_has(arguments, OPTION_FROM),
        .filter_count = arguments->text_count,
    };
    if (plan->is_following && !place_parse(arguments->options[OPTION_FROM].text, &plan->place)) {
        report_say("--from takes first, next, last, a sequence or a time like "
                   "2026-01-31T12:00:00Z, not '%s'",
                   arguments->options[OPTION_FROM].text);
        return false;
    }
    if (plan->name != NULL && plan->is_following && plan->place.from == HERALD_FROM_LAST) {
        report_say("a cursor cannot begin at the last of each key; leave --name out");
        return false;
    }
    if (arguments_has(arguments, OPTION_PREFETCH) && plan->name == NULL) {
        report_say("--prefetch is for events that are kept: give --name too");
        return false;
    }
    return content_headers(arguments, "where", plan->filter);
}

static enum herald_status follow(struct receiver *receiver, const struct plan *plan,
                                 const struct arguments *arguments)
{
    const char *pattern = plan->pattern != NULL ? plan->pattern : "#";
    struct herald_reading reading = herald_reading(plan->exchange, pattern, receive_on_message);
    if (plan->cursor.is_there && plan->pattern == NULL)
        reading.pattern = plan->cursor.pattern;
    reading.filter = plan->filter;
    reading.filter_count = plan->filter_count;
    reading.context = receiver;
    reading.cursor = plan->name;
    reading.from = plan->place.from;
    reading.at = plan->place.at;
    reading.manual_settle = 1;
    if (plan->name != NULL)
        reading.prefetch_messages = receive_prefetch(receiver, arguments);
    reading.on_gone = receive_on_gone;
    reading.on_gap = receive_on_gap;
    return herald_follow(receiver->contact.client, &reading, CONTACT_ANSWER_MS,
                         &receiver->consumer);
}

static enum herald_status subscribe(struct receiver *receiver, const struct plan *plan,
                                    const struct arguments *arguments)
{
    struct herald_subscription subscription = herald_subscription(
        plan->exchange, plan->pattern != NULL ? plan->pattern : "#", receive_on_message);
    subscription.filter = plan->filter;
    subscription.filter_count = plan->filter_count;
    subscription.context = receiver;
    subscription.on_gone = receive_on_gone;
    subscription.on_gap = receive_on_gap;
    if (plan->name != NULL) {
        subscription.queue = plan->name;
        subscription.manual_settle = 1;
        subscription.prefetch_messages = receive_prefetch(receiver, arguments);
    }
    return herald_subscribe(receiver->contact.client, &subscription, CONTACT_ANSWER_MS,
                            &receiver->consumer);
}

int verb_subscribe(const struct arguments *arguments)
{
    struct receiver receiver;
    struct plan plan;
    if (!make_plan(&plan, arguments))
        return EXIT_USAGE;
    receive_init(&receiver, arguments);
    receiver.style = arguments_has(arguments, OPTION_VERBOSE) ? MESSAGE_KEY_AND_BODY : MESSAGE_BODY;
    receiver.settle = plan.name != NULL ? RECEIVE_DONE : RECEIVE_LIVE;
    receiver.names.exchange = plan.exchange;
    int code = contact_open_plain(&receiver.contact, arguments);
    if (code != EXIT_OK)
        return code;
    if (plan.name != NULL)
        code = cursor_find(&receiver.contact, plan.name, &plan.cursor);
    if (code != EXIT_OK) {
        contact_close(&receiver.contact);
        return code;
    }
    receiver.is_following = plan.is_following || plan.cursor.is_there;
    enum herald_status status = receiver.is_following ? follow(&receiver, &plan, arguments)
                                                      : subscribe(&receiver, &plan, arguments);
    return receive_run(&receiver, status);
}
