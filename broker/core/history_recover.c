/* Histories at a start.
 *
 * The journal states for each history the file that is written to, where it ends and what it holds
 * up to, the oldest event that is kept, and which file of entities counts. All else follows: files
 * before the stated one must be finished and join without a hole back to that event; files behind
 * it, files of histories that are gone, and other files of entities are what a crash has left.
 */
#include "broker/core/history_recover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/event.h"
#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/plant.h"

struct history_secret {
    uint32_t exchange;
    unsigned char secret[SIPHASH_SECRET_BYTES];
};

/* --- secrets ------------------------------------------------------------------------------------
 */

/* What is not whole has no secret: when the journal speaks of it the start is refused later. */
static enum status note_secret(struct core *core, const struct archive_name *name,
                               struct journal_failure *failure)
{
    struct history_secret *secret = &core->secrets[core->secret_count];
    struct journal_failure found = {.text = ""};
    enum status status = archive_read_secret(core->archive, name, secret->secret, &found);
    if (status == STATUS_CORRUPT || status == STATUS_NEWER_FORMAT)
        return STATUS_OK;
    if (status != STATUS_OK) {
        *failure = found;
        return status;
    }
    secret->exchange = name->exchange;
    core->secret_count++;
    return STATUS_OK;
}

enum status history_recover_secrets(struct core *core, struct journal_failure *failure)
{
    struct archive_list list;
    enum status status = archive_list(core->archive, &list, failure);
    if (status == STATUS_OK)
        core->secrets = calloc(list.count + 1, sizeof *core->secrets);
    if (status == STATUS_OK && core->secrets == NULL)
        status = STATUS_NO_MEMORY;
    for (size_t i = 0; status == STATUS_OK && i < list.count; i++)
        if (list.names[i].is_entities)
            status = note_secret(core, &list.names[i], failure);
    free(list.names);
    return status;
}

const unsigned char *history_secret(const struct core *core, uint32_t exchange)
{
    for (size_t i = 0; i < core->secret_count; i++)
        if (core->secrets[i].exchange == exchange)
            return core->secrets[i].secret;
    return core->secret;
}

void history_recover_deinit(struct core *core)
{
    free(core->secrets);
    core->secrets = NULL;
    core->secret_count = 0;
}

/* --- one history --------------------------------------------------------------------------------
 */

static enum status corrupt(const struct history *history, struct journal_failure *failure,
                           const char *what)
{
    *failure = (struct journal_failure){.text = ""};
    (void)snprintf(failure->text, sizeof failure->text, "the history of exchange %s: %s",
                   history->exchange->name, what);
    return STATUS_CORRUPT;
}

/* The same of a file, by the sequence of its first event. */
static enum status corrupt_file(const struct history *history, struct journal_failure *failure,
                                uint64_t first, const char *what)
{
    struct archive_name name = {.exchange = history->number, .first = first};
    (void)corrupt(history, failure, what);
    archive_print_name(failure->file, &name);
    return STATUS_CORRUPT;
}

static enum status add_file(struct history *history, const struct archive_file *file)
{
    if (history_reserve_files(history, 0) != STATUS_OK)
        return STATUS_NO_MEMORY;
    history->files[history->file_count++] = *file;
    return STATUS_OK;
}

static enum status on_spot(void *argument, const struct archive_spot *spot)
{
    struct history *history = argument;
    if (history_reserve_files(history, 1) != STATUS_OK)
        return STATUS_NO_MEMORY;
    history->spots[history->spot_count++] = *spot;
    return STATUS_OK;
}

/* Takes a file over; it must follow the one before. */
static enum status take_file(struct core *core, struct history *history,
                             const struct archive_name *name, struct journal_failure *failure)
{
    struct archive_file file = {.end = history->end_stated, .last = history->moved};
    struct archive_visitor visitor = {.on_spot = on_spot, .argument = history, .failure = failure};
    enum status status = name->first == history->file_stated
                             ? archive_check_open(core->archive, name, &file, &visitor)
                             : archive_check_finished(core->archive, name, &file, failure);
    if (status != STATUS_OK)
        return status;
    const struct archive_file *before =
        history->file_count > 0 ? &history->files[history->file_count - 1] : NULL;
    if (before != NULL && before->last + 1 != file.first)
        return corrupt_file(history, failure, before->last + 1, "this file is missing");
    return add_file(history, &file);
}

static bool is_of(const struct archive_name *name, const struct history *history)
{
    return !name->is_entities && name->exchange == history->number &&
           name->first <= history->file_stated;
}

/* All of its events have gone, because the next file begins no later than what is kept: it was to
 * be removed, and need not even be finished. */
static bool is_retired(const struct archive_list *list, size_t i, const struct history *history)
{
    return i + 1 < list->count && is_of(&list->names[i + 1], history) &&
           list->names[i + 1].first <= history->first_stated;
}

/* They must reach from the oldest event that is kept to the last one that was moved. */
static enum status check_files(const struct history *history, struct journal_failure *failure)
{
    const struct archive_file *last =
        history->file_count > 0 ? &history->files[history->file_count - 1] : NULL;
    if (history->file_stated != 0 && (last == NULL || last->first != history->file_stated))
        return corrupt_file(history, failure, history->file_stated,
                            "this file, which is written to, is missing");
    if (last == NULL)
        return history->first_stated <= history->moved
                   ? corrupt(history, failure, "its files are missing")
                   : STATUS_OK;
    if (history->files[0].first > history->first_stated)
        return corrupt_file(history, failure, history->files[0].first,
                            "the file before this one is missing");
    return STATUS_OK;
}

/* The files of one history, in their order. */
static enum status take_files(struct core *core, struct history *history,
                              const struct archive_list *list, struct journal_failure *failure)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < list->count && status == STATUS_OK; i++) {
        if (!is_of(&list->names[i], history) || is_retired(list, i, history))
            continue;
        status = take_file(core, history, &list->names[i], failure);
    }
    return status == STATUS_OK ? check_files(history, failure) : status;
}

/* What is not in files must be in the journal, without a hole. */
static enum status check_tail(const struct history *history, struct journal_failure *failure)
{
    if (history->tail_count != history->last - history->moved)
        return corrupt(history, failure, "events are missing in the journal");
    return STATUS_OK;
}

/* --- entities -----------------------------------------------------------------------------------
 */

enum status history_see_entity(struct history *history, const struct archive_entity *entity)
{
    struct entities *entities = &history->entities;
    struct entity_key key = {{entity->hash[0], entity->hash[1]}};
    if (entities_reserve(entities, key) != STATUS_OK)
        return STATUS_NO_MEMORY;
    uint64_t count = entities->count;
    entities_set(entities, key, entity->version, entity->sequence);
    history->core->entity_count += entities->count - count;
    return STATUS_OK;
}

enum status history_see_event(struct history *history, const struct archive_event *event)
{
    struct wire_reader r = wire_reader_of(event->at, event->bytes);
    struct operation operation;
    if (record_next(&r, &operation) != STATUS_OK || operation.type != OPERATION_MESSAGE)
        return STATUS_CORRUPT;
    return event_apply_entity(history->core, history, operation.as.message.properties);
}

static enum status on_entity(void *argument, const struct archive_entity *entity)
{
    return history_see_entity(argument, entity);
}

static enum status on_event(void *argument, const struct archive_event *event)
{
    return history_see_event(argument, event);
}

/* Those that were saved, and those of the events that were moved to files since. */
static enum status load_entities(struct core *core, struct history *history,
                                 struct journal_failure *failure)
{
    if (planted(PLANT_ENTITIES_NOT_LOADED))
        return STATUS_OK;
    struct archive_visitor visitor = {.on_event = on_event,
                                      .on_entity = on_entity,
                                      .argument = history,
                                      .failure = failure,
                                      .secret = history->entities.secret};
    enum status status = STATUS_OK;
    if (history->entities_stated != 0)
        status = archive_load_entities(core->archive, history->number, history->entities_stated,
                                       &visitor);
    for (uint32_t i = 0; i < history->file_count && status == STATUS_OK; i++) {
        const struct archive_file *file = &history->files[i];
        if (file->last <= history->entities_stated)
            continue;
        status = archive_scan(core->archive, history->number, file, history->entities_stated + 1,
                              &visitor);
        history->moved_bytes += file->end;
    }
    return status;
}

/* --- all of them --------------------------------------------------------------------------------
 */

static enum status recover_one(struct core *core, struct history *history,
                               const struct archive_list *list, struct journal_failure *failure)
{
    enum status status = check_tail(history, failure);
    if (status == STATUS_OK)
        status = take_files(core, history, list, failure);
    if (status == STATUS_OK)
        status = load_entities(core, history, failure);
    return status;
}

/* A journal without a start has no history: what files there are were of one that is lost, and must
 * not be taken for left over. */
static enum status check_journal(const struct core *core, const struct archive_list *list,
                                 struct journal_failure *failure)
{
    if (core->start_number > 0 || list->count == 0)
        return STATUS_OK;
    *failure = (struct journal_failure){
        .text = "files of histories are here, and the journal that they belong to is missing"};
    archive_print_name(failure->file, &list->names[0]);
    return STATUS_CORRUPT;
}

enum status history_recover(struct core *core, struct journal_failure *failure)
{
    struct archive_list list;
    enum status status = archive_list(core->archive, &list, failure);
    if (status == STATUS_OK)
        status = check_journal(core, &list, failure);
    struct exchange *exchange;
    struct exchange *next;
    HASH_ITER (by_number, core->exchanges_by_number, exchange, next)
        if (status == STATUS_OK && exchange->history != NULL)
            status = recover_one(core, exchange->history, &list, failure);
    free(list.names);
    return status;
}

static enum status tidy_one(struct core *core, const struct archive_name *name,
                            struct journal_failure *failure)
{
    const struct exchange *exchange = exchange_find_number(core, name->exchange);
    const struct history *history = exchange != NULL ? exchange->history : NULL;
    if (history != NULL && name->is_entities && name->first == history->entities_stated)
        return STATUS_OK;
    const struct archive_file *file = NULL;
    if (history != NULL && !name->is_entities)
        file = history_find_file(history, name->first);
    if (file == NULL || file->first != name->first)
        return archive_take_away(core->archive, name, failure);
    return file->is_finished ? STATUS_OK : archive_cut(core->archive, name, file->end, failure);
}

enum status history_recover_tidy(struct core *core, struct journal_failure *failure)
{
    struct archive_list list;
    enum status status = archive_list(core->archive, &list, failure);
    for (size_t i = 0; i < list.count && status == STATUS_OK; i++)
        status = tidy_one(core, &list.names[i], failure);
    free(list.names);
    return status;
}
