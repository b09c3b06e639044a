/* The operator's log: what may be shown, which lines are written, and how many of a kind. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "broker/log.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"

struct fixture {
    FILE *file;
    struct log *log;
    struct log_options options;
    char text[64 * 1024];
};

static void setup(struct fixture *f, enum log_level level, uint64_t interval_ms)
{
    f->file = tmpfile();
    ck_assert_ptr_nonnull(f->file);
    f->options = (struct log_options){.fd = fileno(f->file),
                                      .level = level,
                                      .repeat_interval_ms = interval_ms,
                                      .is_journal = true};
    f->log = log_new(&f->options);
    ck_assert_ptr_nonnull(f->log);
}

/* What was written since the last call. */
static const char *written(struct fixture *f)
{
    ssize_t bytes = pread(fileno(f->file), f->text, sizeof(f->text) - 1, 0);
    ck_assert_int_ge(bytes, 0);
    f->text[bytes] = '\0';
    ck_assert_int_eq(ftruncate(fileno(f->file), 0), 0);
    ck_assert_int_eq(lseek(fileno(f->file), 0, SEEK_SET), 0);
    return f->text;
}

static int count_lines(const char *text)
{
    int count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

static void teardown(struct fixture *f)
{
    log_free(f->log);
    fclose(f->file);
}

struct escape_case {
    const char *text;
    const char *shown;
};

/* RELIABILITY R5. */
static const struct escape_case escapes[] = {
    {"", ""},
    {"plain text, [brackets] \\ and \"quotes\"", "plain text, [brackets] \\ and \"quotes\""},
    {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xaf",
     "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xaf"},
    {"a\nb\r\tc", "a\\x0ab\\x0d\\x09c"},
    {"\x1b[31m\x7f", "\\x1b[31m\\x7f"},
    {"\xc2\x9b", "\\xc2\\x9b"}, /* a C1 control, CSI */
    {"\xe2\x80\xae"
     "x",
     "\\xe2\\x80\\xaex"},                /* right-to-left override */
    {"\xe2\x81\xa6", "\\xe2\\x81\\xa6"}, /* left-to-right isolate */
    {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"}, /* line separator */
    {"\xef\xbb\xbf", "\\xef\\xbb\\xbf"}, /* byte order mark */
    {"\xff\xfe", "\\xff\\xfe"},
    {"\x80", "\\x80"}, /* a continuation without a beginning */
    {"\xc3", "\\xc3"}, /* a beginning without its end */
    {"\xc3(", "\\xc3("},
    {"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong '/' */
    {"\xe0\x80\x8a", "\\xe0\\x80\\x8a"},          /* overlong newline */
    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
    {"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"},
};

START_TEST(test_escape)
{
    const struct escape_case *c = &escapes[_i];
    char out[256];
    char twice[256];
    ck_assert(log_escape(c->text, strlen(c->text), out, sizeof(out)));
    ck_assert_str_eq(out, c->shown);
    ck_assert(log_escape(out, strlen(out), twice, sizeof(twice)));
    ck_assert_str_eq(twice, out);
}
END_TEST

START_TEST(test_escape_nul)
{
    char out[16];
    ck_assert(log_escape("a\0b", 3, out, sizeof(out)));
    ck_assert_str_eq(out, "a\\x00b");
}
END_TEST

/* Whatever the bytes and the room: ends in a NUL, never in the middle of a character. */
START_TEST(test_escape_room)
{
    struct chance chance = {5};
    for (int i = 0; i < 20000; i++) {
        char text[24];
        char out[128];
        char whole[128];
        size_t bytes = (size_t)chance_below(&chance, sizeof(text) + 1);
        size_t room = 1 + (size_t)chance_below(&chance, 4 * bytes + 1);
        for (size_t j = 0; j < bytes; j++)
            text[j] = (char)chance_next(&chance);
        ck_assert(log_escape(text, bytes, whole, 4 * bytes + 1));
        memset(out, 'X', sizeof(out));
        bool is_whole = log_escape(text, bytes, out, room);
        ck_assert_uint_lt(strlen(out), room);
        ck_assert_int_eq(out[room], 'X');
        ck_assert_int_eq(strncmp(out, whole, strlen(out)), 0);
        ck_assert_int_eq(is_whole, strlen(out) == strlen(whole));
    }
}
END_TEST

START_TEST(test_levels)
{
    struct fixture f;
    setup(&f, LOG_LEVEL_INFO, 10000);
    log_write(f.log, LOG_LEVEL_ERROR, "a", "e%d", 1);
    log_write(f.log, LOG_LEVEL_WARNING, "a", "w");
    log_write(f.log, LOG_LEVEL_NOTICE, "a", "n");
    log_write(f.log, LOG_LEVEL_INFO, "a", "i");
    log_write(f.log, LOG_LEVEL_DEBUG, "a", "d");
    log_write(f.log, LOG_LEVEL_TRACE, "a", "t");
    ck_assert_str_eq(written(&f), "<3>a: e1\n<4>a: w\n<5>a: n\n<6>a: i\n");
    f.options.level = LOG_LEVEL_TRACE;
    log_configure(f.log, &f.options);
    log_write(f.log, LOG_LEVEL_DEBUG, "a", "d");
    log_write(f.log, LOG_LEVEL_TRACE, "a", "t");
    ck_assert_str_eq(written(&f), "<7>a: d\n<7>a: t\n");
    log_write(NULL, LOG_LEVEL_ERROR, "a", "nowhere");
    teardown(&f);
}
END_TEST

START_TEST(test_level_names)
{
    for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
        enum log_level level;
        ck_assert(log_level_parse(log_level_name((enum log_level)i), &level));
        ck_assert_int_eq((int)level, i);
    }
    enum log_level level = LOG_LEVEL_INFO;
    ck_assert(!log_level_parse("Info", &level) && !log_level_parse("", &level));
    ck_assert_int_eq(level, LOG_LEVEL_INFO);
}
END_TEST

START_TEST(test_areas)
{
    struct fixture f;
    setup(&f, LOG_LEVEL_TRACE, 10000);
    f.options.areas = "store,  net";
    log_configure(f.log, &f.options);
    ck_assert(log_is_on(f.log, LOG_LEVEL_TRACE, "store"));
    ck_assert(log_is_on(f.log, LOG_LEVEL_DEBUG, "net"));
    ck_assert(!log_is_on(f.log, LOG_LEVEL_TRACE, "ne"));
    ck_assert(!log_is_on(f.log, LOG_LEVEL_TRACE, "network"));
    ck_assert(!log_is_on(f.log, LOG_LEVEL_DEBUG, "core"));
    ck_assert(log_is_on(f.log, LOG_LEVEL_INFO, "core"));
    ck_assert(!log_is_on(NULL, LOG_LEVEL_ERROR, "core"));
    teardown(&f);
}
END_TEST

START_TEST(test_timestamp)
{
    struct fixture f;
    unsigned year;
    unsigned fraction;
    setup(&f, LOG_LEVEL_INFO, 10000);
    log_free(f.log);
    f.options.is_journal = false;
    f.log = log_new(&f.options);
    log_write(f.log, LOG_LEVEL_WARNING, "net", "hello");
    const char *text = written(&f);
    ck_assert_int_eq(sscanf(text, "%4u-%*2u-%*2uT%*2u:%*2u:%*2u.%3uZ", &year, &fraction), 2);
    ck_assert_uint_ge(year, 2020);
    ck_assert_str_eq(text + strlen("2026-01-01T00:00:00.000Z"), " warning net: hello\n");
    teardown(&f);
}
END_TEST

START_TEST(test_forged_line)
{
    struct fixture f;
    setup(&f, LOG_LEVEL_INFO, 10000);
    errno = ENOENT;
    log_write(f.log, LOG_LEVEL_INFO, "net", "client %s", "x\n<0>kernel: on fire");
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_str_eq(written(&f), "<6>net: client x\\x0a<0>kernel: on fire\n");
    teardown(&f);
}
END_TEST

START_TEST(test_long_line)
{
    struct fixture f;
    char text[3000];
    setup(&f, LOG_LEVEL_INFO, 0);
    for (size_t bytes = 2000; bytes < sizeof(text); bytes++) {
        memset(text, 'a', bytes);
        text[bytes] = '\0';
        log_write(f.log, LOG_LEVEL_INFO, "net", "%s", text);
        const char *line = written(&f);
        size_t length = strlen(line);
        ck_assert_int_eq(count_lines(line), 1);
        ck_assert_uint_le(length, LOG_LINE_BYTES_MAX);
        if (length < strlen("<6>net: \n") + bytes)
            ck_assert_str_eq(line + length - 4, "...\n");
    }
    teardown(&f);
}
END_TEST

static void wait_ms(long ms)
{
    struct timespec time = {.tv_sec = 0, .tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

START_TEST(test_repeats)
{
    struct fixture f;
    setup(&f, LOG_LEVEL_TRACE, 200);
    for (int i = 0; i < 1000; i++)
        log_write(f.log, LOG_LEVEL_INFO, "net", "refused %d", i);
    log_write(f.log, LOG_LEVEL_WARNING, "net", "another");
    const char *text = written(&f);
    ck_assert_int_eq(count_lines(text), LOG_REPEAT_BURST + 1);
    ck_assert_ptr_nonnull(strstr(text, "refused 9\n<4>net: another\n"));
    log_tick(f.log); /* not yet */
    ck_assert_str_eq(written(&f), "");
    wait_ms(250);
    log_tick(f.log);
    ck_assert_str_eq(written(&f), "<6>net: repeated 990 times: refused 9\n");
    log_tick(f.log);
    ck_assert_str_eq(written(&f), "");

    /* Without a tick, the next line of the kind brings the count. */
    for (int i = 0; i < 13; i++) {
        if (i == 12)
            wait_ms(250);
        log_write(f.log, LOG_LEVEL_INFO, "net", "again %d", i);
        if (i == 11)
            written(&f);
    }
    ck_assert_str_eq(written(&f), "<6>net: repeated 2 times: again 9\n<6>net: again 12\n");
    teardown(&f);
}
END_TEST

/* What was asked for, and what stops the daemon. */
START_TEST(test_not_counted)
{
    static const enum log_level uncounted[] = {LOG_LEVEL_ERROR, LOG_LEVEL_DEBUG, LOG_LEVEL_TRACE};
    struct fixture f;
    setup(&f, LOG_LEVEL_TRACE, 10000);
    for (int i = 0; i < 300; i++)
        log_write(f.log, uncounted[i % 3], "core", "step %d", i);
    ck_assert_int_eq(count_lines(written(&f)), 300);
    teardown(&f);
}
END_TEST

/* The same words in another area or at another level are another kind. */
START_TEST(test_kinds)
{
    static const enum log_level counted[] = {LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO};
    static const char *const areas[] = {"core", "net"};
    struct fixture f;
    setup(&f, LOG_LEVEL_INFO, 10000);
    for (int i = 0; i < 600; i++)
        log_write(f.log, counted[i % 3], areas[i / 3 % 2], "%s", "text");
    ck_assert_int_eq(count_lines(written(&f)), 6 * LOG_REPEAT_BURST);
    teardown(&f);
}
END_TEST

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
/* More kinds than there are slots: nothing is lost, and what is owed is paid when a slot is given
 * up. */
START_TEST(test_slots_run_out)
{
    struct fixture f;
    static char formats[200][24];
    setup(&f, LOG_LEVEL_INFO, 10000);
    for (int i = 0; i < 200; i++) {
        snprintf(formats[i], sizeof(formats[i]), "kind %d", i);
        for (int j = 0; j < 11; j++) {
            log_write(f.log, LOG_LEVEL_INFO, "x", formats[i]);
        }
    }
    log_free(f.log);
    f.log = NULL;
    ck_assert_int_eq(count_lines(written(&f)), 200 * 11);
    teardown(&f);
}
END_TEST

#pragma GCC diagnostic pop

START_TEST(test_is_journal)
{
    char text[64];
    struct stat status;
    FILE *file = tmpfile();
    ck_assert_int_eq(fstat(fileno(file), &status), 0);
    unsetenv("JOURNAL_STREAM");
    ck_assert(!log_is_journal(fileno(file)));
    snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
    ck_assert(log_is_journal(fileno(file)));
    snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino + 1);
    setenv("JOURNAL_STREAM", text, 1);
    ck_assert(!log_is_journal(fileno(file)));
    setenv("JOURNAL_STREAM", "rubbish", 1);
    ck_assert(!log_is_journal(fileno(file)));
    unsetenv("JOURNAL_STREAM");
    fclose(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");
    tcase_add_loop_test(tcase, test_escape, 0, sizeof(escapes) / sizeof(escapes[0]));
    tcase_add_test(tcase, test_escape_nul);
    tcase_add_test(tcase, test_escape_room);
    tcase_add_test(tcase, test_levels);
    tcase_add_test(tcase, test_level_names);
    tcase_add_test(tcase, test_areas);
    tcase_add_test(tcase, test_timestamp);
    tcase_add_test(tcase, test_forged_line);
    tcase_add_test(tcase, test_long_line);
    tcase_add_test(tcase, test_repeats);
    tcase_add_test(tcase, test_not_counted);
    tcase_add_test(tcase, test_kinds);
    tcase_add_test(tcase, test_slots_run_out);
    tcase_add_test(tcase, test_is_journal);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
