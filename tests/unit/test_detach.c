/* Places of volatile queues that rest on a segment, and get a copy of their own. */
#include "broker/core/detach.h"

#include "broker/core/queue.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

enum { MESSAGES = 3 };

static struct scene *scene;
static struct actor *alice;
static struct queue *fast;

/* Events of a durable and of a transient queue: their bytes are in the journal alone. */
static void begin(const struct core_limits *limits)
{
    scene = scene_new_with(3, limits);
    alice = enter_as(scene, "");
    do_queue(alice, "kept");
    hear_confirm(alice, say_queue_with(alice, "fast", FLAG_QUEUE_TRANSIENT, 0, 0));
    do_exchange(alice, "news");
    do_bind(alice, "kept", "news", "#");
    do_bind(alice, "fast", "news", "#");
    for (int i = 0; i < MESSAGES; i++)
        do_publish(alice, "news", "a", "an event with a body");
    fast = queue_find(scene->core, wire_bytes_of_text("fast"));
    ck_assert_uint_eq(queue_count(fast), MESSAGES);
    ck_assert_uint_eq(fast->transient_count, 0);
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    begin(&limits);
}

static void tear_down(void)
{
    scene_free(scene);
}

static void take_all(void)
{
    do_consume(alice, 1, "fast", MESSAGES);
    for (int i = 0; i < MESSAGES; i++)
        hear_delivery(alice, "an event with a body");
}

START_TEST(test_what_lies_behind_stays)
{
    detach_volatile_queues(scene->core, 4096);
    ck_assert_uint_eq(fast->transient_count, 0);
    ck_assert_uint_eq(scene->core->transient_bytes, 0);
}
END_TEST

START_TEST(test_places_get_copies)
{
    uint64_t live_bytes = journal_space(scene->journal).live_bytes;
    detach_volatile_queues(scene->core, journal_end_position(scene->journal));
    ck_assert_uint_eq(fast->transient_count, MESSAGES);
    ck_assert_uint_gt(scene->core->transient_bytes, 0);
    ck_assert_uint_lt(journal_space(scene->journal).live_bytes, live_bytes);
    ck_assert_uint_eq(ask_queue(alice, "kept", "messages"), MESSAGES);
    detach_volatile_queues(scene->core, journal_end_position(scene->journal));
    ck_assert_uint_eq(fast->transient_count, MESSAGES);
    take_all();
}
END_TEST

/* What is not in memory is read, and found by a later call. */
/* The same for one that stands aside. */
START_TEST(test_one_aside_gets_a_copy)
{
    do_consume(alice, 1, "fast", 1);
    hear_delivery(alice, "an event with a body");
    actor_cut(alice);
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(fast->asides.table.count, 1);
    detach_volatile_queues(scene->core, journal_end_position(scene->journal));
    ck_assert_uint_eq(fast->transient_count, MESSAGES);
    take_all();
}
END_TEST

START_TEST(test_bytes_are_read)
{
    scene->core->limits.transient_bytes_max = UINT64_MAX;
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    for (int i = 0; i < 64; i++)
        hear_confirm(alice, say_send_bytes(alice, "kept", body, sizeof body));
    size_t bytes;
    struct index_at at = index_find_from(&fast->index, 0);
    ck_assert_ptr_null(journal_peek(scene->journal, place_position(at.found->word), &bytes));
    detach_volatile_queues(scene->core, journal_end_position(scene->journal));
    ck_assert_uint_eq(fast->transient_count, 0);
    scene_settle(scene);
    detach_volatile_queues(scene->core, journal_end_position(scene->journal));
    ck_assert_uint_eq(fast->transient_count, MESSAGES);
    take_all();
}
END_TEST

START_TEST(test_without_room_waiting_places_are_dropped)
{
    do_consume(alice, 1, "fast", 1);
    hear_delivery(alice, "an event with a body");
    scene->core->limits.transient_bytes_max = 0;
    detach_volatile_queues(scene->core, journal_end_position(scene->journal));
    ck_assert_uint_eq(scene->core->counters.messages_dropped, MESSAGES - 1);
    ck_assert_uint_eq(queue_count(fast), 1);
    ck_assert_uint_eq(fast->out_count, 1);
    ck_assert_uint_eq(ask_queue(alice, "kept", "messages"), MESSAGES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("detach");
    TCase *tcase = tcase_create("detach");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_what_lies_behind_stays);
    tcase_add_test(tcase, test_places_get_copies);
    tcase_add_test(tcase, test_one_aside_gets_a_copy);
    tcase_add_test(tcase, test_bytes_are_read);
    tcase_add_test(tcase, test_without_room_waiting_places_are_dropped);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
