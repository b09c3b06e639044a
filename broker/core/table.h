/* Hash tables (uthash) that refuse instead of ending the process when memory runs out.
 *
 * What could not be added has no table afterwards: ask table_has(&object->hh) behind every
 * HASH_ADD, and never take such an object out again.
 */
#ifndef HERALD_TABLE_H
#define HERALD_TABLE_H

#include <stdbool.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

static inline bool table_has(const UT_hash_handle *handle)
{
    return handle->tbl != NULL;
}

#endif
