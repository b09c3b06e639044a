/* What the service manager is told: the protocol of sd_notify, without its library. */
#include "broker/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static bool find_socket(struct sockaddr_un *address, socklen_t *bytes)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path == NULL ? 0 : strlen(path);
    if (length < 2 || length >= sizeof(address->sun_path) || (path[0] != '/' && path[0] != '@'))
        return false;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length);
    if (path[0] == '@')
        address->sun_path[0] = '\0'; /* the abstract name space */
    *bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return true;
}

static bool send_text(const char *text)
{
    struct sockaddr_un address;
    socklen_t bytes;
    ssize_t sent;
    int fd;
    if (!find_socket(&address, &bytes))
        return false;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                  (const struct sockaddr *)&address, bytes);
    close(fd);
    return sent == (ssize_t)strlen(text);
}

/* `status` is cut at its first newline, behind which it could say something else. */
static bool send_status(const char *assignment, const char *status)
{
    char text[512];
    snprintf(text, sizeof(text), "%sSTATUS=%.*s", assignment, (int)strcspn(status, "\n"), status);
    return send_text(text);
}

bool notify_ready(const char *status)
{
    return send_status("READY=1\n", status);
}

bool notify_reloading(void)
{
    char text[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    return send_text(text);
}

bool notify_stopping(const char *status)
{
    return send_status("STOPPING=1\n", status);
}

bool notify_status(const char *status)
{
    return send_status("", status);
}

bool notify_extend_timeout(uint64_t more_ms)
{
    char text[64];
    snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%" PRIu64, more_ms * 1000);
    return send_text(text);
}

bool notify_watchdog(void)
{
    return send_text("WATCHDOG=1");
}

/* A whole number in the environment; 0 if it is missing or none. */
static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    uintmax_t number;
    if (text == NULL || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    number = strtoumax(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : 0;
}

uint64_t notify_watchdog_interval_ms(void)
{
    uint64_t interval_us = number_of("WATCHDOG_USEC");
    uint64_t interval_ms = interval_us / 2000;
    if (getenv("WATCHDOG_PID") != NULL && number_of("WATCHDOG_PID") != (uint64_t)getpid())
        return 0; /* meant for another process */
    return interval_us > 0 && interval_ms == 0 ? 1 : interval_ms;
}
