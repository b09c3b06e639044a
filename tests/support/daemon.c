/* A real heraldd for a test: started in a directory of its own, stopped in every way, started
 * again. */
#include "tests/support/daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DAEMON_START_MS 30000
#define DAEMON_STOP_MS 30000

struct daemon {
    char directory[512]; /* everything is in here */
    char data[600];
    char config[600];
    char log[600];
    char socket[620];
    char url[640];
    char trace[600];
    const char *trace_options; /* of strace; NULL: without */
    uint64_t file_bytes_max;   /* 0: no limit */
    bool is_temporary;
    pid_t pid;
    pid_t tracer;    /* attached; 0: none */
    int tracer_says; /* what it reports, a thread at a time: who closed this would end it */
};

enum { WORDS_MAX = 40, TRACE_OPTIONS_BYTES = 1024 };

/* The command line of strace with the options, cut at their spaces in `copy`; returns how many. */
static int trace_words(const struct daemon *daemon, const char *options, char *copy,
                       const char **word)
{
    int count = 0;
    word[count++] = "strace";
    word[count++] = "-f";
    word[count++] = "-y";
    word[count++] = "-o";
    word[count++] = daemon->trace;
    snprintf(copy, TRACE_OPTIONS_BYTES, "%s", options);
    for (char *at = strtok(copy, " "); at != NULL && count < WORDS_MAX; at = strtok(NULL, " "))
        word[count++] = at;
    word[count] = NULL;
    return count;
}

static void die(const char *what, const char *about)
{
    fprintf(stderr, "daemon: %s %s: %s\n", what, about, strerror(errno));
    exit(1);
}

static uint64_t machine_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        die("cannot write", path);
}

/* The main file has what most tests want; the test's own lines stand in conf.d and win. */
static void configure(const struct daemon *daemon, const char *extra)
{
    char path[640];
    const char *text = extra == NULL ? "" : extra;
    const char *journal = "[journal]\nsegment_bytes = 1MiB\nspare_count = 2\n";
    const char *limits = "[limits]\nmessage_bytes_max = 128KiB\n";
    char main_text[256];
    bool has_journal = strstr(text, "[journal]") != NULL;
    snprintf(main_text, sizeof(main_text), "[listen]\ntcp =\n%s%s", has_journal ? "" : journal,
             has_journal ? "" : limits);
    write_file(daemon->config, main_text);
    snprintf(path, sizeof(path), "%s/conf.d", daemon->directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        die("cannot make", path);
    snprintf(path, sizeof(path), "%s/conf.d/extra.conf", daemon->directory);
    write_file(path, text);
}

/* What a shell may have set must not reach the daemon under test. */
static void clear_environment(void)
{
    extern char **environ;
    char name[256];
    for (char **at = environ; *at != NULL;) {
        size_t bytes = strcspn(*at, "=");
        if (strncmp(*at, "HERALD_", 7) != 0 || bytes >= sizeof(name)) {
            at++;
            continue;
        }
        memcpy(name, *at, bytes);
        name[bytes] = '\0';
        unsetenv(name);
        at = environ;
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("JOURNAL_STREAM");
}

/* In the child: becomes heraldd, with a strace beside it if that was asked for. */
static void become(const struct daemon *daemon, const char *program)
{
    char copy[TRACE_OPTIONS_BYTES];
    const char *word[WORDS_MAX + 8];
    int count = 0;
    if (daemon->trace_options != NULL && strlen(daemon->trace_options) < sizeof(copy)) {
        count = trace_words(daemon, daemon->trace_options, copy, word);
        /* The tracer is the child of the traced, whose parent stays the test. */
        word[count++] = "-D";
        word[count++] = "-qq";
    }
    const char *const own[] = {program, "--dev", daemon->data, "-c", daemon->config, NULL};
    memcpy(word + count, own, sizeof(own));
    /* execvp promises to leave the words as they are. */
    execvp(word[0], (char **)(uintptr_t)word);
}

/* Returns the read end of its standard output. */
static int spawn(struct daemon *daemon)
{
    const char *program = getenv("HERALDD") != NULL ? getenv("HERALDD") : "build/heraldd";
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0)
        die("pipe", "");
    daemon->pid = fork();
    if (daemon->pid < 0)
        die("fork", "");
    if (daemon->pid == 0) {
        int log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        clear_environment();
        const struct rlimit limit = {daemon->file_bytes_max, daemon->file_bytes_max};
        if (daemon->file_bytes_max != 0)
            setrlimit(RLIMIT_FSIZE, &limit);
        become(daemon, program);
        perror(program);
        _exit(127);
    }
    close(out[1]);
    return out[0];
}

static void copy_log_to_stderr(const struct daemon *daemon)
{
    char line[4096];
    FILE *file = fopen(daemon->log, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        fprintf(stderr, "    %s", line);
    if (file != NULL)
        fclose(file);
}

/* The export line is printed once it serves. False: its output ended before. */
static bool wait_until_ready(const struct daemon *daemon, int out)
{
    char text[1024] = "";
    size_t used = 0;
    uint64_t end_ms = machine_ms() + DAEMON_START_MS;
    while (strchr(text, '\n') == NULL) {
        struct pollfd file = {out, POLLIN, 0};
        uint64_t now_ms = machine_ms();
        ssize_t bytes = 0;
        if (now_ms < end_ms && poll(&file, 1, (int)(end_ms - now_ms)) == 1)
            bytes = read(out, text + used, sizeof(text) - 1 - used);
        if (bytes == 0 && now_ms < end_ms)
            return false;
        if (bytes <= 0) {
            copy_log_to_stderr(daemon);
            die("heraldd did not become ready in", daemon->directory);
        }
        used += (size_t)bytes;
        text[used] = '\0';
    }
    return true;
}

static struct daemon *make(const char *directory, const char *extra)
{
    struct daemon *daemon = calloc(1, sizeof(*daemon));
    if (daemon == NULL)
        die("memory", "");
    daemon->is_temporary = directory == NULL;
    snprintf(daemon->directory, sizeof(daemon->directory), "%s",
             directory == NULL ? "/tmp/herald-test-XXXXXX" : directory);
    if (directory == NULL ? mkdtemp(daemon->directory) == NULL
                          : mkdir(directory, 0700) != 0 && errno != EEXIST)
        die("cannot make", daemon->directory);
    snprintf(daemon->data, sizeof(daemon->data), "%s/data", daemon->directory);
    snprintf(daemon->config, sizeof(daemon->config), "%s/herald.conf", daemon->directory);
    snprintf(daemon->log, sizeof(daemon->log), "%s/log", daemon->directory);
    snprintf(daemon->trace, sizeof(daemon->trace), "%s/strace", daemon->directory);
    snprintf(daemon->socket, sizeof(daemon->socket), "%s/herald.sock", daemon->data);
    snprintf(daemon->url, sizeof(daemon->url), "unix:%s", daemon->socket);
    configure(daemon, extra);
    return daemon;
}

struct daemon *daemon_launch(const char *directory, const char *extra)
{
    struct daemon *daemon = make(directory, extra);
    close(spawn(daemon));
    return daemon;
}

struct daemon *daemon_start(const char *directory, const char *extra)
{
    struct daemon *daemon = make(directory, extra);
    daemon_restart(daemon);
    return daemon;
}

static int remove_entry(const char *path, const struct stat *found, int kind, struct FTW *place)
{
    (void)found;
    (void)kind;
    (void)place;
    return remove(path);
}

void daemon_free(struct daemon *daemon)
{
    if (daemon == NULL)
        return;
    if (daemon->pid > 0)
        daemon_kill9(daemon);
    daemon_detach(daemon);
    if (daemon->is_temporary)
        nftw(daemon->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(daemon);
}

const char *daemon_url(const struct daemon *daemon)
{
    return daemon->url;
}

const char *daemon_directory(const struct daemon *daemon)
{
    return daemon->directory;
}

pid_t daemon_pid(const struct daemon *daemon)
{
    return daemon->pid;
}

uint16_t daemon_port(const struct daemon *daemon)
{
    static const char mark[] = "listening at tcp:";
    char line[4096];
    uint16_t port = 0;
    FILE *file = fopen(daemon->log, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char *at = strstr(line, mark);
        if (strstr(line, "broker: heraldd ") != NULL)
            port = 0;
        if (at != NULL && port == 0)
            port = (uint16_t)strtoul(strrchr(at, ':') + 1, NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    return port;
}

static int connect_socket(int family, const void *address, socklen_t bytes)
{
    const struct timeval patience = {10, 0};
    int file = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file < 0 || connect(file, address, bytes) != 0)
        die("cannot connect to", "heraldd");
    setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return file;
}

int daemon_try_connect(const struct daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.107s", daemon->socket);
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file < 0 || connect(file, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return file;
    close(file);
    return -1;
}

int daemon_connect(const struct daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.107s", daemon->socket);
    return connect_socket(AF_UNIX, &address, sizeof(address));
}

int daemon_connect_tcp(const struct daemon *daemon)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons(daemon_port(daemon));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect_socket(AF_INET, &address, sizeof(address));
}

void daemon_signal(const struct daemon *daemon, int number)
{
    if (daemon->pid <= 0 || kill(daemon->pid, number) != 0)
        die("kill", daemon->directory);
}

int daemon_wait(struct daemon *daemon)
{
    int status = 0;
    uint64_t end_ms = machine_ms() + DAEMON_STOP_MS;
    while (waitpid(daemon->pid, &status, WNOHANG) == 0) {
        if (machine_ms() > end_ms) {
            copy_log_to_stderr(daemon);
            die("heraldd did not end in", daemon->directory);
        }
        usleep(2000);
    }
    daemon->pid = 0;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int daemon_term(struct daemon *daemon)
{
    daemon_signal(daemon, SIGTERM);
    return daemon_wait(daemon);
}

void daemon_kill9(struct daemon *daemon)
{
    daemon_signal(daemon, SIGKILL);
    daemon_wait(daemon);
}

void daemon_restart(struct daemon *daemon)
{
    int out = spawn(daemon);
    if (!wait_until_ready(daemon, out)) {
        copy_log_to_stderr(daemon);
        die("heraldd did not become ready in", daemon->directory);
    }
    close(out);
}

bool daemon_try_restart(struct daemon *daemon, int *code)
{
    int out = spawn(daemon);
    bool is_ready = wait_until_ready(daemon, out);
    close(out);
    if (!is_ready)
        *code = daemon_wait(daemon);
    return is_ready;
}

void daemon_trace(struct daemon *daemon, const char *options)
{
    daemon->trace_options = options;
}

/* In the child: becomes a strace of the daemon that tells `out` when it has begun. */
static void become_tracer(const struct daemon *daemon, const char *options, int out)
{
    char copy[TRACE_OPTIONS_BYTES];
    char number[16];
    const char *word[WORDS_MAX + 8];
    int count = trace_words(daemon, options, copy, word);
    snprintf(number, sizeof(number), "%d", daemon->pid);
    word[count++] = "-p";
    word[count++] = number;
    word[count] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDERR_FILENO);
    execvp(word[0], (char **)(uintptr_t)word);
}

void daemon_attach(struct daemon *daemon, const char *options)
{
    int out[2];
    char text[256];
    if (pipe2(out, O_CLOEXEC) != 0 || strlen(options) >= TRACE_OPTIONS_BYTES)
        die("pipe", "");
    daemon->tracer = fork();
    if (daemon->tracer < 0)
        die("fork", "");
    if (daemon->tracer == 0) {
        become_tracer(daemon, options, out[1]);
        _exit(127);
    }
    close(out[1]);
    /* "strace: Process 123 attached", or why not: then the daemon is not there any more. */
    ssize_t bytes = read(out[0], text, sizeof(text) - 1);
    if (bytes <= 0)
        die("strace cannot be run in", daemon->directory);
    daemon->tracer_says = out[0];
}

void daemon_detach(struct daemon *daemon)
{
    if (daemon->tracer == 0)
        return;
    kill(daemon->tracer, SIGINT);
    while (waitpid(daemon->tracer, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(daemon->tracer_says);
    daemon->tracer = 0;
}

void daemon_kill9_traced(struct daemon *daemon)
{
    /* A tracer that just delays a call of what is killed would wait for ever. */
    daemon_signal(daemon, SIGKILL);
    kill(daemon->tracer, SIGKILL);
    daemon_detach(daemon);
    daemon_wait(daemon);
}

const char *daemon_trace_path(const struct daemon *daemon)
{
    return daemon->trace;
}

/* False: the trace does not tell yet how the process ended. */
static bool read_last_call(const struct daemon *daemon, char *line, size_t room)
{
    char text[4096];
    bool has_ended = false;
    FILE *file = fopen(daemon->trace, "r");
    line[0] = '\0';
    while (file != NULL && fgets(text, sizeof(text), file) != NULL) {
        has_ended |= strstr(text, " +++ ") != NULL;
        if (strstr(text, " +++ ") == NULL && strchr(text, '(') != NULL)
            snprintf(line, room, "%s", text);
    }
    if (file != NULL)
        fclose(file);
    return has_ended;
}

void daemon_last_call(const struct daemon *daemon, char *line, size_t room)
{
    /* A tracer that stands beside the daemon writes its last line after the daemon's end. */
    uint64_t end_ms = machine_ms() + 1000;
    while (!read_last_call(daemon, line, room) && machine_ms() < end_ms)
        usleep(1000);
}

void daemon_limit_files(struct daemon *daemon, uint64_t bytes)
{
    daemon->file_bytes_max = bytes;
}

void daemon_configure(const struct daemon *daemon, const char *extra)
{
    configure(daemon, extra);
}

bool daemon_has_logged(const struct daemon *daemon, const char *text)
{
    char line[4096];
    bool found = false;
    FILE *file = fopen(daemon->log, "r");
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
        found = strstr(line, text) != NULL;
    if (file != NULL)
        fclose(file);
    return found;
}

bool daemon_will_log(const struct daemon *daemon, const char *text, uint32_t within_ms)
{
    uint64_t end_ms = machine_ms() + within_ms;
    while (!daemon_has_logged(daemon, text)) {
        if (machine_ms() > end_ms)
            return false;
        usleep(5000);
    }
    return true;
}

uint64_t daemon_resident_bytes(const struct daemon *daemon)
{
    char path[64];
    unsigned long long pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", daemon->pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%*u %llu", &pages) != 1)
        die("cannot read", path);
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t daemon_cpu_us(const struct daemon *daemon)
{
    clockid_t id;
    struct timespec used;
    if (clock_getcpuclockid(daemon->pid, &id) != 0 || clock_gettime(id, &used) != 0)
        die("cannot read the CPU time of", daemon->directory);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}
