/* What the offline tools say about histories. */
#include "broker/tool_history.h"

#include <inttypes.h>
#include <string.h>

#include "broker/log.h"
#include "broker/tool_report.h"

/* Of one history; the rest is counted. */
enum { LINES_MAX = 50 };

void tool_name_history(const struct history_view *view, char text[TOOL_NAME_BYTES])
{
    if (view->stated.name.bytes == 0)
        (void)snprintf(text, TOOL_NAME_BYTES, "exchange %" PRIu32, view->stated.exchange);
    else
        (void)log_escape(view->name, strlen(view->name), text, TOOL_NAME_BYTES);
}

void tool_print_events(FILE *out, uint64_t first, uint64_t last)
{
    if (first == last)
        fprintf(out, "event %" PRIu64, first);
    else
        fprintf(out, "events %" PRIu64 " to %" PRIu64, first, last);
}

/* --- what there is ------------------------------------------------------------------------------
 */

static void print_view(FILE *out, const struct history_view *view)
{
    const struct core_history *stated = &view->stated;
    char text[TOOL_NAME_BYTES];
    char size[TOOL_TEXT_BYTES];
    tool_name_history(view, text);
    fprintf(out, "  history     %s\n", text);
    if (stated->first > stated->last)
        fprintf(out, "              events      none, the next is %" PRIu64 "\n", stated->last + 1);
    else
        fprintf(out, "              events      %" PRIu64 " to %" PRIu64 "\n", stated->first,
                stated->last);
    tool_print_size(view->file_bytes, size);
    fprintf(out, "              in files    %" PRIu64 ", %" PRIu64 " file%s, %s\n",
            runs_count(&view->filed, stated->first, stated->moved), view->file_count,
            view->file_count == 1 ? "" : "s", size);
    fprintf(out, "              in journal  %" PRIu64 "\n",
            runs_count(&view->tail, stated->moved + 1, stated->last));
    fprintf(out, "              entities    %" PRIu64, stated->entity_count);
    if (stated->entities != 0)
        fprintf(out, ", saved up to event %" PRIu64, stated->entities);
    fprintf(out, "\n              cursors     %" PRIu64 "\n", stated->cursor_count);
}

static void print_left_over(FILE *out, const struct history_file *file)
{
    char name[ARCHIVE_NAME_BYTES];
    char size[TOOL_TEXT_BYTES];
    archive_print_name(name, &file->name);
    tool_print_size(file->name.bytes, size);
    fprintf(out, "  left over   %s (%s)\n              harmless: a start removes it\n", name, size);
}

/* What stands in the open file behind its end. */
static void print_rest(FILE *out, const struct history_file *file, uint32_t end)
{
    char name[ARCHIVE_NAME_BYTES];
    char size[TOOL_TEXT_BYTES];
    if (file->name.bytes <= end)
        return;
    archive_print_name(name, &file->name);
    tool_print_size(file->name.bytes - end, size);
    fprintf(out,
            "  left over   %s behind the end of\n              %s\n"
            "              harmless: a start cuts it\n",
            size, name);
}

void tool_print_histories(FILE *out, const struct histories *histories)
{
    for (size_t i = 0; i < histories->view_count; i++)
        print_view(out, &histories->views[i]);
    for (size_t i = 0; i < histories->file_count; i++) {
        const struct history_file *file = &histories->files[i];
        const struct history_view *view = histories_find(histories, file->name.exchange);
        if (file->role == HISTORY_LEFT_OVER)
            print_left_over(out, file);
        else if (file->role == HISTORY_OPEN && view != NULL)
            print_rest(out, file, view->stated.end);
    }
}

/* --- what is damaged ----------------------------------------------------------------------------
 */

struct gaps {
    FILE *out;
    uint64_t count;
};

static void on_gap(void *argument, uint64_t first, uint64_t last)
{
    struct gaps *gaps = argument;
    if (++gaps->count > LINES_MAX)
        return;
    fprintf(gaps->out, "      ");
    tool_print_events(gaps->out, first, last);
    fprintf(gaps->out, " cannot be read\n");
}

static void print_damage(FILE *out, const struct history_view *view)
{
    char name[TOOL_NAME_BYTES];
    struct gaps gaps = {out, 0};
    tool_name_history(view, name);
    fprintf(out, "  the history of %s\n", name);
    for (uint64_t i = 0; i < view->damage_count && i < LINES_MAX; i++) {
        const struct histories_damage *damage = &view->damage[i];
        if (damage->file[0] != '\0')
            fprintf(out, "      %s at offset %" PRIu64 "\n          %s\n", damage->file,
                    damage->offset, damage->text);
        else
            fprintf(out, "      %s\n", damage->text);
    }
    if (view->damage_count > LINES_MAX)
        fprintf(out, "      and %" PRIu64 " places more\n", view->damage_count - LINES_MAX);
    history_view_each_gap(view, on_gap, &gaps);
    if (gaps.count > LINES_MAX)
        fprintf(out, "      and %" PRIu64 " runs of events more\n", gaps.count - LINES_MAX);
    if (view->lost_entities > 0)
        fprintf(out, "      %" PRIu64 " saved versions of entities cannot be read\n",
                view->lost_entities);
}

void tool_print_history_damage(FILE *out, const struct histories *histories)
{
    for (size_t i = 0; i < histories->view_count; i++)
        if (!history_view_is_whole(&histories->views[i]))
            print_damage(out, &histories->views[i]);
}
