/* Histories while memory runs out: events, several at once, entities, readers and a cursor; and
 * what must be there when there is memory again.
 *
 * Whatever is said while memory is short may be refused, or its connection may end. Afterwards:
 * what was refused is not there, what was confirmed is, in a history without a hole; of several
 * events all or none; versions of an entity follow each other; and a cursor gives all that is not
 * done.
 */
#ifndef HERALD_TEST_SCARCE_HISTORY_H
#define HERALD_TEST_SCARCE_HISTORY_H

#include "tests/support/scene.h"

struct scarce_history;

/* Limits under which little is enough for files to end and entities to be saved. */
void scarce_history_limits(struct core_limits *limits);

/* Two more actors in the scene, who are not connected. */
struct scarce_history *scarce_history_new(struct scene *scene);
void scarce_history_free(struct scarce_history *history);

/* All that may go wrong. */
void scarce_history_work(struct scarce_history *history);

/* There is memory again: NULL, or what is not as it must be. */
const char *scarce_history_judge(struct scarce_history *history);

#endif
