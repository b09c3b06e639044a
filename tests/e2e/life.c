/* How the real daemon starts, stops, reloads and comes back. Run by life.sh. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    struct talk *talk = talk_over(daemon_connect(daemon));
    CHECK(talk_open(talk, "EXTERNAL", 0, ""));
    return talk;
}

static void create_and_send(struct talk *talk, const char *queue, int count)
{
    struct frame frame = talk_queue_create(queue);
    CHECK(talk_ask(talk, &frame) == STATUS_OK);
    for (int i = 0; i < count; i++) {
        char body[32];
        snprintf(body, sizeof(body), "message %d", i);
        frame = talk_send(queue, body);
        CHECK(talk_ask(talk, &frame) == STATUS_OK);
    }
}

/* Takes `count` deliveries; true when their bodies are "message 0" and so on. */
static bool take_messages(struct talk *talk, const char *queue, int count, struct frame *last)
{
    struct frame frame = talk_consume(1, queue, 1000);
    if (talk_say_tagged(talk, &frame) == 0)
        return false;
    for (int i = 0; i < count; i++) {
        char body[32];
        snprintf(body, sizeof(body), "message %d", i);
        if (!talk_take_type(talk, FRAME_DELIVER, last) ||
            !wire_bytes_equal(last->as.deliver.body, wire_bytes_of_text(body)))
            return false;
    }
    return true;
}

static int settle(struct talk *talk, uint64_t first, uint64_t last)
{
    struct frame frame = {.header.type = FRAME_DONE};
    frame.as.done.start = talk->start;
    frame.as.done.first = first;
    frame.as.done.last = last;
    return talk_ask(talk, &frame);
}

/* --- stopping
 * ------------------------------------------------------------------------------------- */

static void stops_and_says_so(void)
{
    struct daemon *daemon = daemon_start(NULL, NULL);
    struct talk *talk = meet(daemon);
    create_and_send(talk, "q", 3);
    daemon_signal(daemon, SIGTERM);
    struct frame frame;
    CHECK(talk_take_type(talk, FRAME_DRAIN, &frame));
    CHECK(talk_take_type(talk, FRAME_CLOSE, &frame) && frame.as.close.code == STATUS_GOODBYE);
    CHECK(daemon_wait(daemon) == 0);
    CHECK(access(daemon_url(daemon) + strlen("unix:"), F_OK) != 0);
    talk_end(talk);
    daemon_restart(daemon);
    CHECK(!daemon_has_logged(daemon, "not clean"));
    CHECK(daemon_has_logged(daemon, "start 2"));
    talk = meet(daemon);
    CHECK(take_messages(talk, "q", 3, &frame));
    CHECK((frame.header.flags & FLAG_REDELIVERED) == 0);
    talk_end(talk);
    CHECK(daemon_term(daemon) == 0);
    daemon_free(daemon);
}

/* What a worker holds may be settled while the daemon drains, and it ends as soon as that is done.
 */
static void drains(void)
{
    struct daemon *daemon = daemon_start(NULL, "[timeouts]\ndrain = 20s\n");
    struct talk *talk = meet(daemon);
    struct frame frame;
    create_and_send(talk, "q", 2);
    CHECK(take_messages(talk, "q", 2, &frame));
    uint64_t last = frame.as.deliver.delivery;
    daemon_signal(daemon, SIGTERM);
    CHECK(talk_take_type(talk, FRAME_DRAIN, &frame));
    usleep(300000);
    struct frame refused = talk_send("q", "too late");
    CHECK(talk_ask(talk, &refused) == STATUS_DRAINING);
    uint64_t began_ms = machine_ms();
    CHECK(settle(talk, last - 1, last) == STATUS_OK);
    CHECK(talk_close_code(talk) == STATUS_GOODBYE);
    CHECK(daemon_wait(daemon) == 0);
    CHECK(machine_ms() - began_ms < 3000);
    talk_end(talk);
    daemon_restart(daemon);
    talk = meet(daemon);
    create_and_send(talk, "q", 1);
    CHECK(take_messages(talk, "q", 1, &frame));
    talk_end(talk);
    daemon_free(daemon);
}

static void drain_is_over(void)
{
    struct daemon *daemon = daemon_start(NULL, "[timeouts]\ndrain = 0.4s\nclose = 0.5s\n");
    struct talk *talk = meet(daemon);
    struct frame frame;
    create_and_send(talk, "q", 1);
    CHECK(take_messages(talk, "q", 1, &frame));
    uint64_t began_ms = machine_ms();
    CHECK(daemon_term(daemon) == 0);
    uint64_t took_ms = machine_ms() - began_ms;
    CHECK(took_ms >= 390 && took_ms < 3000);
    talk_end(talk);
    daemon_restart(daemon);
    talk = meet(daemon);
    CHECK(take_messages(talk, "q", 1, &frame));
    /* It was handed out, and a stop does not count as an attempt. */
    CHECK((frame.header.flags & FLAG_REDELIVERED) != 0);
    CHECK(frame.as.deliver.attempt == 1);
    talk_end(talk);
    daemon_free(daemon);
}

static void second_signal(void)
{
    struct daemon *daemon = daemon_start(NULL, "[timeouts]\ndrain = 60s\n");
    struct talk *talk = meet(daemon);
    struct frame frame;
    create_and_send(talk, "q", 1);
    CHECK(take_messages(talk, "q", 1, &frame));
    daemon_signal(daemon, SIGTERM);
    CHECK(daemon_will_log(daemon, "draining", 3000));
    uint64_t began_ms = machine_ms();
    daemon_signal(daemon, SIGINT);
    CHECK(daemon_wait(daemon) == 0);
    CHECK(machine_ms() - began_ms < 1000);
    talk_end(talk);
    daemon_restart(daemon);
    CHECK(daemon_has_logged(daemon, "not clean"));
    talk = meet(daemon);
    CHECK(take_messages(talk, "q", 1, &frame));
    talk_end(talk);
    daemon_free(daemon);
}

static void killed(void)
{
    struct daemon *daemon = daemon_start(NULL, NULL);
    struct frame frame;
    for (int round = 0; round < 5; round++) {
        char queue[16];
        snprintf(queue, sizeof(queue), "q%d", round);
        struct talk *talk = meet(daemon);
        create_and_send(talk, queue, 20);
        daemon_kill9(daemon);
        talk_end(talk);
        daemon_restart(daemon);
        for (int i = 0; i <= round; i++) {
            snprintf(queue, sizeof(queue), "q%d", i);
            talk = meet(daemon);
            CHECK(take_messages(talk, queue, 20, &frame));
            talk_end(talk);
        }
    }
    CHECK(daemon_has_logged(daemon, "not clean"));
    CHECK(daemon_term(daemon) == 0);
    daemon_free(daemon);
}

/* --- reloading
 * ------------------------------------------------------------------------------------ */

static void reloads(void)
{
    struct daemon *daemon = daemon_start(NULL, "[timeouts]\nhandshake = 60s\n");
    daemon_configure(daemon, "[timeouts]\nhandshake = 200ms\nheartbeet = 5s\n");
    daemon_signal(daemon, SIGHUP);
    CHECK(daemon_will_log(daemon, "stays as it was", 3000));
    CHECK(daemon_has_logged(daemon, "heartbeat"));
    struct talk *silent = talk_over(daemon_connect(daemon));
    usleep(500000);
    CHECK(send(silent->file, "", 0, MSG_NOSIGNAL) == 0);
    char byte;
    CHECK(recv(silent->file, &byte, 1, MSG_DONTWAIT) < 0);
    daemon_configure(daemon, "[timeouts]\nhandshake = 200ms\n[limits]\nheaders_count_max = 3\n");
    daemon_signal(daemon, SIGHUP);
    CHECK(daemon_will_log(daemon, "timeouts.handshake changed", 3000));
    CHECK(daemon_has_logged(daemon, "limits.headers_count_max differs"));
    struct talk *talk = talk_over(daemon_connect(daemon));
    CHECK(talk_close_code(talk) == STATUS_TIMED_OUT);
    talk_end(talk);
    talk_end(silent);
    daemon_signal(daemon, SIGUSR1);
    CHECK(daemon_will_log(daemon, "running, start 1", 3000));
    daemon_signal(daemon, SIGUSR2);
    CHECK(daemon_wait(daemon) == 0);
    daemon_free(daemon);
}

/* --- starts that fail
 * ----------------------------------------------------------------------------- */

static int exit_code_of(const char *arguments)
{
    char command[2048];
    const char *program = getenv("HERALDD") != NULL ? getenv("HERALDD") : "build/heraldd";
    snprintf(command, sizeof(command), "%s %s >/dev/null 2>&1", program, arguments);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void command_line(void)
{
    CHECK(exit_code_of("--help") == 0);
    CHECK(exit_code_of("--version") == 0);
    CHECK(exit_code_of("--nonsense") == 2);
    CHECK(exit_code_of("--print-config --dev /tmp/herald-nothing") == 0);
    CHECK(exit_code_of("--check-config -c /nonexistent/herald.conf") == 78);
    CHECK(exit_code_of("-c /nonexistent/herald.conf") == 78);
}

static void locked(void)
{
    char arguments[1024];
    struct daemon *daemon = daemon_start(NULL, NULL);
    snprintf(arguments, sizeof(arguments), "--dev %s/data", daemon_directory(daemon));
    CHECK(exit_code_of(arguments) == 74);
    /* The running one was not disturbed, nor was its socket taken away. */
    talk_end(meet(daemon));
    CHECK(daemon_term(daemon) == 0);
    daemon_free(daemon);
}

static void port_is_taken(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof(address);
    char extra[64];
    int file = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(file, (struct sockaddr *)&address, bytes) == 0 && listen(file, 1) == 0);
    CHECK(getsockname(file, (struct sockaddr *)&address, &bytes) == 0);
    snprintf(extra, sizeof(extra), "[listen]\ntcp = 127.0.0.1:%u\n", ntohs(address.sin_port));
    struct daemon *daemon = daemon_start(NULL, extra);
    CHECK(daemon_has_logged(daemon, "going on without it"));
    talk_end(meet(daemon));
    CHECK(daemon_term(daemon) == 0);
    daemon_free(daemon);
    close(file);
}

/* Rot in the middle of the journal: refused, named, and nothing is changed. */
static void damaged(void)
{
    char path[700];
    struct daemon *daemon = daemon_start(NULL, NULL);
    struct talk *talk = meet(daemon);
    create_and_send(talk, "q", 50);
    talk_end(talk);
    daemon_kill9(daemon);
    snprintf(path, sizeof(path), "%s/data/segment-0000000000000001", daemon_directory(daemon));
    FILE *file = fopen(path, "r+");
    CHECK(file != NULL);
    if (file != NULL) {
        CHECK(fseek(file, 4096 + 100, SEEK_SET) == 0);
        CHECK(fwrite("rot", 1, 3, file) == 3);
        fclose(file);
    }
    snprintf(path, sizeof(path), "--dev %s/data", daemon_directory(daemon));
    CHECK(exit_code_of(path) == 65);
    daemon_free(daemon);
}

/* --- all of them
 * ---------------------------------------------------------------------------------- */

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"stops and says so", stops_and_says_so},
        {"drains", drains},
        {"drain is over", drain_is_over},
        {"a second signal", second_signal},
        {"killed", killed},
        {"reloads", reloads},
        {"command line", command_line},
        {"locked directory", locked},
        {"the port is taken", port_is_taken},
        {"damaged journal", damaged},
    };
    int passed = 0;
    int failed = 0;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        case_failed = false;
        cases[i].run();
        printf("%s %s\n", case_failed ? "FAILED" : "ok", cases[i].name);
        failed += case_failed;
        passed += !case_failed;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
