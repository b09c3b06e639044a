/* Tracked commands in a scene, in short calls: alice sends them to the queue `work`, bob works.
 *
 * Properties are gathered first: track(1), with(...), do_tracked("body").
 */
#ifndef HERALD_TEST_TRACKING_H
#define HERALD_TEST_TRACKING_H

#include "protocol/property.h"
#include "tests/support/cast.h"
#include "tests/support/lines.h"

extern unsigned char properties[512];
extern struct wire_writer w; /* over properties */

void tracking_set_up(void);
void tracking_tear_down(void);

/* So much is written that whatever lives is stated again, and nothing is left of what there was. */
void outlive_the_segments(void);

/* The power fails; both come back. */
void crash_and_enter(void);

struct wire_id id_of(unsigned n);

/* Begins a list of properties: tracked, with the id of this number. More of them. */
void track(unsigned n);
void with(uint8_t kind, uint64_t value);
void with_text(uint8_t kind, const char *value);
void with_id(uint8_t kind, struct wire_id id);

uint64_t say_tracked(const char *queue, const char *body, uint8_t flags);
void do_tracked(const char *body);
/* Alice's, with the properties. */
uint64_t say_durable_call(const char *body, uint32_t timeout_ms);

uint64_t say_status(struct actor *actor, unsigned n, unsigned until, uint32_t timeout_ms);
struct frame_command_state hear_state(struct actor *actor, uint64_t tag, bool is_last,
                                      unsigned state);
/* How it is now, which must be this. */
struct frame_command_state ask(unsigned n, unsigned state);
void is_failed(const struct frame_command_state *state, const char *code, unsigned ran);

uint64_t say_take_back(struct actor *actor, unsigned n);
void hear_unwanted(uint64_t delivery, enum status status);
uint64_t say_fail_as(uint64_t delivery, unsigned class);

/* Bob begins to consume, one at a time, and gets this. */
struct heard run(const char *body);

#endif
