/* The open record: where handlers write what they have decided. */
#include "broker/core/recorder.h"

#include <assert.h>

#include "broker/core/apply.h"
#include "broker/core/state.h"
#include "broker/plant.h"
#include "broker/store/record.h"

enum {
    /* A record longer than this takes no further frame: a message must begin within PLACE_BACK_MAX
     * bytes of its record, and whoever reads one message back reads its record. */
    RECORD_SHARED_BYTES = 900,
    /* For the ANSWERED operation at the end. */
    RECORD_CLOSING_BYTES = 32,
    /* What the journal puts around a record, and the ANSWERED operation at its end. */
    RECORD_EXTRA_BYTES = 8 + RECORD_CLOSING_BYTES,
};

enum status recorder_begin(struct core *core, struct peer *peer, size_t bytes,
                           enum journal_urgency urgency, struct wire_writer *w)
{
    struct recorder *recorder = &core->recorder;
    if (recorder->is_held) {
        assert(bytes <= recorder->room - recorder->bytes);
        *w = wire_writer_of(recorder->at + recorder->bytes, recorder->room - recorder->bytes);
        return STATUS_OK;
    }
    /* A record opened for urgent things must not let fresh ones in past a full disk. */
    if (recorder->is_open && (recorder->peer != peer || recorder->bytes > RECORD_SHARED_BYTES ||
                              bytes > recorder->room - recorder->bytes ||
                              (urgency == JOURNAL_FRESH && journal_is_full(core->journal))))
        recorder_close(core);
    if (!recorder->is_open) {
        size_t room = bytes + RECORD_SHARED_BYTES;
        if (room + RECORD_CLOSING_BYTES > journal_record_bytes_max(core->journal))
            return STATUS_TOO_LARGE;
        recorder->at = journal_open_record(core->journal, room + RECORD_CLOSING_BYTES, urgency,
                                           &recorder->position);
        if (recorder->at == NULL)
            return journal_is_full(core->journal) ? STATUS_DISK_FULL : STATUS_NO_MEMORY;
        recorder->peer = peer;
        recorder->room = room;
        recorder->bytes = 0;
        recorder->is_open = true;
    }
    *w = wire_writer_of(recorder->at + recorder->bytes, recorder->room - recorder->bytes);
    return STATUS_OK;
}

enum status recorder_hold(struct core *core, struct peer *peer, size_t bytes,
                          enum journal_urgency urgency)
{
    struct wire_writer w;
    assert(!core->recorder.is_held);
    enum status status = recorder_begin(core, peer, bytes, urgency, &w);
    core->recorder.is_held = status == STATUS_OK;
    return status;
}

enum status recorder_keep_together(struct core *core, size_t bytes, uint32_t count)
{
    recorder_close(core);
    if (planted(PLANT_APPENDED_APART))
        return STATUS_OK;
    /* Each closes before the next one is opened, and only then wants more room than it takes. */
    return journal_keep_together(core->journal, bytes + (size_t)(count + 1) * RECORD_EXTRA_BYTES +
                                                    RECORD_SHARED_BYTES);
}

void recorder_let_go(struct core *core)
{
    core->recorder.is_held = false;
}

uint64_t recorder_position(const struct core *core, const struct wire_writer *w)
{
    return core->recorder.position + core->recorder.bytes + wire_written(w);
}

uint32_t recorder_back(const struct core *core, const struct wire_writer *w)
{
    return (uint32_t)(core->recorder.bytes + wire_written(w));
}

void recorder_end(struct core *core, const struct wire_writer *w)
{
    assert(!w->failed && wire_written(w) > 0);
    core->recorder.bytes += wire_written(w);
}

#define OPERATION(NAME, name, type, urgency, text)                                                 \
    enum status recorder_append_##name(struct core *core, struct peer *peer,                       \
                                       const struct operation_##name *operation,                   \
                                       uint64_t *position)                                         \
    {                                                                                              \
        struct wire_writer w;                                                                      \
        enum status status =                                                                       \
            recorder_begin(core, peer, record_size_##name(operation), JOURNAL_##urgency, &w);      \
        if (status != STATUS_OK)                                                                   \
            return status;                                                                         \
        if (position != NULL)                                                                      \
            *position = recorder_position(core, &w);                                               \
        record_put_##name(&w, operation);                                                          \
        recorder_end(core, &w);                                                                    \
        return STATUS_OK;                                                                          \
    }
#include "broker/store/records.def"

/* States how far the peer's client is answered: what the record holds is known by that. */
static void state_answered(struct core *core, struct client *client, uint64_t tag)
{
    struct recorder *recorder = &core->recorder;
    struct operation_answered answered = {client->number, tag};
    struct wire_writer w = wire_writer_of(recorder->at + recorder->bytes, RECORD_CLOSING_BYTES);
    uint64_t position = recorder_position(core, &w);
    record_put_answered(&w, &answered);
    recorder_end(core, &w);
    apply_answered(core, &answered, position);
}

/* A turn that was refused after its record was opened: an open record cannot be given up, so it
 * says something that nothing follows from. */
static void state_nothing(struct core *core)
{
    struct operation_settle nothing = {0, 1, 0};
    struct recorder *recorder = &core->recorder;
    struct wire_writer w = wire_writer_of(recorder->at, recorder->room);
    record_put_settle(&w, &nothing);
    recorder_end(core, &w);
}

void recorder_close(struct core *core)
{
    struct recorder *recorder = &core->recorder;
    if (!recorder->is_open)
        return;
    struct peer *peer = recorder->peer;
    if (recorder->bytes == 0)
        state_nothing(core);
    if (peer != NULL && peer->client != NULL && peer->answered_tag > peer->client->answered &&
        !planted(PLANT_ANSWERED_NOT_STATED))
        state_answered(core, peer->client, peer->answered_tag);
    recorder->is_open = false;
    recorder->peer = NULL;
    journal_close_record(core->journal, recorder->bytes);
}

uint64_t recorder_needs(const struct core *core)
{
    if (core->recorder.is_open)
        return core->recorder.position;
    uint64_t end = journal_news_position(core->journal);
    return end > 0 ? end - 1 : 0;
}
