/* Memory that runs out: what the broker's own objects call instead of malloc and its like in the
 * programs that are linked with libscarce.a. The tests' own memory is not touched. */
#ifndef HERALD_TEST_SCARCE_H
#define HERALD_TEST_SCARCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scarce_repeat { SCARCE_ONCE, SCARCE_FOREVER };

/* The allocation of this number from now on (0: the next) fails, alone or with all behind it. */
void scarce_fail_at(uint64_t number, enum scarce_repeat repeat);

/* There is memory again. */
void scarce_end(void);

/* True when an allocation has failed since scarce_fail_at. */
bool scarce_has_failed(void);

/* Blocks that were taken and not given back. */
uint64_t scarce_block_count(void);

void *scarce_malloc(size_t bytes);
void *scarce_calloc(size_t count, size_t bytes);
void *scarce_aligned_alloc(size_t alignment, size_t bytes);
void *scarce_realloc(void *block, size_t bytes);
char *scarce_strdup(const char *text);
char *scarce_strndup(const char *text, size_t bytes_max);
void scarce_free(void *block);

#endif
