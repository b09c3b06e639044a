/* A run of bytes that grows at its end and is used up from its front. */
#include "broker/core/buffer.h"

#include <string.h>

#include "tests/support/chance.h"
#include "tests/support/check_main.h"

START_TEST(test_what_goes_in_comes_out)
{
    struct buffer buffer;
    struct chance chance = {3};
    buffer_init(&buffer);
    unsigned char in = 0;
    unsigned char out = 0;
    for (int i = 0; i < 20000; i++) {
        unsigned char bytes[200];
        size_t count = (size_t)chance_below(&chance, sizeof bytes);
        for (size_t n = 0; n < count; n++)
            bytes[n] = in++;
        ck_assert_int_eq(buffer_append(&buffer, bytes, count), STATUS_OK);
        size_t used = (size_t)chance_below(&chance, buffer_bytes(&buffer) + 1);
        size_t wrong = 0;
        for (size_t n = 0; n < used; n++)
            wrong += buffer_at(&buffer)[n] != out++;
        ck_assert_uint_eq(wrong, 0);
        buffer_consume(&buffer, used);
    }
    ck_assert_uint_le(buffer.room, 1 << 20);
    buffer_deinit(&buffer);
    ck_assert_uint_eq(buffer_bytes(&buffer), 0);
}
END_TEST

START_TEST(test_an_empty_buffer_starts_over_at_its_front)
{
    struct buffer buffer;
    buffer_init(&buffer);
    ck_assert_int_eq(buffer_append(&buffer, "", 0), STATUS_OK);
    ck_assert_int_eq(buffer_append(&buffer, "abc", 3), STATUS_OK);
    buffer_consume(&buffer, 3);
    ck_assert_uint_eq(buffer.start, 0);
    ck_assert_uint_eq(buffer.end, 0);
    buffer_deinit(&buffer);
}
END_TEST

START_TEST(test_reserved_bytes_count_once_committed)
{
    struct buffer buffer;
    buffer_init(&buffer);
    unsigned char *room = buffer_reserve(&buffer, 100000);
    ck_assert_ptr_nonnull(room);
    memset(room, 'x', 10);
    ck_assert_uint_eq(buffer_bytes(&buffer), 0);
    buffer_commit(&buffer, 10);
    ck_assert_uint_eq(buffer_bytes(&buffer), 10);
    buffer_deinit(&buffer);
}
END_TEST

START_TEST(test_more_than_there_is_memory)
{
    struct buffer buffer;
    buffer_init(&buffer);
    ck_assert_ptr_null(buffer_reserve(&buffer, SIZE_MAX));
    ck_assert_ptr_null(buffer_reserve(&buffer, SIZE_MAX / 2));
    ck_assert_int_eq(buffer_append(&buffer, "a", 1), STATUS_OK);
    buffer_deinit(&buffer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buffer");
    TCase *tcase = tcase_create("buffer");
    tcase_add_test(tcase, test_what_goes_in_comes_out);
    tcase_add_test(tcase, test_an_empty_buffer_starts_over_at_its_front);
    tcase_add_test(tcase, test_reserved_bytes_count_once_committed);
    tcase_add_test(tcase, test_more_than_there_is_memory);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
