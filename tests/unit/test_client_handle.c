/* The handle: its three modes, threads, callbacks that must not wait, closing. */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

struct seen {
    struct herald_client *client;
    struct herald_message *kept;
    unsigned count;
    pthread_t thread;
    enum herald_status statuses[8];
};

static void keep(struct herald_message *message, void *context)
{
    struct seen *seen = context;
    seen->thread = pthread_self();
    seen->kept = herald_message_retain(message);
    __atomic_add_fetch(&seen->count, 1, __ATOMIC_SEQ_CST);
}

static void do_what_waits(struct herald_message *message, void *context)
{
    struct seen *seen = context;
    struct herald_content content = herald_text("x");
    struct herald_service service = herald_service("other", keep);
    struct herald_query query = {.size = sizeof query, .subject = HERALD_STATS};
    query.on_row = (herald_row_fn *)abort;
    seen->statuses[0] = herald_wait(seen->client, 10);
    seen->statuses[1] = herald_process(seen->client);
    seen->statuses[2] = herald_flush(seen->client, 10);
    seen->statuses[3] = herald_call(seen->client, "q", &content, 10, NULL);
    seen->statuses[4] = herald_queue_purge(seen->client, "q", NULL, 10);
    seen->statuses[5] = herald_serve(seen->client, &service, 10, NULL);
    seen->statuses[6] = herald_query(seen->client, &query, 10);
    seen->statuses[7] = herald_connect(seen->client, 10);
    seen->count++;
    herald_done(message);
}

static void close_it(struct herald_message *message, void *context)
{
    struct seen *seen = context;
    seen->count++;
    seen->statuses[0] = herald_close(seen->client, 100);
    herald_done(message);
}

static struct fake_broker *begin(struct seen *seen, herald_message_fn *on_message,
                                 uint32_t *consumer)
{
    struct fake_broker *fake = fake_new();
    seen->client = fake_client(fake, NULL);
    fake_open(fake);
    struct herald_service service = herald_service("work", on_message);
    service.context = seen;
    ck_assert_int_eq(herald_serve(seen->client, &service, 0, NULL), HERALD_OK);
    *consumer = fake_take_consumer(fake, FRAME_CONSUME);
    fake_let_run(fake, 5);
    return fake;
}

START_TEST(test_callbacks_must_not_wait)
{
    struct seen seen = {0};
    uint32_t consumer;
    struct fake_broker *fake = begin(&seen, do_what_waits, &consumer);
    fake_deliver(fake, consumer, 1, "a");
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.count, 1);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(seen.statuses[i], HERALD_EWOULDDEADLOCK);
    herald_close(seen.client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_close_in_a_callback)
{
    struct seen seen = {0};
    uint32_t consumer;
    struct fake_broker *fake = begin(&seen, close_it, &consumer);
    fake->client = NULL;
    fake_deliver(fake, consumer, 1, "a");
    fake_deliver(fake, consumer, 2, "b"); /* not taken any more */
    ck_assert_int_eq(herald_wait(seen.client, 1000), HERALD_ECLOSED);
    ck_assert_int_eq(seen.statuses[0], HERALD_OK);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_int_eq(herald_wait(seen.client, 1000), HERALD_ECLOSED);
    ck_assert_int_eq(herald_process(seen.client), HERALD_ECLOSED);
    herald_close(seen.client, 0);
    struct frame frame;
    fake_take(fake, FRAME_RELEASE, &frame);
    ck_assert_uint_eq(frame.as.release.first, 2);
    fake_take(fake, FRAME_DONE, &frame);
    ck_assert_uint_eq(frame.as.done.last, 1);
    fake_free(fake);
}
END_TEST

static void *settle(void *argument)
{
    struct herald_message *message = argument;
    ck_assert_int_eq(herald_done(message), HERALD_OK);
    herald_message_free(message);
    return NULL;
}

/* A settlement in another thread makes the one descriptor readable, so that the loop writes it. */
START_TEST(test_own_loop)
{
    struct seen seen = {0};
    uint32_t consumer;
    struct fake_broker *fake = begin(&seen, keep, &consumer);
    int fd = herald_fd(seen.client);
    ck_assert_int_eq(herald_events(seen.client), POLLIN);
    fake_deliver(fake, consumer, 1, "a");
    fake_let_run(fake, 5);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&wait, 1, 0), 0);
    ck_assert_int_gt(herald_timeout(seen.client), 1000);
    pthread_t thread;
    pthread_create(&thread, NULL, settle, seen.kept);
    ck_assert_int_eq(poll(&wait, 1, 1000), 1);
    pthread_join(thread, NULL);
    struct frame frame;
    fake_take(fake, FRAME_DONE, &frame);
    fake_open(fake);
    ck_assert_int_eq(herald_fd(seen.client), fd);
    fake_take_consumer(fake, FRAME_CONSUME);
    fake_let_run(fake, 5);
    fake_deliver(fake, consumer, 1, "a");
    ck_assert_int_eq(poll(&wait, 1, 1000), 1); /* still the one to watch */
    fake_let_run(fake, 5);
    ck_assert_uint_eq(seen.count, 2);
    herald_message_free(seen.kept);
    herald_close(seen.client, 0);
    fake->client = NULL;
    fake_free(fake);
}
END_TEST

START_TEST(test_thread_mode)
{
    struct seen seen = {0};
    uint32_t consumer;
    struct fake_broker *fake = begin(&seen, keep, &consumer);
    fake->client = NULL;
    ck_assert_int_eq(herald_start_thread(seen.client), HERALD_OK);
    ck_assert_int_eq(herald_start_thread(seen.client), HERALD_EINVAL);
    fake_deliver(fake, consumer, 1, "a");
    for (int i = 0; i < 1000 && __atomic_load_n(&seen.count, __ATOMIC_SEQ_CST) == 0; i++)
        usleep(1000);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert(!pthread_equal(seen.thread, pthread_self()));
    settle(seen.kept);
    struct frame frame;
    fake_take(fake, FRAME_DONE, &frame);
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    struct herald_content content = herald_text("x");
    ck_assert_int_eq(herald_send(seen.client, "q", &content), HERALD_OK);
    fake_take(fake, FRAME_SEND, &frame); /* a lone send leaves at once */
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    ck_assert_int_eq(herald_flush(seen.client, 2000), HERALD_OK);
    ck_assert_int_eq(herald_wait(seen.client, 10), HERALD_ETIMEOUT);
    ck_assert_int_eq(herald_close(seen.client, 0), HERALD_OK);
    fake_free(fake);
}
END_TEST

struct sender {
    struct herald_client *client;
    unsigned sent;
};

static void *send_many(void *argument)
{
    struct sender *sender = argument;
    for (unsigned i = 0; i < 2000; i++) {
        struct herald_content content = herald_text("from a thread");
        sender->sent += herald_send(sender->client, "q", &content) == HERALD_OK;
    }
    ck_assert_int_eq(herald_flush(sender->client, 5000), HERALD_OK);
    return NULL;
}

/* Four threads send and flush on one handle; none is the driver by office. */
START_TEST(test_many_threads)
{
    enum { THREADS = 4 };
    struct herald_options options = herald_options_default();
    options.buffer_bytes_max = 64 * 1024;
    struct fake_broker *fake = fake_new();
    struct herald_client *client = fake_client(fake, &options);
    fake_open(fake);
    fake->client = NULL;
    if (_i == 1)
        ck_assert_int_eq(herald_start_thread(client), HERALD_OK);
    struct sender senders[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){client, 0};
        pthread_create(&threads[i], NULL, send_many, &senders[i]);
    }
    struct frame frame;
    for (uint64_t tag = 1; tag <= THREADS * 2000; tag++) {
        fake_take(fake, FRAME_SEND, &frame);
        ck_assert_uint_eq(frame.header.tag, tag);
        if (tag % 50 == 0)
            fake_confirm(fake, tag - 49, tag);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(senders[i].sent, 2000);
    }
    herald_close(client, 0);
    fake_free(fake);
}
END_TEST

START_TEST(test_options)
{
    struct herald_options options = herald_options_default();
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    options.client = name;
    ck_assert_ptr_null(herald_new(&options));
    options.client = "";
    ck_assert_ptr_null(herald_new(&options));
    options.client = NULL;
    options.size = 3;
    ck_assert_ptr_null(herald_new(&options));
    struct herald_client *client = herald_new(NULL);
    ck_assert_int_eq(herald_close(client, 1000),
                     HERALD_OK); /* never connected: nothing to wait for */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_handle");
    TCase *handle = tcase_create("handle");
    tcase_add_test(handle, test_callbacks_must_not_wait);
    tcase_add_test(handle, test_close_in_a_callback);
    tcase_add_test(handle, test_own_loop);
    tcase_add_test(handle, test_thread_mode);
    tcase_add_loop_test(handle, test_many_threads, 0, 2);
    tcase_add_test(handle, test_options);
    tcase_set_timeout(handle, 30);
    suite_add_tcase(suite, handle);
    return check_main(suite);
}
