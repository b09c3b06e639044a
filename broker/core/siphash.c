/* SipHash-2-4 with 128 bits. */
#include "broker/core/siphash.h"

static uint64_t rotated(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* One round, "SipRound" in the paper. */
static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[0] = rotated(v[0], 32);
    v[2] += v[3];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[2] = rotated(v[2], 32);
}

static void take(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v);
    mix(v);
    v[0] ^= word;
}

static uint64_t finish(uint64_t v[4])
{
    for (int i = 0; i < 4; i++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void siphash(const unsigned char secret[SIPHASH_SECRET_BYTES], struct wire_bytes text,
             uint64_t hash[2])
{
    uint64_t key[2] = {wire_load_u64(secret), wire_load_u64(secret + 8)};
    uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                     key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
    v[1] ^= 0xee;
    uint32_t whole = text.bytes / 8 * 8;
    for (uint32_t i = 0; i < whole; i += 8)
        take(v, wire_load_u64(text.at + i));
    uint64_t last = (uint64_t)text.bytes << 56;
    for (uint32_t i = whole; i < text.bytes; i++)
        last |= (uint64_t)text.at[i] << (8 * (i - whole));
    take(v, last);
    v[2] ^= 0xee;
    hash[0] = finish(v);
    v[1] ^= 0xdd;
    hash[1] = finish(v);
}
