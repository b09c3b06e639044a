/* CRC32C: three interleaved streams of the SSE4.2 instruction, or slice-by-8 tables. */
#include "broker/store/crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "protocol/wire.h"

static const uint32_t table[8][256] = {
#include "broker/store/crc32c_table.def"
};

uint32_t crc32c_by_table(uint32_t crc, const void *at, size_t bytes)
{
    const unsigned char *p = at;
    crc = ~crc;
    for (; bytes >= 8; p += 8, bytes -= 8) {
        uint32_t low = wire_load_u32(p) ^ crc;
        uint32_t high = wire_load_u32(p + 4);
        crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^
              table[4][low >> 24] ^ table[3][high & 255] ^ table[2][high >> 8 & 255] ^
              table[1][high >> 16 & 255] ^ table[0][high >> 24];
    }
    for (; bytes > 0; p++, bytes--)
        crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
    return ~crc;
}

#if defined(__x86_64__)

/* The instruction takes three cycles and a new one can begin in each, so three streams of this many
 * bytes run side by side. Their checksums are joined by a carry-less multiplication with x^(8n-33),
 * which moves a checksum past n bytes once the instruction has reduced the product. */
#define STREAM_BYTES ((size_t)256)
#define PAST_ONE_STREAM 0xb9e02b86u  /* x^(8 * 256 - 33), reflected */
#define PAST_TWO_STREAMS 0xdd7e3b0cu /* x^(8 * 512 - 33), reflected */

static uint64_t load_word(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

__attribute__((target("sse4.2,pclmul"))) static uint64_t move_past(uint64_t crc, uint32_t power)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)power), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t
crc32c_by_instruction(uint32_t crc32, const unsigned char *at, size_t bytes)
{
    uint64_t crc = (uint32_t)~crc32;
    for (; bytes >= 3 * STREAM_BYTES; at += 3 * STREAM_BYTES, bytes -= 3 * STREAM_BYTES) {
        uint64_t second = 0;
        uint64_t third = 0;
        for (size_t i = 0; i < STREAM_BYTES; i += 8) {
            crc = _mm_crc32_u64(crc, load_word(at + i));
            second = _mm_crc32_u64(second, load_word(at + STREAM_BYTES + i));
            third = _mm_crc32_u64(third, load_word(at + 2 * STREAM_BYTES + i));
        }
        crc = move_past(crc, PAST_TWO_STREAMS) ^ move_past(second, PAST_ONE_STREAM) ^ third;
    }
    for (; bytes >= 8; at += 8, bytes -= 8)
        crc = _mm_crc32_u64(crc, load_word(at));
    for (; bytes > 0; at++, bytes--)
        crc = _mm_crc32_u8((uint32_t)crc, *at);
    return ~(uint32_t)crc;
}

#endif

uint32_t crc32c(uint32_t crc, const void *at, size_t bytes)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return crc32c_by_instruction(crc, at, bytes);
#endif
    return crc32c_by_table(crc, at, bytes);
}
