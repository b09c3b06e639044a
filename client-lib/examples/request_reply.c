/* A typed wrapper around call: to the rest of the program the service is a C function with
 * arguments, a result and an error; that it runs elsewhere stands in one place. */
#include <herald.h>

#include <stdio.h>
#include <stdlib.h>

static const char queue[] = "example.price";

/* --- the wrapper: what would stand in a header of its own ---------------------------------------
 */

enum price_status { PRICE_OK, PRICE_NO_SUCH_ARTICLE, PRICE_NO_ANSWER };

/* The price of an article in cents. */
static enum price_status price_get(struct herald_client *client, const char *article, long *cents)
{
    struct herald_content content = herald_text(article);
    struct herald_outcome *outcome = NULL;
    content.content_type = "text/plain";
    enum herald_status status = herald_call(client, queue, &content, 2000, &outcome);
    enum price_status result = PRICE_NO_ANSWER;
    if (status == HERALD_OK) {
        *cents = strtol(outcome->body, NULL, 10);
        result = PRICE_OK;
    } else if (status == HERALD_EFAILED && strcmp(outcome->code, "NO_SUCH_ARTICLE") == 0) {
        result = PRICE_NO_SUCH_ARTICLE;
    }
    herald_outcome_free(outcome);
    return result;
}

/* --- the service --------------------------------------------------------------------------------
 */

static void handle_price(struct herald_message *message, void *context)
{
    (void)context;
    const char *article = herald_message_body(message);
    if (herald_message_body_bytes(message) == 3 && memcmp(article, "tea", 3) == 0)
        herald_result(message, "349", 3);
    else
        herald_fail(message, HERALD_FAIL_PERMANENT, "NO_SUCH_ARTICLE", "not in the list");
}

/* --- the program --------------------------------------------------------------------------------
 */

static void show(struct herald_client *client, const char *article)
{
    long cents = 0;
    switch (price_get(client, article, &cents)) {
    case PRICE_OK:
        printf("%s costs %ld.%02ld\n", article, cents / 100, cents % 100);
        break;
    case PRICE_NO_SUCH_ARTICLE:
        printf("%s is not sold here\n", article);
        break;
    case PRICE_NO_ANSWER:
        printf("no price of %s: %s\n", article, herald_last_error(client).text);
        break;
    }
}

int main(void)
{
    struct herald_client *client = herald_new(NULL);
    struct herald_client *server = herald_new(NULL);
    if (herald_queue_create(client, queue, NULL, 5000) != HERALD_OK) {
        fprintf(stderr, "%s\n", herald_last_error(client).text);
        return 1;
    }
    struct herald_service service = herald_service(queue, handle_price);
    herald_start_thread(server);
    herald_serve(server, &service, 5000, NULL);
    show(client, "tea");
    show(client, "gold");
    herald_close(server, 1000);
    show(client, "tea"); /* nobody there any more */
    herald_queue_delete(client, queue, HERALD_DELETE_ANYWAY, 5000);
    return herald_close(client, 1000) != HERALD_OK;
}
