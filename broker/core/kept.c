/* What a queue keeps of single messages besides their places. */
#include "broker/core/kept.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct attempted *kept_find_attempted(const struct queue *queue, uint64_t number)
{
    struct attempted *attempted;
    HASH_FIND(hh, queue->attempted, &number, sizeof number, attempted);
    return attempted;
}

struct parked *kept_find_parked(const struct queue *queue, uint64_t number)
{
    struct parked *parked;
    HASH_FIND(hh, queue->parked, &number, sizeof number, parked);
    return parked;
}

uint16_t kept_failed_attempts(const struct queue *queue, uint64_t number)
{
    const struct attempted *attempted = kept_find_attempted(queue, number);
    return attempted != NULL ? attempted->failed : 0;
}

struct attempted *kept_add_attempted(struct queue *queue, uint64_t number)
{
    struct attempted *attempted = kept_find_attempted(queue, number);
    if (attempted != NULL)
        return attempted;
    attempted = calloc(1, sizeof *attempted);
    if (attempted == NULL)
        return NULL;
    attempted->number = number;
    HASH_ADD(hh, queue->attempted, number, sizeof attempted->number, attempted);
    if (table_has(&attempted->hh))
        return attempted;
    free(attempted);
    return NULL;
}

struct parked *kept_add_parked(struct queue *queue, uint64_t number)
{
    struct parked *parked = kept_find_parked(queue, number);
    if (parked != NULL)
        return parked;
    parked = calloc(1, sizeof *parked);
    if (parked == NULL)
        return NULL;
    parked->number = number;
    HASH_ADD(hh, queue->parked, number, sizeof parked->number, parked);
    if (table_has(&parked->hh))
        return parked;
    free(parked);
    return NULL;
}

struct repair *kept_add_repair(struct attempted *attempted)
{
    if (attempted->repair == NULL)
        attempted->repair = calloc(1, sizeof *attempted->repair);
    return attempted->repair;
}

static bool has_own_retry(const struct retry_terms *retry)
{
    return retry->attempts_max != UINT64_MAX || retry->backoff_ms != UINT64_MAX ||
           retry->backoff_max_ms != UINT64_MAX || retry->retry_for_ms != UINT64_MAX;
}

struct message_terms kept_repair_terms(const struct parked *parked, const struct repair *repair)
{
    struct message_terms terms = message_terms_plain();
    terms.id = parked->id;
    message_terms_repair(&terms, repair);
    terms.is_plain = false;
    terms.priority = parked->priority;
    terms.retry = parked->retry;
    terms.is_tracked = parked->is_tracked;
    terms.digest = parked->digest;
    if (parked->lane != NULL)
        terms.lane = lane_key(parked->lane);
    if (parked->reply != NULL) {
        terms.reply_to = reply_queue(parked->reply);
        terms.correlation = reply_correlation(parked->reply);
    }
    terms.needs_ward = parked->is_tracked || parked->lane != NULL || parked->reply != NULL ||
                       has_own_retry(&parked->retry);
    return terms;
}

struct wire_id kept_repair_id(const struct queue *queue, uint64_t number)
{
    const struct attempted *attempted = kept_find_attempted(queue, number);
    return attempted != NULL && attempted->repair != NULL ? attempted->repair->id
                                                          : (struct wire_id){{0}};
}

/* --- bytes and histories ------------------------------------------------------------------------
 */

void kept_set_bytes(struct kept_bytes **kept, struct wire_bytes bytes)
{
    struct kept_bytes *made = bytes.bytes > 0 ? malloc(sizeof *made + bytes.bytes) : NULL;
    if (made != NULL) {
        made->count = bytes.bytes;
        memcpy(made->at, bytes.at, bytes.bytes);
    }
    free(*kept);
    *kept = made;
}

struct wire_bytes kept_bytes(const struct kept_bytes *kept)
{
    return kept != NULL ? wire_bytes_of(kept->at, kept->count) : wire_bytes_of(NULL, 0);
}

bool kept_history_next(struct wire_reader *r, struct kept_attempt *attempt)
{
    if (r->failed || wire_left(r) == 0)
        return false;
    attempt->time_ms = wire_get_u64(r);
    attempt->attempt = wire_get_u16(r);
    attempt->code = wire_get_str8(r);
    attempt->text = wire_get_str16(r);
    return !r->failed;
}

struct kept_attempt kept_history_last(struct wire_bytes history)
{
    struct kept_attempt last = {0};
    struct kept_attempt attempt;
    struct wire_reader r = wire_reader_of(history.at, history.bytes);
    while (kept_history_next(&r, &attempt))
        last = attempt;
    return last;
}

static void put_attempt(struct wire_writer *w, const struct kept_attempt *attempt)
{
    struct wire_bytes text = attempt->text;
    if (text.bytes > HISTORY_TEXT_BYTES_MAX)
        text.bytes = HISTORY_TEXT_BYTES_MAX;
    wire_put_u64(w, attempt->time_ms);
    wire_put_u16(w, attempt->attempt);
    wire_put_str8(w, attempt->code);
    wire_put_str16(w, text);
}

struct wire_bytes kept_history_add(unsigned char *room, struct wire_bytes history,
                                   const struct kept_attempt *attempt)
{
    struct wire_writer w = wire_writer_of(room, HISTORY_BYTES_MAX);
    struct kept_attempt earlier;
    unsigned count = 0;
    struct wire_reader r = wire_reader_of(history.at, history.bytes);
    while (kept_history_next(&r, &earlier))
        count++;
    r = wire_reader_of(history.at, history.bytes);
    for (unsigned i = 0; kept_history_next(&r, &earlier); i++)
        if (i + HISTORY_ATTEMPTS_MAX > count)
            put_attempt(&w, &earlier);
    put_attempt(&w, attempt);
    return wire_bytes_of(room, (uint32_t)wire_written(&w));
}

/* --- the end ------------------------------------------------------------------------------------
 */

void kept_end_attempted(struct core *core, struct queue *queue, struct attempted *attempted)
{
    assert(queue->attempted != NULL);
    home_end(core, &attempted->home);
    home_end(core, &attempted->cancel_home);
    home_end(core, &attempted->checkpoint_home);
    if (attempted->repair != NULL)
        home_end(core, &attempted->repair->home);
    free(attempted->repair);
    free(attempted->history);
    free(attempted->checkpoint);
    HASH_DEL(queue->attempted, attempted);
    free(attempted);
}

void kept_end_parked(struct core *core, struct queue *queue, struct parked *parked)
{
    assert(queue->parked != NULL);
    home_end(core, &parked->home);
    if (parked->word != 0)
        home_remove_place(core, place_position(parked->word), parked->size);
    HASH_DEL(queue->parked, parked);
    if (parked->lane != NULL)
        lane_remove_parked(core, parked);
    free(parked->history);
    free(parked->reply);
    free(parked);
}

void kept_end_all(struct core *core, struct queue *queue)
{
    struct parked *parked;
    struct parked *next;
    HASH_ITER (hh, queue->parked, parked, next)
        kept_end_parked(core, queue, parked);
    struct attempted *attempted;
    struct attempted *next_attempted;
    HASH_ITER (hh, queue->attempted, attempted, next_attempted)
        kept_end_attempted(core, queue, attempted);
}
