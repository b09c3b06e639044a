/* An asynchronous command to one of several workers: the sender goes on as soon as the commands are
 * on disk, and every command is handled by exactly one of the workers. */
#include <herald.h>

#include <stdio.h>

enum { WORKERS = 3, COMMANDS = 12 };

static const char queue[] = "example.resize";

struct worker {
    int number;
    int handled;
    struct herald_client *client;
};

static void resize(struct herald_message *message, void *context)
{
    struct worker *worker = context;
    worker->handled++;
    printf("worker %d: %.*s\n", worker->number, (int)herald_message_body_bytes(message),
           (const char *)herald_message_body(message));
    herald_done(message);
}

int main(void)
{
    struct herald_client *sender = herald_new(NULL);
    if (herald_queue_create(sender, queue, NULL, 5000) != HERALD_OK) {
        fprintf(stderr, "%s\n", herald_last_error(sender).text);
        return 1;
    }
    for (int i = 0; i < COMMANDS; i++) {
        char body[32];
        snprintf(body, sizeof body, "picture %d", i);
        struct herald_content content = herald_text(body);
        herald_send(sender, queue, &content);
    }
    if (herald_flush(sender, 5000) == HERALD_OK)
        printf("%d commands are on disk\n", COMMANDS);

    struct worker workers[WORKERS] = {{0}};
    for (int i = 0; i < WORKERS; i++) {
        workers[i].number = i + 1;
        workers[i].client = herald_new(NULL);
        struct herald_service service = herald_service(queue, resize);
        service.context = &workers[i];
        service.prefetch_messages = 1; /* fair: the next command goes to who is free */
        herald_serve(workers[i].client, &service, 5000, NULL);
    }
    int handled;
    int quiet = 0;
    do {
        handled = 0;
        for (int i = 0; i < WORKERS; i++) {
            herald_wait(workers[i].client, 10);
            handled += workers[i].handled;
        }
    } while (handled < COMMANDS && ++quiet < 500);
    for (int i = 0; i < WORKERS; i++)
        herald_close(workers[i].client, 1000);
    printf("%d commands handled\n", handled);
    herald_queue_delete(sender, queue, HERALD_DELETE_ANYWAY, 5000);
    herald_close(sender, 1000);
    return handled != COMMANDS;
}
