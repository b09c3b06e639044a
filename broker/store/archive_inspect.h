/* Looking at a whole file of the archive that may be damaged, without changing anything: every
 * block and every entity that verifies, and every place where something does not.
 *
 * For the offline tools. A start believes the journal and looks at headers; this looks at every
 * byte that has a checksum, and goes on behind damage. Whether what is missing at the end of a file
 * was ever there only the journal knows.
 */
#ifndef HERALD_ARCHIVE_INSPECT_H
#define HERALD_ARCHIVE_INSPECT_H

#include "broker/store/archive.h"

/* Damage from one offset to before another; equal: nothing is lost by it. */
struct archive_damage {
    uint64_t offset;
    uint64_t end;
    const char *text;
};

/* Whoever looks, and how; what is NULL is not told. Anything but STATUS_OK ends it with that
 * status. */
struct archive_inspector {
    /* `at` is the block whole, until it returns; its events decode and say their sequences. */
    enum status (*on_block)(void *argument, const struct archive_block *block,
                            const unsigned char *at);
    enum status (*on_entity)(void *argument, const struct archive_entity *entity);
    enum status (*on_damage)(void *argument, const struct archive_damage *damage);
    void *argument;
    struct journal_failure *failure;
    bool is_open; /* the file is written to: it has no index, whatever it ends with */
};

struct archive_inspection {
    uint64_t count; /* events or entities that verify */
    uint64_t damage_count;
    /* Of a file of events: */
    bool is_finished; /* it ends with an index that verifies */
    uint32_t end;     /* behind the last block that verifies, or where the index says */
    struct archive_index index;
    /* Of a file of entities: */
    bool has_header;
    uint64_t count_stated;
    unsigned char secret[ARCHIVE_SECRET_BYTES];
};

/* Looks at the file of that name, which has name->bytes. STATUS_OK also when all of it is damaged;
 * STATUS_NOT_FOUND, STATUS_NEWER_FORMAT, STATUS_IO_ERROR, STATUS_NO_MEMORY. */
enum status archive_inspect(struct archive *archive, const struct archive_name *name,
                            const struct archive_inspector *inspector,
                            struct archive_inspection *found);

#endif
