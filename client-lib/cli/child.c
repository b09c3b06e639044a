/* A program that runs for one message. */
#include "client-lib/cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_BYTES = 65536 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Pipes: [0] standard input, [1] output, [2] errors, [3] progress; -1 where there is none. */
static int open_pipes(int pipes[CHILD_FDS][2])
{
    memset(pipes, 0xff, CHILD_FDS * sizeof pipes[0]);
    for (int i = 0; i < CHILD_FDS; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) != 0)
            return errno;
    }
    return 0;
}

/* The signals that this process blocks or ignores are as usual for the program. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t set;
    sigemptyset(&set);
    int error = posix_spawnattr_setsigmask(attributes, &set);
    sigaddset(&set, SIGPIPE);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &set);
    if (error == 0)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return error;
}

/* The last number goes last: one of the other pipes may have it here. */
static int map_descriptors(posix_spawn_file_actions_t *actions, int pipes[CHILD_FDS][2])
{
    int error = 0;
    for (int i = 0; i < CHILD_FDS && error == 0; i++)
        error = posix_spawn_file_actions_adddup2(actions, pipes[i][i == 0 ? 0 : 1], i);
    return error;
}

static int spawn(struct child *child, char *const *argv, char *const *environment,
                 int pipes[CHILD_FDS][2])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0)
        goto fail_after_actions;
    error = set_attributes(&attributes);
    if (error == 0)
        error = map_descriptors(&actions, pipes);
    if (error == 0)
        error = posix_spawnp(&child->pid, argv[0], &actions, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
fail_after_actions:
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int child_start(struct child *child, char *const *argv, char *const *environment,
                struct child_input input)
{
    int pipes[CHILD_FDS][2];
    *child = (struct child){.in = -1, .out = -1, .err = -1, .said = -1, .input = input};
    int error = open_pipes(pipes);
    if (error == 0)
        error = spawn(child, argv, environment, pipes);
    close_fd(&pipes[0][0]);
    close_fd(&pipes[1][1]);
    close_fd(&pipes[2][1]);
    close_fd(&pipes[3][1]);
    child->in = pipes[0][1];
    child->out = pipes[1][0];
    child->err = pipes[2][0];
    child->said = pipes[3][0];
    if (error != 0) {
        child->pid = 0;
        child_deinit(child);
        return error;
    }
    fcntl(child->in, F_SETFL, O_NONBLOCK);
    fcntl(child->out, F_SETFL, O_NONBLOCK);
    fcntl(child->err, F_SETFL, O_NONBLOCK);
    fcntl(child->said, F_SETFL, O_NONBLOCK);
    if (input.count == 0)
        close_fd(&child->in);
    return 0;
}

void child_watch(const struct child *child, struct pollfd *fds)
{
    fds[0] = (struct pollfd){.fd = child->in, .events = POLLOUT};
    fds[1] = (struct pollfd){.fd = child->out, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = child->err, .events = POLLIN};
    fds[3] = (struct pollfd){.fd = child->said, .events = POLLIN};
}

/* A program need not read its input: a broken pipe only means that it wants no more. */
static void feed(struct child *child)
{
    const char *bytes = child->input.bytes;
    while (child->in >= 0 && child->written < child->input.count) {
        ssize_t put = write(child->in, bytes + child->written, child->input.count - child->written);
        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            break;
        child->written += (size_t)put;
    }
    close_fd(&child->in);
}

static void keep_result(struct child *child, const char *bytes, size_t count)
{
    if (child->is_result_too_large)
        return;
    if (count > CHILD_RESULT_BYTES_MAX - child->result_count) {
        child->is_result_too_large = true;
        return;
    }
    if (child->result_count + count > child->result_room) {
        size_t room = 2 * (child->result_count + count);
        char *more = realloc(child->result, room);
        if (more == NULL) {
            child->is_result_too_large = true;
            return;
        }
        child->result = more;
        child->result_room = room;
    }
    memcpy(child->result + child->result_count, bytes, count);
    child->result_count += count;
}

static void keep_error(struct child *child, const char *bytes, size_t count)
{
    if (count >= CHILD_ERROR_BYTES_MAX) {
        memcpy(child->error, bytes + count - CHILD_ERROR_BYTES_MAX, CHILD_ERROR_BYTES_MAX);
        child->error_count = CHILD_ERROR_BYTES_MAX;
        return;
    }
    size_t room = CHILD_ERROR_BYTES_MAX - child->error_count;
    size_t excess = count > room ? count - room : 0;
    memmove(child->error, child->error + excess, child->error_count - excess);
    child->error_count -= excess;
    memcpy(child->error + child->error_count, bytes, count);
    child->error_count += count;
}

/* Errors are shown as they come, too: whoever watches the worker wants to see them. */
static void take_error(struct child *child, const char *bytes, size_t count)
{
    ssize_t shown = write(STDERR_FILENO, bytes, count);
    (void)shown;
    keep_error(child, bytes, count);
}

static void take_said(struct child *child, const char *bytes, size_t count)
{
    progress_take(&child->progress, bytes, count);
}

typedef void take_fn(struct child *child, const char *bytes, size_t count);

static void drain(struct child *child, int *fd, take_fn *take)
{
    char bytes[READ_BYTES];
    while (*fd >= 0) {
        ssize_t got = read(*fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            close_fd(fd);
        else
            take(child, bytes, (size_t)got);
    }
}

void child_move_data(struct child *child, const struct pollfd *fds)
{
    if (fds[0].revents != 0)
        feed(child);
    if (fds[1].revents != 0)
        drain(child, &child->out, keep_result);
    if (fds[2].revents != 0)
        drain(child, &child->err, take_error);
    if (fds[3].revents != 0)
        drain(child, &child->said, take_said);
}

void child_reap(struct child *child)
{
    if (child->pid == 0 || child->has_ended ||
        waitpid(child->pid, &child->wait_status, WNOHANG) != child->pid)
        return;
    child->has_ended = true;
    drain(child, &child->out, keep_result);
    drain(child, &child->err, take_error);
    drain(child, &child->said, take_said);
}

void child_signal(const struct child *child, int signal)
{
    if (child->pid != 0 && !child->has_ended)
        kill(-child->pid, signal);
}

const char *child_error(struct child *child)
{
    for (size_t i = 0; i < child->error_count; i++) {
        if (child->error[i] == '\0')
            child->error[i] = ' ';
    }
    while (child->error_count > 0 && child->error[child->error_count - 1] == '\n')
        child->error_count--;
    child->error[child->error_count] = '\0';
    return child->error;
}

void child_deinit(struct child *child)
{
    close_fd(&child->in);
    close_fd(&child->out);
    close_fd(&child->err);
    close_fd(&child->said);
    progress_deinit(&child->progress);
    free(child->result);
    child->result = NULL;
    child->pid = 0;
}
