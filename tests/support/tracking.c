/* Tracked commands in a scene, in short calls. */
#include "tests/support/tracking.h"

#include "tests/support/check_main.h"

unsigned char properties[512];
struct wire_writer w;

struct wire_id id_of(unsigned n)
{
    struct wire_id id = {{0x01, 0x92, 0xf0}};
    id.byte[15] = (unsigned char)n;
    id.byte[14] = (unsigned char)(n >> 8);
    return id;
}

/* Begins a list of properties: tracked, with this id. */
void track(unsigned n)
{
    struct wire_id id = id_of(n);
    w = wire_writer_of(properties, sizeof properties);
    property_put(&w, PROPERTY_MESSAGE_ID, wire_bytes_of(id.byte, sizeof id.byte));
    property_put_number(&w, PROPERTY_MESSAGE_TRACK, 1);
}

void with(uint8_t kind, uint64_t value)
{
    property_put_number(&w, kind, value);
}

void with_id(uint8_t kind, struct wire_id id)
{
    property_put(&w, kind, wire_bytes_of(id.byte, sizeof id.byte));
}

void with_text(uint8_t kind, const char *value)
{
    property_put(&w, kind, wire_bytes_of_text(value));
}

uint64_t say_tracked(const char *queue, const char *body, uint8_t flags)
{
    struct frame frame = {.header.type = FRAME_SEND, .header.flags = flags};
    frame.as.send =
        (struct frame_send){.queue = wire_bytes_of_text(queue),
                            .properties = wire_bytes_of(properties, (uint32_t)wire_written(&w)),
                            .body_bytes = (uint32_t)strlen(body),
                            .body = wire_bytes_of_text(body)};
    return actor_say(alice, &frame);
}

void do_tracked(const char *body)
{
    hear_confirm(alice, say_tracked("work", body, 0));
}

uint64_t say_status(struct actor *actor, unsigned n, unsigned until, uint32_t timeout_ms)
{
    struct frame frame = {.header.type = FRAME_COMMAND_STATUS};
    frame.as.command_status = (struct frame_command_status){id_of(n), (uint8_t)until, timeout_ms};
    return actor_say(actor, &frame);
}

struct frame_command_state hear_state(struct actor *actor, uint64_t tag, bool is_last,
                                      unsigned state)
{
    struct frame frame;
    ck_assert(actor_next(actor, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_COMMAND_STATE);
    ck_assert_uint_eq(frame.header.tag, tag);
    ck_assert_uint_eq(frame.header.flags, is_last ? FLAG_LAST : 0);
    ck_assert_uint_eq(frame.as.command_state.state, state);
    return frame.as.command_state;
}

struct frame_command_state ask(unsigned n, unsigned state)
{
    return hear_state(alice, say_status(alice, n, COMMAND_NOW, 0), true, state);
}

void is_failed(const struct frame_command_state *state, const char *code, unsigned ran)
{
    ck_assert(wire_bytes_equal(state->code, wire_bytes_of_text(code)));
    ck_assert_uint_eq(state->ran, ran);
}

uint64_t say_durable_call(const char *body, uint32_t timeout_ms)
{
    struct frame frame = {.header.type = FRAME_CALL, .header.flags = FLAG_DURABLE};
    frame.as.call =
        (struct frame_call){.queue = wire_bytes_of_text("work"),
                            .timeout_ms = timeout_ms,
                            .properties = wire_bytes_of(properties, (uint32_t)wire_written(&w)),
                            .body_bytes = (uint32_t)strlen(body),
                            .body = wire_bytes_of_text(body)};
    return actor_say(alice, &frame);
}

uint64_t say_take_back(struct actor *actor, unsigned n)
{
    struct frame frame = {.header.type = FRAME_COMMAND_CANCEL};
    frame.as.command_cancel.id = id_of(n);
    return actor_say(actor, &frame);
}

void hear_unwanted(uint64_t delivery, enum status status)
{
    struct frame frame;
    ck_assert(actor_next(bob, &frame));
    ck_assert_uint_eq(frame.header.type, FRAME_UNWANTED);
    ck_assert_uint_eq(frame.as.unwanted.delivery, delivery);
    ck_assert_uint_eq(frame.as.unwanted.code, status);
}

uint64_t say_fail_as(uint64_t delivery, unsigned class)
{
    struct frame frame = {.header.type = FRAME_FAIL};
    frame.as.fail = (struct frame_fail){.start = bob->start,
                                        .delivery = delivery,
                                        .class = (uint8_t) class,
                                        .retry_after_ms = 100,
                                        .code = wire_bytes_of_text("BROKEN"),
                                        .text = wire_bytes_of_text("because"),
                                        .detail = wire_bytes_of_text("more")};
    return actor_say(bob, &frame);
}

void tracking_set_up(void)
{
    scene = scene_new(14);
    alice = enter_as(scene, "");
    bob = enter_as(scene, "");
    do_queue(alice, "work");
}

void tracking_tear_down(void)
{
    scene_free(scene);
}

void crash_and_enter(void)
{
    scene_settle(scene);
    scene_crash(scene, DISK_SIM_NONE);
    ck_assert(actor_enter(alice));
    ck_assert(actor_enter(bob));
}

void outlive_the_segments(void)
{
    static char large[4000];
    memset(large, 'x', sizeof large - 1);
    do_queue(alice, "churn");
    uint64_t segment = journal_durable_position(scene->journal) / SCENE_SEGMENT_BYTES;
    uint64_t end = (segment + 1) * SCENE_SEGMENT_BYTES;
    while (journal_space(scene->journal).oldest_end_position <= end) {
        for (unsigned i = 0; i < 10; i++)
            do_send(alice, "churn", large);
        hear_confirm(alice, say_queue_purge(alice, "churn"));
        scene_advance_ms(scene, 100);
        scene_settle(scene);
    }
    hear_confirm(alice, say_queue_delete(alice, "churn", 0));
}

struct heard run(const char *body)
{
    do_consume(bob, 1, "work", 1);
    return hear_delivery(bob, body);
}
