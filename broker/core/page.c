/* The answer to a query as it grows. */
#include "broker/core/page.h"

#include "broker/core/line.h"
#include "protocol/frame.h"

void page_init(struct page *page, struct peer *peer, uint64_t tag, uint32_t limit)
{
    page->peer = peer;
    page->tag = tag;
    page->last_at = 0;
    page->row_count = 0;
    page->row_count_max = limit > 0 && limit < PAGE_ROWS ? limit : PAGE_ROWS;
    page->is_broken = false;
    buffer_init(&page->frames);
}

void page_deinit(struct page *page)
{
    buffer_deinit(&page->frames);
}

bool page_is_full(const struct page *page)
{
    return page->is_broken || page->row_count >= page->row_count_max;
}

struct wire_writer *page_begin_row(struct page *page)
{
    page->w = wire_writer_of(page->row, sizeof page->row);
    return &page->w;
}

void page_end_row(struct page *page)
{
    struct wire_bytes fields = wire_bytes_of(page->row, (uint32_t)wire_written(&page->w));
    size_t bytes = FRAME_HEADER_BYTES + fields.bytes;
    unsigned char *at = page->w.failed ? NULL : buffer_reserve(&page->frames, bytes);
    if (at == NULL) {
        page->is_broken = true;
        return;
    }
    struct wire_writer w = wire_writer_of(at, bytes);
    frame_put_row(&w, 0, page->tag, &(struct frame_row){fields});
    page->last_at = page->frames.end;
    buffer_commit(&page->frames, bytes);
    page->row_count++;
}

/* A row without fields says that there is none. */
enum status page_answer(struct page *page, uint64_t needs)
{
    if (page->row_count == 0) {
        page_begin_row(page);
        page_end_row(page);
    }
    if (page->is_broken)
        return STATUS_NO_MEMORY;
    page->frames.memory[page->last_at + 5] = FLAG_LAST; /* the flags of a header, see frame.h */
    line_answer(page->peer, page->tag, buffer_at(&page->frames), buffer_bytes(&page->frames),
                needs);
    return STATUS_OK;
}

void page_put_text(struct wire_writer *w, const char *name, const char *text)
{
    row_put_text(w, name, wire_bytes_of_text(text != NULL ? text : ""));
}
