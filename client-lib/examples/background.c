/* Work in the background: started here, done elsewhere, and asked for in three ways:
 * now and then (polling), with how far it is (progress), and told at every change (push). The id is
 * all that whoever asks must know; it could as well be another program, or this one tomorrow. */
#include <herald.h>

#include <stdio.h>
#include <unistd.h>

static const char queue[] = "example.reports";

enum { PAGES = 4 };

/* --- the worker ---------------------------------------------------------------------------------
 */

/* Another attempt goes on behind the last page that was printed. */
static void print_report(struct herald_message *message, void *context)
{
    (void)context;
    size_t bytes;
    const unsigned char *checkpoint = herald_message_checkpoint(message, &bytes);
    unsigned char page = bytes == 1 ? *checkpoint : 0;
    while (page < PAGES) {
        if (herald_message_is_unwanted(message)) {
            herald_fail(message, HERALD_FAIL_PERMANENT, "STOPPED", "nobody wants it any more");
            return;
        }
        usleep(50000); /* hard work */
        page++;
        struct herald_progress progress = {.size = sizeof progress,
                                           .done = page,
                                           .total = PAGES,
                                           .note = "pages",
                                           .checkpoint = &page,
                                           .checkpoint_bytes = 1};
        herald_progress(message, &progress);
    }
    herald_result(message, "printed", 7);
}

/* --- those who ask ------------------------------------------------------------------------------
 */

static int start(struct herald_client *client, const char *body, unsigned char id[16])
{
    struct herald_content content = herald_text(body);
    herald_id_make(id);
    content.id = id;
    content.track = 1;
    return herald_send(client, queue, &content) == HERALD_OK &&
           herald_flush(client, 5000) == HERALD_OK;
}

static void poll_now_and_then(struct herald_client *client, const unsigned char id[16])
{
    struct herald_command *command = NULL;
    do {
        herald_command_free(command);
        usleep(20000);
        if (herald_command_status(client, id, 5000, &command) != HERALD_OK)
            return;
    } while (command->state < HERALD_COMMAND_DONE);
    printf("polled: %s\n", (const char *)command->body);
    herald_command_free(command);
}

static void on_change(const struct herald_command *command, void *context)
{
    (void)context;
    if (command->state == HERALD_COMMAND_RUNNING && command->total > 0)
        printf("pushed: %llu of %llu %s\n", (unsigned long long)command->done,
               (unsigned long long)command->total, command->note);
    if (command->state == HERALD_COMMAND_DONE)
        printf("pushed: %s\n", (const char *)command->body);
}

int main(void)
{
    struct herald_client *client = herald_new(NULL);
    struct herald_client *worker = herald_new(NULL);
    unsigned char id[16];
    if (herald_queue_create(client, queue, NULL, 5000) != HERALD_OK) {
        fprintf(stderr, "%s\n", herald_last_error(client).text);
        return 1;
    }
    struct herald_service service = herald_service(queue, print_report);
    herald_start_thread(worker);
    herald_serve(worker, &service, 5000, NULL);
    if (start(client, "the year", id))
        poll_now_and_then(client, id);
    if (start(client, "the month", id))
        herald_command_watch(client, id, 5000, on_change, NULL);
    herald_close(worker, 1000);
    herald_queue_delete(client, queue, HERALD_DELETE_ANYWAY, 5000);
    return herald_close(client, 1000) != HERALD_OK;
}
