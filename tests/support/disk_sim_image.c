/* The bytes of a simulated file: pages that copies of the file share until one of them writes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/disk_sim_state.h"

/* A page that is not there is zero. */
struct sim_page {
    size_t ref_count;
    unsigned char at[SIM_PAGE_BYTES];
};

static size_t pages_of(size_t bytes)
{
    return (bytes + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES;
}

static void page_unref(struct sim_page *page)
{
    if (page != NULL && --page->ref_count == 0)
        free(page);
}

/* The page for writing. */
static struct sim_page *page_own(struct sim_page **slot)
{
    struct sim_page *page = *slot;
    if (page != NULL && page->ref_count == 1)
        return page;
    struct sim_page *own = malloc(sizeof *own);
    assert(own != NULL);
    if (page != NULL)
        memcpy(own->at, page->at, sizeof own->at);
    else
        memset(own->at, 0, sizeof own->at);
    own->ref_count = 1;
    page_unref(page);
    *slot = own;
    return own;
}

void sim_image_resize(struct sim_image *image, size_t bytes)
{
    size_t before = pages_of(image->bytes);
    size_t count = pages_of(bytes);
    if (count > image->room) {
        image->page = realloc(image->page, count * sizeof(struct sim_page *));
        assert(image->page != NULL);
        image->room = count;
    }
    for (size_t i = before; i < count; i++)
        image->page[i] = NULL;
    for (size_t i = count; i < before; i++)
        page_unref(image->page[i]);
    size_t last = bytes % SIM_PAGE_BYTES;
    if (bytes < image->bytes && last != 0 && image->page[count - 1] != NULL)
        memset(page_own(&image->page[count - 1])->at + last, 0, SIM_PAGE_BYTES - last);
    image->bytes = bytes;
}

static bool is_zero(const unsigned char *at, size_t bytes)
{
    return at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0;
}

static void write_page(struct sim_page **slot, const unsigned char *at, size_t bytes, size_t from)
{
    if (bytes == SIM_PAGE_BYTES && is_zero(at, bytes)) {
        page_unref(*slot);
        *slot = NULL;
        return;
    }
    memcpy(page_own(slot)->at + from, at, bytes);
}

void sim_image_write(struct sim_image *image, const unsigned char *at, size_t bytes, size_t offset)
{
    if (bytes > 0 && offset + bytes > image->bytes)
        sim_image_resize(image, offset + bytes);
    while (bytes > 0) {
        size_t from = offset % SIM_PAGE_BYTES;
        size_t piece = SIM_PAGE_BYTES - from < bytes ? SIM_PAGE_BYTES - from : bytes;
        write_page(&image->page[offset / SIM_PAGE_BYTES], at, piece, from);
        at += piece;
        offset += piece;
        bytes -= piece;
    }
}

void sim_image_read(const struct sim_image *image, unsigned char *at, size_t bytes, size_t offset)
{
    assert(offset + bytes <= image->bytes);
    while (bytes > 0) {
        size_t from = offset % SIM_PAGE_BYTES;
        size_t piece = SIM_PAGE_BYTES - from < bytes ? SIM_PAGE_BYTES - from : bytes;
        const struct sim_page *page = image->page[offset / SIM_PAGE_BYTES];
        if (page != NULL)
            memcpy(at, page->at + from, piece);
        else
            memset(at, 0, piece);
        at += piece;
        offset += piece;
        bytes -= piece;
    }
}

void sim_image_share(struct sim_image *to, const struct sim_image *from)
{
    sim_image_resize(to, 0);
    sim_image_resize(to, from->bytes);
    for (size_t i = 0; i < pages_of(from->bytes); i++) {
        to->page[i] = from->page[i];
        if (to->page[i] != NULL)
            to->page[i]->ref_count++;
    }
}

void sim_image_free(struct sim_image *image)
{
    sim_image_resize(image, 0);
    free(image->page);
    *image = (struct sim_image){0};
}
