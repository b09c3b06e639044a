/* Planted bugs: places where tests/plants/plants.sh makes the broker wrong on purpose.
 *
 * In every build but the flavour `plant` planted() is false at compile time and leaves no trace. In
 * that flavour the environment names the one plant that is active (HERALD_PLANT=SHORT_WRITE).
 */
#ifndef HERALD_PLANT_H
#define HERALD_PLANT_H

#include <stdbool.h>

enum plant {
#define PLANT(NAME, programs, text) PLANT_##NAME,
#include "broker/plants.def"
    PLANT_COUNT
};

#ifdef HERALD_PLANTS
bool planted(enum plant plant);
#else
static inline bool planted(enum plant plant)
{
    (void)plant;
    return false;
}
#endif

#endif
