/* A survey: of each key the last event, in the order of their sequences. */
#include "broker/core/survey.h"

#include <stdio.h>

#include "tests/support/chance.h"
#include "tests/support/check_main.h"

enum { KEYS = 200, EVENTS = 20000 };

static void note(struct survey *survey, uint64_t key, uint64_t sequence)
{
    char text[32];
    snprintf(text, sizeof text, "key.%u", (unsigned)key);
    ck_assert_int_eq(survey_note(survey, wire_bytes_of_text(text), sequence, KEYS), STATUS_OK);
}

START_TEST(test_nothing_was_noted)
{
    uint64_t sequence;
    struct survey *survey = survey_new(7);
    for (uint64_t i = 0; i <= 7; i++)
        ck_assert(survey_is_collecting(survey, i));
    ck_assert(!survey_is_collecting(survey, 8));
    ck_assert(!survey_pick(survey, 8, &sequence));
    ck_assert_uint_eq(sequence, 8);
    ck_assert(!survey_is_collecting(survey, 3)); /* not any more */
    survey_free(survey);
    survey_free(NULL);
}
END_TEST

START_TEST(test_an_empty_history)
{
    uint64_t sequence;
    struct survey *survey = survey_new(0);
    ck_assert(!survey_is_collecting(survey, 1));
    ck_assert(!survey_pick(survey, 1, &sequence));
    ck_assert_uint_eq(sequence, 1);
    survey_free(survey);
}
END_TEST

START_TEST(test_random_keys_against_a_plain_table)
{
    struct chance chance = {4};
    for (int round = 0; round < 20; round++) {
        uint64_t last[KEYS] = {0};
        struct survey *survey = survey_new(EVENTS);
        uint64_t keys = 1 + chance_below(&chance, KEYS);
        for (uint64_t i = 1; i <= EVENTS; i += 1 + chance_below(&chance, 100)) {
            uint64_t key = chance_below(&chance, keys);
            note(survey, key, i);
            last[key] = i;
        }
        uint64_t next = EVENTS + 1; /* as of who has looked at all */
        for (;;) {
            uint64_t expected = UINT64_MAX;
            for (uint64_t i = 0; i < KEYS; i++)
                if (last[i] >= (next > EVENTS ? 1 : next) && last[i] < expected)
                    expected = last[i];
            uint64_t sequence;
            bool is_there = survey_pick(survey, next, &sequence);
            ck_assert_int_eq(is_there, expected != UINT64_MAX);
            ck_assert_uint_eq(sequence, is_there ? expected : EVENTS + 1);
            if (!is_there)
                break;
            ck_assert(survey_pick(survey, sequence, &next)); /* the same again, when asked again */
            ck_assert_uint_eq(next, sequence);
            next = sequence + 1;
            if (next > EVENTS)
                break;
        }
        survey_free(survey);
    }
}
END_TEST

/* Retention takes some of them while they are given out. */
START_TEST(test_some_are_passed_over)
{
    uint64_t sequence;
    struct survey *survey = survey_new(100);
    for (uint64_t i = 10; i <= 90; i += 10)
        note(survey, i, i);
    ck_assert(survey_pick(survey, 101, &sequence));
    ck_assert_uint_eq(sequence, 10);
    ck_assert(survey_pick(survey, 55, &sequence));
    ck_assert_uint_eq(sequence, 60);
    ck_assert(!survey_pick(survey, 91, &sequence));
    ck_assert_uint_eq(sequence, 101);
    survey_free(survey);
}
END_TEST

START_TEST(test_keys_that_are_too_many)
{
    struct survey *survey = survey_new(10);
    ck_assert_int_eq(survey_note(survey, wire_bytes_of_text("a"), 1, 2), STATUS_OK);
    ck_assert_int_eq(survey_note(survey, wire_bytes_of_text("b"), 2, 2), STATUS_OK);
    ck_assert_int_eq(survey_note(survey, wire_bytes_of_text("c"), 3, 2), STATUS_LIMIT);
    ck_assert_int_eq(survey_note(survey, wire_bytes_of_text("a"), 4, 2), STATUS_OK);
    uint64_t sequence;
    ck_assert(survey_pick(survey, 11, &sequence));
    ck_assert_uint_eq(sequence, 2);
    survey_free(survey);
    survey = survey_new(10);
    ck_assert_int_eq(survey_note(survey, wire_bytes_of_text("a"), 1, 0), STATUS_LIMIT);
    survey_free(survey);
}
END_TEST

/* Keys that begin alike are not the same. */
START_TEST(test_keys_are_whole)
{
    struct survey *survey = survey_new(10);
    ck_assert_int_eq(survey_note(survey, wire_bytes_of_text("a"), 1, 9), STATUS_OK);
    ck_assert_int_eq(survey_note(survey, wire_bytes_of_text("a.b"), 2, 9), STATUS_OK);
    ck_assert_int_eq(survey_note(survey, wire_bytes_of_text("a."), 3, 9), STATUS_OK);
    uint64_t sequence = 0;
    for (uint64_t i = 1; i <= 3; i++) {
        ck_assert(survey_pick(survey, sequence + 1, &sequence));
        ck_assert_uint_eq(sequence, i);
    }
    survey_free(survey);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("survey");
    TCase *tcase = tcase_create("survey");
    tcase_add_test(tcase, test_nothing_was_noted);
    tcase_add_test(tcase, test_an_empty_history);
    tcase_add_test(tcase, test_random_keys_against_a_plain_table);
    tcase_add_test(tcase, test_some_are_passed_over);
    tcase_add_test(tcase, test_keys_that_are_too_many);
    tcase_add_test(tcase, test_keys_are_whole);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
