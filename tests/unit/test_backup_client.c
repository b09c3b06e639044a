/* herald_backup: the pieces that the program is given, and every way in which a copy ends early. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

enum { SEGMENT_BYTES = 16 };

static char copied[256];
static size_t copied_bytes;
static char files[1024]; /* "NAME OFFSET/SIZE; " of each piece */
static size_t told;
static uint32_t files_bytes; /* announced */
static unsigned calls;
static unsigned stop_at; /* the call that stops it; 0: none */

static int on_piece(const struct herald_backup_piece *piece, void *context)
{
    ck_assert_ptr_eq(context, copied);
    ck_assert_uint_eq(piece->size, sizeof *piece);
    ck_assert_uint_eq(piece->done_bytes, copied_bytes);
    ck_assert_uint_eq(piece->all_bytes, 20 + files_bytes);
    if (calls++ == 0) {
        ck_assert_ptr_null(piece->file);
        ck_assert_uint_eq(piece->byte_count, 0);
        return calls == stop_at;
    }
    told += (size_t)snprintf(files + told, sizeof files - told, "%s %d/%d; ", piece->file,
                             (int)piece->offset, (int)piece->file_bytes);
    memcpy(copied + copied_bytes, piece->bytes, piece->byte_count);
    copied_bytes += piece->byte_count;
    return calls == stop_at;
}

static enum herald_status back_up(struct herald_client *client)
{
    const struct herald_backup backup = {
        .size = sizeof backup, .on_piece = on_piece, .context = copied};
    return herald_backup(client, &backup, 2000);
}

static struct fake_asker asker;
static struct fake_broker *fake;
static uint64_t tag;

static void ask(void)
{
    struct frame frame;
    fake_begin_asking(&asker, back_up);
    fake_take(fake, FRAME_BACKUP, &frame);
    ck_assert_uint_eq(frame.as.backup.content, BACKUP_ALL);
    tag = frame.header.tag;
}

static void set_up(void)
{
    memset(&asker, 0, sizeof asker);
    copied_bytes = told = 0;
    files_bytes = 0;
    calls = 0;
    stop_at = 0;
    fake = fake_with_asker(&asker);
    ask();
}

static void tear_down(void)
{
    herald_close(asker.client, 0);
    fake_free(fake);
}

static void say_begin(uint32_t segment_bytes, uint64_t first, uint64_t end)
{
    struct frame frame = {.header.type = FRAME_BACKUP_BEGIN, .header.tag = tag};
    frame.as.backup_begin = (struct frame_backup_begin){segment_bytes, first, end, files_bytes};
    fake_say(fake, &frame);
}

static void say_piece(uint64_t position, const char *text)
{
    struct frame frame = {.header.type = FRAME_BACKUP_PIECE, .header.tag = tag};
    frame.as.backup_piece = (struct frame_backup_piece){position, wire_bytes_of_text(text)};
    fake_say(fake, &frame);
}

static void say_file(const char *name, uint64_t file_bytes, uint64_t offset, const char *text)
{
    struct frame frame = {.header.type = FRAME_BACKUP_FILE, .header.tag = tag};
    frame.as.backup_file = (struct frame_backup_file){wire_bytes_of_text(name), file_bytes, offset,
                                                      wire_bytes_of_text(text)};
    fake_say(fake, &frame);
}

static void say_end(uint64_t end)
{
    struct frame frame = {.header.type = FRAME_BACKUP_END, .header.tag = tag};
    frame.as.backup_end.end = end;
    fake_say(fake, &frame);
}

START_TEST(test_pieces)
{
    say_begin(SEGMENT_BYTES, 32, 52);
    say_piece(32, "0123456789");
    say_piece(42, "abcdef");
    say_piece(48, "last");
    say_end(52);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_uint_eq(calls, 4);
    ck_assert_mem_eq(copied, "0123456789abcdeflast", 20);
    ck_assert_str_eq(files, "segment-0000000000000002 0/16; segment-0000000000000002 10/16; "
                            "segment-0000000000000003 0/16; ");
}
END_TEST

static void say_journal(void)
{
    say_begin(SEGMENT_BYTES, 32, 52);
    say_piece(32, "0123456789abcdef");
    say_piece(48, "last");
}

START_TEST(test_files)
{
    files_bytes = 7;
    say_journal();
    say_file("history-1", 5, 0, "abc");
    say_file("history-1", 5, 3, "de");
    say_file("entities-1", 2, 0, "xy");
    say_end(52);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_mem_eq(copied, "0123456789abcdeflastabcdexy", 27);
    ck_assert_ptr_nonnull(strstr(files, "3 0/16; history-1 0/5; history-1 3/5; entities-1 0/2; "));
}
END_TEST

/* A file before the end of the journal, names that no file may have, gaps, too little, too much. */
START_TEST(test_files_against_the_rules)
{
    static const char *const names[] = {
        "",
        "../x",
        "a/b",
        "A",
        "segment-0000000000000002",
        ".",
        ("0123456789012345678901234567890123456789012345678901234567"
         "8901234")};
    int name_count = sizeof names / sizeof names[0];
    files_bytes = 7;
    if (_i == name_count) {
        say_begin(SEGMENT_BYTES, 32, 52);
        say_file("a", 5, 0, "x");
    } else {
        say_journal();
    }
    if (_i < name_count)
        say_file(names[_i], 5, 0, "x");
    else if (_i == name_count + 1)
        say_file("a", 5, 1, "x");
    else if (_i == name_count + 2)
        say_file("a", 5, 0, "");
    else if (_i == name_count + 3)
        say_file("a", 5, 0, "123456");
    else if (_i == name_count + 4)
        say_file("a", 8, 0, "12345678");
    else if (_i == name_count + 5)
        say_end(52);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ELOST);
    ck_assert_ptr_null(strchr(files, 'y'));
}
END_TEST

START_TEST(test_files_that_do_not_go_on)
{
    files_bytes = 7;
    say_journal();
    say_file("a", 5, 0, "12");
    if (_i == 0)
        say_file("b", 5, 0, "y");
    else if (_i == 1)
        say_file("a", 5, 3, "y");
    else if (_i == 2)
        say_file("a", 6, 2, "y");
    else
        say_end(52);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ELOST);
    ck_assert_uint_eq(copied_bytes, 22);
}
END_TEST

START_TEST(test_refused)
{
    fake_refuse(fake, tag, STATUS_DENIED, "");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_EDENIED);
    ck_assert_uint_eq(calls, 0);
}
END_TEST

START_TEST(test_refused_in_the_middle)
{
    say_begin(SEGMENT_BYTES, 32, 52);
    say_piece(32, "0123456789");
    fake_refuse(fake, tag, STATUS_UNREADABLE, "");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_EREFUSED);
}
END_TEST

START_TEST(test_lost)
{
    say_begin(SEGMENT_BYTES, 32, 52);
    fake_drop(fake);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ELOST);
}
END_TEST

START_TEST(test_stopped)
{
    stop_at = 2;
    say_begin(SEGMENT_BYTES, 32, 52);
    say_piece(32, "0123456789");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ESTOPPED);
    ck_assert_uint_eq(calls, 2);
}
END_TEST

/* What breaks the rules: no begin, a gap, two segments in a piece, more than was announced, an end
 * before it. */
START_TEST(test_against_the_rules)
{
    if (_i > 0)
        say_begin(SEGMENT_BYTES, 32, 52);
    if (_i == 0)
        say_piece(32, "x");
    else if (_i == 1)
        say_piece(33, "x");
    else if (_i == 2)
        say_piece(32, "0123456789abcdefg");
    else if (_i == 3)
        say_piece(32, "");
    else if (_i == 4)
        say_begin(SEGMENT_BYTES, 32, 52);
    else
        say_end(52);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ELOST);
    ck_assert_uint_eq(copied_bytes, 0);
}
END_TEST

START_TEST(test_begins_that_cannot_be)
{
    static const struct frame_backup_begin begins[] = {
        {0, 32, 52, 0}, {SEGMENT_BYTES, 33, 52, 0}, {SEGMENT_BYTES, 32, 32, 0}};
    say_begin(begins[_i].segment_bytes, begins[_i].first, begins[_i].end);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ELOST);
    ck_assert_uint_eq(calls, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backup_client");
    TCase *tcase = tcase_create("backup_client");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_pieces);
    tcase_add_test(tcase, test_files);
    tcase_add_loop_test(tcase, test_files_against_the_rules, 0, 13);
    tcase_add_loop_test(tcase, test_files_that_do_not_go_on, 0, 4);
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_refused_in_the_middle);
    tcase_add_test(tcase, test_lost);
    tcase_add_test(tcase, test_stopped);
    tcase_add_loop_test(tcase, test_against_the_rules, 0, 6);
    tcase_add_loop_test(tcase, test_begins_that_cannot_be, 0, 3);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
