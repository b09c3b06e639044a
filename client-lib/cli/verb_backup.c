/* herald backup: a copy of the broker's data directory, over the connection. */
#include "client-lib/cli/verbs.h"

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client-lib/cli/contact.h"
#include "client-lib/cli/copy.h"
#include "client-lib/cli/output.h"
#include "client-lib/cli/report.h"
#include "client-lib/cli/value.h"

enum {
    PROGRESS_INTERVAL_MS = 250,
    /* A broker that has gone must be noticed while somebody waits at a terminal. */
    HEARTBEAT_MS = 5000,
};

struct backup_run {
    struct contact contact;
    struct copy copy;
    int64_t begun_at_ms;
    int64_t shown_at_ms;
    bool shows_progress;
    bool has_failed; /* it could not be written; said */
    int stop_signal; /* 0: none has come */
};

static uint64_t bytes_a_second(const struct backup_run *run)
{
    int64_t ms = contact_now_ms() - run->begun_at_ms;
    return run->copy.bytes * 1000 / (uint64_t)(ms > 0 ? ms : 1);
}

static void show_progress(struct backup_run *run, const struct herald_backup_piece *piece)
{
    int64_t now_ms = contact_now_ms();
    if (!run->shows_progress || now_ms - run->shown_at_ms < PROGRESS_INTERVAL_MS)
        return;
    run->shown_at_ms = now_ms;
    char done[VALUE_TEXT_BYTES];
    char whole[VALUE_TEXT_BYTES];
    char speed[VALUE_TEXT_BYTES];
    value_print_size(run->copy.bytes, done);
    value_print_size(piece->all_bytes, whole);
    value_print_size(bytes_a_second(run), speed);
    fprintf(stderr, "\r%s of %s, %s/s\033[K", done, whole, speed);
}

static void end_progress(const struct backup_run *run)
{
    if (run->shows_progress)
        fprintf(stderr, "\r\033[K");
}

static int on_piece(const struct herald_backup_piece *piece, void *context)
{
    struct backup_run *run = context;
    struct signalfd_siginfo info;
    while (read(run->contact.signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM)
            run->stop_signal = (int)info.ssi_signo;
    }
    if (run->stop_signal != 0)
        return 1;
    run->has_failed = !copy_add(&run->copy, piece);
    show_progress(run, piece);
    return run->has_failed;
}

static int fetch(struct backup_run *run)
{
    const struct herald_backup backup = {
        .size = sizeof backup, .on_piece = on_piece, .context = run};
    enum herald_status status = herald_backup(run->contact.client, &backup, -1);
    end_progress(run);
    if (run->has_failed)
        return EXIT_FAILED;
    if (run->stop_signal != 0) {
        report_say("stopped; nothing is left of the backup");
        return EXIT_FAILED;
    }
    int code = report_status(run->contact.client, status, NULL);
    if (code == EXIT_OK && !copy_finish(&run->copy))
        code = EXIT_FAILED;
    return code;
}

static void print_end(const struct backup_run *run, struct output *output)
{
    char size[VALUE_TEXT_BYTES];
    char speed[VALUE_TEXT_BYTES];
    char line[PATH_MAX + 128];
    value_print_size(run->copy.bytes, size);
    value_print_size(bytes_a_second(run), speed);
    snprintf(line, sizeof line, "%s: %s, %s/s", run->copy.path, size, speed);
    output_body(output, line, strlen(line));
}

int verb_backup(const struct arguments *arguments)
{
    struct backup_run run = {.shows_progress = isatty(STDERR_FILENO)};
    struct output output;
    struct herald_options options = herald_options_default();
    output_init(&output, arguments);
    if (!contact_options(&run.contact, arguments, &options))
        return EXIT_USAGE;
    options.heartbeat_ms = HEARTBEAT_MS;
    int code = contact_open(&run.contact, &options);
    if (code != EXIT_OK)
        return code;
    contact_catch_signals(&run.contact);
    run.begun_at_ms = contact_now_ms();
    code = EXIT_FAILED;
    if (copy_begin(&run.copy, arguments->words[0])) {
        code = fetch(&run);
        copy_drop(&run.copy);
    }
    contact_close(&run.contact);
    if (code == EXIT_OK && output.format == OUTPUT_TABLE)
        print_end(&run, &output);
    return output_finish(&output, code);
}
