/* A scene whose broker runs out of memory: every allocation of a life fails in turn, alone or with
 * all behind it, while the broker works and then while it starts. Linked with libscarce.a. */
#ifndef HERALD_TEST_SCARCE_SCENE_H
#define HERALD_TEST_SCARCE_SCENE_H

#include "tests/support/scarce.h"
#include "tests/support/scene.h"

/* Where memory runs out. */
struct shortage {
    uint64_t number; /* of the allocation */
    enum scarce_repeat repeat;
    bool is_in_start; /* not in the work */
};

/* So many rounds and no more: without memory a broker may have to try the same again and again. */
void scarce_run(struct scene *scene);

/* As actor_enter and actor_say, where a peer may be refused for lack of memory and be gone. */
bool scarce_enter(struct actor *actor);
uint64_t scarce_say(struct actor *actor, struct frame *frame);

/* Memory is short from here on, if it is to be in the work. */
void scarce_begin(const struct shortage *shortage);

/* Kills the broker and starts it again, the first time perhaps without memory. NULL, or what is
 * wrong. */
const char *scarce_start_again(struct scene *scene, const struct shortage *shortage);

/* The main of a program that lives one life with each shortage; `live` returns NULL, or what is
 * wrong. `--life N` fails only allocation N/2, for good when N is odd. */
int scarce_main(const char *name, const char *(*live)(uint64_t seed, const struct shortage *),
                int count, char **word);

#endif
