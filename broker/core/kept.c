/* What a queue keeps of single messages besides their places. */
#include "broker/core/kept.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of the text of a failure only so much is kept in memory: the journal has all of it. */
enum { PARKED_TEXT_BYTES_MAX = 200 };

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

void kept_explain_parked(struct parked *parked, const struct operation_park *operation)
{
    parked->time_ms = operation->time_ms;
    parked->attempts = operation->attempts;
    uint32_t text_bytes = operation->text.bytes < PARKED_TEXT_BYTES_MAX ? operation->text.bytes
                                                                        : PARKED_TEXT_BYTES_MAX;
    free(parked->why);
    parked->why = calloc(1, (size_t)operation->code.bytes + text_bytes + 2);
    if (parked->why == NULL)
        return;
    memcpy(parked->why, operation->code.at, operation->code.bytes);
    memcpy(parked->why + operation->code.bytes + 1, operation->text.at, text_bytes);
}

void kept_end_attempted(struct core *core, struct queue *queue, struct attempted *attempted)
{
    assert(queue->attempted != NULL);
    home_end(core, &attempted->home);
    home_end(core, &attempted->cancel_home);
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
    free(parked->why);
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
