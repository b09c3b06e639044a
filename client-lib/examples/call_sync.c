/* A synchronous command: the caller waits for the outcome, which is a result or a reasoned failure.
 * Both sides run in this program, the worker on its handle's own thread. */
#include <herald.h>

#include <stdio.h>
#include <stdlib.h>

static const char queue[] = "example.sqrt";

static void find_root(struct herald_message *message, void *context)
{
    (void)context;
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)herald_message_body_bytes(message),
             (const char *)herald_message_body(message));
    long square = strtol(text, NULL, 10);
    long root = 0;
    while (root * root < square)
        root++;
    if (root * root != square) {
        herald_fail(message, HERALD_FAIL_PERMANENT, "NOT_A_SQUARE", text);
        return;
    }
    int bytes = snprintf(text, sizeof text, "%ld", root);
    herald_result(message, text, (size_t)bytes);
}

static void ask(struct herald_client *client, const char *number)
{
    struct herald_content content = herald_text(number);
    struct herald_outcome *outcome = NULL;
    if (herald_call(client, queue, &content, 5000, &outcome) == HERALD_OK)
        printf("root of %s: %s\n", number, (const char *)outcome->body);
    else if (outcome != NULL)
        printf("root of %s: failed with %s (%s)\n", number, outcome->code, outcome->text);
    else
        printf("root of %s: %s\n", number, herald_last_error(client).text);
    herald_outcome_free(outcome);
}

int main(void)
{
    struct herald_client *caller = herald_new(NULL);
    struct herald_client *worker = herald_new(NULL);
    if (herald_queue_create(caller, queue, NULL, 5000) != HERALD_OK) {
        fprintf(stderr, "%s\n", herald_last_error(caller).text);
        return 1;
    }
    ask(caller, "1"); /* nobody serves the queue yet, and the caller is told at once */

    struct herald_service service = herald_service(queue, find_root);
    herald_start_thread(worker);
    herald_serve(worker, &service, 5000, NULL);
    ask(caller, "144");
    ask(caller, "145");

    herald_close(worker, 1000);
    herald_queue_delete(caller, queue, HERALD_DELETE_ANYWAY, 5000);
    return herald_close(caller, 1000) != HERALD_OK;
}
