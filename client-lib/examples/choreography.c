/* Order -> inventory -> payment by choreography: independent participants that react to each
 * other's events. None knows the others; each has a handle and a queue of its own, as if it were a
 * program of its own. What is published in a callback leaves together with the settlement that
 * follows.
 *
 *     order.placed ---> inventory ---> stock.reserved ---> payment ---> payment.taken ---> order
 *                           |                                 |
 *                           +--> stock.missing --> order      +--> payment.declined --> inventory,
 * order
 */
#include <herald.h>

#include <stdio.h>

enum { ORDERS = 3 };

static const char exchange[] = "example.shop";

struct participant {
    const char *name;
    struct herald_client *client;
    int stock;  /* inventory */
    int closed; /* order: how many have ended */
};

/* The body of every event is the order's number. */
static void publish(struct participant *participant, const char *key,
                    const struct herald_message *cause)
{
    struct herald_content content =
        herald_content(herald_message_body(cause), herald_message_body_bytes(cause));
    printf("%-9s order %.*s: %s\n", participant->name, (int)content.body_bytes,
           (const char *)content.body, key);
    herald_publish(participant->client, exchange, key, &content);
}

static void on_inventory(struct herald_message *message, void *context)
{
    struct participant *inventory = context;
    const char *key = herald_message_key(message);
    if (strcmp(key, "payment.declined") == 0)
        inventory->stock++; /* compensation: back on the shelf */
    else if (inventory->stock == 0)
        publish(inventory, "stock.missing", message);
    else {
        inventory->stock--;
        publish(inventory, "stock.reserved", message);
    }
}

static void on_payment(struct herald_message *message, void *context)
{
    struct participant *payment = context;
    const char *order = herald_message_body(message);
    publish(payment, order[0] == '2' ? "payment.declined" : "payment.taken", message);
}

static void on_order(struct herald_message *message, void *context)
{
    struct participant *order = context;
    order->closed++;
    printf("%-9s order %.*s closed by %s\n", order->name, (int)herald_message_body_bytes(message),
           (const char *)herald_message_body(message), herald_message_key(message));
}

/* A durable subscription: the participant's queue keeps what happens while it is away. */
static int join(struct participant *participant, const char *queue, const char *pattern,
                herald_message_fn *on_message)
{
    struct herald_subscription subscription = herald_subscription(exchange, pattern, on_message);
    subscription.queue = queue;
    subscription.context = participant;
    return herald_subscribe(participant->client, &subscription, 5000, NULL) == HERALD_OK;
}

static void leave(struct participant *participant, const char *queue)
{
    herald_flush(participant->client, 2000);
    herald_queue_delete(participant->client, queue, HERALD_DELETE_ANYWAY, 5000);
    herald_close(participant->client, 1000);
}

int main(void)
{
    struct participant order = {"order", herald_new(NULL), 0, 0};
    struct participant inventory = {"inventory", herald_new(NULL), 2, 0};
    struct participant payment = {"payment", herald_new(NULL), 0, 0};
    if (herald_exchange_create(order.client, exchange, NULL, 5000) != HERALD_OK ||
        !join(&inventory, "example.inventory", "order.placed", on_inventory) ||
        herald_bind(inventory.client, "example.inventory", exchange, "payment.declined", 5000) !=
            0 ||
        !join(&payment, "example.payment", "stock.reserved", on_payment) ||
        !join(&order, "example.order", "payment.*", on_order) ||
        herald_bind(order.client, "example.order", exchange, "stock.missing", 5000) != HERALD_OK) {
        fprintf(stderr, "%s\n", herald_last_error(order.client).text);
        return 1;
    }
    for (int i = 1; i <= ORDERS; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        struct herald_content content = herald_text(number);
        printf("%-9s order %s: order.placed\n", order.name, number);
        herald_publish(order.client, exchange, "order.placed", &content);
    }
    for (int i = 0; i < 500 && order.closed < ORDERS; i++) {
        herald_wait(inventory.client, 10);
        herald_wait(payment.client, 10);
        herald_wait(order.client, 10);
    }
    leave(&inventory, "example.inventory");
    leave(&payment, "example.payment");
    herald_exchange_delete(order.client, exchange, HERALD_DELETE_ANYWAY, 5000);
    leave(&order, "example.order");
    return order.closed != ORDERS;
}
