/* Histories as the offline tools see them. */
#include "broker/histories.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What looking at them needs; passed along. */
struct survey {
    struct histories *histories;
    struct core *core;
    struct archive *archive;
    enum histories_scope scope;
    struct journal_failure *failure;
    enum status status; /* of what a census told */
    size_t view_room;
    struct history_view *view; /* whose tail is told */
};

void histories_free(struct histories *histories)
{
    if (histories == NULL)
        return;
    for (size_t i = 0; i < histories->view_count; i++) {
        struct history_view *view = &histories->views[i];
        runs_deinit(&view->filed);
        runs_deinit(&view->tail);
        free(view->damage);
        free(view->name);
    }
    free(histories->views);
    free(histories->files);
    free(histories);
}

/* Makes room for one more in an array. NULL: no memory, the array is as it was. */
static void *grown(void *array, size_t count, size_t *room, size_t bytes)
{
    if (count < *room)
        return array;
    size_t wanted = *room > 0 ? 2 * *room : 16;
    void *made = realloc(array, wanted * bytes);
    if (made != NULL)
        *room = wanted;
    return made;
}

/* --- damage -------------------------------------------------------------------------------------
 */

static enum status note_damage(struct history_view *view, const struct archive_name *file,
                               uint64_t offset, const char *text)
{
    struct histories_damage *damage =
        grown(view->damage, (size_t)view->damage_count, &view->damage_room, sizeof *view->damage);
    if (damage == NULL)
        return STATUS_NO_MEMORY;
    view->damage = damage;
    damage += view->damage_count++;
    *damage = (struct histories_damage){.offset = offset};
    if (file != NULL)
        archive_print_name(damage->file, file);
    (void)snprintf(damage->text, sizeof damage->text, "%s", text);
    return STATUS_OK;
}

void history_view_each_gap(const struct history_view *view, runs_gap_fn on_gap, void *argument)
{
    const struct core_history *stated = &view->stated;
    /* What is in files goes up to `moved`, what is in the journal from there on. */
    if (stated->first <= stated->moved)
        runs_each_gap(&view->filed, (struct run){stated->first, stated->moved}, on_gap, argument);
    if (stated->moved < stated->last)
        runs_each_gap(&view->tail, (struct run){stated->moved + 1, stated->last}, on_gap, argument);
}

static void count_gap(void *argument, uint64_t first, uint64_t last)
{
    uint64_t *count = argument;
    *count += last - first + 1;
}

bool history_view_is_whole(const struct history_view *view)
{
    uint64_t lost = 0;
    history_view_each_gap(view, count_gap, &lost);
    return view->damage_count == 0 && lost == 0;
}

bool histories_are_whole(const struct histories *histories)
{
    for (size_t i = 0; i < histories->view_count; i++)
        if (!history_view_is_whole(&histories->views[i]))
            return false;
    return true;
}

static struct history_view *find_view(const struct histories *histories, uint32_t exchange)
{
    for (size_t i = 0; i < histories->view_count; i++)
        if (histories->views[i].stated.exchange == exchange)
            return &histories->views[i];
    return NULL;
}

const struct history_view *histories_find(const struct histories *histories, uint32_t exchange)
{
    return find_view(histories, exchange);
}

/* --- what there is ------------------------------------------------------------------------------
 */

static enum status list_files(struct survey *survey)
{
    struct histories *histories = survey->histories;
    struct archive_list list;
    enum status status = archive_list(survey->archive, &list, survey->failure);
    if (status == STATUS_OK)
        histories->files = calloc(list.count + 1, sizeof *histories->files);
    if (status == STATUS_OK && histories->files == NULL)
        status = STATUS_NO_MEMORY;
    for (size_t i = 0; status == STATUS_OK && i < list.count; i++)
        histories->files[histories->file_count++] =
            (struct history_file){.name = list.names[i], .role = HISTORY_LEFT_OVER};
    free(list.names);
    return status;
}

static int compare_views(const void *left, const void *right)
{
    const struct history_view *a = left;
    const struct history_view *b = right;
    return a->stated.exchange < b->stated.exchange ? -1 : 1;
}

static struct history_view *add_view(struct survey *survey, const struct core_history *stated)
{
    struct histories *histories = survey->histories;
    struct history_view *views = grown(histories->views, histories->view_count, &survey->view_room,
                                       sizeof *histories->views);
    if (views == NULL)
        return NULL;
    histories->views = views;
    struct history_view *view = &views[histories->view_count];
    *view = (struct history_view){.stated = *stated};
    view->name =
        strndup(stated->name.bytes > 0 ? (const char *)stated->name.at : "", stated->name.bytes);
    if (view->name == NULL)
        return NULL;
    view->stated.name = wire_bytes_of_text(view->name);
    histories->view_count++;
    return view;
}

static void on_history(void *argument, const struct core_history *stated)
{
    struct survey *survey = argument;
    if (survey->status == STATUS_OK && add_view(survey, stated) == NULL)
        survey->status = STATUS_NO_MEMORY;
}

/* --- which of the files count -------------------------------------------------------------------
 */

static bool is_up_to_open(const struct history_file *file, const struct core_history *stated)
{
    return file->name.exchange == stated->exchange && !file->name.is_entities &&
           file->name.first <= stated->file;
}

static enum history_role role_of(const struct histories *histories, size_t i,
                                 const struct core_history *stated)
{
    const struct history_file *file = &histories->files[i];
    if (file->name.is_entities)
        return file->name.first == stated->entities && stated->entities != 0 ? HISTORY_ENTITIES
                                                                             : HISTORY_LEFT_OVER;
    bool is_retired = i + 1 < histories->file_count && is_up_to_open(file + 1, stated) &&
                      file[1].name.first <= stated->first;
    if (!is_up_to_open(file, stated) || is_retired)
        return HISTORY_LEFT_OVER;
    return file->name.first == stated->file ? HISTORY_OPEN : HISTORY_FINISHED;
}

/* --- one file -----------------------------------------------------------------------------------
 */

struct look {
    struct survey *survey;
    struct history_view *view;
    struct history_file *file;
    bool is_at_end; /* of the file that is written to: a block ends where the journal says */
};

static bool is_beyond(const struct look *look, uint64_t offset)
{
    return look->file->role == HISTORY_OPEN && offset >= look->view->stated.end;
}

static enum status on_block(void *argument, const struct archive_block *block,
                            const unsigned char *at)
{
    struct look *look = argument;
    struct history_view *view = look->view;
    uint64_t end = block->offset + archive_block_bytes(block->payload_bytes);
    look->is_at_end |= end == view->stated.end;
    if (look->survey->scope == HISTORIES_STATED &&
        (is_beyond(look, block->offset) || look->file->role == HISTORY_LEFT_OVER))
        return STATUS_OK;
    uint64_t last = block->first + block->count - 1;
    uint64_t first = block->first > view->stated.first ? block->first : view->stated.first;
    enum status status = core_census_see_block(look->survey->core, block, at);
    if (status == STATUS_OK && first <= last)
        status = runs_add(&view->filed, first, last);
    return status;
}

/* The names of the file's entities are hashed as those of the core are. */
static bool has_secret(const struct look *look)
{
    const unsigned char *secret =
        core_census_secret(look->survey->core, look->view->stated.exchange);
    return memcmp(look->file->found.secret, secret, ARCHIVE_SECRET_BYTES) == 0;
}

static enum status on_entity(void *argument, const struct archive_entity *entity)
{
    const struct look *look = argument;
    struct core *core = look->survey->core;
    uint32_t exchange = look->view->stated.exchange;
    return has_secret(look) ? core_census_see_entity(core, exchange, entity) : STATUS_OK;
}

static enum status on_damage(void *argument, const struct archive_damage *damage)
{
    struct look *look = argument;
    if (look->file->role == HISTORY_LEFT_OVER || is_beyond(look, damage->offset))
        return STATUS_OK;
    look->file->damage_count++;
    return note_damage(look->view, &look->file->name, damage->offset, damage->text);
}

/* What is wrong with the file as a whole. */
static enum status judge_file(struct look *look)
{
    const struct history_file *file = look->file;
    const struct archive_inspection *found = &file->found;
    struct history_view *view = look->view;
    if (file->role == HISTORY_FINISHED && !found->is_finished)
        return note_damage(view, &file->name, file->name.bytes, "it does not end with its index");
    if (file->role == HISTORY_OPEN && file->name.bytes < view->stated.end)
        return note_damage(view, &file->name, file->name.bytes,
                           "it ends before what the journal says it holds");
    if (file->role == HISTORY_OPEN && !look->is_at_end && file->damage_count == 0)
        return note_damage(view, &file->name, found->end,
                           found->end < view->stated.end
                               ? "no block stands where one was written"
                               : "no block ends where the journal says that the last one does");
    if (file->role != HISTORY_ENTITIES)
        return STATUS_OK;
    view->lost_entities = found->count_stated - found->count;
    return !found->has_header || has_secret(look)
               ? STATUS_OK
               : note_damage(view, &file->name, 0, "its names are hashed with another secret");
}

static enum status look_at_file(struct survey *survey, struct history_view *view,
                                struct history_file *file)
{
    struct look look = {.survey = survey, .view = view, .file = file};
    struct archive_inspector inspector = {.on_block = on_block,
                                          .on_entity = on_entity,
                                          .on_damage = on_damage,
                                          .argument = &look,
                                          .failure = survey->failure,
                                          .is_open = file->role == HISTORY_OPEN};
    enum status status = archive_inspect(survey->archive, &file->name, &inspector, &file->found);
    if (status == STATUS_OK)
        status = judge_file(&look);
    if (file->role == HISTORY_OPEN || file->role == HISTORY_FINISHED) {
        view->file_count++;
        view->file_bytes += file->name.bytes;
    }
    return status;
}

/* --- one history --------------------------------------------------------------------------------
 */

/* A file that should be there, by the sequence of its first event or of its entities. */
static enum status note_missing(struct history_view *view, bool is_entities, uint64_t first)
{
    struct archive_name name = {
        .is_entities = is_entities, .exchange = view->stated.exchange, .first = first};
    return note_damage(view, &name, 0, "it is missing");
}

/* Files must reach from the oldest event to the file that is written to, without a hole. */
static enum status check_joints(const struct histories *histories, struct history_view *view)
{
    const struct core_history *stated = &view->stated;
    const struct history_file *before = NULL;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < histories->file_count && status == STATUS_OK; i++) {
        const struct history_file *file = &histories->files[i];
        if (file->name.exchange != stated->exchange ||
            (file->role != HISTORY_OPEN && file->role != HISTORY_FINISHED))
            continue;
        if (before == NULL && file->name.first > stated->first)
            status = note_damage(view, &file->name, 0, "the file before this one is missing");
        else if (before != NULL && before->found.is_finished &&
                 before->found.index.last + 1 != file->name.first)
            status = note_missing(view, false, before->found.index.last + 1);
        before = file;
    }
    if (status == STATUS_OK && stated->file != 0 &&
        (before == NULL || before->role != HISTORY_OPEN))
        status = note_missing(view, false, stated->file);
    return status;
}

static void on_tail(void *argument, uint64_t first, uint64_t last)
{
    struct survey *survey = argument;
    if (survey->status == STATUS_OK)
        survey->status = runs_add(&survey->view->tail, first, last);
}

static bool has_entities(const struct histories *histories, const struct core_history *stated)
{
    for (size_t i = 0; i < histories->file_count; i++)
        if (histories->files[i].role == HISTORY_ENTITIES &&
            histories->files[i].name.exchange == stated->exchange)
            return true;
    return stated->entities == 0;
}

static void on_tail_gap(void *argument, uint64_t first, uint64_t last)
{
    struct history_view *view = argument;
    char text[HISTORIES_TEXT_BYTES];
    (void)snprintf(text, sizeof text,
                   "events %" PRIu64 " to %" PRIu64 " are missing in the journal", first, last);
    (void)note_damage(view, NULL, 0, text);
}

static enum status check_tail(struct survey *survey, struct history_view *view)
{
    const struct core_history *stated = &view->stated;
    survey->view = view;
    core_census_tail(survey->core, stated->exchange, on_tail, survey);
    if (survey->status == STATUS_OK && stated->moved < stated->last)
        runs_each_gap(&view->tail, (struct run){stated->moved + 1, stated->last}, on_tail_gap,
                      view);
    return survey->status;
}

static enum status look_at(struct survey *survey, struct history_view *view)
{
    struct histories *histories = survey->histories;
    enum status status = check_tail(survey, view);
    for (size_t i = 0; i < histories->file_count && status == STATUS_OK; i++) {
        struct history_file *file = &histories->files[i];
        if (file->name.exchange != view->stated.exchange)
            continue;
        file->role = role_of(histories, i, &view->stated);
        if (file->role != HISTORY_LEFT_OVER || survey->scope == HISTORIES_ALL)
            status = look_at_file(survey, view, file);
    }
    if (status == STATUS_OK)
        status = check_joints(histories, view);
    if (status == STATUS_OK && !has_entities(histories, &view->stated))
        status = note_missing(view, true, view->stated.entities);
    return status;
}

/* What the core has seen by now. */
static void on_seen(void *argument, const struct core_history *stated)
{
    const struct survey *survey = argument;
    struct history_view *view = find_view(survey->histories, stated->exchange);
    if (view != NULL)
        view->stated.entity_count = stated->entity_count;
}

static enum status run(struct survey *survey)
{
    struct histories *histories = survey->histories;
    enum status status = list_files(survey);
    if (status != STATUS_OK)
        return status;
    core_census_histories(survey->core, on_history, survey);
    status = survey->status;
    if (histories->view_count > 0)
        qsort(histories->views, histories->view_count, sizeof *histories->views, compare_views);
    for (size_t i = 0; i < histories->view_count && status == STATUS_OK; i++)
        status = look_at(survey, &histories->views[i]);
    core_census_histories(survey->core, on_seen, survey);
    return status;
}

enum status histories_new(struct histories **histories, struct core *core, const struct disk *disk,
                          enum histories_scope scope, struct journal_failure *failure)
{
    *histories = calloc(1, sizeof **histories);
    struct archive *archive = archive_new(disk, NULL, NULL);
    enum status status = STATUS_NO_MEMORY;
    struct survey survey = {.histories = *histories,
                            .core = core,
                            .archive = archive,
                            .scope = scope,
                            .failure = failure};
    if (*histories != NULL && archive != NULL)
        status = run(&survey);
    archive_free(archive);
    if (status == STATUS_NO_MEMORY && failure->text[0] == '\0')
        (void)snprintf(failure->text, sizeof failure->text, "out of memory");
    return status;
}
