/* Startup: opens the data directory and gives everything it holds to the core. */
#include "broker/startup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "broker/clock.h"
#include "broker/notify.h"

#define RECOVERY_SAY_MS 1000
/* Asked for at every progress line, so that only standing still is punished. */
#define RECOVERY_EXTEND_MS 30000

struct progress {
    struct log *log;
    struct core *core;
    struct clock clock;
    uint64_t record_count;
    uint64_t start_ms;
    uint64_t said_ms;
};

static void on_progress(void *argument, uint64_t done_bytes, uint64_t all_bytes)
{
    struct progress *progress = argument;
    uint64_t now_ms = clock_now_ms(&progress->clock);
    if (now_ms < progress->said_ms + RECOVERY_SAY_MS)
        return;
    char status[128];
    progress->said_ms = now_ms;
    (void)snprintf(status, sizeof status,
                   "recovering: %" PRIu64 " %% of %" PRIu64 " MiB, %" PRIu64 " records",
                   done_bytes * 100 / all_bytes, all_bytes >> 20, progress->record_count);
    log_write(progress->log, LOG_LEVEL_INFO, "journal", "%s", status);
    (void)notify_status(status);
    (void)notify_extend_timeout(RECOVERY_EXTEND_MS);
}

static enum status on_record(void *argument, uint64_t position, const unsigned char *at,
                             uint32_t bytes, uint64_t now_ms)
{
    struct progress *progress = argument;
    progress->record_count++;
    return core_on_record(progress->core, position, at, bytes, now_ms);
}

static enum status on_read(void *argument)
{
    struct progress *progress = argument;
    return core_on_read(progress->core);
}

static void log_recovered(const struct progress *progress, const char *directory,
                          const struct journal *journal)
{
    struct log *log = progress->log;
    struct journal_recovery found = journal_recovery(journal);
    uint64_t taken_ms = clock_now_ms(&progress->clock) - progress->start_ms;
    uint64_t per_second = found.record_count * 1000 / (taken_ms > 0 ? taken_ms : 1);
    log_write(log, LOG_LEVEL_NOTICE, "journal",
              "%s: %" PRIu64 " records in %" PRIu64 " bytes, the last stop was %s; read in %" PRIu64
              " ms, %" PRIu64 " records/s",
              directory, found.record_count, found.byte_count,
              found.was_clean ? "clean" : "not clean", taken_ms, per_second);
    if (found.cut_bytes > 0)
        log_write(log, LOG_LEVEL_WARNING, "journal",
                  "%s: cut a torn tail of %" PRIu64 " bytes, none of which was ever confirmed",
                  directory, found.cut_bytes);
}

enum status startup_recover(const struct startup *startup, struct disk **disk,
                            struct journal **journal)
{
    char error[256];
    struct disk *opened = NULL;
    *disk = NULL;
    *journal = NULL;
    enum status status = disk_real_new(&opened, startup->directory, error, sizeof error);
    if (status != STATUS_OK) {
        log_write(startup->log, LOG_LEVEL_ERROR, "journal", "data directory: %s", error);
        return status;
    }
    struct progress progress = {.log = startup->log, .core = startup->core};
    clock_start(&progress.clock, 0);
    progress.start_ms = clock_now_ms(&progress.clock);
    progress.said_ms = progress.start_ms;
    struct journal_failure failure;
    memset(&failure, 0, sizeof failure);
    core_count_homes(startup->core, journal);
    status = core_open_files(startup->core, opened, &startup->journal_options, &failure);
    if (status == STATUS_OK)
        status = journal_open(journal, opened, &startup->journal_options,
                              &(struct journal_reader){.on_record = on_record,
                                                       .argument = &progress,
                                                       .on_progress = on_progress,
                                                       .on_read = on_read},
                              &failure);
    if (status != STATUS_OK) {
        const struct journal_failure *of_core = core_failure(startup->core);
        startup_log_failure(startup->log, startup->directory, of_core != NULL ? of_core : &failure);
        core_close_files(startup->core);
        disk_real_free(opened);
        return status;
    }
    log_recovered(&progress, startup->directory, *journal);
    *disk = opened;
    return STATUS_OK;
}

int startup_exit_code(enum status status)
{
    if (status == STATUS_OK)
        return EX_OK;
    if (status == STATUS_CORRUPT || status == STATUS_NEWER_FORMAT)
        return EX_DATAERR;
    if (status == STATUS_IO_ERROR || status == STATUS_LOCKED || status == STATUS_DISK_FULL)
        return EX_IOERR;
    return EX_OSERR;
}

void startup_log_failure(struct log *log, const char *directory,
                         const struct journal_failure *failure)
{
    log_write(log, LOG_LEVEL_ERROR, "journal", "%s%s%s at offset %" PRIu64 ": %s%s%s", directory,
              failure->file[0] == '\0' ? "" : "/", failure->file, failure->offset, failure->text,
              failure->error == 0 ? "" : ": ", failure->error == 0 ? "" : strerror(failure->error));
}
