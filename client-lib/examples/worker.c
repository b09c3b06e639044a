/* Serves the queue "greetings" until none came for two seconds; see sender.c. */
#include <herald.h>
#include <stdio.h>
static void greet(struct herald_message *message, void *context)
{
    fwrite(herald_message_body(message), 1, herald_message_body_bytes(message), context);
    herald_done(message);
}
int main(void)
{
    struct herald_client *client = herald_new(NULL);
    struct herald_service service = herald_service("greetings", greet);
    service.context = stdout;
    herald_serve(client, &service, 5000, NULL);
    herald_run(client, 2000);
    return (int)herald_close(client, 1000);
}
