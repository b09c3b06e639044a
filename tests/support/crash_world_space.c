/* What a random load finds out about the space that the journal takes.
 *
 * The bound is that of restating (see broker/core/restate.c): twice what lives and four segments,
 * and two that are on their way.
 */
#include "tests/support/crash_world.h"

#include "broker/core/state.h"

enum {
    BOUND_SEGMENTS = 6,
    QUIET_ROUNDS = 30,
    QUIET_STEP_MS = 150,
    /* What a message, its parking and the rest of the definitions take besides bodies at most. */
    PARKED_BYTES_MAX = 400,
    OTHERS_BYTES_MAX = 16 << 10,
};

void load_watch_space(struct load *load)
{
    const struct core *core = load->scene->core;
    if (core == NULL)
        return;
    if (core->counters.bytes_restated > load->bytes_restated)
        load->restated_position = journal_end_position(load->scene->journal);
    load->messages_restated = core->counters.messages_restated;
    load->bytes_restated = core->counters.bytes_restated;
}

void load_count_end(struct load *load, bool is_crash)
{
    const struct core *core = load->scene->core;
    struct load_counters *counters = load->counters;
    if (core == NULL)
        return;
    load_watch_space(load);
    struct spill_figures figures = spill_figures(core->spill);
    counters->messages_restated += load->messages_restated;
    counters->bytes_restated += load->bytes_restated;
    counters->pages_written += figures.written_count;
    counters->pages_read += figures.read_count;
    counters->restating_crashes +=
        is_crash && load->restated_position > journal_durable_position(load->scene->journal);
    counters->paged_crashes += is_crash && figures.away_count > 0;
    load->messages_restated = load->bytes_restated = load->restated_position = 0;
}

void load_judge_space(struct load *load)
{
    struct scene *scene = load->scene;
    for (int i = 0; i < QUIET_ROUNDS && !scene->has_failed; i++)
        scene_advance_ms(scene, QUIET_STEP_MS);
    if (scene->has_failed || scene->core == NULL)
        return;
    load->counters->bounds++;
    struct journal_space space = journal_space(scene->journal);
    if (space.used_bytes > 2 * space.live_bytes + BOUND_SEGMENTS * space.segment_bytes)
        load_violate(load, "bound: the journal is larger than what lives allows");
}

void load_judge_live_bytes(struct load *load)
{
    uint64_t surely = 0;
    uint64_t perhaps = OTHERS_BYTES_MAX;
    if (load->scene->has_failed)
        return;
    for (size_t i = 0; i < load->message_count; i++) {
        const struct load_message *message = &load->messages[i];
        bool is_parked = false;
        bool is_unsure = false;
        for (uint32_t k = 0; k < LOAD_QUEUES; k++) {
            is_parked |= message->is_parked[k];
            is_unsure |= message->settle[k] == SETTLE_TRIED;
        }
        if (is_parked)
            surely += message->bytes;
        if (is_parked || is_unsure)
            perhaps += message->bytes + PARKED_BYTES_MAX;
    }
    uint64_t live = journal_space(load->scene->journal).live_bytes;
    if (live < surely / 2)
        load_violate(load, "bound: the journal counts less as living than there is");
    if (live > 2 * perhaps)
        load_violate(load, "bound: the journal counts more as living than there is");
}
