/* The world of histories under crashes, for the files that make it up. */
#ifndef HERALD_TEST_HISTORY_WORLD_STATE_H
#define HERALD_TEST_HISTORY_WORLD_STATE_H

#include "tests/support/history_world.h"

enum {
    BOOKS = 2, /* exchanges that keep their events */
    EVENTS_MAX = 1 << 14,
    SEGMENT_BYTES = 64 << 10, /* so that the journal goes round in a life */
    ENTITIES = 5,
    SELDOM = 3, /* hardly any event is of this one */
    RACED = 4,  /* two write to this one */
    BATCH_MAX = 6,
    BODY_BYTES_MAX = 1200,
    BODY_BYTES_MIN = 8,
    READER = 1,
    BOUND = 2,
    CURSORS = 2, /* of each book; consumers of them are numbered from FIRST_CURSOR on */
    ALL = 0,     /* one worker has all events */
    SOME = 1,    /* two workers share those that a pattern and a filter choose; it is moved */
    FIRST_CURSOR = 10,
    WORKERS = 2,
    RACERS = 2,
    PUBLISHERS = 1 + RACERS,
    PREFETCH = 8,
    HELD_MAX = BOOKS * CURSORS * PREFETCH * 4,
    PENDING_MAX = 1 << 12,
};

enum fate { UNKNOWN, CONFIRMED, REFUSED };

/* An event as its publisher knows it. Its body begins with its number and its book's generation. */
struct published {
    enum fate fate;
    uint64_t tag;
    unsigned publisher;
    uint32_t batch;  /* first event of the several it belongs to */
    int entity;      /* -1: none */
    uint64_t expect; /* version of the entity before */
    bool is_b;       /* its key begins so: it goes to the bound queue, too */
    bool is_red;     /* it has this header */
    bool is_there;   /* judge saw it */
    bool is_bound;   /* it came from the bound queue */
};

/* An event as a cursor knows it, by its sequence. */
struct handed {
    bool was_ever_handed;
    bool was_handed;    /* since the cursor was moved to before it */
    bool is_done;       /* and the cursor was told so */
    bool may_return;    /* all the same: nobody knows whether the cursor was moved */
    bool may_be_passed; /* it need not come: the cursor was moved beyond it */
    bool has_copy;      /* it failed, or may have: it is in the queue by itself */
    bool must_return;   /* that is sure */
    uint32_t count;     /* of hand-outs */
};

struct reading {
    struct handed of[EVENTS_MAX];
    uint64_t missed; /* as its workers were told */
};

enum book_state { BOOK_GONE, BOOK_UNSURE, BOOK_THERE };

struct book {
    const char *name;
    const char *queue;
    const char *cursors[CURSORS];
    enum book_state state;
    bool is_deleting;     /* while it is unsure */
    uint32_t generation;  /* of exchanges of this name */
    bool is_retired;      /* retention may have taken events */
    uint32_t event_count; /* numbers from 1 */
    uint32_t open_from;   /* events from here on may wait for their answers */
    uint64_t last_read;   /* highest sequence that anybody saw */
    uint64_t versions[ENTITIES];
    struct published events[EVENTS_MAX];
    uint32_t kept[EVENTS_MAX]; /* which event has the sequence; 0: not seen yet */
    struct reading readings[CURSORS];
};

/* A delivery that is not settled, or a settlement that is not answered. */
struct held {
    uint64_t name; /* or the tag */
    unsigned book;
    unsigned cursor;
    uint64_t sequence;
    bool is_failure;
    bool is_unsure; /* the cursor was moved: it may be stale */
    uint32_t count; /* hand-outs so far */
};

struct worker {
    struct actor *actor;
    bool is_working[BOOKS][CURSORS];
    struct held held[HELD_MAX];
    unsigned held_count;
    struct held pending[PENDING_MAX];
    unsigned pending_count;
};

/* Appends to the raced entity what must follow the version it believes in. */
struct racer {
    struct actor *actor;
    uint64_t known;
    uint32_t event; /* 0: none is on its way */
};

struct history_world {
    struct scene *scene;
    struct chance chance;
    struct history_counters *counters;
    struct book books[BOOKS];
    struct actor *publisher;
    struct actor *reader;
    struct actor *keeper; /* of definitions; it is answered at once */
    struct worker workers[WORKERS];
    struct racer racers[RACERS];
    bool is_reading;
    unsigned read_book;
    uint64_t read_tag; /* of an entity that is read; 0: none */
    uint64_t read_version;
    char text[256];
    const char *violation;
};

void history_world_stop_reading(struct history_world *world);
bool history_world_is_up(const struct history_world *world);

/* --- exchanges: history_world_book.c ------------------------------------------------------------
 */

void book_init(struct history_world *world);

/* Whatever may have become of it, it is there, and nothing that was sure is not. */
void book_enter(struct history_world *world, struct book *book);

/* Its exchange goes, and mostly another one comes. */
void book_delete(struct history_world *world, struct book *book);

/* How much it keeps changes. */
void book_set(struct history_world *world, struct book *book);

/* Another place for the cursor that is moved. */
void book_seek(struct history_world *world, struct book *book);

/* One figure of it; 0: it is not there. */
uint64_t book_ask(struct history_world *world, struct book *book, const char *field);

/* Has what is parked of a cursor tried again. */
void book_retry(struct history_world *world, struct book *book, unsigned cursor);

const char *book_entity(int entity);

/* --- publishing: history_world_publish.c --------------------------------------------------------
 */

void publish_some(struct history_world *world, struct book *book);
void publish_several(struct history_world *world, struct book *book);
void publish_race(struct history_world *world, struct book *book);
void publish_take_answers(struct history_world *world);

/* The process has ended. */
void publish_lose(struct history_world *world);

/* Somebody saw the event of this body at this sequence; its number, or 0 after a violation. */
uint32_t publish_see(struct history_world *world, struct book *book, uint64_t sequence,
                     struct wire_bytes body);

/* --- working: history_world_work.c --------------------------------------------------------------
 */

void work_begin(struct history_world *world, struct worker *worker);
void work_take(struct history_world *world, struct worker *worker);
void work_settle_one(struct history_world *world, struct worker *worker);
void work_settle_all(struct history_world *world, struct worker *worker);

/* The connection, or the process, has ended. */
void work_lose(struct history_world *world, struct worker *worker);
void work_cut(struct history_world *world, struct worker *worker);

/* The book is gone, or one of its cursors may be moved or was. */
void work_forget_book(struct history_world *world, unsigned book);
void work_move_may(struct history_world *world, unsigned book, uint64_t low);
void work_moved(struct history_world *world, unsigned book, uint64_t low);

void work_follow(struct actor *actor, uint32_t consumer, const struct frame_follow *follow);
bool work_matches(const struct published *event, unsigned cursor);

#endif
