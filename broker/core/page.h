/* The answer to a query as it grows: encoded ROW frames, a page of them at most. */
#ifndef HERALD_PAGE_H
#define HERALD_PAGE_H

#include "broker/core/buffer.h"
#include "protocol/property.h"

struct peer;

enum {
    PAGE_ROWS = 256,
    ROW_BYTES_MAX = 4096, /* three names, a pattern, a filter and what is said of it */
};

struct page {
    struct peer *peer;
    uint64_t tag;
    struct buffer frames;
    size_t last_at; /* where the last frame begins; it is flagged when it is known to be the last */
    uint32_t row_count;
    uint32_t row_count_max;
    unsigned char row[ROW_BYTES_MAX];
    struct wire_writer w; /* over row */
    bool is_broken;       /* no memory, or a row that is too long */
};

void page_init(struct page *page, struct peer *peer, uint64_t tag, uint32_t limit);
void page_deinit(struct page *page);

bool page_is_full(const struct page *page);

/* The fields of a row go to the writer in between. */
struct wire_writer *page_begin_row(struct page *page);
void page_end_row(struct page *page);

/* Puts the answer into the peer's line. `needs` as there. STATUS_OK or STATUS_NO_MEMORY. */
enum status page_answer(struct page *page, uint64_t needs);

/* A field with a text of C; NULL is an empty one. */
void page_put_text(struct wire_writer *w, const char *name, const char *text);

#endif
