/* Files of a journal that are missing, swapped, cut, doubled, older, longer, no files at all: on a
 * real directory, refused with the place and with nothing changed, or recovered completely. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/store/journal.h"
#include "broker/store/segment.h"
#include "tests/support/check_main.h"
#include "tests/support/dir_image.h"
#include "tests/support/errand_line.h"

enum {
    SEGMENT_BYTES = 128 << 10,
    BODY_BYTES = 20000,
    FIRST = 3, /* what is kept; earlier ones were freed */
    LAST = 7,
    AHEAD = 8, /* prepared, without a batch */
    NOBODY = 65534,
};

struct fixture {
    char root[64];
    char path[80];
    struct disk *disk;
    struct journal *journal;
    struct errand_line line;
    struct journal_failure failure;
    uint64_t positions[256];
    size_t appended;
    size_t found;
};

static struct fixture f;

/* One of each kind. */
static const uint64_t numbers[] = {FIRST, 5, LAST, AHEAD};

static const char *in_data(const char *name)
{
    static char full[4][192];
    static unsigned turn;
    char *at = full[turn++ % 4];
    (void)snprintf(at, sizeof full[0], "%s/%s", f.path, name);
    return at;
}

static const char *segment(uint64_t number)
{
    static char names[4][SEGMENT_NAME_BYTES];
    static unsigned turn;
    char *name = names[turn++ % 4];
    segment_print_name(name, NAME_SEGMENT, number);
    return name;
}

/* --- the journal --- */

/* Records come in order, from any one on; f.found is the number of the next. */
static enum status on_record(void *argument, uint64_t position, const unsigned char *at,
                             uint32_t bytes, uint64_t now_ms)
{
    (void)argument;
    (void)now_ms;
    while (f.found < f.appended && f.positions[f.found] / SEGMENT_BYTES < FIRST)
        f.found++;
    ck_assert_uint_lt(f.found, f.appended);
    ck_assert_uint_eq(position, f.positions[f.found]);
    ck_assert_uint_eq(bytes, BODY_BYTES);
    ck_assert_uint_eq(at[bytes - 1], position % 251);
    f.found++;
    if (f.journal != NULL)
        journal_home_state(f.journal, position, 1, bytes, bytes);
    return STATUS_OK;
}

static const struct journal_reader reader = {.on_record = on_record};

static struct journal_options options(void)
{
    errand_line_init(&f.line);
    return (struct journal_options){.segment_bytes = SEGMENT_BYTES,
                                    .spare_count = 2,
                                    .post = errand_line_post,
                                    .post_context = &f.line};
}

static enum status reopen(void)
{
    struct journal_options with = options();
    f.found = 0;
    journal_free(f.journal);
    return journal_open(&f.journal, f.disk, &with, &reader, &f.failure);
}

static enum status check(void)
{
    struct journal_options with = options();
    struct journal_recovery seen;
    f.found = 0;
    return journal_check(f.disk, &with, &reader, &seen, &f.failure);
}

static void append(void)
{
    uint64_t position;
    unsigned char *at = journal_open_record(f.journal, BODY_BYTES, JOURNAL_FRESH, &position);
    ck_assert_ptr_nonnull(at);
    memset(at, (int)(position % 251), BODY_BYTES);
    journal_close_record(f.journal, BODY_BYTES);
    journal_home_state(f.journal, position, 1, BODY_BYTES, BODY_BYTES);
    ck_assert_int_eq(errand_line_settle(&f.line, f.journal, 1), STATUS_OK);
    f.positions[f.appended++] = position;
}

/* Segments FIRST to LAST hold records, AHEAD is prepared; killed, not stopped. */
static void setup(void)
{
    char error[256];
    memset(&f, 0, sizeof f);
    (void)snprintf(f.root, sizeof f.root, "/tmp/herald-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f.root));
    (void)snprintf(f.path, sizeof f.path, "%s/data", f.root);
    ck_assert_int_eq(disk_real_new(&f.disk, f.path, error, sizeof error), STATUS_OK);
    ck_assert_int_eq(reopen(), STATUS_OK);
    while (f.appended < 2 || f.positions[f.appended - 2] / SEGMENT_BYTES < LAST)
        append();
    for (size_t i = 0; f.positions[i] / SEGMENT_BYTES < FIRST; i++)
        journal_home_remove(f.journal, f.positions[i], 1, BODY_BYTES);
    ck_assert_int_eq(errand_line_settle(&f.line, f.journal, 200), STATUS_OK);
    journal_free(f.journal);
    f.journal = NULL;
    struct dir_image image = dir_image_take(f.path);
    ck_assert_uint_eq(image.count, 1 + AHEAD - FIRST + 1 + 4); /* spares */
}

static void teardown(void)
{
    char command[128];
    journal_free(f.journal);
    disk_real_free(f.disk);
    (void)snprintf(command, sizeof command, "rm -rf %s", f.root);
    ck_assert_int_eq(system(command), 0);
}

/* Refused twice, by a check, too, with the range from `first` to at least `last`, and nothing is
 * changed. */
static void expect_refusal(enum status status, const char *name, uint64_t first, uint64_t last)
{
    struct dir_image before = dir_image_take(f.path);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(i == 1 ? check() : reopen(), status);
        ck_assert_ptr_null(f.journal);
        ck_assert_str_eq(f.failure.file, name);
        const char *range = strstr(f.failure.text, "positions ");
        uint64_t from;
        uint64_t to;
        ck_assert_msg(range != NULL, "no range: %s", f.failure.text);
        ck_assert_int_eq(sscanf(range, "positions %" SCNu64 " to %" SCNu64, &from, &to), 2);
        ck_assert_uint_le(from, first);
        ck_assert_uint_ge(from, first / SEGMENT_BYTES * SEGMENT_BYTES);
        ck_assert_uint_ge(to, last);
        dir_image_expect(&before, f.path);
    }
}

static void expect_whole_segment(enum status status, uint64_t number)
{
    expect_refusal(status, segment(number), number * SEGMENT_BYTES, (number + 1) * SEGMENT_BYTES);
    ck_assert_uint_eq(f.failure.offset, 0);
}

/* All records up to `count` are there, and it goes on. */
static void expect_records(size_t count)
{
    ck_assert_int_eq(reopen(), STATUS_OK);
    ck_assert_uint_eq(f.found, count);
    f.appended = count;
    for (int i = 0; i < 20; i++)
        append();
    ck_assert_int_eq(reopen(), STATUS_OK);
    ck_assert_uint_eq(f.found, count + 20);
}

/* --- doing harm --- */

static void take_away(uint64_t number)
{
    ck_assert_int_eq(unlink(in_data(segment(number))), 0);
}

static void move(const char *from, const char *to)
{
    ck_assert_int_eq(rename(in_data(from), in_data(to)), 0);
}

static void copy(const char *from, const char *to)
{
    static unsigned char bytes[SEGMENT_BYTES];
    int file = open(in_data(from), O_RDONLY);
    ck_assert_int_eq(read(file, bytes, sizeof bytes), (ssize_t)sizeof bytes);
    ck_assert_int_eq(close(file), 0);
    file = open(in_data(to), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_eq(write(file, bytes, sizeof bytes), (ssize_t)sizeof bytes);
    ck_assert_int_eq(close(file), 0);
}

static void put(const char *name, uint64_t offset, const void *at, size_t bytes)
{
    int file = open(in_data(name), O_WRONLY);
    ck_assert_int_eq(pwrite(file, at, bytes, (off_t)offset), (ssize_t)bytes);
    ck_assert_int_eq(close(file), 0);
}

static size_t first_of(uint64_t number)
{
    size_t index = 0;
    while (f.positions[index] / SEGMENT_BYTES < number)
        index++;
    return index;
}

/* --- missing --- */

START_TEST(test_nothing_is_missing)
{
    expect_records(f.appended);
}
END_TEST

START_TEST(test_a_segment_in_the_middle_is_missing)
{
    take_away(5);
    expect_whole_segment(STATUS_CORRUPT, 5);
    take_away(4);
    expect_refusal(STATUS_CORRUPT, segment(4), 4 * SEGMENT_BYTES, 6 * SEGMENT_BYTES);
}
END_TEST

START_TEST(test_the_oldest_is_missing)
{
    take_away(FIRST);
    expect_whole_segment(STATUS_CORRUPT, FIRST);
    take_away(FIRST + 1);
    expect_refusal(STATUS_CORRUPT, segment(FIRST), FIRST * SEGMENT_BYTES,
                   (FIRST + 2) * SEGMENT_BYTES);
}
END_TEST

/* The one prepared behind it gives it away. */
START_TEST(test_the_newest_is_missing)
{
    take_away(LAST);
    expect_whole_segment(STATUS_CORRUPT, LAST);
}
END_TEST

START_TEST(test_the_one_ahead_is_missing)
{
    take_away(AHEAD);
    expect_records(f.appended);
}
END_TEST

/* Later than the trim, so that the last segment has nothing to tell of the first ones. */
static void go_on(void)
{
    ck_assert_int_eq(reopen(), STATUS_OK);
    while (f.positions[f.appended - 2] / SEGMENT_BYTES < AHEAD)
        append();
    journal_free(f.journal);
    f.journal = NULL;
}

/* What was freed since gives it away. */
START_TEST(test_the_end_with_the_trim_is_missing)
{
    take_away(AHEAD);
    take_away(LAST);
    expect_refusal(STATUS_CORRUPT, segment(1), SEGMENT_BYTES, FIRST * SEGMENT_BYTES);
}
END_TEST

/* Nothing on the disk tells of files that are gone from the end: what is there is a prefix. */
START_TEST(test_the_end_is_missing)
{
    go_on();
    take_away(AHEAD + 1);
    take_away(AHEAD);
    expect_records(first_of(AHEAD));
}
END_TEST

START_TEST(test_all_segments_are_missing)
{
    for (uint64_t number = FIRST; number <= AHEAD; number++)
        take_away(number);
    struct dir_image before = dir_image_take(f.path);
    ck_assert_int_eq(reopen(), STATUS_CORRUPT);
    ck_assert_int_eq(strncmp(f.failure.file, "spare-", 6), 0);
    dir_image_expect(&before, f.path);
}
END_TEST

/* --- at a wrong place --- */

START_TEST(test_two_segments_are_swapped)
{
    move(segment(4), "aside");
    move(segment(6), segment(4));
    move("aside", segment(6));
    expect_whole_segment(STATUS_CORRUPT, 4);
}
END_TEST

START_TEST(test_a_copy_behind_the_end)
{
    copy(segment(LAST), segment(AHEAD + 1));
    expect_whole_segment(STATUS_CORRUPT, AHEAD + 1);
    copy(segment(LAST), segment(AHEAD + 3));
    expect_whole_segment(STATUS_CORRUPT, AHEAD + 1);
}
END_TEST

START_TEST(test_a_copy_for_a_missing_one)
{
    copy(segment(4), segment(5));
    expect_whole_segment(STATUS_CORRUPT, 5);
}
END_TEST

START_TEST(test_a_name_that_is_no_number)
{
    copy(segment(5), "segment-000000000000000G");
    struct dir_image before = dir_image_take(f.path);
    ck_assert_int_eq(reopen(), STATUS_CORRUPT);
    ck_assert_str_eq(f.failure.file, "segment-000000000000000G");
    dir_image_expect(&before, f.path);
}
END_TEST

/* --- older copies --- */

/* As it was when it had `kept` of its records. */
static void make_older(uint64_t number, size_t kept)
{
    static const unsigned char zeros[SEGMENT_BYTES];
    uint64_t from = f.positions[first_of(number) + kept] % SEGMENT_BYTES / 512 * 512;
    put(segment(number), from, zeros, SEGMENT_BYTES - from);
}

START_TEST(test_an_older_copy_in_the_middle)
{
    make_older(5, 2);
    uint64_t lost = f.positions[first_of(5) + 2];
    expect_refusal(STATUS_CORRUPT, segment(5), lost, 6 * SEGMENT_BYTES);
    ck_assert_uint_eq(f.failure.offset, lost % SEGMENT_BYTES / 512 * 512);
}
END_TEST

START_TEST(test_an_older_copy_without_a_record)
{
    make_older(5, 0);
    expect_refusal(STATUS_CORRUPT, segment(5), 5 * SEGMENT_BYTES + SEGMENT_HEADER_BYTES,
                   6 * SEGMENT_BYTES);
    ck_assert_uint_eq(f.failure.offset, SEGMENT_HEADER_BYTES);
}
END_TEST

START_TEST(test_an_older_copy_of_the_oldest)
{
    make_older(FIRST, 0);
    expect_refusal(STATUS_CORRUPT, segment(FIRST), FIRST * SEGMENT_BYTES + SEGMENT_HEADER_BYTES,
                   (FIRST + 1) * SEGMENT_BYTES);
}
END_TEST

/* Nothing on the disk tells that there was more: what is there is a prefix. */
START_TEST(test_an_older_copy_of_the_newest)
{
    go_on();
    make_older(AHEAD, 1);
    expect_records(first_of(AHEAD) + 1);
}
END_TEST

/* A freed segment comes back from a copy: it is a leftover, or stands behind a gap. */
START_TEST(test_a_freed_segment_is_back)
{
    struct segment_header header = {.number = FIRST - 1,
                                    .first_position = (FIRST - 1) * SEGMENT_BYTES,
                                    .segment_bytes = SEGMENT_BYTES};
    unsigned char page[SEGMENT_HEADER_BYTES];
    segment_header_encode(page, &header);
    copy(segment(FIRST), segment(FIRST - 1));
    put(segment(FIRST - 1), 0, page, sizeof page);
    expect_records(f.appended);
    ck_assert_int_ne(access(in_data(segment(FIRST - 1)), F_OK), 0);
}
END_TEST

/* --- sizes --- */

START_TEST(test_a_segment_is_cut)
{
    static const off_t sizes[] = {0, 1, 4095, 4096, 65536, 65537, SEGMENT_BYTES - 4096};
    uint64_t number = numbers[_i];
    for (size_t i = sizeof sizes / sizeof sizes[0]; i-- > 0;) {
        ck_assert_int_eq(truncate(in_data(segment(number)), sizes[i]), 0);
        expect_refusal(STATUS_CORRUPT, segment(number), number * SEGMENT_BYTES + (uint64_t)sizes[i],
                       (number + 1) * SEGMENT_BYTES);
        ck_assert_uint_eq(f.failure.offset, (uint64_t)sizes[i]);
    }
}
END_TEST

START_TEST(test_a_segment_is_longer)
{
    static const off_t more[] = {1, 4096, SEGMENT_BYTES};
    uint64_t number = numbers[_i];
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        ck_assert_int_eq(truncate(in_data(segment(number)), SEGMENT_BYTES + more[i]), 0);
        expect_refusal(STATUS_CORRUPT, segment(number), number * SEGMENT_BYTES,
                       (number + 1) * SEGMENT_BYTES);
        ck_assert_uint_eq(f.failure.offset, SEGMENT_BYTES);
    }
}
END_TEST

/* Whatever stands behind the last batch, it is no batch without the salt. */
START_TEST(test_garbage_behind_the_end)
{
    static unsigned char garbage[SEGMENT_BYTES];
    int file = open("/dev/urandom", O_RDONLY);
    ck_assert_int_eq(read(file, garbage, sizeof garbage), (ssize_t)sizeof garbage);
    ck_assert_int_eq(close(file), 0);
    uint64_t end = (f.positions[f.appended - 1] % SEGMENT_BYTES + BODY_BYTES + 511) / 512 * 512;
    end += 512; /* the mark */
    put(segment(LAST), end, garbage, SEGMENT_BYTES - end);
    put(segment(AHEAD), SEGMENT_HEADER_BYTES, garbage, SEGMENT_BYTES - SEGMENT_HEADER_BYTES);
    expect_records(f.appended);
}
END_TEST

/* --- other things than files --- */

static void put_no_file(int kind, const char *name, const char *target)
{
    switch (kind) {
    case 0:
        ck_assert_int_eq(symlink(target, in_data(name)), 0);
        break;
    case 1:
        ck_assert_int_eq(mkfifo(in_data(name), 0600), 0);
        break;
    default:
        ck_assert_int_eq(mkdir(in_data(name), 0700), 0);
    }
}

START_TEST(test_no_file_for_a_segment)
{
    for (size_t i = 0; i < 4; i++) {
        /* The link leads to the very segment. */
        move(segment(numbers[i]), "aside");
        put_no_file(_i, segment(numbers[i]), "aside");
        expect_whole_segment(STATUS_CORRUPT, numbers[i]);
        ck_assert_int_eq(remove(in_data(segment(numbers[i]))), 0);
        move("aside", segment(numbers[i]));
    }
    expect_records(f.appended);
}
END_TEST

/* What is not a file is no spare and is left where it is. */
START_TEST(test_no_file_for_a_spare)
{
    static const char *const names[] = {"spare-00000999", "making-00000998", "pages"};
    copy(segment(5), "precious");
    uint32_t checksum = dir_image_sum(in_data("precious"));
    for (size_t i = 0; i < 3; i++)
        put_no_file(_i, names[i], "precious");
    expect_records(f.appended);
    ck_assert_uint_eq(dir_image_sum(in_data("precious")), checksum);
    struct stat found;
    ck_assert_int_eq(lstat(in_data("spare-00000999"), &found), 0);
    ck_assert(!S_ISREG(found.st_mode));
    ck_assert_int_eq(lstat(in_data("pages"), &found), 0);
    ck_assert(!S_ISREG(found.st_mode));
}
END_TEST

/* --- versions and rights --- */

START_TEST(test_a_newer_format)
{
    unsigned char version[4] = {2, 0, 0, 0};
    put(segment(numbers[_i]), 8, version, sizeof version);
    expect_whole_segment(STATUS_NEWER_FORMAT, numbers[_i]);
}
END_TEST

/* What a process without rights is told, in one of its own. */
static int try_to_open(void)
{
    struct disk *disk;
    char error[256] = "";
    disk_real_free(f.disk);
    f.disk = NULL;
    if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        return 1;
    enum status status = disk_real_new(&disk, f.path, error, sizeof error);
    if (status != STATUS_OK)
        return status == STATUS_IO_ERROR && strstr(error, f.path) != NULL ? 0 : 2;
    f.disk = disk;
    return reopen() == STATUS_IO_ERROR && f.failure.error == EACCES && f.failure.file[0] != '\0'
               ? 0
               : 3;
}

static void give_to_nobody(mode_t directory, mode_t files)
{
    struct dir_image image = dir_image_take(f.path);
    uid_t owner = geteuid() == 0 ? NOBODY : geteuid();
    for (size_t i = 0; i < image.count; i++) {
        const char *name = in_data(image.files[i].name);
        ck_assert_int_eq(chown(name, owner, (gid_t)-1), 0);
        ck_assert_int_eq(chmod(name, files), 0);
    }
    ck_assert_int_eq(chmod(f.root, 0755), 0);
    ck_assert_int_eq(chown(f.path, owner, (gid_t)-1), 0);
    ck_assert_int_eq(chmod(f.path, directory), 0);
}

START_TEST(test_a_directory_without_rights)
{
    static const struct {
        mode_t directory;
        mode_t files;
    } modes[] = {{0500, 0400}, {0500, 0600}, {0700, 0400}, {0000, 0600}};
    give_to_nobody(modes[_i].directory, modes[_i].files);
    struct dir_image before = dir_image_take(f.path);
    disk_real_free(f.disk);
    f.disk = NULL;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(try_to_open());
    int result;
    ck_assert_int_eq(waitpid(child, &result, 0), child);
    ck_assert_int_eq(result, 0);
    dir_image_expect(&before, f.path);
    ck_assert_int_eq(chmod(f.path, 0700), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_a_segment_in_the_middle_is_missing);
    tcase_add_test(tcase, test_the_oldest_is_missing);
    tcase_add_test(tcase, test_the_newest_is_missing);
    tcase_add_test(tcase, test_all_segments_are_missing);
    tcase_add_test(tcase, test_the_end_with_the_trim_is_missing);
    tcase_add_test(tcase, test_two_segments_are_swapped);
    tcase_add_test(tcase, test_a_copy_behind_the_end);
    tcase_add_test(tcase, test_a_copy_for_a_missing_one);
    tcase_add_test(tcase, test_a_name_that_is_no_number);
    tcase_add_test(tcase, test_an_older_copy_in_the_middle);
    tcase_add_test(tcase, test_an_older_copy_without_a_record);
    tcase_add_test(tcase, test_an_older_copy_of_the_oldest);
    tcase_add_loop_test(tcase, test_a_segment_is_cut, 0, 4);
    tcase_add_loop_test(tcase, test_a_segment_is_longer, 0, 4);
    tcase_add_loop_test(tcase, test_no_file_for_a_segment, 0, 3);
    tcase_add_loop_test(tcase, test_a_newer_format, 0, 4);
    tcase_add_loop_test(tcase, test_a_directory_without_rights, 0, 4);
    tcase_add_test(tcase, test_nothing_is_missing);
    tcase_add_test(tcase, test_the_one_ahead_is_missing);
    tcase_add_test(tcase, test_the_end_is_missing);
    tcase_add_test(tcase, test_an_older_copy_of_the_newest);
    tcase_add_test(tcase, test_a_freed_segment_is_back);
    tcase_add_test(tcase, test_garbage_behind_the_end);
    tcase_add_loop_test(tcase, test_no_file_for_a_spare, 0, 3);
}

int main(void)
{
    Suite *suite = suite_create("journal_files");
    TCase *tcase = tcase_create("journal_files");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
