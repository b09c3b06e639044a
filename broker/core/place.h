/* One message's place in one queue: 16 bytes, whatever the message is.
 *
 * A durable message is its position in the journal; a transient one is a pointer to its bytes. Both
 * fit the 48 low bits of `word`; above them stand 10 bits of `back` (how far before the message its
 * record begins) and the flags.
 */
#ifndef HERALD_PLACE_H
#define HERALD_PLACE_H

#include <stdbool.h>
#include <stdint.h>

struct message;

enum {
    PLACE_POSITION_BITS = 48,
    PLACE_BACK_BITS = 10,
    PLACE_BACK_MAX = (1 << PLACE_BACK_BITS) - 1,
    PLACE_BYTES_BITS = 27,
    PLACE_MESSAGE_BYTES = 40, /* about what a message takes in the journal besides its bytes */
};

#define PLACE_POSITION_MASK ((UINT64_C(1) << PLACE_POSITION_BITS) - 1)

/* Flags of a place. */
#define PLACE_GONE (UINT64_C(1) << 63)        /* settled; only a hole is left */
#define PLACE_OUT (UINT64_C(1) << 62)         /* with a consumer, unsettled */
#define PLACE_REDELIVERED (UINT64_C(1) << 61) /* may have been handed out before */
#define PLACE_TRANSIENT (UINT64_C(1) << 60)   /* the low bits are a struct message pointer */
#define PLACE_ATTEMPTED (UINT64_C(1) << 59)   /* its queue counts failed attempts for it */
#define PLACE_RESTATED (UINT64_C(1) << 58)    /* was on disk before it got this position */

/* All of them: what stays when a place moves to another position. */
#define PLACE_FLAGS (~UINT64_C(0) << (PLACE_POSITION_BITS + PLACE_BACK_BITS))

struct place {
    uint32_t delta; /* number above the base of its page */
    uint32_t size;  /* of the message, and how many queues share it; see place_size */
    uint64_t word;
};

/* The size of a message of which queues count `bytes` (below 2^27), when `queue_count` queues share
 * it: of that only the power of two that is not below it. */
static inline uint32_t place_size(uint32_t bytes, uint32_t queue_count)
{
    uint32_t shares = queue_count > 1 ? 32 - (uint32_t)__builtin_clz(queue_count - 1) : 0;
    return bytes | shares << PLACE_BYTES_BITS;
}

static inline uint32_t place_bytes(uint32_t size)
{
    return size & ((UINT32_C(1) << PLACE_BYTES_BITS) - 1);
}

static inline uint32_t place_shares(uint32_t size)
{
    return size >> PLACE_BYTES_BITS;
}

/* What one place counts for where its message is at home, next to others: its share of the
 * message's bytes and of what every message takes besides. */
static inline uint32_t place_weight(uint32_t size)
{
    return ((place_bytes(size) + PLACE_MESSAGE_BYTES) >> place_shares(size)) + 1;
}

static inline uint64_t place_word_durable(uint64_t position, uint32_t back)
{
    return (position & PLACE_POSITION_MASK) | (uint64_t)back << PLACE_POSITION_BITS;
}

static inline uint64_t place_word_transient(const struct message *message)
{
    return ((uint64_t)(uintptr_t)message & PLACE_POSITION_MASK) | PLACE_TRANSIENT;
}

static inline uint64_t place_position(uint64_t word)
{
    return word & PLACE_POSITION_MASK;
}

static inline uint64_t place_record_position(uint64_t word)
{
    return place_position(word) - ((word >> PLACE_POSITION_BITS) & PLACE_BACK_MAX);
}

static inline struct message *place_message(uint64_t word)
{
    return (struct message *)(uintptr_t)(word & PLACE_POSITION_MASK);
}

/* Ready: waiting, with nobody. */
static inline bool place_is_ready(uint64_t word)
{
    return (word & (PLACE_GONE | PLACE_OUT)) == 0;
}

#endif
