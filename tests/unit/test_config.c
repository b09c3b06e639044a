/* The configuration from all its sources, what is refused and where, printing and reloading. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/config.h"
#include "broker/config_option.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"

struct fixture {
    char directory[64];
    char path[96];
    struct config config;
    struct config_errors errors;
};

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->directory, sizeof(f->directory), "/tmp/herald-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/herald.conf", f->directory);
}

static void teardown(struct fixture *f)
{
    char command[128];
    config_errors_deinit(&f->errors);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
    ck_assert_int_eq(system(command), 0);
}

static enum status load_text(struct fixture *f, const char *text)
{
    config_errors_deinit(&f->errors);
    return config_load_text(&f->config, "t.conf", text, strlen(text), &f->errors);
}

static const char *where(const struct fixture *f, enum config_index index)
{
    return f->config.where[index];
}

START_TEST(test_defaults)
{
    struct fixture f;
    setup(&f);
    ck_assert_int_eq(load_text(&f, ""), STATUS_OK);
    ck_assert_uint_eq(f.config.listen_tcp.count, 1);
    ck_assert_str_eq(f.config.listen_tcp.address[0].host, "127.0.0.1");
    ck_assert_uint_eq(f.config.listen_tcp.address[0].port, 7440);
    ck_assert_str_eq(f.config.listen_unix, "/run/herald/herald.sock");
    ck_assert_uint_eq(f.config.listen_unix_mode, 0660);
    ck_assert(!f.config.listen_allow_plaintext);
    ck_assert_uint_eq(f.config.journal_segment_bytes, 64 * 1024 * 1024);
    ck_assert_uint_eq(f.config.timeouts_heartbeat, 20000);
    ck_assert_int_eq(f.config.log_level, LOG_LEVEL_INFO);
    ck_assert_str_eq(where(&f, CONFIG_INDEX_log_level), "default");
    teardown(&f);
}
END_TEST

START_TEST(test_every_kind)
{
    struct fixture f;
    setup(&f);
    ck_assert_int_eq(load_text(&f, "\xEF\xBB\xBF# a comment\r\n"
                                   "[listen]\r\n"
                                   "tcp = 10.0.0.1:1, [::1]:2   ; and why\r\n"
                                   "  allow_plaintext: on\n"
                                   "unix=\n"
                                   "unix_mode = 0600\n"
                                   "; another\n"
                                   "\n"
                                   "[limits]   # trailing\n"
                                   "\tmessage_bytes_max\t=\t64KiB\n"
                                   "queues_max = 12\n"
                                   "[timeouts]\n"
                                   "drain = 1.5m\n"
                                   "[log]\n"
                                   "level = trace\n"
                                   "areas = store, net"),
                     STATUS_OK);
    ck_assert_uint_eq(f.config.listen_tcp.count, 2);
    ck_assert(f.config.listen_allow_plaintext);
    ck_assert_str_eq(f.config.listen_unix, "");
    ck_assert_uint_eq(f.config.listen_unix_mode, 0600);
    ck_assert_uint_eq(f.config.limits_message_bytes_max, 65536);
    ck_assert_uint_eq(f.config.limits_queues_max, 12);
    ck_assert_uint_eq(f.config.timeouts_drain, 90000);
    ck_assert_int_eq(f.config.log_level, LOG_LEVEL_TRACE);
    ck_assert_str_eq(f.config.log_areas, "store, net");
    ck_assert_str_eq(where(&f, CONFIG_INDEX_listen_tcp), "t.conf:3");
    ck_assert_str_eq(where(&f, CONFIG_INDEX_log_areas), "t.conf:16");
    teardown(&f);
}
END_TEST

struct refusal {
    const char *text;
    const char *error; /* the first one begins with this */
};

/* RELIABILITY (d) 48, except for what needs real files. */
static const struct refusal refusals[] = {
    {"[listen]\ntpc = 1\n", "t.conf:2: unknown option tpc, did you mean tcp?"},
    {"[listen]\nwhatever = 1\n", "t.conf:2: unknown option whatever"},
    {"[lissten]\ntcp = x\n", "t.conf:1: unknown section lissten, did you mean listen?"},
    {"[amqp]\n", "t.conf:1: unknown section amqp"},
    {"tcp = 1\n", "t.conf:1: tcp stands before the first [section]"},
    {"[listen\n", "t.conf:1: this is not a [section]"},
    {"[listen] x\n", "t.conf:1: this is not a [section]"},
    {"[listen]\ntcp\n", "t.conf:2: this is neither"},
    {"[listen]\n= 3\n", "t.conf:2: this is neither"},
    {"[limits]\nqueues_max = 1\n\nqueues_max = 1\n",
     "t.conf:4: limits.queues_max stands here a second time, first in line 2"},
    {"[limits]\nqueues_max = 1\n[log]\n[limits]\nqueues_max = 1\n",
     "t.conf:5: limits.queues_max stands here a second time, first in line 2"},
    {"[limits]\nqueues_max = 99999999999999999999\n",
     "t.conf:2: limits.queues_max = 99999999999999999999 is too large a number"},
    {"[limits]\nframe_bytes_max = -1KiB\n",
     "t.conf:2: limits.frame_bytes_max = -1KiB may not be negative"},
    {"[limits]\nframe_bytes_max = 64KB\n", "t.conf:2: limits.frame_bytes_max = 64KB is not a size"},
    {"[limits]\nframe_bytes_max = 2MiB\n",
     "t.conf:2: limits.frame_bytes_max = 2MiB is above the maximum of 1MiB"},
    {"[limits]\nframe_bytes_max =\n", "t.conf:2: limits.frame_bytes_max =  is not a number"},
    {"[timeouts]\nheartbeat = soon\n", "t.conf:2: timeouts.heartbeat = soon is not a number"},
    {"[listen]\nallow_plaintext = maybe\n",
     "t.conf:2: listen.allow_plaintext = maybe is neither yes nor no"},
    {"[log]\nlevel = loud\n", "t.conf:2: log.level = loud is none of"},
    {"[data]\ndirectory = lib\n", "t.conf:2: data.directory = lib is not an absolute path"},
    {"[data]\ndirectory =\n", "t.conf:2: data.directory is empty"},
    {"[listen]\ntcp = localhost\n", "t.conf:2: listen.tcp = localhost is not an address"},
    {"[listen]\ntcp = 0.0.0.0:7440\n", "t.conf:2: listen.tcp: 0.0.0.0 is not a loopback address"},
    {"[listen]\ntcp = 127.0.0.1:1,[::]:1\n", "t.conf:2: listen.tcp: :: is not a loopback address"},
    {"[listen]\ntcp =\nunix =\n", "t.conf:3: neither listen.tcp nor listen.unix"},
    {"[listen]\nunix = "
     "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
     "t.conf:2: listen.unix is longer than 107 bytes"},
    {"[journal]\nsegment_bytes = 65537\n", "t.conf:2: journal.segment_bytes is not a multiple"},
    {"[limits]\nmessage_bytes_max = 16MiB\n[journal]\nsegment_bytes = 32MiB\n",
     "t.conf:2: limits.message_bytes_max is more than a quarter"},
    {"[limits]\ncredit_bytes = 64KiB\n", "t.conf:2: limits.credit_bytes is less than"},
    {"[limits]\nunsent_bytes_max = 9MiB\n", "default: limits.live_unsent_bytes_max is less than"},
    {"[log]\nareas = a\x1b[2J\n", "t.conf:2: log.areas = a\\x1b[2J holds characters"},
    {"[log]\n\x1b = \n", "t.conf:2: unknown option \\x1b"},
};

START_TEST(test_refusal)
{
    struct fixture f;
    setup(&f);
    ck_assert_int_eq(load_text(&f, refusals[_i].text), STATUS_BAD_CONFIG);
    ck_assert_uint_ge(f.errors.count, 1);
    ck_assert_msg(strncmp(f.errors.text[0], refusals[_i].error, strlen(refusals[_i].error)) == 0,
                  "%s", f.errors.text[0]);
    teardown(&f);
}
END_TEST

START_TEST(test_all_errors)
{
    struct fixture f;
    setup(&f);
    ck_assert_int_eq(load_text(&f, "[listn]\ntcp=x\n[listen]\nx=1\ntcp=x\nnonsense\n[log]\n"
                                   "level = 3\n"),
                     STATUS_BAD_CONFIG);
    ck_assert_uint_eq(f.errors.count, 5);
    ck_assert_ptr_eq(strstr(f.errors.text[0], "t.conf:1:"), f.errors.text[0]);
    ck_assert_ptr_eq(strstr(f.errors.text[1], "t.conf:4:"), f.errors.text[1]);
    ck_assert_ptr_eq(strstr(f.errors.text[2], "t.conf:5:"), f.errors.text[2]);
    ck_assert_ptr_eq(strstr(f.errors.text[3], "t.conf:6:"), f.errors.text[3]);
    ck_assert_ptr_eq(strstr(f.errors.text[4], "t.conf:8:"), f.errors.text[4]);
    teardown(&f);
}
END_TEST

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void make_directory(const struct fixture *f, const char *name)
{
    char command[160];
    snprintf(command, sizeof(command), "mkdir -p '%s/%s'", f->directory, name);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(test_precedence)
{
    struct fixture f;
    char *environment[] = {(char[]){"HERALD_LIMITS_QUEUES_MAX=4"},
                           (char[]){"HERALD_TIMEOUTS_CLOSE=4s"},
                           (char[]){"HERALD_DATA_DIRECTORY=/environment"},
                           (char[]){"HERALD_URL=herald://x"},
                           (char[]){"HERALD_QUEUE=q"},
                           (char[]){"HERALD_HEADER_X=1"},
                           (char[]){"XHERALD_LOG_LEVEL=x"},
                           (char[]){"HERALD_LISTEN_TCP="},
                           NULL};
    setup(&f);
    struct config_source source = {.path = f.path, .environment = environment};
    write_file(&f, "herald.conf",
               "[limits]\nqueues_max=1\nexchanges_max=1\nbindings_max=1\nclients_max=1\n");
    make_directory(&f, "conf.d");
    write_file(&f, "conf.d/20.conf", "[limits]\nqueues_max=3\nexchanges_max=3\n");
    write_file(&f, "conf.d/10.conf", "[limits]\nexchanges_max=2\nbindings_max=2\n");
    write_file(&f, "conf.d/.hidden.conf", "nonsense");
    write_file(&f, "conf.d/10.conf~", "nonsense");
    write_file(&f, "conf.d/README", "nonsense");
    ck_assert_int_eq(config_load(&f.config, &source, &f.errors), STATUS_OK);
    ck_assert_uint_eq(f.config.limits_queues_max, 4);
    ck_assert_uint_eq(f.config.limits_exchanges_max, 3);
    ck_assert_uint_eq(f.config.limits_bindings_max, 2);
    ck_assert_uint_eq(f.config.limits_clients_max, 1);
    ck_assert_uint_eq(f.config.limits_consumers_max, 65536);
    ck_assert_uint_eq(f.config.timeouts_close, 4000);
    ck_assert_str_eq(f.config.data_directory, "/environment");
    ck_assert_uint_eq(f.config.listen_tcp.count, 0);
    ck_assert_str_eq(where(&f, CONFIG_INDEX_limits_queues_max), "HERALD_LIMITS_QUEUES_MAX");
    ck_assert_ptr_nonnull(strstr(where(&f, CONFIG_INDEX_limits_exchanges_max), "conf.d/20.conf:3"));
    ck_assert_ptr_nonnull(strstr(where(&f, CONFIG_INDEX_limits_clients_max), "herald.conf:5"));

    source.dev_directory = f.directory;
    ck_assert_int_eq(config_load(&f.config, &source, &f.errors), STATUS_OK);
    ck_assert_str_eq(f.config.data_directory, f.directory);
    ck_assert_ptr_eq(strstr(f.config.listen_unix, f.directory), f.config.listen_unix);
    ck_assert_ptr_nonnull(strstr(f.config.listen_unix, "/herald.sock"));
    ck_assert_str_eq(where(&f, CONFIG_INDEX_listen_unix), "--dev");
    ck_assert_uint_eq(f.config.limits_clients_max, 1);
    teardown(&f);
}
END_TEST

START_TEST(test_dev_relative)
{
    struct fixture f;
    char here[4096];
    setup(&f);
    struct config_source source = {.dev_directory = "sub/dev"};
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    ck_assert_int_eq(chdir(f.directory), 0);
    ck_assert_int_eq(config_load(&f.config, &source, &f.errors), STATUS_OK);
    ck_assert_int_eq(chdir(here), 0);
    ck_assert_ptr_eq(strstr(f.config.data_directory, f.directory), f.config.data_directory);
    ck_assert_ptr_nonnull(strstr(f.config.listen_unix, "/sub/dev/herald.sock"));
    teardown(&f);
}
END_TEST

START_TEST(test_dev_too_long)
{
    struct fixture f;
    char name[300];
    setup(&f);
    struct config_source source = {.dev_directory = name};
    memset(name, 'a', sizeof(name));
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(config_load(&f.config, &source, &f.errors), STATUS_BAD_CONFIG);
    ck_assert_ptr_nonnull(strstr(f.errors.text[0], "longer than"));
    config_errors_deinit(&f.errors);
    name[120] = '\0';
    ck_assert_int_eq(config_load(&f.config, &source, &f.errors), STATUS_BAD_CONFIG);
    ck_assert_str_eq(f.errors.text[0], "--dev: listen.unix is longer than 107 bytes");
    teardown(&f);
}
END_TEST

START_TEST(test_environment_refusals)
{
    struct fixture f;
    char *environment[] = {(char[]){"HERALD_LIMITS_QEUES_MAX=4"}, (char[]){"HERALD_LOG_LEVEL=loud"},
                           (char[]){"HERALD_QUEUE_ZZZZZZZZZZ=1"},
                           (char[]){"HERALD_LOG_AREAS=a\nlevel = trace"}, NULL};
    setup(&f);
    struct config_source source = {.dev_directory = f.directory, .environment = environment};
    ck_assert_int_eq(config_load(&f.config, &source, &f.errors), STATUS_BAD_CONFIG);
    ck_assert_uint_eq(f.errors.count, 4);
    ck_assert_str_eq(f.errors.text[0], "HERALD_LIMITS_QEUES_MAX: the section limits has no option "
                                       "qeues_max, did you mean queues_max?");
    ck_assert_ptr_nonnull(strstr(f.errors.text[1], "loud is none of error"));
    ck_assert_ptr_nonnull(strstr(f.errors.text[2], "no option zzzzzzzzzz"));
    ck_assert_ptr_nonnull(strstr(f.errors.text[3], "a\\x0alevel = trace holds characters"));
    teardown(&f);
}
END_TEST

/* Any value that is accepted, for each option. */
static void pick_value(const struct config_option *option, struct chance *chance, char *out)
{
    static const char *const levels[] = {"error", "warning", "notice", "info", "debug", "trace"};
    uint64_t min = 0;
    uint64_t max = 0;
    const char *why;
    snprintf(out, CONFIG_TEXT_BYTES, "%s", option->preset);
    if (option->kind == CONFIG_BOOL)
        snprintf(out, CONFIG_TEXT_BYTES, "%s", chance_below(chance, 2) == 0 ? "yes" : "off");
    if (option->kind == CONFIG_LEVEL)
        snprintf(out, CONFIG_TEXT_BYTES, "%s", levels[chance_below(chance, 6)]);
    if (option->kind == CONFIG_TEXT || option->kind == CONFIG_PATH)
        snprintf(out, CONFIG_TEXT_BYTES, "/x%lu \xc3\xa4#=:[]%%s", chance_next(chance) >> 30);
    if (option->kind == CONFIG_LISTEN)
        snprintf(out, CONFIG_TEXT_BYTES, "127.0.0.%lu:%lu, [::1]:%lu", chance_below(chance, 256),
                 chance_below(chance, 65536), chance_below(chance, 65536));
    if (*option->min == '\0')
        return;
    ck_assert_int_eq(config_number_parse(option->kind, option->min, &min, &why), STATUS_OK);
    ck_assert_int_eq(config_number_parse(option->kind, option->max, &max, &why), STATUS_OK);
    config_number_print(option->kind, min + chance_below(chance, max - min + 1), out,
                        CONFIG_TEXT_BYTES);
}

/* What is accepted, printed and read again is the same configuration. */
START_TEST(test_print_round_trip)
{
    struct chance chance = {48};
    struct config_errors errors = {0};
    for (int i = 0; i < 500; i++) {
        struct config config;
        struct config again;
        char *text = NULL;
        size_t bytes = 0;
        config_init(&config);
        for (int j = 0; j < CONFIG_OPTION_COUNT; j++) {
            char value[CONFIG_TEXT_BYTES];
            char why[CONFIG_WHY_BYTES];
            pick_value(&config_options[j], &chance, value);
            ck_assert_int_eq(config_option_set(&config_options[j], &config, value, why), STATUS_OK);
            memset(config.where[j], 'w', CONFIG_WHERE_BYTES - 1);
        }
        /* What options must obey together. */
        config.journal_segment_bytes = 1024 * 1024 * 1024;
        config.limits_credit_bytes = config.limits_message_bytes_max + 65536;
        config.limits_live_unsent_bytes_max = config.limits_unsent_bytes_max;
        FILE *out = open_memstream(&text, &bytes);
        config_print(&config, out);
        ck_assert_int_eq(fclose(out), 0);
        enum status status = config_load_text(&again, "printed", text, bytes, &errors);
        ck_assert_msg(status == STATUS_OK, "%s", errors.count > 0 ? errors.text[0] : "");
        for (int j = 0; j < CONFIG_OPTION_COUNT; j++)
            ck_assert(config_option_is_equal(&config_options[j], &config, &again));
        free(text);
    }
}
END_TEST

struct changes {
    int changed;
    int needs_restart;
    char last[64];
};

static void on_change(void *argument, const char *name, enum config_change change)
{
    struct changes *changes = argument;
    changes->changed += change == CONFIG_CHANGED;
    changes->needs_restart += change == CONFIG_NEEDS_RESTART;
    snprintf(changes->last, sizeof(changes->last), "%s", name);
}

START_TEST(test_reload)
{
    struct fixture f;
    struct config running;
    struct changes changes = {0};
    setup(&f);
    config_init(&running);
    ck_assert_int_eq(load_text(&f, "[log]\nlevel=debug\n[timeouts]\ndrain=3s\n"), STATUS_OK);
    config_reload(&running, &f.config, on_change, &changes);
    ck_assert_int_eq(changes.changed, 2);
    ck_assert_int_eq(changes.needs_restart, 0);
    ck_assert_int_eq(running.log_level, LOG_LEVEL_DEBUG);
    ck_assert_uint_eq(running.timeouts_drain, 3000);
    ck_assert_str_eq(running.where[CONFIG_INDEX_log_level], "t.conf:2");

    ck_assert_int_eq(load_text(&f, "[data]\ndirectory=/other\n[log]\nlevel=debug\n[timeouts]\n"
                                   "drain=3s\n"),
                     STATUS_OK);
    memset(&changes, 0, sizeof(changes));
    config_reload(&running, &f.config, on_change, &changes);
    ck_assert_int_eq(changes.changed, 0);
    ck_assert_int_eq(changes.needs_restart, 1);
    ck_assert_str_eq(changes.last, "data.directory");
    ck_assert_str_eq(running.data_directory, "/var/lib/herald");
    teardown(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");
    tcase_add_test(tcase, test_defaults);
    tcase_add_test(tcase, test_every_kind);
    tcase_add_loop_test(tcase, test_refusal, 0, sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(tcase, test_all_errors);
    tcase_add_test(tcase, test_precedence);
    tcase_add_test(tcase, test_dev_relative);
    tcase_add_test(tcase, test_dev_too_long);
    tcase_add_test(tcase, test_environment_refusals);
    tcase_add_test(tcase, test_print_round_trip);
    tcase_add_test(tcase, test_reload);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
