/* Takes the space of a small file system away from the real daemon, and gives it back.
 *
 *   full DIRECTORY [--cycles N]        6 cycles without; the directory is a file system of its own
 *
 * In every other cycle another file takes all space, in the others publishing alone does. It goes
 * on until it is refused, consumers go on all the same, and within a second of the space's return
 * publishing works again. Where there is no other file to remove, the space returns as half of the
 * messages are consumed: one of twenty goes to a queue without consumers and must be stated again
 * before its segment is free. In every third cycle the daemon is killed and started again while the
 * disk is full. At the end every confirmed message that was not settled is there, in order (D1, D3,
 * D10, Q2).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "protocol/status.h"
#include "tests/support/daemon.h"
#include "tests/support/talk.h"

enum {
    CYCLES = 6,
    BODY_BYTES = 8000,
    SEND_MAX = 20000,
    HEAL_MS = 1000,
    BALLAST_PIECE = 65536,
    STRAGGLER_EVERY = 20
};

static const char config[] = "[journal]\nsegment_bytes = 1MiB\nspare_count = 2\n"
                             "[limits]\nmessage_bytes_max = 128KiB\n";

struct run {
    struct daemon *daemon;
    char ballast[600];
    unsigned sent;    /* confirmed messages have the numbers below */
    unsigned settled; /* of `q`: all below, but stragglers */
    int passed;
    int failed;
};

static void check(struct run *run, bool holds, const char *what)
{
    run->passed += holds;
    run->failed += !holds;
    if (!holds)
        printf("FAIL %s (after %u messages)\n", what, run->sent);
}

static uint64_t machine_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct talk *meet(const struct run *run)
{
    struct talk *talk = talk_over(daemon_connect(run->daemon));
    if (!talk_open(talk, "EXTERNAL", 0, "")) {
        fprintf(stderr, "full: cannot enter\n");
        exit(1);
    }
    return talk;
}

static bool is_straggler(unsigned number)
{
    return number % STRAGGLER_EVERY == 0;
}

static int send_next(struct run *run, struct talk *talk)
{
    char body[BODY_BYTES + 1];
    memset(body, '.', BODY_BYTES);
    body[BODY_BYTES] = '\0';
    body[snprintf(body, 16, "%08u", run->sent)] = '.';
    struct frame frame = talk_send(is_straggler(run->sent) ? "slow" : "q", body);
    int status = talk_ask(talk, &frame);
    run->sent += status == STATUS_OK;
    return status;
}

static void take_space(const struct run *run)
{
    static const char piece[BALLAST_PIECE];
    int file = open(run->ballast, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    while (file >= 0 && write(file, piece, sizeof piece) > 0)
        continue;
    if (file >= 0)
        close(file);
}

/* The first number from here on that went to the same queue. */
static unsigned next_of(unsigned number, bool wants_stragglers)
{
    while (is_straggler(number) != wants_stragglers)
        number++;
    return number;
}

/* Takes and settles what is in the queue from one number to below another; true when it comes in
 * order. */
static bool consume(const struct run *run, const char *queue, unsigned from, unsigned end)
{
    struct talk *talk = meet(run);
    struct frame frame = talk_consume(1, queue, 1);
    uint64_t tag = talk_say_tagged(talk, &frame);
    uint64_t confirmed = 0;
    bool is_slow = strcmp(queue, "slow") == 0;
    unsigned next = next_of(from, is_slow);
    bool is_right = tag != 0;
    while (is_right && (next < end || confirmed < tag) && talk_take(talk, &frame)) {
        if (frame.header.type == FRAME_CONFIRM)
            confirmed = frame.as.confirm.last;
        is_right = frame.header.type != FRAME_REFUSE;
        if (frame.header.type != FRAME_DELIVER || next >= end)
            continue;
        is_right = strtoul((const char *)frame.as.deliver.body.at, NULL, 10) == next;
        struct frame done = {.header.type = FRAME_DONE};
        uint64_t delivery = frame.as.deliver.delivery;
        done.as.done = (struct frame_done){talk->start, delivery, delivery};
        tag = talk_say_tagged(talk, &done);
        next = next_of(next + 1, is_slow);
    }
    talk_end(talk);
    return is_right && next >= end && confirmed >= tag;
}

static bool consume_half(struct run *run)
{
    unsigned from = run->settled;
    run->settled += (run->sent - from) / 2;
    return consume(run, "q", from, run->settled);
}

static void cycle(struct run *run, int index)
{
    struct talk *talk = meet(run);
    int status = STATUS_OK;
    if (index % 2 == 0)
        take_space(run);
    for (int i = 0; i < SEND_MAX && status == STATUS_OK; i++)
        status = send_next(run, talk);
    check(run, status == STATUS_DISK_FULL, "a full disk refuses with DISK_FULL");
    if (index % 3 == 2) {
        talk_end(talk);
        daemon_kill9(run->daemon);
        daemon_restart(run->daemon);
        talk = meet(run);
    }
    check(run, consume_half(run), "consumers go on, in order");
    (void)unlink(run->ballast);
    uint64_t end_ms = machine_ms() + HEAL_MS;
    do {
        status = send_next(run, talk);
        usleep(5000);
    } while (status == STATUS_DISK_FULL && machine_ms() < end_ms);
    check(run, status == STATUS_OK, "publishing works within a second of the space's return");
    talk_end(talk);
}

int main(int count, char **word)
{
    int cycles =
        count > 3 && strcmp(word[2], "--cycles") == 0 ? (int)strtol(word[3], NULL, 10) : CYCLES;
    if (count < 2)
        return 2;
    struct run run = {.daemon = daemon_start(word[1], config)};
    (void)snprintf(run.ballast, sizeof run.ballast, "%s/ballast", word[1]);
    struct talk *talk = meet(&run);
    struct frame frame = talk_queue_create("q");
    check(&run, talk_ask(talk, &frame) == STATUS_OK, "a queue is made");
    frame = talk_queue_create("slow");
    check(&run, talk_ask(talk, &frame) == STATUS_OK, "another queue is made");
    talk_end(talk);
    for (int i = 0; i < cycles; i++)
        cycle(&run, i);
    check(&run, daemon_term(run.daemon) == 0, "it stops in good order");
    daemon_restart(run.daemon);
    check(&run, consume(&run, "q", run.settled, run.sent),
          "everything confirmed is there, in order");
    check(&run, consume(&run, "slow", 0, run.sent), "and all stragglers, in order");
    daemon_free(run.daemon);
    printf("%u messages in %d cycles\n%d passed, %d failed\n", run.sent, cycles, run.passed,
           run.failed);
    return run.failed == 0 ? 0 : 1;
}
