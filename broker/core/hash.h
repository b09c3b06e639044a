/* A hash of short texts: for tables of our own, never for anything that is kept or sent. */
#ifndef HERALD_HASH_H
#define HERALD_HASH_H

#include "protocol/wire.h"

/* Spreads the difference of two numbers over all bits of the result. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    uint64_t hash = (a ^ b) * 0x9e3779b97f4a7c15U;
    return hash ^ hash >> 32;
}

/* Takes eight bytes at a time; of the last ones some may be taken twice. */
static inline uint64_t hash_bytes(struct wire_bytes text)
{
    const unsigned char *at = text.at;
    uint32_t left = text.bytes;
    uint64_t hash = text.bytes;
    for (; left > 8; left -= 8, at += 8)
        hash = hash_mix(hash, wire_load_u64(at));
    uint64_t last = 0;
    if (left >= 4)
        last = wire_load_u32(at) | (uint64_t)wire_load_u32(at + left - 4) << 32;
    else if (left > 0)
        last = at[0] | (uint64_t)at[left / 2] << 8 | (uint64_t)at[left - 1] << 16;
    return hash_mix(hash, last);
}

#endif
