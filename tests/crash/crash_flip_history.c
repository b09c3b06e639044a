/* Flips one bit of every byte of the files of a history and starts on it.
 *
 *   crash_flip_history [--seed S] [--cases BITS] [--seconds S]
 *
 * The history has finished files, an open one, entities that were saved, and events in the journal.
 * For every byte of every file, with one bit of it the other way round, the start must refuse, name
 * the file and change nothing; or go on, and then every reader is given what was published, or told
 * that it cannot be read; never anything else. Whoever has nothing to do with the damage is not
 * harmed. --verify must call the same directories whole from which all can be read. `--cases` is
 * the number of bits of each byte, 8 at most; `--life OFFSET` flips but that byte of each file.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/exchange.h"
#include "broker/core/history.h"
#include "broker/core/saver.h"
#include "broker/histories.h"
#include "broker/store/inspect.h"
#include "broker/tool_report.h"
#include "protocol/property.h"
#include "tests/support/crash_world_run.h"
#include "tests/support/histories.h"

enum { BITS = 8, EVENTS = 48, FILE_EVENTS = 12, NAMES_MAX = 16 };

struct flips {
    struct disk_sim *base;
    char names[NAMES_MAX][64];
    size_t name_count;
    struct chance chance;
    uint64_t refused;
    uint64_t complete;
    uint64_t unreadable;
    uint64_t violations;
};

/* --- a small history ----------------------------------------------------------------------------
 */

/* Files end by age, so that they are small. */
static void prepare(struct flips *flips)
{
    histories_set_up();
    hear_confirm(alice, say_exchange_set("book", PROPERTY_EXCHANGE_AGE_MAX, 8 * 20000));
    for (unsigned i = 1; i <= EVENTS; i += FILE_EVENTS) {
        if (i > FILE_EVENTS)
            scene_advance_ms(scene, 21000);
        hear_confirm(alice, say_entity(alice, "account", EXPECT_ANY, "entity"));
        publish_events(i + 1, i + FILE_EVENTS - 1);
        let_move();
    }
    saver_want(scene->core, history_of("book"));
    scene_settle(scene);
    publish_events(EVENTS + 1, EVENTS + 2);
    scene_die(scene);
    disk_sim_kill(scene->sim);
    disk_sim_calm(scene->sim);
    flips->base = scene->sim;
    scene->sim = disk_sim_new(1);
    const char *name;
    for (size_t i = 0; (name = disk_sim_name(flips->base, i)) != NULL; i++)
        if (strncmp(name, "history-", 8) == 0 || strncmp(name, "entities-", 9) == 0)
            snprintf(flips->names[flips->name_count++], sizeof flips->names[0], "%s", name);
}

/* --- what --verify says -------------------------------------------------------------------------
 */

static enum status on_record(void *core, const struct inspect_record *record)
{
    return core_on_record(core, record->position, record->at, record->bytes, record->now_ms);
}

static enum status on_damage(void *argument, const struct inspect_damage *damage)
{
    (void)argument, (void)damage;
    return STATUS_OK;
}

static bool is_verified(struct disk_sim *sim)
{
    const struct disk *disk = disk_sim_disk(sim);
    struct journal_failure failure = {.text = ""};
    struct inspect_summary summary;
    struct core *core = tool_core_new();
    struct histories *histories = NULL;
    struct inspect_reader reader = {on_record, on_damage, core};
    enum status status = core_open_archive(core, disk, &failure);
    if (status == STATUS_OK)
        status = inspect_run(disk, &reader, &summary, &failure);
    if (status == STATUS_OK)
        status = histories_new(&histories, core, disk, HISTORIES_STATED, &failure);
    bool is_whole = status == STATUS_OK && histories_are_whole(histories);
    histories_free(histories);
    core_free(core);
    return is_whole;
}

/* --- what a reader is given ---------------------------------------------------------------------
 */

static bool is_event(const struct frame_deliver *deliver, uint64_t sequence)
{
    char body[32];
    if (sequence % FILE_EVENTS == 1 && sequence <= EVENTS)
        return wire_bytes_equal(deliver->body, wire_bytes_of_text("entity"));
    snprintf(body, sizeof body, "event %u", (unsigned)sequence);
    return wire_bytes_equal(deliver->body, wire_bytes_of_text(body));
}

/* Reads from a sequence on; returns the one that comes next, *is_gone: and cannot be read. NULL: no
 * violation. */
static const char *read_from(uint64_t first, uint64_t *next, bool *is_gone)
{
    struct frame frame;
    *next = first;
    *is_gone = false;
    say_follow(1, FOLLOW_SEQUENCE, first);
    scene_settle(scene);
    while (actor_next(bob, &frame)) {
        if (frame.header.type == FRAME_CONSUMER_GONE) {
            *is_gone = true;
            return frame.as.consumer_gone.code == STATUS_UNREADABLE ? NULL
                                                                    : "a reader ends otherwise";
        }
        if (frame.header.type != FRAME_DELIVER)
            continue;
        if (!is_event(&frame.as.deliver, *next))
            return "a reader is given what was never published there";
        ++*next;
    }
    say_cancel(bob, 1);
    hear_out(bob);
    return NULL;
}

/* Everything, skipping what cannot be read. */
static const char *read_all(bool *is_complete)
{
    uint64_t next = 1;
    *is_complete = true;
    while (next <= EVENTS + 2) {
        bool is_gone;
        const char *violation = read_from(next, &next, &is_gone);
        if (violation != NULL)
            return violation;
        if (!is_gone && next != EVENTS + 3)
            return "a reader is given too little";
        *is_complete &= !is_gone;
        next += is_gone;
    }
    return NULL;
}

static bool can_be_confirmed(uint64_t tag)
{
    struct frame frame;
    while (actor_next(alice, &frame))
        if (frame.header.type == FRAME_CONFIRM && frame.as.confirm.last >= tag)
            return true;
    return false;
}

static const char *judge_started(struct flips *flips, bool is_whole)
{
    bool is_complete;
    if (!actor_enter(alice) || !actor_enter(bob))
        return "nobody is let in";
    const char *violation = read_all(&is_complete);
    if (violation != NULL)
        return violation;
    flips->complete += is_complete;
    flips->unreadable += !is_complete;
    if (is_complete != is_whole)
        return is_whole ? "what was verified cannot be read" : "what can be read is not verified";
    if (!can_be_confirmed(say_entity(alice, "account", EVENTS / FILE_EVENTS, "one more")))
        return "the version of an entity is another";
    return NULL;
}

static const char *judge(struct flips *flips)
{
    bool is_whole = is_verified(scene->sim);
    uint64_t changes = disk_sim_changes(scene->sim);
    scene->failure = (struct journal_failure){.text = ""};
    if (scene_start(scene)) {
        scene_settle(scene);
        return judge_started(flips, is_whole);
    }
    flips->refused++;
    if (is_whole)
        return "what was verified is refused";
    if (disk_sim_changes(scene->sim) > changes + 1) /* the pages of the index are removed */
        return "what was refused was written to";
    return scene->failure.file[0] != '\0' ? NULL : "a refusal names no file";
}

/* --- flipping -----------------------------------------------------------------------------------
 */

static void flip_one(struct flips *flips, const char *name, uint64_t offset, unsigned bit)
{
    disk_sim_free(scene->sim);
    scene->sim = disk_sim_clone(flips->base);
    disk_sim_flip(scene->sim, name, offset, (unsigned char)(1u << bit));
    const char *violation = judge(flips);
    scene_die(scene);
    if (violation == NULL)
        return;
    flips->violations++;
    printf("violation: %s (%s, byte %" PRIu64
           ", bit %u)\n  again: crash_flip_history --life %" PRIu64 "\n",
           violation, name, offset, bit, offset);
}

static void flip_file(struct flips *flips, const struct crash_run *run, const char *name)
{
    uint64_t bits = run->cases < BITS ? run->cases : BITS;
    uint64_t bytes = disk_sim_size(flips->base, name);
    for (uint64_t offset = 0; offset < bytes; offset++) {
        unsigned first = (unsigned)chance_below(&flips->chance, BITS);
        for (uint64_t i = 0; i < bits; i++)
            if ((run->life == UINT64_MAX || run->life == offset) &&
                flips->violations < run->violations)
                flip_one(flips, name, offset, (first + (unsigned)i) % BITS);
    }
}

static struct flips flips;
static struct crash_run run;

/* The actors' lines are Check's assertions, which want to be in a test. */
START_TEST(flip_all)
{
    prepare(&flips);
    for (size_t i = 0; i < flips.name_count; i++)
        flip_file(&flips, &run, flips.names[i]);
    disk_sim_free(flips.base);
    histories_tear_down();
}
END_TEST

int main(int count, char **word)
{
    if (crash_run_begin(&run, "crash_flip_history", 1, count, word) != STATUS_OK)
        return 2;
    flips.chance.state = run.seed;
    Suite *suite = suite_create("crash_flip_history");
    TCase *tcase = tcase_create("crash_flip_history");
    tcase_add_test(tcase, flip_all);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_MINIMAL);
    flips.violations += (uint64_t)srunner_ntests_failed(runner);
    srunner_free(runner);
    printf("bits flipped in %zu files: %" PRIu64 " refused, %" PRIu64 " complete, %" PRIu64
           " unreadable in part\n",
           flips.name_count, flips.refused, flips.complete, flips.unreadable);
    return crash_run_end(&run, flips.refused + flips.complete + flips.unreadable, flips.violations);
}
