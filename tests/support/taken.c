/* A backup as it comes out of its frames. */
#include "tests/support/taken.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t say_backup(struct actor *actor, uint8_t content)
{
    struct frame frame = {.header.type = FRAME_BACKUP, .as.backup.content = content};
    return actor_say(actor, &frame);
}

static void append(struct taken *taken, struct wire_bytes bytes)
{
    if (taken->bytes + bytes.bytes > taken->room) {
        taken->room = (taken->bytes + bytes.bytes) * 2;
        taken->at = realloc(taken->at, taken->room);
        ck_assert_ptr_nonnull(taken->at);
    }
    memcpy(taken->at + taken->bytes, bytes.at, bytes.bytes);
    taken->bytes += bytes.bytes;
}

static void put_file(struct taken *taken, const char *name)
{
    ck_assert_msg(!disk_sim_has(taken->sim, name), "%s is there twice", name);
    disk_sim_put(taken->sim, name, taken->at, taken->bytes);
    taken->bytes = 0;
    taken->file_count++;
}

/* What is behind the end of the journal is zeros. */
static void put_segment(struct taken *taken)
{
    static const unsigned char zeros[4096];
    uint64_t segment_bytes = taken->begin.segment_bytes;
    uint64_t number = (taken->next - 1) / segment_bytes;
    char name[64];
    while (taken->bytes < segment_bytes) {
        uint64_t left = segment_bytes - taken->bytes;
        append(taken, wire_bytes_of(zeros, left < sizeof zeros ? (uint32_t)left : sizeof zeros));
    }
    (void)snprintf(name, sizeof name, "segment-%016llx", (unsigned long long)number);
    put_file(taken, name);
}

static void take_begin(struct taken *taken, const struct frame_backup_begin *begin)
{
    ck_assert_ptr_null(taken->sim);
    taken->sim = disk_sim_new(12);
    taken->begin = *begin;
    taken->next = begin->first;
}

static void take_piece(struct taken *taken, const struct frame_backup_piece *piece)
{
    uint64_t segment_bytes = taken->begin.segment_bytes;
    ck_assert_uint_eq(piece->position, taken->next);
    ck_assert_uint_gt(piece->bytes.bytes, 0);
    ck_assert_uint_le(piece->bytes.bytes, taken->begin.end - taken->next);
    append(taken, piece->bytes);
    taken->next += piece->bytes.bytes;
    ck_assert_uint_eq((taken->next - 1) / segment_bytes, piece->position / segment_bytes);
    if (taken->next % segment_bytes == 0 || taken->next == taken->begin.end)
        put_segment(taken);
}

static void take_file(struct taken *taken, const struct frame_backup_file *file)
{
    char name[64];
    ck_assert_uint_eq(taken->next, taken->begin.end);
    ck_assert_uint_lt(file->name.bytes, sizeof name);
    (void)snprintf(name, sizeof name, "%.*s", (int)file->name.bytes, (const char *)file->name.at);
    if (taken->bytes > 0)
        ck_assert_str_eq(name, taken->name);
    memcpy(taken->name, name, sizeof name);
    ck_assert_uint_eq(file->offset, taken->bytes);
    ck_assert_uint_gt(file->bytes.bytes, 0);
    append(taken, file->bytes);
    taken->files_bytes += file->bytes.bytes;
    ck_assert_uint_le(taken->bytes, file->file_bytes);
    if (taken->bytes == file->file_bytes)
        put_file(taken, name);
}

static void take_end(const struct taken *taken, const struct frame_backup_end *end)
{
    ck_assert_uint_eq(end->end, taken->begin.end);
    ck_assert_uint_eq(taken->next, taken->begin.end);
    ck_assert_uint_eq(taken->bytes, 0);
    ck_assert_uint_eq(taken->files_bytes, taken->begin.files_bytes);
}

bool taken_hear(struct taken *taken, struct actor *actor, uint64_t tag)
{
    struct frame frame;
    while (actor_next(actor, &frame)) {
        if (frame.header.type == FRAME_HEARTBEAT)
            continue;
        ck_assert_uint_eq(frame.header.tag, tag);
        ck_assert_uint_le(frame.header.length, SCENE_FRAME_BYTES_MAX);
        if (frame.header.type == FRAME_BACKUP_BEGIN) {
            take_begin(taken, &frame.as.backup_begin);
        } else if (frame.header.type == FRAME_BACKUP_PIECE) {
            take_piece(taken, &frame.as.backup_piece);
        } else if (frame.header.type == FRAME_BACKUP_FILE) {
            take_file(taken, &frame.as.backup_file);
        } else {
            ck_assert_uint_eq(frame.header.type, FRAME_BACKUP_END);
            take_end(taken, &frame.as.backup_end);
            return true;
        }
    }
    return false;
}

struct scene *taken_start(struct taken *taken, uint64_t seed, const struct core_limits *limits)
{
    struct scene *other = scene_new_sized(seed, limits, taken->begin.segment_bytes);
    scene_die(other);
    disk_sim_free(other->sim);
    other->sim = taken->sim;
    taken->sim = NULL;
    taken_drop(taken);
    ck_assert_msg(scene_start(other), "%s: %s", other->failure.file, other->failure.text);
    scene_settle(other);
    return other;
}

void taken_drop(struct taken *taken)
{
    disk_sim_free(taken->sim);
    free(taken->at);
    *taken = (struct taken){0};
}
