/* CRC32C (RFC 3720, Castagnoli), by the processor's instruction where there is one. */
#ifndef HERALD_CRC32C_H
#define HERALD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what gave `crc` followed by these bytes; begin with 0. From any thread. */
uint32_t crc32c(uint32_t crc, const void *at, size_t bytes);

/* The same, by tables alone: for processors without the instruction, and to test the other. */
uint32_t crc32c_by_table(uint32_t crc, const void *at, size_t bytes);

#endif
