/* Histories as the offline tools see them: what the journal says of each, what its files hold, and
 * what of that is damaged.
 *
 *   the journal, applied to a core --> histories_new --> the views, in the order of numbers
 *
 * Looks at every byte of every file that the journal needs. A view is whole when a start takes it
 * and every event of it can be read.
 */
#ifndef HERALD_HISTORIES_H
#define HERALD_HISTORIES_H

#include "broker/core/census.h"
#include "broker/runs.h"
#include "broker/store/archive_inspect.h"

enum { HISTORIES_TEXT_BYTES = 128 };

struct histories_damage {
    char file[ARCHIVE_NAME_BYTES]; /* empty: it is the journal that lacks something */
    uint64_t offset;
    char text[HISTORIES_TEXT_BYTES];
};

/* What a file is to the journal. */
enum history_role {
    HISTORY_FINISHED,  /* full, with an index */
    HISTORY_OPEN,      /* the one that is written to */
    HISTORY_ENTITIES,  /* the versions that count */
    HISTORY_LEFT_OVER, /* a start removes it */
};

struct history_file {
    struct archive_name name;
    enum history_role role;
    uint64_t damage_count;
    struct archive_inspection found; /* unless it is left over and was not looked at */
};

/* The history of one exchange. */
struct history_view {
    struct core_history stated; /* its name holds as long as the view; empty: nobody knows it */
    char *name;
    struct runs filed; /* events of files that verify */
    struct runs tail;  /* events of the journal that are not known to be in files */
    uint64_t file_count;
    uint64_t file_bytes;
    uint64_t lost_entities; /* entities of the file that counts that do not verify */
    uint64_t damage_count;
    struct histories_damage *damage;
    size_t damage_room;
};

struct histories {
    struct history_view *views;
    size_t view_count;
    struct history_file *files; /* all, by exchange: events in their order, then entities */
    size_t file_count;
};

enum histories_scope {
    HISTORIES_STATED, /* what the journal speaks of */
    HISTORIES_ALL,    /* whatever there is: the journal is damaged */
};

/* Looks at everything on the disk, and lets the core see the entities. *histories is to be freed on
 * failure, too. STATUS_IO_ERROR, STATUS_NEWER_FORMAT: `failure` says why; STATUS_NO_MEMORY. */
enum status histories_new(struct histories **histories, struct core *core, const struct disk *disk,
                          enum histories_scope scope, struct journal_failure *failure);

/* NULL is fine. */
void histories_free(struct histories *histories);

/* The view of an exchange; NULL: there is none. */
const struct history_view *histories_find(const struct histories *histories, uint32_t exchange);

/* All that should be there verifies. */
bool history_view_is_whole(const struct history_view *view);
bool histories_are_whole(const struct histories *histories);

/* Calls `on_gap` for each run of events that should be there and is nowhere. */
void history_view_each_gap(const struct history_view *view, runs_gap_fn on_gap, void *argument);

#endif
