/* An event to all listeners: the publisher does not know who they are. Two listen live, one through
 * a queue of its own that keeps events while nobody is there. */
#include <herald.h>

#include <stdio.h>

static const char exchange[] = "example.orders";

struct listener {
    const char *name;
    int heard;
};

static void hear(struct herald_message *message, void *context)
{
    struct listener *listener = context;
    listener->heard++;
    printf("%s hears %s: %.*s\n", listener->name, herald_message_key(message),
           (int)herald_message_body_bytes(message), (const char *)herald_message_body(message));
}

static void subscribe(struct herald_client *client, const char *pattern, const char *queue,
                      struct listener *listener)
{
    struct herald_subscription subscription = herald_subscription(exchange, pattern, hear);
    subscription.queue = queue;
    subscription.context = listener;
    if (herald_subscribe(client, &subscription, 5000, NULL) != HERALD_OK)
        fprintf(stderr, "%s: %s\n", listener->name, herald_last_error(client).text);
}

static void publish(struct herald_client *client, const char *key, const char *text)
{
    struct herald_content content = herald_text(text);
    herald_publish(client, exchange, key, &content);
}

int main(void)
{
    struct listener all = {"audit", 0};
    struct listener europe = {"europe", 0};
    struct listener billing = {"billing", 0};
    struct herald_client *client = herald_new(NULL);
    if (herald_exchange_create(client, exchange, NULL, 5000) != HERALD_OK) {
        fprintf(stderr, "%s\n", herald_last_error(client).text);
        return 1;
    }
    subscribe(client, "#", NULL, &all);
    subscribe(client, "order.eu.*", NULL, &europe);
    subscribe(client, "order.*.placed", "example.billing", &billing);

    publish(client, "order.eu.placed", "42");
    publish(client, "order.us.placed", "43");
    publish(client, "order.eu.shipped", "42");
    herald_flush(client, 5000);
    while (all.heard + europe.heard + billing.heard < 7 && herald_wait(client, 2000) == HERALD_OK)
        continue;
    printf("audit %d, europe %d, billing %d\n", all.heard, europe.heard, billing.heard);

    herald_flush(client, 1000);
    herald_queue_delete(client, "example.billing", HERALD_DELETE_ANYWAY, 5000);
    herald_exchange_delete(client, exchange, HERALD_DELETE_ANYWAY, 5000);
    herald_close(client, 1000);
    return all.heard + europe.heard + billing.heard != 7;
}
