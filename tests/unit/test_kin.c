/* How tracked commands belong together: parents, children, repairs. */
#include "broker/core/kin.h"

#include <string.h>

#include "broker/core/state.h"
#include "broker/core/tracked.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

static const struct wire_id none;
static struct core *core;

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
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

/* The command of this number, which is its id's, too. */
static struct tracked *add(unsigned n, struct wire_id parent, struct wire_id repairs)
{
    struct tracked *tracked = tracked_new(core, 1, id_of(n), wire_bytes_of(NULL, 0));
    ck_assert_ptr_nonnull(tracked);
    tracked->number = n;
    ck_assert_int_eq(kin_set(core, tracked, parent, repairs), STATUS_OK);
    return tracked;
}

/* The numbers of a command and all its descendants, added up. */
static uint64_t family_sum(const struct tracked *root)
{
    uint64_t sum = 0;
    for (const struct tracked *tracked = root; tracked != NULL; tracked = kin_next(root, tracked))
        sum += tracked->number;
    return sum;
}

START_TEST(test_a_family_is_walked_in_turn)
{
    struct tracked *root = add(1, none, none);
    struct tracked *child = add(2, id_of(1), none);
    add(4, id_of(2), none);
    add(8, id_of(2), none);
    struct tracked *grandchild = add(16, id_of(4), none);
    add(32, id_of(1), none);
    add(64, none, none);
    add(128, id_of(100), none); /* its parent is not known */
    ck_assert_uint_eq(family_sum(root), 1 + 2 + 4 + 8 + 16 + 32);
    ck_assert_uint_eq(family_sum(child), 2 + 4 + 8 + 16);
    ck_assert_uint_eq(family_sum(grandchild), 16);
    tracked_forget(core, tracked_find(core, id_of(4)));
    ck_assert_uint_eq(family_sum(root), 1 + 2 + 8 + 32);
    ck_assert_uint_eq(family_sum(grandchild), 16);
    tracked_forget(core, child);
    ck_assert_uint_eq(family_sum(root), 1 + 32);
}
END_TEST

START_TEST(test_they_find_each_other_in_any_order)
{
    add(4, id_of(2), none);
    add(2, id_of(1), none);
    struct tracked *root = add(1, none, none);
    ck_assert_uint_eq(family_sum(root), 1);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(kin_start(core), STATUS_OK);
    ck_assert_uint_eq(family_sum(root), 7);
}
END_TEST

START_TEST(test_nobody_is_his_own_ancestor)
{
    struct tracked *first = add(1, id_of(2), none);
    struct tracked *second = add(2, id_of(1), none);
    struct tracked *own = add(3, id_of(3), id_of(3));
    ck_assert_int_eq(kin_start(core), STATUS_OK);
    ck_assert_uint_eq(family_sum(first), 3);
    ck_assert_uint_eq(family_sum(second), 2);
    ck_assert_uint_eq(family_sum(own), 3);
    ck_assert(wire_id_is_zero(&own->kin->repaired_by));
}
END_TEST

START_TEST(test_what_was_repaired_names_its_repair)
{
    struct tracked *old = add(1, none, none);
    struct tracked *repair = add(2, none, id_of(1));
    struct wire_id id = id_of(2);
    ck_assert_mem_eq(&old->kin->repaired_by, &id, sizeof id);
    tracked_forget(core, repair); /* it was not accepted after all */
    ck_assert(wire_id_is_zero(&old->kin->repaired_by));
    add(4, none, id_of(3));
    old = add(3, none, none);
    ck_assert_ptr_null(old->kin);
    ck_assert_int_eq(kin_start(core), STATUS_OK);
    id = id_of(4);
    ck_assert_mem_eq(&old->kin->repaired_by, &id, sizeof id);
}
END_TEST

START_TEST(test_a_list_says_the_same)
{
    unsigned char room[KIN_LIST_BYTES_MAX];
    struct tracked *plain = add(1, none, none);
    ck_assert_uint_eq(kin_list(plain, room).bytes, 0);
    struct tracked *first = add(2, id_of(1), none);
    struct tracked *second = add(3, id_of(1), id_of(2));
    struct tracked *copy = add(4, none, none);
    struct wire_bytes list = kin_list(first, room);
    ck_assert_int_eq(property_check(list, PROPERTY_SCOPE_MESSAGE), STATUS_OK);
    ck_assert_uint_eq(list.bytes, 18);
    list = kin_list(second, room);
    ck_assert_uint_eq(list.bytes, 36);
    ck_assert_int_eq(kin_set_list(core, copy, list), STATUS_OK);
    ck_assert_mem_eq(&copy->kin->parent, &second->kin->parent, sizeof none);
    ck_assert_mem_eq(&copy->kin->repairs, &second->kin->repairs, sizeof none);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kin");
    TCase *tcase = tcase_create("kin");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_a_family_is_walked_in_turn);
    tcase_add_test(tcase, test_they_find_each_other_in_any_order);
    tcase_add_test(tcase, test_nobody_is_his_own_ancestor);
    tcase_add_test(tcase, test_what_was_repaired_names_its_repair);
    tcase_add_test(tcase, test_a_list_says_the_same);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
