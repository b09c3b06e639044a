/* The broker: all floors put together, and the loop that drives them.
 *
 *   broker_new (recovery) -> broker_listen -> broker_run -> broker_free
 *
 *             SIGTERM           drained, or timeouts.drain
 *   RUNNING ----------> DRAINING -----------------------> SETTLING
 *                                                            | all is on disk
 *                                                            v
 *               STOPPED <---------------------------------- CLOSING
 *                  ^       everybody is gone, or timeouts.close
 *                  +--- from anywhere: a second signal, a failed disk
 *
 * A round: wait; connections give frames to the core, errands come back; end_of_round. What is said
 * to the outside leaves only there.
 */
#ifndef HERALD_BROKER_H
#define HERALD_BROKER_H

#include "broker/config.h"
#include "broker/log.h"

struct broker;

struct broker_options {
    const struct config_source *source; /* asked again by a reload */
    struct config *config;              /* as loaded; a reload changes it */
    struct log *log;
};

/* Recovers what the data directory holds. NULL: *exit_code is what the process should end with and
 * the log says why. What the options point to must outlive the broker. */
struct broker *broker_new(const struct broker_options *options, int *exit_code);

/* Closes everything as it stands. NULL is fine. */
void broker_free(struct broker *broker);

/* Serves until it is stopped by a signal or by a failure. Returns the exit code of the process. */
int broker_run(struct broker *broker);

#endif
