/* Endings: the one way on which a message that somebody wants to hear of leaves its queue. */
#include "broker/core/ending.h"

#include <stdlib.h>

#include "broker/core/accept.h"
#include "broker/core/apply.h"
#include "broker/core/call.h"
#include "broker/core/kept.h"
#include "broker/core/kin.h"
#include "broker/core/queue.h"
#include "broker/core/recorder.h"
#include "broker/core/sys.h"
#include "broker/core/tracked.h"
#include "broker/core/ward.h"
#include "broker/core/watch.h"
#include "broker/plant.h"
#include "protocol/property.h"

enum {
    REPLY_PROPERTIES_BYTES = 300,
    REPLY_HEADERS_BYTES = 1024,
    /* Of the text of a failure a header holds so much; all of it is in the outcome. */
    REPLY_TEXT_BYTES = 512,
    /* What a record holds of a message besides its lists and its body. */
    MESSAGE_BYTES = 64,
};

struct ending ending_of(enum status status, enum frame_outcome_ran ran)
{
    return (struct ending){.state = OUTCOME_FAILED,
                           .ran = (uint8_t)ran,
                           .code = wire_bytes_of_text(status_name(status)),
                           .text = wire_bytes_of_text(status_text(status))};
}

struct ending ending_of_aside(enum status status, const struct aside *aside)
{
    enum frame_outcome_ran ran = queue_ran(aside_queue(aside), aside->number, aside->word);
    return ending_of(status, planted(PLANT_RAN_GUESSED) ? OUTCOME_NOT_RUN : ran);
}

bool ending_is_wanted(struct aside *aside)
{
    const struct ward *ward = aside_ward(aside);
    return ward != NULL && (ward->tracked != NULL || ward->reply != NULL);
}

/* --- the reply ----------------------------------------------------------------------------------
 */

/* The message to the reply queue, as it is made. */
struct answer {
    struct accept accept;
    struct queue *queue; /* NULL: nobody gets it */
    unsigned char properties[REPLY_PROPERTIES_BYTES];
    unsigned char headers[REPLY_HEADERS_BYTES];
};

static void put_header(struct wire_writer *w, const char *name, struct wire_bytes value)
{
    if (value.bytes > REPLY_TEXT_BYTES)
        value.bytes = REPLY_TEXT_BYTES;
    header_put(w, wire_bytes_of_text(name), value);
}

static void answer_make(struct core *core, struct answer *answer, const struct reply *reply,
                        const struct ending *ending)
{
    static const char *const ran[] = {"not_run", "maybe_run", "ran"};
    answer->queue = NULL;
    if (reply == NULL)
        return;
    answer->queue = queue_find(core, reply_queue(reply));
    if (answer->queue == NULL || answer->queue->cursor != NULL) {
        answer->queue = NULL;
        core->counters.replies_lost++;
        return;
    }
    struct wire_writer w = wire_writer_of(answer->properties, sizeof answer->properties);
    if (reply->has_id)
        property_put(&w, PROPERTY_MESSAGE_OUTCOME_OF,
                     wire_bytes_of(reply->id.byte, sizeof reply->id.byte));
    if (reply->correlation_bytes > 0)
        property_put(&w, PROPERTY_MESSAGE_CORRELATION, reply_correlation(reply));
    struct wire_writer h = wire_writer_of(answer->headers, sizeof answer->headers);
    put_header(&h, "outcome",
               wire_bytes_of_text(ending->state == OUTCOME_DONE ? "done" : "failed"));
    if (ending->state != OUTCOME_DONE) {
        put_header(&h, "ran", wire_bytes_of_text(ran[ending->ran]));
        put_header(&h, "code", ending->code);
        put_header(&h, "text", ending->text);
    }
    answer->accept = (struct accept){
        .core = core,
        .queues = &answer->queue,
        .queue_count = 1,
        .is_reply = true,
        .message.properties = wire_bytes_of(answer->properties, (uint32_t)wire_written(&w)),
        .message.headers = wire_bytes_of(answer->headers, (uint32_t)wire_written(&h)),
        .message.body = ending->body};
}

static size_t answer_bytes(const struct answer *answer)
{
    const struct operation_message *message = &answer->accept.message;
    if (answer->queue == NULL)
        return 0;
    return MESSAGE_BYTES + message->properties.bytes + message->headers.bytes + message->body.bytes;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static enum status leave(struct core *core, struct peer *peer, struct queue *queue, uint64_t number,
                         const struct operation_park *park)
{
    if (park == NULL)
        return queue_settle(core, peer, queue, number, number);
    struct parked *parked = kept_add_parked(queue, number);
    if (parked == NULL)
        return STATUS_NO_MEMORY;
    uint64_t position;
    enum status status = recorder_append_park(core, peer, park, &position);
    if (status != STATUS_OK) {
        kept_end_parked(core, queue, parked);
        return status;
    }
    core->counters.messages_parked++;
    return apply_park(core, queue, park, position);
}

/* All that one ending needs, made before anything is recorded. */
struct turn {
    struct operation_outcome operation;
    struct kept_outcome *kept; /* NULL: it is not tracked */
    struct parked *parked;     /* NULL: it is not parked */
    struct answer answer;
    size_t bytes;
    unsigned char kin[KIN_LIST_BYTES_MAX];
};

static void outcome_make(struct core *core, struct turn *turn, struct aside *aside,
                         const struct ending *ending)
{
    const struct tracked *tracked = aside_ward(aside)->tracked;
    struct operation_outcome *operation = &turn->operation;
    *operation = tracked_operation(core, tracked);
    operation->state = ending->state;
    operation->ran = ending->ran;
    operation->attempts = ending->park != NULL
                              ? ending->park->attempts
                              : kept_failed_attempts(aside_queue(aside), aside->number);
    operation->kin = kin_list(tracked, turn->kin);
    operation->code = ending->code;
    operation->text = ending->text;
    operation->body = ending->body;
}

static enum status turn_make(struct core *core, struct turn *turn, struct aside *aside,
                             const struct ending *ending, bool is_leaving)
{
    const struct ward *ward = aside_ward(aside);
    const struct operation_settle settle = {0};
    turn->kept = NULL;
    turn->parked = NULL;
    answer_make(core, &turn->answer, ward->reply, ending);
    turn->bytes = answer_bytes(&turn->answer);
    if (is_leaving)
        turn->bytes +=
            ending->park != NULL ? record_size_park(ending->park) : record_size_settle(&settle);
    if (ending->park != NULL) {
        turn->parked = kept_add_parked(aside_queue(aside), aside->number);
        if (turn->parked == NULL)
            return STATUS_NO_MEMORY;
    }
    if (ward->tracked == NULL)
        return STATUS_OK;
    outcome_make(core, turn, aside, ending);
    turn->bytes += record_size_outcome(&turn->operation);
    turn->kept = tracked_keep(&turn->operation);
    return turn->kept != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static void turn_drop(struct core *core, struct turn *turn, struct queue *queue)
{
    free(turn->kept);
    if (turn->parked != NULL)
        kept_end_parked(core, queue, turn->parked);
}

/* In one record: the reply first, because a message must lie near the beginning of its record, and
 * because it is the only one that may be refused. */
static enum status tell_and_leave(struct core *core, struct peer *peer, struct aside *aside,
                                  const struct ending *ending, bool is_leaving)
{
    struct tracked *tracked = aside_ward(aside)->tracked;
    struct queue *queue = aside_queue(aside);
    uint64_t number = aside->number;
    struct turn turn;
    bool is_held = false;
    enum status status = turn_make(core, &turn, aside, ending, is_leaving);
    if (status == STATUS_OK) {
        status = recorder_hold(core, peer, turn.bytes, JOURNAL_URGENT);
        is_held = status == STATUS_OK;
    }
    if (status == STATUS_OK && turn.answer.queue != NULL)
        status = accept_message(&turn.answer.accept);
    if (status != STATUS_OK) {
        if (is_held)
            recorder_let_go(core);
        turn_drop(core, &turn, queue);
        return status;
    }
    if (tracked != NULL) {
        uint64_t position;
        if (planted(PLANT_OUTCOME_UNRECORDED))
            position = 0;
        else
            (void)recorder_append_outcome(core, peer, &turn.operation, &position);
        tracked_finish(core, &turn.operation, position, turn.kept);
    }
    if (is_leaving)
        status = leave(core, peer, queue, number, ending->park);
    recorder_let_go(core);
    if (tracked != NULL)
        watch_tell(core, tracked);
    return status;
}

/* Calls are of transient messages, which nothing is recorded of. */
static void tell_caller(const struct queue *queue, uint64_t number, const struct ending *ending)
{
    if (queue->transient_count == 0)
        return;
    struct standing where = queue_locate(queue, number);
    uint64_t word = standing_is_found(where) ? standing_word(where) : 0;
    struct message *message = (word & PLACE_TRANSIENT) != 0 ? place_message(word) : NULL;
    if (message == NULL || message->call == NULL)
        return;
    call_end(message->call, ending);
    message->call = NULL;
}

enum status ending_carry_out(struct core *core, struct peer *peer, struct queue *queue,
                             uint64_t number, const struct ending *ending)
{
    tell_caller(queue, number, ending);
    struct aside *aside = asides_find(&queue->asides, number);
    enum status status = aside == NULL || !ending_is_wanted(aside)
                             ? leave(core, peer, queue, number, ending->park)
                             : tell_and_leave(core, peer, aside, ending, true);
    if (status == STATUS_OK && ending->park != NULL)
        sys_tell(core, &(struct sys_event){SYS_COMMAND_PARKED,
                                           .as.command_parked = {.queue = queue_name(queue),
                                                                 .number = number,
                                                                 .attempts = ending->park->attempts,
                                                                 .code = ending->park->code,
                                                                 .text = ending->park->text}});
    return status;
}

/* Those whose time was over before the start. */
static void expire_late(struct core *core, struct queue *queue)
{
    struct aside *aside = asides_next(&queue->asides, NULL);
    while (aside != NULL) {
        struct aside *next = asides_next(&queue->asides, aside);
        ward_expire_late(core, aside);
        aside = next;
    }
}

void ending_start(struct core *core)
{
    struct queue *queue;
    struct queue *next;
    struct ending ending = ending_of(STATUS_CANCELLED, OUTCOME_MAYBE_RUN);
    HASH_ITER (by_number, core->queues_by_number, queue, next) {
        struct attempted *attempted;
        struct attempted *next_attempted;
        HASH_ITER (hh, queue->attempted, attempted, next_attempted)
            if (attempted->is_cancelled)
                (void)ending_carry_out(core, NULL, queue, attempted->number, &ending);
        expire_late(core, queue);
    }
}

enum status ending_tell(struct core *core, struct aside *aside, const struct ending *ending)
{
    return ending_is_wanted(aside) ? tell_and_leave(core, NULL, aside, ending, false) : STATUS_OK;
}
