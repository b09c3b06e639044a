/* Salvage: what a repair keeps of histories, and how.
 *
 *   salvage_new -> salvage_note for each operation that survives -> salvage_plan
 *   -> files (salvage_files.h) -> salvage_filter for each event that is written again
 *
 * A history has no holes. Where events are lost in the middle of one, either those before them or
 * those behind can be kept: the larger run. The sequences of what is lost at the end are given
 * again then. Versions of entities never go back: they are those of all events that survive, kept
 * or not, and of what was saved.
 *
 * A history that is whole stays as it is, file by file and operation by operation.
 */
#ifndef HERALD_SALVAGE_H
#define HERALD_SALVAGE_H

#include "broker/histories.h"
#include "broker/store/record.h"

/* What becomes of a history that cannot stay as it is. */
struct salvage_plan {
    uint32_t exchange;
    uint64_t first; /* kept are events from here ... */
    uint64_t last;  /* ... to here; below `first`: none is */
    uint64_t moved; /* up to here they are written to files, and come from files */
    /* Known once its files are written: */
    uint64_t file; /* the one that is written to; 0: there is none */
    uint32_t end;
    uint64_t entities;    /* entities are saved with this sequence; 0: there are none */
    struct entities kept; /* of the events that are kept: which of their sequences can be read */
    /* For the report: */
    uint64_t known_first; /* from here ... */
    uint64_t known_last;  /* ... to here there were events */
    struct runs lost;     /* that do not verify, or are missing */
    struct runs dropped;  /* that verify and cannot be kept */
};

struct salvage;

/* NULL: no memory. */
struct salvage *salvage_new(void);

/* NULL is fine. */
void salvage_free(struct salvage *salvage);

/* An operation of the journal that survives. STATUS_NO_MEMORY. */
enum status salvage_note(struct salvage *salvage, const struct operation *operation);

/* Whether events of the exchange may have been recorded and its end was not. */
bool salvage_may_live(const struct salvage *salvage, uint32_t exchange);

/* Decides on each history of the core. STATUS_NO_MEMORY. */
enum status salvage_decide(struct salvage *salvage, const struct histories *histories,
                           const struct core *core);

/* The plan for an exchange; NULL: its history stays as it is, or it has none. */
struct salvage_plan *salvage_find(const struct salvage *salvage, uint32_t exchange);

size_t salvage_count(const struct salvage *salvage);
struct salvage_plan *salvage_at(const struct salvage *salvage, size_t index);

/* Whether the journal keeps the event of a MESSAGE operation that is written again; those that are
 * in files need it no more. STATUS_OK, STATUS_NOT_FOUND: it does not; STATUS_NO_MEMORY. */
enum status salvage_filter(const struct salvage *salvage, uint32_t exchange,
                           const struct operation_message *event);

/* The same for an event that comes to a file. */
enum status salvage_keep_entity(struct salvage_plan *plan, const struct operation_message *event);

#endif
