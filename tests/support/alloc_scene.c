/* A scene in which memory may run out. */
#include "tests/support/alloc_scene.h"

/* The fake peers of the net floor's tests lie in the same archive; core_new draws in the real ones.
 */
#pragma weak peer_new

void alloc_run(struct scene *scene)
{
    enum { ROUNDS = 12, ERRANDS = 8 };
    for (int i = 0; i < ROUNDS; i++)
        scene_step(scene, ERRANDS);
}

bool alloc_enter(struct actor *actor)
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
    alloc_run(scene);
    while (actor_next(actor, &frame)) {
        if (frame.header.type == FRAME_HELLO_OK)
            actor->start = frame.as.hello_ok.start;
        is_in = is_in || frame.header.type == FRAME_AUTH_OK;
    }
    return is_in;
}

uint64_t alloc_say(struct actor *actor, struct frame *frame)
{
    if (actor->peer == NULL || actor->scene->has_failed)
        return 0;
    uint64_t tag = actor_write(actor, frame);
    actor_flush(actor);
    alloc_run(actor->scene);
    return tag;
}

static void on_note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

enum status alloc_try_start(struct scene *scene)
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
