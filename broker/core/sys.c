/* What happens to the broker itself, as events on the exchange `$sys`. */
#include "broker/core/sys.h"

#include <stdarg.h>
#include <stdio.h>

#include "broker/core/accept.h"
#include "broker/core/apply.h"
#include "broker/core/ending.h"
#include "broker/core/exchange.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/relay.h"
#include "protocol/topic.h"

static struct exchange *find(const struct core *core)
{
    return exchange_find(core, wire_bytes_of_text(SYS_EXCHANGE));
}

enum status sys_open(struct core *core, struct wire_bytes exchange)
{
    if (!wire_bytes_equal(exchange, wire_bytes_of_text(SYS_EXCHANGE)) || find(core) != NULL)
        return STATUS_OK;
    struct operation_exchange operation = {core->next_exchange, exchange, {NULL, 0}};
    struct exchange *made =
        exchange_new(core, EXCHANGE_DURABLE, operation.exchange, operation.name);
    uint64_t position;
    if (made == NULL)
        return STATUS_NO_MEMORY;
    enum status status = recorder_append_exchange(core, NULL, &operation, &position);
    if (status == STATUS_OK)
        return apply_exchange(core, &operation, position);
    exchange_end(core, made);
    return status;
}

static enum status publish(struct core *core, struct exchange *exchange, const char *key,
                           const char *body)
{
    struct accept accept = {.core = core,
                            .is_event = true,
                            .message.exchange = wire_bytes_of_text(SYS_EXCHANGE),
                            .message.key = wire_bytes_of_text(key),
                            .message.body = wire_bytes_of_text(body)};
    struct relay_event event = {.key = accept.message.key};
    enum status status = relay_route(core, exchange, &event, &accept.queues, &accept.queue_count);
    if (status != STATUS_OK || accept.queue_count == 0)
        return status;
    return accept_message(&accept);
}

/* --- JSON (RFC 8259): an object of numbers and texts --------------------------------------------
 */

enum {
    BODY_BYTES_MAX = 4096,
    TEXT_BYTES_MAX = 512,
};

struct json {
    char at[BODY_BYTES_MAX];
    size_t bytes;
};

static void put(struct json *json, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct json *json, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(json->at + json->bytes, sizeof json->at - json->bytes, format, arguments);
    va_end(arguments);
    json->bytes += (size_t)bytes;
    if (json->bytes >= sizeof json->at)
        json->bytes = sizeof json->at - 1;
}

static void put_number(struct json *json, const char *name, uint64_t value)
{
    put(json, "%s\"%s\":%llu", json->bytes > 1 ? "," : "", name, (unsigned long long)value);
}

/* What is no UTF-8 is left out. */
static void put_text(struct json *json, const char *name, struct wire_bytes text)
{
    put(json, "%s\"%s\":\"", json->bytes > 1 ? "," : "", name);
    uint32_t count = text.bytes <= TEXT_BYTES_MAX && topic_is_utf8(text) ? text.bytes : 0;
    for (uint32_t i = 0; i < count; i++) {
        unsigned char c = text.at[i];
        if (c == '"' || c == '\\')
            put(json, "\\%c", c);
        else if (c < 0x20)
            put(json, "\\u%04x", c);
        else
            put(json, "%c", c);
    }
    put(json, "\"");
}

static void begin(struct json *json, const struct core *core, const struct queue *queue)
{
    json->bytes = 0;
    put(json, "{");
    put_text(json, "queue", wire_bytes_of(queue->name, queue->name_bytes));
    put_number(json, "time_ms", core->now_ms);
}

static void tell(struct core *core, const char *key, struct json *json)
{
    put(json, "}");
    if (publish(core, find(core), key, json->at) != STATUS_OK)
        core->counters.sys_events_lost++;
}

/* --- what is told -------------------------------------------------------------------------------
 */

void sys_tell_queue(struct core *core, const char *key, const struct queue *queue)
{
    struct json json;
    if (!core->is_running || find(core) == NULL)
        return;
    begin(&json, core, queue);
    put_number(&json, "messages", queue_count(queue));
    put_number(&json, "failures", queue->breaker.failure_count);
    tell(core, key, &json);
}

void sys_tell_parked(struct core *core, const struct queue *queue, uint64_t number,
                     const struct ending *ending)
{
    struct json json;
    if (!core->is_running || find(core) == NULL)
        return;
    begin(&json, core, queue);
    put_number(&json, "number", number);
    put_number(&json, "attempts", ending->park->attempts);
    put_text(&json, "code", ending->park->code);
    put_text(&json, "text", ending->park->text);
    tell(core, "command.parked", &json);
}
