/* What stands beside the messages of a random load: definitions that change, somebody who left with
 * refusals, and a listener whose queues last no longer than the broker.
 *
 * The queue "side" comes and goes, and with it its binding to the exchange "aside". One change at a
 * time is on its way: behind a crash what was sure or what was tried must hold, and of the rest
 * everything. Nothing is expected of the listener; it must not hold up the journal.
 */
#include "tests/support/crash_world.h"

#include "protocol/property.h"

enum { ABSENTEE_TAGS = 2, LISTENER_PREFETCH = 8 };

static const char *const queue_names[LOAD_QUEUES] = {"orders", "copies"};

static struct wire_bytes text(const char *at)
{
    return wire_bytes_of_text(at);
}

/* --- changes ------------------------------------------------------------------------------------
 */

static void put_limit(struct load *load, struct frame *frame, unsigned char *settings, size_t room)
{
    struct wire_writer w = wire_writer_of(settings, room);
    bool is_narrow = !load->is_deep && chance_below(&load->chance, 100) < 30;
    load->tried.limit = is_narrow ? 5 : LOAD_MESSAGES_MAX + chance_below(&load->chance, 99);
    property_put_number(&w, PROPERTY_QUEUE_COUNT_MAX, load->tried.limit);
    frame->header.type = FRAME_QUEUE_SET;
    frame->as.queue_set.queue = text(queue_names[1]);
    frame->as.queue_set.settings = wire_bytes_of(settings, (uint32_t)wire_written(&w));
}

/* The next state of the queue "side", or a message into it. */
static void put_side_change(struct load *load, struct frame *frame)
{
    static const unsigned char body[400];
    bool is_forth = chance_below(&load->chance, 2) == 0;
    if (load->sure.side == SIDE_GONE) {
        frame->header.type = FRAME_QUEUE_CREATE;
        frame->as.queue_create.queue = text("side");
        load->tried.side = SIDE_THERE;
    } else if (load->sure.side == SIDE_THERE && is_forth) {
        frame->header.type = FRAME_BIND;
        frame->as.bind = (struct frame_bind){text("side"), text("aside"), text("#"), {NULL, 0}};
        load->tried.side = SIDE_BOUND;
    } else if (load->sure.side == SIDE_BOUND && is_forth) {
        frame->header.type = FRAME_PUBLISH;
        frame->as.publish.exchange = text("aside");
        frame->as.publish.key = text("a");
        frame->as.publish.body = wire_bytes_of(body, sizeof body);
        frame->as.publish.body_bytes = sizeof body;
    } else if (load->sure.side == SIDE_BOUND && chance_below(&load->chance, 2) == 0) {
        frame->header.type = FRAME_UNBIND;
        frame->as.unbind = (struct frame_unbind){text("side"), text("aside"), text("#")};
        load->tried.side = SIDE_THERE;
    } else {
        frame->header.type = FRAME_QUEUE_DELETE;
        frame->as.queue_delete.queue = text("side");
        load->tried.side = SIDE_GONE;
    }
}

void load_keeper_change(struct load *load)
{
    unsigned char settings[32];
    struct frame frame = {0};
    if (load->keeper->peer == NULL || load->keeper_tag != 0)
        return;
    load->tried = load->sure;
    if (chance_below(&load->chance, 3) == 0)
        put_limit(load, &frame, settings, sizeof settings);
    else
        put_side_change(load, &frame);
    load->keeper_tag = actor_write(load->keeper, &frame);
    actor_flush(load->keeper);
}

void load_keeper_listen(struct load *load)
{
    struct frame frame;
    while (actor_next(load->keeper, &frame)) {
        if (frame.header.type == FRAME_REFUSE)
            load_violate(load, "D11: a definition is refused");
        if (frame.header.type == FRAME_CONFIRM && frame.as.confirm.last >= load->keeper_tag) {
            load->sure = load->tried;
            load->keeper_tag = 0;
        }
    }
}

/* --- judging them -------------------------------------------------------------------------------
 */

/* Asks for rows; returns how many have this field, and that of the last one. */
static size_t ask(struct load *load, uint8_t subject, const char *name, const char *field_name,
                  uint64_t *number)
{
    size_t count = 0;
    struct frame frame = {.header.type = FRAME_QUERY};
    frame.as.query = (struct frame_query){.subject = subject, .name = text(name)};
    actor_say(load->keeper, &frame);
    while (actor_next(load->keeper, &frame)) {
        if (frame.header.type != FRAME_ROW)
            continue;
        struct wire_reader r = wire_reader_of(frame.as.row.fields.at, frame.as.row.fields.bytes);
        struct row_field field;
        while (row_next(&r, &field))
            if (wire_bytes_equal(field.name, text(field_name))) {
                *number = field.number;
                count++;
            }
    }
    return count;
}

void load_judge_definitions(struct load *load)
{
    struct load_definitions now = {.side = SIDE_GONE};
    uint64_t bindings = 0;
    (void)ask(load, QUERY_QUEUE, queue_names[1], "max_count", &now.limit);
    if (ask(load, QUERY_QUEUE, "side", "max_count", &(uint64_t){0}) > 0)
        now.side = SIDE_THERE;
    bindings = ask(load, QUERY_BINDINGS, "aside", "number", &(uint64_t){0});
    if (bindings > 0)
        now.side = SIDE_BOUND;
    size_t fixed = ask(load, QUERY_BINDINGS, "news", "number", &(uint64_t){0});
    if (load->scene->has_failed)
        return; /* it crashed before it could answer */
    if (fixed != LOAD_QUEUES || bindings > 1)
        load_violate(load, "D11: there are other bindings than were confirmed");
    bool is_tried = load->keeper_tag != 0;
    if (now.limit != load->sure.limit && (!is_tried || now.limit != load->tried.limit))
        load_violate(load, "D11: a queue has other settings than were confirmed");
    if (now.side != load->sure.side && (!is_tried || now.side != load->tried.side))
        load_violate(load, "D11: a queue or its binding is not as was confirmed");
    load->sure = load->tried = now;
    load->keeper_tag = 0;
}

/* --- somebody who left --------------------------------------------------------------------------
 */

static void absentee_leave(struct load *load)
{
    struct actor *absentee = load->absentee;
    (void)actor_enter(absentee);
    for (int i = 0; i < ABSENTEE_TAGS; i++) {
        struct frame frame = {.header.type = FRAME_SEND};
        frame.as.send.queue = text("nowhere");
        frame.as.send.body = text("lost");
        frame.as.send.body_bytes = 4;
        actor_say(absentee, &frame);
    }
    actor_cut(absentee);
}

void load_judge_absentee(struct load *load)
{
    struct frame frame;
    uint64_t refused = 0;
    bool is_in = actor_resume(load->absentee, 0);
    if (load->scene->has_failed)
        return;
    while (is_in && actor_next(load->absentee, &frame))
        if (frame.header.type == FRAME_REFUSE && frame.header.tag == refused + 1 &&
            frame.as.refuse.code == STATUS_NO_QUEUE)
            refused++;
    if (!is_in || load->absentee->answered != ABSENTEE_TAGS || refused != ABSENTEE_TAGS)
        load_violate(load, "D11: what a client that left was refused is not known any more");
    actor_cut(load->absentee);
}

/* --- the listener -------------------------------------------------------------------------------
 */

void load_listener_enter(struct load *load)
{
    struct actor *listener = load->listener;
    if (listener->peer != NULL || !actor_enter(listener))
        return;
    struct frame frame = {.header.type = FRAME_QUEUE_CREATE, .header.flags = FLAG_QUEUE_TRANSIENT};
    frame.as.queue_create.queue = text("fast");
    actor_write(listener, &frame);
    frame = (struct frame){.header.type = FRAME_BIND};
    frame.as.bind = (struct frame_bind){text("fast"), text("news"), text("#"), {NULL, 0}};
    actor_write(listener, &frame);
    frame = (struct frame){.header.type = FRAME_CONSUME};
    frame.as.consume = (struct frame_consume){
        .consumer = 1, .queue = text("fast"), .prefetch_messages = LISTENER_PREFETCH};
    actor_write(listener, &frame);
    frame = (struct frame){.header.type = FRAME_SUBSCRIBE};
    frame.as.subscribe = (struct frame_subscribe){2, text("news"), text("#"), {NULL, 0}};
    actor_write(listener, &frame);
    actor_flush(listener);
}

void load_listener_listen(struct load *load)
{
    struct actor *listener = load->listener;
    struct frame frame;
    uint64_t last = 0;
    while (actor_next(listener, &frame))
        if (frame.header.type == FRAME_DELIVER)
            last = frame.as.deliver.delivery;
    if (last == 0 || listener->peer == NULL || load->scene->has_failed)
        return;
    frame = (struct frame){.header.type = FRAME_DONE};
    frame.as.done = (struct frame_done){listener->start, 1, last};
    actor_write(listener, &frame);
    actor_flush(listener);
}

/* --- the first life -----------------------------------------------------------------------------
 */

void load_define(struct load *load)
{
    struct actor *keeper = load->keeper;
    static const char *const exchanges[] = {"news", "aside"};
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++) {
        struct frame frame = {.header.type = FRAME_EXCHANGE_CREATE};
        frame.as.exchange_create.exchange = text(exchanges[i]);
        actor_say(keeper, &frame);
    }
    for (int i = 0; i < LOAD_QUEUES; i++) {
        struct frame frame = {.header.type = FRAME_QUEUE_CREATE};
        frame.as.queue_create.queue = text(queue_names[i]);
        actor_say(keeper, &frame);
        frame = (struct frame){.header.type = FRAME_BIND};
        frame.as.bind = (struct frame_bind){
            text(queue_names[i]), text("news"), text(i == 0 ? "order.*" : "#"), {NULL, 0}};
        actor_say(keeper, &frame);
    }
    load_keeper_listen(load);
    absentee_leave(load);
}
