/* The histories of the broker of a scene that is down, as the tools see them. */
#ifndef HERALD_TEST_SURVEYED_H
#define HERALD_TEST_SURVEYED_H

#include "broker/salvage.h"
#include "tests/support/scene.h"

struct surveyed {
    struct core *core;
    struct salvage *salvage; /* was told of every record; has not decided */
    struct histories *histories;
    struct journal_failure failure;
    enum status status;
};

/* Reads the journal and looks at the files. */
void surveyed_init(struct surveyed *surveyed, struct disk_sim *sim, enum histories_scope scope);
void surveyed_deinit(struct surveyed *surveyed);

#endif
