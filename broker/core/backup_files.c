/* The files of histories in a backup.
 *
 * The copy's journal ends at a position that is durable when the backup begins. Which files a start
 * needs for it follows from the HISTORY operations before that position. Those may be older than
 * what the core has in memory, but never younger, and:
 *   1. a file is stated only when it is written and synced, so it is there;
 *   2. what a later operation gives up is removed by retention alone, and not from the beginning of
 *      the backup on; what it had begun to remove was given up by an operation that is durable, and
 *      is gone before the directory is listed;
 *   3. a file that is stated only grows, so a start finds all that is stated in it, and cuts off or
 *      removes the rest, as it does after a crash.
 * What is younger than all that the core knows as stated or written is left out: it may be made
 * anew any time.
 */
#include "broker/core/backup_files.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/retention.h"

struct backup_files {
    struct core *core;
    backup_listed_fn on_listed;
    backup_piece_fn on_piece;
    struct archive_names names;
    struct archive_copy copy;
    size_t now; /* the file that is copied, and how far */
    uint64_t offset;
    uint64_t bytes;
    uint32_t piece_bytes_max;
};

struct backup_files *backup_files_new(struct core *core, uint32_t piece_bytes_max)
{
    struct backup_files *files = calloc(1, sizeof *files);
    if (files == NULL)
        return NULL;
    files->copy.at = malloc(piece_bytes_max);
    if (files->copy.at == NULL) {
        free(files);
        return NULL;
    }
    files->core = core;
    files->piece_bytes_max = piece_bytes_max;
    retention_hold(core);
    return files;
}

void backup_files_free(struct core *core, struct backup_files *files)
{
    if (files == NULL)
        return;
    retention_release(core);
    free(files->names.list.names);
    free(files->copy.at);
    free(files);
}

/* --- which of them ------------------------------------------------------------------------------
 */

/* How much of the file belongs to the copy; 0: it does not. */
static uint64_t bytes_wanted(const struct core *core, const struct archive_name *name)
{
    const struct exchange *exchange = exchange_find_number(core, name->exchange);
    const struct history *history = exchange != NULL ? exchange->history : NULL;
    if (history == NULL)
        return name->bytes; /* the copy may not know yet that the exchange is gone */
    if (name->is_entities)
        return name->first <= history->entities_stated ? name->bytes : 0;
    if (name->first > history->moved)
        return 0;
    const struct archive_file *file = history_find_file(history, name->first);
    bool is_open = file != NULL && file->first == name->first && !file->is_finished;
    return is_open && file->end < name->bytes ? file->end : name->bytes;
}

static void choose(struct backup_files *files)
{
    struct archive_list *list = &files->names.list;
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        list->names[i].bytes = bytes_wanted(files->core, &list->names[i]);
        if (list->names[i].bytes > 0)
            list->names[count++] = list->names[i];
    }
    list->count = count;
    for (size_t i = 0; i < count; i++)
        files->bytes += list->names[i].bytes;
}

static void on_names(void *argument, struct archive_work *work)
{
    struct backup_files *files = argument;
    if (work->status == STATUS_OK)
        choose(files);
    files->on_listed(files->core, work->status);
}

bool backup_files_list(struct core *core, struct backup_files *files, backup_listed_fn on_listed)
{
    if (retention_is_removing(core))
        return false;
    files->on_listed = on_listed;
    files->names.work =
        (struct archive_work){.kind = ARCHIVE_LIST, .on_done = on_names, .argument = files};
    archive_post(core->archive, &files->names.work);
    return true;
}

uint64_t backup_files_bytes(const struct backup_files *files)
{
    return files->bytes;
}

/* --- their bytes --------------------------------------------------------------------------------
 */

static void on_copy(void *argument, struct archive_work *work)
{
    struct backup_files *files = argument;
    const struct archive_copy *copy = &files->copy;
    struct backup_files_piece piece = {.file_bytes = copy->name.bytes,
                                       .offset = copy->offset,
                                       .bytes = wire_bytes_of(copy->at, copy->bytes)};
    if (work->status != STATUS_OK) {
        files->on_piece(files->core, NULL, STATUS_IO_ERROR);
        return;
    }
    archive_print_name(piece.name, &copy->name);
    files->offset += copy->bytes;
    if (files->offset == copy->name.bytes) {
        files->now++;
        files->offset = 0;
    }
    files->on_piece(files->core, &piece, STATUS_OK);
}

bool backup_files_read(struct core *core, struct backup_files *files, uint32_t bytes_max,
                       backup_piece_fn on_piece)
{
    struct archive_copy *copy = &files->copy;
    if (files->now == files->names.list.count)
        return false;
    const struct archive_name *name = &files->names.list.names[files->now];
    uint64_t left = name->bytes - files->offset;
    files->on_piece = on_piece;
    copy->work = (struct archive_work){.kind = ARCHIVE_COPY, .on_done = on_copy, .argument = files};
    copy->name = *name;
    copy->offset = files->offset;
    copy->bytes = left < bytes_max ? (uint32_t)left : bytes_max;
    assert(copy->bytes <= files->piece_bytes_max);
    archive_post(core->archive, &copy->work);
    return true;
}
