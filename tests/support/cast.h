/* The scene of a test, and who plays in it. */
#ifndef HERALD_TEST_CAST_H
#define HERALD_TEST_CAST_H

#include "tests/support/scene.h"

extern struct scene *scene;
extern struct actor *alice;
extern struct actor *bob;

#endif
