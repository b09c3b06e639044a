/* A simulated disk as a real directory, and back: for tests of tools that read one. */
#ifndef HERALD_TEST_SIM_DIR_H
#define HERALD_TEST_SIM_DIR_H

#include "tests/support/disk_sim.h"

/* Makes the directory, with all files of the disk. */
void sim_dir_write(const struct disk_sim *sim, const char *path);

/* A disk with the files of a directory. */
struct disk_sim *sim_dir_read(const char *path);

/* Removes a directory and the files in it. */
void sim_dir_remove(const char *path);

#endif
