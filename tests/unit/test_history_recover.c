/* What a start makes of the files of histories: what is left over goes, what is wrong is refused
 * with its name, and then nothing is changed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/frame.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/histories.h"

#define FIRST_FILE "history-00000001-0000000000000001"

static struct kept {
    unsigned char *at;
    size_t bytes;
} kept;

static void keep(const char *name)
{
    const unsigned char *at = disk_sim_bytes(scene->sim, name, &kept.bytes);
    ck_assert_ptr_nonnull(at);
    kept.at = malloc(kept.bytes);
    ck_assert_ptr_nonnull(kept.at);
    memcpy(kept.at, at, kept.bytes);
}

static void put_back(const char *name)
{
    disk_sim_put(scene->sim, name, kept.at, kept.bytes);
    free(kept.at);
}

/* Retention took the file that was written to; a power failure brought its name back after the next
 * file was begun. */
START_TEST(test_a_retired_file_need_not_be_finished)
{
    publish_events(1, 10);
    let_move();
    keep(FIRST_FILE);
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_AGE_MAX, 5000));
    for (int i = 0; i < 10; i++)
        scene_advance_ms(scene, 1000);
    ck_assert(!disk_sim_has(scene->sim, FIRST_FILE));
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_AGE_MAX, 0));
    publish_events(11, 20);
    let_move();
    ck_assert(disk_sim_has(scene->sim, "history-00000001-000000000000000b"));
    put_back(FIRST_FILE);
    crash_with(DISK_SIM_ALL);
    ck_assert(!disk_sim_has(scene->sim, FIRST_FILE));
    ck_assert_uint_eq(ask_exchange("book", "first"), 11);
    hear_confirm(bob, say_follow(1, FOLLOW_FIRST, 0));
    scene_settle(scene);
    hear_events(1, 11, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history_recover");
    TCase *tcase = tcase_create("history_recover");
    tcase_add_checked_fixture(tcase, histories_set_up, histories_tear_down);
    tcase_add_test(tcase, test_a_retired_file_need_not_be_finished);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
