/* A named worker that settles, reports and sends commands, cut off at every byte in both
 * directions: whatever was lost, each command has one outcome, and what is done twice was flagged
 * before (DESIGN rules 7 and 8; Q6 for outcomes).
 *
 * It holds commands 1 to 4, and says in one go, under these tags:
 *
 *    2 PROGRESS, 3 RESULT of command 1                     settlements are not sent again
 *    4 FAIL of command 2, for good    5 DONE of command 3
 *    6 SEND command 10                7 SEND command 11 with a key
 *    8 SEND command 12 with the same key: DUPLICATE
 *    9 SEND command 10 with another body: DUPLICATE_MISMATCH
 *   10 COMMAND_CANCEL of command 4    11 SEND command 13, delayed
 */
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/tracking.h"

enum {
    HELD = 4,
    TAG_CONSUME = 1,
    TAG_FIRST = 2,
    TAG_FIRST_AGAIN = 6, /* from here on what has no answer is sent again */
    TAG_LAST = 11,
    DELAY_MS = 500,
};

static uint64_t deliveries[HELD];
static unsigned answers[TAG_LAST + 1];

/* --- what is said -------------------------------------------------------------------------------
 */

static struct frame settlement(uint64_t tag)
{
    struct frame frame = {.header.tag = tag};
    switch (tag) {
    case 2:
        frame.header.type = FRAME_PROGRESS;
        frame.as.progress = (struct frame_progress){
            bob->start, deliveries[0], 1, 2, wire_bytes_of_text("half"), wire_bytes_of_text("cp")};
        break;
    case 3:
        frame.header.type = FRAME_RESULT;
        frame.as.result =
            (struct frame_result){bob->start, deliveries[0], 2, wire_bytes_of_text("ok")};
        break;
    case 4:
        frame.header.type = FRAME_FAIL;
        frame.as.fail = (struct frame_fail){.start = bob->start,
                                            .delivery = deliveries[1],
                                            .class = FAIL_PERMANENT,
                                            .code = wire_bytes_of_text("BROKEN")};
        break;
    default:
        frame.header.type = FRAME_DONE;
        frame.as.done = (struct frame_done){bob->start, deliveries[2], deliveries[2]};
        break;
    }
    return frame;
}

static struct frame command(uint64_t tag, unsigned n, const char *body)
{
    struct frame frame = {.header.type = FRAME_SEND, .header.tag = tag};
    track(n);
    with_text(PROPERTY_MESSAGE_REPLY_TO, "answers");
    if (tag == 7 || tag == 8)
        with_text(PROPERTY_MESSAGE_KEY, "key");
    if (tag == 11)
        with(PROPERTY_MESSAGE_DELAY, DELAY_MS);
    frame.as.send =
        (struct frame_send){.queue = wire_bytes_of_text("work"),
                            .properties = wire_bytes_of(properties, (uint32_t)wire_written(&w)),
                            .body_bytes = (uint32_t)strlen(body),
                            .body = wire_bytes_of_text(body)};
    return frame;
}

static void write_from(uint64_t tag)
{
    static const unsigned ids[TAG_LAST + 1] = {[6] = 10, [7] = 11, [8] = 12, [9] = 10, [11] = 13};
    for (; tag <= TAG_LAST; tag++) {
        struct frame frame = {.header.type = FRAME_COMMAND_CANCEL, .header.tag = tag};
        frame.as.command_cancel.id = id_of(4);
        if (tag < TAG_FIRST_AGAIN)
            frame = settlement(tag);
        else if (ids[tag] != 0)
            frame = command(tag, ids[tag], tag == 9 ? "other" : "job");
        (void)actor_write(bob, &frame);
    }
}

/* --- what is heard ------------------------------------------------------------------------------
 */

static enum status refusal_of(uint64_t tag)
{
    return tag == 8 ? STATUS_DUPLICATE : tag == 9 ? STATUS_DUPLICATE_MISMATCH : STATUS_OK;
}

/* Notes the answers, each of which must be the right one; returns up to where all are seen. */
static uint64_t take_answers(void)
{
    struct frame frame;
    uint64_t seen = TAG_CONSUME;
    while (actor_next(bob, &frame)) {
        if (frame.header.type == FRAME_REFUSE && frame.header.tag <= TAG_LAST) {
            ck_assert_uint_eq(frame.as.refuse.code, refusal_of(frame.header.tag));
            answers[frame.header.tag]++;
        }
        if (frame.header.type != FRAME_CONFIRM)
            continue;
        seen = frame.as.confirm.last;
        for (uint64_t tag = frame.as.confirm.first; tag <= seen && tag <= TAG_LAST; tag++)
            answers[tag] += refusal_of(tag) == STATUS_OK;
    }
    return seen;
}

/* --- the play -----------------------------------------------------------------------------------
 */

static void consume(uint64_t tag)
{
    struct frame frame = {.header.type = FRAME_CONSUME, .header.tag = tag};
    frame.as.consume = (struct frame_consume){1, wire_bytes_of_text("work"), 10, 0};
    (void)actor_say(bob, &frame);
}

/* Alice has sent 1 to 4, and bob has them. */
static void begin(uint64_t seed)
{
    memset(answers, 0, sizeof answers);
    scene = scene_new(seed);
    alice = enter_as(scene, "");
    do_queue(alice, "work");
    do_queue(alice, "answers");
    for (unsigned n = 1; n <= HELD; n++) {
        track(n);
        with_text(PROPERTY_MESSAGE_REPLY_TO, "answers");
        do_tracked("job");
    }
    bob = enter_as(scene, "bob");
    consume(TAG_CONSUME);
    hear_confirm(bob, TAG_CONSUME);
    for (unsigned i = 0; i < HELD; i++)
        deliveries[i] = hear_delivery(bob, "job").delivery;
}

/* Says what is to be said of a delivery of the second connection. */
static void work_on(const struct frame_deliver *deliver)
{
    struct wire_bytes id = property_find(deliver->properties, PROPERTY_MESSAGE_ID);
    ck_assert_uint_eq(id.bytes, 16);
    unsigned n = id.at[15];
    ck_assert(n == 1 || n == 2 || n == 3 || n == 10 || n == 11 || n == 13);
    uint64_t delivery = deliver->delivery;
    if (n == 1 && bob->answered >= 2)
        ck_assert_str_eq(bob->earlier_checkpoint, "cp");
    if (n == 1)
        (void)say_result(bob, delivery, "ok");
    else if (n == 2)
        (void)say_fail_as(delivery, FAIL_PERMANENT);
    else
        (void)say_done(bob, delivery, delivery);
}

/* Bob is back, with what he has not seen answered. */
static void go_on(uint64_t seen)
{
    struct frame frame;
    ck_assert(actor_resume(bob, seen));
    (void)take_answers();
    uint64_t again = bob->answered + 1;
    write_from(again > TAG_FIRST_AGAIN ? again : TAG_FIRST_AGAIN);
    actor_flush(bob);
    scene_settle(scene);
    (void)take_answers();
    bob->tag = TAG_LAST;
    consume(0);
    for (unsigned i = 0; i < 2; i++) {
        while (actor_next(bob, &frame)) {
            if (frame.header.type != FRAME_DELIVER)
                continue;
            /* 1 to 4 were handed out before. */
            ck_assert(frame.as.deliver.number > HELD || (frame.header.flags & FLAG_REDELIVERED));
            work_on(&frame.as.deliver);
        }
        scene_advance_ms(scene, DELAY_MS + 10);
        scene_settle(scene);
    }
}

static void check_outcomes(size_t cut)
{
    static const unsigned done[] = {1, 3, 10, 11, 13};
    for (uint64_t tag = TAG_FIRST_AGAIN; tag <= TAG_LAST; tag++)
        ck_assert_msg(answers[tag] == 1, "cut at %zu: tag %u has %u answers", cut, (unsigned)tag,
                      answers[tag]);
    for (uint64_t tag = TAG_FIRST; tag < TAG_FIRST_AGAIN; tag++) /* confirms pass what is lost */
        ck_assert_uint_le(answers[tag], 1);
    ck_assert(actor_enter(alice));
    for (size_t i = 0; i < sizeof done / sizeof done[0]; i++)
        ask(done[i], COMMAND_DONE);
    struct frame_command_state state = ask(2, COMMAND_FAILED);
    is_failed(&state, "BROKEN", OUTCOME_RAN);
    state = ask(4, COMMAND_FAILED);
    is_failed(&state, "CANCELLED", OUTCOME_MAYBE_RUN);
    hear_refuse(alice, say_status(alice, 12, COMMAND_NOW, 0), STATUS_UNKNOWN_COMMAND);
    ck_assert_uint_eq(ask_queue(alice, "answers", "messages"), 7); /* one of each */
    ck_assert_uint_eq(ask_queue(alice, "work", "messages"), 0);
    ck_assert_uint_eq(ask_queue(alice, "work", "parked"), 1);
}

enum loss { LOSS_CONNECTION, LOSS_PROCESS, LOSS_POWER };

/* Of what bob says the broker reads so many bytes. Returns how many there are. */
static size_t cut_question(size_t cut, enum loss loss)
{
    begin(cut + 1);
    write_from(TAG_FIRST);
    size_t bytes = bob->out_bytes;
    bob->out_bytes = cut < bytes ? cut : bytes;
    actor_flush(bob);
    if (loss == LOSS_CONNECTION || cut % 2 == 0)
        scene_settle(scene);
    if (loss == LOSS_PROCESS)
        scene_kill(scene);
    if (loss == LOSS_POWER)
        scene_crash(scene, (enum disk_sim_policy)(cut % DISK_SIM_POLICIES));
    go_on(TAG_CONSUME); /* he has heard nothing of it */
    check_outcomes(cut);
    scene_free(scene);
    return bytes;
}

START_TEST(test_what_is_said_is_cut_at_every_byte)
{
    for (size_t cut = 0, bytes = 1; cut <= bytes; cut++)
        bytes = cut_question(cut, (enum loss)_i);
}
END_TEST

/* The broker has read all; of its answers bob hears so many bytes. */
static size_t cut_answer(size_t cut, enum loss loss)
{
    begin(cut + 1);
    write_from(TAG_FIRST);
    actor_flush(bob);
    scene_settle(scene);
    size_t bytes = bob->in_bytes - bob->in_start;
    bob->in_bytes = bob->in_start + (cut < bytes ? cut : bytes);
    uint64_t seen = take_answers();
    if (loss == LOSS_PROCESS)
        scene_kill(scene);
    if (loss == LOSS_POWER)
        scene_crash(scene, (enum disk_sim_policy)(cut % DISK_SIM_POLICIES));
    memset(answers, 0, seen < TAG_LAST ? sizeof answers : 0);
    for (uint64_t tag = TAG_FIRST; tag <= seen; tag++)
        answers[tag] = 1; /* a refusal above is heard again */
    go_on(seen);
    check_outcomes(cut);
    scene_free(scene);
    return bytes;
}

START_TEST(test_what_is_answered_is_cut_at_every_byte)
{
    for (size_t cut = 0, bytes = 1; cut <= bytes; cut++)
        bytes = cut_answer(cut, (enum loss)_i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume commands");
    TCase *tcase = tcase_create("resume commands");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_what_is_said_is_cut_at_every_byte, 0, LOSS_POWER + 1);
    tcase_add_loop_test(tcase, test_what_is_answered_is_cut_at_every_byte, 0, LOSS_POWER + 1);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
