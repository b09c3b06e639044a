/* Purging: what nobody has goes, runs between what stays, and lanes. */
#include "broker/core/purge.h"

#include "broker/core/queue.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

enum { MESSAGES = 100 };

static struct core *core;
static struct queue *queue;

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    core = core_new(&limits, note, NULL);
    core->is_running = true;
    queue = queue_new(core, QUEUE_TRANSIENT, 1, wire_bytes_of_text("work"));
    for (uint64_t number = 1; number <= MESSAGES; number++) {
        struct operation_message operation = {.number = number};
        struct message *message = message_new(core, &operation);
        ck_assert_ptr_nonnull(message);
        ck_assert_int_eq(index_reserve(&queue->index, number), STATUS_OK);
        index_append(&queue->index, number, place_word_transient(message), place_size(10, 1));
        queue->bytes += 10;
        queue->transient_count++;
    }
}

static void tear_down(void)
{
    core_free(core);
}

START_TEST(test_what_is_out_stays)
{
    unsigned out_count = 0;
    for (uint64_t number = 3; number <= MESSAGES; number += 7, out_count++) {
        index_set_out(&queue->index, index_find(&queue->index, number));
        queue->out_count++;
    }
    ck_assert_int_eq(queue_purge(core, NULL, queue), STATUS_OK);
    ck_assert_uint_eq(queue_count(queue), out_count);
    ck_assert_uint_eq(queue->bytes, (uint64_t)10 * out_count);
    for (uint64_t number = 1; number <= MESSAGES; number++)
        ck_assert((index_find(&queue->index, number).found != NULL) == (number % 7 == 3));
    ck_assert_int_eq(queue_purge(core, NULL, queue), STATUS_OK);
    ck_assert_uint_eq(queue_count(queue), out_count);
}
END_TEST

START_TEST(test_an_empty_queue)
{
    ck_assert_int_eq(queue_purge(core, NULL, queue), STATUS_OK);
    ck_assert_uint_eq(queue_count(queue), 0);
    ck_assert_int_eq(queue_purge(core, NULL, queue), STATUS_OK);
    ck_assert_uint_eq(core->transient_bytes, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("purge");
    TCase *tcase = tcase_create("purge");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_what_is_out_stays);
    tcase_add_test(tcase, test_an_empty_queue);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
