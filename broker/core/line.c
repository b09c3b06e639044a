/* A peer's answer line. */
#include "broker/core/line.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/core/output.h"
#include "broker/core/recorder.h"
#include "broker/core/state.h"

enum { LINE_ROOM_MIN = 8 };

static struct line_entry *entry_at(const struct line *line, uint32_t i)
{
    return &line->entries[(line->start + i) & (line->room - 1)];
}

/* Doubles the ring; its room is a power of two. */
static bool line_grow(struct line *line)
{
    uint32_t room = line->room > 0 ? line->room * 2 : LINE_ROOM_MIN;
    struct line_entry *entries = malloc(room * sizeof *entries);
    if (entries == NULL)
        return false;
    for (uint32_t i = 0; i < line->count; i++)
        entries[i] = *entry_at(line, i);
    free(line->entries);
    line->entries = entries;
    line->room = room;
    line->start = 0;
    return true;
}

static void send_confirm(struct peer *peer, uint64_t last)
{
    struct line *line = &peer->line;
    uint64_t first = line->next_first < last ? line->next_first : last;
    output_confirm(peer, &(struct frame_confirm){first, last});
    line->next_first = last + 1;
}

static struct line_entry *line_push(struct peer *peer, uint64_t tag, uint64_t needs)
{
    struct line *line = &peer->line;
    if (line->count == line->room && !line_grow(line)) {
        peer_close(peer, STATUS_NO_MEMORY, NULL);
        return NULL;
    }
    struct line_entry *entry = entry_at(line, line->count++);
    *entry = (struct line_entry){needs, tag, NULL, 0};
    line->needs = needs;
    if (!peer->is_in_line) {
        peer->is_in_line = true;
        TAILQ_INSERT_TAIL(&peer->core->lines, peer, line_link);
    }
    return entry;
}

static uint64_t line_needs(const struct line *line, uint64_t needs)
{
    return line->count > 0 && line->needs > needs ? line->needs : needs;
}

void line_confirm(struct peer *peer, uint64_t tag, uint64_t needs)
{
    if (peer->state == PEER_CLOSING)
        return;
    struct line *line = &peer->line;
    needs = line_needs(line, needs);
    if (line->count > 0) {
        struct line_entry *newest = entry_at(line, line->count - 1);
        if (newest->frame == NULL && newest->needs == needs) {
            newest->last = tag;
            return;
        }
    }
    line_push(peer, tag, needs);
}

void line_answer(struct peer *peer, uint64_t tag, const void *frames, size_t bytes, uint64_t needs)
{
    if (peer->state == PEER_CLOSING)
        return;
    struct line *line = &peer->line;
    needs = line_needs(line, needs);
    if (line->count == 0 && needs < peer->core->durable_position) {
        output_append(peer, frames, bytes);
        return;
    }
    unsigned char *copy = malloc(bytes);
    if (copy == NULL) {
        peer_close(peer, STATUS_NO_MEMORY, NULL);
        return;
    }
    memcpy(copy, frames, bytes);
    struct line_entry *entry = line_push(peer, tag, needs);
    if (entry == NULL) {
        free(copy);
        return;
    }
    entry->frame = copy;
    entry->frame_bytes = (uint32_t)bytes;
}

void line_refuse(struct peer *peer, uint64_t tag, enum status status, const char *text,
                 uint64_t needs)
{
    unsigned char frame[FRAME_HEADER_BYTES + 4 + 512];
    struct wire_writer w = wire_writer_of(frame, sizeof frame);
    struct wire_bytes words = wire_bytes_of_text(text != NULL ? text : status_text(status));
    if (words.bytes > 512)
        words.bytes = 512;
    bool fits = frame_put_refuse(&w, 0, tag, &(struct frame_refuse){(uint16_t)status, words});
    assert(fits);
    line_answer(peer, tag, frame, wire_written(&w), needs);
}

void line_count(struct peer *peer, uint64_t tag, uint64_t count)
{
    unsigned char frame[FRAME_HEADER_BYTES + 8];
    struct wire_writer w = wire_writer_of(frame, sizeof frame);
    bool fits = frame_put_count(&w, 0, tag, &(struct frame_count){count});
    assert(fits);
    line_answer(peer, tag, frame, wire_written(&w), recorder_needs(peer->core));
}

void line_appended(struct peer *peer, uint64_t tag, uint64_t sequence, uint64_t version)
{
    unsigned char frame[FRAME_HEADER_BYTES + 16];
    struct wire_writer w = wire_writer_of(frame, sizeof frame);
    bool fits = frame_put_appended(&w, 0, tag, &(struct frame_appended){sequence, version});
    assert(fits);
    line_answer(peer, tag, frame, wire_written(&w), recorder_needs(peer->core));
}

static void line_release(struct peer *peer, uint64_t durable_position)
{
    struct line *line = &peer->line;
    while (line->count > 0) {
        struct line_entry *entry = entry_at(line, 0);
        if (entry->needs >= durable_position)
            return;
        if (entry->frame != NULL) {
            output_append(peer, entry->frame, entry->frame_bytes);
            free(entry->frame);
        } else {
            send_confirm(peer, entry->last);
        }
        line->start = (line->start + 1) & (line->room - 1);
        line->count--;
    }
}

void line_release_all(struct core *core)
{
    struct peer *peer = TAILQ_FIRST(&core->lines);
    while (peer != NULL) {
        struct peer *next = TAILQ_NEXT(peer, line_link);
        line_release(peer, core->durable_position);
        if (peer->is_in_line && peer->line.count == 0) {
            line_deinit(peer); /* an idle connection is small */
            if (peer->is_leaving)
                peer_close(peer, STATUS_GOODBYE, NULL);
        }
        peer = next;
    }
}

void line_deinit(struct peer *peer)
{
    struct line *line = &peer->line;
    for (uint32_t i = 0; i < line->count; i++)
        free(entry_at(line, i)->frame);
    free(line->entries);
    line->entries = NULL;
    line->room = line->start = line->count = 0;
    if (peer->is_in_line) {
        peer->is_in_line = false;
        TAILQ_REMOVE(&peer->core->lines, peer, line_link);
    }
}
