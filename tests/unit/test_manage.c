/* Queues, exchanges, bindings and queries: the frames that they become. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/property.h"
#include "tests/support/check_main.h"
#include "tests/support/fake_broker.h"

static void end(struct fake_broker *fake, struct fake_asker *asker)
{
    herald_close(asker->client, 0);
    fake_free(fake);
}

static enum herald_status create(struct herald_client *client)
{
    struct herald_queue_options options = herald_queue_options_default();
    options.auto_delete = 1;
    options.count_max = 5;
    options.bytes_max = -1;
    options.overflow = HERALD_OVERFLOW_DROP_OLDEST;
    return herald_queue_create(client, "q", &options, 2000);
}

static enum herald_status set(struct herald_client *client)
{
    struct herald_queue_options options = herald_queue_options_default();
    return herald_queue_set(client, "q", &options, 2000);
}

static enum herald_status retry_parked(struct herald_client *client)
{
    struct herald_parked parked = {"q", 1, 2, 0};
    return herald_parked_retry(client, &parked, 2000);
}

static enum herald_status drop_parked(struct herald_client *client)
{
    struct herald_parked parked = {"q", 1, 2, 0};
    return herald_parked_drop(client, &parked, 2000);
}

static enum herald_status purge(struct herald_client *client)
{
    return herald_queue_purge(client, "q", NULL, 2000);
}

static enum herald_status delete_queue(struct herald_client *client)
{
    return herald_queue_delete(client, "q", HERALD_DELETE_IF_EMPTY_AND_UNUSED, 2000);
}

static enum herald_status create_exchange(struct herald_client *client)
{
    struct herald_exchange_options options = herald_exchange_options_default();
    options.transient = 1;
    return herald_exchange_create(client, "e", &options, 2000);
}

static enum herald_status create_history(struct herald_client *client)
{
    struct herald_exchange_options options = herald_exchange_options_default();
    options.history = 1;
    options.age_max_ms = 3600000;
    options.bytes_max = 1 << 20;
    options.count_max = 1000;
    return herald_exchange_create(client, "e", &options, 2000);
}

static enum herald_status set_exchange(struct herald_client *client)
{
    struct herald_exchange_options options = herald_exchange_options_default();
    options.bytes_max = 5;
    options.count_max = -1;
    return herald_exchange_set(client, "e", &options, 2000);
}

static enum herald_status delete_exchange(struct herald_client *client)
{
    return herald_exchange_delete(client, "e", HERALD_DELETE_IF_UNUSED, 2000);
}

static enum herald_status bind_queue(struct herald_client *client)
{
    return herald_bind(client, "q", "e", "a.*", 2000);
}

static enum herald_status unbind_queue(struct herald_client *client)
{
    return herald_unbind(client, "q", "e", "a.*", 2000);
}

START_TEST(test_frames)
{
    static const struct {
        enum herald_status (*ask)(struct herald_client *client);
        enum frame_type type;
        uint8_t flags;
    } cases[] = {
        {create, FRAME_QUEUE_CREATE, FLAG_QUEUE_AUTO_DELETE},
        {set, FRAME_QUEUE_SET, 0},
        {purge, FRAME_QUEUE_PURGE, 0},
        {retry_parked, FRAME_PARKED_RETRY, 0},
        {drop_parked, FRAME_PARKED_DROP, 0},
        {delete_queue, FRAME_QUEUE_DELETE, FLAG_IF_EMPTY | FLAG_IF_UNUSED},
        {create_exchange, FRAME_EXCHANGE_CREATE, FLAG_TRANSIENT},
        {set_exchange, FRAME_EXCHANGE_SET, 0},
        {delete_exchange, FRAME_EXCHANGE_DELETE, FLAG_IF_UNUSED},
        {bind_queue, FRAME_BIND, 0},
        {unbind_queue, FRAME_UNBIND, 0},
    };
    struct fake_asker asker = {0};
    struct fake_broker *fake = fake_with_asker(&asker);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct frame frame;
        fake_begin_asking(&asker, cases[i].ask);
        fake_take(fake, cases[i].type, &frame);
        ck_assert_uint_eq(frame.header.flags, cases[i].flags);
        if (i == 0) {
            struct wire_bytes settings = frame.as.queue_create.settings;
            ck_assert_int_eq(property_check(settings, PROPERTY_SCOPE_QUEUE), STATUS_OK);
            ck_assert_uint_eq(property_find_number(settings, PROPERTY_QUEUE_COUNT_MAX, 9), 5);
            ck_assert_uint_eq(property_find_number(settings, PROPERTY_QUEUE_BYTES_MAX, 9), 0);
            ck_assert_uint_eq(property_find_number(settings, PROPERTY_QUEUE_OVERFLOW, 9), 1);
        }
        fake_confirm(fake, frame.header.tag, frame.header.tag);
        ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    }
    end(fake, &asker);
}
END_TEST

static struct wire_bytes take_settings(struct fake_broker *fake, struct fake_asker *asker,
                                       enum herald_status (*ask)(struct herald_client *client),
                                       enum frame_type type)
{
    struct frame frame;
    fake_begin_asking(asker, ask);
    fake_take(fake, type, &frame);
    fake_confirm(fake, frame.header.tag, frame.header.tag);
    ck_assert_int_eq(fake_end_asking(asker), HERALD_OK);
    struct wire_bytes settings = type == FRAME_EXCHANGE_CREATE ? frame.as.exchange_create.settings
                                                               : frame.as.exchange_set.settings;
    ck_assert_int_eq(property_check(settings, PROPERTY_SCOPE_EXCHANGE), STATUS_OK);
    return settings;
}

START_TEST(test_settings_of_exchanges)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = fake_with_asker(&asker);
    struct wire_bytes list = take_settings(fake, &asker, create_history, FRAME_EXCHANGE_CREATE);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_EXCHANGE_HISTORY, 9), 1);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_EXCHANGE_AGE_MAX, 9), 3600000);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_EXCHANGE_BYTES_MAX, 9), 1 << 20);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_EXCHANGE_COUNT_MAX, 9), 1000);
    list = take_settings(fake, &asker, set_exchange, FRAME_EXCHANGE_SET);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_EXCHANGE_HISTORY, 9), 9);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_EXCHANGE_AGE_MAX, 9), 9);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_EXCHANGE_BYTES_MAX, 9), 5);
    ck_assert_uint_eq(property_find_number(list, PROPERTY_EXCHANGE_COUNT_MAX, 9), 0);
    end(fake, &asker);
}
END_TEST

START_TEST(test_arguments)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = fake_with_asker(&asker);
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    ck_assert_int_eq(herald_queue_purge(asker.client, NULL, NULL, 100), HERALD_EINVAL);
    ck_assert_int_eq(herald_queue_purge(asker.client, name, NULL, 100), HERALD_EINVAL);
    ck_assert_int_eq(herald_queue_purge(asker.client, "q", NULL, 0), HERALD_EINVAL);
    end(fake, &asker);
}
END_TEST

/* --- queries ------------------------------------------------------------------------------------
 */

static char rows[1000];

static void on_row(const struct herald_field *fields, size_t field_count, void *context)
{
    (void)context;
    for (size_t i = 0; i < field_count; i++) {
        size_t used = strlen(rows);
        if (fields[i].kind == HERALD_FIELD_TEXT)
            snprintf(rows + used, sizeof rows - used, "%s=%s ", fields[i].name, fields[i].text);
        else
            snprintf(rows + used, sizeof rows - used, "%s=%llu ", fields[i].name,
                     (unsigned long long)fields[i].number);
    }
}

static enum herald_status list_queues(struct herald_client *client)
{
    struct herald_query query = {.size = sizeof query, .subject = HERALD_QUEUES, .on_row = on_row};
    rows[0] = '\0';
    return herald_query(client, &query, 2000);
}

static void say_row(struct fake_broker *fake, uint64_t tag, uint64_t number, uint8_t flags)
{
    unsigned char fields[128];
    struct wire_writer w = wire_writer_of(fields, sizeof fields);
    if (number > 0) {
        row_put_text(&w, "name", wire_bytes_of_text("q"));
        row_put_number(&w, "number", ROW_NUMBER, number);
    }
    struct frame frame = {
        .header = {.type = FRAME_ROW, .flags = flags, .tag = tag},
        .as.row.fields = wire_bytes_of(fields, (uint32_t)wire_written(&w)),
    };
    fake_say(fake, &frame);
}

START_TEST(test_pages)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = fake_with_asker(&asker);
    struct frame frame;
    fake_begin_asking(&asker, list_queues);
    fake_take(fake, FRAME_QUERY, &frame);
    ck_assert_uint_eq(frame.as.query.subject, QUERY_QUEUES);
    ck_assert_uint_eq(frame.as.query.after, 0);
    say_row(fake, frame.header.tag, 3, 0);
    say_row(fake, frame.header.tag, 5, FLAG_LAST);
    fake_take(fake, FRAME_QUERY, &frame);
    ck_assert_uint_eq(frame.as.query.after, 5);
    say_row(fake, frame.header.tag, 8, FLAG_LAST);
    fake_take(fake, FRAME_QUERY, &frame);
    ck_assert_uint_eq(frame.as.query.after, 8);
    say_row(fake, frame.header.tag, 0, FLAG_LAST);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_OK);
    ck_assert_str_eq(rows, "name=q number=3 name=q number=5 name=q number=8 ");
    end(fake, &asker);
}
END_TEST

START_TEST(test_query_refused_and_lost)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = fake_with_asker(&asker);
    struct frame frame;
    fake_begin_asking(&asker, list_queues);
    fake_take(fake, FRAME_QUERY, &frame);
    fake_refuse(fake, frame.header.tag, STATUS_UNKNOWN_QUERY, "");
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_EREFUSED);
    fake_begin_asking(&asker, list_queues);
    fake_take(fake, FRAME_QUERY, &frame);
    fake_drop(fake);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ELOST);
    end(fake, &asker);
}
END_TEST

START_TEST(test_malformed_row)
{
    struct fake_asker asker = {0};
    struct fake_broker *fake = fake_with_asker(&asker);
    struct frame frame;
    fake_begin_asking(&asker, list_queues);
    fake_take(fake, FRAME_QUERY, &frame);
    struct frame row = {
        .header = {.type = FRAME_ROW, .flags = FLAG_LAST, .tag = frame.header.tag},
        .as.row.fields = wire_bytes_of_text("\xff garbage"),
    };
    fake_say(fake, &row);
    ck_assert_int_eq(fake_end_asking(&asker), HERALD_ELOST);
    end(fake, &asker);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manage");
    TCase *manage = tcase_create("manage");
    tcase_add_test(manage, test_frames);
    tcase_add_test(manage, test_settings_of_exchanges);
    tcase_add_test(manage, test_arguments);
    tcase_add_test(manage, test_pages);
    tcase_add_test(manage, test_query_refused_and_lost);
    tcase_add_test(manage, test_malformed_row);
    suite_add_tcase(suite, manage);
    return check_main(suite);
}
