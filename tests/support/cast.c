/* The scene of a test, and who plays in it. */
#include "tests/support/cast.h"

struct scene *scene;
struct actor *alice;
struct actor *bob;
