/* Errands of a journal in a test: posted ones wait in a line and are run on the test's own thread,
 * when and in which order the test wants. */
#ifndef HERALD_TEST_ERRAND_LINE_H
#define HERALD_TEST_ERRAND_LINE_H

#include <stdbool.h>

#include "broker/store/journal.h"

struct errand_line {
    struct errand *first;
    struct errand **end;
};

void errand_line_init(struct errand_line *line);

/* For journal_options; the context is the line. */
void errand_line_post(void *context, struct errand *errand);

bool errand_line_is_empty(const struct errand_line *line);

/* Takes the oldest errand out, of one worker or of any; NULL when there is none. */
struct errand *errand_line_take(struct errand_line *line);
struct errand *errand_line_take_of(struct errand_line *line, enum errand_worker worker);

/* Runs the oldest errand of a worker and gives it back to the journal. STATUS_NOT_FOUND: none
 * waits. */
enum status errand_line_run_one(struct errand_line *line, struct journal *journal,
                                enum errand_worker worker);

/* Runs all that wait, and gives them back; stops at the first failure. */
enum status errand_line_run(struct errand_line *line, struct journal *journal);

/* Rounds and errands in turn until nothing is left to do at this time. */
enum status errand_line_settle(struct errand_line *line, struct journal *journal, uint64_t now_ms);

#endif
