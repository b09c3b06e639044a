/* The whole broker inside the test's process: it starts, serves and stops in good order. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/broker.h"
#include "tests/support/check_main.h"
#include "tests/support/talk.h"

struct place {
    char directory[64];
    struct config_source source;
    struct config config;
    struct log *log; /* thrown away */
    struct broker *broker;
    int exit_code;
};

static void place_open(struct place *place, char **environment)
{
    struct config_errors errors = {0};
    memset(place, 0, sizeof(*place));
    snprintf(place->directory, sizeof(place->directory), "/tmp/herald-broker-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place->directory));
    place->source = (struct config_source){NULL, place->directory, environment};
    ck_assert_int_eq(config_load(&place->config, &place->source, &errors), STATUS_OK);
    config_errors_deinit(&errors);
    struct log_options log_options = {.fd = -1, .level = LOG_LEVEL_INFO};
    place->log = log_new(&log_options);
    struct broker_options options = {&place->source, &place->config, place->log};
    place->broker = broker_new(&options, &place->exit_code);
}

static void place_remove(const struct place *place)
{
    char command[128];
    log_free(place->log);
    snprintf(command, sizeof(command), "rm -rf %s", place->directory);
    ck_assert_int_eq(system(command), 0);
}

static char no_tcp[] = "HERALD_LISTEN_TCP=";
static char small_segments[] = "HERALD_JOURNAL_SEGMENT_BYTES=1MiB";
static char small_messages[] = "HERALD_LIMITS_MESSAGE_BYTES_MAX=64KiB";
static char *small[] = {no_tcp, small_segments, small_messages, NULL};

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.107s", path);
    int file = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(file, (struct sockaddr *)&address, sizeof(address)), 0);
    return file;
}

/* Uses the broker from outside, then asks the process to stop. */
static void *visit(void *argument)
{
    const struct place *place = argument;
    struct talk *talk = talk_over(connect_to(place->config.listen_unix));
    struct frame frame = talk_queue_create("q");
    bool went_well = talk_open(talk, "EXTERNAL", 0, "") && talk_ask(talk, &frame) == STATUS_OK;
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGTERM);
    went_well = talk_close_code(talk) == STATUS_GOODBYE && went_well;
    talk_end(talk);
    return went_well ? argument : NULL;
}

START_TEST(test_serves_and_stops)
{
    struct place place;
    pthread_t visitor;
    void *went_well = NULL;
    place_open(&place, small);
    ck_assert_ptr_nonnull(place.broker);
    ck_assert_int_eq(pthread_create(&visitor, NULL, visit, &place), 0);
    ck_assert_int_eq(broker_run(place.broker), 0);
    pthread_join(visitor, &went_well);
    ck_assert_ptr_nonnull(went_well);
    broker_free(place.broker);
    place_remove(&place);
}
END_TEST

START_TEST(test_freed_without_running)
{
    struct place place;
    place_open(&place, small);
    ck_assert_ptr_nonnull(place.broker);
    broker_free(place.broker);
    place_remove(&place);
}
END_TEST

START_TEST(test_a_directory_in_use)
{
    struct place place;
    int exit_code = 0;
    place_open(&place, small);
    struct broker_options options = {&place.source, &place.config, place.log};
    ck_assert_ptr_null(broker_new(&options, &exit_code));
    ck_assert_int_eq(exit_code, 74);
    broker_free(place.broker);
    place_remove(&place);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("broker");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_serves_and_stops);
    tcase_add_test(tcase, test_freed_without_running);
    tcase_add_test(tcase, test_a_directory_in_use);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
