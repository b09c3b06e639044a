/* Additional data: who handles an event needs more than that it happened. Either the event carries
 * everything, and its handler needs nobody; or it carries a name, and the handler asks the service
 * that the event came from. Here both are shown while that service is away: the first handler does
 * its work, the second one fails, is tried again, and waits for the other to come back. */
#include <herald.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char exchange[] = "example.placed";
static const char details[] = "example.order-details"; /* the queue to ask at */
static const char cursor_full[] = "example.mail-full";
static const char cursor_thin[] = "example.mail-thin";

struct mails {
    struct herald_client *client;
    int sent;
    int failed;
};

static void mail(struct mails *mails, const void *text, size_t bytes)
{
    printf("mail: %.*s\n", (int)bytes, (const char *)text);
    mails->sent++;
}

/* --- the event carries everything ---------------------------------------------------------------
 */

static void handle_full(struct herald_message *event, void *context)
{
    mail(context, herald_message_body(event), herald_message_body_bytes(event));
    herald_done(event);
}

/* --- the event carries a name -------------------------------------------------------------------
 */

struct asking {
    struct mails *mails;
    struct herald_message *event;
};

static struct asking asking;

static void on_details(const struct herald_outcome *outcome, void *context)
{
    struct asking *asked = context;
    if (outcome->status == HERALD_OK) {
        mail(asked->mails, outcome->body, outcome->body_bytes);
        herald_done(asked->event);
    } else {
        printf("mail: no details: %s\n", outcome->code);
        asked->mails->failed++;
        herald_fail(asked->event, HERALD_FAIL_RETRYABLE, outcome->code, outcome->text);
    }
    herald_message_free(asked->event);
}

/* The answer comes to another callback, which settles the event that is kept until then. */
static void handle_thin(struct herald_message *event, void *context)
{
    const struct herald_call call = {.size = sizeof call,
                                     .queue = details,
                                     .timeout_ms = 2000,
                                     .on_outcome = on_details,
                                     .context = &asking};
    struct herald_content content =
        herald_content(herald_message_body(event), herald_message_body_bytes(event));
    asking = (struct asking){context, herald_message_retain(event)};
    if (asking.event == NULL ||
        herald_call_async(herald_message_client(event), &call, &content) != HERALD_OK)
        herald_message_free(asking.event); /* given back */
}

/* --- the service that the events come from ------------------------------------------------------
 */

static void tell_details(struct herald_message *question, void *context)
{
    static const char answer[] = "order 42 for ann: tea (the service was asked)";
    (void)context;
    herald_result(question, answer, sizeof answer - 1);
}

static struct herald_client *start_service(void)
{
    struct herald_client *client = herald_new(NULL);
    struct herald_service service = herald_service(details, tell_details);
    herald_start_thread(client);
    if (herald_serve(client, &service, 5000, NULL) != HERALD_OK)
        fprintf(stderr, "%s\n", herald_last_error(client).text);
    return client;
}

static void place_order(struct herald_client *client)
{
    struct herald_content full = herald_text("order 42 for ann: tea (the event said so)");
    struct herald_content thin = herald_text("42");
    herald_publish(client, exchange, "order.placed.full", &full);
    herald_publish(client, exchange, "order.placed.thin", &thin);
    herald_flush(client, 5000);
}

/* --- the program --------------------------------------------------------------------------------
 */

static int follow(struct mails *mails, const char *pattern, const char *cursor,
                  herald_message_fn *handle)
{
    struct herald_reading reading = herald_reading(exchange, pattern, handle);
    struct herald_queue_options options = herald_queue_options_default();
    options.backoff_ms = 100;
    options.backoff_max_ms = 200;
    options.attempts = 100;
    reading.cursor = cursor;
    reading.from = HERALD_FROM_FIRST;
    reading.prefetch_messages = 1;
    reading.manual_settle = 1;
    reading.context = mails;
    return herald_follow(mails->client, &reading, 5000, NULL) == HERALD_OK &&
           herald_queue_set(mails->client, cursor, &options, 5000) == HERALD_OK;
}

static void wait_for(struct mails *mails, const int *count, int wanted)
{
    while (*count < wanted && herald_wait(mails->client, 5000) == HERALD_OK)
        continue;
}

int main(void)
{
    struct mails mails = {.client = herald_new(NULL)};
    struct herald_exchange_options options = herald_exchange_options_default();
    options.history = 1;
    if (herald_exchange_create(mails.client, exchange, &options, 5000) != HERALD_OK ||
        herald_queue_create(mails.client, details, NULL, 5000) != HERALD_OK) {
        fprintf(stderr, "%s\n", herald_last_error(mails.client).text);
        return 1;
    }
    place_order(mails.client);
    printf("the order service is away\n");
    if (!follow(&mails, "order.placed.full", cursor_full, handle_full) ||
        !follow(&mails, "order.placed.thin", cursor_thin, handle_thin))
        fprintf(stderr, "%s\n", herald_last_error(mails.client).text);
    wait_for(&mails, &mails.sent, 1);
    wait_for(&mails, &mails.failed, 2);
    printf("the order service is back\n");
    struct herald_client *service = start_service();
    wait_for(&mails, &mails.sent, 2);

    herald_flush(mails.client, 5000);
    herald_close(service, 1000);
    herald_exchange_delete(mails.client, exchange, HERALD_DELETE_ANYWAY, 5000);
    herald_queue_delete(mails.client, details, HERALD_DELETE_ANYWAY, 5000);
    herald_close(mails.client, 1000);
    return mails.sent != 2 || mails.failed < 2;
}
