/* Publishers and consumers that stay at work while the daemon under them is killed and started
 * again, and note in a history what they see.
 *
 * Four named publishers send to the queue `work` and publish events that go to `north` and `south`
 * alike, and resume after each kill. Now and then they send to `slow`, where nobody listens before
 * the end, so that there is always something old to keep. Four consumers settle most of what they
 * get and give some of it back.
 */
#ifndef HERALD_CROWD_H
#define HERALD_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/support/daemon.h"
#include "tests/support/history.h"

struct crowd;

/* Makes the queues and starts everybody. The daemon must run, and take bodies of 40,000 bytes. It
 * and the history must outlive the crowd. */
struct crowd *crowd_start(struct daemon *daemon, struct history *history, uint64_t seed);

/* Has the publishers come to an end, waits until all queues are empty, and ends everybody. False:
 * they were not empty in time. The daemon must run. */
bool crowd_drain(struct crowd *crowd);

void crowd_free(struct crowd *crowd);

#endif
