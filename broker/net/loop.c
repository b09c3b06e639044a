/* The loop: one thread that waits for files, signals and time. */
#include "broker/net/loop.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>

/* The longest single wait: libevent refuses timeouts that do not fit, and an hour hurts nobody. */
#define LOOP_WAIT_MS_MAX (3600 * UINT64_C(1000))

struct loop {
    struct event_base *base;
    struct event *timer;
    uint64_t armed_due_ms; /* when the timer fires, UINT64_MAX: it is not armed */
};

struct loop_watch {
    struct event *event;
    loop_fn on_event;
    void *argument;
};

/* The timer only ends the wait; what is due is found by whoever runs the loop. */
static void on_timer(evutil_socket_t file, short what, void *argument)
{
    (void)file;
    (void)what;
    struct loop *loop = argument;
    loop->armed_due_ms = UINT64_MAX;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    struct event_config *config = event_config_new();
    if (loop == NULL || config == NULL)
        goto fail;
    loop->armed_due_ms = UINT64_MAX;
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) != 0)
        goto fail;
    loop->base = event_base_new_with_config(config);
    if (loop->base == NULL)
        goto fail;
    loop->timer = event_new(loop->base, -1, 0, on_timer, loop);
    if (loop->timer == NULL)
        goto fail;
    event_config_free(config);
    return loop;

fail:
    if (config != NULL)
        event_config_free(config);
    loop_free(loop);
    return NULL;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    if (loop->timer != NULL)
        event_free(loop->timer);
    if (loop->base != NULL)
        event_base_free(loop->base);
    free(loop);
}

static void on_watch(evutil_socket_t file, short what, void *argument)
{
    (void)file;
    (void)what;
    const struct loop_watch *watch = argument;
    watch->on_event(watch->argument);
}

static struct loop_watch *loop_watch_new(struct loop *loop, int number, short what,
                                         struct loop_watch made)
{
    struct loop_watch *watch = malloc(sizeof *watch);
    if (watch == NULL)
        return NULL;
    *watch = made;
    watch->event = event_new(loop->base, number, what, on_watch, watch);
    if (watch->event == NULL || event_add(watch->event, NULL) != 0) {
        loop_watch_free(watch);
        return NULL;
    }
    return watch;
}

struct loop_watch *loop_watch_file(struct loop *loop, int file, loop_fn on_event, void *argument)
{
    struct loop_watch made = {NULL, on_event, argument};
    return loop_watch_new(loop, file, EV_READ | EV_PERSIST, made);
}

struct loop_watch *loop_watch_signal(struct loop *loop, int number, loop_fn on_event,
                                     void *argument)
{
    struct loop_watch made = {NULL, on_event, argument};
    return loop_watch_new(loop, number, EV_SIGNAL | EV_PERSIST, made);
}

void loop_watch_free(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    if (watch->event != NULL)
        event_free(watch->event);
    free(watch);
}

/* Arming costs a walk through libevent's heap, so a timer that fires too early is left alone: the
 * round that it begins for nothing is the cheaper one. */
static enum status loop_arm(struct loop *loop, uint64_t now_ms, uint64_t due_ms)
{
    uint64_t wait_ms = due_ms - now_ms;
    if (wait_ms > LOOP_WAIT_MS_MAX)
        wait_ms = LOOP_WAIT_MS_MAX;
    due_ms = now_ms + wait_ms;
    if (loop->armed_due_ms <= due_ms && loop->armed_due_ms > now_ms)
        return STATUS_OK;
    struct timeval wait = {(time_t)(wait_ms / 1000), (suseconds_t)(wait_ms % 1000 * 1000)};
    if (event_add(loop->timer, &wait) != 0)
        return STATUS_IO_ERROR;
    loop->armed_due_ms = due_ms;
    return STATUS_OK;
}

enum status loop_round(struct loop *loop, uint64_t now_ms, uint64_t due_ms)
{
    /* Without EVLOOP_ONCE libevent goes on until nothing is ready any more, which may be never. */
    int flags = EVLOOP_ONCE | EVLOOP_NONBLOCK;
    if (due_ms > now_ms) {
        enum status status = loop_arm(loop, now_ms, due_ms);
        if (status != STATUS_OK)
            return status;
        flags = EVLOOP_ONCE;
    }
    return event_base_loop(loop->base, flags) < 0 ? STATUS_IO_ERROR : STATUS_OK;
}

void loop_cut_round(struct loop *loop)
{
    event_base_loopbreak(loop->base);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}
