/* Named clients: frames sent again after any loss get the answers they got or would have got, and
 * nothing is there twice (DESIGN rules 7 and 8; Q6, D1). RELIABILITY (d) 12. */
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/lines.h"

enum { TAG_COUNT = 6, REFUSED_TAG = 3 };

/* What the client says under a tag, as bytes in actor->out. */
static void write_tag(struct actor *actor, uint64_t tag)
{
    static const char *const bodies[] = {"", "", "one", "two", "three three three", "four", "five"};
    struct frame frame = {.header.tag = tag};
    if (tag == 1) {
        frame.header.type = FRAME_QUEUE_CREATE;
        frame.as.queue_create.queue = wire_bytes_of_text("q");
        actor_write(actor, &frame);
        return;
    }
    struct wire_bytes body = wire_bytes_of_text(bodies[tag]);
    bool is_in_pieces = tag == 4;
    frame.header.type = FRAME_SEND;
    frame.as.send.queue = wire_bytes_of_text(tag == REFUSED_TAG ? "nowhere" : "q");
    frame.as.send.body_bytes = body.bytes;
    frame.as.send.body = wire_bytes_of(body.at, is_in_pieces ? 5 : body.bytes);
    actor_write(actor, &frame);
    if (is_in_pieces) {
        frame = (struct frame){.header.type = FRAME_PIECE};
        frame.as.piece.body = wire_bytes_of(body.at + 5, body.bytes - 5);
        actor_write(actor, &frame);
    }
}

static void write_tags_from(struct actor *actor, uint64_t tag)
{
    for (; tag <= TAG_COUNT; tag++)
        write_tag(actor, tag);
}

/* Every tag has its answer exactly once; taken from what came in the actor's two connections. */
static void take_answers(struct actor *actor, int answers[TAG_COUNT + 1])
{
    struct frame frame;
    while (actor_next(actor, &frame)) {
        if (frame.header.type == FRAME_REFUSE) {
            ck_assert_uint_eq(frame.header.tag, REFUSED_TAG);
            ck_assert_uint_eq(frame.as.refuse.code, STATUS_NO_QUEUE);
            answers[REFUSED_TAG]++;
        } else if (frame.header.type == FRAME_CONFIRM) {
            ck_assert_uint_le(frame.as.confirm.last, TAG_COUNT);
            for (uint64_t t = frame.as.confirm.first; t <= frame.as.confirm.last; t++)
                answers[t] += t != REFUSED_TAG;
        }
    }
}

/* The connection breaks after `cut` bytes; with them the broker may crash. */
static size_t play(size_t cut, bool crashes, enum disk_sim_policy policy)
{
    int answers[TAG_COUNT + 1] = {0};
    struct scene *scene = scene_new(cut + 1);
    struct actor *alice = enter_as(scene, "alice");
    write_tags_from(alice, 1);
    size_t bytes = alice->out_bytes;
    alice->out_bytes = cut < bytes ? cut : bytes;
    actor_flush(alice);
    if (!crashes || cut % 2 == 0)
        scene_settle(scene);
    if (crashes)
        scene_crash(scene, policy);
    ck_assert(actor_resume(alice, 0));
    take_answers(alice, answers);
    write_tags_from(alice, alice->answered + 1);
    actor_flush(alice);
    scene_settle(scene);
    take_answers(alice, answers);
    for (int tag = 1; tag <= TAG_COUNT; tag++)
        ck_assert_msg(answers[tag] == 1, "cut at %zu: tag %d has %d answers", cut, tag,
                      answers[tag]);
    alice->tag = TAG_COUNT;
    ck_assert_uint_eq(ask_queue(alice, "q", "messages"), TAG_COUNT - 2);
    hear_confirm(alice, say_consume(alice, 1, "q", 10));
    hear_delivery(alice, "one");
    hear_delivery(alice, "three three three");
    hear_delivery(alice, "four");
    hear_delivery(alice, "five");
    scene_free(scene);
    return bytes;
}

START_TEST(test_a_connection_is_cut_at_every_byte)
{
    for (size_t cut = 0, bytes = 1; cut <= bytes; cut++)
        bytes = play(cut, false, DISK_SIM_NONE);
}
END_TEST

START_TEST(test_the_broker_crashes_at_every_byte)
{
    for (size_t cut = 0, bytes = 1; cut <= bytes; cut++)
        bytes = play(cut, true, (enum disk_sim_policy)(cut % DISK_SIM_POLICIES));
}
END_TEST

START_TEST(test_answers_that_were_seen_are_not_repeated)
{
    struct scene *scene = scene_new(6);
    struct actor *alice = enter_as(scene, "alice");
    do_queue(alice, "q");
    uint64_t bad = say_send(alice, "nowhere", "x");
    hear_refuse(alice, bad, STATUS_NO_QUEUE);
    do_send(alice, "q", "x");
    ck_assert(actor_resume(alice, 1));
    hear_refuse(alice, bad, STATUS_NO_QUEUE);
    hear_confirm(alice, 3);
    ck_assert(actor_resume(alice, 3));
    ck_assert_uint_eq(alice->answered, 3);
    hear_nothing(alice);
    /* The low mark of that hello has let the refusal go, and so does a SEEN. */
    ck_assert(actor_resume(alice, 1));
    hear_confirm(alice, 3);
    uint64_t worse = say_send(alice, "nowhere", "x");
    hear_refuse(alice, worse, STATUS_NO_QUEUE);
    say_seen(alice, worse);
    ck_assert(actor_resume(alice, 3));
    hear_confirm(alice, worse);
    do_send(alice, "q", "y");
    scene_free(scene);
}
END_TEST

START_TEST(test_unseen_refusals_are_bounded)
{
    struct core_limits limits = scene_limits();
    limits.refusals_max = 3;
    struct scene *scene = scene_new_with(6, &limits);
    struct actor *alice = enter_as(scene, "alice");
    for (int i = 0; i < 3; i++)
        hear_refuse(alice, say_send(alice, "nowhere", "x"), STATUS_NO_QUEUE);
    say_seen(alice, alice->tag);
    for (int i = 0; i < 3; i++)
        hear_refuse(alice, say_send(alice, "nowhere", "x"), STATUS_NO_QUEUE);
    say_send(alice, "nowhere", "x");
    hear_close(alice, STATUS_LIMIT);
    scene_free(scene);
}
END_TEST

START_TEST(test_a_client_that_is_not_known)
{
    struct scene *scene = scene_new(6);
    struct actor *alice = scene_actor(scene, "alice");
    ck_assert(!actor_resume(alice, 0));
    ck_assert_uint_eq(alice->last_close, STATUS_CLIENT_UNKNOWN);
    scene_free(scene);
}
END_TEST

START_TEST(test_the_newer_connection_wins)
{
    struct scene *scene = scene_new(6);
    struct actor *older = enter_as(scene, "alice");
    do_queue(older, "q");
    struct actor *newer = scene_actor(scene, "alice");
    ck_assert(actor_resume(newer, 0));
    hear_close(older, STATUS_REPLACED);
    newer->tag = newer->answered;
    hear_confirm(newer, 1);
    do_send(newer, "q", "x");
    actor_cut(older);
    do_send(newer, "q", "y");
    scene_free(scene);
}
END_TEST

START_TEST(test_goodbye_forgets)
{
    struct scene *scene = scene_new(6);
    struct actor *alice = enter_as(scene, "alice");
    do_queue(alice, "q");
    say_goodbye(alice);
    ck_assert(!actor_resume(alice, 0));
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(!actor_resume(alice, 0));
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(alice->answered, 0);
    scene_free(scene);
}
END_TEST

START_TEST(test_a_clean_stop_forgets_nobody)
{
    struct scene *scene = scene_new(6);
    struct actor *alice = enter_as(scene, "alice");
    do_queue(alice, "q");
    scene_restart(scene);
    ck_assert(actor_resume(alice, 1));
    ck_assert_uint_eq(alice->answered, 1);
    scene_free(scene);
}
END_TEST

START_TEST(test_a_new_hello_begins_anew)
{
    struct scene *scene = scene_new(6);
    struct actor *alice = enter_as(scene, "alice");
    do_queue(alice, "q");
    ck_assert(actor_enter(alice));
    ck_assert_uint_eq(alice->answered, 0);
    do_queue(alice, "other");
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_resume(alice, 0));
    hear_confirm(alice, 1);
    scene_free(scene);
}
END_TEST

START_TEST(test_a_full_table_forgets_who_left_first)
{
    struct core_limits limits = scene_limits();
    limits.clients_max = 2;
    struct scene *scene = scene_new_with(6, &limits);
    struct actor *a = enter_as(scene, "a");
    struct actor *b = enter_as(scene, "b");
    struct actor *c = scene_actor(scene, "c");
    ck_assert(!actor_enter(c)); /* both are here */
    ck_assert_uint_eq(c->last_close, STATUS_LIMIT);
    actor_cut(b);
    actor_cut(a);
    ck_assert(actor_enter(c));
    ck_assert(actor_resume(a, 0));
    ck_assert(!actor_resume(b, 0));
    scene_free(scene);
}
END_TEST

START_TEST(test_tags_must_grow)
{
    struct scene *scene = scene_new(6);
    struct actor *alice = enter_as(scene, "alice");
    do_queue(alice, "q");
    alice->tag = 0;
    say_queue(alice, "q");
    hear_close(alice, STATUS_TAG_ORDER);
    scene_free(scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume");
    TCase *tcase = tcase_create("resume");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_a_connection_is_cut_at_every_byte);
    tcase_add_test(tcase, test_the_broker_crashes_at_every_byte);
    tcase_add_test(tcase, test_answers_that_were_seen_are_not_repeated);
    tcase_add_test(tcase, test_unseen_refusals_are_bounded);
    tcase_add_test(tcase, test_a_client_that_is_not_known);
    tcase_add_test(tcase, test_the_newer_connection_wins);
    tcase_add_test(tcase, test_goodbye_forgets);
    tcase_add_test(tcase, test_a_clean_stop_forgets_nobody);
    tcase_add_test(tcase, test_a_new_hello_begins_anew);
    tcase_add_test(tcase, test_a_full_table_forgets_who_left_first);
    tcase_add_test(tcase, test_tags_must_grow);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
