/* Kills the real daemon again and again under load, in every phase of its life, and judges what
 * its clients saw.
 *
 *   kill9 [--cycles N] [--seed N]        100 cycles without argument
 *
 * Phases are hit by strace, which kills at the k-th call of a kind. A kill counts for the phase in
 * which that call stood, whatever was aimed at. Restating is aimed at by the daemon's own counter,
 * with syncs that strace makes slow, or at the call that puts the oldest segment away:
 *
 *   commit      a write or sync of a segment
 *   rotation    a call on a spare, a renaming or the sync of the directory
 *   restating   what lived in the oldest segment was stated again in this start, and the segment
 *               was still there after the kill: the copies were not synced, or it was not freed
 *   recovery    any call on the data before the daemon is ready
 *   shutdown    any call after SIGTERM
 *
 * Every sixth kill comes at any time, without strace, and some of these to a daemon that is stopped
 * by SIGSTOP. At the end it stands still for three seconds and goes on, then everything is drained
 * and the history is checked: D1, D3, D4, D5, Q2, Q3, Q4, Q6, rule 8. A run that confirmed fewer
 * than 5,000 messages, saw fewer than 30 redeliveries or hit a phase fewer than 5 times (20 from
 * 400 cycles on) is invalid: it says nothing and counts as failed.
 */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/property.h"
#include "tests/support/chance.h"
#include "tests/support/crowd.h"
#include "tests/support/daemon.h"
#include "tests/support/history.h"
#include "tests/support/talk.h"

enum {
    CYCLES = 100,
    CONFIRMED_MIN = 5000,
    REDELIVERED_MIN = 30,
    LONG_RUN_CYCLES = 400,
    KILLS_MIN_SHORT = 5,
    KILLS_MIN_LONG = 20,
    AIM_MS = 400, /* for a kill that was aimed at to come */
    RESTATE_TRIES = 400,
    STOPPED_MS = 3000,
};

enum phase { COMMIT, ROTATION, RESTATING, RECOVERY, SHUTDOWN, ANY, PHASES };

/* How a phase is aimed at: one of the calls, at one of its first times. */
struct aim {
    const char *name;
    const char *calls[5];
    unsigned call_count;
    unsigned when_max;
};

static const struct aim aims[PHASES] = {
    [COMMIT] = {"commit", {"fdatasync", "pwrite64"}, 2, 6},
    [ROTATION] = {"rotation", {"renameat", "fsync"}, 2, 4},
    [RESTATING] = {"restating", {"renameat", "unlinkat"}, 2, 2},
    [RECOVERY] = {"recovery", {"pread64", "pwrite64", "fdatasync", "pread64", "fsync"}, 5, 2},
    [SHUTDOWN] = {"shutdown", {"pwrite64", "fdatasync"}, 2, 2},
    [ANY] = {"any time", {""}, 0, 0},
};

static const char config[] = "[journal]\nsegment_bytes = 192KiB\nspare_count = 2\n"
                             "[limits]\nmessage_bytes_max = 48KiB\n"
                             "[timeouts]\ndrain = 1s\nclose = 0.2s\n";

struct run {
    struct daemon *daemon;
    struct chance chance;
    unsigned kills[PHASES];
};

static uint64_t machine_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The options of strace that kill at the aim. */
static void aim_options(struct run *run, enum phase phase, char *text, size_t room)
{
    const struct aim *aim = &aims[phase];
    const char *call = aim->calls[chance_below(&run->chance, aim->call_count)];
    unsigned when = 1 + (unsigned)chance_below(&run->chance, aim->when_max);
    /* The loader reads the program and its libraries before the daemon begins. */
    if (phase == RECOVERY && strcmp(call, "pread64") == 0)
        when += 2 + (unsigned)chance_below(&run->chance, 8);
    (void)snprintf(text, room, "-e trace=%s -e inject=%s:signal=SIGKILL:when=%u", call, call, when);
}

/* Whether the daemon ends by itself within the time; its exit code. */
static bool ends_within(struct daemon *daemon, unsigned ms, int *code)
{
    uint64_t end_ms = machine_ms() + ms;
    do {
        siginfo_t found = {0};
        if (waitid(P_PID, (id_t)daemon_pid(daemon), &found, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            found.si_pid != 0) {
            *code = daemon_wait(daemon);
            return true;
        }
        usleep(1000);
    } while (machine_ms() < end_ms);
    return false;
}

/* The name of the oldest segment is the smallest. */
static void oldest_segment(const struct daemon *daemon, char *name, size_t room)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/data", daemon_directory(daemon));
    DIR *listing = opendir(path);
    const struct dirent *entry;
    name[0] = '\0';
    while (listing != NULL && (entry = readdir(listing)) != NULL)
        if (strncmp(entry->d_name, "segment-", 8) == 0 &&
            (name[0] == '\0' || strcmp(entry->d_name, name) < 0))
            (void)snprintf(name, room, "%s", entry->d_name);
    if (listing != NULL)
        closedir(listing);
}

/* The phase of a running daemon that the call belongs to. */
static enum phase phase_of(const char *call)
{
    if (strstr(call, "rename") != NULL || strstr(call, " fsync(") != NULL ||
        strstr(call, "/spare-") != NULL || strstr(call, "/making-") != NULL)
        return ROTATION;
    return strstr(call, "/segment-") != NULL ? COMMIT : ANY;
}

static void count_kill(struct run *run, enum phase aimed)
{
    char call[512];
    daemon_last_call(run->daemon, call, sizeof call);
    bool is_of_data = strstr(call, daemon_directory(run->daemon)) != NULL;
    if (aimed == RECOVERY)
        run->kills[is_of_data ? RECOVERY : ANY]++;
    else
        run->kills[aimed == SHUTDOWN ? SHUTDOWN : phase_of(call)]++;
}

/* Kills a running daemon by a call that it makes, by hand when it does not make it in time. */
static void kill_running(struct run *run, enum phase phase)
{
    char options[128];
    int code = 0;
    aim_options(run, phase, options, sizeof options);
    daemon_attach(run->daemon, options);
    if (phase == SHUTDOWN)
        daemon_signal(run->daemon, SIGTERM);
    bool has_ended = ends_within(run->daemon, phase == SHUTDOWN ? 10 * AIM_MS : AIM_MS, &code);
    if (!has_ended) {
        daemon_kill9(run->daemon);
        run->kills[ANY]++;
    }
    daemon_detach(run->daemon);
    if (has_ended && code == -SIGKILL) {
        count_kill(run, phase);
    } else if (has_ended && code != 0) {
        fprintf(stderr, "kill9: heraldd ended by itself with %d\n", code);
        exit(1);
    }
}

/* How many messages the daemon has stated again since its start. */
static uint64_t messages_restated(struct talk *talk)
{
    uint64_t count = 0;
    struct frame frame = {.header.type = FRAME_QUERY};
    frame.as.query.subject = QUERY_STATS;
    bool is_last = talk_say_tagged(talk, &frame) == 0;
    while (!is_last && talk_take_type(talk, FRAME_ROW, &frame)) {
        struct wire_reader r = wire_reader_of(frame.as.row.fields.at, frame.as.row.fields.bytes);
        struct row_field name;
        struct row_field value;
        is_last = (frame.header.flags & FLAG_LAST) != 0;
        if (row_next(&r, &name) && row_next(&r, &value) &&
            wire_bytes_equal(name.text, wire_bytes_of_text("messages_restated")))
            count = value.number;
    }
    return count;
}

static bool still_there(const struct run *run, const char *oldest)
{
    char now[300];
    oldest_segment(run->daemon, now, sizeof now);
    return strcmp(now, oldest) == 0;
}

/* Waits until messages of the oldest segment were just stated again, and the segment is still
 * there: its name. False: that does not come. */
static bool catch_restating(struct run *run, char *oldest, size_t room)
{
    struct talk *talk = talk_over(daemon_connect(run->daemon));
    bool is_caught = false;
    if (talk_open(talk, "EXTERNAL", 0, ""))
        for (int i = 0; i < RESTATE_TRIES && !is_caught; i++) {
            oldest_segment(run->daemon, oldest, room);
            uint64_t before = messages_restated(talk);
            usleep(1000);
            is_caught = messages_restated(talk) > before;
            is_caught = is_caught && still_there(run, oldest);
        }
    talk_end(talk);
    return is_caught;
}

/* Syncs take so long that what was stated again is on its way to the disk for a while. */
static void kill_unsynced(struct run *run)
{
    char oldest[300];
    daemon_attach(run->daemon, "-e trace=fdatasync -e inject=fdatasync:delay_enter=30000");
    bool is_caught = catch_restating(run, oldest, sizeof oldest);
    daemon_kill9_traced(run->daemon);
    run->kills[is_caught && still_there(run, oldest) ? RESTATING : ANY]++;
}

/* What lived in the oldest segment is synced elsewhere, and it was about to be put away. */
static void kill_unfreed(struct run *run)
{
    char oldest[300];
    char call[512];
    char options[128];
    int code = 0;
    bool is_caught = catch_restating(run, oldest, sizeof oldest);
    aim_options(run, RESTATING, options, sizeof options);
    daemon_attach(run->daemon, options);
    if (!ends_within(run->daemon, AIM_MS, &code))
        daemon_kill9(run->daemon);
    daemon_detach(run->daemon);
    daemon_last_call(run->daemon, call, sizeof call);
    oldest_segment(run->daemon, oldest, sizeof oldest);
    const char *first = strstr(call, "\"segment-");
    bool is_of_oldest = first != NULL && strncmp(first + 1, oldest, strlen(oldest)) == 0;
    if (code == -SIGKILL && is_caught && is_of_oldest)
        run->kills[RESTATING]++;
    else
        run->kills[code == -SIGKILL ? phase_of(call) : ANY]++;
}

/* A start that is killed before it is ready, unless the call came too seldom. */
static void kill_starting(struct run *run)
{
    char options[128];
    int code = 0;
    aim_options(run, RECOVERY, options, sizeof options);
    daemon_kill9(run->daemon);
    daemon_trace(run->daemon, options);
    if (daemon_try_restart(run->daemon, &code)) {
        daemon_kill9(run->daemon);
        run->kills[ANY]++;
    } else if (code == -SIGKILL) {
        count_kill(run, RECOVERY);
    } else {
        fprintf(stderr, "kill9: a start ended with %d\n", code);
        exit(1);
    }
    daemon_trace(run->daemon, NULL);
}

/* It is stopped under load, and may be killed so. */
static void stand_still(struct run *run, unsigned ms)
{
    daemon_signal(run->daemon, SIGSTOP);
    usleep(ms * 1000);
}

static void cycle(struct run *run, enum phase phase)
{
    usleep(20000 + (unsigned)chance_below(&run->chance, phase == ANY ? 280000 : 100000));
    if (phase == RECOVERY) {
        kill_starting(run);
    } else if (phase == RESTATING) {
        if (chance_below(&run->chance, 2) == 0)
            kill_unsynced(run);
        else
            kill_unfreed(run);
    } else if (phase == ANY) {
        if (chance_below(&run->chance, 3) == 0)
            stand_still(run, 50);
        daemon_kill9(run->daemon);
        run->kills[ANY]++;
    } else {
        kill_running(run, phase);
    }
    daemon_restart(run->daemon);
}

/* Prints what counts against the run; returns how many. */
static int report_phases(const struct run *run, int cycles)
{
    unsigned kills_min = cycles >= LONG_RUN_CYCLES ? KILLS_MIN_LONG : KILLS_MIN_SHORT;
    int failed = 0;
    for (int i = 0; i < PHASES; i++)
        printf("%s%s %u", i > 0 ? ", " : "kills: ", aims[i].name, run->kills[i]);
    printf("\n");
    for (int i = 0; i < ANY; i++) {
        if (run->kills[i] >= kills_min)
            continue;
        failed++;
        printf("FAIL invalid: %u kills in phase %s, fewer than %u\n", run->kills[i], aims[i].name,
               kills_min);
    }
    return failed;
}

static int report(const struct run *run, const struct history *history, bool is_drained, int cycles)
{
    struct history_findings found = history_judge(history);
    printf("%" PRIu64 " sent, %" PRIu64 " confirmed, %" PRIu64 " refused, %" PRIu64
           " delivered, %" PRIu64 " of them again, %" PRIu64 " settled\n",
           found.sent, found.confirmed, found.refused, found.delivered, found.redelivered,
           found.settled);
    const struct {
        const char *name;
        uint64_t count;
    } checks[] = {
        {"lost", found.lost},
        {"never sent", found.phantoms},
        {"again and not flagged", found.unflagged},
        {"back after their settlement", found.resurrected},
        {"out of order", found.disordered},
        {"with two owners", found.doubly_owned},
        {"answered twice", found.answered_twice},
        {"answered and never sent", found.answered_unsent},
        {"confirmed before an earlier one", found.confirmed_early},
        {"in some of their queues only", found.torn_apart},
        {"not drained in time", !is_drained},
        {"invalid: confirmed too few", found.confirmed < CONFIRMED_MIN},
        {"invalid: redelivered too few", found.redelivered < REDELIVERED_MIN},
    };
    int failed = report_phases(run, cycles);
    int count = (int)(sizeof checks / sizeof checks[0]) + ANY;
    for (int i = 0; i < count - ANY; i++) {
        if (checks[i].count == 0)
            continue;
        failed++;
        printf("FAIL %" PRIu64 " %s\n", checks[i].count, checks[i].name);
    }
    printf("%d passed, %d failed\n", count - failed, failed);
    return failed == 0 ? 0 : 1;
}

int main(int count, char **word)
{
    int cycles = CYCLES;
    uint64_t seed = (uint64_t)time(NULL);
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(word[i], "--cycles") == 0)
            cycles = (int)strtol(word[i + 1], NULL, 10);
        else if (strcmp(word[i], "--seed") == 0)
            seed = strtoull(word[i + 1], NULL, 10);
    }
    struct history *history = history_new();
    struct run run = {.daemon = daemon_start(NULL, config), .chance = {seed}};
    (void)signal(SIGPIPE, SIG_IGN);
    printf("kill9 --seed %" PRIu64 " --cycles %d\n", seed, cycles);
    (void)fflush(stdout);
    struct crowd *crowd = crowd_start(run.daemon, history, seed);
    for (int i = 0; i < cycles; i++)
        cycle(&run, (enum phase)(i % PHASES));
    stand_still(&run, STOPPED_MS);
    daemon_signal(run.daemon, SIGCONT);
    bool is_drained = crowd_drain(crowd);
    int code = report(&run, history, is_drained, cycles);
    crowd_free(crowd);
    daemon_free(run.daemon);
    history_free(history);
    return code;
}
