/* What the configuration means to each floor. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "broker/settings.h"
#include "tests/support/check_main.h"

static struct config *load(const char *text)
{
    struct config *config = malloc(sizeof(*config));
    struct config_errors errors = {0};
    ck_assert_int_eq(config_load_text(config, "test", text, strlen(text), &errors), STATUS_OK);
    config_errors_deinit(&errors);
    return config;
}

START_TEST(test_defaults_reach_the_floors)
{
    struct config *config = load("");
    struct core_limits core = settings_core_limits(config);
    ck_assert_uint_eq(core.message_bytes_max, 1024 * 1024);
    ck_assert_uint_eq(core.frame_bytes_max, 64 * 1024);
    ck_assert_uint_eq(core.queues_max, 100000);
    ck_assert_uint_eq(core.transient_bytes_max, 256 * 1024 * 1024);
    ck_assert_uint_eq(core.heartbeat_ms, 20000);
    ck_assert_uint_eq(core.queue_prefetch_messages, 1);
    ck_assert_uint_eq(core.event_prefetch_messages, 256);
    struct net_limits net = settings_net_limits(config, 1000000);
    ck_assert_uint_eq(net.connections_max, 10000);
    ck_assert_uint_eq(net.unauthenticated_max, 2500);
    ck_assert_uint_eq(net.frame_bytes_max, core.frame_bytes_max);
    ck_assert_uint_eq(net.handshake_ms, 10000);
    ck_assert_uint_eq(net.close_ms, 1000);
    ck_assert_uint_gt(net.output_bytes_max, core.live_unsent_bytes_max);
    struct journal_options journal = settings_journal_options(config);
    ck_assert_uint_eq(journal.segment_bytes, 64 * 1024 * 1024);
    ck_assert_uint_eq(journal.spare_count, 4);
    free(config);
}
END_TEST

/* No field of the limits may be forgotten. */
START_TEST(test_every_limit_of_the_core_is_set)
{
    struct config *config = load("");
    struct core_limits core = settings_core_limits(config);
    const uint32_t words[] = {
        core.message_bytes_max, core.frame_bytes_max, core.headers_count_max,
        core.headers_bytes_max, core.queues_max,      core.exchanges_max,
        core.bindings_max,      core.consumers_max,   core.clients_max,
        core.calls_max,         core.refusals_max,    core.credit_messages,
        core.credit_bytes,      core.heartbeat_ms,    core.queue_prefetch_messages,
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        ck_assert_uint_gt(words[i], 0);
    ck_assert_uint_gt(core.unsent_bytes_max, 0);
    ck_assert_uint_gt(core.pending_bytes_max, 0);
    free(config);
}
END_TEST

START_TEST(test_files_bound_connections)
{
    struct config *config = load("[limits]\nconnections_max = 500\n");
    ck_assert_uint_eq(settings_net_limits(config, 499).connections_max, 499);
    ck_assert_uint_eq(settings_net_limits(config, 500).connections_max, 500);
    ck_assert_uint_eq(settings_net_limits(config, 501).connections_max, 500);
    free(config);
}
END_TEST

START_TEST(test_files_are_raised_to_what_is_allowed)
{
    struct config *config = load("");
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = {64, before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    uint32_t most = settings_raise_files(config, NULL);
    struct rlimit after;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &after), 0);
    ck_assert_uint_eq(after.rlim_cur, before.rlim_max);
    ck_assert_uint_gt(most, 0);
    ck_assert_uint_lt(most, after.rlim_cur);
    free(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settings");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_defaults_reach_the_floors);
    tcase_add_test(tcase, test_every_limit_of_the_core_is_set);
    tcase_add_test(tcase, test_files_bound_connections);
    tcase_add_test(tcase, test_files_are_raised_to_what_is_allowed);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
