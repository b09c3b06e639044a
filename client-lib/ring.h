/* A growing ring of what is under way: sends, settlements, requests and calls, in tag order. */
#ifndef HERALD_CLIENT_RING_H
#define HERALD_CLIENT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum entry_kind {
    ENTRY_MESSAGE,   /* a send or publish; context is the program's */
    ENTRY_TRANSIENT, /* one that is not confirmed: over as soon as it is written */
    ENTRY_CALL,      /* context is a struct call, NULL once it gave up */
    ENTRY_SETTLE,    /* a settlement; start is the round it left in */
    ENTRY_REQUEST,   /* context is a struct request */
    ENTRY_WAITED,    /* a message somebody waits for the answer of; context is a struct request,
                        NULL once that gave up before it left */
};

struct entry {
    uint64_t tag;   /* 0 as long as it has not been given one */
    uint64_t start; /* messages: offset of the frame in the outbox's log */
    void *context;
    uint32_t bytes; /* messages: of the whole frame */
    uint8_t kind;
    bool answered;
};

struct ring {
    struct entry *slots;
    size_t capacity; /* a power of two, or 0 */
    uint64_t first;  /* how many have been taken out: entry number of the front */
    size_t count;
};

void ring_init(struct ring *ring);
void ring_deinit(struct ring *ring);

/* Puts an entry at the end. False without memory; then nothing changed. */
bool ring_push(struct ring *ring, const struct entry *entry);

/* Takes the front out; there must be one. */
void ring_pop(struct ring *ring);

/* Takes out all answered entries at the front. */
void ring_pop_answered(struct ring *ring);

/* The entry of a tag that is not answered yet, or NULL. Tags must grow along the ring. */
struct entry *ring_find(const struct ring *ring, uint64_t tag);

/* Index of the first entry whose tag is above `tag`; count if there is none. */
size_t ring_index_above(const struct ring *ring, uint64_t tag);

/* Whether the context is a request that is to be answered. */
static inline bool entry_has_request(const struct entry *entry)
{
    return entry->kind == ENTRY_REQUEST || (entry->kind == ENTRY_WAITED && entry->context != NULL);
}

/* Whether it stands in the outbox's log until it is answered. */
static inline bool entry_is_logged(const struct entry *entry)
{
    return entry->kind == ENTRY_MESSAGE || entry->kind == ENTRY_WAITED;
}

static inline struct entry *ring_at(const struct ring *ring, size_t index)
{
    return &ring->slots[(ring->first + index) & (ring->capacity - 1)];
}

#endif
