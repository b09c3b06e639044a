/* Feeds: reading positions over histories. */
#include "broker/core/feed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/filter.h"
#include "broker/core/history.h"
#include "broker/core/queue.h"
#include "broker/core/survey.h"
#include "protocol/topic.h"

enum {
    WINDOW_BYTES = 256 << 10,
    RANDOM_BYTES = 68 << 10, /* of whom single events matter: a block */
    /* Events that do not match, looked at in one go. */
    SKIPS_MAX = 1024,
};

/* A run of whole blocks of a file. */
struct window {
    unsigned char *at; /* NULL: none */
    uint32_t bytes;
    uint64_t first; /* sequences of its first event */
    uint64_t last;  /* and its last */
};

struct feed {
    TAILQ_ENTRY(feed) waiting_link; /* at the end of its history */
    TAILQ_ENTRY(feed) window_link;  /* it has windows: the one used longest ago first */
    TAILQ_ENTRY(feed) hungry_link;  /* it waits for room for one */
    struct core *core;
    struct history *history;
    feed_wake_fn wake; /* NULL: the feed is freed, and a read is out */
    void *argument;
    struct survey *survey;
    struct feed_terms terms;
    bool is_for_all; /* whatever the key and the headers */
    bool is_waiting;
    bool is_listed;
    bool is_hungry;
    bool is_reading;
    bool is_broken;
    bool is_random;
    uint64_t next; /* sequence of the event to look at */
    uint64_t missed;

    struct window now;
    struct window ahead;
    struct archive_walk walk; /* over `now` */
    struct archive_event event;
    struct archive_read read;
    /* Where the window behind the newest one begins. */
    uint64_t behind_file; /* 0: nobody knows */
    uint64_t behind_sequence;
    uint32_t behind_offset;
    unsigned char bytes[]; /* of the terms */
};

struct feed *feed_new(struct history *history, const struct feed_terms *terms, feed_wake_fn wake,
                      void *argument)
{
    size_t bytes = (size_t)terms->pattern.bytes + terms->filter.bytes;
    struct feed *feed = calloc(1, sizeof *feed + bytes);
    if (feed == NULL)
        return NULL;
    if (terms->pattern.bytes > 0)
        memcpy(feed->bytes, terms->pattern.at, terms->pattern.bytes);
    if (terms->filter.bytes > 0)
        memcpy(feed->bytes + terms->pattern.bytes, terms->filter.at, terms->filter.bytes);
    feed->terms.pattern = wire_bytes_of(feed->bytes, terms->pattern.bytes);
    feed->terms.filter = wire_bytes_of(feed->bytes + terms->pattern.bytes, terms->filter.bytes);
    feed->is_for_all =
        terms->filter.bytes == 0 && wire_bytes_equal(terms->pattern, wire_bytes_of_text("#"));
    feed->core = history->core;
    feed->history = history;
    feed->wake = wake;
    feed->argument = argument;
    feed->terms.from_ms = terms->from_ms;
    feed->next = 1;
    history_ref(history);
    return feed;
}

/* --- windows ------------------------------------------------------------------------------------
 */

static void window_drop(struct feed *feed, struct window *window)
{
    free(window->at);
    feed->core->feed_bytes -= window->bytes;
    *window = (struct window){0};
}

static void unlist(struct feed *feed)
{
    if (feed->is_listed)
        TAILQ_REMOVE(&feed->core->feeds, feed, window_link);
    feed->is_listed = false;
}

static void stop_hungering(struct feed *feed)
{
    if (feed->is_hungry)
        TAILQ_REMOVE(&feed->core->hungry, feed, hungry_link);
    feed->is_hungry = false;
}

static void stop_waiting(struct feed *feed)
{
    if (feed->is_waiting)
        TAILQ_REMOVE(&feed->history->waiting, feed, waiting_link);
    feed->is_waiting = false;
    stop_hungering(feed);
}

/* Whoever waits for room looks again. */
static void feed_next_hungry(struct core *core)
{
    struct feed *feed = TAILQ_FIRST(&core->hungry);
    if (feed == NULL)
        return;
    stop_hungering(feed);
    feed->wake(feed->argument);
}

static void windows_drop(struct feed *feed)
{
    bool had_any = feed->now.at != NULL || feed->ahead.at != NULL;
    window_drop(feed, &feed->now);
    window_drop(feed, &feed->ahead);
    feed->event = (struct archive_event){0};
    feed->behind_file = 0;
    unlist(feed);
    if (had_any)
        feed_next_hungry(feed->core);
}

static void feed_touch(struct feed *feed)
{
    unlist(feed);
    feed->is_listed = true;
    TAILQ_INSERT_TAIL(&feed->core->feeds, feed, window_link);
}

void feed_free(struct feed *feed)
{
    if (feed == NULL)
        return;
    stop_waiting(feed);
    windows_drop(feed);
    survey_free(feed->survey);
    feed->survey = NULL;
    feed->wake = NULL;
    if (feed->is_reading && !feed->core->is_ending)
        return; /* it goes when the read is back */
    history_unref(feed->history);
    free(feed);
}

/* Room for another window; others may have to give up theirs. */
static bool make_room(struct feed *feed)
{
    struct core *core = feed->core;
    struct feed *other;
    stop_hungering(feed);
    while (core->feed_bytes + WINDOW_BYTES > core->limits.history_read_bytes_max &&
           (other = TAILQ_FIRST(&core->feeds)) != NULL && other != feed)
        windows_drop(other);
    if (core->feed_bytes + WINDOW_BYTES <= core->limits.history_read_bytes_max)
        return true;
    return feed->now.at == NULL && core->feed_bytes == 0;
}

/* What was read is back. False: nobody wants it any more. */
static bool read_ends(struct feed *feed)
{
    feed->is_reading = false;
    if (feed->wake != NULL)
        return true;
    feed_next_hungry(feed->core);
    history_unref(feed->history);
    free(feed);
    return false;
}

static void take_window(struct feed *feed)
{
    struct archive_read *read = &feed->read;
    struct window *window = feed->now.at == NULL ? &feed->now : &feed->ahead;
    uint64_t first;
    *window = (struct window){.at = read->at, .bytes = read->bytes};
    archive_walk_range(read->at, read->bytes, &first, &window->last);
    window->first = first;
    feed->core->feed_bytes += window->bytes;
    if (window == &feed->now)
        feed->walk = archive_walk_of(window->at, window->bytes);
    if (read->sequence == 0 && feed->next < first)
        feed->next = first; /* it was looked for by time */
    feed->behind_file = read->file.first;
    feed->behind_sequence = window->last + 1;
    feed->behind_offset = read->next_offset;
    feed_touch(feed);
}

static void on_read(void *argument, struct archive_work *work)
{
    struct feed *feed = argument;
    struct core *core = feed->core;
    unsigned char *at = feed->read.at;
    core->feed_bytes -= feed->read.bytes_wanted;
    if (!read_ends(feed)) {
        free(at);
        return;
    }
    if (work->status == STATUS_OK) {
        take_window(feed);
    } else if (work->status == STATUS_CORRUPT || work->status == STATUS_IO_ERROR) {
        char text[sizeof work->failure.file + sizeof work->failure.text + 40];
        (void)snprintf(text, sizeof text, "%s at offset %llu: %s", work->failure.file,
                       (unsigned long long)work->failure.offset, work->failure.text);
        core->note(core->note_context, CORE_NOTE_WARNING, "history", text);
        feed->is_broken = true;
    }
    /* Otherwise retention was faster, or there is no memory now: it looks again. */
    feed->wake(feed->argument);
    feed_next_hungry(core); /* what was on its way is one that may be given up now */
}

/* Where in the file that is written to the block of a sequence begins. */
static uint32_t find_spot(const struct history *history, uint64_t sequence)
{
    uint32_t low = 0;
    uint32_t high = history->spot_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (history->spots[middle].sequence <= sequence)
            low = middle;
        else
            high = middle;
    }
    return history->spots[low].offset;
}

/* Has the window read that begins with this event. */
static void start_read(struct feed *feed, uint64_t sequence)
{
    struct history *history = feed->history;
    const struct archive_file *file = history_find_file(history, sequence);
    if (feed->is_reading)
        return;
    if (file == NULL) {
        feed->is_broken = feed->now.at == NULL;
        return;
    }
    if (!make_room(feed)) {
        feed->is_hungry = feed->now.at == NULL;
        if (feed->is_hungry)
            TAILQ_INSERT_TAIL(&feed->core->hungry, feed, hungry_link);
        return;
    }
    bool is_by_time = feed->terms.from_ms != 0 && file->is_finished && feed->behind_file == 0 &&
                      sequence == file->first;
    uint32_t offset = 0; /* by the index */
    if (is_by_time)
        ;
    else if (feed->behind_file == file->first && feed->behind_sequence == sequence)
        offset = feed->behind_offset;
    else if (sequence == file->first)
        offset = ARCHIVE_HEADER_BYTES;
    else if (!file->is_finished)
        offset = find_spot(history, sequence);
    feed->read =
        (struct archive_read){.work = {.kind = ARCHIVE_READ,
                                       .exchange = history->number,
                                       .on_done = on_read,
                                       .argument = feed},
                              .file = *file,
                              .offset = offset,
                              .sequence = is_by_time ? 0 : sequence,
                              .time_ms = feed->terms.from_ms,
                              .bytes_wanted = feed->is_random ? RANDOM_BYTES : WINDOW_BYTES};
    feed->is_reading = true;
    feed->core->feed_bytes += feed->read.bytes_wanted;
    archive_post(feed->core->archive, &feed->read.work);
}

/* --- seeking ------------------------------------------------------------------------------------
 */

/* The first file that reaches beyond the time is read by its index; in the journal there is none.
 */
static uint64_t first_by_time(const struct feed *feed)
{
    const struct history *history = feed->history;
    uint64_t sequence = history->moved + 1;
    for (uint32_t i = history->file_count;
         i-- > 0 && history->files[i].last_ms >= feed->terms.from_ms;)
        sequence = history->files[i].first;
    return sequence;
}

void feed_seek(struct feed *feed, uint64_t sequence)
{
    stop_waiting(feed);
    if (feed->terms.from_ms != 0 && sequence < first_by_time(feed))
        sequence = first_by_time(feed);
    if (feed->now.at != NULL && sequence >= feed->now.first && sequence <= feed->now.last) {
        feed->walk = archive_walk_of(feed->now.at, feed->now.bytes);
        feed->event = (struct archive_event){0};
    } else {
        windows_drop(feed);
    }
    feed->next = sequence > 0 ? sequence : 1;
}

void feed_set_time(struct feed *feed, uint64_t from_ms)
{
    windows_drop(feed);
    feed->terms.from_ms = from_ms;
}

void feed_be_random(struct feed *feed)
{
    feed->is_random = true;
}

enum status feed_seek_last(struct feed *feed)
{
    struct survey *survey = survey_new(feed->history->last);
    if (survey == NULL)
        return STATUS_NO_MEMORY;
    feed_seek(feed, history_first(feed->history));
    survey_free(feed->survey);
    feed->survey = survey;
    return STATUS_OK;
}

/* --- looking ------------------------------------------------------------------------------------
 */

static void on_fetch(void *argument, uint64_t position, enum status status)
{
    struct feed *feed = argument;
    (void)position;
    (void)status; /* a failure ends the process */
    if (read_ends(feed))
        feed->wake(feed->argument);
}

/* The event is in the journal. */
static enum feed_result peek_journal(struct feed *feed, uint64_t word,
                                     struct operation_message *message)
{
    struct core *core = feed->core;
    if (place_position(word) >= core->durable_position && (word & PLACE_RESTATED) == 0)
        return FEED_HELD;
    enum status status = queue_read(core, word, message);
    if (status == STATUS_OK)
        return FEED_EVENT;
    if (status != STATUS_MORE)
        return FEED_BROKEN;
    if (feed->is_reading)
        return FEED_READING;
    if (journal_fetch(core->journal, place_record_position(word), place_position(word), on_fetch,
                      feed) != STATUS_OK)
        return FEED_AGAIN;
    feed->is_reading = true;
    return FEED_READING;
}

/* Goes on to the event in the window. False: it is not there. */
static bool walk_to(struct feed *feed, uint64_t sequence)
{
    if (feed->now.at != NULL && sequence > feed->now.last) {
        window_drop(feed, &feed->now);
        feed->now = feed->ahead;
        feed->ahead = (struct window){0};
        feed->event = (struct archive_event){0};
        feed->walk = archive_walk_of(feed->now.at, feed->now.bytes);
    }
    if (feed->now.at == NULL || sequence > feed->now.last)
        return false;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && feed->event.sequence < sequence)
        status = archive_walk_next(&feed->walk, &feed->event);
    return status == STATUS_OK && feed->event.sequence == sequence;
}

static enum feed_result peek_file(struct feed *feed, struct operation_message *message)
{
    if (!walk_to(feed, feed->next)) {
        window_drop(feed, &feed->now);
        window_drop(feed, &feed->ahead);
        unlist(feed);
        feed->event = (struct archive_event){0};
        start_read(feed, feed->next);
        return feed->is_broken ? FEED_BROKEN : FEED_READING;
    }
    if (feed->ahead.at == NULL && feed->now.last < feed->history->moved && !feed->is_random)
        start_read(feed, feed->now.last + 1);
    struct wire_reader r = wire_reader_of(feed->event.at, feed->event.bytes);
    struct operation operation;
    if (record_next(&r, &operation) != STATUS_OK || operation.type != OPERATION_MESSAGE)
        return FEED_BROKEN;
    *message = operation.as.message;
    return FEED_EVENT;
}

static enum feed_result peek_next(struct feed *feed, struct operation_message *message)
{
    struct history *history = feed->history;
    uint64_t first = history_first(history);
    if (feed->next < first) {
        feed->missed += feed->survey == NULL ? first - feed->next : 0;
        feed->next = first;
    }
    if (feed->next > history->last) {
        windows_drop(feed);
        if (!feed->is_waiting)
            TAILQ_INSERT_TAIL(&history->waiting, feed, waiting_link);
        feed->is_waiting = true;
        return FEED_END;
    }
    const struct history_event *event = history_find(history, feed->next);
    return event != NULL ? peek_journal(feed, event->word, message) : peek_file(feed, message);
}

static bool matches(const struct feed *feed, const struct operation_message *message)
{
    if (message->time_ms < feed->terms.from_ms)
        return false;
    return feed->is_for_all || (topic_match(feed->terms.pattern, message->key) &&
                                filter_matches(feed->terms.filter, message->headers));
}

/* While it surveys a history nothing is given out; then only what was picked. True: the event at
 * `next` is to be given out, or the survey is over. */
static bool pick(struct feed *feed)
{
    if (feed->survey == NULL || survey_is_collecting(feed->survey, feed->next))
        return feed->survey == NULL;
    uint64_t first = history_first(feed->history);
    bool is_picked = survey_pick(feed->survey, feed->next, &feed->next);
    if (is_picked && feed->next < first) /* retention has taken it meanwhile */
        is_picked = survey_pick(feed->survey, first, &feed->next);
    if (!is_picked) {
        survey_free(feed->survey);
        feed->survey = NULL;
    }
    return true;
}

enum feed_result feed_peek(struct feed *feed, struct operation_message *message)
{
    uint32_t keys_max = feed->core->limits.history_keys_max;
    for (int i = 0; i < SKIPS_MAX && !feed->is_broken; i++) {
        bool is_wanted = pick(feed);
        enum feed_result result = peek_next(feed, message);
        if (result != FEED_EVENT && result != FEED_BROKEN)
            return result;
        feed->is_broken = result == FEED_BROKEN;
        bool is_match = !feed->is_broken && matches(feed, message);
        if (is_match && is_wanted)
            return FEED_EVENT;
        if (is_match && survey_note(feed->survey, message->key, feed->next, keys_max) != STATUS_OK)
            feed->is_broken = true;
        feed->next++;
    }
    bool was_broken = feed->is_broken;
    feed->is_broken = false; /* it is told once: whoever asks again has it tried again */
    return was_broken ? FEED_BROKEN : FEED_AGAIN;
}

uint64_t feed_sequence(const struct feed *feed)
{
    return feed->next;
}

void feed_pass(struct feed *feed)
{
    feed->next++;
}

void feed_skip(struct feed *feed, uint64_t sequence)
{
    assert(sequence >= feed->next);
    feed->next = sequence;
}

uint64_t feed_take_missed(struct feed *feed)
{
    uint64_t missed = feed->missed;
    feed->missed = 0;
    return missed;
}

struct history *feed_history(const struct feed *feed)
{
    return feed->history;
}

const struct feed_terms *feed_get_terms(const struct feed *feed)
{
    return &feed->terms;
}

void feed_wake(struct feed *feed)
{
    stop_waiting(feed);
    feed->wake(feed->argument);
}
