/* What a measurement reads off the machine. */
#include "client-lib/cli/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Words of /proc/PID/stat between the name of the program and its user time. */
enum { STAT_WORDS_BEFORE_USER = 11 };

static const char default_socket[] = "/run/herald/herald.sock";

int64_t measure_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

const char *measure_socket_path(const struct arguments *arguments)
{
    const char *url = arguments->options[OPTION_SERVER].text;
    if (url == NULL)
        url = getenv("HERALD_URL");
    if (url == NULL)
        return access(default_socket, F_OK) == 0 ? default_socket : NULL;
    return strncmp(url, "unix:", 5) == 0 ? url + 5 : NULL;
}

static pid_t find_listener(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {.pid = 0};
    socklen_t bytes = sizeof peer;
    if (strlen(path) >= sizeof address.sun_path)
        return 0;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0)
        peer.pid = 0;
    close(fd);
    return peer.pid;
}

static const char *skip_words(const char *text, size_t count)
{
    for (; count > 0; count--) {
        text += strspn(text, " ");
        text += strcspn(text, " ");
    }
    return text;
}

/* User and system time of all threads of a process; -1 if it cannot be seen. */
static double read_cpu_s(pid_t pid)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = pid != 0 ? fopen(path, "re") : NULL;
    if (file == NULL)
        return -1;
    size_t count = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[count] = '\0';
    /* The name may hold anything, but it is the last thing in parentheses. */
    const char *after = strrchr(text, ')');
    if (after == NULL)
        return -1;
    char *end;
    unsigned long user = strtoul(skip_words(after + 1, STAT_WORDS_BEFORE_USER), &end, 10);
    unsigned long system = strtoul(end, NULL, 10);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double seconds_of(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static double own_cpu_s(const struct helpers *helpers)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double sum_s = seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime);
    for (size_t i = 0; helpers != NULL && i < helpers->count; i++)
        sum_s += read_cpu_s(helpers->all[i].pid);
    return sum_s;
}

void measure_start(struct measure *measure, const struct arguments *arguments,
                   const struct helpers *helpers)
{
    const char *path = measure_socket_path(arguments);
    measure->broker_pid = (pid_t)arguments_number(arguments, OPTION_PID, 0);
    if (measure->broker_pid == 0 && path != NULL)
        measure->broker_pid = find_listener(path);
    measure->broker_cpu_s = read_cpu_s(measure->broker_pid);
    measure->helpers = helpers;
    measure->client_cpu_s = own_cpu_s(helpers);
    measure->started_ns = measure_now_ns();
}

double measure_stop(const struct measure *measure, struct figures *figures, int64_t messages)
{
    double elapsed_s = (double)(measure_now_ns() - measure->started_ns) / 1e9;
    double broker_s = read_cpu_s(measure->broker_pid);
    double count = (double)messages;
    double rate = count / elapsed_s;
    double broker_us = broker_s >= 0 && measure->broker_cpu_s >= 0
                           ? (broker_s - measure->broker_cpu_s) * 1e6 / count
                           : -1;
    figures_add(figures, FIGURE_COUNT, "messages", "messages", count);
    figures_add(figures, FIGURE_SECONDS, "elapsed_s", "time", elapsed_s);
    figures_add(figures, FIGURE_PER_SECOND, "messages_per_s", "messages per second", rate);
    figures_add(figures, FIGURE_MICROSECONDS, "broker_cpu_us",
                "processor time of the broker per message", broker_us);
    figures_add(figures, FIGURE_MICROSECONDS, "client_cpu_us",
                "processor time of this program per message",
                (own_cpu_s(measure->helpers) - measure->client_cpu_s) * 1e6 / count);
    return rate;
}

double measure_broker_memory(const struct measure *measure)
{
    char path[64];
    char text[256];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)measure->broker_pid);
    FILE *file = measure->broker_pid != 0 ? fopen(path, "re") : NULL;
    if (file == NULL)
        return -1;
    size_t count = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[count] = '\0';
    unsigned long pages = strtoul(skip_words(text, 1), NULL, 10);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

double measure_broker_peak(const struct measure *measure)
{
    static const char name[] = "VmHWM:";
    char path[64];
    char line[256];
    double kib = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)measure->broker_pid);
    FILE *file = measure->broker_pid != 0 ? fopen(path, "re") : NULL;
    if (file == NULL)
        return -1;
    while (kib < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, sizeof name - 1) == 0)
            kib = strtod(line + sizeof name - 1, NULL);
    fclose(file);
    return kib < 0 ? -1 : kib * 1024;
}
