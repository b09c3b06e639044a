/* Has the k-th system call of a kind fail in the running daemon, for many calls, errors and k.
 *
 *   fault [--all]        a sample without argument
 *
 * A cell starts a daemon of its own, puts it under strace, publishes, and looks at what came of it:
 *
 *   dies    exit code 74 and a line that names file, offset and error, if the call was made
 *   lives   goes on, publishes again within a second after the fault, and stops in good order
 *   either  one of the two: the error stands for a lack of space while preparing and for a failure
 *           while writing, and the calls look the same
 *
 * After each, a start without faults has every confirmed message, once and in order (D1, D8, D10).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/status.h"
#include "tests/support/daemon.h"
#include "tests/support/talk.h"

enum { MESSAGES = 250, BODY_BYTES = 2000, DEAD_EXIT_CODE = 74, SAMPLE = 3, HEAL_TRIES = 20 };

enum end { DIES, LIVES, EITHER };

struct fault {
    const char *call;
    const char *error; /* of strace's inject */
    enum end end;
};

static const struct fault faults[] = {
    {"pwrite64", "error=EIO", DIES},
    {"pwrite64", "error=ENOSPC", EITHER},
    {"pwrite64", "error=EDQUOT", EITHER},
    {"pwrite64", "error=EINTR", LIVES},
    {"pwrite64", "delay_enter=2000", LIVES},
    {"fdatasync", "error=EIO", DIES},
    {"fdatasync", "error=ENOSPC", EITHER},
    {"fdatasync", "error=EINTR", LIVES},
    {"fdatasync", "delay_enter=100000", LIVES},
    {"fsync", "error=EIO", DIES},
    {"fsync", "error=EINTR", LIVES},
    {"fallocate", "error=EIO", DIES},
    {"fallocate", "error=ENOSPC", LIVES},
    {"fallocate", "error=EDQUOT", LIVES},
    {"fallocate", "error=EINTR", LIVES},
    {"openat", "error=ENOSPC", LIVES},
    {"openat", "error=EMFILE", LIVES},
    {"openat", "error=ENOMEM", LIVES},
    {"openat", "error=EINTR", LIVES},
    {"renameat", "error=EIO", DIES},
    {"renameat", "error=ENOSPC", EITHER},
    {"unlinkat", "error=EIO", DIES},
    {"accept4", "error=EMFILE", LIVES},
    {"accept4", "error=ENOMEM", LIVES},
    {"accept4", "error=ECONNABORTED", LIVES},
    {"accept4", "error=EINTR", LIVES},
    {"epoll_ctl", "error=ENOMEM", LIVES},
    {"epoll_wait", "error=EINTR", LIVES},
    {"recvfrom", "error=EINTR", LIVES},
    {"recvfrom", "error=ENOMEM", LIVES},
    {"sendto", "error=EINTR", LIVES},
    {"sendto", "error=EAGAIN", LIVES},
};

static const char *const whens[] = {"1", "2", "5", "20", "1+"};

enum { FAULTS = sizeof faults / sizeof faults[0], WHENS = sizeof whens / sizeof whens[0] };

static const char config[] = "[journal]\nsegment_bytes = 128KiB\nspare_count = 2\n"
                             "[limits]\nmessage_bytes_max = 16KiB\n";

struct cell {
    const struct fault *fault;
    const char *when;
    struct daemon *daemon;
    bool is_confirmed[MESSAGES + 1]; /* the last one is sent after the fault */
    const char *wrong;               /* NULL: nothing yet */
};

static bool is_alive(const struct daemon *daemon)
{
    siginfo_t found = {0};
    return waitid(P_PID, (id_t)daemon_pid(daemon), &found, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           found.si_pid == 0;
}

/* Sends message `index`; a status, or -1 when the connection is gone. */
static int send_message(struct talk *talk, int index)
{
    char body[BODY_BYTES + 1];
    memset(body, '.', BODY_BYTES);
    body[BODY_BYTES] = '\0';
    body[snprintf(body, 8, "%05d", index)] = '.';
    struct frame frame = talk_send("q", body);
    return talk_ask(talk, &frame);
}

/* False: the connection is gone. */
static bool publish(struct cell *cell, struct talk *talk)
{
    int status = STATUS_OK;
    for (int i = 0; i < MESSAGES && status != -1; i++) {
        status = send_message(talk, i);
        cell->is_confirmed[i] = status == STATUS_OK;
        if (status == STATUS_DISK_FULL)
            usleep(5000);
    }
    return status != -1;
}

/* Connections come and go; what becomes of them is not looked at. */
static void knock(struct cell *cell)
{
    for (int i = 0; i < 3 && is_alive(cell->daemon); i++) {
        int file = daemon_connect(cell->daemon);
        usleep(20000);
        close(file);
    }
}

/* Who closes its connections ends in a moment, or stays. */
static void wait_for_end(const struct cell *cell)
{
    for (int i = 0; i < 100 && is_alive(cell->daemon); i++)
        usleep(5000);
}

static bool trace_tells(const struct cell *cell, const char *text)
{
    char line[4096];
    bool has = false;
    FILE *file = fopen(daemon_trace_path(cell->daemon), "r");
    while (file != NULL && !has && fgets(line, sizeof line, file) != NULL)
        has = strstr(line, text) != NULL;
    if (file != NULL)
        fclose(file);
    return has;
}

static void judge_end(struct cell *cell)
{
    enum end end = cell->fault->end;
    if (!is_alive(cell->daemon)) {
        if (end == LIVES)
            cell->wrong = "it ended";
        if (daemon_wait(cell->daemon) != DEAD_EXIT_CODE)
            cell->wrong = "the exit code is not 74";
        if (!daemon_has_logged(cell->daemon, " at offset "))
            cell->wrong = "no line tells file and offset";
        return;
    }
    if (end == DIES && trace_tells(cell, "(INJECTED)"))
        cell->wrong = "it went on";
    struct talk *talk = talk_over(daemon_connect(cell->daemon));
    int status = -1;
    if (talk_open(talk, "EXTERNAL", 0, ""))
        for (int i = 0; i < HEAL_TRIES && status != STATUS_OK; i++) {
            usleep(i > 0 ? 50000 : 0);
            status = send_message(talk, MESSAGES);
        }
    cell->is_confirmed[MESSAGES] = status == STATUS_OK;
    if (status != STATUS_OK)
        cell->wrong = "nothing can be published a second after the fault";
    talk_end(talk);
    if (daemon_term(cell->daemon) != 0)
        cell->wrong = "it did not stop in good order";
}

/* Every confirmed message is there, none twice and none before its predecessor. */
static void judge_messages(struct cell *cell)
{
    daemon_restart(cell->daemon);
    struct talk *talk = talk_over(daemon_connect(cell->daemon));
    int wanted = 0;
    int newest = -1;
    for (int i = 0; i <= MESSAGES; i++)
        wanted += cell->is_confirmed[i];
    struct frame frame = talk_consume(1, "q", 1000);
    bool is_open = talk_open(talk, "EXTERNAL", 0, "") && talk_say_tagged(talk, &frame) != 0;
    while (is_open && wanted > 0 && talk_take_type(talk, FRAME_DELIVER, &frame)) {
        int index = (int)strtol((const char *)frame.as.deliver.body.at, NULL, 10);
        if (index <= newest || index > MESSAGES) {
            cell->wrong = "a message came twice, or before its predecessor";
            break;
        }
        newest = index;
        wanted -= cell->is_confirmed[index];
    }
    if (wanted > 0 && cell->wrong == NULL)
        cell->wrong = "a confirmed message is lost";
    talk_end(talk);
}

static bool run(const struct fault *fault, const char *when)
{
    struct cell cell = {.fault = fault, .when = when, .daemon = daemon_start(NULL, config)};
    char options[160];
    struct talk *talk = talk_over(daemon_connect(cell.daemon));
    struct frame frame = talk_queue_create("q");
    if (!talk_open(talk, "EXTERNAL", 0, "") || talk_ask(talk, &frame) != STATUS_OK)
        cell.wrong = "no queue could be made";
    (void)snprintf(options, sizeof options, "-e trace=%s -e inject=%s:%s:when=%s", fault->call,
                   fault->call, fault->error, when);
    daemon_attach(cell.daemon, options);
    if (publish(&cell, talk))
        knock(&cell);
    else
        wait_for_end(&cell);
    daemon_detach(cell.daemon);
    talk_end(talk);
    judge_end(&cell);
    judge_messages(&cell);
    if (cell.wrong != NULL)
        printf("FAIL %s %s when=%s: %s\n", fault->call, fault->error, when, cell.wrong);
    daemon_free(cell.daemon);
    return cell.wrong == NULL;
}

int main(int count, char **word)
{
    bool is_all = count > 1 && strcmp(word[1], "--all") == 0;
    int passed = 0;
    int failed = 0;
    for (int i = 0; i < FAULTS * WHENS; i++) {
        const struct fault *fault = &faults[i / WHENS];
        /* A socket that never works is no socket. */
        bool is_of_net = fault - faults > 21;
        const char *when = whens[i % WHENS];
        if ((is_of_net && strcmp(when, "1+") == 0) || (!is_all && i % SAMPLE != 0))
            continue;
        /* An interrupted call that is always interrupted is made for ever. */
        if (strcmp(when, "1+") == 0 && strcmp(fault->error, "error=EINTR") == 0)
            continue;
        if (run(fault, when))
            passed++;
        else
            failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
