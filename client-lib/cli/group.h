/* Many connections driven by one thread: one epoll over the descriptors of the handles. */
#ifndef HERALD_CLI_GROUP_H
#define HERALD_CLI_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "client-lib/herald.h"

struct group {
    int epoll;
    struct herald_client **clients;
    size_t count;
    size_t room;
    long long all_due_ms; /* when every handle is looked after, heard of or not */
};

/* False after it has said what is missing: memory, or descriptors (the limit is raised as far as it
 * goes). */
bool group_init(struct group *group, size_t room);

/* Takes the handle, also when it returns false: no memory or no descriptors, said. */
bool group_add_take(struct group *group, struct herald_client *client);

/* Waits for at most this time and lets the handles that have something do their work. */
void group_wait(struct group *group, int timeout_ms);

/* Closes all handles. */
void group_deinit(struct group *group);

#endif
