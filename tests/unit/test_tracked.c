/* The table of tracked commands, beside a plain list. */
#include "broker/core/tracked.h"

#include <stdio.h>

#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

enum { COMMANDS = 3000 };

static struct core *core;

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    limits.results_max = COMMANDS;
    limits.results_bytes_max = UINT32_MAX;
    core = core_new(&limits, note, NULL);
}

static void tear_down(void)
{
    core_free(core);
}

static struct wire_id id_of(unsigned n)
{
    struct wire_id id = {{0}};
    wire_store_u64(id.byte + 8, n);
    return id;
}

static struct tracked *add(unsigned n, const char *key)
{
    return tracked_new(core, 7, id_of(n), wire_bytes_of_text(key));
}

static void finish(unsigned n, uint64_t time_ms)
{
    struct operation_outcome operation = tracked_operation(core, tracked_find(core, id_of(n)));
    operation.time_ms = time_ms;
    operation.code = wire_bytes_of_text("CODE");
    operation.text = wire_bytes_of_text("some text");
    ck_assert_int_eq(tracked_apply(core, &operation, 0), STATUS_OK);
}

START_TEST(test_all_are_found_until_they_are_forgotten)
{
    for (unsigned n = 0; n < COMMANDS; n++)
        ck_assert_ptr_nonnull(add(n, ""));
    for (unsigned n = 0; n < COMMANDS; n += 3)
        tracked_forget(core, tracked_find(core, id_of(n)));
    for (unsigned n = 0; n < COMMANDS; n++) {
        const struct tracked *tracked = tracked_find(core, id_of(n));
        ck_assert_int_eq(tracked != NULL, n % 3 != 0);
    }
    ck_assert_uint_eq(core->tracked.by_id.count, COMMANDS - COMMANDS / 3);
}
END_TEST

START_TEST(test_keys_are_of_one_queue)
{
    struct tracked *tracked = add(1, "key");
    ck_assert_ptr_eq(tracked_find_key(core, 7, wire_bytes_of_text("key")), tracked);
    ck_assert_ptr_null(tracked_find_key(core, 8, wire_bytes_of_text("key")));
    ck_assert_ptr_null(tracked_find_key(core, 7, wire_bytes_of_text("ke")));
    tracked_forget(core, tracked);
    ck_assert_ptr_null(tracked_find_key(core, 7, wire_bytes_of_text("key")));
}
END_TEST

START_TEST(test_what_is_forgotten_gives_its_bytes_back)
{
    for (unsigned n = 0; n < 100; n++) {
        add(n, n % 2 == 0 ? "" : (const char[2]){(char)('0' + n), '\0'});
        finish(n, 1000 + n);
    }
    ck_assert_uint_eq(core->tracked.finished_count, 100);
    core->now_ms = 2000;
    core->limits.result_ttl_ms = 950; /* those of up to 1050 */
    tracked_work_off(core);
    ck_assert_uint_eq(core->tracked.finished_count, 49);
    core->limits.results_max = 0; /* all that have no key; the others lose their texts */
    tracked_work_off(core);
    ck_assert_uint_eq(core->tracked.finished_count, 0);
    ck_assert_uint_eq(core->tracked.finished_bytes, 0);
    ck_assert_uint_eq(core->tracked.by_id.count, 25);
    core->now_ms = 5000;
    tracked_work_off(core);
    ck_assert_uint_eq(core->tracked.by_id.count, 0);
    ck_assert_uint_eq(core->tracked.finished_bytes, 0);
}
END_TEST

/* As many as one round looks at, and more, so that what is behind them is only found without them.
 */
START_TEST(test_keys_do_not_keep_what_is_behind_them)
{
    core->limits.results_max = 10;
    for (unsigned n = 0; n < COMMANDS; n++) {
        char key[8];
        (void)snprintf(key, sizeof key, "%u", n);
        add(n, key);
        finish(n, 1000);
        tracked_work_off(core);
    }
    for (unsigned n = COMMANDS; n < 2 * COMMANDS; n++) {
        add(n, "");
        finish(n, 1001);
        tracked_work_off(core);
        ck_assert_uint_le(core->tracked.finished_count, 10);
    }
    ck_assert_ptr_nonnull(tracked_find_key(core, 7, wire_bytes_of_text("0")));
    ck_assert_uint_eq(core->tracked.by_id.count, COMMANDS + 10);
    core->now_ms = 1000 + core->limits.result_ttl_ms;
    for (unsigned i = 0; i < 3; i++)
        tracked_work_off(core);
    ck_assert_uint_eq(core->tracked.by_id.count, 10);
    ck_assert_ptr_null(tracked_find_key(core, 7, wire_bytes_of_text("0")));
}
END_TEST

START_TEST(test_a_digest_tells_bodies_apart)
{
    static unsigned char body[64];
    uint64_t plain = tracked_digest(wire_bytes_of(body, sizeof body));
    for (unsigned i = 0; i < sizeof body * 8; i++) {
        body[i / 8] ^= (unsigned char)(1 << i % 8);
        ck_assert_uint_ne(tracked_digest(wire_bytes_of(body, sizeof body)), plain);
        body[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    for (uint32_t bytes = 0; bytes < sizeof body; bytes++)
        ck_assert_uint_ne(tracked_digest(wire_bytes_of(body, bytes)), plain);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tracked");
    TCase *tcase = tcase_create("tracked");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_all_are_found_until_they_are_forgotten);
    tcase_add_test(tcase, test_keys_are_of_one_queue);
    tcase_add_test(tcase, test_what_is_forgotten_gives_its_bytes_back);
    tcase_add_test(tcase, test_keys_do_not_keep_what_is_behind_them);
    tcase_add_test(tcase, test_a_digest_tells_bodies_apart);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
