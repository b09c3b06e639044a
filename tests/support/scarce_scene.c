/* A scene whose broker runs out of memory. */
#include "tests/support/scarce_scene.h"

#include <inttypes.h>
#include <stdio.h>

#include "tests/support/crash_world_run.h"

/* The fake peers of the net floor's tests lie in the same archive; core_new draws in the real ones.
 */
#pragma weak peer_new

/* Numbers of lives from here on run short in the start. */
static const uint64_t first_start = 1000000;

void scarce_run(struct scene *scene)
{
    enum { ROUNDS = 12, ERRANDS = 8 };
    for (int i = 0; i < ROUNDS; i++)
        scene_step(scene, ERRANDS);
}

bool scarce_enter(struct actor *actor)
{
    struct scene *scene = actor->scene;
    struct peer_origin origin = {.is_loopback = true, .text = "127.0.0.1:1"};
    unsigned char greeting[512];
    struct frame frame;
    bool is_in = false;
    actor_cut(actor);
    actor->in_start = actor->in_bytes = actor->out_bytes = 0;
    actor->tag = 0;
    actor->peer =
        scene->core != NULL && !scene->has_failed ? peer_new(scene->core, &origin, actor) : NULL;
    if (actor->peer == NULL)
        return false;
    actor_put(actor, greeting, actor_greeting(actor, greeting, sizeof greeting, 0, 0));
    actor_flush(actor);
    scarce_run(scene);
    while (actor_next(actor, &frame)) {
        if (frame.header.type == FRAME_HELLO_OK)
            actor->start = frame.as.hello_ok.start;
        is_in = is_in || frame.header.type == FRAME_AUTH_OK;
    }
    return is_in;
}

uint64_t scarce_say(struct actor *actor, struct frame *frame)
{
    if (actor->peer == NULL || actor->scene->has_failed)
        return UINT64_MAX;
    uint64_t tag = actor_write(actor, frame);
    actor_flush(actor);
    scarce_run(actor->scene);
    return tag;
}

void scarce_begin(const struct shortage *shortage)
{
    if (!shortage->is_in_start)
        scarce_fail_at(shortage->number, shortage->repeat);
}

static void on_note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

/* As scene_start, where a core may be refused for lack of memory. */
static enum status start_scarce(struct scene *scene)
{
    struct core *core = core_new(&scene->limits, on_note, NULL);
    if (core == NULL)
        return STATUS_NO_MEMORY;
    core_count_homes(core, &scene->journal);
    errand_line_init(&scene->line);
    enum status status =
        core_open_files(core, disk_sim_disk(scene->sim), &scene->options, &scene->failure);
    if (status == STATUS_OK)
        status = journal_open(&scene->journal, disk_sim_disk(scene->sim), &scene->options,
                              &(struct journal_reader){.on_record = core_on_record,
                                                       .on_read = core_on_read,
                                                       .argument = core},
                              &scene->failure);
    if (status == STATUS_OK)
        status = core_start(core, scene->journal, scene->now_ms);
    core_free(core);
    journal_free(scene->journal);
    scene->journal = NULL;
    return status;
}

const char *scarce_start_again(struct scene *scene, const struct shortage *shortage)
{
    scene_die(scene);
    disk_sim_kill(scene->sim);
    if (shortage->is_in_start) {
        scarce_fail_at(shortage->number, shortage->repeat);
        enum status status = start_scarce(scene);
        if (status != STATUS_OK && (status != STATUS_NO_MEMORY || !scarce_has_failed()))
            return "a start failed for something else than lack of memory";
        scarce_end();
        disk_sim_kill(scene->sim);
    }
    return scene_start(scene) ? NULL : "the broker does not start again although there is memory";
}

static const char *live_once(const struct crash_run *run, uint64_t number,
                             const char *(*live)(uint64_t seed, const struct shortage *))
{
    bool is_in_start = number >= first_start;
    uint64_t failed = is_in_start ? number - first_start : number;
    struct shortage shortage = {.number = failed / 2,
                                .repeat = failed % 2 == 0 ? SCARCE_ONCE : SCARCE_FOREVER,
                                .is_in_start = is_in_start};
    uint64_t block_count = scarce_block_count();
    const char *violation = live(run->seed, &shortage);
    if (violation == NULL && scarce_block_count() != block_count)
        return "memory was not given back";
    return violation;
}

int scarce_main(const char *name, const char *(*live)(uint64_t seed, const struct shortage *),
                int count, char **word)
{
    struct crash_run run;
    uint64_t cases = 0;
    uint64_t violations = 0;
    if (crash_run_begin(&run, name, UINT64_MAX, count, word) != STATUS_OK)
        return 2;
    bool is_one = run.life != UINT64_MAX;
    bool is_in_start = false;
    uint64_t number = is_one ? run.life : 0;
    for (bool is_over = false; !is_over;) {
        const char *violation = live_once(&run, number, live);
        cases++;
        if (violation != NULL) {
            violations++;
            printf("violation: %s\n  again: %s --seed %" PRIu64 " --life %" PRIu64 "\n", violation,
                   name, run.seed, number);
        }
        is_over = is_one || (!scarce_has_failed() && is_in_start);
        number = scarce_has_failed() ? number + 1 : first_start;
        is_in_start = number >= first_start;
    }
    return crash_run_end(&run, cases, violations);
}
