/* Startup: opens the data directory and gives everything it holds to the core, before anybody is
 * served; and what the process says and exits with when the data cannot be used.
 */
#ifndef HERALD_STARTUP_H
#define HERALD_STARTUP_H

#include "broker/core/core.h"
#include "broker/log.h"
#include "broker/store/disk.h"
#include "broker/store/journal.h"
#include "protocol/status.h"

struct startup {
    struct log *log;
    const char *directory;
    struct journal_options journal_options;
    struct core *core;
};

/* On success *disk and *journal are the caller's, to be freed journal first. On failure both are
 * NULL, the log says why, and the status is for startup_exit_code. */
enum status startup_recover(const struct startup *startup, struct disk **disk,
                            struct journal **journal);

/* 65: the data is damaged or newer than this program, and a restart would not help. 74: the disk
 * failed, or another daemon has the directory. 71: the system lacks something. 0 for STATUS_OK. */
int startup_exit_code(enum status status);

/* Writes the one line about what went wrong with the disk. */
void startup_log_failure(struct log *log, const char *directory,
                         const struct journal_failure *failure);

#endif
