/* Histories under crashes: one broker on a simulated disk, two exchanges that keep their events, a
 * publisher, two writers who race for one entity, a reader, stored cursors with workers, queues
 * that are bound besides, and a model of what all were told. Everything follows from the seed.
 *
 * Exchanges are deleted and made anew under their names, how much they keep changes, a cursor is
 * moved, events fail, are parked and tried again, and workers go.
 *
 * What is checked has a name, which a violation begins with:
 *   hole        the sequences of what is kept have no hole, and go on when all is gone
 *   changed     an event that was read stays what it was
 *   lost        an event that was confirmed is there, unless retention has taken it; and in the
 *               bound queue, whatever retention does
 *   doubled     no event is there twice, and their order is that of their publisher
 *   half        of several events that were appended at once all are there or none; an event is in
 *               its history and in the bound queue or in neither
 *   version     versions of an entity follow each other; what is expected of it is refused rightly,
 *               and of two writers each version is one's
 *   came back   what a cursor is done with, and was told so, is not handed out again, nor is
 *               anything of an exchange that is gone
 *   first time  what was handed out before is flagged as such
 *   skipped     a cursor hands out every event in the end, and what failed once more
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
    uint64_t failed;      /* events, at their workers */
    uint64_t seeks;       /* of cursors */
    uint64_t deleted;     /* exchanges */
    uint64_t races;       /* won */
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
