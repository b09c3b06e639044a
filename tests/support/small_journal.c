/* A small journal in a real directory. */
#include "tests/support/small_journal.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/rewrite.h"
#include "broker/store/disk.h"
#include "broker/store/record.h"

static void append_message(struct rewrite *rewrite, uint64_t number)
{
    unsigned char bytes[256];
    unsigned char queue[4];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    wire_store_u32(queue, 1);
    struct operation_message message = {.number = number,
                                        .queues = wire_bytes_of(queue, 4),
                                        .body = wire_bytes_of_text("the body of a message")};
    record_put_message(&w, &message);
    ck_assert_int_eq(rewrite_append(rewrite, bytes, (uint32_t)wire_written(&w), 1000 + number),
                     STATUS_OK);
}

void small_journal_make(struct small_journal *small)
{
    char error[256];
    unsigned char bytes[256];
    struct journal_failure failure = {0};
    struct disk *disk;
    struct rewrite *rewrite;
    *small = (struct small_journal){.root = "/tmp/herald-test-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(small->root));
    (void)snprintf(small->data, sizeof small->data, "%s/data", small->root);
    ck_assert_int_eq(disk_real_new(&disk, small->data, error, sizeof error), STATUS_OK);
    ck_assert_int_eq(rewrite_new(&rewrite, disk, 65536, &failure), STATUS_OK);
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    struct operation_queue queue = {.queue = 1, .name = wire_bytes_of_text("work")};
    record_put_queue(&w, &queue);
    ck_assert_int_eq(rewrite_append(rewrite, bytes, (uint32_t)wire_written(&w), 1000), STATUS_OK);
    for (uint64_t number = 1; number <= 9; number++)
        append_message(rewrite, number);
    ck_assert_int_eq(rewrite_stop(rewrite), STATUS_OK);
    rewrite_free(rewrite);
    disk_real_free(disk);
}

void small_journal_spoil(struct small_journal *small)
{
    static unsigned char bytes[65536];
    char path[160];
    (void)snprintf(path, sizeof path, "%s/segment-0000000000000001", small->data);
    int file = open(path, O_RDWR);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(read(file, bytes, sizeof bytes), sizeof bytes);
    const unsigned char *found = memmem(bytes, sizeof bytes, "body", 4);
    ck_assert_ptr_nonnull(found);
    small->spoilt_offset = (uint32_t)(found - bytes);
    ck_assert_int_eq(pwrite(file, "B", 1, small->spoilt_offset), 1);
    (void)close(file);
}

void small_journal_remove(const struct small_journal *small)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", small->root);
    ck_assert_int_eq(system(command), 0);
}
