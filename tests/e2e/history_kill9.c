/* Kills the real daemon again and again while events go into a history and out of it, and judges
 * what everybody saw.
 *
 *   history_kill9 [--kills N] [--seed N]        42 kills without argument
 *
 * Two processes race for one entity, 5,000 appends together: each appends what must follow the
 * version it believes in, and sends again after a kill what was not answered. A publisher publishes
 * what belongs to no entity. A reader follows from the first event on, and goes on behind the last
 * one it has had. A worker settles what a cursor gives it.
 *
 * Every other kill hits a call that the daemon makes (strace), of which some are on files of the
 * history; the others come at any time. At the end is checked:
 *   - the reader saw every sequence once, in order, and of the entity every version once, in order;
 *   - each append was told the version that it has, and no other had it;
 *   - whatever was confirmed is there, once; nothing is there that nobody sent;
 *   - the cursor gave every event; what was settled and confirmed did not come again.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/property.h"
#include "tests/support/chance.h"
#include "tests/support/daemon.h"
#include "tests/support/talk.h"

enum {
    KILLS = 42,
    RACERS = 2,
    APPENDS = 5000,
    EVENTS_MAX = 1 << 20,
    WINDOW = 32,
    PREFETCH = 64,
    SEEN_EVERY = 64,
    AIM_MS = 100,
    DRAIN_SECONDS = 60,
    HISTORY_KILLS_MIN = 1, /* of a run of KILLS */
    PUBLISHER = RACERS,    /* as the number of who has made an event */
};

static const char config[] = "[journal]\nsegment_bytes = 256KiB\nspare_count = 2\n"
                             "[history]\nfile_bytes = 64KiB\nsave_bytes = 64KiB\n"
                             "[limits]\nmessage_bytes_max = 32KiB\n"
                             "[timeouts]\ndrain = 1s\nclose = 0.2s\n";

/* What processes and threads know together. */
struct shared {
    atomic_bool is_ending; /* nothing new is published */
    atomic_bool is_over;
    atomic_uint failed; /* racers that gave up */
    atomic_uint made;   /* appends that are confirmed */
    atomic_uint conflicts;
    uint32_t made_by[RACERS];
    uint32_t version_of[RACERS][APPENDS + RACERS]; /* of each append, as its racer was told */
    atomic_uint sent;                              /* by the publisher, numbered from 1 */
    atomic_uint confirmed;                         /* those are the first so many */
};

struct run {
    struct daemon *daemon;
    struct shared *shared;
    struct chance chance;
    unsigned kills;
    unsigned history_kills;
};

/* What the reader saw, by sequence. */
struct seen {
    uint32_t who;
    uint32_t number;
    uint64_t version;
};
static struct seen seen[EVENTS_MAX];
static atomic_ullong last_seen;
static bool is_settled[EVENTS_MAX];
static bool was_given[EVENTS_MAX];
static atomic_ullong given_count;
static char fault[256];

static void find_fault(const char *text, uint64_t sequence)
{
    if (fault[0] == '\0')
        (void)snprintf(fault, sizeof fault, "%s at sequence %" PRIu64, text, sequence);
}

static void pause_ms(unsigned ms)
{
    usleep(ms * 1000);
}

/* A talk behind HELLO and AUTH; NULL while the daemon is dead. */
static struct talk *enter(const struct daemon *daemon, const char *client, bool resumes,
                          uint64_t seen_tag, uint64_t *answered)
{
    int file = daemon_try_connect(daemon);
    if (file < 0)
        return NULL;
    struct talk *talk = talk_over(file);
    const struct frame_hello hello = {.version = FRAME_VERSION,
                                      .frame_bytes_max = TALK_ROOM_BYTES,
                                      .client = wire_bytes_of_text(client),
                                      .seen = seen_tag,
                                      .resume = resumes,
                                      .product = wire_bytes_of_text("history_kill9")};
    if (talk_enter(talk, &hello, answered))
        return talk;
    talk_end(talk);
    return NULL;
}

static bool publish(struct talk *talk, uint64_t tag, uint32_t who, uint32_t number, uint64_t expect)
{
    unsigned char body[8];
    unsigned char list[64];
    struct wire_writer p = wire_writer_of(list, sizeof list);
    wire_store_u32(body, who);
    wire_store_u32(body + 4, number);
    if (who < RACERS) {
        property_put(&p, PROPERTY_MESSAGE_ENTITY, wire_bytes_of_text("raced"));
        property_put_number(&p, PROPERTY_MESSAGE_EXPECT, expect);
    }
    struct frame frame = {.header = {.type = FRAME_PUBLISH, .tag = tag}};
    frame.as.publish =
        (struct frame_publish){.exchange = wire_bytes_of_text("book"),
                               .key = wire_bytes_of_text(who < RACERS ? "raced" : "plain"),
                               .properties = wire_bytes_of(list, (uint32_t)wire_written(&p)),
                               .body_bytes = sizeof body,
                               .body = wire_bytes_of(body, sizeof body)};
    return talk_say(talk, &frame);
}

/* --- racers -------------------------------------------------------------------------------------
 */

struct racer {
    struct shared *shared;
    uint32_t number;
    uint64_t known;    /* version */
    uint64_t expected; /* by the frame that is on its way */
    uint64_t tag;      /* of that; 0: none */
    uint64_t answered;
};

static void take_version(struct racer *racer, struct wire_bytes text)
{
    char copy[32] = "";
    memcpy(copy, text.at, text.bytes < sizeof copy ? text.bytes : 0);
    racer->known = strtoull(copy, NULL, 10);
}

/* False: the connection is gone. */
static bool take_answer(struct racer *racer, struct talk *talk)
{
    struct shared *shared = racer->shared;
    struct frame frame;
    if (!talk_take(talk, &frame) || frame.header.type == FRAME_CLOSE)
        return false;
    if (frame.header.type == FRAME_REFUSE && frame.header.tag == racer->tag) {
        if (frame.as.refuse.code == STATUS_VERSION_CONFLICT)
            take_version(racer, frame.as.refuse.text);
        shared->conflicts++;
        racer->answered = racer->tag;
        racer->tag = 0;
    } else if (frame.header.type == FRAME_CONFIRM && racer->tag != 0 &&
               frame.as.confirm.last >= racer->tag) {
        racer->known = racer->expected + 1;
        shared->version_of[racer->number][shared->made_by[racer->number]++] =
            (uint32_t)racer->known;
        shared->made++;
        racer->answered = racer->tag;
        racer->tag = 0;
    }
    return true;
}

static void race_on(struct racer *racer, struct talk *talk, uint64_t answered)
{
    struct shared *shared = racer->shared;
    bool is_alive = true;
    bool is_said = racer->tag != 0 && answered >= racer->tag; /* its answer comes by itself */
    while (is_alive && (shared->made < APPENDS || racer->tag != 0)) {
        if (racer->tag == 0 && racer->answered % SEEN_EVERY == 0) {
            struct frame frame = {.header.type = FRAME_SEEN};
            frame.as.seen.through = racer->answered;
            is_alive = talk_say(talk, &frame);
        }
        if (racer->tag == 0) {
            racer->tag = racer->answered + 1;
            racer->expected = racer->known;
            is_said = false;
        }
        if (!is_said)
            is_alive = publish(talk, racer->tag, racer->number, shared->made_by[racer->number],
                               racer->expected);
        is_said = true;
        is_alive = is_alive && take_answer(racer, talk);
    }
}

/* A process of its own. */
static void race(const struct daemon *daemon, struct shared *shared, uint32_t number)
{
    struct racer racer = {.shared = shared, .number = number};
    bool was_let_in = false;
    char client[32];
    (void)snprintf(client, sizeof client, "racer-%" PRIu32, number);
    while (shared->made < APPENDS || racer.tag != 0) {
        uint64_t answered;
        struct talk *talk = enter(daemon, client, was_let_in, racer.answered, &answered);
        if (talk == NULL) {
            pause_ms(2);
            continue;
        }
        was_let_in = true;
        race_on(&racer, talk, answered);
        talk_end(talk);
    }
}

/* --- the publisher ------------------------------------------------------------------------------
 */

/* Its tags are the numbers of its events. */
static void publish_on(struct run *run, struct talk *talk, uint64_t next)
{
    struct shared *shared = run->shared;
    struct frame frame;
    for (;;) {
        uint64_t most = shared->is_ending ? shared->sent : shared->confirmed + WINDOW;
        for (; next <= most; next++) {
            if (next > shared->sent)
                shared->sent = (unsigned)next;
            if (!publish(talk, next, PUBLISHER, (uint32_t)next, 0))
                return;
        }
        if (shared->is_ending && shared->confirmed == shared->sent)
            return;
        if (!talk_take(talk, &frame) || frame.header.type == FRAME_CLOSE)
            return;
        if (frame.header.type == FRAME_REFUSE)
            find_fault("an event was refused", frame.header.tag);
        if (frame.header.type == FRAME_CONFIRM && frame.as.confirm.last > shared->confirmed)
            shared->confirmed = (unsigned)frame.as.confirm.last;
        pause_ms(1);
    }
}

static void *publish_all(void *argument)
{
    struct run *run = argument;
    struct shared *shared = run->shared;
    bool was_let_in = false;
    while (!shared->is_ending || shared->confirmed < shared->sent) {
        uint64_t answered;
        struct talk *talk =
            enter(run->daemon, "publisher", was_let_in, shared->confirmed, &answered);
        if (talk == NULL) {
            pause_ms(2);
            continue;
        }
        was_let_in = true;
        publish_on(run, talk, answered + 1);
        talk_end(talk);
    }
    return NULL;
}

/* --- the reader ---------------------------------------------------------------------------------
 */

static bool follow(struct talk *talk, const char *cursor, uint8_t from, uint64_t at)
{
    struct frame frame = {.header.type = FRAME_FOLLOW};
    frame.as.follow = (struct frame_follow){.consumer = 1,
                                            .exchange = wire_bytes_of_text("book"),
                                            .pattern = wire_bytes_of_text("#"),
                                            .cursor = wire_bytes_of_text(cursor),
                                            .from = from,
                                            .at = at,
                                            .prefetch_messages = PREFETCH};
    return talk_say_tagged(talk, &frame) != 0;
}

static void see(const struct frame_deliver *deliver, uint64_t *version)
{
    uint64_t sequence = property_find_number(deliver->properties, PROPERTY_MESSAGE_SEQUENCE, 0);
    uint64_t of_entity = property_find_number(deliver->properties, PROPERTY_MESSAGE_VERSION, 0);
    if (sequence != last_seen + 1 || sequence >= EVENTS_MAX) {
        find_fault("the reader was given another sequence than the next one", sequence);
        return;
    }
    if (of_entity != 0 && of_entity != ++*version)
        find_fault("a version is missing or doubled", sequence);
    seen[sequence] = (struct seen){wire_load_u32(deliver->body.at),
                                   wire_load_u32(deliver->body.at + 4), of_entity};
    last_seen = sequence;
}

static void *read_all(void *argument)
{
    struct run *run = argument;
    uint64_t version = 0;
    uint64_t answered;
    while (!run->shared->is_over) {
        struct talk *talk = enter(run->daemon, "", false, 0, &answered);
        struct frame frame;
        if (talk == NULL) {
            pause_ms(2);
            continue;
        }
        bool is_alive = follow(talk, "", FOLLOW_SEQUENCE, last_seen + 1);
        while (is_alive && fault[0] == '\0' && !run->shared->is_over && talk_take(talk, &frame)) {
            if (frame.header.type == FRAME_DELIVER)
                see(&frame.as.deliver, &version);
            if (frame.header.type == FRAME_GAP || frame.header.type == FRAME_CONSUMER_GONE ||
                frame.header.type == FRAME_REFUSE)
                find_fault("the reader was not given what is kept", last_seen + 1);
        }
        talk_end(talk);
    }
    return NULL;
}

/* --- the worker ---------------------------------------------------------------------------------
 */

/* Settlements that are not confirmed: from here to there is what one tag settled. */
struct settling {
    uint64_t tag;
    uint32_t count;
    uint64_t sequences[PREFETCH];
};

static void take_delivery(const struct frame *frame, struct settling *held, uint64_t names[2])
{
    uint64_t sequence = frame->as.deliver.number;
    if (sequence == 0 || sequence >= EVENTS_MAX) {
        find_fault("the cursor gave what cannot be", sequence);
        return;
    }
    if (is_settled[sequence])
        find_fault("the cursor was done with it", sequence);
    if (was_given[sequence] && (frame->header.flags & FLAG_REDELIVERED) == 0)
        find_fault("the cursor gave it before", sequence);
    given_count += !was_given[sequence];
    was_given[sequence] = true;
    names[held->count > 0] = frame->as.deliver.delivery;
    names[1] = frame->as.deliver.delivery;
    held->sequences[held->count++] = sequence;
}

/* All that is held is done with one frame; the next one only when that is confirmed. */
static bool settle(struct talk *talk, struct settling *held, const uint64_t names[2])
{
    struct frame frame = {.header.type = FRAME_DONE};
    frame.as.done = (struct frame_done){talk->start, names[0], names[1]};
    held->tag = talk_say_tagged(talk, &frame);
    return held->tag != 0;
}

static void work_on(struct run *run, struct talk *talk)
{
    struct settling held = {0};
    struct settling settling = {0};
    uint64_t names[2] = {0, 0};
    struct frame frame;
    while (fault[0] == '\0' && !run->shared->is_over && talk_take(talk, &frame)) {
        if (frame.header.type == FRAME_DELIVER)
            take_delivery(&frame, &held, names);
        if (frame.header.type == FRAME_CONFIRM && settling.count > 0 &&
            frame.as.confirm.last >= settling.tag) {
            for (uint32_t i = 0; i < settling.count; i++)
                is_settled[settling.sequences[i]] = true;
            settling.count = 0;
        }
        if (settling.count > 0 || held.count == 0)
            continue;
        if (!settle(talk, &held, names))
            return;
        settling = held;
        held.count = 0;
    }
}

static void *work(void *argument)
{
    struct run *run = argument;
    uint64_t answered;
    while (!run->shared->is_over) {
        struct talk *talk = enter(run->daemon, "", false, 0, &answered);
        if (talk == NULL) {
            pause_ms(2);
            continue;
        }
        if (follow(talk, "worker", FOLLOW_FIRST, 0))
            work_on(run, talk);
        talk_end(talk);
    }
    return NULL;
}

/* --- kills --------------------------------------------------------------------------------------
 */

/* At a call that the daemon makes, if it makes it in time. */
static void kill_at_call(struct run *run)
{
    static const char *const calls[] = {"fdatasync", "pwrite64", "openat", "openat", "unlinkat"};
    char options[128];
    char call[512];
    const char *name = calls[chance_below(&run->chance, sizeof calls / sizeof calls[0])];
    unsigned when = 1 + (unsigned)chance_below(&run->chance, 6);
    (void)snprintf(options, sizeof options, "-e trace=%s -e inject=%s:signal=SIGKILL:when=%u", name,
                   name, when);
    daemon_attach(run->daemon, options);
    pause_ms(AIM_MS);
    daemon_kill9(run->daemon); /* which is fine when it is dead */
    daemon_detach(run->daemon);
    daemon_last_call(run->daemon, call, sizeof call);
    run->history_kills += strstr(call, "history-") != NULL || strstr(call, "entities-") != NULL;
}

static void kill_all(struct run *run, unsigned kills)
{
    for (run->kills = 0; run->kills < kills && fault[0] == '\0'; run->kills++) {
        pause_ms(20 + (unsigned)chance_below(&run->chance, 150));
        if (run->kills % 2 == 0)
            kill_at_call(run);
        else
            daemon_kill9(run->daemon);
        daemon_restart(run->daemon);
    }
}

/* --- the end ------------------------------------------------------------------------------------
 */

static int failed;
static int passed;

static void check(bool holds, const char *what, uint64_t figure)
{
    passed += holds;
    failed += !holds;
    if (!holds)
        printf("FAIL %s: %" PRIu64 "\n", what, figure);
}

/* Every append has the version that its racer was told; every event is one's who sent it, once. */
static void judge(const struct run *run)
{
    const struct shared *shared = run->shared;
    static bool is_there[EVENTS_MAX];
    uint64_t wrong = 0;
    uint64_t strange = 0;
    uint64_t lost = 0;
    uint64_t versions = 0;
    for (uint64_t i = 1; i <= last_seen; i++) {
        const struct seen *one = &seen[i];
        versions += one->version != 0;
        if (one->who < RACERS)
            wrong += one->number >= shared->made_by[one->who] ||
                     shared->version_of[one->who][one->number] != one->version;
        else if (one->who != PUBLISHER || one->number == 0 || one->number > shared->sent ||
                 is_there[one->number])
            strange++;
        else
            is_there[one->number] = true;
    }
    for (uint32_t i = 1; i <= shared->confirmed; i++)
        lost += !is_there[i];
    check(fault[0] == '\0', fault, 0);
    check(shared->made >= APPENDS, "appends are missing", shared->made);
    check(versions == shared->made, "versions are not as many as appends", versions);
    check(wrong == 0, "appends that have another version than was told", wrong);
    check(strange == 0, "events that nobody sent, or twice", strange);
    check(lost == 0, "confirmed events are lost", lost);
    check(given_count == last_seen, "the cursor has not given all", given_count);
    check(shared->conflicts > 0, "nobody has raced", shared->conflicts);
    check(run->kills < KILLS || run->history_kills >= HISTORY_KILLS_MIN,
          "invalid: too few kills hit files of the history", run->history_kills);
    printf("%" PRIu64 " events, %u appends, %u conflicts, %u kills, %u of them at files of the "
           "history\n",
           (uint64_t)last_seen, shared->made, shared->conflicts, run->kills, run->history_kills);
}

static bool is_drained(const struct run *run)
{
    const struct shared *shared = run->shared;
    uint64_t count = shared->made + (uint64_t)shared->sent;
    return shared->made >= APPENDS && shared->confirmed == shared->sent && last_seen >= count &&
           given_count >= last_seen;
}

static void define(const struct run *run)
{
    unsigned char settings[16];
    struct wire_writer s = wire_writer_of(settings, sizeof settings);
    property_put_number(&s, PROPERTY_EXCHANGE_HISTORY, 1);
    struct talk *talk = talk_over(daemon_connect(run->daemon));
    struct frame frame = {.header.type = FRAME_EXCHANGE_CREATE};
    frame.as.exchange_create.exchange = wire_bytes_of_text("book");
    frame.as.exchange_create.settings = wire_bytes_of(settings, (uint32_t)wire_written(&s));
    check(talk_open(talk, "EXTERNAL", 0, "") && talk_ask(talk, &frame) == STATUS_OK,
          "the exchange cannot be made", 0);
    talk_end(talk);
}

int main(int count, char **word)
{
    unsigned kills = KILLS;
    uint64_t seed = (uint64_t)time(NULL);
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(word[i], "--kills") == 0)
            kills = (unsigned)strtoul(word[i + 1], NULL, 10);
        else if (strcmp(word[i], "--seed") == 0)
            seed = strtoull(word[i + 1], NULL, 10);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    printf("history_kill9 --seed %" PRIu64 " --kills %u\n", seed, kills);
    (void)fflush(stdout);
    struct run run = {.daemon = daemon_start(NULL, config), .chance = {seed}};
    run.shared =
        mmap(NULL, sizeof *run.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    define(&run);
    pid_t racers[RACERS];
    for (uint32_t i = 0; i < RACERS; i++)
        if ((racers[i] = fork()) == 0) {
            race(run.daemon, run.shared, i);
            _exit(0);
        }
    void *(*const roles[])(void *) = {publish_all, read_all, work};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        (void)pthread_create(&threads[i], NULL, roles[i], &run);
    kill_all(&run, kills);
    for (int i = 0; i < DRAIN_SECONDS * 10 && run.shared->made < APPENDS && fault[0] == '\0'; i++)
        pause_ms(100);
    for (int i = 0; i < RACERS; i++)
        if (fault[0] != '\0')
            (void)kill(racers[i], SIGKILL);
    for (int i = 0; i < RACERS; i++)
        (void)waitpid(racers[i], NULL, 0);
    run.shared->is_ending = true;
    (void)pthread_join(threads[0], NULL);
    for (int i = 0; i < DRAIN_SECONDS * 10 && !is_drained(&run) && fault[0] == '\0'; i++)
        pause_ms(100);
    run.shared->is_over = true;
    daemon_kill9(run.daemon); /* whoever listens hears the end */
    (void)pthread_join(threads[1], NULL);
    (void)pthread_join(threads[2], NULL);
    judge(&run);
    printf("%d passed, %d failed\n", passed, failed);
    daemon_free(run.daemon);
    return failed == 0 ? 0 : 1;
}
