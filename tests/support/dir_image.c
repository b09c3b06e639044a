/* What a directory holds, names, kinds and bytes, to see later that nothing has changed. */
#include "tests/support/dir_image.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/crc32c.h"

static int compare(const void *a, const void *b)
{
    const struct dir_image_file *left = a;
    const struct dir_image_file *right = b;
    return strcmp(left->name, right->name);
}

static void take_file(struct dir_image_file *file, const char *path, const char *name)
{
    char full[512];
    struct stat found;
    (void)snprintf(full, sizeof full, "%s/%s", path, name);
    (void)snprintf(file->name, sizeof file->name, "%.63s", name);
    ck_assert_int_eq(lstat(full, &found), 0);
    file->mode = found.st_mode;
    file->bytes = found.st_size;
    if (S_ISREG(found.st_mode))
        file->checksum = dir_image_sum(full);
    else if (S_ISLNK(found.st_mode))
        ck_assert_int_gt(readlink(full, file->target, sizeof file->target - 1), 0);
}

struct dir_image dir_image_take(const char *path)
{
    struct dir_image image = {.count = 0};
    DIR *listing = opendir(path);
    ck_assert_ptr_nonnull(listing);
    const struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        ck_assert_uint_lt(image.count, DIR_IMAGE_FILES_MAX);
        take_file(&image.files[image.count++], path, entry->d_name);
    }
    ck_assert_int_eq(closedir(listing), 0);
    qsort(image.files, image.count, sizeof image.files[0], compare);
    return image;
}

void dir_image_expect(const struct dir_image *before, const char *path)
{
    struct dir_image now = dir_image_take(path);
    ck_assert_uint_eq(now.count, before->count);
    for (size_t i = 0; i < now.count; i++) {
        const struct dir_image_file *file = &now.files[i];
        const struct dir_image_file *was = &before->files[i];
        ck_assert_str_eq(file->name, was->name);
        ck_assert_str_eq(file->target, was->target);
        ck_assert_uint_eq(file->mode, was->mode);
        ck_assert_int_eq(file->bytes, was->bytes);
        ck_assert_uint_eq(file->checksum, was->checksum);
    }
}

uint32_t dir_image_sum(const char *path)
{
    static unsigned char bytes[1 << 20];
    int file = open(path, O_RDONLY);
    ck_assert_int_ge(file, 0);
    ssize_t count = read(file, bytes, sizeof bytes);
    ck_assert(count >= 0 && (size_t)count < sizeof bytes);
    ck_assert_int_eq(close(file), 0);
    return crc32c(0, bytes, (size_t)count);
}
