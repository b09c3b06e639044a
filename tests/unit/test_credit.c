/* Publisher credit: given anew in portions, withheld while the broker has enough to do. */
#include "broker/core/credit.h"

#include "broker/core/state.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

enum { CREDIT_MESSAGES = 10, CREDIT_BYTES = 40 << 10 };

static struct scene *scene;
static struct actor *alice;

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    limits.credit_messages = CREDIT_MESSAGES;
    limits.credit_bytes = CREDIT_BYTES;
    limits.pending_bytes_max = 1;
    scene = scene_new_with(4, &limits);
    alice = enter_as(scene, "");
    do_queue(alice, "q");
}

static void tear_down(void)
{
    scene_free(scene);
}

START_TEST(test_half_of_it_used_is_given_anew)
{
    uint64_t before = alice->credit_messages;
    ck_assert_uint_eq(before, CREDIT_MESSAGES);
    for (int i = 0; i < CREDIT_MESSAGES / 2 - 1; i++)
        do_send(alice, "q", "x");
    ck_assert_uint_eq(alice->credit_messages, before);
    do_send(alice, "q", "x");
    hear_nothing(alice);
    ck_assert_uint_eq(alice->credit_messages, before + CREDIT_MESSAGES / 2);
}
END_TEST

START_TEST(test_bytes_count_too)
{
    static unsigned char body[CREDIT_BYTES / 2];
    uint64_t before = alice->credit_bytes;
    hear_confirm(alice, say_send_bytes(alice, "q", body, sizeof body));
    hear_nothing(alice);
    ck_assert_uint_eq(alice->credit_messages, CREDIT_MESSAGES + 1);
    ck_assert_uint_ge(alice->credit_bytes, before + sizeof body);
}
END_TEST

START_TEST(test_it_is_withheld_while_the_disk_is_behind)
{
    scene_hold_syncs(scene);
    for (int i = 0; i < CREDIT_MESSAGES; i++)
        say_send(alice, "q", "x");
    hear_nothing(alice);
    ck_assert_uint_eq(alice->credit_messages, CREDIT_MESSAGES);
    ck_assert_uint_eq(scene->core->counters.credit_withheld, 1);
    scene_release_syncs(scene);
    scene_settle(scene);
    hear_out(alice);
    ck_assert_uint_eq(alice->credit_messages, 2 * CREDIT_MESSAGES);
    do_send(alice, "q", "goes on");
}
END_TEST

/* A message that crossed its CREDIT is let pass, a second one is not. */
START_TEST(test_too_much_ends_the_connection)
{
    scene_hold_syncs(scene);
    for (int i = 0; i < CREDIT_MESSAGES + 1; i++)
        say_send(alice, "q", "x");
    hear_nothing(alice);
    say_send(alice, "q", "x");
    hear_close(alice, STATUS_FLOW_VIOLATION);
    scene_release_syncs(scene);
}
END_TEST

START_TEST(test_results_are_free)
{
    struct peer *peer = alice->peer;
    struct frame frame = {.header = {.type = FRAME_RESULT, .length = 1000}};
    int64_t before = peer->credit_bytes;
    ck_assert_int_eq(credit_charge_message(peer, &frame, 500), STATUS_OK);
    ck_assert_int_eq(peer->credit_bytes, before);
    frame.header.type = FRAME_SEND;
    ck_assert_int_eq(credit_charge_message(peer, &frame, 500), STATUS_OK);
    ck_assert_int_eq(peer->credit_bytes, before - 1500);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("credit");
    TCase *tcase = tcase_create("credit");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_half_of_it_used_is_given_anew);
    tcase_add_test(tcase, test_bytes_count_too);
    tcase_add_test(tcase, test_it_is_withheld_while_the_disk_is_behind);
    tcase_add_test(tcase, test_too_much_ends_the_connection);
    tcase_add_test(tcase, test_results_are_free);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
