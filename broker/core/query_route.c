/* Which bindings an event would pass.
 *
 * The rows of a page are numbered through all exchanges that the event comes to, in the order of
 * relay.c. While bindings change between two pages, some may be shown twice or not at all.
 */
#include "broker/core/query_route.h"

#include "broker/core/dispatch.h"
#include "broker/core/exchange.h"
#include "broker/core/explain.h"
#include "broker/core/filter.h"
#include "broker/core/relay.h"
#include "protocol/topic.h"

void query_put_binding(struct wire_writer *w, const struct binding *binding)
{
    const struct destination *to = &binding->to;
    char filter[EXPLAIN_BYTES];
    explain_filter(binding_filter(binding), filter);
    page_put_text(w, "exchange", binding->exchange->name);
    page_put_text(w, "queue", to->queue != NULL ? to->queue->name : "");
    page_put_text(w, "onward", to->exchange != NULL ? to->exchange->name : "");
    row_put_text(w, "pattern", binding_pattern(binding));
    page_put_text(w, "filter", filter);
}

/* What is asked about, checked. */
struct question {
    struct page *page;
    struct exchange *exchange;
    struct relay_event event;
    struct relay relay;
    uint64_t number; /* of the row before */
    uint64_t after;
};

static enum status begin(struct question *question, struct page *page,
                         const struct frame_query *query)
{
    struct core *core = page->peer->core;
    *question = (struct question){.page = page, .after = query->after};
    enum status status = topic_check_key(query->key);
    if (status == STATUS_OK)
        status = header_check(query->headers, core->limits.headers_count_max,
                              core->limits.headers_bytes_max);
    if (status != STATUS_OK)
        return status;
    question->event = (struct relay_event){query->key, query->headers};
    question->exchange = exchange_find(core, query->name);
    if (question->exchange == NULL)
        return STATUS_NO_EXCHANGE;
    relay_begin(core, &question->relay, question->exchange);
    return STATUS_OK;
}

static struct wire_writer *begin_row(const struct question *question, const struct binding *binding)
{
    const struct queue *queue = binding->to.queue;
    struct wire_writer *w = page_begin_row(question->page);
    row_put_number(w, "number", ROW_NUMBER, question->number);
    query_put_binding(w, binding);
    row_put_number(w, "live", ROW_FLAG, binding->is_live);
    row_put_number(w, "connection", ROW_NUMBER,
                   binding->is_live && queue->live != NULL ? queue->live->peer->number : 0);
    return w;
}

static void go_on(struct question *question, const struct binding *binding)
{
    if (binding->to.exchange != NULL)
        relay_go_on(&question->relay, binding->to.exchange);
}

enum status query_route(struct page *page, const struct frame_query *query)
{
    struct question question;
    enum status status = begin(&question, page, query);
    struct exchange *exchange = question.exchange;
    for (; status == STATUS_OK && exchange != NULL; exchange = exchange->next_routed) {
        void *const *entries;
        size_t count = 0;
        status = route_find_entries(exchange->route, query->key, &entries, &count);
        for (size_t i = 0; status == STATUS_OK && i < count && !page_is_full(page); i++) {
            const struct binding *binding = binding_of_entry(entries[i]);
            if (!filter_matches(binding_filter(binding), query->headers))
                continue;
            go_on(&question, binding);
            if (++question.number <= question.after)
                continue;
            begin_row(&question, binding);
            page_end_row(page);
        }
    }
    return status;
}

static bool passes(const struct binding *binding, const struct relay_event *event)
{
    return topic_match(binding_pattern(binding), event->key) &&
           filter_matches(binding_filter(binding), event->headers);
}

static void explain_row(struct question *question, const struct binding *binding)
{
    const struct relay_event *event = &question->event;
    char why[EXPLAIN_BYTES] = "";
    bool is_passed = explain_pattern(binding_pattern(binding), event->key, why) &&
                     explain_unmet(binding_filter(binding), event->headers, why);
    struct wire_writer *w = begin_row(question, binding);
    row_put_number(w, "passes", ROW_FLAG, is_passed);
    page_put_text(w, "why", why);
    page_end_row(question->page);
}

enum status query_explain(struct page *page, const struct frame_query *query)
{
    struct question question;
    enum status status = begin(&question, page, query);
    if (status != STATUS_OK)
        return status;
    for (struct exchange *exchange = question.exchange; exchange != NULL;
         exchange = exchange->next_routed) {
        const struct binding *binding;
        LIST_FOREACH (binding, &exchange->onward, onward_link)
            if (passes(binding, &question.event))
                go_on(&question, binding);
        TAILQ_FOREACH (binding, &exchange->all, exchange_link) {
            if (page_is_full(page))
                return STATUS_OK;
            if (++question.number > question.after)
                explain_row(&question, binding);
        }
    }
    return STATUS_OK;
}
