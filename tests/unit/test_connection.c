/* Connections over real sockets and a made-up clock, with a core that has nothing behind its doors.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/net/connection.h"
#include "broker/net/loop.h"
#include "protocol/wire.h"
#include "tests/support/check_main.h"
#include "tests/support/fake_peer.h"

struct world {
    struct core *core;
    struct fake_figures *seen;
    struct loop *loop;
    struct net *net;
    uint64_t now_ms;
    bool has_more; /* the last round left something for the next */
};

static uint64_t begin(void *context)
{
    return ((struct world *)context)->now_ms;
}

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context;
    (void)level;
    (void)area;
    (void)text;
}

static const struct fake_settings plain = {65536, 1000, true, 0, 0};

static void world_start(struct world *w, const struct fake_settings *settings)
{
    w->now_ms = 1000000;
    w->core = fake_core_new(settings);
    w->seen = fake_core_figures(w->core);
    w->loop = loop_new();
    struct net_options options = {
        .core = w->core,
        .loop = w->loop,
        .limits = {100, 50, 65536, 1024 * 1024, 500, 300},
        .begin = begin,
        .note = note,
        .context = w,
    };
    w->net = net_new(&options);
    ck_assert_ptr_nonnull(w->net);
}

static void world_stop(struct world *w)
{
    net_free(w->net);
    fake_core_free(w->core);
    loop_free(w->loop);
}

static void turn(struct world *w)
{
    ck_assert_int_eq(loop_round(w->loop, 0, 0), STATUS_OK);
    net_run_timers(w->net, w->now_ms);
    fake_core_next_round(w->core);
    net_take_behind(w->net);
    w->has_more = net_end_of_round(w->net);
}

static void pass(struct world *w, uint64_t ms)
{
    for (uint64_t end_ms = w->now_ms + ms; w->now_ms < end_ms; w->now_ms += 50)
        turn(w);
}

/* The client's end of a new connection. */
static int world_connect(struct world *w)
{
    int files[2];
    struct peer_origin origin = {.is_unix = true, .text = "test"};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, files), 0);
    connection_open_take(w->net, files[0], &origin);
    return files[1];
}

static void say_frame(int file, uint32_t bytes)
{
    unsigned char *frame = calloc(1, bytes);
    wire_store_u32(frame, bytes);
    ck_assert_int_eq(write(file, frame, bytes), bytes);
    free(frame);
}

static bool is_ended(int file)
{
    char room[4096];
    ssize_t bytes;
    while ((bytes = read(file, room, sizeof(room))) > 0)
        ;
    return bytes == 0 || errno != EAGAIN;
}

START_TEST(test_frames_in_pieces_of_every_size)
{
    struct world w;
    world_start(&w, &plain);
    unsigned char stream[3 * 23 + 4 + 9];
    unsigned char *at = stream;
    const uint32_t sizes[] = {23, 4, 23, 9, 23};
    memset(stream, 0, sizeof(stream));
    for (size_t i = 0; i < 5; at += sizes[i++])
        wire_store_u32(at, sizes[i]);
    for (size_t piece = 1; piece <= sizeof(stream); piece++) {
        int file = world_connect(&w);
        w.seen->frame_count = 0;
        for (size_t i = 0; i < sizeof(stream); i += piece) {
            size_t bytes = sizeof(stream) - i < piece ? sizeof(stream) - i : piece;
            ck_assert_int_eq(write(file, stream + i, bytes), (ssize_t)bytes);
            turn(&w);
        }
        ck_assert_uint_eq(w.seen->frame_count, 5);
        close(file);
        turn(&w);
        ck_assert_uint_eq(w.seen->peer_count, 0);
    }
    world_stop(&w);
}
END_TEST

/* The rest of a long frame is gathered without asking the core about every byte of it. */
START_TEST(test_a_long_frame_byte_by_byte)
{
    struct world w;
    world_start(&w, &plain);
    int file = world_connect(&w);
    unsigned char frame[2000] = {0};
    wire_store_u32(frame, sizeof(frame));
    for (size_t i = 0; i < sizeof(frame); i++) {
        ck_assert_int_eq(write(file, frame + i, 1), 1);
        turn(&w);
    }
    ck_assert_uint_eq(w.seen->frame_count, 1);
    ck_assert_uint_le(w.seen->receive_count, 4);
    close(file);
    world_stop(&w);
}
END_TEST

START_TEST(test_a_torrent_is_taken_in_several_rounds)
{
    struct world w;
    world_start(&w, &plain);
    int file = world_connect(&w);
    int room = 8 * 1024 * 1024;
    setsockopt(file, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
    unsigned char chunk[64000] = {0};
    for (uint32_t i = 0; i < 64000; i += 100)
        wire_store_u32(chunk + i, 100);
    uint32_t wanted = 0;
    for (int i = 0; i < 400; i++) {
        size_t done = 0;
        while (done < sizeof(chunk)) {
            ssize_t bytes = write(file, chunk + done, sizeof(chunk) - done);
            if (bytes > 0)
                done += (size_t)bytes;
            turn(&w);
        }
        wanted += 640;
    }
    for (int i = 0; i < 100; i++)
        turn(&w);
    ck_assert_uint_eq(w.seen->frame_count, wanted);
    close(file);
    world_stop(&w);
}
END_TEST

/* A core that takes four frames in a round has the others wait, in order and unharmed, and a second
 * connection has its turn in between. */
START_TEST(test_frames_wait_for_the_next_round)
{
    struct world w;
    struct fake_settings settings = plain;
    settings.round_frames = 4;
    world_start(&w, &settings);
    int greedy = world_connect(&w);
    int modest = world_connect(&w);
    for (int i = 0; i < 40; i++)
        say_frame(greedy, 100);
    say_frame(modest, 4);
    for (uint32_t round = 1; round <= 11; round++) {
        turn(&w);
        ck_assert_uint_le(w.seen->frame_count, 8 * round);
        ck_assert(w.has_more || w.seen->frame_count == 41);
    }
    ck_assert_uint_eq(w.seen->frame_count, 41);
    turn(&w);
    ck_assert(!w.has_more);
    say_frame(greedy, 100);
    turn(&w);
    ck_assert_uint_eq(w.seen->frame_count, 42);
    close(greedy);
    close(modest);
    world_stop(&w);
}
END_TEST

START_TEST(test_frames_that_wait_go_with_their_connection)
{
    struct world w;
    struct fake_settings settings = plain;
    settings.round_frames = 1;
    world_start(&w, &settings);
    int file = world_connect(&w);
    for (int i = 0; i < 10; i++)
        say_frame(file, 100);
    turn(&w);
    ck_assert(w.has_more);
    net_stop_reading(w.net);
    uint32_t taken = w.seen->frame_count;
    turn(&w);
    ck_assert_uint_eq(w.seen->frame_count, taken);
    ck_assert(!w.has_more);
    net_close_all(w.net, STATUS_GOODBYE);
    pass(&w, 500);
    ck_assert_uint_eq(net_figures(w.net).connection_count, 0);
    ck_assert_uint_eq(w.seen->frame_count, taken);
    close(file);
    world_stop(&w);
}
END_TEST

/* An event for everybody: one round writes to some of them, the next goes on with the others. */
START_TEST(test_output_for_many_takes_several_rounds)
{
    enum { COUNT = 20, BYTES = 1 << 20 };
    struct world w;
    world_start(&w, &plain);
    int files[COUNT];
    struct peer *peers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        files[i] = world_connect(&w);
        peers[i] = w.seen->newest;
    }
    turn(&w);
    for (int i = 0; i < COUNT; i++)
        fake_peer_say(peers[i], BYTES);
    turn(&w);
    ck_assert(w.has_more);
    int reached = 0;
    for (int i = 0; i < COUNT; i++)
        reached += buffer_bytes(peer_output(peers[i])) < BYTES;
    ck_assert_int_gt(reached, 0);
    ck_assert_int_lt(reached, COUNT);
    for (int i = 0; w.has_more && i < COUNT; i++)
        turn(&w);
    for (int i = 0; i < COUNT; i++)
        ck_assert_uint_lt(buffer_bytes(peer_output(peers[i])), BYTES);
    for (int i = 0; i < COUNT; i++)
        close(files[i]);
    world_stop(&w);
}
END_TEST

START_TEST(test_a_silent_stranger_is_closed_in_time)
{
    struct world w;
    world_start(&w, &plain);
    int silent = world_connect(&w);
    int slow = world_connect(&w);
    pass(&w, 250);
    /* A byte now and then buys no time. */
    ck_assert_int_eq(write(slow, "\x40", 1), 1);
    pass(&w, 150);
    ck_assert_int_eq(write(slow, "\x00", 1), 1);
    turn(&w);
    ck_assert(!is_ended(silent));
    pass(&w, 250);
    ck_assert(is_ended(silent));
    ck_assert(is_ended(slow));
    ck_assert_int_eq(w.seen->closed_with, STATUS_TIMED_OUT);
    pass(&w, 500);
    ck_assert_uint_eq(net_figures(w.net).connection_count, 0);
    ck_assert_uint_eq(net_figures(w.net).unauthenticated_count, 0);
    close(silent);
    close(slow);
    world_stop(&w);
}
END_TEST

START_TEST(test_heartbeats_go_out_and_silence_ends)
{
    struct world w;
    world_start(&w, &plain);
    int file = world_connect(&w);
    say_frame(file, 4);
    turn(&w);
    pass(&w, 1900);
    ck_assert_uint_ge(w.seen->heartbeat_count, 3);
    ck_assert_uint_le(w.seen->heartbeat_count, 4);
    ck_assert(!is_ended(file));
    say_frame(file, 4);
    pass(&w, 1900);
    ck_assert(!is_ended(file));
    pass(&w, 300);
    ck_assert(is_ended(file));
    ck_assert_int_eq(w.seen->closed_with, STATUS_TIMED_OUT);
    close(file);
    world_stop(&w);
}
END_TEST

/* A broker that was held up itself finds input waiting and must not blame the peer. */
START_TEST(test_a_stall_of_our_own_kills_nobody)
{
    struct world w;
    world_start(&w, &plain);
    int file = world_connect(&w);
    say_frame(file, 4);
    turn(&w);
    say_frame(file, 4);
    w.now_ms += 60000;
    net_run_timers(w.net, w.now_ms);
    net_end_of_round(w.net);
    turn(&w);
    ck_assert(!is_ended(file));
    ck_assert_uint_eq(w.seen->frame_count, 2);
    close(file);
    world_stop(&w);
}
END_TEST

START_TEST(test_no_heartbeat_was_agreed)
{
    struct world w;
    struct fake_settings settings = plain;
    settings.heartbeat_ms = 0;
    world_start(&w, &settings);
    int file = world_connect(&w);
    say_frame(file, 4);
    pass(&w, 5000);
    ck_assert_uint_eq(w.seen->heartbeat_count, 0);
    ck_assert(!is_ended(file));
    ck_assert_uint_eq(net_next_due(w.net), UINT64_MAX);
    close(file);
    world_stop(&w);
}
END_TEST

START_TEST(test_output_waits_for_room_and_arrives_whole)
{
    struct world w;
    world_start(&w, &plain);
    int file = world_connect(&w);
    say_frame(file, 4);
    turn(&w);
    fake_peer_say(w.seen->newest, 900000);
    size_t got = 0;
    static char room[65536];
    for (int i = 0; i < 1000 && got < 900000; i++) {
        turn(&w);
        ssize_t bytes = read(file, room, sizeof(room));
        if (bytes > 0)
            got += (size_t)bytes;
    }
    ck_assert_uint_eq(got, 900000);
    close(file);
    world_stop(&w);
}
END_TEST

/* 1 MiB is the limit here: the peer's next frames stay in the socket until it reads. */
START_TEST(test_who_does_not_read_is_not_read)
{
    struct world w;
    struct fake_settings settings = plain;
    settings.echo_bytes = 60000;
    world_start(&w, &settings);
    int file = world_connect(&w);
    uint32_t sent = 0;
    for (int i = 0; i < 200; i++) {
        unsigned char frame[4];
        wire_store_u32(frame, 4);
        if (write(file, frame, 4) == 4)
            sent++;
        turn(&w);
    }
    ck_assert_uint_lt(w.seen->frame_count, 40);
    static char room[65536];
    for (int i = 0; i < 1000 && w.seen->frame_count < sent; i++) {
        while (read(file, room, sizeof(room)) > 0)
            ;
        turn(&w);
    }
    ck_assert_uint_eq(w.seen->frame_count, sent);
    close(file);
    world_stop(&w);
}
END_TEST

START_TEST(test_a_broken_peer_gets_the_reason_and_an_end)
{
    struct world w;
    world_start(&w, &plain);
    int file = world_connect(&w);
    unsigned char noise[4096];
    memset(noise, 0xff, sizeof(noise));
    ck_assert_int_eq(write(file, noise, sizeof(noise)), sizeof(noise));
    turn(&w);
    char first = 1;
    ck_assert_int_eq(read(file, &first, 1), 1);
    ck_assert_int_eq(first, 0);
    ck_assert_int_eq(read(file, &first, 1), 0);
    /* It goes on talking: thrown away, and the consumers of the peer are free already. */
    ck_assert_int_eq(write(file, noise, sizeof(noise)), sizeof(noise));
    turn(&w);
    ck_assert_uint_eq(w.seen->peer_count, 0);
    ck_assert_uint_eq(net_figures(w.net).connection_count, 1);
    close(file);
    turn(&w);
    ck_assert_uint_eq(net_figures(w.net).connection_count, 0);
    world_stop(&w);
}
END_TEST

START_TEST(test_a_closing_peer_that_never_reads_goes_in_time)
{
    struct world w;
    world_start(&w, &plain);
    int file = world_connect(&w);
    say_frame(file, 4);
    turn(&w);
    fake_peer_say(w.seen->newest, 10000000);
    peer_close(w.seen->newest, STATUS_REPLACED, NULL);
    turn(&w);
    pass(&w, 250);
    ck_assert_uint_eq(net_figures(w.net).connection_count, 1);
    pass(&w, 200);
    ck_assert_uint_eq(net_figures(w.net).connection_count, 0);
    close(file);
    world_stop(&w);
}
END_TEST

START_TEST(test_limits_turn_away_with_a_reason)
{
    struct world w;
    world_start(&w, &plain);
    int files[52];
    for (int i = 0; i < 52; i++)
        files[i] = world_connect(&w);
    turn(&w);
    ck_assert_uint_eq(net_figures(w.net).connection_count, 50);
    ck_assert_uint_eq(net_figures(w.net).refused_count, 2);
    unsigned char close_frame[256];
    ssize_t bytes = read(files[51], close_frame, sizeof(close_frame));
    ck_assert_int_gt(bytes, 18);
    ck_assert_int_eq(close_frame[4], 0x07);
    ck_assert_int_eq(wire_load_u16(close_frame + 16), STATUS_TOO_MANY_CONNECTIONS);
    ck_assert_int_eq(read(files[51], close_frame, 1), 0);
    for (int i = 0; i < 52; i++)
        close(files[i]);
    /* libevent looks at 32 files at first. */
    turn(&w);
    turn(&w);
    ck_assert_uint_eq(net_figures(w.net).connection_count, 0);
    world_stop(&w);
}
END_TEST

START_TEST(test_closing_all_says_goodbye)
{
    struct world w;
    world_start(&w, &plain);
    int open = world_connect(&w);
    int new = world_connect(&w);
    say_frame(open, 4);
    turn(&w);
    net_stop_reading(w.net);
    say_frame(open, 4);
    turn(&w);
    ck_assert_uint_eq(w.seen->frame_count, 1);
    net_close_all(w.net, STATUS_GOODBYE);
    turn(&w);
    ck_assert(is_ended(open));
    ck_assert(is_ended(new));
    ck_assert_uint_eq(w.seen->peer_count, 0);
    close(open);
    close(new);
    turn(&w);
    ck_assert_uint_eq(net_figures(w.net).connection_count, 0);
    world_stop(&w);
}
END_TEST

START_TEST(test_everything_goes_with_the_net)
{
    struct world w;
    world_start(&w, &plain);
    int file = world_connect(&w);
    say_frame(file, 4);
    turn(&w);
    ck_assert_int_eq(write(file, "\x10", 1), 1);
    turn(&w);
    fake_peer_say(w.seen->newest, 10);
    net_close_all(w.net, STATUS_GOODBYE);
    world_stop(&w);
    close(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connection");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_frames_in_pieces_of_every_size);
    tcase_add_test(tcase, test_a_long_frame_byte_by_byte);
    tcase_add_test(tcase, test_a_torrent_is_taken_in_several_rounds);
    tcase_add_test(tcase, test_frames_wait_for_the_next_round);
    tcase_add_test(tcase, test_frames_that_wait_go_with_their_connection);
    tcase_add_test(tcase, test_output_for_many_takes_several_rounds);
    tcase_add_test(tcase, test_a_silent_stranger_is_closed_in_time);
    tcase_add_test(tcase, test_heartbeats_go_out_and_silence_ends);
    tcase_add_test(tcase, test_a_stall_of_our_own_kills_nobody);
    tcase_add_test(tcase, test_no_heartbeat_was_agreed);
    tcase_add_test(tcase, test_output_waits_for_room_and_arrives_whole);
    tcase_add_test(tcase, test_who_does_not_read_is_not_read);
    tcase_add_test(tcase, test_a_broken_peer_gets_the_reason_and_an_end);
    tcase_add_test(tcase, test_a_closing_peer_that_never_reads_goes_in_time);
    tcase_add_test(tcase, test_limits_turn_away_with_a_reason);
    tcase_add_test(tcase, test_closing_all_says_goodbye);
    tcase_add_test(tcase, test_everything_goes_with_the_net);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
