/* The format of a file of entities: how far each entity of an exchange has come.
 *
 *   header (512 bytes)   magic, version, checksum, exchange, sequence, count, secret
 *   pieces               count (4), CRC32C of the entities (4), the entities, 24 bytes each
 *
 * The header is written last: without it the file is nothing.
 */
#ifndef HERALD_ARCHIVE_ENTITIES_H
#define HERALD_ARCHIVE_ENTITIES_H

#include "broker/store/archive.h"

struct archive_entities_header {
    uint32_t exchange;
    uint64_t sequence; /* all events up to it are counted */
    uint64_t count;
    unsigned char secret[ARCHIVE_SECRET_BYTES]; /* that names were hashed with */
};

/* Fills ARCHIVE_HEADER_BYTES. */
void archive_entities_header_encode(unsigned char *at,
                                    const struct archive_entities_header *header);

/* STATUS_CORRUPT, STATUS_NEWER_FORMAT. */
enum status archive_entities_header_decode(const unsigned char *at,
                                           struct archive_entities_header *header);

/* Completes a piece: its header, before entities that stand behind it. */
void archive_entities_seal(unsigned char *at, uint32_t count);

/* How many entities a piece says it has, at most ARCHIVE_ENTITIES_MAX; 0: that cannot be. */
uint32_t archive_entities_count(const unsigned char *at);

/* Whether a piece of so many is whole. */
bool archive_entities_check(const unsigned char *at, uint32_t count);

/* The entity of a number in a piece. */
struct archive_entity archive_entity_get(const unsigned char *at, uint32_t number);

#endif
