/* Fetching: a window of a segment that begins with the record that is wanted.
 *
 * Only verified records are served. The wanted one must verify; reading ahead goes on from record
 * to record, over batch headers, as long as they verify, within what is durable. Behind the last
 * record of a batch stand zeros or a batch header, and neither can be taken for a record (batch.c).
 */
#include "broker/store/fetch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/batch.h"
#include "broker/store/disk_io.h"
#include "broker/store/failure.h"
#include "broker/store/window.h"
#include "protocol/wire.h"

struct ahead {
    struct fetch_work *work;
    uint64_t number;
    uint32_t offset;    /* in the file, of at[0] */
    uint32_t bytes_max; /* up to the end of what may be read */
    uint32_t bytes;     /* that were read */
    int file;
    unsigned char salt[SALT_BYTES];
};

/* The first read's size, and a second one's if the record is longer. */
static int ahead_read(struct ahead *ahead, uint32_t bytes)
{
    if (bytes > ahead->bytes_max)
        bytes = ahead->bytes_max;
    struct fetch_work *work = ahead->work;
    unsigned char *at = realloc(work->at, bytes);
    if (at == NULL)
        return -ENOMEM;
    work->at = at;
    int error = disk_read_all(work->disk, ahead->file, at + ahead->bytes, bytes - ahead->bytes,
                              ahead->offset + ahead->bytes);
    if (error == 0)
        ahead->bytes = bytes;
    return error;
}

/* Where the batch header behind a batch's last record ends, or 0 when none stands there. */
static uint32_t skip_header(const struct ahead *ahead, uint32_t at)
{
    uint32_t offset = (ahead->offset + at + BATCH_ALIGN - 1) / BATCH_ALIGN * BATCH_ALIGN;
    uint32_t start = offset - ahead->offset;
    if (start > ahead->bytes || ahead->bytes - start < BATCH_HEADER_BYTES)
        return 0;
    struct batch_place place = {ahead->salt, ahead->number, offset};
    struct batch_header header;
    if (!batch_header_decode(ahead->work->at + start, &place, &header))
        return 0;
    return start + BATCH_HEADER_BYTES;
}

/* How much of the window verifies, the first record included. */
static uint32_t verified_bytes(const struct ahead *ahead, uint32_t first)
{
    uint32_t verified = first;
    for (uint32_t at = first; at < ahead->bytes;) {
        uint32_t length = record_check(ahead->work->at + at, ahead->bytes - at);
        if (length > 0) {
            at += RECORD_HEADER_BYTES + length;
            verified = at;
            continue;
        }
        uint32_t behind = skip_header(ahead, at);
        if (behind <= at)
            break;
        at = behind;
    }
    return verified;
}

static enum status ahead_fill(struct ahead *ahead, const char *name)
{
    struct fetch_work *work = ahead->work;
    unsigned char page[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    int error = disk_read_all(work->disk, ahead->file, page, sizeof page, 0);
    if (error == 0)
        error = ahead_read(ahead, FETCH_BYTES);
    if (error == -ENOMEM)
        return STATUS_NO_MEMORY;
    if (error != 0)
        return failure_set(&work->failure, STATUS_IO_ERROR, name, error, "cannot read a record");
    enum status status =
        segment_check_header(page, ahead->number, work->segment_bytes, &header, &work->failure);
    if (status != STATUS_OK)
        return status;
    memcpy(ahead->salt, header.salt, SALT_BYTES);

    uint32_t length = wire_load_u32(work->at);
    if (length == 0 || length > ahead->bytes_max - RECORD_HEADER_BYTES)
        return failure_set(&work->failure, STATUS_CORRUPT, name, 0,
                           "no record stands where one was written");
    if (length > ahead->bytes - RECORD_HEADER_BYTES)
        error = ahead_read(ahead, RECORD_HEADER_BYTES + length);
    if (error == -ENOMEM)
        return STATUS_NO_MEMORY;
    if (error != 0)
        return failure_set(&work->failure, STATUS_IO_ERROR, name, error, "cannot read a record");
    if (record_check(work->at, ahead->bytes) == 0)
        return failure_set(&work->failure, STATUS_CORRUPT, name, 0,
                           "a record does not verify any more");
    work->bytes = verified_bytes(ahead, RECORD_HEADER_BYTES + length);
    return STATUS_OK;
}

static void run(struct errand *errand)
{
    struct fetch_work *work = (struct fetch_work *)errand;
    work->start = work->record_position - RECORD_HEADER_BYTES;
    struct ahead ahead = {.work = work, .number = work->start / work->segment_bytes};
    ahead.offset = (uint32_t)(work->start % work->segment_bytes);
    uint64_t left = work->durable_position - work->start;
    ahead.bytes_max = work->segment_bytes - ahead.offset;
    if (left < ahead.bytes_max)
        ahead.bytes_max = (uint32_t)left;

    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, ahead.number);
    work->status =
        segment_open(work->disk, ahead.number, DISK_OPEN_READ, &ahead.file, &work->failure);
    if (work->status != STATUS_OK)
        return;
    work->status = ahead_fill(&ahead, name);
    (void)work->disk->close(work->disk->context, ahead.file);
    if (work->status == STATUS_OK && work->position - work->start >= work->bytes)
        work->status = failure_set(&work->failure, STATUS_CORRUPT, name, 0,
                                   "a record is shorter than it was written");
    if (work->status == STATUS_OK)
        return;
    failure_set_offset(&work->failure, ahead.offset);
    free(work->at);
    work->at = NULL;
}

void fetch_init(struct fetch *fetch, const struct disk *disk, uint32_t segment_bytes)
{
    *fetch = (struct fetch){0};
    fetch->work = (struct fetch_work){.errand = {.worker = ERRAND_BACKGROUND, .run = run},
                                      .disk = disk,
                                      .segment_bytes = segment_bytes};
    TAILQ_INIT(&fetch->waiting);
}

void fetch_deinit(struct fetch *fetch)
{
    struct fetch_request *request;
    while ((request = TAILQ_FIRST(&fetch->waiting)) != NULL) {
        TAILQ_REMOVE(&fetch->waiting, request, link);
        free(request);
    }
    free(fetch->work.at);
}

struct errand *fetch_next(struct fetch *fetch, uint64_t durable_position)
{
    const struct fetch_request *request = TAILQ_FIRST(&fetch->waiting);
    if (fetch->is_out || request == NULL)
        return NULL;
    fetch->work.record_position = request->record_position;
    fetch->work.position = request->position;
    fetch->work.durable_position = durable_position;
    fetch->is_out = true;
    return &fetch->work.errand;
}

static void answer(struct fetch_list *list, struct homes *homes, enum status status)
{
    struct fetch_request *request;
    while ((request = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, request, link);
        homes_unpin(homes, request->record_position);
        request->on_fetch(request->argument, request->position, status);
        free(request);
    }
}

static void move_request(struct fetch *fetch, struct fetch_request *request, struct fetch_list *to)
{
    TAILQ_REMOVE(&fetch->waiting, request, link);
    TAILQ_INSERT_TAIL(to, request, link);
}

/* Moves the requests whose bytes are there now. */
static void take_ready(struct fetch *fetch, struct cache *cache, struct fetch_list *ready)
{
    struct fetch_request *request = TAILQ_FIRST(&fetch->waiting);
    while (request != NULL) {
        struct fetch_request *next = TAILQ_NEXT(request, link);
        if (cache_find(cache, request->position) != NULL)
            move_request(fetch, request, ready);
        request = next;
    }
}

enum status fetch_take_back(struct fetch *fetch, struct cache *cache, struct homes *homes)
{
    struct fetch_work *work = &fetch->work;
    assert(fetch->is_out);
    fetch->is_out = false;
    struct fetch_list ready = TAILQ_HEAD_INITIALIZER(ready);
    unsigned char *at = work->at;
    work->at = NULL;
    if (work->status == STATUS_NO_MEMORY)
        return STATUS_OK; /* the requests stay and are tried again */
    if (work->status == STATUS_OK) {
        cache_add_window_take(cache, work->start, at, work->bytes);
        take_ready(fetch, cache, &ready);
        answer(&ready, homes, STATUS_OK);
        return STATUS_OK;
    }
    move_request(fetch, TAILQ_FIRST(&fetch->waiting), &ready);
    answer(&ready, homes, work->status);
    return work->status;
}
