/* heraldd --repair: what would be lost, and with consent a directory without it.
 *
 *   read everything --> report --> consent --> write what survives beside it --> verify that
 *                                                                                   |
 *                                     the two directories change places  <----------+
 *
 * The damaged directory is only ever read and, at the very end, renamed; files of histories that
 * are never written to again are links in both.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "broker/log.h"
#include "broker/mend.h"
#include "broker/replace.h"
#include "broker/rewrite.h"
#include "broker/salvage_files.h"
#include "broker/tool.h"
#include "broker/tool_history.h"
#include "broker/tool_report.h"

struct repair {
    const char *directory; /* as it was given */
    struct disk *disk;
    struct mend *mend;     /* of this reading */
    struct mend *surveyed; /* of the first one: histories were looked at with its core */
    struct histories *histories;
    struct salvage *salvage;
    uint64_t record_count;
    struct inspect_summary summary;
    struct tool_damage damage;
    struct mend_report report;
    struct journal_failure failure;
    struct replace replace;
};

static void repair_deinit(struct repair *repair)
{
    salvage_free(repair->salvage);
    histories_free(repair->histories);
    mend_free(repair->surveyed);
    disk_real_free(repair->disk);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static enum status on_record(void *argument, const struct inspect_record *record)
{
    struct repair *repair = argument;
    repair->record_count++;
    return mend_record(repair->mend, record);
}

/* The first time. */
static enum status on_surveyed(void *argument, const struct inspect_record *record)
{
    struct repair *repair = argument;
    struct wire_reader r = wire_reader_of(record->at, record->bytes);
    struct operation operation;
    enum status status = on_record(argument, record);
    while (status == STATUS_OK && record_next(&r, &operation) == STATUS_OK)
        status = salvage_note(repair->salvage, &operation);
    return status;
}

static enum status on_damage(void *argument, const struct inspect_damage *damage)
{
    struct repair *repair = argument;
    tool_note_damage(&repair->damage, damage, repair->record_count);
    return STATUS_OK;
}

/* Reads everything that verifies; `mend` is who mends it. */
static enum status read_records(struct repair *repair, struct mend *mend,
                                const struct inspect_reader *reader)
{
    repair->record_count = 0;
    repair->damage.count = 0;
    repair->damage.lost_bytes = 0;
    repair->mend = mend;
    return inspect_run(repair->disk, reader, &repair->summary, &repair->failure);
}

static bool is_journal_whole(const struct repair *repair)
{
    const struct mend_report *report = &repair->report;
    return repair->damage.count + report->strange_count + report->queue_count +
               report->exchange_count + report->client_count + report->bodiless_count ==
           0;
}

static bool is_whole(const struct repair *repair)
{
    return is_journal_whole(repair) && salvage_count(repair->salvage) == 0;
}

/* Where records are lost, files may be all that is left of an exchange. */
static enum status adopt(struct repair *repair)
{
    struct archive *archive = archive_new(repair->disk, NULL, NULL);
    struct archive_list list = {0};
    if (repair->damage.count + mend_report(repair->mend)->strange_count == 0 || archive == NULL) {
        archive_free(archive);
        return archive != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    }
    enum status status = archive_list(archive, &list, &repair->failure);
    for (size_t i = 0; i < list.count && status == STATUS_OK; i++) {
        uint32_t exchange = list.names[i].exchange;
        if (core_census_secret(mend_core(repair->mend), exchange) == NULL &&
            salvage_may_live(repair->salvage, exchange))
            status = mend_adopt(repair->mend, exchange);
    }
    free(list.names);
    archive_free(archive);
    return status;
}

static enum status look_at_histories(struct repair *repair)
{
    struct core *core = mend_core(repair->mend);
    enum histories_scope scope = is_journal_whole(repair) ? HISTORIES_STATED : HISTORIES_ALL;
    enum status status =
        histories_new(&repair->histories, core, repair->disk, scope, &repair->failure);
    return status == STATUS_OK ? salvage_decide(repair->salvage, repair->histories, core) : status;
}

/* Reads everything for the first time, and plans. */
static enum status survey(struct repair *repair)
{
    struct inspect_reader reader = {on_surveyed, on_damage, repair};
    repair->salvage = salvage_new();
    repair->surveyed = mend_new(NULL, NULL);
    enum status status = STATUS_NO_MEMORY;
    if (repair->salvage != NULL && repair->surveyed != NULL)
        status = core_open_archive(mend_core(repair->surveyed), repair->disk, &repair->failure);
    if (status == STATUS_OK)
        status = read_records(repair, repair->surveyed, &reader);
    if (status == STATUS_OK)
        status = adopt(repair);
    if (status == STATUS_OK)
        status = mend_finish(repair->mend);
    if (status != STATUS_OK)
        return status;
    repair->report = *mend_report(repair->mend);
    return look_at_histories(repair);
}

/* --- the report --------------------------------------------------------------------------------
 */

static void say_added(const struct mend_report *report)
{
    if (report->queue_count + report->exchange_count > 0)
        printf("  - queues (%" PRIu64 ") and exchanges (%" PRIu64 ") whose definition is lost:\n"
               "    they are called recovered-NUMBER and have default settings\n",
               report->queue_count, report->exchange_count);
    if (report->client_count > 0)
        printf("  - %" PRIu64 " clients whose name is lost are forgotten\n", report->client_count);
    if (report->replaced_count > 0)
        printf("  - %" PRIu64 " objects are taken for deleted, because their name was given\n"
               "    anew later on\n",
               report->replaced_count);
    if (report->adopted_count > 0)
        printf("  - exchanges (%" PRIu64 ") of which there are only files of their history: they\n"
               "    are called recovered-NUMBER, too\n",
               report->adopted_count);
    if (report->bodiless_count > 0)
        printf("  - %" PRIu64 " parked commands lose their body and keep their failure; they\n"
               "    carry the header herald-recovered\n",
               report->bodiless_count);
}

static void say_runs(const struct runs *runs, const char *what)
{
    for (size_t i = 0; i < runs->count; i++) {
        printf("      ");
        tool_print_events(stdout, runs->run[i].first, runs->run[i].last);
        printf("%s\n", what);
    }
}

/* What is lost of one history, and what is kept. */
static void say_plan(const struct salvage_plan *plan, const struct history_view *view)
{
    char name[TOOL_NAME_BYTES];
    tool_name_history(view, name);
    printf("  - of the history of %s:\n", name);
    if (plan->lost.count + plan->dropped.count + view->lost_entities == 0)
        printf("      nothing: what its files lack, the journal still has\n");
    say_runs(&plan->lost, " that are damaged or missing");
    say_runs(&plan->dropped, " that are whole, but have a hole between them\n"
                             "        and more events, and a history has no holes");
    if (view->lost_entities > 0)
        printf("      %" PRIu64 " saved versions of entities: those without an event that\n"
               "        survives begin at version 1 again\n",
               view->lost_entities);
    printf("      Kept of it would be ");
    if (plan->first <= plan->last)
        tool_print_events(stdout, plan->first, plan->last);
    else
        printf("nothing");
    printf(".\n");
    if (plan->last < plan->known_last)
        printf("      The next event would be number %" PRIu64 ": it is given again.\n",
               plan->last + 1);
}

static bool gives_numbers_again(const struct repair *repair)
{
    for (size_t i = 0; i < salvage_count(repair->salvage); i++)
        if (salvage_at(repair->salvage, i)->last < salvage_at(repair->salvage, i)->known_last)
            return true;
    return false;
}

static void say_lost(const struct repair *repair)
{
    char size[TOOL_TEXT_BYTES];
    printf("\nLost would be\n");
    if (!is_journal_whole(repair)) {
        tool_print_size(repair->damage.lost_bytes, size);
        printf("  - all that stands in the damaged part of the journal: up to %s of\n"
               "    messages, settlements and definitions, some of which may have been of no\n"
               "    use any more\n",
               size);
    }
    for (size_t i = 0; i < salvage_count(repair->salvage); i++) {
        const struct salvage_plan *plan = salvage_at(repair->salvage, i);
        say_plan(plan, histories_find(repair->histories, plan->exchange));
    }
}

static void say_doubts(const struct repair *repair)
{
    if (is_journal_whole(repair) && salvage_count(repair->salvage) == 0)
        return;
    printf("\nIn doubt would be\n");
    if (!is_journal_whole(repair))
        printf("  - messages whose settlement is lost: they are delivered again\n"
               "  - all waiting messages are delivered with the flag redelivered\n"
               "  - what was deleted or unbound in the damaged part comes back\n"
               "  - clients that resume may send again what was confirmed to them\n");
    if (gives_numbers_again(repair))
        printf("  - cursors that are done with events whose numbers are given again go back\n"
               "    to the last one that is kept, and what they keep of others is dropped\n");
    if (salvage_count(repair->salvage) > 0)
        printf("  - entities have the version of their last event that survives or was saved,\n"
               "    kept or not; readers begin at the oldest that is kept\n");
}

static void say_report(const struct repair *repair, const char *path)
{
    const struct mend_report *report = &repair->report;
    bool is_journal_damaged = !is_journal_whole(repair);
    printf("%s: the journal is %s\n", path, is_journal_damaged ? "damaged" : "whole");
    if (salvage_count(repair->salvage) > 0)
        printf("%s: histories are damaged\n", path);
    tool_print_summary(stdout, &repair->summary);
    tool_print_histories(stdout, repair->histories);
    printf("\nDamaged:\n");
    tool_print_damage(stdout, &repair->damage, repair->record_count);
    if (report->strange_count > 0)
        printf("  %" PRIu64 " records verify, but say nothing that this version knows\n",
               report->strange_count);
    tool_print_history_damage(stdout, repair->histories);
    say_lost(repair);
    printf("\nKept would be\n"
           "  - all %" PRIu64 " records that verify%s\n",
           report->kept_count, is_journal_damaged ? ", on both sides of the damage" : "");
    say_added(report);
    say_doubts(repair);
    printf("\nAfterwards there would be\n");
    tool_print_census(stdout, &report->found);
    printf("\nThe damaged directory would be kept whole as\n  %s\n", repair->replace.damaged);
}

static bool has_consent(enum tool_consent consent)
{
    char answer[16];
    if (consent == TOOL_CONSENTED)
        return true;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        printf("\nNothing was changed. To repair: heraldd --repair DIR --yes\n");
        return false;
    }
    printf("\nType yes to repair: ");
    if (fflush(stdout) == 0 && fgets(answer, sizeof answer, stdin) != NULL &&
        strcmp(answer, "yes\n") == 0)
        return true;
    printf("Nothing was changed.\n");
    return false;
}

/* --- the new directory -------------------------------------------------------------------------
 */

/* What is kept of the records, and what is to stand behind them. */
static enum status rewrite_records(struct repair *repair)
{
    struct inspect_reader reader = {on_record, on_damage, repair};
    enum status status = read_records(repair, repair->mend, &reader);
    if (status == STATUS_OK)
        status = adopt(repair);
    if (status == STATUS_OK)
        status = mend_histories(repair->mend);
    if (status == STATUS_OK && !is_journal_whole(repair))
        status = mend_finish(repair->mend);
    if (status == STATUS_OK)
        repair->report = *mend_report(repair->mend);
    return status;
}

static enum status write_records(struct repair *repair, const struct disk *disk)
{
    struct rewrite *rewrite;
    enum status status =
        rewrite_new(&rewrite, disk, repair->summary.segment_bytes, &repair->failure);
    if (status != STATUS_OK)
        return status;
    repair->mend = mend_new(rewrite_append, rewrite);
    if (repair->mend != NULL) {
        mend_set_salvage(repair->mend, repair->salvage);
        status = rewrite_records(repair);
    } else {
        status = STATUS_NO_MEMORY;
    }
    if (status == STATUS_OK)
        status = rewrite_stop(rewrite);
    if (status == STATUS_IO_ERROR && repair->failure.text[0] == '\0')
        repair->failure = *rewrite_failure(rewrite);
    rewrite_free(rewrite);
    mend_free(repair->mend);
    repair->mend = NULL;
    return status;
}

static bool link_file(void *context, const char *name)
{
    return replace_link(context, name) == 0;
}

static enum status write_all(struct repair *repair, const struct disk *disk)
{
    struct salvage_files files = {.salvage = repair->salvage,
                                  .histories = repair->histories,
                                  .core = mend_core(repair->surveyed),
                                  .from = repair->disk,
                                  .to = disk,
                                  .link = link_file,
                                  .link_context = &repair->replace,
                                  .failure = &repair->failure};
    enum status status = salvage_files_write(&files);
    if (status == STATUS_OK)
        status = write_records(repair, disk);
    return status == STATUS_OK ? salvage_files_write_entities(&files) : status;
}

/* Every history that was planned is so, and none has become another. */
static bool are_histories_good(const struct repair *repair, const struct repair *written)
{
    for (size_t i = 0; i < written->histories->view_count; i++) {
        const struct core_history *found = &written->histories->views[i].stated;
        const struct salvage_plan *plan = salvage_find(repair->salvage, found->exchange);
        const struct history_view *view = histories_find(repair->histories, found->exchange);
        if (view == NULL)
            return false;
        if (found->first != (plan != NULL ? plan->first : view->stated.first) ||
            found->last != (plan != NULL ? plan->last : view->stated.last) ||
            found->entity_count != view->stated.entity_count)
            return false;
    }
    return written->histories->view_count == repair->histories->view_count;
}

/* What was written is read as a daemon would read it. */
static enum status check_written(struct repair *repair)
{
    struct repair written = {.directory = repair->replace.repaired};
    int exit_code;
    written.disk = tool_open(written.directory, &exit_code);
    if (written.disk == NULL)
        return STATUS_IO_ERROR;
    enum status status = survey(&written);
    repair->failure = written.failure;
    bool is_good = status == STATUS_OK && is_whole(&written) && written.summary.is_clean &&
                   written.report.found.waiting_count == repair->report.found.waiting_count &&
                   written.report.found.parked_count == repair->report.found.parked_count &&
                   written.report.found.queue_count == repair->report.found.queue_count &&
                   are_histories_good(repair, &written);
    repair_deinit(&written);
    return status == STATUS_OK && !is_good ? STATUS_CORRUPT : status;
}

static enum status write_new(struct repair *repair)
{
    char error[256];
    struct disk *disk;
    enum status status = disk_real_new(&disk, repair->replace.repaired, error, sizeof error);
    if (status != STATUS_OK) {
        (void)snprintf(repair->failure.text, sizeof repair->failure.text, "%s", error);
        return status;
    }
    status = write_all(repair, disk);
    disk_real_free(disk);
    return status == STATUS_OK ? check_written(repair) : status;
}

/* Says why, and that nothing has happened. */
static int give_up(const struct repair *repair, enum status status, const char *what, int error)
{
    fprintf(stderr, "heraldd: %s: %s%s%s\n", what,
            error != 0                        ? strerror(-error)
            : repair->failure.text[0] != '\0' ? repair->failure.text
                                              : status_text(status),
            repair->failure.error != 0 ? ": " : "",
            repair->failure.error != 0 ? strerror(repair->failure.error) : "");
    fprintf(stderr, "heraldd: nothing was changed in %s\n", repair->replace.directory);
    return error != 0 ? EX_IOERR : EX_OSERR;
}

static int carry_out(struct repair *repair)
{
    int error = replace_begin(&repair->replace);
    if (error != 0)
        return give_up(repair, STATUS_IO_ERROR, repair->replace.repaired, error);
    enum status status = write_new(repair);
    if (status != STATUS_OK) {
        (void)give_up(repair, status, "the new journal cannot be written", 0);
        replace_abandon(&repair->replace);
        return status == STATUS_NO_MEMORY ? EX_OSERR : EX_IOERR;
    }
    error = replace_commit(&repair->replace);
    if (error != 0) {
        fprintf(stderr, "heraldd: the repaired journal is in %s\n", repair->replace.repaired);
        return give_up(repair, STATUS_IO_ERROR, "it cannot take the place of the damaged one",
                       error);
    }
    printf("\nRepaired: %" PRIu64 " records. The damaged directory is\n  %s\n",
           repair->report.kept_count, repair->replace.damaged);
    return EX_OK;
}

static int run(struct repair *repair, enum tool_consent consent)
{
    char path[1024];
    (void)log_escape(repair->directory, strlen(repair->directory), path, sizeof path);
    int error = replace_plan(&repair->replace, repair->directory, (uint64_t)time(NULL));
    if (error != 0)
        return give_up(repair, STATUS_IO_ERROR, path, error);
    enum status status = survey(repair);
    if (status != STATUS_OK)
        return tool_complain(repair->directory, status, &repair->failure);
    if (repair->summary.segment_count == 0)
        return tool_complain_empty(repair->directory);
    if (is_whole(repair)) {
        printf("%s: the journal is whole, there is nothing to repair\n", path);
        return EX_OK;
    }
    say_report(repair, path);
    return has_consent(consent) ? carry_out(repair) : EX_DATAERR;
}

int tool_repair(const char *directory, enum tool_consent consent)
{
    int exit_code = EX_OSERR;
    struct repair *repair = calloc(1, sizeof *repair);
    if (repair == NULL)
        return exit_code;
    repair->directory = directory;
    repair->disk = tool_open(directory, &exit_code);
    if (repair->disk != NULL)
        exit_code = tool_finish(run(repair, consent));
    repair_deinit(repair);
    free(repair);
    return exit_code;
}
