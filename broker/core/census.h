/* Counting what a core knows, without changing it: for tools that only look into a journal. */
#ifndef HERALD_CENSUS_H
#define HERALD_CENSUS_H

#include <stdint.h>

#include "broker/core/core.h"
#include "protocol/wire.h"

struct core_census {
    uint64_t queue_count;
    uint64_t exchange_count;
    uint64_t binding_count;
    uint64_t client_count;
    uint64_t waiting_count; /* places in queues: a message in two queues counts twice */
    uint64_t waiting_bytes; /* bodies and headers */
    uint64_t parked_count;
    uint64_t attempted_count; /* waiting messages with failed attempts */
    uint64_t nameless_count;  /* objects that are named but nowhere defined */
    uint64_t bodiless_count;  /* parked commands whose message is nowhere */
    uint64_t next_message;
    uint32_t next_queue;
    uint32_t next_exchange;
    uint32_t next_client;
    uint32_t start_number; /* of the newest start, 0: none */
};

void core_census(const struct core *core, struct core_census *census);

/* Whether core_start would take what was recovered. */
bool core_census_is_whole(const struct core_census *census);

/* What has a name of its own. */
enum census_kind { CENSUS_QUEUE, CENSUS_EXCHANGE, CENSUS_CLIENT };

/* The number of whoever has this name, 0 when nobody has. */
uint32_t core_census_find(const struct core *core, enum census_kind kind, struct wire_bytes name);

/* Called for each object of a kind in no special order; `name` is empty for one that is nowhere
 * defined and holds until the call returns. */
typedef void (*core_census_fn)(void *argument, uint32_t number, struct wire_bytes name);
void core_census_each(const struct core *core, enum census_kind kind, core_census_fn on_object,
                      void *argument);

/* Called for each parked command without a message. */
typedef void (*core_census_bodiless_fn)(void *argument, uint32_t queue, uint64_t number);
void core_census_bodiless(const struct core *core, core_census_bodiless_fn on_parked,
                          void *argument);

#endif
