/* Bad input, limits and idle connections against the real daemon, as raw bytes. Run by net.sh. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/status.h"
#include "tests/support/daemon.h"
#include "tests/support/talk.h"

#define CHECK(condition) check((condition), #condition, __LINE__)

static bool case_failed;

static void check(bool holds, const char *text, int line)
{
    if (holds)
        return;
    case_failed = true;
    printf("    line %d: %s\n", line, text);
}

static uint64_t machine_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct talk *meet(const struct daemon *daemon)
{
    return talk_over(daemon_connect(daemon));
}

/* Others are served as if nothing had happened. */
static void check_serves(const struct daemon *daemon)
{
    struct talk *talk = meet(daemon);
    CHECK(talk_open(talk, "EXTERNAL", 0, ""));
    struct frame frame = talk_queue_create("check");
    CHECK(talk_ask(talk, &frame) == STATUS_OK);
    talk_end(talk);
}

/* --- before the handshake
 * ------------------------------------------------------------------------- */

/* d1: connect and send nothing. d2: a byte now and then. */
static void silent_and_slow(const struct daemon *daemon)
{
    uint64_t began_ms = machine_ms();
    struct talk *silent = meet(daemon);
    struct talk *slow = meet(daemon);
    for (int i = 0; i < 6; i++) {
        (void)send(slow->file, &frame_magic[i], 1, MSG_NOSIGNAL);
        usleep(100000);
    }
    CHECK(talk_close_code(silent) == STATUS_TIMED_OUT);
    CHECK(talk_close_code(slow) == STATUS_TIMED_OUT);
    uint64_t took_ms = machine_ms() - began_ms;
    CHECK(took_ms >= 500 && took_ms < 2500);
    talk_end(silent);
    talk_end(slow);
}

/* d3: a megabyte of noise. */
static void noise(const struct daemon *daemon)
{
    static unsigned char bytes[1024 * 1024];
    uint32_t state = 12345;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(state >> 24 | 0x80);
    }
    struct talk *talk = meet(daemon);
    (void)talk_put(talk, bytes, sizeof(bytes));
    CHECK(talk_close_code(talk) == STATUS_BAD_MAGIC);
    talk_end(talk);
}

static int code_for(const struct daemon *daemon, const void *at, size_t bytes)
{
    struct talk *talk = meet(daemon);
    CHECK(talk_put(talk, at, bytes));
    int code = talk_close_code(talk);
    talk_end(talk);
    return code;
}

/* d4 and d5: other protocols. */
static void other_protocols(const struct daemon *daemon)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const unsigned char tls[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc};
    CHECK(code_for(daemon, http, sizeof(http) - 1) == STATUS_BAD_MAGIC);
    CHECK(code_for(daemon, tls, sizeof(tls)) == STATUS_TLS_EXPECTED);
    unsigned char version[FRAME_MAGIC_BYTES];
    memcpy(version, frame_magic, sizeof(version));
    version[FRAME_MAGIC_BYTES - 2] = 99;
    CHECK(code_for(daemon, version, sizeof(version)) == STATUS_VERSION);
}

/* The magic and one header, which is all that the broker may need to see. */
static int code_for_header(const struct daemon *daemon, uint32_t length, uint8_t type,
                           uint8_t flags)
{
    unsigned char out[FRAME_MAGIC_BYTES + FRAME_HEADER_BYTES];
    struct frame_header header = {length, type, flags, 0, 0};
    memcpy(out, frame_magic, FRAME_MAGIC_BYTES);
    frame_header_store(out + FRAME_MAGIC_BYTES, &header);
    return code_for(daemon, out, sizeof(out));
}

/* d6, d7, d8, d13, d14 before the hello. */
static void first_frames(const struct daemon *daemon)
{
    uint64_t before = daemon_resident_bytes(daemon);
    int code = code_for_header(daemon, 256u << 20, FRAME_PUBLISH, 0);
    CHECK(code == STATUS_NOT_AUTHENTICATED || code == STATUS_FRAME_TOO_LARGE);
    CHECK(code_for_header(daemon, 100, FRAME_PUBLISH, 0) == STATUS_NOT_AUTHENTICATED);
    static const uint32_t large[] = {UINT32_MAX, 0x7fffffff, 0x80000000, 4097};
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
        CHECK(code_for_header(daemon, large[i], FRAME_HELLO, 0) == STATUS_FRAME_TOO_LARGE);
    for (uint32_t length = 0; length < FRAME_HEADER_BYTES; length++)
        CHECK(code_for_header(daemon, length, FRAME_HELLO, 0) == STATUS_MALFORMED);
    CHECK(code_for_header(daemon, 16, 0xee, 0) == STATUS_UNKNOWN_FRAME);
    CHECK(code_for_header(daemon, 16, 0x00, 0) == STATUS_UNKNOWN_FRAME);
    CHECK(code_for_header(daemon, 50, FRAME_HELLO, 0x80) == STATUS_UNKNOWN_FRAME);
    CHECK(code_for_header(daemon, 50, FRAME_HELLO_OK, 0) == STATUS_UNEXPECTED_FRAME);
    CHECK(code_for_header(daemon, 32, FRAME_CONFIRM, 0) == STATUS_UNEXPECTED_FRAME);
    CHECK(daemon_resident_bytes(daemon) < before + 1024 * 1024);
}

/* d13 and d14 once the connection is open; d15: a second hello. */
static void frames_out_of_place(const struct daemon *daemon)
{
    static const struct {
        uint8_t type;
        uint8_t flags;
        int code;
    } cases[] = {
        {FRAME_HELLO, 0, STATUS_UNEXPECTED_FRAME},   {FRAME_AUTH, 0, STATUS_UNEXPECTED_FRAME},
        {FRAME_CONFIRM, 0, STATUS_UNEXPECTED_FRAME}, {FRAME_DELIVER, 0, STATUS_UNEXPECTED_FRAME},
        {FRAME_CREDIT, 0, STATUS_UNEXPECTED_FRAME},  {FRAME_ROW, 1, STATUS_UNEXPECTED_FRAME},
        {FRAME_SEND, 0x40, STATUS_UNKNOWN_FRAME},    {0x7f, 0, STATUS_UNKNOWN_FRAME},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct talk *talk = meet(daemon);
        unsigned char out[64] = {0};
        struct frame_header header = {sizeof(out), cases[i].type, cases[i].flags, 0, 1};
        frame_header_store(out, &header);
        CHECK(talk_open(talk, "EXTERNAL", 0, ""));
        CHECK(talk_put(talk, out, sizeof(out)));
        int code = talk_close_code(talk);
        if (code != cases[i].code)
            printf("    type 0x%02x: %s\n", cases[i].type, status_name((unsigned)code));
        CHECK(code == cases[i].code);
        talk_end(talk);
    }
}

/* --- a session in pieces
 * -------------------------------------------------------------------------- */

static size_t whole_session(unsigned char *at, size_t room)
{
    size_t bytes = talk_greeting(at, room);
    struct wire_writer w = wire_writer_of(at + bytes, room - bytes);
    struct frame create = talk_queue_create("pieces");
    struct frame missing = talk_send("no-such-queue", "body");
    create.header.tag = 1;
    missing.header.tag = 2;
    CHECK(frame_encode(&w, &create) && frame_encode(&w, &missing));
    return bytes + wire_written(&w);
}

/* Which frames came back, as text, up to the two last answers. */
static void answers(struct talk *talk, char *text, size_t room)
{
    struct frame frame;
    size_t used = 0;
    int left = 2;
    text[0] = '\0';
    while (left > 0 && used + 32 < room && talk_take(talk, &frame)) {
        used += (size_t)snprintf(text + used, room - used, "%s ", frame_name(frame.header.type));
        left -= frame.header.type == FRAME_CONFIRM || frame.header.type == FRAME_REFUSE;
    }
}

/* d12: split at every byte boundary, the answers are the same. */
static void split_everywhere(const struct daemon *daemon)
{
    unsigned char out[2048];
    char whole[1024];
    char split[1024];
    size_t bytes = whole_session(out, sizeof(out));
    struct talk *talk = meet(daemon);
    CHECK(talk_put(talk, out, bytes));
    answers(talk, whole, sizeof(whole));
    CHECK(strstr(whole, "CONFIRM") != NULL && strstr(whole, "REFUSE") != NULL);
    talk_end(talk);
    for (size_t i = 1; i < bytes && !case_failed; i++) {
        talk = meet(daemon);
        CHECK(talk_put(talk, out, i));
        usleep(500);
        CHECK(talk_put(talk, out + i, bytes - i));
        answers(talk, split, sizeof(split));
        if (strcmp(whole, split) != 0)
            printf("    at %zu: %s, not %s\n", i, split, whole);
        CHECK(strcmp(whole, split) == 0);
        talk_end(talk);
    }
}

/* d9 and d11: cut off at every byte, by an end of stream and by a reset. */
static void cut_everywhere(const struct daemon *daemon)
{
    unsigned char out[2048];
    const struct linger reset = {1, 0};
    size_t bytes = whole_session(out, sizeof(out));
    for (size_t i = 0; i < bytes; i++) {
        struct talk *talk = meet(daemon);
        (void)talk_put(talk, out, i);
        if (i % 2 == 0)
            shutdown(talk->file, SHUT_WR);
        talk_end(talk);
        talk = talk_over(daemon_connect_tcp(daemon));
        (void)talk_put(talk, out, i);
        setsockopt(talk->file, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        talk_end(talk);
    }
    usleep(100000);
    check_serves(daemon);
}

/* --- limits
 * --------------------------------------------------------------------------------------- */

static void tcp_works(const struct daemon *daemon)
{
    struct talk *talk = talk_over(daemon_connect_tcp(daemon));
    CHECK(talk_open(talk, "ANONYMOUS", 0, ""));
    struct frame frame = talk_queue_create("tcp");
    CHECK(talk_ask(talk, &frame) == STATUS_OK);
    talk_end(talk);
}

/* The daemon of the main run lets 40 strangers and 60 in all in. */
static void too_many(const struct daemon *daemon)
{
    struct talk *all[61];
    for (int i = 0; i < 40; i++)
        all[i] = meet(daemon);
    struct talk *stranger = meet(daemon);
    CHECK(talk_close_code(stranger) == STATUS_TOO_MANY_CONNECTIONS);
    talk_end(stranger);
    for (int i = 0; i < 40; i++)
        CHECK(talk_open(all[i], "EXTERNAL", 0, ""));
    for (int i = 40; i < 60; i++) {
        all[i] = meet(daemon);
        CHECK(talk_open(all[i], "EXTERNAL", 0, ""));
    }
    stranger = meet(daemon);
    CHECK(talk_close_code(stranger) == STATUS_TOO_MANY_CONNECTIONS);
    talk_end(stranger);
    for (int i = 0; i < 60; i++)
        talk_end(all[i]);
    usleep(50000);
    check_serves(daemon);
}

static uint32_t log_lines(const struct daemon *daemon)
{
    char path[600];
    char line[4096];
    uint32_t count = 0;
    snprintf(path, sizeof(path), "%s/log", daemon_directory(daemon));
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        count++;
    if (file != NULL)
        fclose(file);
    return count;
}

static void set_nofile(const struct daemon *daemon, rlim_t most)
{
    struct rlimit limit = {most, 4096};
    CHECK(prlimit(daemon_pid(daemon), RLIMIT_NOFILE, &limit, NULL) == 0);
}

/* O5: at EMFILE little CPU, few lines, others unaffected, and soon well again. */
static void out_of_files(void)
{
    struct daemon *daemon = daemon_start(NULL, NULL);
    struct talk *old = meet(daemon);
    CHECK(talk_open(old, "EXTERNAL", 0, ""));
    /* The journal prepares its spare files first: without them it would refuse new messages, too.
     */
    usleep(500000);
    set_nofile(daemon, 24);
    struct talk *all[40];
    for (int i = 0; i < 40; i++)
        all[i] = meet(daemon);
    uint32_t lines = log_lines(daemon);
    uint64_t cpu_us = daemon_cpu_us(daemon);
    usleep(2000000);
    cpu_us = daemon_cpu_us(daemon) - cpu_us;
    printf("    out of files: %.2f %% CPU\n", (double)cpu_us / 20000);
    CHECK(cpu_us < 100000);
    CHECK(log_lines(daemon) <= lines + 2);
    struct frame frame = talk_queue_create("emfile");
    CHECK(talk_ask(old, &frame) == STATUS_OK);
    for (int i = 0; i < 40; i++)
        talk_end(all[i]);
    set_nofile(daemon, 1024);
    usleep(300000);
    uint64_t began_ms = machine_ms();
    check_serves(daemon);
    CHECK(machine_ms() - began_ms < 250);
    talk_end(old);
    CHECK(daemon_term(daemon) == 0);
    daemon_free(daemon);
}

static void serve_few(void)
{
    struct daemon *daemon = daemon_start(NULL, NULL);
    struct talk *all[16];
    for (int i = 0; i < 16; i++) {
        all[i] = meet(daemon);
        CHECK(talk_open(all[i], "EXTERNAL", 0, ""));
    }
    struct talk *stranger = meet(daemon);
    CHECK(talk_close_code(stranger) == STATUS_TOO_MANY_CONNECTIONS);
    CHECK(daemon_has_logged(daemon, "leaves room for 16 connections only"));
    daemon_free(daemon);
}

/* A limit too low for the configuration makes the daemon take fewer, and say so. The limit cannot
 * be raised again, so a process of its own has it. */
static void few_files_from_the_start(void)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit low = {64, 64};
        setrlimit(RLIMIT_NOFILE, &low);
        serve_few();
        fflush(stdout);
        _exit(case_failed ? 1 : 0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* --- slow and silent peers
 * ------------------------------------------------------------------------ */

/* A client asks and asks and never reads: it is no longer read, and memory stays bounded. */
static void slow_reader(const struct daemon *daemon)
{
    struct talk *talk = meet(daemon);
    CHECK(talk_open(talk, "EXTERNAL", 0, ""));
    uint64_t before = daemon_resident_bytes(daemon);
    fcntl(talk->file, F_SETFL, O_NONBLOCK);
    uint64_t asked = 0;
    uint64_t quiet_ms = 0;
    while (quiet_ms < 500 && asked < 2000000) {
        struct frame frame = {.header.type = FRAME_QUERY};
        frame.as.query.subject = QUERY_STATS;
        if (talk_say_tagged(talk, &frame) != 0) {
            asked++;
            quiet_ms = 0;
        } else {
            usleep(10000);
            quiet_ms += 10;
        }
    }
    uint64_t after = daemon_resident_bytes(daemon);
    printf("    slow reader: %llu queries, %.1f MiB more\n", (unsigned long long)asked,
           ((double)after - (double)before) / 1048576);
    CHECK(asked < 2000000);
    CHECK(after < before + (64u << 20));
    check_serves(daemon);
    talk_end(talk);
}

/* Idle connections cost little memory and no CPU. */
static void idle_connections(void)
{
    enum { COUNT = 2000 };
    struct daemon *daemon = daemon_start(NULL, NULL);
    int files[COUNT];
    unsigned char out[512];
    size_t bytes = talk_greeting(out, sizeof(out));
    check_serves(daemon);
    usleep(100000);
    uint64_t before = daemon_resident_bytes(daemon);
    for (int i = 0; i < COUNT; i++) {
        files[i] = daemon_connect(daemon);
        CHECK(send(files[i], out, bytes, MSG_NOSIGNAL) == (ssize_t)bytes);
    }
    char answer[1024];
    for (int i = 0; i < COUNT; i++)
        CHECK(recv(files[i], answer, sizeof(answer), 0) > 0);
    usleep(300000);
    uint64_t each = (daemon_resident_bytes(daemon) - before) / COUNT;
    uint64_t cpu_us = daemon_cpu_us(daemon);
    usleep(3000000);
    cpu_us = (daemon_cpu_us(daemon) - cpu_us) / 3;
    printf("    idle: %llu bytes a connection, %llu us CPU a second\n", (unsigned long long)each,
           (unsigned long long)cpu_us);
    CHECK(each <= 3072);
    CHECK(cpu_us < 5000);
    for (int i = 0; i < COUNT; i++)
        close(files[i]);
    CHECK(daemon_term(daemon) == 0);
    daemon_free(daemon);
}

/* The broker speaks when it has nothing to say, and gives up who does not. */
static void heartbeats(const struct daemon *daemon)
{
    struct talk *talk = meet(daemon);
    CHECK(talk_open(talk, "EXTERNAL", 1000, ""));
    uint64_t began_ms = machine_ms();
    struct frame frame;
    int count = 0;
    while (talk_take(talk, &frame) && frame.header.type != FRAME_CLOSE)
        count += frame.header.type == FRAME_HEARTBEAT;
    uint64_t took_ms = machine_ms() - began_ms;
    CHECK(frame.header.type == FRAME_CLOSE && frame.as.close.code == STATUS_TIMED_OUT);
    CHECK(count >= 2 && count <= 5);
    CHECK(took_ms >= 1900 && took_ms <= 2800);
    talk_end(talk);
}

/* --- all of them
 * ---------------------------------------------------------------------------------- */

static const char main_config[] = "[listen]\ntcp = 127.0.0.1:0\n"
                                  "[timeouts]\nhandshake = 0.5s\n"
                                  "[limits]\nconnections_max = 60\nunauthenticated_max = 40\n";

static int passed;
static int failed;

static void count_case(const char *name)
{
    printf("%s %s\n", case_failed ? "FAILED" : "ok", name);
    failed += case_failed;
    passed += !case_failed;
    case_failed = false;
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(const struct daemon *daemon);
    } shared[] = {
        {"silent and slow strangers", silent_and_slow},
        {"noise", noise},
        {"other protocols", other_protocols},
        {"first frames", first_frames},
        {"frames out of place", frames_out_of_place},
        {"split everywhere", split_everywhere},
        {"cut everywhere", cut_everywhere},
        {"TCP", tcp_works},
        {"too many connections", too_many},
        {"slow reader", slow_reader},
        {"heartbeats", heartbeats},
    };
    static const struct {
        const char *name;
        void (*run)(void);
    } alone[] = {
        {"out of files", out_of_files},
        {"few files from the start", few_files_from_the_start},
        {"idle connections", idle_connections},
    };
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    struct rlimit files = {8192, 8192};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    struct daemon *daemon = daemon_start(NULL, main_config);
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
        shared[i].run(daemon);
        count_case(shared[i].name);
    }
    CHECK(daemon_term(daemon) == 0);
    count_case("the daemon of all these stops in good order");
    daemon_free(daemon);
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        alone[i].run();
        count_case(alone[i].name);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
