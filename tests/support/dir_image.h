/* What a directory holds, names, kinds and bytes, to see later that nothing has changed. */
#ifndef HERALD_TEST_DIR_IMAGE_H
#define HERALD_TEST_DIR_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { DIR_IMAGE_FILES_MAX = 32 };

struct dir_image {
    struct dir_image_file {
        char name[64];
        char target[64]; /* of a link */
        mode_t mode;
        off_t bytes;
        uint32_t checksum;        /* of a regular file */
    } files[DIR_IMAGE_FILES_MAX]; /* by name */
    size_t count;
};

/* Takes the directory as it is; fails the test where it cannot be read. */
struct dir_image dir_image_take(const char *path);

/* Fails the test unless the directory is as it was. */
void dir_image_expect(const struct dir_image *before, const char *path);

/* The checksum of a file of at most 1 MiB. */
uint32_t dir_image_sum(const char *path);

#endif
