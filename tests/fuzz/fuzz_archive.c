/* Files of the archive that are arbitrary bytes.
 *
 * The input is a file of events, and once more one of entities. The mutator mends checksums and
 * places after each mutation, because otherwise no input would ever get past them; what stays wrong
 * are lengths, counts, sequences, times, and where what stands.
 *
 * Checked: no crash, and no read beyond what is there; an inspection tells no event twice, and what
 * it calls whole a start takes and a reader is given; what decodes encodes back.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/archive_entities.h"
#include "broker/store/archive_file.h"
#include "broker/store/archive_inspect.h"
#include "broker/store/crc32c.h"
#include "protocol/wire.h"
#include "tests/support/disk_sim.h"

enum { EXCHANGE = 1, FIRST = 1 };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *at, size_t bytes, size_t bytes_max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *at, size_t bytes, size_t bytes_max);

struct seen {
    const uint8_t *input;
    uint64_t events;
    uint64_t damages;
    uint32_t end;       /* behind the last block */
    uint64_t last;      /* sequence of the last event */
    bool is_contiguous; /* blocks and sequences follow each other from the beginning */
    uint64_t entities;
};

/* --- what decodes encodes back ------------------------------------------------------------------
 */

static void encode_block(const struct archive_block *block, const unsigned char *at)
{
    size_t used = ARCHIVE_BLOCK_HEADER_BYTES + (size_t)block->payload_bytes;
    unsigned char *copy = malloc((size_t)archive_block_bytes(block->payload_bytes));
    assert(copy != NULL);
    memcpy(copy, at, used);
    archive_block_encode(copy, block);
    archive_block_seal(copy);
    assert(memcmp(copy, at, used) == 0);
    free(copy);
}

static void encode_index(const struct archive_index *index, const unsigned char *at)
{
    struct archive_spot *spots = calloc(index->count, sizeof *spots);
    unsigned char *copy = malloc(archive_index_bytes(index->count));
    struct archive_index again;
    assert(spots != NULL && copy != NULL);
    for (uint32_t i = 0; i < index->count; i++)
        spots[i] = archive_index_spot(at, i);
    archive_index_encode(copy, index, spots);
    assert(archive_index_decode(copy, archive_index_bytes(index->count), EXCHANGE, &again));
    assert(memcmp(copy, at, 4) == 0 && memcmp(copy + 8, at + 8, 40) == 0);
    assert(again.first == index->first && again.last == index->last);
    for (uint32_t i = 0; i < index->count; i++) {
        struct archive_spot spot = archive_index_spot(copy, i);
        assert(spot.sequence == spots[i].sequence && spot.offset == spots[i].offset);
    }
    free(spots);
    free(copy);
}

/* --- an inspection ------------------------------------------------------------------------------
 */

static enum status on_block(void *argument, const struct archive_block *block,
                            const unsigned char *at)
{
    struct seen *seen = argument;
    size_t bytes = (size_t)archive_block_bytes(block->payload_bytes);
    struct archive_walk walk = archive_walk_of(at, bytes);
    struct archive_event event;
    uint64_t count = 0;
    assert(memcmp(at, seen->input + block->offset, ARCHIVE_BLOCK_HEADER_BYTES) == 0);
    for (; archive_walk_next(&walk, &event) == STATUS_OK; count++)
        assert(event.sequence == block->first + count && event.at >= at &&
               event.bytes <= bytes - (size_t)(event.at - at));
    assert(count == block->count);
    assert(block->offset >= seen->end);
    seen->is_contiguous &= block->offset == seen->end && block->first == seen->last + 1;
    seen->end = block->offset + (uint32_t)bytes;
    seen->last = block->first + count - 1;
    seen->events += count;
    encode_block(block, at);
    return STATUS_OK;
}

static enum status on_entity(void *argument, const struct archive_entity *entity)
{
    struct seen *seen = argument;
    assert(entity->version < UINT64_C(1) << 48 && entity->sequence < UINT64_C(1) << 48);
    seen->entities++;
    return STATUS_OK;
}

static enum status on_damage(void *argument, const struct archive_damage *damage)
{
    struct seen *seen = argument;
    assert(damage->offset <= damage->end && damage->text != NULL);
    seen->damages++;
    return STATUS_OK;
}

static enum status inspect(struct archive *archive, const struct archive_name *name, bool is_open,
                           struct seen *seen, struct archive_inspection *found)
{
    struct journal_failure failure = {.text = ""};
    struct archive_inspector inspector = {.on_block = on_block,
                                          .on_entity = on_entity,
                                          .on_damage = on_damage,
                                          .argument = seen,
                                          .failure = &failure,
                                          .is_open = is_open};
    *seen = (struct seen){.input = seen->input,
                          .end = ARCHIVE_HEADER_BYTES,
                          .last = FIRST - 1,
                          .is_contiguous = true};
    enum status status = archive_inspect(archive, name, &inspector, found);
    assert(status == STATUS_OK || status == STATUS_NEWER_FORMAT);
    assert(status != STATUS_OK || found->damage_count == seen->damages);
    return status;
}

/* --- a start, and a reader ----------------------------------------------------------------------
 */

static enum status on_spot(void *argument, const struct archive_spot *spot)
{
    (void)argument, (void)spot;
    return STATUS_OK;
}

static enum status on_event(void *argument, const struct archive_event *event)
{
    struct seen *seen = argument;
    assert(event->bytes > 0);
    seen->events++;
    return STATUS_OK;
}

/* An open file that ends where the inspection saw it end. */
static void open_as_seen(struct archive *archive, const struct archive_name *name,
                         const struct seen *seen)
{
    struct journal_failure failure = {.text = ""};
    struct seen scanned = {0};
    struct archive_visitor visitor = {
        .on_spot = on_spot, .on_event = on_event, .argument = &scanned, .failure = &failure};
    struct archive_file file = {.end = seen->end, .last = seen->last};
    enum status status = archive_check_open(archive, name, &file, &visitor);
    bool is_whole = seen->damages == 0 && seen->is_contiguous;
    assert(!is_whole || status == STATUS_OK);
    if (status != STATUS_OK)
        return;
    status = archive_scan(archive, EXCHANGE, &file, FIRST, &visitor);
    assert(!is_whole || status == STATUS_OK);
    assert(!is_whole || scanned.events == seen->events);
}

static void read_index(struct archive *archive, const struct archive_name *name)
{
    struct journal_failure failure = {.text = ""};
    struct archive_handle handle = archive_handle_of(archive, name, &failure);
    struct archive_index index;
    struct archive_file file;
    unsigned char *at = NULL;
    uint32_t offset;
    enum status finished = archive_check_finished(archive, name, &file, &failure);
    failure = (struct journal_failure){.text = ""};
    if (archive_open_file(&handle, DISK_OPEN_READ) != STATUS_OK)
        return;
    enum status status = archive_find_index(&handle, &offset);
    if (status == STATUS_OK)
        status = archive_read_index(&handle, offset, &at, &index);
    assert(status == finished);
    if (status == STATUS_OK)
        encode_index(&index, at);
    free(at);
    archive_close_file(&handle);
    for (uint64_t sequence = 0; status == STATUS_OK && sequence < 4; sequence++) {
        struct archive_read read = {.work = {.kind = ARCHIVE_READ, .exchange = EXCHANGE},
                                    .file = file,
                                    .sequence = sequence * sequence * 3,
                                    .time_ms = 1000,
                                    .bytes_wanted = 1000};
        if (archive_run(archive, &read.work) == STATUS_OK) {
            uint64_t first;
            uint64_t last;
            archive_walk_range(read.at, read.bytes, &first, &last);
            assert(read.bytes > 0 && read.next_offset <= file.end);
        }
        free(read.at);
    }
}

/* --- one input ----------------------------------------------------------------------------------
 */

static void try_events(const uint8_t *at, size_t bytes)
{
    struct disk_sim *sim = disk_sim_new(1);
    struct archive *archive = archive_new(disk_sim_disk(sim), NULL, NULL);
    struct archive_name name = {.exchange = EXCHANGE, .first = FIRST, .bytes = bytes};
    struct archive_inspection found;
    struct seen seen = {.input = at};
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &name);
    disk_sim_put(sim, text, at, bytes);
    if (inspect(archive, &name, false, &seen, &found) == STATUS_OK &&
        inspect(archive, &name, true, &seen, &found) == STATUS_OK)
        open_as_seen(archive, &name, &seen);
    read_index(archive, &name);
    archive_free(archive);
    disk_sim_free(sim);
}

static void try_entities(const uint8_t *at, size_t bytes)
{
    struct disk_sim *sim = disk_sim_new(1);
    struct archive *archive = archive_new(disk_sim_disk(sim), NULL, NULL);
    struct archive_name name = {
        .is_entities = true, .exchange = EXCHANGE, .first = FIRST, .bytes = bytes};
    struct archive_inspection found;
    struct journal_failure failure = {.text = ""};
    struct seen seen = {.input = at};
    unsigned char secret[ARCHIVE_SECRET_BYTES] = {0};
    char text[ARCHIVE_NAME_BYTES];
    archive_print_name(text, &name);
    disk_sim_put(sim, text, at, bytes);
    enum status status = inspect(archive, &name, false, &seen, &found);
    struct seen loaded = {0};
    struct archive_visitor visitor = {
        .on_entity = on_entity, .argument = &loaded, .failure = &failure, .secret = secret};
    bool has_secret = archive_read_secret(archive, &name, secret, &failure) == STATUS_OK;
    assert(status != STATUS_OK || has_secret == found.has_header);
    failure = (struct journal_failure){.text = ""};
    bool is_loaded = archive_load_entities(archive, EXCHANGE, FIRST, &visitor) == STATUS_OK;
    assert(status != STATUS_OK || is_loaded == (seen.damages == 0));
    assert(!is_loaded || loaded.entities == seen.entities);
    archive_free(archive);
    disk_sim_free(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t bytes)
{
    try_events(at, bytes);
    try_entities(at, bytes);
    return 0;
}

/* --- mending ------------------------------------------------------------------------------------
 */

static void mend_header(uint8_t *at, const char *magic)
{
    memcpy(at, magic, 8);
    wire_store_u32(at + 0x08, ARCHIVE_FORMAT);
    wire_store_u32(at + 0x10, EXCHANGE);
    wire_store_u64(at + 0x18, FIRST);
    wire_store_u32(at + 0x0c, crc32c(crc32c(0, at, 12), at + 16, ARCHIVE_HEADER_BYTES - 16));
}

/* Gives a block or an index its place, and true checksums as far as its length makes sense. */
static void mend_block(uint8_t *at, size_t left, uint32_t offset)
{
    uint32_t payload_bytes = wire_load_u32(at + 0x2c);
    wire_store_u32(at + 0x08, EXCHANGE);
    wire_store_u32(at + 0x0c, offset);
    if (payload_bytes <= left - ARCHIVE_BLOCK_HEADER_BYTES)
        wire_store_u32(at + 0x30, crc32c(0, at + ARCHIVE_BLOCK_HEADER_BYTES, payload_bytes));
    wire_store_u32(at + 0x04, crc32c(0, at + 8, ARCHIVE_BLOCK_HEADER_BYTES - 8));
}

static void mend_pieces(uint8_t *at, size_t bytes)
{
    for (size_t offset = ARCHIVE_HEADER_BYTES; bytes - offset > ARCHIVE_ENTITIES_HEADER_BYTES;) {
        uint32_t count = archive_entities_count(at + offset);
        size_t piece = ARCHIVE_ENTITIES_HEADER_BYTES + (size_t)count * ARCHIVE_ENTITY_BYTES;
        if (count == 0 || piece > bytes - offset)
            return;
        archive_entities_seal(at + offset, count);
        offset += piece;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *at, size_t bytes, size_t bytes_max, unsigned seed)
{
    bytes = LLVMFuzzerMutate(at, bytes, bytes_max);
    if (bytes < ARCHIVE_HEADER_BYTES + ARCHIVE_ALIGN)
        return bytes;
    if (memcmp(at, "HRLDENT\n", 8) == 0 || seed % 16 == 0) {
        mend_header(at, "HRLDENT\n");
        mend_pieces(at, bytes);
        return bytes;
    }
    mend_header(at, "HRLDHIS\n");
    for (size_t offset = ARCHIVE_HEADER_BYTES; bytes - offset >= ARCHIVE_ALIGN;
         offset += ARCHIVE_ALIGN)
        if (memcmp(at + offset, "HRHB", 4) == 0 || memcmp(at + offset, "HRHX", 4) == 0)
            mend_block(at + offset, bytes - offset, (uint32_t)offset);
    uint8_t *tail = at + bytes - ARCHIVE_TAIL_BYTES;
    if (memcmp(tail, "HRHT", 4) == 0)
        wire_store_u32(tail + 4, crc32c(0, tail + 8, ARCHIVE_TAIL_BYTES - 8));
    return bytes;
}
