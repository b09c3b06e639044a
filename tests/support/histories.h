/* Histories in a scene, in short calls: alice publishes to the exchange `book`, which keeps its
 * events, bob reads.
 */
#ifndef HERALD_TEST_HISTORIES_H
#define HERALD_TEST_HISTORIES_H

#include "tests/support/cast.h"
#include "tests/support/lines.h"

void histories_set_up(void);
void histories_set_up_with(const struct core_limits *limits);
void histories_tear_down(void);

/* The power fails; both come back. */
void crash_with(enum disk_sim_policy policy);

/* Time enough for all events to leave the journal. */
void let_move(void);

/* Events `from` to `to`, with the bodies "event N" and the keys "even.N" and "odd.N". */
void publish_events(unsigned from, unsigned to);
/* So many events of this size, with the key "sized". */
void publish_sized(unsigned count, uint32_t bytes);
/* Bob hears them from consumer `consumer`, each with its number as its sequence. */
void hear_events(uint32_t consumer, unsigned from, unsigned to);

uint64_t say_create(struct actor *actor, const char *exchange, uint8_t property, uint64_t value);
uint64_t say_follow(uint32_t consumer, uint8_t from, uint64_t at);
uint64_t say_follow_with(struct actor *actor, const struct frame_follow *follow);
uint64_t say_seek(const char *cursor, uint8_t from, uint64_t at);
uint64_t say_exchange_set(const char *exchange, uint8_t property, uint64_t value);

/* An event of an entity. */
uint64_t say_entity(struct actor *actor, const char *entity, uint64_t expect, const char *body);
uint64_t say_snapshot(struct actor *actor, const char *entity, const char *body);
/* So many events at once, with the bodies "append N". */
uint64_t say_append(struct actor *actor, const char *entity, uint64_t expect, unsigned from,
                    unsigned count);
uint64_t say_read(struct actor *actor, const char *entity, uint8_t flags, uint64_t from,
                  uint32_t limit);
/* The next event of an answer; `body` may be NULL. */
void hear_event(struct actor *actor, uint64_t tag, uint64_t version, const char *body,
                bool is_last);

/* What the core knows of the history of an exchange. */
struct history *history_of(const char *exchange);

uint64_t ask_exchange(const char *exchange, const char *field);

#endif
