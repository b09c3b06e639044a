/* Tracked commands: those whose sender may ask what became of them. */
#include "broker/core/tracked.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/kin.h"
#include "broker/core/recorder.h"
#include "broker/core/state.h"
#include "broker/core/watch.h"
#include "broker/plant.h"

/* What one round forgets at most. */
enum { SLICE = 2000 };

/* --- the table ----------------------------------------------------------------------------------
 */

/* The end of a UUIDv7 is random (RFC 9562, section 5.7). */
static uint64_t hash_of_id(const struct wire_id *id)
{
    return wire_load_u64(id->byte + 8) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
}

static uint64_t hash_of(const struct chain_link *link)
{
    return hash_of_id(&((const struct tracked *)link)->id);
}

void tracked_init(struct tracked_table *table)
{
    TAILQ_INIT(&table->open);
    TAILQ_INIT(&table->finished);
    TAILQ_INIT(&table->keyed);
}

static void forget_list(struct core *core, struct tracked_list *list)
{
    struct tracked *tracked;
    while ((tracked = TAILQ_FIRST(list)) != NULL)
        tracked_forget(core, tracked);
}

void tracked_deinit(struct core *core)
{
    struct tracked_table *table = &core->tracked;
    forget_list(core, &table->open);
    forget_list(core, &table->finished);
    forget_list(core, &table->keyed);
    chains_deinit(&table->by_id);
}

struct tracked *tracked_find(const struct core *core, struct wire_id id)
{
    struct chain_link *link = chains_find(&core->tracked.by_id, hash_of_id(&id));
    while (link != NULL && memcmp(((struct tracked *)link)->id.byte, id.byte, sizeof id.byte) != 0)
        link = link->next;
    return (struct tracked *)link;
}

/* --- keys ---------------------------------------------------------------------------------------
 */

enum { KEY_BYTES_MAX = 4 + 255 };

static uint32_t put_key(unsigned char at[KEY_BYTES_MAX], uint32_t queue, struct wire_bytes key)
{
    wire_store_u32(at, queue);
    memcpy(at + 4, key.at, key.bytes);
    return 4 + key.bytes;
}

struct tracked *tracked_find_key(const struct core *core, uint32_t queue, struct wire_bytes key)
{
    unsigned char at[KEY_BYTES_MAX];
    uint32_t bytes = put_key(at, queue, key);
    struct keyed *keyed;
    HASH_FIND(hh, core->tracked.keys, at, bytes, keyed);
    return keyed != NULL ? keyed->tracked : NULL;
}

static enum status key_add(struct core *core, struct tracked *tracked, struct wire_bytes key)
{
    struct keyed *keyed = calloc(1, sizeof *keyed + 4 + key.bytes);
    if (keyed == NULL)
        return STATUS_NO_MEMORY;
    keyed->tracked = tracked;
    keyed->bytes = put_key(keyed->key, tracked->queue, key);
    HASH_ADD_KEYPTR(hh, core->tracked.keys, keyed->key, keyed->bytes, keyed);
    if (table_has(&keyed->hh)) {
        tracked->keyed = keyed;
        return STATUS_OK;
    }
    free(keyed);
    return STATUS_NO_MEMORY;
}

static struct wire_bytes key_of(const struct tracked *tracked)
{
    const struct keyed *keyed = tracked->keyed;
    return keyed != NULL ? wire_bytes_of(keyed->key + 4, keyed->bytes - 4)
                         : (struct wire_bytes){NULL, 0};
}

/* --- life ---------------------------------------------------------------------------------------
 */

struct tracked *tracked_new(struct core *core, uint32_t queue, struct wire_id id,
                            struct wire_bytes key)
{
    struct tracked_table *table = &core->tracked;
    if (chains_reserve(&table->by_id, 1, hash_of) != STATUS_OK)
        return NULL;
    struct tracked *tracked = calloc(1, sizeof *tracked);
    if (tracked == NULL)
        return NULL;
    tracked->id = id;
    tracked->queue = queue;
    LIST_INIT(&tracked->watchers);
    if (key.bytes > 0 && key_add(core, tracked, key) != STATUS_OK) {
        free(tracked);
        return NULL;
    }
    chains_add(&table->by_id, hash_of_id(&id), &tracked->by_id);
    table->open_count++;
    TAILQ_INSERT_TAIL(&table->open, tracked, link);
    return tracked;
}

static uint64_t outcome_bytes(const struct kept_outcome *outcome)
{
    return sizeof(struct tracked) + sizeof *outcome + outcome->code_bytes + outcome->text_bytes +
           outcome->body_bytes;
}

static void leave_list(struct tracked_table *table, struct tracked *tracked)
{
    if (tracked->outcome == NULL) {
        TAILQ_REMOVE(&table->open, tracked, link);
        table->open_count--;
    } else if (tracked->is_shrunk) {
        TAILQ_REMOVE(&table->keyed, tracked, link);
    } else {
        TAILQ_REMOVE(&table->finished, tracked, link);
        table->finished_count--;
        table->finished_bytes -= outcome_bytes(tracked->outcome);
    }
}

void tracked_forget(struct core *core, struct tracked *tracked)
{
    struct tracked_table *table = &core->tracked;
    assert(!tracked->is_standing);
    watch_end_all(core, tracked);
    chains_remove(&table->by_id, hash_of_id(&tracked->id), &tracked->by_id);
    kin_end(core, tracked);
    leave_list(table, tracked);
    home_end(core, &tracked->home);
    if (tracked->keyed != NULL) {
        HASH_DEL(table->keys, tracked->keyed);
        free(tracked->keyed);
    }
    free(tracked->progress);
    free(tracked->outcome);
    free(tracked);
}

void tracked_note(struct tracked *tracked, uint64_t done, uint64_t total, struct wire_bytes note)
{
    struct progress *progress = realloc(tracked->progress, sizeof *progress + note.bytes);
    if (progress == NULL)
        return;
    progress->done = done;
    progress->total = total;
    progress->note_bytes = note.bytes;
    if (note.bytes > 0)
        memcpy(progress->note, note.at, note.bytes);
    tracked->progress = progress;
}

/* Words of 8 bytes, multiplied and folded: it only tells bodies apart that differ by accident. */
uint64_t tracked_digest(struct wire_bytes body)
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325) ^ body.bytes;
    uint32_t i = 0;
    for (; i + 8 <= body.bytes; i += 8) {
        digest = (digest ^ wire_load_u64(body.at + i)) * UINT64_C(0x9e3779b97f4a7c15);
        digest ^= digest >> 29;
    }
    for (; i < body.bytes; i++)
        digest = (digest ^ body.at[i]) * UINT64_C(0x100000001b3);
    return digest ^ digest >> 32;
}

struct operation_outcome tracked_operation(const struct core *core, const struct tracked *tracked)
{
    return (struct operation_outcome){.id = tracked->id,
                                      .queue = tracked->queue,
                                      .number = tracked->number,
                                      .accepted_ms = tracked->accepted_ms,
                                      .time_ms = core->now_ms,
                                      .digest = tracked->digest,
                                      .key = key_of(tracked)};
}

/* --- outcomes -----------------------------------------------------------------------------------
 */

struct kept_outcome *tracked_keep(const struct operation_outcome *operation)
{
    size_t bytes = (size_t)operation->code.bytes + operation->text.bytes + operation->body.bytes;
    struct kept_outcome *outcome = malloc(sizeof *outcome + bytes);
    if (outcome == NULL)
        return NULL;
    outcome->state = operation->state;
    outcome->ran = operation->ran;
    outcome->attempts = operation->attempts;
    outcome->code_bytes = operation->code.bytes;
    outcome->text_bytes = operation->text.bytes;
    outcome->body_bytes = operation->body.bytes;
    struct wire_writer w = wire_writer_of(outcome->bytes, bytes);
    wire_put_rest(&w, operation->code);
    wire_put_rest(&w, operation->text);
    wire_put_rest(&w, operation->body);
    return outcome;
}

void tracked_finish(struct core *core, const struct operation_outcome *operation, uint64_t position,
                    struct kept_outcome *outcome)
{
    struct tracked_table *table = &core->tracked;
    struct tracked *tracked = tracked_find(core, operation->id);
    assert(tracked != NULL && tracked->outcome == NULL);
    leave_list(table, tracked);
    free(tracked->progress);
    tracked->progress = NULL;
    home_move(core, &tracked->home, position, (uint32_t)record_size_outcome(operation));
    tracked->number = operation->number;
    tracked->accepted_ms = operation->accepted_ms;
    tracked->digest = operation->digest;
    tracked->finished_ms = operation->time_ms;
    tracked->outcome = outcome;
    TAILQ_INSERT_TAIL(&table->finished, tracked, link);
    table->finished_count++;
    table->finished_bytes += outcome_bytes(outcome);
}

enum status tracked_apply(struct core *core, const struct operation_outcome *operation,
                          uint64_t position)
{
    struct tracked *tracked = tracked_find(core, operation->id);
    if (tracked != NULL && tracked->outcome != NULL) {
        home_move(core, &tracked->home, position, (uint32_t)record_size_outcome(operation));
        return STATUS_OK; /* stated again */
    }
    struct wire_bytes key = operation->key;
    if (planted(PLANT_KEY_FORGOTTEN))
        key.bytes = 0;
    if (tracked == NULL)
        tracked = tracked_new(core, operation->queue, operation->id, key);
    if (tracked == NULL || kin_set_list(core, tracked, operation->kin) != STATUS_OK)
        return STATUS_NO_MEMORY;
    struct kept_outcome *outcome = tracked_keep(operation);
    if (outcome == NULL)
        return STATUS_NO_MEMORY;
    tracked_finish(core, operation, position, outcome);
    return STATUS_OK;
}

/* --- forgetting ---------------------------------------------------------------------------------
 */

static bool is_too_old(const struct core *core, const struct tracked *tracked)
{
    return core->now_ms > tracked->finished_ms &&
           core->now_ms - tracked->finished_ms >= core->limits.result_ttl_ms;
}

static bool is_too_much(const struct core *core)
{
    return core->tracked.finished_count > core->limits.results_max ||
           core->tracked.finished_bytes > core->limits.results_bytes_max;
}

/* Whoever sends the key again is still told that it is known. Without memory it is kept whole. */
static void shrink(struct core *core, struct tracked *tracked)
{
    struct kept_outcome *outcome = tracked->outcome;
    size_t bytes = sizeof *outcome + outcome->code_bytes;
    struct kept_outcome *smaller = malloc(bytes);
    if (smaller == NULL)
        return;
    memcpy(smaller, outcome, bytes);
    smaller->text_bytes = smaller->body_bytes = 0;
    leave_list(&core->tracked, tracked);
    free(outcome);
    tracked->outcome = smaller;
    tracked->is_shrunk = true;
    TAILQ_INSERT_TAIL(&core->tracked.keyed, tracked, link);
}

/* Both lists are in the order of their times. */
void tracked_work_off(struct core *core)
{
    struct tracked_table *table = &core->tracked;
    struct tracked *tracked;
    for (unsigned i = 0;
         i < SLICE && (tracked = TAILQ_FIRST(&table->keyed)) != NULL && is_too_old(core, tracked);
         i++)
        tracked_forget(core, tracked);
    for (unsigned i = 0; i < SLICE && (tracked = TAILQ_FIRST(&table->finished)) != NULL; i++) {
        if (!is_too_old(core, tracked) && !is_too_much(core))
            return;
        if (is_too_old(core, tracked) || tracked->keyed == NULL)
            tracked_forget(core, tracked);
        else
            shrink(core, tracked);
    }
}

/* --- start --------------------------------------------------------------------------------------
 */

static int compare_times(const void *a, const void *b)
{
    const struct tracked *x = *(struct tracked *const *)a;
    const struct tracked *y = *(struct tracked *const *)b;
    if (x->finished_ms != y->finished_ms)
        return x->finished_ms < y->finished_ms ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* What was stated again stands behind what is newer. */
static enum status sort_finished(struct tracked_table *table)
{
    size_t count = 0;
    struct tracked **all = malloc((table->finished_count + 1) * sizeof(struct tracked *));
    if (all == NULL)
        return STATUS_NO_MEMORY;
    struct tracked *tracked;
    while ((tracked = TAILQ_FIRST(&table->finished)) != NULL) {
        TAILQ_REMOVE(&table->finished, tracked, link);
        all[count++] = tracked;
    }
    qsort(all, count, sizeof(struct tracked *), compare_times);
    for (size_t i = 0; i < count; i++)
        TAILQ_INSERT_TAIL(&table->finished, all[i], link);
    free(all);
    return STATUS_OK;
}

/* Its queue was deleted, and the broker ended before its outcome was recorded. */
static enum status finish_orphan(struct core *core, const struct tracked *tracked)
{
    unsigned char kin[KIN_LIST_BYTES_MAX];
    struct operation_outcome operation = tracked_operation(core, tracked);
    operation.state = OUTCOME_FAILED;
    operation.ran = OUTCOME_MAYBE_RUN;
    operation.code = wire_bytes_of_text(status_name(STATUS_NO_QUEUE));
    operation.text = wire_bytes_of_text("its queue was deleted");
    operation.kin = kin_list(tracked, kin);
    uint64_t position;
    enum status status = recorder_append_outcome(core, NULL, &operation, &position);
    return status == STATUS_OK ? tracked_apply(core, &operation, position) : status;
}

enum status tracked_start(struct core *core)
{
    struct tracked_table *table = &core->tracked;
    enum status status = sort_finished(table);
    if (status == STATUS_OK)
        status = kin_start(core);
    struct tracked *tracked = TAILQ_FIRST(&table->open);
    while (tracked != NULL && status == STATUS_OK) {
        struct tracked *next = TAILQ_NEXT(tracked, link);
        if (tracked->is_decided)
            tracked_forget(core, tracked);
        else if (!tracked->is_standing)
            status = finish_orphan(core, tracked);
        tracked = next;
    }
    return status;
}
