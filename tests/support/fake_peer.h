/* A core with nothing behind its doors, for tests of the net floor: its peers split what comes in
 * into frames of one kind (a length of four bytes, then as much), and count them.
 *
 * Linking it replaces the real core's peers.
 */
#ifndef HERALD_FAKE_PEER_H
#define HERALD_FAKE_PEER_H

#include "broker/core/core.h"
#include "broker/core/peer.h"

struct fake_figures {
    uint32_t peer_count; /* that live */
    uint32_t made_count; /* that ever lived */
    uint32_t frame_count;
    uint64_t frame_bytes;
    uint32_t receive_count; /* calls of peer_receive */
    uint32_t heartbeat_count;
    enum status closed_with;   /* the last peer_close */
    struct peer_origin origin; /* of the newest peer */
    struct peer *newest;
};

struct fake_settings {
    uint32_t frame_bytes_max; /* a larger frame closes the peer with FRAME_TOO_LARGE */
    uint32_t heartbeat_ms;    /* what peers answer */
    bool opens_at_once;       /* the first frame opens the peer */
    uint32_t echo_bytes;      /* answered to each frame */
    uint32_t round_frames;    /* taken in one round, which fake_core_next_round ends; 0: all */
};

struct core *fake_core_new(const struct fake_settings *settings);
void fake_core_free(struct core *core);
struct fake_figures *fake_core_figures(struct core *core);

void fake_core_next_round(struct core *core);

/* Puts zeros into the peer's output. */
void fake_peer_say(struct peer *peer, size_t bytes);

#endif
