/* Many connections driven by one thread. */
#include "client-lib/cli/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client-lib/cli/contact.h"
#include "client-lib/cli/report.h"

enum { EVENTS = 256, ALL_EVERY_MS = 1000 };

bool group_init(struct group *group, size_t room)
{
    struct rlimit limit;
    *group = (struct group){.room = room};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    group->epoll = epoll_create1(EPOLL_CLOEXEC);
    group->clients = calloc(room, sizeof(struct herald_client *));
    if (group->epoll >= 0 && group->clients != NULL)
        return true;
    report_say("out of memory or descriptors");
    if (group->epoll >= 0)
        close(group->epoll);
    free(group->clients);
    return false;
}

bool group_add_take(struct group *group, struct herald_client *client)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = client}};
    if (client == NULL || group->count == group->room) {
        report_say("out of memory or descriptors after %zu connections (ulimit -n)", group->count);
        return false;
    }
    group->clients[group->count++] = client;
    if (epoll_ctl(group->epoll, EPOLL_CTL_ADD, herald_fd(client), &event) == 0)
        return true;
    report_say("cannot watch a connection: %s", strerror(errno));
    return false;
}

/* The timers of the handles (heartbeats, tries to connect) need no more than a look now and then.
 */
static void process_all(struct group *group)
{
    group->all_due_ms = contact_now_ms() + ALL_EVERY_MS;
    for (size_t i = 0; i < group->count; i++)
        (void)herald_process(group->clients[i]);
}

void group_wait(struct group *group, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    if (timeout_ms > ALL_EVERY_MS)
        timeout_ms = ALL_EVERY_MS;
    int count = epoll_wait(group->epoll, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++)
        (void)herald_process(events[i].data.ptr);
    if (contact_now_ms() >= group->all_due_ms)
        process_all(group);
}

void group_deinit(struct group *group)
{
    for (size_t i = 0; i < group->count; i++)
        herald_close(group->clients[i], 0);
    free(group->clients);
    close(group->epoll);
}
