/* Processes that help a bench. */
#include "client-lib/cli/helpers.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client-lib/cli/report.h"

enum {
    FILES_PER_HANDLE = 3,
    FILES_BESIDE = 64,
    FILES_LEAST = 128,
    CONNECTIONS_MAX = 10000,
};

bool helper_say_ready(int fd)
{
    char byte = 0;
    return write(fd, &byte, 1) == 1;
}

bool helper_is_wanted(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) != 0;
}

int64_t helpers_connections_each(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY)
        return CONNECTIONS_MAX;
    int64_t files = (int64_t)limit.rlim_max;
    return files > FILES_LEAST ? (files - FILES_BESIDE) / FILES_PER_HANDLE : 1;
}

static bool start_one(struct helpers *helpers, helper_fn *help, void *context)
{
    int pair[2];
    size_t index = helpers->count;
    if (index == HELPERS_MAX || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    struct helper *helper = &helpers->all[helpers->count++];
    helper->fd = pair[0];
    helper->pid = fork();
    if (helper->pid == 0) {
        /* What the others hear of the end of must be closed here, too. */
        for (size_t i = 0; i <= index; i++)
            close(helpers->all[i].fd);
        _exit(help(pair[1], index, context));
    }
    close(pair[1]);
    return helper->pid > 0;
}

int helpers_start(struct helpers *helpers, size_t count, helper_fn *help, void *context)
{
    helpers->count = 0;
    while (helpers->count < count) {
        if (!start_one(helpers, help, context)) {
            report_say("cannot start a process");
            return EXIT_FAILED;
        }
    }
    for (size_t i = 0; i < count; i++) {
        char byte;
        if (read(helpers->all[i].fd, &byte, 1) != 1)
            return EXIT_FAILED;
    }
    return EXIT_OK;
}

void helpers_stop(struct helpers *helpers)
{
    for (size_t i = 0; i < helpers->count; i++)
        close(helpers->all[i].fd);
    for (size_t i = 0; i < helpers->count; i++) {
        if (helpers->all[i].pid > 0)
            waitpid(helpers->all[i].pid, NULL, 0);
    }
    helpers->count = 0;
}
