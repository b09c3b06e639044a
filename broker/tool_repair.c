/* heraldd --repair: what would be lost, and with consent a journal without it.
 *
 *   read everything --> report --> consent --> write what survives beside it --> verify that
 *                                                                                   |
 *                                     the two directories change places  <----------+
 *
 * The damaged directory is only ever read and, at the very end, renamed.
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
#include "broker/tool.h"
#include "broker/tool_report.h"

struct repair {
    const char *directory; /* as it was given */
    struct disk *disk;
    struct mend *mend;
    uint64_t record_count;
    struct inspect_summary summary;
    struct tool_damage damage;
    struct mend_report report;
    struct journal_failure failure;
    struct replace replace;
};

static enum status on_record(void *argument, const struct inspect_record *record)
{
    struct repair *repair = argument;
    repair->record_count++;
    return mend_record(repair->mend, record);
}

static enum status on_damage(void *argument, const struct inspect_damage *damage)
{
    struct repair *repair = argument;
    tool_note_damage(&repair->damage, damage, repair->record_count);
    return STATUS_OK;
}

/* Reads everything that verifies, mends it, and gives it to `on_mended` unless that is NULL. */
static enum status read_all(struct repair *repair, mend_record_fn on_mended, void *argument)
{
    repair->record_count = 0;
    repair->damage.count = 0;
    repair->damage.lost_bytes = 0;
    repair->mend = mend_new(on_mended, argument);
    if (repair->mend == NULL)
        return STATUS_NO_MEMORY;
    struct inspect_reader reader = {on_record, on_damage, repair};
    enum status status = inspect_run(repair->disk, &reader, &repair->summary, &repair->failure);
    if (status == STATUS_OK)
        status = mend_finish(repair->mend);
    repair->report = *mend_report(repair->mend);
    mend_free(repair->mend);
    repair->mend = NULL;
    return status;
}

static bool is_whole(const struct repair *repair)
{
    const struct mend_report *report = &repair->report;
    return repair->damage.count + report->strange_count + report->queue_count +
               report->exchange_count + report->client_count + report->bodiless_count ==
           0;
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
    if (report->bodiless_count > 0)
        printf("  - %" PRIu64 " parked commands lose their body and keep their failure; they\n"
               "    carry the header herald-recovered\n",
               report->bodiless_count);
}

static void say_report(const struct repair *repair, const char *path)
{
    const struct mend_report *report = &repair->report;
    char size[TOOL_TEXT_BYTES];
    tool_print_size(repair->damage.lost_bytes, size);
    printf("%s: the journal is damaged\n", path);
    tool_print_summary(stdout, &repair->summary);
    printf("\nDamaged:\n");
    tool_print_damage(stdout, &repair->damage, repair->record_count);
    if (report->strange_count > 0)
        printf("  %" PRIu64 " records verify, but say nothing that this version knows\n",
               report->strange_count);
    printf("\nLost would be\n"
           "  - all that stands there: up to %s of messages, settlements and\n"
           "    definitions, some of which may have been of no use any more\n",
           size);
    printf("\nKept would be\n"
           "  - all %" PRIu64 " records that verify, on both sides of the damage\n",
           report->kept_count);
    say_added(report);
    printf("\nIn doubt would be\n"
           "  - messages whose settlement is lost: they are delivered again\n"
           "  - all waiting messages are delivered with the flag redelivered\n"
           "  - what was deleted or unbound in the damaged part comes back\n"
           "  - clients that resume may send again what was confirmed to them\n");
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

/* --- the new journal ---------------------------------------------------------------------------
 */

static enum status write_records(struct repair *repair, const struct disk *disk)
{
    struct rewrite *rewrite;
    enum status status =
        rewrite_new(&rewrite, disk, repair->summary.segment_bytes, &repair->failure);
    if (status != STATUS_OK)
        return status;
    status = read_all(repair, rewrite_append, rewrite);
    if (status == STATUS_OK)
        status = rewrite_stop(rewrite);
    if (status == STATUS_IO_ERROR && repair->failure.text[0] == '\0')
        repair->failure = *rewrite_failure(rewrite);
    rewrite_free(rewrite);
    return status;
}

/* What was written is read as a daemon would read it. */
static enum status check_written(struct repair *repair)
{
    struct repair written = {.directory = repair->replace.repaired};
    int exit_code;
    written.disk = tool_open(written.directory, &exit_code);
    if (written.disk == NULL)
        return STATUS_IO_ERROR;
    enum status status = read_all(&written, NULL, NULL);
    repair->failure = written.failure;
    disk_real_free(written.disk);
    bool is_good = is_whole(&written) && written.summary.is_clean &&
                   written.report.found.waiting_count == repair->report.found.waiting_count &&
                   written.report.found.parked_count == repair->report.found.parked_count &&
                   written.report.found.queue_count == repair->report.found.queue_count;
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
    status = write_records(repair, disk);
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
    enum status status = read_all(repair, NULL, NULL);
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
    disk_real_free(repair->disk);
    free(repair);
    return exit_code;
}
