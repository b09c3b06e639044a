/* An errand: a piece of disk work that the loop hands to another thread and gets back when done.
 *
 * The journal makes errands and never runs them: the daemon posts them to its commit thread and its
 * background thread, a test runs them in its own order on one thread. An errand touches only its
 * own memory, immutable buffers and the disk. `run` is called once, on any thread; afterwards the
 * errand goes back to journal_on_errand on the loop.
 */
#ifndef HERALD_ERRAND_H
#define HERALD_ERRAND_H

enum errand_worker {
    ERRAND_COMMIT,     /* writing and syncing batches, in the order they are posted */
    ERRAND_BACKGROUND, /* everything else */
};

struct errand {
    enum errand_worker worker;
    void (*run)(struct errand *errand);
    struct errand *next; /* for whoever queues it */
};

/* Takes the errand until it comes back through journal_on_errand. Called on the loop only; must not
 * call back into the journal. */
typedef void (*errand_post_fn)(void *context, struct errand *errand);

#endif
