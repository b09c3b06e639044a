/* Filling in what the operator reads when the journal fails. */
#ifndef HERALD_FAILURE_H
#define HERALD_FAILURE_H

#include "broker/store/journal.h"

/* `error` is 0 or a negative errno, whose text is added. The first failure stays. Always returns
 * `status`, so that a caller can end with it. */
__attribute__((format(printf, 5, 6))) enum status failure_set(struct journal_failure *failure,
                                                              enum status status, const char *file,
                                                              int error, const char *format, ...);

/* Where in the file; for a failure that was set last. */
void failure_set_offset(struct journal_failure *failure, uint64_t offset);

#endif
