/* The exchanges of a world of histories: made, deleted, changed, asked. */
#include <assert.h>
#include <string.h>

#include "protocol/property.h"
#include "tests/support/history_world_state.h"

const char *book_entity(int entity)
{
    static const char *const names[ENTITIES] = {"one", "two", "three", "seldom", "raced"};
    return names[entity];
}

void book_init(struct history_world *world)
{
    static const char *const names[BOOKS] = {"book", "ledger"};
    static const char *const queues[BOOKS] = {"book.bound", "ledger.bound"};
    static const char *const cursors[BOOKS][CURSORS] = {{"book.all", "book.some"},
                                                        {"ledger.all", "ledger.some"}};
    for (int i = 0; i < BOOKS; i++) {
        struct book *book = &world->books[i];
        book->name = names[i];
        book->queue = queues[i];
        memcpy(book->cursors, cursors[i], sizeof book->cursors);
        book->open_from = 1;
        book->generation = 1;
    }
}

/* --- asking the broker --------------------------------------------------------------------------
 */

/* Says it and waits for the answer. False: it was refused, or the broker has ended; *is_answered
 * tells. */
static bool ask(struct history_world *world, struct frame *frame, bool *is_answered)
{
    struct actor *keeper = world->keeper;
    *is_answered = false;
    if (!history_world_is_up(world) || keeper->peer == NULL)
        return false;
    uint64_t tag = actor_say(keeper, frame);
    struct frame answer;
    while (actor_next(keeper, &answer)) {
        if (answer.header.type == FRAME_REFUSE && answer.header.tag == tag) {
            *is_answered = true;
            return false;
        }
        if (answer.header.type == FRAME_CONFIRM && answer.as.confirm.last >= tag) {
            *is_answered = true;
            return true;
        }
    }
    return false;
}

uint64_t book_ask(struct history_world *world, struct book *book, const char *field)
{
    struct frame frame = {.header.type = FRAME_QUERY};
    frame.as.query.subject = QUERY_EXCHANGE;
    frame.as.query.name = wire_bytes_of_text(book->name);
    if (!history_world_is_up(world) || world->keeper->peer == NULL)
        return 0;
    uint64_t value = 0;
    (void)actor_say(world->keeper, &frame);
    while (actor_next(world->keeper, &frame)) {
        if (frame.header.type != FRAME_ROW)
            continue;
        struct wire_reader r = wire_reader_of(frame.as.row.fields.at, frame.as.row.fields.bytes);
        struct row_field row;
        while (row_next(&r, &row))
            if (wire_bytes_equal(row.name, wire_bytes_of_text(field)))
                value = row.number;
    }
    return value;
}

void book_retry(struct history_world *world, struct book *book, unsigned cursor)
{
    bool is_answered;
    struct frame frame = {.header.type = FRAME_PARKED_RETRY};
    frame.as.parked_retry =
        (struct frame_parked_retry){wire_bytes_of_text(book->cursors[cursor]), 0, UINT64_MAX};
    (void)ask(world, &frame, &is_answered); /* nothing may be parked, or there is no cursor */
}

/* --- coming and going ---------------------------------------------------------------------------
 */

static void create(struct history_world *world, struct book *book)
{
    unsigned char settings[32];
    bool is_answered;
    struct wire_writer s = wire_writer_of(settings, sizeof settings);
    property_put_number(&s, PROPERTY_EXCHANGE_HISTORY, 1);
    struct frame frame = {.header.type = FRAME_EXCHANGE_CREATE};
    frame.as.exchange_create.exchange = wire_bytes_of_text(book->name);
    frame.as.exchange_create.settings = wire_bytes_of(settings, (uint32_t)wire_written(&s));
    book->state = BOOK_UNSURE;
    book->is_deleting = false;
    (void)ask(world, &frame, &is_answered); /* it may be there, and keep more or less */
    frame = (struct frame){.header.type = FRAME_QUEUE_CREATE};
    frame.as.queue_create.queue = wire_bytes_of_text(book->queue);
    (void)ask(world, &frame, &is_answered);
    frame = (struct frame){.header.type = FRAME_BIND};
    frame.as.bind = (struct frame_bind){wire_bytes_of_text(book->queue),
                                        wire_bytes_of_text(book->name),
                                        wire_bytes_of_text("b.#"),
                                        {NULL, 0}};
    if (ask(world, &frame, &is_answered))
        book->state = BOOK_THERE;
}

/* All that was is no more. */
static void bury(struct history_world *world, struct book *book)
{
    book->state = BOOK_GONE;
    book->generation++;
    book->is_retired = false;
    book->event_count = 0;
    book->open_from = 1;
    book->last_read = 0;
    memset(book->versions, 0, sizeof book->versions);
    memset(book->events, 0, sizeof book->events);
    memset(book->kept, 0, sizeof book->kept);
    memset(book->readings, 0, sizeof book->readings);
    work_forget_book(world, (unsigned)(book - world->books));
    for (int i = 0; i < RACERS && book == world->books; i++)
        world->racers[i].known = 0;
    if (world->read_book == (unsigned)(book - world->books))
        history_world_stop_reading(world);
    world->counters->deleted++;
}

void book_enter(struct history_world *world, struct book *book)
{
    bool is_there = book_ask(world, book, "history") != 0;
    if (!history_world_is_up(world))
        return;
    if (!is_there && book->state == BOOK_THERE)
        history_world_violate(world, "lost: an exchange that was confirmed");
    if (is_there && book->state == BOOK_GONE && world->violation == NULL && book->generation > 1)
        history_world_violate(world, "came back: an exchange that was deleted");
    if (!is_there && book->state == BOOK_UNSURE && book->is_deleting)
        bury(world, book);
    if (book->state == BOOK_UNSURE && is_there && book->is_deleting)
        book->state = BOOK_THERE;
    if (book->state != BOOK_THERE)
        create(world, book);
}

void book_delete(struct history_world *world, struct book *book)
{
    bool is_answered;
    scene_settle(world->scene);
    publish_take_answers(world);
    for (int i = 0; i < WORKERS; i++)
        work_take(world, &world->workers[i]);
    if (book->state != BOOK_THERE || !history_world_is_up(world) ||
        book->open_from <= book->event_count)
        return;
    struct frame frame = {.header.type = FRAME_EXCHANGE_DELETE};
    frame.as.exchange_delete.exchange = wire_bytes_of_text(book->name);
    book->state = BOOK_UNSURE;
    book->is_deleting = true;
    if (ask(world, &frame, &is_answered))
        bury(world, book);
    else if (is_answered)
        book->state = BOOK_THERE;
    if (book->state == BOOK_GONE && history_world_chance(world, 4) != 0)
        create(world, book);
}

/* --- changes ------------------------------------------------------------------------------------
 */

void book_set(struct history_world *world, struct book *book)
{
    static const struct {
        uint8_t property;
        uint64_t value;
    } choices[] = {
        {PROPERTY_EXCHANGE_COUNT_MAX, 300},      {PROPERTY_EXCHANGE_COUNT_MAX, 40},
        {PROPERTY_EXCHANGE_COUNT_MAX, 0},        {PROPERTY_EXCHANGE_BYTES_MAX, 300 << 10},
        {PROPERTY_EXCHANGE_BYTES_MAX, 90 << 10}, {PROPERTY_EXCHANGE_BYTES_MAX, 0},
        {PROPERTY_EXCHANGE_AGE_MAX, 60000},      {PROPERTY_EXCHANGE_AGE_MAX, 8000},
        {PROPERTY_EXCHANGE_AGE_MAX, 0},
    };
    unsigned char settings[32];
    bool is_answered;
    uint64_t choice = history_world_chance(world, sizeof choices / sizeof choices[0]);
    struct wire_writer s = wire_writer_of(settings, sizeof settings);
    property_put_number(&s, choices[choice].property, choices[choice].value);
    struct frame frame = {.header.type = FRAME_EXCHANGE_SET};
    frame.as.exchange_set.exchange = wire_bytes_of_text(book->name);
    frame.as.exchange_set.settings = wire_bytes_of(settings, (uint32_t)wire_written(&s));
    book->is_retired = true;
    (void)ask(world, &frame, &is_answered);
}

void book_seek(struct history_world *world, struct book *book)
{
    bool is_answered;
    for (int i = 0; i < WORKERS; i++)
        work_take(world, &world->workers[i]);
    if (book->state != BOOK_THERE || world->violation != NULL)
        return;
    uint64_t at = 1 + history_world_chance(world, book->last_read + 1);
    struct frame frame = {.header.type = FRAME_CURSOR_SEEK};
    frame.as.cursor_seek =
        (struct frame_cursor_seek){wire_bytes_of_text(book->cursors[SOME]), FOLLOW_SEQUENCE, at};
    unsigned number = (unsigned)(book - world->books);
    work_move_may(world, number, at - 1);
    if (!ask(world, &frame, &is_answered))
        return; /* there is no cursor yet, or copies in the plain order keep it */
    work_moved(world, number, at - 1);
    world->counters->seeks++;
}
