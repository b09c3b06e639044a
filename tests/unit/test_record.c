/* Records: what is written is read again, whatever is cut off is refused. */
#include "broker/store/record.h"

#include "tests/support/check_main.h"

static struct operation_message message(void)
{
    return (struct operation_message){.number = 7,
                                      .time_ms = 1234567,
                                      .queues = wire_bytes_of("\1\0\0\0\2\0\0\0", 8),
                                      .exchange = wire_bytes_of_text("news"),
                                      .key = wire_bytes_of_text("a.b"),
                                      .headers = wire_bytes_of("\1h\2\0vv", 6),
                                      .body = wire_bytes_of_text("body")};
}

static size_t write_record(unsigned char *at, size_t room)
{
    struct wire_writer w = wire_writer_of(at, room);
    struct operation_message sent = message();
    record_put_message(&w, &sent);
    record_put_settle(&w, &(struct operation_settle){3, 10, 20});
    record_put_answered(&w, &(struct operation_answered){1, 99});
    ck_assert(!w.failed);
    return wire_written(&w);
}

START_TEST(test_operations_are_read_in_their_order)
{
    unsigned char room[256];
    size_t bytes = write_record(room, sizeof room);
    struct wire_reader r = wire_reader_of(room, bytes);
    struct operation operation;
    ck_assert_int_eq(record_next(&r, &operation), STATUS_OK);
    ck_assert_uint_eq(operation.type, OPERATION_MESSAGE);
    ck_assert_uint_eq(operation.as.message.number, 7);
    ck_assert(wire_bytes_equal(operation.as.message.body, wire_bytes_of_text("body")));
    ck_assert_int_eq(record_next(&r, &operation), STATUS_OK);
    ck_assert_uint_eq(operation.as.settle.last, 20);
    ck_assert_int_eq(record_next(&r, &operation), STATUS_OK);
    ck_assert_uint_eq(operation.as.answered.tag, 99);
    ck_assert_int_eq(record_next(&r, &operation), STATUS_MORE);
}
END_TEST

START_TEST(test_sizes_are_exact)
{
    unsigned char room[256];
    struct wire_writer w = wire_writer_of(room, sizeof room);
    struct operation_message sent = message();
    record_put_message(&w, &sent);
    ck_assert_uint_eq(wire_written(&w), record_size_message(&sent));
}
END_TEST

START_TEST(test_what_is_cut_off_is_corrupt)
{
    unsigned char room[256];
    struct operation_message sent = message();
    struct wire_writer w = wire_writer_of(room, sizeof room);
    record_put_message(&w, &sent);
    for (size_t bytes = 1; bytes < wire_written(&w); bytes++) {
        struct wire_reader r = wire_reader_of(room, bytes);
        struct operation operation;
        ck_assert_int_eq(record_next(&r, &operation), STATUS_CORRUPT);
    }
}
END_TEST

START_TEST(test_unknown_types_are_refused)
{
    for (int type = 0; type < 256; type++) {
        unsigned char room[64] = {(unsigned char)type};
        struct wire_reader r = wire_reader_of(room, sizeof room);
        struct operation operation;
        enum status status = record_next(&r, &operation);
        if (type == 0 || type >= OPERATION_TYPE_COUNT)
            ck_assert_int_ne(status, STATUS_OK);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *tcase = tcase_create("record");
    tcase_add_test(tcase, test_operations_are_read_in_their_order);
    tcase_add_test(tcase, test_sizes_are_exact);
    tcase_add_test(tcase, test_what_is_cut_off_is_corrupt);
    tcase_add_test(tcase, test_unknown_types_are_refused);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
