/* The live subscribers of a bench. */
#include "client-lib/cli/audience.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client-lib/cli/contact.h"
#include "client-lib/cli/group.h"
#include "client-lib/cli/measure.h"
#include "client-lib/cli/report.h"

enum { SAMPLE = 16, WAIT_MS = 100 };

struct audience_share {
    _Atomic int64_t heard;
    _Atomic int64_t missed;
    struct histogram heard_ns;
};

/* What a helper counts by itself, until it tells it to the others. */
struct listener {
    struct audience_share *share;
    int64_t heard;
    int64_t missed;
};

static void on_message(struct herald_message *message, void *context)
{
    struct listener *listener = context;
    int64_t sent_ns;
    if (listener->heard++ % SAMPLE != 0)
        return;
    memcpy(&sent_ns, herald_message_body(message), sizeof sent_ns);
    histogram_add(&listener->share->heard_ns, (uint64_t)(measure_now_ns() - sent_ns));
}

static void on_gap(struct herald_consumer *consumer, uint64_t missed, void *context)
{
    (void)consumer;
    struct listener *listener = context;
    listener->missed += (int64_t)missed;
}

/* The subscriptions of one connection: every so many-th of all. */
static enum herald_status subscribe(struct herald_client *client, const struct audience_plan *plan,
                                    int64_t connection, struct listener *listener)
{
    enum herald_status status = herald_connect(client, CONTACT_CONNECT_MS);
    for (int64_t i = connection; status == HERALD_OK && i < plan->subscriptions;
         i += plan->connections) {
        char pattern[AUDIENCE_PATTERN_BYTES];
        plan->make_pattern(i, pattern);
        struct herald_subscription subscription =
            herald_subscription(plan->exchange, pattern, on_message);
        subscription.context = listener;
        subscription.on_gap = on_gap;
        status = herald_subscribe(client, &subscription, CONTACT_ANSWER_MS, NULL);
    }
    return status;
}

static int subscribe_all(struct group *group, const struct audience *audience, size_t index,
                         struct listener *listener)
{
    int64_t first = (int64_t)index * audience->connections_each;
    int64_t end = first + audience->connections_each;
    for (int64_t i = first; i < end && i < audience->plan.connections; i++) {
        struct herald_client *client = herald_new(audience->plan.options);
        if (!group_add_take(group, client))
            return EXIT_FAILED;
        enum herald_status status = subscribe(client, &audience->plan, i, listener);
        if (status != HERALD_OK)
            return report_status(client, status, NULL);
    }
    return EXIT_OK;
}

/* One helper's whole life. */
static int listen_on(int fd, size_t index, void *context)
{
    const struct audience *audience = context;
    struct listener listener = {.share = &audience->shares[index]};
    struct group group;
    if (!group_init(&group, (size_t)audience->connections_each))
        return EXIT_FAILED;
    int code = subscribe_all(&group, audience, index, &listener);
    bool goes_on = code == EXIT_OK && helper_say_ready(fd);
    while (goes_on) {
        group_wait(&group, WAIT_MS);
        atomic_store_explicit(&listener.share->heard, listener.heard, memory_order_release);
        atomic_store_explicit(&listener.share->missed, listener.missed, memory_order_release);
        goes_on = helper_is_wanted(fd);
    }
    group_deinit(&group);
    return code;
}

int audience_start(struct audience *audience, const struct audience_plan *plan)
{
    int64_t most = helpers_connections_each();
    size_t helpers = (size_t)((plan->connections + most - 1) / most);
    *audience = (struct audience){.plan = *plan};
    if (helpers > HELPERS_MAX) {
        report_say("so many connections cannot be made from here (ulimit -n)");
        return EXIT_FAILED;
    }
    audience->connections_each = (plan->connections + (int64_t)helpers - 1) / (int64_t)helpers;
    void *shared = mmap(NULL, HELPERS_MAX * sizeof(struct audience_share), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        report_say("out of memory");
        return EXIT_FAILED;
    }
    audience->shares = shared;
    return helpers_start(&audience->helpers, helpers, listen_on, audience);
}

void audience_stop(struct audience *audience)
{
    helpers_stop(&audience->helpers);
    if (audience->shares != NULL)
        munmap(audience->shares, HELPERS_MAX * sizeof(struct audience_share));
    audience->shares = NULL;
}

int64_t audience_heard(const struct audience *audience)
{
    int64_t sum = 0;
    for (size_t i = 0; i < audience->helpers.count; i++)
        sum += atomic_load_explicit(&audience->shares[i].heard, memory_order_acquire);
    return sum;
}

int64_t audience_missed(const struct audience *audience)
{
    int64_t sum = 0;
    for (size_t i = 0; i < audience->helpers.count; i++)
        sum += atomic_load_explicit(&audience->shares[i].missed, memory_order_acquire);
    return sum;
}

void audience_times(const struct audience *audience, struct histogram *heard_ns)
{
    memset(heard_ns, 0, sizeof *heard_ns);
    for (size_t i = 0; i < audience->helpers.count; i++) {
        const struct histogram *from = &audience->shares[i].heard_ns;
        heard_ns->count += from->count;
        for (size_t k = 0; k < HISTOGRAM_BUCKETS; k++)
            heard_ns->buckets[k] += from->buckets[k];
    }
}
