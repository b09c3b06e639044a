/* Counting what a core knows, without changing it: for tools that only look into a journal. */
#ifndef HERALD_CENSUS_H
#define HERALD_CENSUS_H

#include <stdint.h>

#include "broker/core/core.h"
#include "broker/core/entities.h"
#include "broker/store/archive.h"
#include "broker/store/record.h"
#include "protocol/wire.h"

struct core_census {
    uint64_t queue_count;
    uint64_t exchange_count;
    uint64_t history_count;
    uint64_t binding_count;
    uint64_t client_count;
    uint64_t waiting_count; /* places in queues: a message in two queues counts twice */
    uint64_t waiting_bytes; /* bodies and headers */
    uint64_t parked_count;
    uint64_t attempted_count; /* waiting messages with failed attempts */
    uint64_t nameless_count;  /* objects that are named but nowhere defined, or not as what */
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

/* The history of an exchange, as the journal states it. */
struct core_history {
    uint32_t exchange;      /* its number */
    struct wire_bytes name; /* its name, until the call returns; empty: nowhere defined */
    uint64_t moved;         /* as the HISTORY operation says, as the next four */
    uint64_t first;
    uint64_t file;
    uint32_t end;
    uint64_t entities;
    uint64_t last;         /* sequence of the last event */
    uint64_t entity_count; /* that the core has seen */
    uint64_t cursor_count;
};

/* Called for each history, in no special order. */
typedef void (*core_census_history_fn)(void *argument, const struct core_history *history);
void core_census_histories(const struct core *core, core_census_history_fn on_history,
                           void *argument);

/* Called for each run of events of a history that are in the journal and not known to be in a file,
 * in order. */
typedef void (*core_census_run_fn)(void *argument, uint64_t first, uint64_t last);
void core_census_tail(const struct core *core, uint32_t exchange, core_census_run_fn on_run,
                      void *argument);

/* What a file says of an entity of an exchange that has a history, or a whole block of its events:
 * the core has seen it from now on. STATUS_NO_MEMORY. */
enum status core_census_see_entity(struct core *core, uint32_t exchange,
                                   const struct archive_entity *entity);
enum status core_census_see_block(struct core *core, const struct archive_block *block,
                                  const unsigned char *at);

/* A queue that is the cursor of a history. */
struct core_cursor {
    uint32_t queue;
    uint32_t exchange;
    uint64_t done; /* sequence of the last event that it is done with, or of one that it keeps */
};

/* Called for each cursor, in no special order. */
typedef void (*core_census_cursor_fn)(void *argument, const struct core_cursor *cursor);
void core_census_cursors(const struct core *core, core_census_cursor_fn on_cursor, void *argument);

/* The operation that states a cursor, done with nothing behind `last`; what `*done` points to is to
 * be freed. STATUS_NO_MEMORY. */
enum status core_census_cursor(const struct core *core, uint32_t queue, uint64_t last,
                               struct operation_cursor *operation, unsigned char **done);

/* Called for each message of a queue with a number above this one. */
typedef void (*core_census_message_fn)(void *argument, uint32_t queue, uint64_t number);
void core_census_above(const struct core *core, uint32_t queue, uint64_t number,
                       core_census_message_fn on_message, void *argument);

/* The entities of an exchange: the first time *from is all zero. As entities_slice. */
uint32_t core_census_entities(const struct core *core, uint32_t exchange, struct entity_key *from,
                              struct archive_entity *out, uint32_t count_max);

/* The secret that their names are hashed with; NULL: it has no history. */
const unsigned char *core_census_secret(const struct core *core, uint32_t exchange);

/* Called for each parked command without a message. */
void core_census_bodiless(const struct core *core, core_census_message_fn on_parked,
                          void *argument);

#endif
