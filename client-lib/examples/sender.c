/* Sends one command to the queue "greetings"; see worker.c. */
#include <herald.h>
int main(void)
{
    struct herald_client *client = herald_new(NULL);
    struct herald_content hello = herald_text("hello\n");
    herald_queue_create(client, "greetings", NULL, 5000);
    herald_send(client, "greetings", &hello);
    int failed = herald_flush(client, 5000) != HERALD_OK; /* on disk now, or refused */
    herald_close(client, 1000);
    return failed;
}
