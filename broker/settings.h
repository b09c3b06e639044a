/* Settings: what the configuration means to each floor. */
#ifndef HERALD_SETTINGS_H
#define HERALD_SETTINGS_H

#include "broker/config.h"
#include "broker/core/core.h"
#include "broker/log.h"
#include "broker/net/net.h"
#include "broker/store/journal.h"

struct core_limits settings_core_limits(const struct config *config);

/* `connections_most` is what settings_raise_files returned. */
struct net_limits settings_net_limits(const struct config *config, uint32_t connections_most);

/* Without `post`. */
struct journal_options settings_journal_options(const struct config *config);

/* Raises the process's limit of open files as far as it goes and returns how many connections it
 * leaves room for; warns when they are fewer than configured. */
uint32_t settings_raise_files(const struct config *config, struct log *log);

/* Keeps the allocator from giving memory back to the kernel and asking for it again all the time:
 * page faults would cost more than everything else that is done for a message. */
void settings_tune_memory(void);

#endif
