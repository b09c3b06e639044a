/* Tracked commands in the library: answers, waiting over lost connections, refusals. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

static const unsigned char id[16] = {1, 2, 3};
static struct herald_command *command;
static unsigned changes;

static void say_state(struct fake_broker *fake, uint64_t tag, uint8_t flags, uint8_t state,
                      const char *body)
{
    struct frame frame = {
        .header.type = FRAME_COMMAND_STATE, .header.flags = flags, .header.tag = tag};
    frame.as.command_state = (struct frame_command_state){.state = state,
                                                          .attempts = 2,
                                                          .queue = wire_bytes_of_text("work"),
                                                          .code = wire_bytes_of_text("CODE"),
                                                          .text = wire_bytes_of_text("because"),
                                                          .body_bytes = (uint32_t)strlen(body),
                                                          .body = wire_bytes_of_text(body)};
    memcpy(frame.as.command_state.id.byte, id, sizeof id);
    fake_say(fake, &frame);
}

static uint64_t take_question(struct fake_broker *fake, uint8_t until)
{
    struct frame frame;
    fake_take(fake, FRAME_COMMAND_STATUS, &frame);
    ck_assert_uint_eq(frame.as.command_status.until, until);
    ck_assert_int_eq(memcmp(frame.as.command_status.id.byte, id, 16), 0);
    return frame.header.tag;
}

static enum herald_status ask_status(struct herald_client *client)
{
    return herald_command_status(client, id, 5000, &command);
}

static enum herald_status ask_wait(struct herald_client *client)
{
    return herald_command_wait(client, id, 5000, &command);
}

static enum herald_status ask_wait_shortly(struct herald_client *client)
{
    return herald_command_wait(client, id, 100, &command);
}

static void on_change(const struct herald_command *now, void *context)
{
    (void)now, (void)context;
    changes++;
}

static enum herald_status ask_watch(struct herald_client *client)
{
    return herald_command_watch(client, id, 5000, on_change, NULL);
}

static enum herald_status ask_cancel(struct herald_client *client)
{
    return herald_command_cancel(client, id, 5000);
}

static void end(struct fake_broker *fake, struct fake_asker *asker)
{
    herald_command_free(command);
    command = NULL;
    herald_close(asker->client, 0);
    fake_free(fake);
}

START_TEST(test_a_status_holds_what_the_broker_said)
{
    struct fake_asker asker;
    struct fake_broker *fake = fake_with_asker(&asker);
    fake_begin_asking(&asker, ask_status);
    say_state(fake, take_question(fake, COMMAND_NOW), FLAG_LAST, COMMAND_FAILED, "details");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_int_eq(command->state, HERALD_COMMAND_FAILED);
    ck_assert_uint_eq(command->attempts, 2);
    ck_assert_str_eq(command->queue, "work");
    ck_assert_str_eq(command->code, "CODE");
    ck_assert_str_eq(command->text, "because");
    ck_assert_str_eq(command->body, "details");
    ck_assert_int_eq(memcmp(command->id, id, 16), 0);
    end(fake, &asker);
}
END_TEST

START_TEST(test_a_wait_asks_again_on_the_next_connection)
{
    struct fake_asker asker;
    struct fake_broker *fake = fake_with_asker(&asker);
    fake_begin_asking(&asker, ask_wait);
    (void)take_question(fake, COMMAND_OUTCOME);
    fake_drop(fake);
    fake_open(fake);
    fake_refuse(fake, take_question(fake, COMMAND_OUTCOME), STATUS_DRAINING, "");
    say_state(fake, take_question(fake, COMMAND_OUTCOME), FLAG_LAST, COMMAND_DONE, "result");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_str_eq(command->body, "result");
    end(fake, &asker);
}
END_TEST

START_TEST(test_a_wait_ends_with_how_things_are)
{
    struct fake_asker asker;
    struct fake_broker *fake = fake_with_asker(&asker);
    fake_begin_asking(&asker, ask_wait_shortly);
    uint64_t tag = take_question(fake, COMMAND_OUTCOME);
    fake_let_run(fake, 120);
    say_state(fake, tag, FLAG_LAST, COMMAND_RUNNING, "");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ETIMEOUT);
    ck_assert_int_eq(command->state, HERALD_COMMAND_RUNNING);
    end(fake, &asker);
}
END_TEST

START_TEST(test_every_change_is_told)
{
    struct fake_asker asker;
    struct fake_broker *fake = fake_with_asker(&asker);
    changes = 0;
    fake_begin_asking(&asker, ask_watch);
    uint64_t tag = take_question(fake, COMMAND_CHANGES);
    say_state(fake, tag, 0, COMMAND_READY, "");
    say_state(fake, tag, 0, COMMAND_RUNNING, "");
    say_state(fake, tag, FLAG_LAST, COMMAND_DONE, "");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_uint_eq(changes, 3);
    end(fake, &asker);
}
END_TEST

START_TEST(test_what_is_unknown_or_finished_is_refused)
{
    struct fake_asker asker;
    struct fake_broker *fake = fake_with_asker(&asker);
    fake_begin_asking(&asker, ask_wait);
    fake_refuse(fake, take_question(fake, COMMAND_OUTCOME), STATUS_UNKNOWN_COMMAND, "");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ENOTFOUND);
    ck_assert_ptr_null(command);
    fake_begin_asking(&asker, ask_cancel);
    struct frame frame;
    fake_take(fake, FRAME_COMMAND_CANCEL, &frame);
    fake_refuse(fake, frame.header.tag, STATUS_FINISHED, "");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_EREFUSED);
    ck_assert_str_eq(herald_last_error(asker.client).name, "FINISHED");
    end(fake, &asker);
}
END_TEST

START_TEST(test_a_tracked_command_needs_an_id)
{
    struct fake_asker asker;
    struct fake_broker *fake = fake_with_asker(&asker);
    struct herald_content content = herald_text("job");
    content.track = 1;
    ck_assert_int_eq(herald_send(asker.client, "work", &content), HERALD_EINVAL);
    end(fake, &asker);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command");
    TCase *tcase = tcase_create("command");
    tcase_add_test(tcase, test_a_status_holds_what_the_broker_said);
    tcase_add_test(tcase, test_a_wait_asks_again_on_the_next_connection);
    tcase_add_test(tcase, test_a_wait_ends_with_how_things_are);
    tcase_add_test(tcase, test_every_change_is_told);
    tcase_add_test(tcase, test_what_is_unknown_or_finished_is_refused);
    tcase_add_test(tcase, test_a_tracked_command_needs_an_id);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
