/* An allocator that fails when it is told to, and counts. */
#include "tests/support/scarce.h"

#include <stdlib.h>
#include <string.h>

static struct {
    uint64_t left; /* allocations that still work; UINT64_MAX: all */
    enum scarce_repeat repeat;
    bool has_failed;
    uint64_t block_count;
} scarce = {.left = UINT64_MAX};

void scarce_fail_at(uint64_t number, enum scarce_repeat repeat)
{
    scarce.left = number;
    scarce.repeat = repeat;
    scarce.has_failed = false;
}

void scarce_end(void)
{
    scarce.left = UINT64_MAX;
}

bool scarce_has_failed(void)
{
    return scarce.has_failed;
}

uint64_t scarce_block_count(void)
{
    return scarce.block_count;
}

/* True when this allocation fails. */
static bool runs_out(void)
{
    if (scarce.left == UINT64_MAX)
        return false;
    if (scarce.left > 0) {
        scarce.left--;
        return false;
    }
    scarce.has_failed = true;
    if (scarce.repeat == SCARCE_ONCE)
        scarce.left = UINT64_MAX;
    return true;
}

void *scarce_malloc(size_t bytes)
{
    void *block = runs_out() ? NULL : malloc(bytes);
    scarce.block_count += block != NULL;
    return block;
}

void *scarce_calloc(size_t count, size_t bytes)
{
    void *block = runs_out() ? NULL : calloc(count, bytes);
    scarce.block_count += block != NULL;
    return block;
}

void *scarce_aligned_alloc(size_t alignment, size_t bytes)
{
    void *block = runs_out() ? NULL : aligned_alloc(alignment, bytes);
    scarce.block_count += block != NULL;
    return block;
}

void *scarce_realloc(void *block, size_t bytes)
{
    void *grown = runs_out() ? NULL : realloc(block, bytes);
    scarce.block_count += grown != NULL && block == NULL;
    return grown;
}

char *scarce_strdup(const char *text)
{
    return scarce_strndup(text, strlen(text));
}

char *scarce_strndup(const char *text, size_t bytes_max)
{
    char *copy = runs_out() ? NULL : strndup(text, bytes_max);
    scarce.block_count += copy != NULL;
    return copy;
}

void scarce_free(void *block)
{
    scarce.block_count -= block != NULL;
    free(block);
}
