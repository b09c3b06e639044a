/* The answer to a query: rows, the last one flagged, as many as there may be. */
#include "broker/core/page.h"

#include "broker/core/state.h"
#include "tests/support/check_main.h"
#include "tests/support/lines.h"

static struct scene *scene;
static struct actor *alice;

static void set_up(void)
{
    scene = scene_new(3);
    alice = enter_as(scene, "");
}

static void tear_down(void)
{
    scene_free(scene);
}

/* A page with so many rows is full; answers it and returns how many came. */
static size_t answer_with(uint32_t limit, size_t count, uint64_t tag)
{
    struct page page;
    page_init(&page, alice->peer, tag, limit);
    for (size_t i = 0; i < count && !page_is_full(&page); i++) {
        struct wire_writer *w = page_begin_row(&page);
        page_put_text(w, "name", i % 2 == 0 ? "even" : NULL);
        page_end_row(&page);
    }
    ck_assert_int_eq(page_answer(&page, 0), STATUS_OK);
    page_deinit(&page);
    scene_settle(scene);
    size_t rows = 0;
    struct frame frame;
    uint8_t flags = 0;
    while (actor_next(alice, &frame)) {
        ck_assert_uint_eq(frame.header.type, FRAME_ROW);
        ck_assert_uint_eq(frame.header.tag, tag);
        ck_assert_uint_eq(flags, 0);
        flags = frame.header.flags;
        rows += frame.as.row.fields.bytes > 0;
    }
    ck_assert_uint_eq(flags, FLAG_LAST);
    return rows;
}

START_TEST(test_as_many_rows_as_there_may_be)
{
    ck_assert_uint_eq(answer_with(0, 0, 1), 0);
    ck_assert_uint_eq(answer_with(0, 1, 2), 1);
    ck_assert_uint_eq(answer_with(10, 1000, 3), 10);
    ck_assert_uint_eq(answer_with(0, 1000, 4), PAGE_ROWS);
    ck_assert_uint_eq(answer_with(1000, 1000, 5), PAGE_ROWS);
}
END_TEST

START_TEST(test_a_row_that_is_too_long)
{
    static char text[ROW_BYTES_MAX];
    memset(text, 'x', sizeof text - 1);
    struct page page;
    page_init(&page, alice->peer, 1, 0);
    page_put_text(page_begin_row(&page), "name", text);
    page_end_row(&page);
    ck_assert(page_is_full(&page));
    ck_assert_int_eq(page_answer(&page, 0), STATUS_NO_MEMORY);
    page_deinit(&page);
    hear_nothing(alice);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("page");
    TCase *tcase = tcase_create("page");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_as_many_rows_as_there_may_be);
    tcase_add_test(tcase, test_a_row_that_is_too_long);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
