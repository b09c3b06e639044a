/* SipHash-2-4 with 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
 *
 * Whoever does not know the secret cannot choose texts that get the same hash.
 */
#ifndef HERALD_SIPHASH_H
#define HERALD_SIPHASH_H

#include <stdint.h>

#include "protocol/wire.h"

enum { SIPHASH_SECRET_BYTES = 16 };

void siphash(const unsigned char secret[SIPHASH_SECRET_BYTES], struct wire_bytes text,
             uint64_t hash[2]);

#endif
