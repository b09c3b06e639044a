/* A scene in which memory may run out: connecting and speaking where either may be refused for lack
 * of it, and for so many rounds only. */
#ifndef HERALD_TEST_ALLOC_SCENE_H
#define HERALD_TEST_ALLOC_SCENE_H

#include "tests/support/scene.h"

/* So many rounds and no more: without memory a broker may have to try the same again and again. */
void alloc_run(struct scene *scene);

/* As actor_enter, where a peer may be refused for lack of memory. */
bool alloc_enter(struct actor *actor);

/* Writes the frame, has it read, and runs; nothing without a connection. Returns its tag or 0. */
uint64_t alloc_say(struct actor *actor, struct frame *frame);

/* As scene_start, without a broker behind it: STATUS_OK, or why it would not start. */
enum status alloc_try_start(struct scene *scene);

#endif
