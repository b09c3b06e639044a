/* Events that an exchange keeps: what the broker adds to their properties, and what senders expect
 * of their entities.
 */
#ifndef HERALD_EVENT_H
#define HERALD_EVENT_H

#include <stdbool.h>

#include "broker/core/entities.h"
#include "protocol/status.h"
#include "protocol/wire.h"

struct accept;
struct core;
struct history;

/* What the properties of an event say of its place. */
struct event_terms {
    uint64_t sequence; /* 0: none; the broker makes these three */
    uint64_t version;
    uint64_t previous;
    struct wire_bytes entity; /* at == NULL: none */
    uint64_t expect;
    bool has_expect;
    bool has_own; /* any of the three that the broker makes, whatever its value */
    bool is_snapshot;
};

/* What several events that are appended at once have in common. */
struct append_terms {
    struct wire_bytes entity;
    uint64_t expect; /* of the next one */
};

struct event_terms event_terms(struct wire_bytes properties);

/* Whether an entity may have this name: 1 to 255 bytes of UTF-8 without control characters. */
bool event_entity_is_good(struct wire_bytes name);

/* Whether events that are appended together may have these properties, besides what any message
 * may. STATUS_BAD_PROPERTY. */
enum status event_check_appended(struct core *core, struct wire_bytes properties);

/* Decides on the event of accept->history (NULL: its exchange keeps none, or it is transient): what
 * it expects, its sequence and version; has made what it needs, and gives it the properties that
 * are recorded, which hold until the next call. STATUS_BAD_PROPERTY, STATUS_BAD_NAME,
 * STATUS_NO_HISTORY, STATUS_VERSION_CONFLICT (the text is the version), STATUS_LIMIT,
 * STATUS_NO_MEMORY. */
enum status event_prepare(struct accept *accept);

/* It is recorded: enters it into the history. */
void event_keep(struct accept *accept, uint64_t word);

/* Recovery: the entity of an event with these properties has come to its version. */
enum status event_apply_entity(struct core *core, struct history *history,
                               struct wire_bytes properties);

#endif
