/* Which bug is planted: the one that HERALD_PLANT names in the environment. */
#include "broker/plant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[PLANT_COUNT] = {
#define PLANT(NAME, programs, text) [PLANT_##NAME] = #NAME,
#include "broker/plants.def"
};

static enum plant choose(void)
{
    const char *name = getenv("HERALD_PLANT");
    if (name == NULL)
        return PLANT_COUNT;
    for (int i = 0; i < PLANT_COUNT; i++)
        if (strcmp(names[i], name) == 0)
            return (enum plant)i;
    (void)fprintf(stderr, "HERALD_PLANT: there is no plant %s\n", name);
    exit(2);
}

bool planted(enum plant plant)
{
    static _Thread_local bool is_chosen;
    static _Thread_local enum plant chosen;
    if (!is_chosen) {
        chosen = choose();
        is_chosen = true;
    }
    return plant == chosen;
}
