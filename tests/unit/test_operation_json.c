/* Operations as JSON: every type, and every kind of field. */
#include <check.h>
#include <stdlib.h>

#include "broker/operation_json.h"
#include "protocol/property.h"
#include "tests/support/check_main.h"

static void expect(const struct operation *operation, const char *expected)
{
    json_t *object = operation_json(operation);
    char *text = json_dumps(object, JSON_COMPACT);
    ck_assert_str_eq(text, expected);
    free(text);
    json_decref(object);
}

START_TEST(test_message)
{
    unsigned char queues[8];
    unsigned char properties[128];
    unsigned char headers[64];
    static const unsigned char id[16] = {1, 0xab, [15] = 0xff};
    wire_store_u32(queues, 3);
    wire_store_u32(queues + 4, 4);
    struct wire_writer p = wire_writer_of(properties, sizeof properties);
    property_put(&p, PROPERTY_MESSAGE_ID, wire_bytes_of(id, 16));
    property_put_number(&p, PROPERTY_MESSAGE_DELAY, 5000);
    property_put(&p, PROPERTY_MESSAGE_PARENT, wire_bytes_of(id, 16));
    property_put(&p, PROPERTY_MESSAGE_CONTENT_TYPE, wire_bytes_of_text("text/plain"));
    property_put(&p, 200, wire_bytes_of("\xff", 1));
    struct wire_writer h = wire_writer_of(headers, sizeof headers);
    header_put(&h, wire_bytes_of_text("a"), wire_bytes_of_text("\"b\""));
    header_put(&h, wire_bytes_of_text("c"), wire_bytes_of("\xff", 1));
    struct operation operation = {.type = OPERATION_MESSAGE};
    operation.as.message = (struct operation_message){
        .number = UINT64_MAX,
        .time_ms = 5,
        .queues = wire_bytes_of(queues, sizeof queues),
        .exchange = wire_bytes_of_text("x"),
        .key = wire_bytes_of(NULL, 0),
        .properties = wire_bytes_of(properties, (uint32_t)wire_written(&p)),
        .headers = wire_bytes_of(headers, (uint32_t)wire_written(&h)),
        .body = wire_bytes_of("\0\xff", 2),
    };
    expect(&operation, "{\"operation\":\"MESSAGE\",\"number\":\"18446744073709551615\","
                       "\"time_ms\":5,\"queues\":[3,4],\"exchange\":\"x\",\"key\":\"\","
                       "\"properties\":{\"id\":\"01ab0000-0000-0000-0000-0000000000ff\","
                       "\"delay\":5000,\"parent\":\"01ab0000-0000-0000-0000-0000000000ff\","
                       "\"content_type\":\"text/plain\",\"kind_200_base64\":\"/w==\"},"
                       "\"headers\":{\"a\":\"\\\"b\\\"\",\"c\":null},\"body_base64\":\"AP8=\"}");
}
END_TEST

START_TEST(test_base64_of_every_length)
{
    static const struct {
        const char *bytes;
        uint32_t count;
        const char *expected;
    } cases[] = {{"\xff", 1, "/w=="}, {"\xff\xfe", 2, "//4="}, {"\xff\xfe\xfd", 3, "//79"}};
    const unsigned i = (unsigned)_i;
    char expected[128];
    struct operation operation = {.type = OPERATION_QUEUE};
    operation.as.queue.name = wire_bytes_of(cases[i].bytes, cases[i].count);
    snprintf(expected, sizeof expected,
             "{\"operation\":\"QUEUE\",\"queue\":0,\"name_base64\":\"%s\",\"flags\":0,"
             "\"settings\":{}}",
             cases[i].expected);
    expect(&operation, expected);
}
END_TEST

START_TEST(test_settings)
{
    unsigned char settings[32];
    struct wire_writer s = wire_writer_of(settings, sizeof settings);
    property_put_number(&s, PROPERTY_QUEUE_COUNT_MAX, 7);
    struct operation operation = {.type = OPERATION_QUEUE};
    operation.as.queue.settings = wire_bytes_of(settings, (uint32_t)wire_written(&s));
    expect(&operation, "{\"operation\":\"QUEUE\",\"queue\":0,\"name\":\"\",\"flags\":0,"
                       "\"settings\":{\"count_max\":7}}");
}
END_TEST

START_TEST(test_histories)
{
    unsigned char queues[12];
    unsigned char properties[32];
    wire_store_u32(queues, 3);
    wire_store_u32(queues + 4, HISTORY_BIT | 4);
    wire_store_u32(queues + 8, 5);
    struct wire_writer p = wire_writer_of(properties, sizeof properties);
    property_put_number(&p, PROPERTY_MESSAGE_SEQUENCE, 9);
    struct operation operation = {.type = OPERATION_MESSAGE};
    operation.as.message = (struct operation_message){
        .queues = wire_bytes_of(queues, sizeof queues),
        .properties = wire_bytes_of(properties, (uint32_t)wire_written(&p)),
    };
    expect(&operation, "{\"operation\":\"MESSAGE\",\"number\":0,\"time_ms\":0,\"queues\":[3,5],"
                       "\"histories\":[4],\"exchange\":\"\",\"key\":\"\","
                       "\"properties\":{\"sequence\":9},\"headers\":{},\"body\":\"\"}");
}
END_TEST

START_TEST(test_cursors)
{
    unsigned char done[32];
    unsigned char filter[32];
    for (uint64_t i = 0; i < 4; i++)
        wire_store_u64(done + 8 * i, i == 3 ? UINT64_MAX : i + 1);
    struct wire_writer f = wire_writer_of(filter, sizeof filter);
    header_put(&f, wire_bytes_of_text("shape"), wire_bytes_of_text("round"));
    struct operation operation = {.type = OPERATION_CURSOR};
    operation.as.cursor =
        (struct operation_cursor){.queue = 7,
                                  .exchange = 8,
                                  .pattern = wire_bytes_of_text("#"),
                                  .filter = wire_bytes_of(filter, (uint32_t)wire_written(&f)),
                                  .done = wire_bytes_of(done, sizeof done)};
    expect(&operation, "{\"operation\":\"CURSOR\",\"queue\":7,\"exchange\":8,\"pattern\":\"#\","
                       "\"filter\":{\"shape\":\"round\"},\"from_ms\":0,"
                       "\"done\":[[1,2],[3,\"18446744073709551615\"]]}");
}
END_TEST

/* Every type of the table has its name and nothing of another. */
START_TEST(test_every_type)
{
    struct operation operation = {.type = (enum operation_type)_i};
    json_t *object = operation_json(&operation);
    ck_assert_str_eq(json_string_value(json_object_get(object, "operation")),
                     record_operation_name((unsigned)_i));
    json_decref(object);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("operation_json");
    TCase *tcase = tcase_create("operation_json");
    tcase_add_test(tcase, test_message);
    tcase_add_loop_test(tcase, test_base64_of_every_length, 0, 3);
    tcase_add_test(tcase, test_settings);
    tcase_add_test(tcase, test_histories);
    tcase_add_test(tcase, test_cursors);
    tcase_add_loop_test(tcase, test_every_type, 1, OPERATION_TYPE_COUNT);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
