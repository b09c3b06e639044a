/* A full disk that has to be emptied by what is settled on it (D10): stragglers live in the oldest
 * segment, so only restating them makes room. Nothing comes from outside. */
#include <stdio.h>

#include "tests/support/check_main.h"
#include "tests/support/lines.h"

enum {
    STRAGGLERS = 20,
    ROOM_SEGMENTS = 10, /* spares included */
    TICK_MS = 20,
    HEAL_MS = 1000,
};

static struct scene *scene;
static struct actor *alice;
static struct actor *bob;

static void set_up(void)
{
    scene = scene_new(12);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    disk_sim_set_room(scene->sim, ROOM_SEGMENTS * (uint64_t)SCENE_SEGMENT_BYTES);
    do_queue(alice, "slow");
    do_queue(alice, "q");
    for (int i = 0; i < STRAGGLERS; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "straggler %d", i);
        do_send(alice, "slow", body);
    }
}

static void tear_down(void)
{
    scene_free(scene);
}

/* Settling one by one takes more room than small messages themselves. */
static const uint32_t body_sizes[] = {SCENE_MESSAGE_BYTES_MAX, 100};

/* Sends until the broker refuses. Restating may make some room at once. */
static void fill_disk(uint32_t body_bytes)
{
    static unsigned char body[SCENE_MESSAGE_BYTES_MAX];
    uint32_t count = body_bytes < 1000 ? 200 : 1; /* well within the credit */
    bool is_full = false;
    for (int i = 0; i < 1000 && !is_full; i++) {
        struct frame frame;
        for (uint32_t k = 0; k < count; k++)
            say_send_bytes(alice, "q", body, body_bytes);
        scene_advance_ms(scene, TICK_MS);
        while (actor_next(alice, &frame))
            is_full |= frame.header.type == FRAME_REFUSE;
    }
    ck_assert(is_full);
}

/* Settles all of q one by one, which is dearest: each has a batch of its own. */
static void settle_all(uint64_t leave)
{
    do_consume(bob, 1, "q", 1);
    while (ask_queue(alice, "q", "messages") > leave) {
        struct frame frame;
        while (actor_next(bob, &frame))
            if (frame.header.type == FRAME_DELIVER)
                say_done(bob, frame.as.deliver.delivery, frame.as.deliver.delivery);
        scene_settle(scene);
    }
}

/* Simulated time until a message is taken and confirmed. */
static void expect_healing(void)
{
    uint64_t from_ms = scene->now_ms;
    bool is_taken = false;
    while (!is_taken) {
        struct frame frame;
        ck_assert_uint_le(scene->now_ms - from_ms, HEAL_MS);
        say_send(alice, "slow", "late");
        scene_advance_ms(scene, TICK_MS);
        while (actor_next(alice, &frame))
            is_taken |= frame.header.type == FRAME_CONFIRM;
    }
    ck_assert(!journal_is_full(scene->journal));
}

static void expect_stragglers(void)
{
    struct actor *carol = enter_as(scene, "");
    do_consume(carol, 1, "slow", 1000);
    for (int i = 0; i < STRAGGLERS; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "straggler %d", i);
        hear_delivery(carol, body);
    }
    hear_delivery(carol, "late");
    hear_nothing(carol);
}

START_TEST(test_restating_makes_the_room)
{
    fill_disk(body_sizes[_i]);
    settle_all(0);
    expect_healing();
    ck_assert_uint_ge(ask_stat(alice, "messages_restated"), STRAGGLERS);
    expect_stragglers();
}
END_TEST

/* Dies with the disk full, with a part settled, and just before it would have healed. */
START_TEST(test_crashes_in_between)
{
    static const enum disk_sim_policy policies[] = {DISK_SIM_NONE, DISK_SIM_NAMES, DISK_SIM_TORN};
    fill_disk(body_sizes[_i % 2]);
    for (int i = 0; i < 3; i++) {
        uint64_t messages;
        scene_crash(scene, policies[(i + _i) % 3]);
        ck_assert(actor_enter(alice));
        ck_assert(actor_enter(bob));
        messages = ask_queue(alice, "q", "messages");
        settle_all(i < 2 ? messages - messages / 3 : 0);
    }
    scene_kill(scene);
    ck_assert(actor_enter(alice));
    expect_healing();
    expect_stragglers();
}
END_TEST

/* Room that comes from outside is used within a second, too, after a kill as well. */
START_TEST(test_room_from_outside)
{
    fill_disk(body_sizes[0]);
    if (_i == 1) {
        scene_kill(scene);
        ck_assert(actor_enter(alice));
        scene_advance_ms(scene, 1);
    }
    disk_sim_set_room(scene->sim, UINT64_MAX);
    expect_healing();
    expect_stragglers();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("full disk");
    TCase *tcase = tcase_create("full disk");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, test_restating_makes_the_room, 0, 2);
    tcase_add_loop_test(tcase, test_crashes_in_between, 0, 6);
    tcase_add_loop_test(tcase, test_room_from_outside, 0, 2);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
