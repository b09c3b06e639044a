/* A whole broker for a test: the core and its journal in one process, on a simulated disk, with a
 * simulated clock and clients that speak real frames without sockets.
 *
 * The same seed gives the same scene again. Errands of the journal are run on the test's own
 * thread: at once, or, while syncs are held, only those that are no commit.
 *
 *   scene_new -> actors come and speak -> scene_crash or scene_restart -> ... -> scene_free
 *
 * A crash and a restart end all connections; the actors stay and may connect again.
 */
#ifndef HERALD_TEST_SCENE_H
#define HERALD_TEST_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/core.h"
#include "broker/core/peer.h"
#include "protocol/frame.h"
#include "tests/support/chance.h"
#include "tests/support/disk_sim.h"
#include "tests/support/errand_line.h"

enum {
    SCENE_ACTORS_MAX = 64,
    SCENE_SEGMENT_BYTES = 256 << 10,
    SCENE_MESSAGE_BYTES_MAX = 32 << 10,
    SCENE_FRAME_BYTES_MAX = 4096,
};

struct scene;

/* A client: the far end of one connection at a time. */
struct actor {
    struct scene *scene;
    struct peer *peer;     /* NULL: not connected */
    char client[64];       /* its lasting name; empty: none */
    uint64_t tag;          /* of the last tagged frame */
    uint64_t answered;     /* as AUTH_OK said */
    uint32_t start;        /* as HELLO_OK said */
    uint64_t credit_count; /* CREDIT frames seen; they are not given out by actor_next */
    uint64_t credit_messages;
    uint64_t credit_bytes;
    char earlier_checkpoint[128]; /* of the last EARLIER; not given out either */
    char earlier_code[64];
    uint64_t counted;               /* of the last COUNT, likewise */
    struct frame_appended appended; /* the last, likewise */
    uint16_t last_close;            /* code of a CLOSE that came instead of AUTH_OK */
    bool is_stalled;                /* takes no bytes from the broker */
    unsigned char *out;             /* said and not yet taken by the broker */
    size_t out_bytes;
    size_t out_room;
    bool is_behind;    /* there are frames in `out` for the next round */
    unsigned char *in; /* come and not yet taken by the test */
    size_t in_start;
    size_t in_bytes;
    size_t in_room;
    unsigned char *body; /* of the last frame that came in pieces */
};

struct scene {
    struct disk_sim *sim;
    struct errand_line line;
    struct journal *journal;
    struct core *core;
    struct core_limits limits;
    struct journal_options options;
    struct journal_failure failure; /* of the last failed start */
    struct chance chance;
    uint64_t now_ms;
    uint64_t start_count; /* each has a secret of its own */
    bool are_syncs_held;
    bool has_failed; /* the disk failed: the process would have ended */
    struct actor *actors[SCENE_ACTORS_MAX];
    size_t actor_count;
};

/* Limits that fit small segments. */
struct core_limits scene_limits(void);

/* A broker on a new disk. Freed by scene_free, with all actors. */
struct scene *scene_new(uint64_t seed);
struct scene *scene_new_with(uint64_t seed, const struct core_limits *limits);
struct scene *scene_new_sized(uint64_t seed, const struct core_limits *limits,
                              uint32_t segment_bytes);
void scene_free(struct scene *scene);

/* Starts the core on what the disk has. False: recovery failed, scene->failure says why. */
bool scene_start(struct scene *scene);

/* One round, or as many as there is work for, errands and output included. */
void scene_round(struct scene *scene);
void scene_settle(struct scene *scene);

/* One round and at most so many errands, in no special order. */
void scene_step(struct scene *scene, uint64_t errands_max);

void scene_hold_syncs(struct scene *scene);
void scene_release_syncs(struct scene *scene);
void scene_advance_ms(struct scene *scene, uint64_t ms);

/* Ends the process where it stands, without a start behind it. */
void scene_die(struct scene *scene);

/* The same, then the power fails (or only the process dies), and the broker starts again. */
void scene_crash(struct scene *scene, enum disk_sim_policy policy);
void scene_kill(struct scene *scene);

/* Drains, stops in good order and starts again. */
void scene_stop(struct scene *scene);
void scene_restart(struct scene *scene);

/* A client that is not connected; `client` may be empty. */
struct actor *scene_actor(struct scene *scene, const char *client);

/* Connects without a word. */
void actor_connect(struct actor *actor);

/* Connects with magic, HELLO and AUTH; the test goes on behind AUTH_OK. False: it was not let in.
 */
bool actor_enter(struct actor *actor);
bool actor_resume(struct actor *actor, uint64_t seen);

/* Bytes of magic, HELLO and AUTH, and how many. */
size_t actor_greeting(const struct actor *actor, unsigned char *at, size_t room, uint8_t resume,
                      uint64_t seen);

/* The connection is gone; what came is kept. */
void actor_cut(struct actor *actor);

/* Writes bytes or a frame for the broker to read later, lets it read them, or both and settles. A
 * tagged frame without a tag gets the next one; its tag is returned. */
void actor_put(struct actor *actor, const void *at, size_t bytes);
uint64_t actor_write(struct actor *actor, struct frame *frame);
void actor_flush(struct actor *actor);
uint64_t actor_say(struct actor *actor, struct frame *frame);

/* What the broker has for a stalled actor; takes so many bytes of it unread. */
size_t actor_unsent(const struct actor *actor);
void actor_drop(struct actor *actor, size_t bytes);

/* The next frame that came, bodies made whole; it holds until the next call for this actor. False:
 * there is none. */
bool actor_next(struct actor *actor, struct frame *frame);

#endif
