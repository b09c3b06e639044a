/* Has the k-th system call of a kind fail in the real daemon, for many calls, errors and k.
 *
 *   fault [--all | --call NAME]        a sample without argument
 *
 * A cell starts a daemon of its own, puts it under strace, works with it until the call was struck,
 * and looks at what came of it:
 *
 *   dies    exit code 74, a line with the file and the error of the call that was struck, and
 *           behind the line of a failed write or sync no confirm
 *   lives   goes on, publishes again within a second after the fault, and stops in good order
 *   either  one of the two: the error stands for a lack of space while preparing and for a failure
 *           while writing, and the calls look the same
 *
 * Other cells strike a start after a kill. After each, a start without faults has every confirmed
 * message that was not settled, once and in order, and none whose settlement was confirmed (D1, D3,
 * D8, D10). A cell whose call was never made is invalid and counts as failed.
 *
 * A short write cannot be played by strace, which would leave out what it says was written; only
 * one of no byte is honest. See full.c for the others.
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

enum {
    MESSAGES = 2000,
    MESSAGES_BEFORE_START = 12,
    MESSAGES_AFTER = 30, /* once the call was struck */
    WINDOW = 8,
    BODY_BYTES = 3000,
    SLOW_EVERY = 16, /* goes to a queue where nobody settles */
    TAGS = 3 * MESSAGES,
    DEAD_EXIT_CODE = 74,
    SAMPLE = 4,
    HEAL_TRIES = 20,
    LINE_BYTES = 40000,
};

enum end { DIES, LIVES, EITHER };

enum { ONCE = 1, OFTEN = 2, EVER = 4, ALWAYS = 7 };

struct fault {
    const char *call;
    const char *error; /* of strace's inject */
    enum end end;
    unsigned whens; /* first, later and always: where that makes sense */
};

static const struct fault faults[] = {
    {"pwrite64", "error=EIO", DIES, ALWAYS},
    {"pwrite64", "error=ENOSPC", EITHER, ALWAYS},
    {"pwrite64", "error=EDQUOT", EITHER, ALWAYS},
    {"pwrite64", "error=EINTR", LIVES, ONCE | OFTEN},
    {"pwrite64", "retval=0", EITHER, ALWAYS},
    {"pwrite64", "delay_enter=2000", LIVES, ALWAYS},
    {"fdatasync", "error=EIO", DIES, ALWAYS},
    {"fdatasync", "error=ENOSPC", EITHER, ALWAYS},
    {"fdatasync", "error=EINTR", LIVES, ONCE | OFTEN},
    {"fdatasync", "delay_enter=500000", LIVES, ONCE | OFTEN},
    {"fdatasync", "delay_enter=20000", LIVES, EVER},
    {"fsync", "error=EIO", DIES, ALWAYS},
    {"fsync", "error=EINTR", LIVES, ONCE | OFTEN},
    {"fallocate", "error=EIO", DIES, ALWAYS},
    {"fallocate", "error=ENOSPC", LIVES, ALWAYS},
    {"fallocate", "error=EDQUOT", LIVES, ALWAYS},
    {"fallocate", "error=EINTR", LIVES, ONCE | OFTEN},
    /* Making a segment is tried again, reading the oldest one is not. */
    {"openat", "error=ENOSPC", EITHER, ALWAYS},
    {"openat", "error=EMFILE", EITHER, ALWAYS},
    {"openat", "error=ENOMEM", EITHER, ALWAYS},
    {"openat", "error=EINTR", LIVES, ONCE | OFTEN},
    {"renameat", "error=EIO", DIES, ALWAYS},
    {"renameat", "error=ENOSPC", EITHER, ALWAYS},
    {"unlinkat", "error=EIO", DIES, ONCE | EVER},
    {"accept4", "error=EMFILE", LIVES, ALWAYS},
    {"accept4", "error=ENOMEM", LIVES, ALWAYS},
    {"accept4", "error=ECONNABORTED", LIVES, ONCE | OFTEN},
    {"accept4", "error=EINTR", LIVES, ONCE | OFTEN},
    {"epoll_ctl", "error=ENOMEM", LIVES, ALWAYS},
    {"epoll_wait", "error=EINTR", LIVES, ONCE | OFTEN},
    {"read", "error=EINTR", LIVES, ONCE},
    {"read", "error=ENOMEM", LIVES, ONCE | OFTEN},
    {"sendto", "error=EINTR", LIVES, ONCE | OFTEN},
    {"sendto", "error=EAGAIN", LIVES, ONCE | OFTEN},
};

static const struct {
    const char *text;
    unsigned bit;
} whens[] = {{"1", ONCE}, {"2", ONCE}, {"5", OFTEN}, {"12", OFTEN}, {"1+", EVER}};

/* Starts after a kill; the call is counted on this file of the data. */
static const struct {
    struct fault fault;
    const char *file;
    unsigned when_max;
} starts[] = {
    {{"openat", "error=EIO", DIES, 0}, "", 6},
    {{"openat", "error=EMFILE", DIES, 0}, "", 2},
    {{"pread64", "error=EIO", DIES, 0}, "/segment-0000000000000001", 3},
    {{"pread64", "error=EINTR", LIVES, 0}, "/segment-0000000000000001", 3},
    {{"pwrite64", "error=EIO", DIES, 0}, "/segment-0000000000000001", 1},
    {{"pwrite64", "error=ENOSPC", DIES, 0}, "/segment-0000000000000001", 1},
    {{"pwrite64", "error=EINTR", LIVES, 0}, "/segment-0000000000000001", 1},
    {{"fdatasync", "error=EIO", DIES, 0}, "/segment-0000000000000001", 1},
    {{"fsync", "error=EIO", DIES, 0}, "", 1},
};

enum {
    FAULTS = sizeof faults / sizeof faults[0],
    WHENS = sizeof whens / sizeof whens[0],
    STARTS = sizeof starts / sizeof starts[0],
};

static const char config[] = "[journal]\nsegment_bytes = 64KiB\nspare_count = 2\n"
                             "[limits]\nmessage_bytes_max = 16KiB\n"
                             "[timeouts]\ndrain = 1s\nclose = 0.2s\n";

enum { QUEUE_QUICK, QUEUE_SLOW, QUEUES };

static const char *const queue_names[QUEUES] = {"quick", "slow"};

/* What is known of a message. */
struct fate {
    bool is_confirmed;
    bool is_settling;
    bool is_settled;
};

struct cell {
    const struct fault *fault;
    struct daemon *daemon;
    struct fate fates[MESSAGES + 1]; /* the last one is sent after the fault */
    int sent;
    int answered;
    int message_of[TAGS]; /* by tag: 1 + the index, negative where the tag settles; 0: answered */
    long trace_at;        /* what was read of the trace */
    char struck[1024];    /* the first call that was; "" so far */
    bool has_told;        /* its end, in the log */
    int confirms_after;
    const char *wrong; /* NULL: nothing yet */
};

/* --- what strace tells --------------------------------------------------------------------------
 */

/* The bytes that a string of strace stands for; returns how many. */
static size_t unescape(const char *text, unsigned char *out, size_t room)
{
    static const char letters[] = "ntrvf";
    static const unsigned char bytes[] = "\n\t\r\v\f";
    size_t count = 0;
    while (*text != '"' && *text != '\0' && count < room) {
        char *end = NULL;
        char digits[4] = "";
        if (*text != '\\') {
            out[count++] = (unsigned char)*text++;
            continue;
        }
        const char *letter = *++text != '\0' ? strchr(letters, *text) : NULL;
        memcpy(digits, text, strnlen(text, 3));
        unsigned char byte = (unsigned char)strtoul(digits, &end, 8);
        if (end > digits) {
            out[count++] = byte;
            text += end - digits;
        } else {
            out[count++] = letter != NULL ? bytes[letter - letters] : (unsigned char)*text;
            text += *text != '\0';
        }
    }
    return count;
}

static int count_confirms(const char *line)
{
    unsigned char sent[LINE_BYTES];
    const char *text = strchr(line, '"');
    int count = 0;
    if (strstr(line, " sendto(") == NULL || text == NULL)
        return 0;
    size_t bytes = unescape(text + 1, sent, sizeof sent);
    for (size_t at = 0; at + FRAME_HEADER_BYTES <= bytes;) {
        struct frame_header header = frame_header_load(sent + at);
        count += header.type == FRAME_CONFIRM;
        at += header.length >= FRAME_HEADER_BYTES ? header.length : bytes;
    }
    return count;
}

static void on_trace_line(struct cell *cell, const char *line)
{
    bool is_struck = strstr(line, "(INJECTED)") != NULL || strstr(line, "(DELAYED)") != NULL;
    if (is_struck && cell->struck[0] == '\0')
        (void)snprintf(cell->struck, sizeof cell->struck, "%.1000s", line);
    if (cell->has_told)
        cell->confirms_after += count_confirms(line);
    cell->has_told |= strstr(line, " write(2<") != NULL && strstr(line, " error journal:") != NULL;
}

/* Goes on where it stopped the last time. */
static void read_trace(struct cell *cell)
{
    static char line[LINE_BYTES];
    FILE *file = fopen(daemon_trace_path(cell->daemon), "r");
    if (file == NULL)
        return;
    (void)fseek(file, cell->trace_at, SEEK_SET);
    while (fgets(line, sizeof line, file) != NULL && strchr(line, '\n') != NULL) {
        on_trace_line(cell, line);
        cell->trace_at = ftell(file);
    }
    (void)fclose(file);
}

/* Whether one line of the log has both. */
static bool has_logged(const struct cell *cell, const char *one, const char *other)
{
    char path[640];
    char line[4096];
    bool found = false;
    (void)snprintf(path, sizeof path, "%s/log", daemon_directory(cell->daemon));
    FILE *file = fopen(path, "r");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = strstr(line, one) != NULL && strstr(line, other) != NULL;
    if (file != NULL)
        (void)fclose(file);
    return found;
}

/* Copies what stands between the two marks; "" if it does not. */
static void cut(const char *text, const char *from, const char *to, char *out)
{
    const char *at = text != NULL ? strstr(text, from) : NULL;
    const char *end = at != NULL ? strstr(at + strlen(from), to) : NULL;
    int bytes = end != NULL ? (int)(end - at - (int)strlen(from)) : 0;
    (void)snprintf(out, 512, "%.*s", bytes, at != NULL ? at + strlen(from) : "");
}

/* The line that tells of the end names the file and the error of the call. A segment that is being
 * prepared or put away has several names: there the data directory must do. */
static bool names_what_was_struck(const struct cell *cell)
{
    char file[512];
    char error[512];
    char segment[512];
    cut(cell->struck, "<", ">", file);
    cut(strstr(cell->struck, " = -1 "), "(", ")", error);
    if (strstr(file, "/segment-") == NULL)
        (void)snprintf(segment, sizeof segment, "%s/data", daemon_directory(cell->daemon));
    else
        (void)snprintf(segment, sizeof segment, "%.500s at offset ", file);
    return has_logged(cell, segment, error);
}

/* --- working with the daemon --------------------------------------------------------------------
 */

static bool is_alive(const struct daemon *daemon)
{
    siginfo_t found = {0};
    return waitid(P_PID, (id_t)daemon_pid(daemon), &found, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           found.si_pid == 0;
}

static const char *queue_of(int index)
{
    return queue_names[index % SLOW_EVERY == 0 ? QUEUE_SLOW : QUEUE_QUICK];
}

static struct frame message_frame(int index, char *body)
{
    memset(body, '.', BODY_BYTES);
    body[BODY_BYTES] = '\0';
    body[snprintf(body, 8, "%05d", index)] = '.';
    return talk_send(queue_of(index), body);
}

static void on_answer(struct cell *cell, uint64_t tag, enum status status)
{
    if (tag >= TAGS || cell->message_of[tag] == 0)
        return;
    int index = cell->message_of[tag];
    if (index < 0)
        cell->fates[-index - 1].is_settled = status == STATUS_OK;
    else if (index > 0)
        cell->fates[index - 1].is_confirmed = status == STATUS_OK;
    cell->answered += index > 0;
    cell->message_of[tag] = 0;
    if (status == STATUS_DISK_FULL)
        usleep(2000);
}

static bool settle(struct cell *cell, struct talk *talk, const struct frame_deliver *deliver)
{
    int index = (int)strtol((const char *)deliver->body.at, NULL, 10);
    struct frame done = {.header.type = FRAME_DONE};
    uint64_t delivery = deliver->delivery;
    if (index < 0 || index >= MESSAGES)
        return false;
    done.as.done = (struct frame_done){talk->start, delivery, delivery};
    cell->fates[index].is_settling = true;
    cell->message_of[talk->tag + 1] = -(1 + index);
    return talk_say_tagged(talk, &done) != 0;
}

/* Takes one frame; false: the connection is gone. */
static bool take(struct cell *cell, struct talk *talk)
{
    struct frame frame;
    if (!talk_take(talk, &frame))
        return false;
    if (frame.header.type == FRAME_DELIVER)
        return settle(cell, talk, &frame.as.deliver);
    if (frame.header.type == FRAME_REFUSE)
        on_answer(cell, frame.header.tag, (enum status)frame.as.refuse.code);
    if (frame.header.type == FRAME_CONFIRM)
        for (uint64_t tag = frame.as.confirm.first; tag <= frame.as.confirm.last; tag++)
            on_answer(cell, tag, STATUS_OK);
    return frame.header.type != FRAME_CLOSE;
}

/* A talk that may send and is given what comes to `quick`. */
static struct talk *open_talk(struct cell *cell)
{
    struct talk *talk = talk_over(daemon_connect(cell->daemon));
    bool is_open = talk_open(talk, "EXTERNAL", 0, "");
    for (int i = 0; i < QUEUES && is_open; i++) {
        struct frame frame = talk_queue_create(queue_names[i]);
        is_open = talk_ask(talk, &frame) == STATUS_OK;
    }
    struct frame frame = talk_consume(1, queue_names[QUEUE_QUICK], WINDOW);
    if (!is_open || talk_say_tagged(talk, &frame) == 0)
        cell->wrong = "no queue could be made";
    return talk;
}

/* Sends until the call was struck and a little more. False: the connection is gone. */
static bool work(struct cell *cell, struct talk *talk, int most)
{
    int end = most;
    bool is_open = true;
    while (is_open && cell->answered < end) {
        char body[BODY_BYTES + 1];
        if (cell->sent < end && cell->sent < cell->answered + WINDOW) {
            struct frame frame = message_frame(cell->sent, body);
            cell->message_of[talk->tag + 1] = ++cell->sent;
            is_open = talk_say_tagged(talk, &frame) != 0;
            continue;
        }
        is_open = take(cell, talk);
        if (cell->answered % WINDOW == 0 && end == most && most == MESSAGES)
            read_trace(cell);
        if (cell->struck[0] != '\0' && end == most && cell->sent + MESSAGES_AFTER < most)
            end = cell->sent + MESSAGES_AFTER;
    }
    return is_open;
}

/* Connections come and go; what becomes of them is not looked at. */
static void knock(struct cell *cell)
{
    for (int i = 0; i < 12 && is_alive(cell->daemon) && cell->struck[0] == '\0'; i++) {
        int file = daemon_try_connect(cell->daemon);
        usleep(20000);
        if (file >= 0)
            close(file);
        read_trace(cell);
    }
}

/* Who closes its connections ends in a moment, or stays. */
static void wait_for_end(const struct cell *cell)
{
    for (int i = 0; i < 40 && is_alive(cell->daemon); i++)
        usleep(5000);
}

/* --- judging ------------------------------------------------------------------------------------
 */

/* A failure to prepare or to put away says nothing about what was synced before it, which may be
 * confirmed in the round that tells of it. */
static void judge_dead(struct cell *cell, int code)
{
    const char *call = cell->fault->call;
    bool is_of_batches = strcmp(call, "pwrite64") == 0 || strcmp(call, "fdatasync") == 0;
    if (cell->fault->end == LIVES)
        cell->wrong = "it ended";
    else if (code != DEAD_EXIT_CODE)
        cell->wrong = "the exit code is not 74";
    else if (is_of_batches && cell->confirms_after > 0)
        cell->wrong = "confirms were sent behind the line that tells of the end";
    else if (strstr(cell->fault->error, "error=") != NULL && !names_what_was_struck(cell))
        cell->wrong = "no line tells the file and the error of the call";
}

static void judge_alive(struct cell *cell)
{
    char body[BODY_BYTES + 1];
    struct frame frame = message_frame(MESSAGES, body);
    struct talk *talk = talk_over(daemon_connect(cell->daemon));
    int status = -1;
    if (cell->fault->end == DIES)
        cell->wrong = "it went on";
    if (talk_open(talk, "EXTERNAL", 0, ""))
        for (int i = 0; i < HEAL_TRIES && status != STATUS_OK; i++) {
            usleep(i > 0 ? 50000 : 0);
            status = talk_ask(talk, &frame);
        }
    cell->fates[MESSAGES].is_confirmed = status == STATUS_OK;
    if (status != STATUS_OK)
        cell->wrong = "nothing can be published a second after the fault";
    talk_end(talk);
    if (daemon_term(cell->daemon) != 0)
        cell->wrong = "it did not stop in good order";
}

/* Every confirmed message is there that was not settled, none twice and none before its
 * predecessor. */
static void judge_queue(struct cell *cell, struct talk *talk, int queue)
{
    int newest = -1;
    int wanted = 0;
    struct frame frame = talk_consume((uint32_t)queue + 1, queue_names[queue], MESSAGES + 1);
    for (int i = 0; i <= MESSAGES; i++)
        wanted += queue_of(i) == queue_names[queue] && cell->fates[i].is_confirmed &&
                  !cell->fates[i].is_settling;
    bool is_open = talk_say_tagged(talk, &frame) != 0;
    while (is_open && wanted > 0 && talk_take_type(talk, FRAME_DELIVER, &frame)) {
        int index = (int)strtol((const char *)frame.as.deliver.body.at, NULL, 10);
        if (index <= newest || index > MESSAGES || queue_of(index) != queue_names[queue]) {
            cell->wrong = "a message came twice, or before its predecessor, or is none";
            return;
        }
        if (cell->fates[index].is_settled)
            cell->wrong = "a settled message came back";
        newest = index;
        wanted -= cell->fates[index].is_confirmed && !cell->fates[index].is_settling;
    }
    if (wanted > 0 && cell->wrong == NULL)
        cell->wrong = "a confirmed message is lost";
}

static void judge_messages(struct cell *cell)
{
    daemon_restart(cell->daemon);
    for (int i = 0; i < QUEUES; i++) {
        struct talk *talk = talk_over(daemon_connect(cell->daemon));
        if (!talk_open(talk, "EXTERNAL", 0, ""))
            cell->wrong = "nobody can enter after a restart";
        else
            judge_queue(cell, talk, i);
        talk_end(talk);
    }
}

/* --- cells --------------------------------------------------------------------------------------
 */

/* What a reader of the test's output wants to know first. */
static void print_errors(const struct cell *cell)
{
    char path[640];
    char line[4096];
    printf("    %s", cell->struck);
    (void)snprintf(path, sizeof path, "%s/log", daemon_directory(cell->daemon));
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strstr(line, " error ") != NULL || strstr(line, "ssertion") != NULL)
            printf("    %s", line);
    if (file != NULL)
        (void)fclose(file);
}

static bool finish(struct cell *cell, const char *file, const char *when)
{
    if (cell->struck[0] == '\0')
        cell->wrong = "invalid: the call was never made";
    judge_messages(cell);
    if (cell->wrong != NULL) {
        printf("FAIL %s%s %s when=%s: %s\n", cell->fault->call, file, cell->fault->error, when,
               cell->wrong);
        print_errors(cell);
    }
    (void)fflush(stdout);
    daemon_free(cell->daemon);
    bool is_right = cell->wrong == NULL;
    free(cell);
    return is_right;
}

static struct cell *begin(const struct fault *fault)
{
    struct cell *cell = calloc(1, sizeof *cell);
    if (cell == NULL)
        abort();
    cell->fault = fault;
    cell->daemon = daemon_start(NULL, config);
    return cell;
}

static bool run(const struct fault *fault, const char *when)
{
    struct cell *cell = begin(fault);
    char options[256];
    bool is_of_doors = strcmp(fault->call, "accept4") == 0 || strcmp(fault->call, "epoll_ctl") == 0;
    struct talk *talk = open_talk(cell);
    (void)snprintf(options, sizeof options, "-s 9000 -e trace=%s%s -e inject=%s:%s:when=%s",
                   fault->call, fault->end == LIVES ? "" : ",sendto,write", fault->call,
                   fault->error, when);
    daemon_attach(cell->daemon, options);
    bool is_open = work(cell, talk, is_of_doors ? MESSAGES_AFTER : MESSAGES);
    knock(cell);
    if (!is_open || fault->end != LIVES)
        wait_for_end(cell);
    daemon_detach(cell->daemon);
    read_trace(cell);
    talk_end(talk);
    if (is_alive(cell->daemon))
        judge_alive(cell);
    else
        judge_dead(cell, daemon_wait(cell->daemon));
    return finish(cell, "", when);
}

static bool run_start(int index, unsigned when)
{
    struct cell *cell = begin(&starts[index].fault);
    char options[900];
    char number[16];
    int code = 0;
    struct talk *talk = open_talk(cell);
    (void)work(cell, talk, MESSAGES_BEFORE_START);
    talk_end(talk);
    daemon_kill9(cell->daemon);
    (void)snprintf(number, sizeof number, "%u", when);
    (void)snprintf(options, sizeof options, "-e trace=%s -P %s/data%s -e inject=%s:%s:when=%s",
                   cell->fault->call, daemon_directory(cell->daemon), starts[index].file,
                   cell->fault->call, cell->fault->error, number);
    daemon_trace(cell->daemon, options);
    bool is_ready = daemon_try_restart(cell->daemon, &code);
    daemon_trace(cell->daemon, NULL);
    usleep(20000); /* the tracer's last lines */
    read_trace(cell);
    if (is_ready)
        judge_alive(cell);
    else
        judge_dead(cell, code);
    return finish(cell, starts[index].file, number);
}

int main(int count, char **word)
{
    bool is_all = count > 1 && strcmp(word[1], "--all") == 0;
    const char *only = count > 2 && strcmp(word[1], "--call") == 0 ? word[2] : NULL;
    int passed = 0;
    int cells = 0;
    int number = 0;
    for (int i = 0; i < FAULTS * WHENS; i++) {
        const struct fault *fault = &faults[i / WHENS];
        if ((fault->whens & whens[i % WHENS].bit) == 0 ||
            (only != NULL ? strcmp(only, fault->call) != 0 : !is_all && number++ % SAMPLE != 0))
            continue;
        cells++;
        passed += run(fault, whens[i % WHENS].text);
    }
    for (int i = 0; i < STARTS; i++)
        for (unsigned when = 1; when <= starts[i].when_max && only == NULL; when++) {
            cells++;
            passed += run_start(i, when);
        }
    printf("%d passed, %d failed\n", passed, cells - passed);
    return passed == cells ? 0 : 1;
}
