/* A backup as it comes out of its frames, and a broker that starts on nothing but it. */
#ifndef HERALD_TEST_TAKEN_H
#define HERALD_TEST_TAKEN_H

#include "tests/support/scene.h"

struct taken {
    struct frame_backup_begin begin;
    uint64_t next;
    uint64_t files_bytes;
    struct disk_sim *sim; /* where its files come to stand; NULL: it has not begun */
    char name[64];        /* of the file that comes now; empty: of the journal */
    unsigned char *at;
    size_t bytes;
    size_t room;
    size_t file_count;
};

uint64_t say_backup(struct actor *actor, uint8_t content);

/* Takes what has come of a copy; true at its end. Fails the test where a frame is not what should
 * come. */
bool taken_hear(struct taken *taken, struct actor *actor, uint64_t tag);

/* A broker on the copy. Fails the test when it does not start. */
struct scene *taken_start(struct taken *taken, uint64_t seed, const struct core_limits *limits);

/* It is not started from; nothing when it is. */
void taken_drop(struct taken *taken);

#endif
