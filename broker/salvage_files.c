/* The files of histories in a new directory. */
#include "broker/salvage_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/archive_writer.h"
#include "broker/store/disk_io.h"
#include "broker/store/failure.h"

enum {
    COPY_BYTES = 1 << 20,
    PIECE_ENTITIES = 8192,
};

static enum status fail(const struct salvage_files *files, const char *name, int error,
                        const char *what)
{
    if (error == -ENOMEM)
        return STATUS_NO_MEMORY;
    return disk_is_lack(error)
               ? STATUS_DISK_FULL
               : failure_set(files->failure, STATUS_IO_ERROR, name, error, "%s", what);
}

/* --- files that stay as they are ----------------------------------------------------------------
 */

struct copying {
    const struct disk *from;
    const struct disk *to;
    int source;
    int target;
};

static int copy_bytes(const struct copying *copying, uint64_t bytes)
{
    unsigned char *at = malloc(COPY_BYTES);
    int error = at != NULL ? 0 : -ENOMEM;
    for (uint64_t done = 0; done < bytes && error == 0; done += COPY_BYTES) {
        size_t piece = bytes - done < COPY_BYTES ? (size_t)(bytes - done) : COPY_BYTES;
        error = disk_read_all(copying->from, copying->source, at, piece, done);
        if (error == 0)
            error = disk_write_all(copying->to, copying->target, at, piece, done);
    }
    free(at);
    return error != 0 ? error : copying->to->sync(copying->to->context, copying->target);
}

/* The first `bytes` of a file. */
static enum status copy_file(const struct salvage_files *files, const char *name, uint64_t bytes)
{
    struct copying copying = {.from = files->from, .to = files->to};
    copying.source = copying.from->open(copying.from->context, name, DISK_OPEN_READ);
    if (copying.source < 0)
        return fail(files, name, copying.source, "cannot open it");
    copying.target = copying.to->open(copying.to->context, name, DISK_OPEN_CREATE);
    int error = copying.target;
    if (error >= 0) {
        error = copy_bytes(&copying, bytes);
        (void)copying.to->close(copying.to->context, copying.target);
    }
    (void)copying.from->close(copying.from->context, copying.source);
    return error == 0 ? STATUS_OK : fail(files, name, error, "cannot copy it");
}

static enum status link_or_copy(const struct salvage_files *files, const struct archive_name *name)
{
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, name);
    if (files->link != NULL && files->link(files->link_context, text))
        return STATUS_OK;
    return copy_file(files, text, name->bytes);
}

static enum status carry_over(const struct salvage_files *files, const struct history_file *file)
{
    char text[ARCHIVE_NAME_BYTES];
    if (file->role != HISTORY_OPEN)
        return link_or_copy(files, &file->name);
    /* What stands behind its end is not the journal's. */
    archive_print_name(text, &file->name);
    return copy_file(files, text,
                     histories_find(files->histories, file->name.exchange)->stated.end);
}

/* --- files that are written anew ----------------------------------------------------------------
 */

/* Going over files from the first event that is kept to the last one that belongs into a file. */
struct rewriting {
    const struct salvage_files *files;
    struct salvage_plan *plan;
    struct archive *archive; /* of the old directory */
    struct archive_writer *writer;
    uint64_t next;  /* sequence */
    bool is_linked; /* the file that is looked at needs not be written */
};

static enum status take_event(struct rewriting *rewriting, const struct archive_event *event)
{
    struct wire_reader r = wire_reader_of(event->at, event->bytes);
    struct operation operation;
    if (record_next(&r, &operation) != STATUS_OK)
        return STATUS_CORRUPT; /* the inspector has read it */
    enum status status = salvage_keep_entity(rewriting->plan, &operation.as.message);
    if (status == STATUS_OK && !rewriting->is_linked)
        status = archive_writer_add(rewriting->writer, event, operation.as.message.time_ms);
    rewriting->next++;
    return status;
}

static enum status on_block(void *argument, const struct archive_block *block,
                            const unsigned char *at)
{
    struct rewriting *rewriting = argument;
    struct archive_walk walk =
        archive_walk_of(at, (size_t)archive_block_bytes(block->payload_bytes));
    struct archive_event event;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && archive_walk_next(&walk, &event) == STATUS_OK)
        if (event.sequence == rewriting->next && event.sequence <= rewriting->plan->moved)
            status = take_event(rewriting, &event);
    return status;
}

/* All of it is kept, and another file comes behind it: the last one is written to. */
static bool stays_whole(const struct rewriting *rewriting, const struct history_file *file)
{
    const struct archive_inspection *found = &file->found;
    return found->is_finished && found->damage_count == 0 &&
           found->index.first == rewriting->next && found->index.last < rewriting->plan->moved;
}

static enum status take_file(struct rewriting *rewriting, const struct history_file *file)
{
    const struct salvage_files *files = rewriting->files;
    struct archive_inspection found;
    struct archive_inspector inspector = {.on_block = on_block,
                                          .argument = rewriting,
                                          .failure = files->failure,
                                          .is_open = file->role == HISTORY_OPEN};
    enum status status = STATUS_OK;
    rewriting->is_linked = stays_whole(rewriting, file);
    if (rewriting->is_linked)
        status = archive_writer_finish(rewriting->writer);
    if (status == STATUS_OK && rewriting->is_linked)
        status = link_or_copy(files, &file->name);
    if (status == STATUS_OK)
        status = archive_inspect(rewriting->archive, &file->name, &inspector, &found);
    return status;
}

/* Files do not overlap, but for what crashes have left of them: so once is enough, or nearly. */
static enum status take_files(struct rewriting *rewriting)
{
    const struct histories *histories = rewriting->files->histories;
    const struct salvage_plan *plan = rewriting->plan;
    uint64_t before = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && rewriting->next <= plan->moved && rewriting->next != before) {
        before = rewriting->next;
        for (size_t i = 0; i < histories->file_count && status == STATUS_OK; i++)
            if (histories->files[i].name.exchange == plan->exchange &&
                !histories->files[i].name.is_entities && rewriting->next <= plan->moved)
                status = take_file(rewriting, &histories->files[i]);
    }
    if (status == STATUS_OK && rewriting->next <= plan->moved)
        return failure_set(rewriting->files->failure, STATUS_CORRUPT, "", 0,
                           "what could be read before cannot be read any more");
    return status;
}

static bool has_entities(const struct salvage_files *files, uint32_t exchange)
{
    struct entity_key from = {{0, 0}};
    struct archive_entity entity;
    return core_census_entities(files->core, exchange, &from, &entity, 1) > 0;
}

static enum status write_plan(const struct salvage_files *files, struct salvage_plan *plan)
{
    struct archive_file file = {0};
    struct rewriting rewriting = {.files = files,
                                  .plan = plan,
                                  .archive = archive_new(files->from, NULL, NULL),
                                  .writer = archive_writer_new(files->to, plan->exchange),
                                  .next = plan->first};
    enum status status = STATUS_NO_MEMORY;
    if (rewriting.archive != NULL && rewriting.writer != NULL)
        status = take_files(&rewriting);
    if (status == STATUS_OK)
        status = archive_writer_stop(rewriting.writer, &file);
    if (status == STATUS_IO_ERROR && files->failure->text[0] == '\0')
        *files->failure = *archive_writer_failure(rewriting.writer);
    archive_free(rewriting.archive);
    archive_writer_free(rewriting.writer);
    plan->file = file.first;
    plan->end = file.end;
    plan->entities = has_entities(files, plan->exchange) ? plan->last : 0;
    return status;
}

enum status salvage_files_write(const struct salvage_files *files)
{
    const struct histories *histories = files->histories;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < histories->file_count && status == STATUS_OK; i++) {
        const struct history_file *file = &histories->files[i];
        if (file->role != HISTORY_LEFT_OVER &&
            salvage_find(files->salvage, file->name.exchange) == NULL)
            status = carry_over(files, file);
    }
    for (size_t i = 0; i < salvage_count(files->salvage) && status == STATUS_OK; i++)
        status = write_plan(files, salvage_at(files->salvage, i));
    int error = status == STATUS_OK ? files->to->sync_directory(files->to->context) : 0;
    return error == 0 ? status : fail(files, "", error, "cannot sync the new directory");
}

/* --- entities -----------------------------------------------------------------------------------
 */

/* The version is the highest that any surviving event has; the event to read from is the last one
 * that is kept, or one that is gone. */
static void settle_entity(const struct salvage_plan *plan, struct archive_entity *entity)
{
    struct entity_key key = {{entity->hash[0], entity->hash[1]}};
    uint64_t version;
    uint64_t sequence;
    if (entities_find(&plan->kept, key, &version, &sequence))
        entity->sequence = sequence;
    else if (entity->sequence >= plan->first)
        entity->sequence = plan->first - 1;
}

struct saving {
    struct archive_entities work;
    struct archive_entity entity[PIECE_ENTITIES];
    unsigned char at[ARCHIVE_ENTITIES_HEADER_BYTES + PIECE_ENTITIES * ARCHIVE_ENTITY_BYTES];
};

/* The next piece, at `offset`; `done` entities stand before it. */
static enum status save_piece(const struct salvage_files *files, struct archive *archive,
                              const struct salvage_plan *plan, struct saving *saving,
                              struct entity_key *from)
{
    struct archive_entities *work = &saving->work;
    uint32_t count =
        core_census_entities(files->core, plan->exchange, from, saving->entity, PIECE_ENTITIES);
    for (uint32_t i = 0; i < count; i++) {
        settle_entity(plan, &saving->entity[i]);
        archive_entity_put(saving->at + ARCHIVE_ENTITIES_HEADER_BYTES +
                               (size_t)i * ARCHIVE_ENTITY_BYTES,
                           &saving->entity[i]);
    }
    work->at = saving->at;
    work->count = count;
    work->count_all += count;
    work->is_last = count < PIECE_ENTITIES;
    enum status status = archive_run(archive, &work->work);
    if (status == STATUS_IO_ERROR)
        *files->failure = work->work.failure;
    if (count > 0)
        work->offset += ARCHIVE_ENTITIES_HEADER_BYTES + (uint64_t)count * ARCHIVE_ENTITY_BYTES;
    return status;
}

static enum status save(const struct salvage_files *files, const struct salvage_plan *plan)
{
    struct archive *archive = archive_new(files->to, NULL, NULL);
    struct saving *saving = calloc(1, sizeof *saving);
    struct entity_key from = {{0, 0}};
    enum status status = archive != NULL && saving != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        saving->work = (struct archive_entities){
            .work = {.kind = ARCHIVE_ENTITIES, .exchange = plan->exchange},
            .sequence = plan->entities,
            .offset = ARCHIVE_HEADER_BYTES};
        memcpy(saving->work.secret, core_census_secret(files->core, plan->exchange),
               sizeof saving->work.secret);
    }
    while (status == STATUS_OK && !saving->work.is_last)
        status = save_piece(files, archive, plan, saving, &from);
    free(saving);
    archive_free(archive);
    return status;
}

enum status salvage_files_write_entities(const struct salvage_files *files)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < salvage_count(files->salvage) && status == STATUS_OK; i++)
        if (salvage_at(files->salvage, i)->entities != 0)
            status = save(files, salvage_at(files->salvage, i));
    return status;
}
