/* A history under crashes: one broker on a simulated disk, an exchange that keeps its events, a
 * publisher, writers of entities, a reader, a stored cursor with a worker, and a model of what they
 * were told. Everything follows from the seed.
 *
 * What is checked has a name, which a violation begins with:
 *   hole        the sequences of what is kept have no hole
 *   changed     an event that was read stays what it was
 *   lost        an event that was confirmed is there, unless retention has taken it
 *   doubled     no event is there twice, and their order is that of their publisher
 *   half        of several events that were appended at once all are there or none
 *   version     versions of an entity follow each other; what is expected of it is refused rightly
 *   came back   what a cursor is done with, and was told so, is not handed out again
 *   first time  what was handed out before is flagged as such
 *   skipped     a cursor hands out every event in the end
 */
#ifndef HERALD_TEST_HISTORY_WORLD_H
#define HERALD_TEST_HISTORY_WORLD_H

#include "tests/support/scene.h"

struct history_counters {
    uint64_t cases;
    uint64_t crashes;
    uint64_t faults;
    uint64_t published;
    uint64_t confirmed;
    uint64_t moved;       /* events, to files */
    uint64_t retired;     /* by retention */
    uint64_t redelivered; /* by cursors */
    uint64_t conflicts;
};

struct history_world;

struct history_world *history_world_new(uint64_t seed, struct history_counters *counters);
void history_world_free(struct history_world *world);

struct scene *history_world_scene(struct history_world *world);
uint64_t history_world_chance(struct history_world *world, uint64_t below);

/* Whoever was connected connects again. */
void history_world_enter(struct history_world *world);

/* Something happens. */
void history_world_step(struct history_world *world);

/* The process has ended: what was not answered is unknown. */
void history_world_lose(struct history_world *world);

/* Reads everything and compares it with what was told. */
void history_world_judge(struct history_world *world);

void history_world_violate(struct history_world *world, const char *text);
const char *history_world_violation(const struct history_world *world);

#endif
