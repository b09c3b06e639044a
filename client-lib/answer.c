/* The broker's answers: confirms, refusals, rows and outcomes, and what ends without one. */
#include "client-lib/client.h"

#include "client-lib/request.h"

#include <stdio.h>

enum {
    CONFIRM_BATCH = 256, /* callbacks gathered before the lock is let go */
    ROW_FIELDS_MAX = 64,
    ROW_TEXT_BYTES_MAX = 16 * 1024,
};

/* --- confirms -----------------------------------------------------------------------------------
 */

/* What a confirm has to be told about, gathered under the lock. */
struct confirm_batch {
    void *contexts[CONFIRM_BATCH];
    struct request *requests[CONFIRM_BATCH];
    size_t context_count;
    size_t request_count;
};

/* Marks entries of the range as answered. False when the batch filled up before the end. */
static bool gather_confirmed(struct herald_client *client, const struct frame_confirm *frame,
                             struct confirm_batch *batch)
{
    struct ring *ring = &client->outbox.inflight;
    bool wants_contexts = client->options.on_confirmed != NULL;
    batch->context_count = 0;
    batch->request_count = 0;
    for (size_t i = 0; i < ring->count; i++) {
        struct entry *entry = ring_at(ring, i);
        if (entry->tag > frame->last)
            return true;
        if (entry->answered || entry->tag < frame->first)
            continue;
        if (batch->context_count == CONFIRM_BATCH || batch->request_count == CONFIRM_BATCH)
            return false;
        entry->answered = true;
        client->outbox.answers++;
        if (entry_has_request(entry))
            batch->requests[batch->request_count++] = entry->context;
        else if (entry->kind == ENTRY_MESSAGE && wants_contexts && entry->context != NULL)
            batch->contexts[batch->context_count++] = entry->context;
    }
    return true;
}

static void tell_confirmed(struct herald_client *client, const struct confirm_batch *batch)
{
    for (size_t i = 0; i < batch->request_count; i++)
        request_answer(client, batch->requests[i], STATUS_OK, (struct wire_bytes){0});
    if (batch->context_count == 0)
        return;
    client_enter_callback(client);
    for (size_t i = 0; i < batch->context_count; i++)
        client->options.on_confirmed(client, batch->contexts[i], client->options.user);
    client_leave_callback(client);
}

void answer_handle_confirm(struct herald_client *client, const struct frame_confirm *frame)
{
    if (frame->first > frame->last || frame->last >= client->outbox.tag_next) {
        session_lose(client, "the broker confirmed what was never sent", 0);
        return;
    }
    bool is_complete;
    do {
        struct confirm_batch batch;
        is_complete = gather_confirmed(client, frame, &batch);
        outbox_trim(&client->outbox);
        tell_confirmed(client, &batch);
    } while (!is_complete);
    client_notify(client);
}

/* --- refusals -----------------------------------------------------------------------------------
 */

static void tell_refused(struct herald_client *client, enum herald_refused_kind kind, void *context,
                         const struct herald_error *error)
{
    if (client->options.on_refused == NULL)
        return;
    const struct herald_refusal refusal = {kind,        context,     error->code,
                                           error->name, error->text, error->version};
    client_enter_callback(client);
    client->options.on_refused(client, &refusal, client->options.user);
    client_leave_callback(client);
}

/* Remembers the first refusal for herald_flush. */
static void note_refusal(struct herald_client *client, const struct herald_error *error)
{
    if (client->refusal.status == HERALD_OK)
        client->refusal = *error;
}

static void refuse_call(struct herald_client *client, struct entry *entry,
                        const struct herald_error *error)
{
    struct entry copy = *entry;
    struct call *call = copy.context;
    entry->answered = true;
    ring_pop_answered(&client->outbox.calls);
    if (copy.kind == ENTRY_REQUEST) {
        request_answer(client, copy.context, error->code, wire_bytes_of_text(error->text));
        client_notify(client);
        return;
    }
    if (call == NULL)
        return;
    const struct herald_outcome outcome = {
        .status = error->status, .code = error->name, .text = error->text, .body = ""};
    call_finish(client, call, &outcome);
}

void answer_handle_refuse(struct herald_client *client, uint64_t tag,
                          const struct frame_refuse *frame)
{
    struct herald_error error;
    error_fill(&error, frame->code, frame->text);
    struct entry *entry = ring_find(&client->outbox.inflight, tag);
    if (entry == NULL) {
        entry = ring_find(&client->outbox.calls, tag);
        if (entry != NULL)
            refuse_call(client, entry, &error);
        else if (tag < client->outbox.tag_next)
            tell_refused(client, HERALD_REFUSED_SEND, NULL, &error); /* a transient one */
        return;
    }
    struct entry copy = *entry;
    entry->answered = true;
    client->outbox.answers++;
    outbox_trim(&client->outbox);
    if (entry_has_request(&copy)) {
        request_answer(client, copy.context, frame->code, frame->text);
    } else {
        note_refusal(client, &error);
        tell_refused(client,
                     copy.kind == ENTRY_SETTLE ? HERALD_REFUSED_SETTLE : HERALD_REFUSED_SEND,
                     copy.context, &error);
    }
    client_notify(client);
}

/* --- rows ---------------------------------------------------------------------------------------
 */

/* Copies the bytes with a NUL behind them. */
static const char *put_text(struct wire_writer *w, struct wire_bytes text)
{
    const char *at = (const char *)w->at;
    wire_put_rest(w, text);
    wire_put_u8(w, 0);
    return at;
}

/* Number of fields; sets r->failed when the row is malformed or larger than rows may be. */
static size_t read_fields(struct wire_reader *r, struct wire_writer *texts,
                          struct herald_field fields[ROW_FIELDS_MAX])
{
    size_t count = 0;
    struct row_field field;
    while (row_next(r, &field)) {
        if (count == ROW_FIELDS_MAX) {
            r->failed = true;
            break;
        }
        fields[count++] = (struct herald_field){
            .name = put_text(texts, field.name),
            .kind = (enum herald_field_kind)field.kind,
            .text = put_text(texts, field.text),
            .text_bytes = field.text.bytes,
            .number = field.number,
        };
    }
    if (texts->failed)
        r->failed = true;
    return count;
}

static uint64_t number_of_row(const struct herald_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].kind == HERALD_FIELD_NUMBER && strcmp(fields[i].name, "number") == 0)
            return fields[i].number;
    return 0;
}

/* False when the row is malformed. */
static bool tell_row(struct herald_client *client, struct request *request, struct wire_bytes bytes)
{
    struct herald_field fields[ROW_FIELDS_MAX];
    char texts[ROW_TEXT_BYTES_MAX];
    struct wire_reader r = wire_reader_of(bytes.at, bytes.bytes);
    struct wire_writer w = wire_writer_of(texts, sizeof texts);
    size_t count = read_fields(&r, &w, fields);
    if (r.failed)
        return false;
    if (!request->waited)
        return true;
    const struct herald_query *query = request->query;
    *request->row_number = number_of_row(fields, count);
    request->busy = true;
    client_enter_callback(client);
    query->on_row(fields, count, query->context);
    client_leave_callback(client);
    request->busy = false;
    return true;
}

struct request *answer_find_request(struct herald_client *client, uint64_t tag)
{
    struct entry *entry = ring_find(&client->outbox.inflight, tag);
    return entry != NULL && entry_has_request(entry) ? entry->context : NULL;
}

void answer_finish_request(struct herald_client *client, uint64_t tag)
{
    struct entry *entry = ring_find(&client->outbox.inflight, tag);
    struct request *request = entry->context;
    entry->answered = true;
    client->outbox.answers++;
    outbox_trim(&client->outbox);
    request_answer(client, request, STATUS_OK, (struct wire_bytes){0});
    client_notify(client);
}

void answer_handle_row(struct herald_client *client, const struct frame_header *header,
                       struct wire_bytes fields)
{
    struct request *request = answer_find_request(client, header->tag);
    if (request == NULL) {
        session_lose(client, "the broker sent a row that nobody asked for", 0);
        return;
    }
    if (request->type != FRAME_QUERY || (fields.bytes > 0 && !tell_row(client, request, fields))) {
        session_lose(client, "the broker sent a malformed row", 0);
        return;
    }
    if ((header->flags & FLAG_LAST) == 0) {
        client_notify(client);
        return;
    }
    answer_finish_request(client, header->tag);
}

void answer_handle_count(struct herald_client *client, uint64_t tag, uint64_t count)
{
    struct request *request = answer_find_request(client, tag);
    if (request == NULL)
        return;
    if (request->type == FRAME_FOLLOW && request->consumer != NULL)
        follow_on_begin(request->consumer, count);
    else if (request->row_number != NULL)
        *request->row_number = count;
}

void answer_handle_peeked(struct herald_client *client, const struct frame *frame,
                          struct wire_bytes body)
{
    struct request *request = answer_find_request(client, frame->header.tag);
    if (request == NULL || request->type != FRAME_PEEK) {
        session_lose(client, "the broker showed a message that nobody asked for", 0);
        return;
    }
    if (request->peeked != NULL && frame->as.peeked.number != 0)
        *request->peeked = message_of_peeked(client, &frame->as.peeked, body);
    answer_finish_request(client, frame->header.tag);
}

/* --- outcomes -----------------------------------------------------------------------------------
 */

static enum herald_status outcome_status(const struct frame_outcome *frame, const char *code)
{
    if (frame->state == OUTCOME_DONE)
        return HERALD_OK;
    /* Only the broker can say that work was not begun, so its own names mean what they say. */
    if (frame->ran == OUTCOME_NOT_RUN && strcmp(code, "NO_QUEUE") == 0)
        return HERALD_ENOTFOUND;
    if (frame->ran == OUTCOME_NOT_RUN && strcmp(code, "DENIED") == 0)
        return HERALD_EDENIED;
    if (strcmp(code, "EXPIRED") == 0)
        return HERALD_ETIMEOUT;
    return HERALD_EFAILED;
}

void answer_handle_outcome(struct herald_client *client, uint64_t tag,
                           const struct frame_outcome *frame, struct wire_bytes body)
{
    struct entry *entry = ring_find(&client->outbox.calls, tag);
    if (entry == NULL || entry->context == NULL || entry->kind != ENTRY_CALL) {
        if (entry != NULL)
            entry->answered = true;
        ring_pop_answered(&client->outbox.calls);
        return; /* the caller gave up before */
    }
    struct call *call = entry->context;
    entry->answered = true;
    ring_pop_answered(&client->outbox.calls);
    char code[NAME_BYTES_MAX + 1];
    char text[1024];
    (void)snprintf(code, sizeof code, "%.*s", (int)frame->code.bytes, (const char *)frame->code.at);
    (void)snprintf(text, sizeof text, "%.*s", (int)frame->text.bytes, (const char *)frame->text.at);
    const struct herald_outcome outcome = {
        .status = outcome_status(frame, code),
        .ran = frame->ran <= OUTCOME_RAN ? (enum herald_ran)frame->ran : HERALD_MAYBE_RUN,
        .code = code,
        .text = text,
        .body = body.bytes > 0 ? (const void *)body.at : "",
        .body_bytes = body.bytes,
    };
    call_finish(client, call, &outcome);
}

/* --- what ends without an answer ----------------------------------------------------------------
 */

static void lose_call(struct herald_client *client, struct call *call, enum herald_ran ran)
{
    const struct herald_outcome outcome = {
        .status = HERALD_ELOST,
        .ran = ran,
        .code = "CONNECTION_LOST",
        .text = "the connection was lost before the outcome came",
        .body = "",
    };
    call_finish(client, call, &outcome);
}

static void lose_calls(struct herald_client *client)
{
    struct outbox *outbox = &client->outbox;
    while (outbox->calls.count > 0) {
        struct entry entry = *ring_at(&outbox->calls, 0);
        ring_pop(&outbox->calls);
        /* Not a byte of what stands behind the part being written has left. */
        bool is_unwritten = outbox->region_at < outbox->region_end &&
                            entry.start >= outbox->region_at && entry.start < outbox->region_end;
        if (!entry.answered && entry.kind == ENTRY_REQUEST)
            request_lose(client, entry.context);
        else if (!entry.answered && entry.context != NULL)
            lose_call(client, entry.context, is_unwritten ? HERALD_NOT_RUN : HERALD_MAYBE_RUN);
    }
}

static bool is_lost_with_connection(const struct request *request)
{
    return request->type == FRAME_CONSUME || request->type == FRAME_SUBSCRIBE ||
           request->type == FRAME_FOLLOW || request->type == FRAME_CANCEL ||
           request->type == FRAME_QUERY || request->type == FRAME_BACKUP ||
           request->type == FRAME_PEEK;
}

/* The oldest request in flight that the next connection cannot answer, or NULL. */
static struct request *take_lost_request(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->inflight.count; i++) {
        struct entry *entry = ring_at(&outbox->inflight, i);
        if (entry->kind == ENTRY_REQUEST && !entry->answered &&
            is_lost_with_connection(entry->context)) {
            entry->answered = true;
            return entry->context;
        }
    }
    return NULL;
}

static bool lose_settlements(struct outbox *outbox)
{
    bool had_some = outbox_has_settlements(outbox);
    for (size_t i = 0; i < outbox->inflight.count; i++) {
        struct entry *entry = ring_at(&outbox->inflight, i);
        if (entry->kind == ENTRY_SETTLE && !entry->answered) {
            entry->answered = true;
            had_some = true;
        }
    }
    return had_some;
}

void answer_lose(struct herald_client *client)
{
    lose_calls(client);
    struct request *request;
    while ((request = take_lost_request(&client->outbox)) != NULL)
        request_lose(client, request);
    if (lose_settlements(&client->outbox)) {
        struct herald_error error;
        error_fill(&error, STATUS_STALE_DELIVERY,
                   wire_bytes_of_text("the connection was lost before settlements were confirmed"));
        note_refusal(client, &error);
        tell_refused(client, HERALD_REFUSED_SETTLE, NULL, &error);
    }
    client_notify(client);
}

/* --- calls and time -----------------------------------------------------------------------------
 */

/* Makes the rings forget a call; true if it had not left yet. */
static bool forget_call(struct outbox *outbox, const struct call *call)
{
    for (size_t i = 0; i < outbox->calls.count; i++)
        if (ring_at(&outbox->calls, i)->context == call)
            ring_at(&outbox->calls, i)->context = NULL;
    for (size_t i = 0; i < outbox->backlog.count; i++) {
        struct entry *entry = ring_at(&outbox->backlog, i);
        if (entry->kind == ENTRY_CALL && entry->context == call) {
            entry->context = NULL;
            return true;
        }
    }
    return false;
}

enum herald_ran answer_abandon_call(struct herald_client *client, struct call *call)
{
    return forget_call(&client->outbox, call) ? HERALD_NOT_RUN : HERALD_MAYBE_RUN;
}

/* A call whose time is over, or NULL; keeps the time of the next one. */
static struct call *take_late_call(struct herald_client *client)
{
    struct call *call;
    client->call_deadline_ms = UINT64_MAX;
    TAILQ_FOREACH (call, &client->calls, link) {
        if (call->deadline_ms <= client->now_ms)
            return call;
        if (call->deadline_ms < client->call_deadline_ms)
            client->call_deadline_ms = call->deadline_ms;
    }
    return NULL;
}

void answer_check_calls(struct herald_client *client)
{
    struct call *call;
    while ((call = take_late_call(client)) != NULL) {
        const struct herald_outcome outcome = {
            .status = HERALD_ETIMEOUT,
            .ran = answer_abandon_call(client, call),
            .code = "EXPIRED",
            .text = "no outcome came in time",
            .body = "",
        };
        call_finish(client, call, &outcome);
    }
}

void answer_end_calls(struct herald_client *client)
{
    while (!TAILQ_EMPTY(&client->calls)) {
        struct call *call = TAILQ_FIRST(&client->calls);
        lose_call(client, call, answer_abandon_call(client, call));
    }
}
