/* The handle: its beginning and end, and who drives it. */
#include "client-lib/client.h"

#include <assert.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    BUFFER_BYTES_DEFAULT = 16 * 1024 * 1024,
    SEND_TIMEOUT_MS_DEFAULT = 30000,
    RECONNECT_MS_MIN_DEFAULT = 250,
    RECONNECT_MS_MAX_DEFAULT = 30000,
};

uint64_t client_clock_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* --- beginning ----------------------------------------------------------------------------------
 */

static void make_name(char *name, size_t room)
{
    unsigned char id[16];
    char text[37];
    herald_id_make(id);
    herald_id_print(id, text);
    (void)snprintf(name, room, "c-%s", text);
}

/* The program's own name for the client, or one made up. False for one that cannot be. */
static bool take_name(struct herald_client *client, const char *name)
{
    if (name == NULL) {
        make_name(client->name, sizeof client->name);
        return true;
    }
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes > NAME_BYTES_MAX)
        return false;
    memcpy(client->name, name, bytes + 1);
    return true;
}

/* False when memory ran out. */
static bool take_url(struct herald_client *client, const char *url)
{
    if (url == NULL)
        url = getenv("HERALD_URL");
    if (url == NULL || url[0] == '\0')
        return true;
    client->url = strdup(url);
    return client->url != NULL;
}

static void fill_defaults(struct herald_options *own)
{
    if (own->buffer_bytes_max == 0)
        own->buffer_bytes_max = BUFFER_BYTES_DEFAULT;
    if (own->send_timeout_ms == 0)
        own->send_timeout_ms = SEND_TIMEOUT_MS_DEFAULT;
    if (own->reconnect_ms_min == 0)
        own->reconnect_ms_min = RECONNECT_MS_MIN_DEFAULT;
    if (own->reconnect_ms_max == 0)
        own->reconnect_ms_max = RECONNECT_MS_MAX_DEFAULT;
}

static bool take_options(struct herald_client *client, const struct herald_options *options)
{
    struct herald_options *own = &client->options;
    *own = herald_options_default();
    if (options != NULL) {
        if (options->size < offsetof(struct herald_options, user))
            return false;
        memcpy(own, options, options->size < sizeof *own ? options->size : sizeof *own);
    }
    if (!take_name(client, own->client) || !take_url(client, own->url))
        return false;
    (void)snprintf(client->product, sizeof client->product, "%s",
                   own->product != NULL ? own->product : "libherald " HERALD_VERSION);
    own->url = NULL;
    own->client = NULL;
    own->product = NULL;
    fill_defaults(own);
    return true;
}

static bool init_lock(struct herald_client *client)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&client->progress, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    if (ok && pthread_mutex_init(&client->lock, NULL) != 0) {
        (void)pthread_cond_destroy(&client->progress);
        ok = false;
    }
    return ok;
}

struct herald_client *herald_new(const struct herald_options *options)
{
    struct herald_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    if (!init_lock(client))
        goto fail_after_calloc;
    client->references = 1;
    client->call_deadline_ms = UINT64_MAX;
    client->generation = 1;
    TAILQ_INIT(&client->calls);
    outbox_init(&client->outbox);
    buffer_init(&client->scratch);
    if (!take_options(client, options))
        goto fail_after_lock;
    if (!inbox_init(&client->inbox))
        goto fail_after_lock;
    if (!transport_init(&client->transport))
        goto fail_after_inbox;
    return client;

fail_after_inbox:
    inbox_deinit(&client->inbox);
fail_after_lock:
    free(client->url);
    outbox_deinit(&client->outbox);
    (void)pthread_mutex_destroy(&client->lock);
    (void)pthread_cond_destroy(&client->progress);
fail_after_calloc:
    free(client);
    return NULL;
}

/* --- who drives ---------------------------------------------------------------------------------
 */

bool client_is_in_callback(const struct herald_client *client)
{
    return client->in_callback && pthread_equal(client->driver, pthread_self());
}

void client_enter_callback(struct herald_client *client)
{
    assert(client->driving && !client->in_callback);
    client->in_callback = true;
    client->callback_count++;
    pthread_mutex_unlock(&client->lock);
}

void client_leave_callback(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->in_callback = false;
}

void client_wake(struct herald_client *client)
{
    if (client->woken || !(client->polling || (client->own_loop && !client->driving)))
        return;
    client->woken = true;
    transport_wake(&client->transport);
}

void client_notify(struct herald_client *client)
{
    if (client->waiters > 0)
        pthread_cond_broadcast(&client->progress);
}

/* One round: timers, writing, waiting, reading, callbacks, writing. True if something happened. */
static bool run_round(struct herald_client *client, int timeout_ms)
{
    client->now_ms = client_clock_ms();
    session_act(client);
    session_flush(client);
    int timer_ms = session_timeout(client);
    if (timer_ms >= 0 && (timeout_ms < 0 || timer_ms < timeout_ms))
        timeout_ms = timer_ms;
    struct transport_events events = {.readable = true};
    if (!client->inbox.is_busy) {
        client->polling = true;
        pthread_mutex_unlock(&client->lock);
        events = transport_wait(&client->transport, timeout_ms);
        pthread_mutex_lock(&client->lock);
        client->polling = false;
        if (events.woken)
            client->woken = false;
        client->now_ms = client_clock_ms();
    }
    session_on_events(client, events);
    session_act(client);
    session_flush(client);
    return events.readable || events.writable || events.woken;
}

static bool drive_once(struct herald_client *client, int timeout_ms)
{
    assert(!client->driving);
    client->driving = true;
    client->driver = pthread_self();
    bool happened = run_round(client, timeout_ms);
    client->driving = false;
    client_notify(client);
    return happened;
}

/* Sleeps until the driver reports progress or the deadline passes. */
static void sleep_until(struct herald_client *client, uint64_t deadline_ms)
{
    client->waiters++;
    if (deadline_ms == UINT64_MAX) {
        (void)pthread_cond_wait(&client->progress, &client->lock);
    } else {
        struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                                 .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
        (void)pthread_cond_timedwait(&client->progress, &client->lock, &until);
    }
    client->waiters--;
}

static uint64_t deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? UINT64_MAX : client_clock_ms() + (uint64_t)timeout_ms;
}

static int time_left(uint64_t deadline_ms)
{
    if (deadline_ms == UINT64_MAX)
        return -1;
    uint64_t now_ms = client_clock_ms();
    if (now_ms >= deadline_ms)
        return 0;
    return deadline_ms - now_ms > INT_MAX ? INT_MAX : (int)(deadline_ms - now_ms);
}

static enum herald_status check_over(struct herald_client *client)
{
    if (client->session.state != SESSION_OVER)
        return HERALD_OK;
    /* What threw the handle out stays its last error. */
    return client->error.status == HERALD_EDENIED || client->error.status == HERALD_EUNSUPPORTED ||
                   client->error.status == HERALD_EINVAL
               ? client->error.status
               : HERALD_ECLOSED;
}

enum herald_status client_wait_until(struct herald_client *client, client_condition_fn *condition,
                                     void *argument, int timeout_ms)
{
    if (client_is_in_callback(client))
        return error_set(client, HERALD_EWOULDDEADLOCK, "this call waits and cannot in a callback");
    uint64_t deadline_ms = deadline_of(timeout_ms);
    bool is_late = false;
    for (;;) {
        if (condition(client, argument))
            return HERALD_OK;
        enum herald_status status = check_over(client);
        if (status != HERALD_OK)
            return status;
        if (is_late)
            return HERALD_ETIMEOUT;
        int left_ms = time_left(deadline_ms);
        is_late = left_ms == 0;
        if (!client->driving)
            drive_once(client, left_ms);
        else
            sleep_until(client, deadline_ms);
    }
}

static bool never(struct herald_client *client, void *argument)
{
    (void)client;
    (void)argument;
    return false;
}

void client_pause(struct herald_client *client, int time_ms)
{
    (void)client_wait_until(client, never, NULL, time_ms);
}

enum herald_status herald_process(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->own_loop = true;
    enum herald_status status = HERALD_OK;
    if (client_is_in_callback(client))
        status = error_set(client, HERALD_EWOULDDEADLOCK, "herald_process in a callback");
    else if (!client->driving)
        drive_once(client, 0);
    if (status == HERALD_OK && (client->closing || client->session.state == SESSION_OVER))
        status = HERALD_ECLOSED;
    pthread_mutex_unlock(&client->lock);
    return status;
}

enum herald_status herald_wait(struct herald_client *client, int timeout_ms)
{
    pthread_mutex_lock(&client->lock);
    enum herald_status status = HERALD_ETIMEOUT;
    if (client_is_in_callback(client)) {
        status = error_set(client, HERALD_EWOULDDEADLOCK, "herald_wait in a callback");
        goto out;
    }
    uint64_t deadline_ms = deadline_of(timeout_ms);
    for (;;) {
        int left_ms = time_left(deadline_ms);
        if (client->closing || client->session.state == SESSION_OVER)
            break;
        if (client->driving)
            sleep_until(client, deadline_ms);
        else if (drive_once(client, left_ms))
            status = HERALD_OK;
        if (status == HERALD_OK || left_ms == 0)
            break;
    }
    if (client->closing || client->session.state == SESSION_OVER)
        status = HERALD_ECLOSED;
out:
    pthread_mutex_unlock(&client->lock);
    return status;
}

static uint64_t callback_count(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    uint64_t count = client->callback_count;
    pthread_mutex_unlock(&client->lock);
    return count;
}

enum herald_status herald_run(struct herald_client *client, int idle_ms)
{
    uint64_t deadline_ms = deadline_of(idle_ms);
    for (;;) {
        uint64_t seen_count = callback_count(client);
        enum herald_status status = herald_wait(client, time_left(deadline_ms));
        if (status == HERALD_ETIMEOUT)
            return HERALD_OK;
        if (status != HERALD_OK)
            return status;
        if (callback_count(client) != seen_count)
            deadline_ms = deadline_of(idle_ms);
    }
}

int herald_fd(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->own_loop = true;
    int fd = client->transport.poll_fd;
    pthread_mutex_unlock(&client->lock);
    return fd;
}

short herald_events(struct herald_client *client)
{
    (void)client;
    return POLLIN;
}

int herald_timeout(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->now_ms = client_clock_ms();
    int timeout_ms = client->inbox.is_busy ? 0 : session_timeout(client);
    pthread_mutex_unlock(&client->lock);
    return timeout_ms;
}

static bool is_open(struct herald_client *client, void *argument)
{
    (void)argument;
    return client->session.state == SESSION_OPEN;
}

enum herald_status herald_connect(struct herald_client *client, int timeout_ms)
{
    pthread_mutex_lock(&client->lock);
    enum herald_status status = session_configure(client);
    if (status != HERALD_OK)
        goto out;
    if (timeout_ms == 0) {
        client_wake(client);
        goto out;
    }
    status = client_wait_until(client, is_open, NULL, timeout_ms);
    if (status == HERALD_ETIMEOUT) {
        status = HERALD_ECONNECT;
        if (client->error.status != HERALD_ECONNECT)
            error_set(client, HERALD_ECONNECT, "no answer in time");
    }
out:
    pthread_mutex_unlock(&client->lock);
    return status;
}

/* --- the library's own thread -------------------------------------------------------------------
 */

static void *run_thread(void *argument)
{
    struct herald_client *client = argument;
    pthread_mutex_lock(&client->lock);
    while (client->has_thread) {
        if (client->driving) {
            sleep_until(client, UINT64_MAX);
        } else if (client->session.state == SESSION_OVER) {
            break;
        } else {
            drive_once(client, -1);
        }
    }
    pthread_mutex_unlock(&client->lock);
    return NULL;
}

enum herald_status herald_start_thread(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    enum herald_status status = HERALD_OK;
    if (client->has_thread || client->closing) {
        status = error_set(client, HERALD_EINVAL, "the thread is running already");
        goto out;
    }
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    client->has_thread = true;
    int error = pthread_create(&client->thread, NULL, run_thread, client);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        client->has_thread = false;
        status = error_set_errno(client, HERALD_ENOMEMORY, "cannot start a thread", error);
    }
out:
    pthread_mutex_unlock(&client->lock);
    return status;
}

static void stop_thread(struct herald_client *client)
{
    if (!client->has_thread)
        return;
    client->has_thread = false;
    transport_wake(&client->transport);
    pthread_cond_broadcast(&client->progress);
    pthread_mutex_unlock(&client->lock);
    (void)pthread_join(client->thread, NULL);
    pthread_mutex_lock(&client->lock);
}

/* --- end ----------------------------------------------------------------------------------------
 */

static void free_client(struct herald_client *client)
{
    inbox_deinit(&client->inbox);
    outbox_deinit(&client->outbox);
    buffer_deinit(&client->scratch);
    free(client->earlier_bytes);
    free(client->url);
    (void)pthread_mutex_destroy(&client->lock);
    (void)pthread_cond_destroy(&client->progress);
    free(client);
}

void client_unref(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool is_last = --client->references == 0;
    pthread_mutex_unlock(&client->lock);
    if (is_last)
        free_client(client);
}

struct drain {
    struct outbox_mark mark;
};

static bool is_settled(struct herald_client *client, void *argument)
{
    (void)argument;
    return client->unsettled == 0 || client->session.state != SESSION_OPEN;
}

static bool is_drained(struct herald_client *client, void *argument)
{
    const struct drain *drain = argument;
    return outbox_has_passed(&client->outbox, drain->mark);
}

/* Everything settled, then everything confirmed, then the rest given back. */
static enum herald_status drain(struct herald_client *client, int drain_ms)
{
    uint64_t deadline_ms = deadline_of(drain_ms);
    struct drain drain;
    enum herald_status status = HERALD_OK;
    consumer_cancel_all(client);
    if (drain_ms != 0 && client->session.state != SESSION_IDLE) {
        (void)client_wait_until(client, is_settled, NULL, time_left(deadline_ms));
        message_release_all(client);
        drain.mark = outbox_mark(&client->outbox);
        status = client_wait_until(client, is_drained, &drain, time_left(deadline_ms));
    } else {
        message_release_all(client);
        drain.mark = outbox_mark(&client->outbox);
        session_flush(client);
    }
    return is_drained(client, &drain) ? HERALD_OK : status == HERALD_OK ? HERALD_ETIMEOUT : status;
}

enum herald_status herald_close(struct herald_client *client, int drain_ms)
{
    pthread_mutex_lock(&client->lock);
    client->closing = true;
    if (client_is_in_callback(client)) {
        pthread_mutex_unlock(&client->lock);
        return HERALD_OK;
    }
    enum herald_status status = drain(client, drain_ms);
    stop_thread(client);
    client->driving = true;
    client->driver = pthread_self();
    session_say_goodbye(client);
    session_end(client);
    client->driving = false;
    client->closed = true;
    consumer_free_all(client);
    transport_deinit(&client->transport);
    pthread_mutex_unlock(&client->lock);
    client_unref(client);
    return status;
}
