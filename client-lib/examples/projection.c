/* A projection: a read model that is computed from events. It begins with the first event that the
 * exchange has kept and goes on with those that come; when it is thrown away, or a new question
 * comes up, it is computed again from the same history. The place it has reached belongs to it, so
 * that a stored one goes on where it stopped. */
#include <herald.h>

#include <stdio.h>
#include <stdlib.h>

static const char exchange[] = "example.sales";

enum { ARTICLES = 8, SALES = 9 };

/* Pieces sold of every article. */
struct projection {
    struct {
        char name[32];
        long pieces;
    } articles[ARTICLES];
    size_t count;
    uint64_t sequence; /* everything up to this event is in it */
};

static void add(struct projection *projection, const char *name, long pieces)
{
    size_t i = 0;
    while (i < projection->count && strcmp(projection->articles[i].name, name) != 0)
        i++;
    if (i == ARTICLES)
        return;
    if (i == projection->count)
        snprintf(projection->articles[projection->count++].name, 32, "%s", name);
    projection->articles[i].pieces += pieces;
}

/* "sale.tea" with the body "3": three of tea. What has been taken in changes nothing again. */
static void take_in(struct herald_message *event, void *context)
{
    struct projection *projection = context;
    char body[32];
    if (herald_message_sequence(event) <= projection->sequence)
        return;
    snprintf(body, sizeof body, "%.*s", (int)herald_message_body_bytes(event),
             (const char *)herald_message_body(event));
    add(projection, herald_message_key(event) + strlen("sale."), strtol(body, NULL, 10));
    projection->sequence = herald_message_sequence(event);
}

/* From behind what it has, which is nothing at first. */
static struct herald_consumer *begin(struct herald_client *client, struct projection *projection)
{
    struct herald_consumer *consumer = NULL;
    struct herald_reading reading = herald_reading(exchange, "sale.*", take_in);
    reading.from = projection->sequence > 0 ? HERALD_FROM_SEQUENCE : HERALD_FROM_FIRST;
    reading.at = projection->sequence + 1;
    reading.context = projection;
    if (herald_follow(client, &reading, 5000, &consumer) != HERALD_OK)
        fprintf(stderr, "%s\n", herald_last_error(client).text);
    return consumer;
}

static void wait_for(struct herald_client *client, const struct projection *projection,
                     uint64_t sequence)
{
    while (projection->sequence < sequence && herald_wait(client, 2000) == HERALD_OK)
        continue;
}

static void show(const char *what, const struct projection *projection)
{
    printf("%s, up to event %llu:", what, (unsigned long long)projection->sequence);
    for (size_t i = 0; i < projection->count; i++)
        printf(" %s %ld", projection->articles[i].name, projection->articles[i].pieces);
    printf("\n");
}

static void sell(struct herald_client *client, const char *key, const char *pieces)
{
    struct herald_content content = herald_text(pieces);
    herald_publish(client, exchange, key, &content);
}

int main(void)
{
    struct projection sold = {.count = 0};
    struct projection again = {.count = 0};
    struct herald_client *client = herald_new(NULL);
    struct herald_exchange_options options = herald_exchange_options_default();
    options.history = 1;
    if (herald_exchange_create(client, exchange, &options, 5000) != HERALD_OK) {
        fprintf(stderr, "%s\n", herald_last_error(client).text);
        return 1;
    }
    for (int i = 0; i < SALES - 3; i++)
        sell(client, i % 2 == 0 ? "sale.tea" : "sale.milk", "2");
    herald_flush(client, 5000);

    struct herald_consumer *consumer = begin(client, &sold);
    wait_for(client, &sold, SALES - 3);
    show("computed from the history", &sold);

    sell(client, "sale.tea", "5");
    sell(client, "sale.gold", "1");
    wait_for(client, &sold, SALES - 1);
    show("and gone on with what came", &sold);

    /* As if this program had been stopped, while the sales go on. */
    if (consumer != NULL)
        herald_cancel(consumer);
    sell(client, "sale.milk", "4");
    begin(client, &sold);
    begin(client, &again);
    wait_for(client, &sold, SALES);
    wait_for(client, &again, SALES);
    show("begun again where it was", &sold);
    show("computed anew", &again);

    int is_same = sold.count == 3 && memcmp(&sold, &again, sizeof sold) == 0;
    herald_exchange_delete(client, exchange, HERALD_DELETE_ANYWAY, 5000);
    herald_close(client, 1000);
    return !is_same;
}
