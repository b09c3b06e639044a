/* Segments: names, the header page, and a file's way from making to spare to segment and back. */
#include "broker/store/segment.h"

#include <errno.h>
#include <string.h>

#include "tests/support/check_main.h"
#include "tests/support/disk_sim.h"

enum { SEGMENT_BYTES = 65536 };

static struct disk_sim *sim;
static const struct disk *disk;

static void setup(void)
{
    sim = disk_sim_new(1);
    disk = disk_sim_disk(sim);
}

static void teardown(void)
{
    disk_sim_free(sim);
}

START_TEST(test_names_come_back)
{
    static const enum segment_name_kind kinds[] = {NAME_SEGMENT, NAME_SPARE, NAME_MAKING};
    for (size_t i = 0; i < 3; i++) {
        char name[SEGMENT_NAME_BYTES];
        uint64_t number = 0;
        segment_print_name(name, kinds[i], 0xfedcba98);
        ck_assert_int_eq(segment_parse_name(name, &number), kinds[i]);
        ck_assert_uint_eq(number, 0xfedcba98);
    }
}
END_TEST

static enum status decode(unsigned char *page, size_t offset, unsigned char mask)
{
    struct segment_header header;
    page[offset] ^= mask;
    enum status status = segment_header_decode(page, &header);
    page[offset] ^= mask;
    return status;
}

START_TEST(test_header_page)
{
    unsigned char page[SEGMENT_HEADER_BYTES];
    struct segment_header header = {
        .number = 7, .first_position = 7 * SEGMENT_BYTES, .segment_bytes = SEGMENT_BYTES};
    memset(header.salt, 9, SALT_BYTES);
    segment_header_encode(page, &header);
    struct segment_header back = {0};
    ck_assert_int_eq(segment_header_decode(page, &back), STATUS_OK);
    ck_assert_uint_eq(back.number, 7);
    ck_assert_uint_eq(back.first_position, 7 * SEGMENT_BYTES);
    ck_assert_uint_eq(back.segment_bytes, SEGMENT_BYTES);
    ck_assert_mem_eq(back.salt, header.salt, SALT_BYTES);
    for (size_t offset = 0; offset < 64; offset++)
        for (unsigned bit = 0; bit < 8; bit++)
            ck_assert_int_ne(decode(page, offset, (unsigned char)(1u << bit)), STATUS_OK);
    ck_assert_int_eq(decode(page, 8, 2), STATUS_NEWER_FORMAT);
    ck_assert_int_eq(decode(page, 8, 1), STATUS_CORRUPT); /* version 0 never was */
}
END_TEST

START_TEST(test_there_and_back)
{
    struct segment_file segment = {.number = 3, .file = -1};
    bool is_renamed;
    ck_assert_int_eq(spare_make(disk, 1, SEGMENT_BYTES), 0);
    ck_assert_uint_eq(disk_sim_size(sim, "spare-00000001"), SEGMENT_BYTES);
    ck_assert(!disk_sim_has(sim, "making-00000001"));
    ck_assert_int_eq(segment_prepare(&segment, disk, 1, SEGMENT_BYTES, &is_renamed), 0);
    ck_assert(is_renamed);
    ck_assert(!disk_sim_has(sim, "spare-00000001"));
    unsigned char salt[SALT_BYTES];
    memcpy(salt, segment.salt, SALT_BYTES);
    ck_assert_int_eq(disk->close(disk->context, segment.file), 0);
    /* A segment has its name and header after any power failure from now on. */
    disk_sim_power_loss(sim, DISK_SIM_NONE, 1);
    ck_assert(disk_sim_has(sim, "segment-0000000000000003"));
    struct segment_header header;
    size_t bytes;
    ck_assert_int_eq(
        segment_header_decode(disk_sim_bytes(sim, "segment-0000000000000003", &bytes), &header),
        STATUS_OK);
    ck_assert_mem_eq(header.salt, salt, SALT_BYTES);
    ck_assert_int_eq(segment_recycle(disk, 3, 2), 0);
    segment.number = 4;
    ck_assert_int_eq(segment_prepare(&segment, disk, 2, SEGMENT_BYTES, &is_renamed), 0);
    ck_assert_mem_ne(segment.salt, salt, SALT_BYTES);
    ck_assert_int_eq(disk->close(disk->context, segment.file), 0);
    ck_assert_int_eq(segment_remove(disk, 4), 0);
    disk_sim_power_loss(sim, DISK_SIM_NONE, 1);
    ck_assert_ptr_null(disk_sim_name(sim, 0));
}
END_TEST

/* Every call of the making fails in turn: nothing is left of it. */
START_TEST(test_making_fails_at_every_call)
{
    int error = -1;
    for (uint64_t n = 0; error != 0; n++) {
        disk_sim_fail_at(sim, disk_sim_operations(sim) + n, DISK_SIM_ANY, DISK_SIM_ONCE, ENOSPC);
        error = spare_make(disk, 5, SEGMENT_BYTES);
        ck_assert(error == 0 || error == -ENOSPC);
        ck_assert(!disk_sim_has(sim, "making-00000005"));
        ck_assert_int_eq(disk_sim_has(sim, "spare-00000005"), error == 0);
    }
}
END_TEST

/* Until it is renamed the spare stays one; the caller has no file to close. */
START_TEST(test_preparing_fails_at_every_call)
{
    int error = -1;
    uint64_t n = 0;
    ck_assert_int_eq(spare_make(disk, 1, SEGMENT_BYTES), 0);
    for (; error != 0; n++) {
        struct segment_file segment = {.number = 3, .file = -1};
        bool is_renamed;
        disk_sim_fail_at(sim, disk_sim_operations(sim) + n, DISK_SIM_ANY, DISK_SIM_ONCE, EIO);
        error = segment_prepare(&segment, disk, 1, SEGMENT_BYTES, &is_renamed);
        ck_assert_int_eq(disk_sim_has(sim, "spare-00000001"), !is_renamed);
        ck_assert_int_eq(disk_sim_has(sim, "segment-0000000000000003"), is_renamed);
        ck_assert_int_eq(segment.file >= 0, error == 0);
        if (error != 0 && is_renamed)
            ck_assert_int_eq(segment_recycle(disk, 3, 1), 0);
        if (error == 0)
            ck_assert_int_eq(disk->close(disk->context, segment.file), 0);
    }
    ck_assert_uint_ge(n, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("segment");
    TCase *tcase = tcase_create("segment");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_names_come_back);
    tcase_add_test(tcase, test_header_page);
    tcase_add_test(tcase, test_there_and_back);
    tcase_add_test(tcase, test_making_fails_at_every_call);
    tcase_add_test(tcase, test_preparing_fails_at_every_call);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
