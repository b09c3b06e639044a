/* A whole broker for a test, in one process. */
#include "tests/support/scene.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fake peers of the net floor's tests lie in the same archive under the same names. A weak
 * reference does not draw them in; core_new and its like draw in the real ones. */
#pragma weak core_next_dirty
#pragma weak peer_close
#pragma weak peer_free
#pragma weak peer_new
#pragma weak peer_output
#pragma weak peer_receive
#pragma weak peer_sent

enum { ROUNDS_MAX = 100000 };

struct core_limits scene_limits(void)
{
    return (struct core_limits){
        .message_bytes_max = SCENE_MESSAGE_BYTES_MAX,
        .frame_bytes_max = SCENE_FRAME_BYTES_MAX,
        .headers_count_max = 8,
        .headers_bytes_max = 2048,
        .queues_max = 1000,
        .exchanges_max = 100,
        .bindings_max = 1000,
        .consumers_max = 1000,
        .clients_max = 1000,
        .calls_max = 1000,
        .timers_max = 1000,
        .lane_window = 1000,
        .tracked_max = 1000,
        .keys_max = 100,
        .results_max = 1000,
        .results_bytes_max = 1 << 20,
        .result_bytes_max = 16 << 10,
        .checkpoint_bytes_max = 100,
        .result_ttl_ms = 60000,
        .attempts_max = 5,
        .refusals_max = 1000,
        .transient_bytes_max = 4 << 20,
        .index_bytes_max = 1 << 20,
        .unsent_bytes_max = 64 << 10,
        .live_unsent_bytes_max = 128 << 10,
        .credit_messages = 1000,
        .credit_bytes = 1 << 20,
        .pending_bytes_max = 1 << 20,
        .restate_bytes_per_second = 1 << 20,
        .heartbeat_ms = 20000,
        .queue_prefetch_messages = 1,
        .event_prefetch_messages = 256,
        .entities_max = 1000,
        .history_file_bytes = 64 << 10,
        .history_keys_max = 1000,
        .history_read_bytes_max = 1 << 20,
        .history_save_bytes = 128 << 10,
    };
}

static void on_note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context;
    (void)level;
    (void)area;
    (void)text;
}

bool scene_start(struct scene *scene)
{
    errand_line_init(&scene->line);
    scene->has_failed = false;
    scene->core = core_new(&scene->limits, on_note, NULL);
    assert(scene->core != NULL);
    unsigned char secret[16];
    memset(secret, (int)++scene->start_count, sizeof secret);
    core_set_secret(scene->core, secret);
    core_count_homes(scene->core, &scene->journal);
    enum status status =
        core_open_files(scene->core, disk_sim_disk(scene->sim), &scene->options, &scene->failure);
    if (status == STATUS_OK)
        status = journal_open(&scene->journal, disk_sim_disk(scene->sim), &scene->options,
                              &(struct journal_reader){.on_record = core_on_record,
                                                       .on_read = core_on_read,
                                                       .argument = scene->core},
                              &scene->failure);
    if (status == STATUS_OK) {
        uint64_t newest_ms = journal_recovery(scene->journal).newest_ms;
        if (scene->now_ms < newest_ms)
            scene->now_ms = newest_ms;
        status = core_start(scene->core, scene->journal, scene->now_ms);
    }
    if (status != STATUS_OK) {
        const struct journal_failure *found = core_failure(scene->core);
        if (found != NULL)
            scene->failure = *found;
        core_free(scene->core);
        journal_free(scene->journal);
        scene->core = NULL;
        scene->journal = NULL;
        return false;
    }
    core_allow_anonymous(scene->core);
    return true;
}

struct scene *scene_new_sized(uint64_t seed, const struct core_limits *limits,
                              uint32_t segment_bytes)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert(scene != NULL);
    scene->sim = disk_sim_new(seed);
    scene->limits = *limits;
    scene->chance.state = seed;
    scene->now_ms = 1000000;
    scene->options = (struct journal_options){.segment_bytes = segment_bytes,
                                              .spare_count = 2,
                                              .cache_bytes_max = 1 << 20,
                                              .post = errand_line_post,
                                              .post_context = &scene->line};
    bool has_started = scene_start(scene);
    assert(has_started);
    scene_settle(scene);
    return scene;
}

struct scene *scene_new_with(uint64_t seed, const struct core_limits *limits)
{
    return scene_new_sized(seed, limits, SCENE_SEGMENT_BYTES);
}

struct scene *scene_new(uint64_t seed)
{
    struct core_limits limits = scene_limits();
    return scene_new_with(seed, &limits);
}

void scene_free(struct scene *scene)
{
    scene_die(scene);
    for (size_t i = 0; i < scene->actor_count; i++) {
        free(scene->actors[i]->out);
        free(scene->actors[i]->in);
        free(scene->actors[i]->body);
        free(scene->actors[i]);
    }
    disk_sim_free(scene->sim);
    free(scene);
}

/* --- rounds -------------------------------------------------------------------------------------
 */

static void bytes_append(unsigned char **at, size_t *bytes, size_t *room, const void *more,
                         size_t more_bytes)
{
    if (*bytes + more_bytes > *room) {
        *room = (*bytes + more_bytes) * 2;
        *at = realloc(*at, *room);
        assert(*at != NULL);
    }
    if (more_bytes > 0)
        memcpy(*at + *bytes, more, more_bytes);
    *bytes += more_bytes;
}

/* Takes over what the broker has for the actor, as a socket with room would. */
static void actor_take(struct actor *actor)
{
    if (actor->peer == NULL || actor->is_stalled)
        return;
    const struct buffer *output = peer_output(actor->peer);
    size_t bytes = buffer_bytes(output);
    if (bytes == 0)
        return;
    bytes_append(&actor->in, &actor->in_bytes, &actor->in_room, buffer_at(output), bytes);
    peer_sent(actor->peer, bytes);
}

/* Runs an errand and gives it back. False: there was none, or the disk failed. */
static bool run_errand(struct scene *scene, struct errand *errand)
{
    if (errand == NULL || scene->has_failed)
        return false;
    errand->run(errand);
    scene->has_failed = core_on_errand(scene->core, errand) != STATUS_OK;
    return !scene->has_failed;
}

/* Runs all that was posted; with held syncs no commits. True: there was something. */
static bool run_errands(struct scene *scene)
{
    bool has_run = false;
    while (run_errand(scene, scene->are_syncs_held
                                 ? errand_line_take_of(&scene->line, ERRAND_BACKGROUND)
                                 : errand_line_take(&scene->line)))
        has_run = true;
    return has_run;
}

void scene_round(struct scene *scene)
{
    if (scene->has_failed || scene->core == NULL)
        return;
    core_set_time(scene->core, scene->now_ms);
    for (size_t i = 0; i < scene->actor_count; i++) {
        if (scene->actors[i]->is_behind)
            actor_flush(scene->actors[i]);
    }
    core_end_of_round(scene->core);
    while (core_next_dirty(scene->core) != NULL)
        continue;
    for (size_t i = 0; i < scene->actor_count; i++)
        actor_take(scene->actors[i]);
}

static bool is_any_behind(const struct scene *scene)
{
    for (size_t i = 0; i < scene->actor_count; i++) {
        if (scene->actors[i]->is_behind)
            return true;
    }
    return false;
}

void scene_settle(struct scene *scene)
{
    for (int i = 0; i < ROUNDS_MAX && !scene->has_failed && scene->core != NULL; i++) {
        scene_round(scene);
        bool has_run = run_errands(scene);
        if (!has_run && !core_has_more(scene->core) && !is_any_behind(scene))
            return;
    }
    assert(scene->has_failed || scene->core == NULL);
}

void scene_step(struct scene *scene, uint64_t errands_max)
{
    scene_round(scene);
    for (uint64_t i = 0; i < errands_max && !scene->has_failed && scene->core != NULL; i++)
        (void)run_errand(scene,
                         errand_line_take_of(&scene->line, chance_below(&scene->chance, 3) == 0
                                                               ? ERRAND_BACKGROUND
                                                               : ERRAND_COMMIT));
}

void scene_hold_syncs(struct scene *scene)
{
    scene->are_syncs_held = true;
}

void scene_release_syncs(struct scene *scene)
{
    scene->are_syncs_held = false;
    scene_settle(scene);
}

void scene_advance_ms(struct scene *scene, uint64_t ms)
{
    scene->now_ms += ms;
    scene_settle(scene);
}

/* --- the end ------------------------------------------------------------------------------------
 */

/* Errands belong to the journal and must all have come back before it goes; on a stopped disk they
 * do nothing. */
static void end_errands(struct scene *scene)
{
    struct errand *errand;
    while ((errand = errand_line_take(&scene->line)) != NULL) {
        errand->run(errand);
        (void)core_on_errand(scene->core, errand);
    }
}

void scene_die(struct scene *scene)
{
    if (scene->core == NULL)
        return;
    disk_sim_crash_at(scene->sim, disk_sim_operations(scene->sim));
    end_errands(scene);
    for (size_t i = 0; i < scene->actor_count; i++) {
        peer_free(scene->actors[i]->peer);
        scene->actors[i]->peer = NULL;
    }
    end_errands(scene);
    core_free(scene->core);
    journal_free(scene->journal);
    scene->core = NULL;
    scene->journal = NULL;
    scene->are_syncs_held = false;
}

void scene_crash(struct scene *scene, enum disk_sim_policy policy)
{
    scene_die(scene);
    disk_sim_power_loss(scene->sim, policy, chance_next(&scene->chance));
    bool has_started = scene_start(scene);
    assert(has_started);
    scene_settle(scene);
}

void scene_kill(struct scene *scene)
{
    scene_die(scene);
    disk_sim_kill(scene->sim);
    bool has_started = scene_start(scene);
    assert(has_started);
    scene_settle(scene);
}

void scene_stop(struct scene *scene)
{
    core_drain(scene->core, 0);
    scene_settle(scene);
    core_stop(scene->core);
    scene_settle(scene);
    for (size_t i = 0; i < scene->actor_count; i++)
        if (scene->actors[i]->peer != NULL)
            peer_close(scene->actors[i]->peer, STATUS_GOODBYE, NULL);
    scene_round(scene);
    for (size_t i = 0; i < scene->actor_count; i++) {
        peer_free(scene->actors[i]->peer);
        scene->actors[i]->peer = NULL;
    }
    scene_settle(scene);
    if (!scene->has_failed && journal_stop(scene->journal, scene->now_ms) != STATUS_OK)
        scene->has_failed = true;
    end_errands(scene);
    core_free(scene->core);
    journal_free(scene->journal);
    scene->core = NULL;
    scene->journal = NULL;
    if (!scene->has_failed)
        disk_sim_kill(scene->sim);
}

void scene_restart(struct scene *scene)
{
    scene_stop(scene);
    bool has_started = scene_start(scene);
    assert(has_started);
    scene_settle(scene);
}

/* --- actors -------------------------------------------------------------------------------------
 */

struct actor *scene_actor(struct scene *scene, const char *client)
{
    assert(scene->actor_count < SCENE_ACTORS_MAX);
    struct actor *actor = calloc(1, sizeof *actor);
    assert(actor != NULL && strlen(client) < sizeof actor->client);
    actor->scene = scene;
    memcpy(actor->client, client, strlen(client) + 1);
    scene->actors[scene->actor_count++] = actor;
    return actor;
}

void actor_connect(struct actor *actor)
{
    struct peer_origin origin = {.is_loopback = true, .text = "127.0.0.1:1"};
    actor_cut(actor);
    actor->in_start = actor->in_bytes = actor->out_bytes = 0;
    actor->credit_count = actor->credit_messages = actor->credit_bytes = 0;
    actor->peer = peer_new(actor->scene->core, &origin, actor);
    assert(actor->peer != NULL);
}

size_t actor_greeting(const struct actor *actor, unsigned char *at, size_t room, uint8_t resume,
                      uint64_t seen)
{
    struct wire_writer w = wire_writer_of(at, room);
    wire_put_rest(&w, wire_bytes_of(frame_magic, FRAME_MAGIC_BYTES));
    struct frame_hello hello = {.version = FRAME_VERSION,
                                .frame_bytes_max = 64 << 10,
                                .client = wire_bytes_of_text(actor->client),
                                .seen = seen,
                                .resume = resume,
                                .product = wire_bytes_of_text("actor")};
    frame_put_hello(&w, 0, 0, &hello);
    frame_put_auth(&w, 0, 0, &(struct frame_auth){.mechanism = wire_bytes_of_text("ANONYMOUS")});
    assert(!w.failed);
    return wire_written(&w);
}

static bool enter(struct actor *actor, uint8_t resume, uint64_t seen)
{
    unsigned char greeting[512];
    actor_connect(actor);
    actor_put(actor, greeting, actor_greeting(actor, greeting, sizeof greeting, resume, seen));
    actor_flush(actor);
    scene_settle(actor->scene);
    struct frame frame;
    while (actor_next(actor, &frame)) {
        if (frame.header.type == FRAME_HELLO_OK)
            actor->start = frame.as.hello_ok.start;
        if (frame.header.type == FRAME_CLOSE)
            actor->last_close = frame.as.close.code;
        if (frame.header.type != FRAME_AUTH_OK)
            continue;
        actor->answered = frame.as.auth_ok.answered;
        if (!resume)
            actor->tag = 0;
        return true;
    }
    return false;
}

bool actor_enter(struct actor *actor)
{
    return enter(actor, 0, 0);
}

bool actor_resume(struct actor *actor, uint64_t seen)
{
    return enter(actor, 1, seen);
}

void actor_cut(struct actor *actor)
{
    peer_free(actor->peer);
    actor->peer = NULL;
}

void actor_put(struct actor *actor, const void *at, size_t bytes)
{
    bytes_append(&actor->out, &actor->out_bytes, &actor->out_room, at, bytes);
}

uint64_t actor_write(struct actor *actor, struct frame *frame)
{
    if (frame_line(frame->header.type) != FRAME_LINE_NONE && frame->header.tag == 0)
        frame->header.tag = ++actor->tag;
    size_t bytes = frame_encoded_bytes(frame);
    unsigned char *at = malloc(bytes);
    assert(at != NULL);
    struct wire_writer w = wire_writer_of(at, bytes);
    bool fits = frame_encode(&w, frame);
    assert(fits);
    actor_put(actor, at, wire_written(&w));
    free(at);
    return frame->header.tag;
}

void actor_flush(struct actor *actor)
{
    size_t wanted;
    if (actor->peer == NULL || actor->scene->has_failed) {
        actor->out_bytes = 0;
        actor->is_behind = false;
        return;
    }
    core_set_time(actor->scene->core, actor->scene->now_ms);
    size_t used = peer_receive(actor->peer, actor->out, actor->out_bytes, &wanted);
    actor->out_bytes -= used;
    actor->is_behind = wanted == 0 && actor->out_bytes > 0;
    memmove(actor->out, actor->out + used, actor->out_bytes);
}

uint64_t actor_say(struct actor *actor, struct frame *frame)
{
    uint64_t tag = actor_write(actor, frame);
    actor_flush(actor);
    scene_settle(actor->scene);
    return tag;
}

size_t actor_unsent(const struct actor *actor)
{
    return buffer_bytes(peer_output(actor->peer));
}

void actor_drop(struct actor *actor, size_t bytes)
{
    size_t unsent = actor_unsent(actor);
    peer_sent(actor->peer, bytes < unsent ? bytes : unsent);
}

static bool next_raw(struct actor *actor, struct frame *frame)
{
    size_t bytes = actor->in_bytes - actor->in_start;
    if (bytes < FRAME_HEADER_BYTES)
        return false;
    const unsigned char *at = actor->in + actor->in_start;
    struct frame_header header = frame_header_load(at);
    if (header.length > bytes)
        return false;
    frame->header = header;
    enum status status = frame_decode(frame, at);
    assert(status == STATUS_OK);
    actor->in_start += header.length;
    return true;
}

/* Gathers the pieces behind a frame; the broker sends them right behind it. */
static void gather(struct actor *actor, struct wire_bytes *body, uint32_t body_bytes)
{
    if (body->bytes == body_bytes)
        return;
    free(actor->body);
    actor->body = malloc(body_bytes);
    assert(actor->body != NULL);
    memcpy(actor->body, body->at, body->bytes);
    while (body->bytes < body_bytes) {
        struct frame piece;
        bool has_come = next_raw(actor, &piece);
        assert(has_come && piece.header.type == FRAME_PIECE);
        assert(piece.as.piece.body.bytes <= body_bytes - body->bytes);
        memcpy(actor->body + body->bytes, piece.as.piece.body.at, piece.as.piece.body.bytes);
        body->bytes += piece.as.piece.body.bytes;
    }
    body->at = actor->body;
}

static void take_earlier(struct actor *actor, const struct frame_earlier *earlier)
{
    (void)snprintf(actor->earlier_checkpoint, sizeof actor->earlier_checkpoint, "%.*s",
                   (int)earlier->checkpoint.bytes, (const char *)earlier->checkpoint.at);
    (void)snprintf(actor->earlier_code, sizeof actor->earlier_code, "%.*s",
                   (int)earlier->code.bytes, (const char *)earlier->code.at);
}

bool actor_next(struct actor *actor, struct frame *frame)
{
    while (next_raw(actor, frame)) {
        if (frame->header.type == FRAME_CREDIT) {
            actor->credit_count++;
            actor->credit_messages += frame->as.credit.messages;
            actor->credit_bytes += frame->as.credit.bytes;
            continue;
        }
        if (frame->header.type == FRAME_COUNT) {
            actor->counted = frame->as.count.count;
            continue;
        }
        if (frame->header.type == FRAME_APPENDED) {
            actor->appended = frame->as.appended;
            continue;
        }
        if (frame->header.type == FRAME_EARLIER) {
            take_earlier(actor, &frame->as.earlier);
            continue;
        }
        if (frame->header.type == FRAME_DELIVER)
            gather(actor, &frame->as.deliver.body, frame->as.deliver.body_bytes);
        if (frame->header.type == FRAME_OUTCOME)
            gather(actor, &frame->as.outcome.body, frame->as.outcome.body_bytes);
        if (frame->header.type == FRAME_EVENT)
            gather(actor, &frame->as.event.body, frame->as.event.body_bytes);
        if (frame->header.type == FRAME_PEEKED)
            gather(actor, &frame->as.peeked.body, frame->as.peeked.body_bytes);
        if (frame->header.type == FRAME_COMMAND_STATE)
            gather(actor, &frame->as.command_state.body, frame->as.command_state.body_bytes);
        return true;
    }
    return false;
}
