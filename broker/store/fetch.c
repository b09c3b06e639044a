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

struct reading {
    struct fetch_work *work;
    uint64_t number;
    uint32_t offset;    /* in the file, of at[0] */
    uint32_t bytes_max; /* up to the end of what may be read */
    uint32_t bytes;     /* that were read */
    int file;
    unsigned char salt[SALT_BYTES];
};

/* The first read's size, and a second one's if the record is longer. */
static int reading_fill(struct reading *reading, uint32_t bytes)
{
    if (bytes > reading->bytes_max)
        bytes = reading->bytes_max;
    struct fetch_work *work = reading->work;
    unsigned char *at = realloc(work->at, bytes);
    if (at == NULL)
        return -ENOMEM;
    work->at = at;
    int error = disk_read_all(work->disk, reading->file, at + reading->bytes,
                              bytes - reading->bytes, reading->offset + reading->bytes);
    if (error == 0)
        reading->bytes = bytes;
    return error;
}

/* Where the batch header behind a batch's last record ends, or 0 when none stands there. */
static uint32_t skip_header(const struct reading *reading, uint32_t at)
{
    uint32_t offset = (reading->offset + at + BATCH_ALIGN - 1) / BATCH_ALIGN * BATCH_ALIGN;
    uint32_t start = offset - reading->offset;
    if (start > reading->bytes || reading->bytes - start < BATCH_HEADER_BYTES)
        return 0;
    struct batch_place place = {reading->salt, reading->number, offset};
    struct batch_header header;
    if (!batch_header_decode(reading->work->at + start, &place, &header))
        return 0;
    return start + BATCH_HEADER_BYTES;
}

/* How much of the window verifies, the first record included. */
static uint32_t verified_bytes(const struct reading *reading, uint32_t first)
{
    uint32_t verified = first;
    for (uint32_t at = first; at < reading->bytes;) {
        uint32_t length = record_check(reading->work->at + at, reading->bytes - at);
        if (length > 0) {
            at += RECORD_HEADER_BYTES + length;
            verified = at;
            continue;
        }
        uint32_t behind = skip_header(reading, at);
        if (behind <= at)
            break;
        at = behind;
    }
    return verified;
}

static enum status fail_read(struct reading *reading, const char *name, int error)
{
    if (error == -ENOMEM)
        return STATUS_NO_MEMORY;
    return failure_set(&reading->work->failure, STATUS_IO_ERROR, name, error,
                       "cannot read a record");
}

/* Reads the salt and the beginning of the window. */
static enum status read_window(struct reading *reading, const char *name)
{
    struct fetch_work *work = reading->work;
    unsigned char page[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    int error = disk_read_all(work->disk, reading->file, page, sizeof page, 0);
    if (error == 0)
        error = reading_fill(reading, work->window_bytes);
    if (error != 0)
        return fail_read(reading, name, error);
    enum status status =
        segment_check_header(page, reading->number, work->segment_bytes, &header, &work->failure);
    if (status == STATUS_OK)
        memcpy(reading->salt, header.salt, SALT_BYTES);
    return status;
}

/* The record that is wanted must be there. */
static enum status read_wanted(struct reading *reading, const char *name)
{
    struct fetch_work *work = reading->work;
    uint32_t length = wire_load_u32(work->at);
    if (length == 0 || length > reading->bytes_max - RECORD_HEADER_BYTES)
        return failure_set(&work->failure, STATUS_CORRUPT, name, 0,
                           "no record stands where one was written");
    if (length > reading->bytes - RECORD_HEADER_BYTES) {
        int error = reading_fill(reading, RECORD_HEADER_BYTES + length);
        if (error != 0)
            return fail_read(reading, name, error);
    }
    if (record_check(work->at, reading->bytes) == 0)
        return failure_set(&work->failure, STATUS_CORRUPT, name, 0,
                           "a record does not verify any more");
    work->bytes = verified_bytes(reading, RECORD_HEADER_BYTES + length);
    if (work->position - work->start >= work->bytes)
        return failure_set(&work->failure, STATUS_CORRUPT, name, 0,
                           "a record is shorter than it was written");
    return STATUS_OK;
}

static enum status read_records(struct reading *reading, const char *name)
{
    enum status status = read_window(reading, name);
    if (status == STATUS_OK && reading->work->position == 0)
        reading->work->bytes = verified_bytes(reading, 0);
    else if (status == STATUS_OK)
        status = read_wanted(reading, name);
    return status;
}

static void run(struct errand *errand)
{
    struct fetch_work *work = (struct fetch_work *)errand;
    struct reading reading = {.work = work, .number = work->start / work->segment_bytes};
    reading.offset = (uint32_t)(work->start % work->segment_bytes);
    uint64_t left = work->durable_position - work->start;
    reading.bytes_max = work->segment_bytes - reading.offset;
    if (left < reading.bytes_max)
        reading.bytes_max = (uint32_t)left;

    char name[SEGMENT_NAME_BYTES];
    segment_print_name(name, NAME_SEGMENT, reading.number);
    work->bytes = 0;
    work->status =
        segment_open(work->disk, reading.number, DISK_OPEN_READ, &reading.file, &work->failure);
    if (work->status != STATUS_OK)
        return;
    work->status = read_records(&reading, name);
    (void)work->disk->close(work->disk->context, reading.file);
    if (work->status == STATUS_OK)
        return;
    failure_set_offset(&work->failure, reading.offset);
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
    ahead_init(&fetch->ahead, segment_bytes);
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

struct errand *fetch_next(struct fetch *fetch, struct cache *cache, struct homes *homes,
                          uint64_t durable_position)
{
    if (fetch->is_out)
        return NULL;
    struct fetch_work *work = &fetch->work;
    const struct fetch_request *request = TAILQ_FIRST(&fetch->waiting);
    fetch->stream = NULL;
    if (request != NULL) {
        work->position = request->position;
        work->start = request->record_position - RECORD_HEADER_BYTES;
        work->window_bytes = ahead_bytes(&fetch->ahead, work->start);
    } else {
        fetch->stream = ahead_choose(&fetch->ahead, cache, durable_position);
        if (fetch->stream == NULL)
            return NULL;
        work->position = 0;
        work->start = fetch->stream->next;
        work->window_bytes = fetch->stream->bytes;
        if (!homes_may_pin(homes, work->start)) {
            fetch->stream->is_in_order = false;
            return NULL;
        }
        homes_pin(homes, work->start);
    }
    work->durable_position = durable_position;
    fetch->is_out = true;
    return &work->errand;
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

/* The window that was read goes into the cache. */
static void note_window(struct fetch *fetch, struct cache *cache, unsigned char *at)
{
    const struct fetch_work *work = &fetch->work;
    if (work->bytes > 0)
        cache_add_window_take(cache, work->start, at, work->bytes);
    else
        free(at);
    if (fetch->stream == NULL) {
        ahead_note(&fetch->ahead, cache, work->start, work->start + work->bytes);
        return;
    }
    if (work->bytes > 0)
        cache_mark_fresh(cache, work->start);
    ahead_go_on(&fetch->ahead, fetch->stream, cache, (uint32_t)work->bytes);
}

enum status fetch_take_back(struct fetch *fetch, struct cache *cache, struct homes *homes)
{
    struct fetch_work *work = &fetch->work;
    assert(fetch->is_out);
    fetch->is_out = false;
    struct fetch_list ready = TAILQ_HEAD_INITIALIZER(ready);
    unsigned char *at = work->at;
    work->at = NULL;
    if (fetch->stream != NULL)
        homes_unpin(homes, work->start);
    if (work->status == STATUS_NO_MEMORY)
        return STATUS_OK; /* the requests stay and are tried again */
    if (work->status == STATUS_OK) {
        note_window(fetch, cache, at);
        take_ready(fetch, cache, &ready);
        answer(&ready, homes, STATUS_OK);
        return STATUS_OK;
    }
    if (fetch->stream != NULL)
        return work->status;
    move_request(fetch, TAILQ_FIRST(&fetch->waiting), &ready);
    answer(&ready, homes, work->status);
    return work->status;
}
