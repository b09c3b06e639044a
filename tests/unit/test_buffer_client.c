/* The client's buffer: offsets stay true while bytes move and memory grows. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/buffer.h"
#include "tests/support/check_main.h"

START_TEST(test_offsets_stay_true)
{
    struct buffer buffer;
    buffer_init(&buffer);
    srand(1);
    uint64_t end = 0;
    for (int step = 0; step < 20000; step++) {
        size_t bytes = (size_t)rand() % 300;
        unsigned char *room = buffer_reserve(&buffer, bytes);
        ck_assert_ptr_nonnull(room);
        for (size_t i = 0; i < bytes; i++)
            room[i] = (unsigned char)((end + i) * 31);
        buffer_commit(&buffer, bytes);
        end += bytes;
        ck_assert_uint_eq(buffer_offset_end(&buffer), end);
        size_t live = buffer_bytes(&buffer);
        if (live > 0) {
            uint64_t offset = buffer_offset_front(&buffer) + (size_t)rand() % live;
            ck_assert_uint_eq(*buffer_at(&buffer, offset), (unsigned char)(offset * 31));
        }
        if (live > 5000 || rand() % 4 == 0)
            buffer_drop(&buffer, end - live / 3);
    }
    ck_assert_uint_le(buffer.capacity, 64 * 1024);
    buffer_clear(&buffer);
    ck_assert_uint_eq(buffer_offset_front(&buffer), end);
    buffer_shrink(&buffer, 0);
    ck_assert_uint_eq(buffer.capacity, 0);
    ck_assert_uint_eq(buffer_offset_end(&buffer), end);
    ck_assert_ptr_null(buffer_reserve(&buffer, SIZE_MAX - 1));
    buffer_deinit(&buffer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buffer");
    TCase *buffer = tcase_create("buffer");
    tcase_add_test(buffer, test_offsets_stay_true);
    suite_add_tcase(suite, buffer);
    return check_main(suite);
}
