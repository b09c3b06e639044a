/* The library in somebody else's event loop: one descriptor to watch and one timer, both stay valid
 * over reconnects. The loop here is libevent's; any other takes the same two. */
#include <herald.h>

#include <event2/event.h>
#include <stdio.h>

static const char queue[] = "example.loop";

struct program {
    struct event_base *base;
    struct event *readable;
    struct event *timer;
    struct event *tick;
    struct herald_client *client;
    int sent;
    int handled;
};

/* Asks for the timer anew after everything that was done with the handle. */
static void arm_timer(struct program *program)
{
    int timeout_ms = herald_timeout(program->client);
    struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000L};
    if (timeout_ms < 0)
        event_del(program->timer);
    else
        event_add(program->timer, &timeout);
}

static void on_ready(evutil_socket_t fd, short events, void *argument)
{
    (void)fd;
    (void)events;
    struct program *program = argument;
    if (herald_process(program->client) == HERALD_ECLOSED)
        event_base_loopbreak(program->base);
    else
        arm_timer(program);
}

/* The rest of the program: something every 50 ms, here a command. */
static void on_tick(evutil_socket_t fd, short events, void *argument)
{
    (void)fd;
    (void)events;
    struct program *program = argument;
    struct herald_content content = herald_text("tick");
    if (++program->sent <= 5)
        herald_send(program->client, queue, &content);
    if (program->sent > 40)
        event_base_loopbreak(program->base);
    arm_timer(program);
}

static void on_message(struct herald_message *message, void *context)
{
    struct program *program = context;
    printf("message %d: %.*s\n", ++program->handled, (int)herald_message_body_bytes(message),
           (const char *)herald_message_body(message));
    herald_done(message);
    if (program->handled == 5)
        event_base_loopbreak(program->base);
}

int main(void)
{
    const struct timeval tick = {0, 50000};
    struct program program = {.client = herald_new(NULL), .base = event_base_new()};
    if (herald_queue_create(program.client, queue, NULL, 5000) != HERALD_OK) {
        fprintf(stderr, "%s\n", herald_last_error(program.client).text);
        return 1;
    }
    struct herald_service service = herald_service(queue, on_message);
    service.context = &program;
    herald_serve(program.client, &service, 0, NULL); /* 0: a loop does not wait */

    int fd = herald_fd(program.client);
    program.readable = event_new(program.base, fd, EV_READ | EV_PERSIST, on_ready, &program);
    program.timer = event_new(program.base, -1, 0, on_ready, &program);
    program.tick = event_new(program.base, -1, EV_PERSIST, on_tick, &program);
    event_add(program.readable, NULL);
    event_add(program.tick, &tick);
    arm_timer(&program);
    event_base_dispatch(program.base);

    event_free(program.readable);
    event_free(program.timer);
    event_free(program.tick);
    event_base_free(program.base);
    herald_flush(program.client, 2000);
    herald_queue_delete(program.client, queue, HERALD_DELETE_ANYWAY, 5000);
    herald_close(program.client, 1000);
    return program.handled != 5;
}
