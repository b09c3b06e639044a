/* The index of a queue against a plain array. */
#include "broker/core/index.h"

#include <string.h>

#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { NUMBERS = 6000 };

/* By number: 0 absent, 1 ready, 2 out. */
struct model {
    unsigned char state[NUMBERS + 1];
    uint64_t next;
    uint64_t live_count;
};

static void append(struct index *index, struct model *model, uint64_t step)
{
    uint64_t number = model->next + step;
    if (number > NUMBERS)
        return;
    ck_assert_int_eq(index_reserve(index, number), STATUS_OK);
    index_append(index, number, place_word_durable(number * 100, 5), (uint32_t)number);
    model->state[number] = 1;
    model->next = number;
    model->live_count++;
}

static uint64_t first_from(const struct model *model, uint64_t number, unsigned char max_state)
{
    for (; number <= model->next; number++)
        if (model->state[number] > 0 && model->state[number] <= max_state)
            return number;
    return 0;
}

static void lend(struct index *index, struct model *model)
{
    uint64_t expected = first_from(model, 0, 1);
    struct index_at at = index_first_ready(index);
    ck_assert_uint_eq(at.found != NULL ? index_number(index, at) : 0, expected);
    if (at.found == NULL)
        return;
    ck_assert_uint_eq(place_position(at.found->word), expected * 100);
    ck_assert_uint_eq(place_record_position(at.found->word), expected * 100 - 5);
    index_set_out(index, at);
    model->state[expected] = 2;
}

static void change(struct index *index, struct model *model, uint64_t number, uint64_t what)
{
    struct index_at at = index_find(index, number);
    ck_assert_int_eq(at.found != NULL, model->state[number] > 0);
    struct index_at from = index_find_from(index, number);
    ck_assert_uint_eq(from.found != NULL ? index_number(index, from) : 0,
                      first_from(model, number, 2));
    if (at.found == NULL)
        return;
    if (what == 0 && model->state[number] == 2) {
        index_clear_out(index, at);
        index_on_ready(index, at);
        model->state[number] = 1;
    } else if (what == 1) {
        index_remove(index, at);
        model->state[number] = 0;
        model->live_count--;
    }
    ck_assert_uint_eq(index->live_count, model->live_count);
}

static void check_all(const struct index *index, const struct model *model)
{
    uint64_t number = 0;
    struct index_at at = index_find_from(index, 0);
    for (; at.found != NULL; at = index_next(index, at)) {
        number = first_from(model, number + 1, 2);
        ck_assert_uint_eq(index_number(index, at), number);
        ck_assert_uint_eq(at.found->size, number);
    }
    ck_assert_uint_eq(first_from(model, number + 1, 2), 0);
}

START_TEST(test_random_work)
{
    static struct model model;
    memset(&model, 0, sizeof model);
    struct chance chance = {(uint64_t)_i + 1};
    struct index index;
    index_init(&index, NULL);
    uint64_t removing = 1 + chance_below(&chance, 4);
    for (int i = 0; i < 20000; i++) {
        uint64_t what = chance_below(&chance, 4 + removing);
        if (what < 2)
            append(&index, &model, 1 + chance_below(&chance, chance_below(&chance, 3) + 1));
        else if (what == 2)
            lend(&index, &model);
        else if (model.next > 0)
            change(&index, &model, 1 + chance_below(&chance, model.next), what == 3 ? 0 : 1);
    }
    check_all(&index, &model);
    index_deinit(&index);
}
END_TEST

START_TEST(test_a_queue_worked_off_in_order_keeps_little)
{
    static struct model model;
    memset(&model, 0, sizeof model);
    struct index index;
    index_init(&index, NULL);
    for (uint64_t number = 1; number <= NUMBERS; number++) {
        append(&index, &model, 1);
        lend(&index, &model);
        change(&index, &model, number, 1);
    }
    ck_assert_uint_eq(index.live_count, 0);
    ck_assert_uint_le(index.end - index.start, 2);
    ck_assert_ptr_null(index_first_ready(&index).found);
    index_deinit(&index);
}
END_TEST

/* The oldest goes for each new one: slots are tidied when the cursor stands before the first of
 * them, where it had a page that is gone. */
START_TEST(test_the_oldest_is_dropped_for_each_new_one)
{
    const uint64_t limits[] = {1, 1000, 8191, 8192, 8193, 16384};
    uint64_t limit = limits[_i];
    uint64_t oldest = 1;
    struct index index;
    index_init(&index, NULL);
    for (uint64_t number = 1; number <= 200000; number++) {
        if (index_reserve(&index, number) != STATUS_OK)
            ck_abort_msg("no memory");
        if (index.live_count == limit) {
            struct index_at at = index_first_ready(&index);
            if (at.found == NULL || index_number(&index, at) != oldest)
                ck_abort_msg("%llu is not found at %llu", (unsigned long long)oldest,
                             (unsigned long long)number);
            index_remove(&index, at);
            oldest++;
        }
        index_append(&index, number, place_word_durable(number, 0), 1);
    }
    for (; index.live_count > 0; oldest++) {
        struct index_at at = index_first_ready(&index);
        if (at.found == NULL || index_number(&index, at) != oldest)
            ck_abort_msg("%llu is not found", (unsigned long long)oldest);
        index_remove(&index, at);
    }
    index_deinit(&index);
}
END_TEST

START_TEST(test_numbers_may_be_far_apart)
{
    struct index index;
    index_init(&index, NULL);
    const uint64_t numbers[] = {1, 2, UINT64_C(1) << 33, (UINT64_C(1) << 33) + 1,
                                UINT64_C(1) << 62};
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(index_reserve(&index, numbers[i]), STATUS_OK);
        index_append(&index, numbers[i], place_word_durable(i + 1, 0), 1);
    }
    for (size_t i = 0; i < 5; i++) {
        struct index_at at = index_find(&index, numbers[i]);
        ck_assert_ptr_nonnull(at.found);
        ck_assert_uint_eq(place_position(at.found->word), i + 1);
    }
    ck_assert_ptr_null(index_find(&index, 3).found);
    index_deinit(&index);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index");
    TCase *tcase = tcase_create("index");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_random_work, 0, 12);
    tcase_add_test(tcase, test_a_queue_worked_off_in_order_keeps_little);
    tcase_add_loop_test(tcase, test_the_oldest_is_dropped_for_each_new_one, 0, 6);
    tcase_add_test(tcase, test_numbers_may_be_far_apart);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
