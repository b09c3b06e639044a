/* Mending: turns the records that survive damage into a journal that a broker takes.
 *
 *   mend_new -> mend_record for each record that verifies, in order
 *            -> mend_adopt, mend_histories -> mend_finish, unless the journal is whole -> mend_free
 *
 * Surviving records are kept byte for byte. Records are added only where the lost ones left
 * something that a start would refuse or that would be untrue:
 *
 * - a name that is given anew although its bearer was never seen to go: the bearer goes before;
 * - at the end, a queue or exchange whose definition is lost gets the name recovered-NUMBER, a
 *   client is forgotten, a parked command whose message is lost gets an empty one;
 * - every message still there is flagged as redelivered, because it may have been handed out;
 * - a start with numbers far above all that were seen, because higher ones may have been given.
 *
 * Of histories that cannot stay as they are (salvage.h) only the events that are kept are written
 * again, and none of what was said of their files; at the end stands how they are now, and cursors
 * that are done with events which are gone are done with them no more.
 *
 * Nothing is written here: whoever uses this is given the records, and may only want the report.
 */
#ifndef HERALD_MEND_H
#define HERALD_MEND_H

#include <stdint.h>

#include "broker/core/census.h"
#include "broker/salvage.h"
#include "broker/store/inspect.h"
#include "protocol/status.h"

struct mend;

/* Takes each record of the mended journal, in order; `at` holds until it returns. */
typedef enum status (*mend_record_fn)(void *argument, const unsigned char *at, uint32_t bytes,
                                      uint64_t now_ms);

struct mend_report {
    uint64_t kept_count;      /* records kept, as they are or without events */
    uint64_t strange_count;   /* records left out: they verify, but say nothing known */
    uint64_t replaced_count;  /* bearers of a name that was given anew */
    uint64_t queue_count;     /* queues that got a name */
    uint64_t exchange_count;  /* exchanges that got a name */
    uint64_t client_count;    /* clients forgotten */
    uint64_t bodiless_count;  /* parked commands with an empty message */
    uint64_t adopted_count;   /* exchanges of which there are only files */
    uint64_t cursor_count;    /* cursors that were moved back */
    uint64_t copy_count;      /* what cursors kept of events that are gone */
    struct core_census found; /* what there is at the end */
};

/* `on_record` may be NULL. NULL when memory runs out. */
struct mend *mend_new(mend_record_fn on_record, void *argument);
void mend_free(struct mend *mend);

/* Before the first record: what is kept of histories. NULL: all of it. */
void mend_set_salvage(struct mend *mend, const struct salvage *salvage);

/* What the records say so far. */
struct core *mend_core(struct mend *mend);

/* STATUS_OK, STATUS_NO_MEMORY, or what on_record returned; as the next three. */
enum status mend_record(struct mend *mend, const struct inspect_record *record);

/* An exchange whose definition is lost, and of which there are files: it has a history, and gets
 * its name as all others do. */
enum status mend_adopt(struct mend *mend, uint32_t exchange);

/* What is kept of histories. */
enum status mend_histories(struct mend *mend);

enum status mend_finish(struct mend *mend);

/* Valid after the last of them. */
const struct mend_report *mend_report(const struct mend *mend);

#endif
