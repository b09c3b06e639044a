/* The files of histories in a backup: which of them belong to it, and their bytes one piece after
 * the other.
 *
 *   backup_files_new --> backup_files_list ...> on_listed --> backup_files_read ...> on_piece ...
 *
 * From new to free no file is removed, so that whatever the journal speaks of at new is there.
 */
#ifndef HERALD_BACKUP_FILES_H
#define HERALD_BACKUP_FILES_H

#include "broker/core/state.h"
#include "broker/store/archive.h"

struct backup_files;

/* A piece of a file, or none with STATUS_IO_ERROR; `bytes` hold until it returns. */
struct backup_files_piece {
    char name[ARCHIVE_NAME_BYTES];
    uint64_t file_bytes;
    uint64_t offset;
    struct wire_bytes bytes;
};
typedef void (*backup_listed_fn)(struct core *core, enum status status);
typedef void (*backup_piece_fn)(struct core *core, const struct backup_files_piece *piece,
                                enum status status);

/* For pieces of at most so many bytes. NULL: no memory. */
struct backup_files *backup_files_new(struct core *core, uint32_t piece_bytes_max);

/* No read may be out, unless the core ends. NULL is fine. */
void backup_files_free(struct core *core, struct backup_files *files);

/* Has the directory listed. False: what retention removes now is to be gone first. STATUS_IO_ERROR,
 * STATUS_NO_MEMORY of what comes back. */
bool backup_files_list(struct core *core, struct backup_files *files, backup_listed_fn on_listed);

/* Bytes of all of them together, once they were listed. */
uint64_t backup_files_bytes(const struct backup_files *files);

/* Has the next piece read, of at most so many bytes. False: there is none left. */
bool backup_files_read(struct core *core, struct backup_files *files, uint32_t bytes_max,
                       backup_piece_fn on_piece);

#endif
