/* Homes of durable objects, as the journal counts them. */
#include "broker/core/home.h"

#include "broker/core/state.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

static struct scene *scene;

static void set_up(void)
{
    scene = scene_new(1);
}

static void tear_down(void)
{
    scene_free(scene);
}

/* Bytes that live, next to those of the start itself. */
static uint64_t live_bytes(void)
{
    return journal_space(scene->journal).live_bytes;
}

START_TEST(test_an_object_has_one_home)
{
    uint64_t before = live_bytes();
    uint64_t position = journal_end_position(scene->journal);
    struct home home = {0};
    home_move(scene->core, &home, position, 100);
    ck_assert_uint_eq(home.position, position);
    ck_assert_uint_eq(live_bytes(), before + 100);
    home_move(scene->core, &home, position + 8, 40);
    ck_assert_uint_eq(home.position, position + 8);
    ck_assert_uint_eq(live_bytes(), before + 40);
    home_end(scene->core, &home);
    ck_assert_uint_eq(home.position, 0);
    ck_assert_uint_eq(live_bytes(), before);
}
END_TEST

START_TEST(test_what_is_not_durable_has_none)
{
    uint64_t before = live_bytes();
    struct home home = {0};
    home_move(scene->core, &home, 0, 100);
    ck_assert_uint_eq(home.bytes, 0);
    home_end(scene->core, &home);
    ck_assert_uint_eq(live_bytes(), before);
}
END_TEST

START_TEST(test_queues_share_a_message)
{
    uint64_t before = live_bytes();
    uint64_t position = journal_end_position(scene->journal);
    uint32_t size = place_size(1000, 2);
    home_add_place(scene->core, position, size, 1040);
    home_add_place(scene->core, position, size, 1040);
    uint64_t both = live_bytes();
    ck_assert_uint_ge(both, before + 1000);
    ck_assert_uint_le(both, before + 1080);
    home_remove_place(scene->core, position, size);
    ck_assert_uint_ge(live_bytes(), before + 480);
    ck_assert_uint_le(live_bytes(), before + 560);
    home_remove_place(scene->core, position, size);
    ck_assert_uint_le(live_bytes(), before);
}
END_TEST

/* A core that only looks at a journal counts nothing. */
START_TEST(test_without_a_journal)
{
    struct journal *journal = scene->core->journal;
    uint64_t before = live_bytes();
    scene->core->journal = NULL;
    struct home home = {0};
    home_move(scene->core, &home, 4096, 100);
    home_add_place(scene->core, 4096, place_size(10, 1), 50);
    home_remove_place(scene->core, 4096, place_size(10, 1));
    ck_assert_uint_eq(home.position, 4096);
    home_end(scene->core, &home);
    scene->core->journal = journal;
    ck_assert_uint_eq(live_bytes(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("home");
    TCase *tcase = tcase_create("home");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_an_object_has_one_home);
    tcase_add_test(tcase, test_what_is_not_durable_has_none);
    tcase_add_test(tcase, test_queues_share_a_message);
    tcase_add_test(tcase, test_without_a_journal);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
