/* The archive: the files that histories of exchanges are kept in.
 *
 *   history-<8 hex digits: exchange>-<16: sequence of its first event>    events, oldest first
 *   entities-<8: exchange>-<16: sequence>    versions of entities, all events up to there counted
 *
 * An event is durable in the journal first. Later it is written here in large pieces, and once the
 * piece is synced a record of the journal says so: only then may the journal forget it. What stands
 * in a file beyond what the journal says is cut at the next start. So nothing that is confirmed
 * rests on a file that is not synced, and nothing on the way to a confirm syncs a second file.
 *
 * Reading and writing is done by errands on the background thread. A struct of work belongs to the
 * caller, and is left alone from archive_post to its on_done. HISTORY.md describes the files.
 */
#ifndef HERALD_ARCHIVE_H
#define HERALD_ARCHIVE_H

#include "broker/store/archive_block.h"
#include "broker/store/disk.h"
#include "broker/store/errand.h"
#include "broker/store/journal.h"

struct archive;

/* The disk outlives the archive. NULL: no memory. */
struct archive *archive_new(const struct disk *disk, errand_post_fn post, void *post_context);

/* Errands that are out must never come back. NULL is fine. */
void archive_free(struct archive *archive);

enum archive_kind {
    ARCHIVE_WRITE,
    ARCHIVE_READ,
    ARCHIVE_REMOVE,
    ARCHIVE_ENTITIES,
    ARCHIVE_LIST,
    ARCHIVE_COPY,
};

struct archive_work;
typedef void (*archive_done_fn)(void *argument, struct archive_work *work);

/* What every work begins with. */
struct archive_work {
    struct errand errand;
    struct archive *archive;
    enum archive_kind kind;
    uint32_t exchange;
    archive_done_fn on_done;
    void *argument;
    enum status status; /* out, see each kind */
    struct journal_failure failure;
};

/* A file of events as the loop knows it. */
struct archive_file {
    uint64_t first; /* sequence of its first event */
    uint64_t last;  /* of its last; below `first`: it has none */
    uint64_t first_ms;
    uint64_t last_ms;
    uint32_t end; /* offset behind its last block; 0: it is not made yet */
    bool is_finished;
};

/* Appends blocks to a file, makes it when `offset` is 0, finishes another one before that. When it
 * is done all of it is on disk. STATUS_OK; STATUS_DISK_FULL: space or the like was missing, the
 * same work may be tried again; STATUS_IO_ERROR: the process must end. */
struct archive_write {
    struct archive_work work;
    uint64_t first;    /* the file */
    uint32_t offset;   /* behind what it holds */
    unsigned char *at; /* blocks without checksums, made for where they come to stand */
    size_t bytes;
    bool is_finishing;          /* the file that `index` speaks of */
    struct archive_index index; /* of that */
    struct archive_spot *spots; /* likewise */
};

/* Reads whole blocks that verify. With `offset` they begin there; without, at the block that holds
 * `sequence`, or, when that is 0, the first event that is not before `time_ms`: then the file is
 * finished. STATUS_OK; STATUS_NOT_FOUND: the file is gone; STATUS_CORRUPT, STATUS_IO_ERROR:
 * `failure` says what and where; STATUS_NO_MEMORY. */
struct archive_read {
    struct archive_work work;
    struct archive_file file;
    uint32_t offset;
    uint64_t sequence;
    uint64_t time_ms;
    uint32_t bytes_wanted; /* at once, if one block is not larger */
    unsigned char *at;     /* out: the blocks; the caller's from then on */
    uint32_t bytes;
    uint32_t next_offset; /* out: where the block behind them begins */
};

enum { ARCHIVE_REMOVE_MAX = 16 };

/* Removes files; one that is not there is fine. STATUS_OK, STATUS_IO_ERROR. */
struct archive_remove {
    struct archive_work work;
    uint64_t files[ARCHIVE_REMOVE_MAX]; /* of events */
    uint32_t file_count;
    uint64_t entities; /* 0: none */
};

/* One entity in its file: 24 bytes. */
struct archive_entity {
    uint64_t hash[2];  /* of its name, 96 bits: the second holds 32 */
    uint64_t version;  /* below 2^48 */
    uint64_t sequence; /* of its last event, below 2^48 */
};

enum {
    ARCHIVE_ENTITY_BYTES = 24,
    ARCHIVE_SECRET_BYTES = 16,
    ARCHIVE_ENTITIES_HEADER_BYTES = 8,
    ARCHIVE_ENTITIES_MAX = 32768, /* in one piece */
};

void archive_entity_put(unsigned char *at, const struct archive_entity *entity);

/* Writes the next piece of a file of entities: room for a header, then the entities. The last one
 * makes it whole and durable. Statuses as for a write. */
struct archive_entities {
    struct archive_work work;
    uint64_t sequence; /* the file */
    uint64_t offset;   /* where the piece goes; the first is at ARCHIVE_HEADER_BYTES */
    unsigned char *at; /* ARCHIVE_ENTITIES_HEADER_BYTES, and the entities */
    uint32_t count;    /* of them; may be 0 in the last */
    bool is_last;
    uint64_t count_all;                         /* with the last */
    unsigned char secret[ARCHIVE_SECRET_BYTES]; /* likewise: that names are hashed with */
};

/* What a name in the directory stands for. */
struct archive_name {
    bool is_entities;
    uint32_t exchange;
    uint64_t first; /* or the sequence of a file of entities */
    uint64_t bytes; /* size of the file */
};

enum { ARCHIVE_NAME_BYTES = 48 };

void archive_print_name(char text[ARCHIVE_NAME_BYTES], const struct archive_name *name);

/* Files by exchange, first those of events in their order, then those of entities. */
struct archive_list {
    struct archive_name *names;
    size_t count;
    size_t room;
};

/* Lists the files of the archive. STATUS_OK, STATUS_IO_ERROR, STATUS_NO_MEMORY. */
struct archive_names {
    struct archive_work work;
    struct archive_list list; /* out: the names are the caller's, on failure, too */
};

/* Reads bytes of a file as they are, all of which must be there. STATUS_OK, STATUS_NOT_FOUND,
 * STATUS_CORRUPT, STATUS_IO_ERROR: `failure` says what and where. */
struct archive_copy {
    struct archive_work work;
    struct archive_name name;
    uint64_t offset;
    unsigned char *at; /* room for the bytes */
    uint32_t bytes;
};

/* Has the work done; on_done is called from a later archive_on_errand. */
void archive_post(struct archive *archive, struct archive_work *work);

/* Whether the errand is one of the archive's, and taking it back: STATUS_IO_ERROR when the process
 * must end, archive_failure says why. */
bool archive_owns(const struct errand *errand);
enum status archive_on_errand(struct archive *archive, struct errand *errand);
const struct journal_failure *archive_failure(const struct archive *archive);

/* --- for recovery and tools, on the caller's thread ---------------------------------------------
 */

/* Does the work at once, and returns its status; nobody is called. */
enum status archive_run(struct archive *archive, struct archive_work *work);

/* Lists the files of the archive; the names are to be freed, on failure, too. STATUS_IO_ERROR,
 * STATUS_NO_MEMORY. */
enum status archive_list(struct archive *archive, struct archive_list *list,
                         struct journal_failure *failure);

/* Checks header and index of a file that must be finished, and fills *file. STATUS_CORRUPT,
 * STATUS_NEWER_FORMAT, STATUS_IO_ERROR, STATUS_NO_MEMORY. */
enum status archive_check_finished(struct archive *archive, const struct archive_name *name,
                                   struct archive_file *file, struct journal_failure *failure);

/* Whom a walk over a file tells what; only what a call speaks of must be there. Anything but
 * STATUS_OK ends the walk with that status. */
struct archive_visitor {
    enum status (*on_spot)(void *argument, const struct archive_spot *spot);
    enum status (*on_event)(void *argument, const struct archive_event *event);
    enum status (*on_entity)(void *argument, const struct archive_entity *entity);
    void *argument;
    struct journal_failure *failure;
    const unsigned char *secret; /* that names of entities must be hashed with */
};

/* The same for one that is still written to: its blocks must end exactly at file->end, and what
 * they hold at file->last; the rest of *file is filled in. Headers are checked, payloads are not.
 * on_spot is called for each block, in order. */
enum status archive_check_open(struct archive *archive, const struct archive_name *name,
                               struct archive_file *file, const struct archive_visitor *visitor);

/* Cuts a file to `end` bytes, if it is longer. STATUS_IO_ERROR. */
enum status archive_cut(struct archive *archive, const struct archive_name *name, uint32_t end,
                        struct journal_failure *failure);

/* Removes a file. STATUS_IO_ERROR. */
enum status archive_take_away(struct archive *archive, const struct archive_name *name,
                              struct journal_failure *failure);

/* The secret of a file of entities. STATUS_CORRUPT, STATUS_NEWER_FORMAT: it is not whole, which
 * matters only where the journal speaks of it; STATUS_IO_ERROR. */
enum status archive_read_secret(struct archive *archive, const struct archive_name *name,
                                unsigned char secret[ARCHIVE_SECRET_BYTES],
                                struct journal_failure *failure);

/* Every event of a file from sequence `from` on, payloads verified. STATUS_CORRUPT also when it is
 * not there, as for the next. */
enum status archive_scan(struct archive *archive, uint32_t exchange,
                         const struct archive_file *file, uint64_t from,
                         const struct archive_visitor *visitor);

/* Every entity of a file of entities. */
enum status archive_load_entities(struct archive *archive, uint32_t exchange, uint64_t sequence,
                                  const struct archive_visitor *visitor);

#endif
