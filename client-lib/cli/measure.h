/* What a measurement reads off the machine: time, processor time, memory, and which process the
 * broker is. */
#ifndef HERALD_CLI_MEASURE_H
#define HERALD_CLI_MEASURE_H

#include <stdint.h>
#include <sys/types.h>

#include "client-lib/cli/arguments.h"
#include "client-lib/cli/figures.h"
#include "client-lib/cli/helpers.h"

struct measure {
    pid_t broker_pid; /* 0: not known */
    int64_t started_ns;
    double broker_cpu_s;
    double client_cpu_s;
    const struct helpers *helpers; /* whose processor time is ours; NULL: none */
};

/* Nanoseconds of a clock that only goes forward. */
int64_t measure_now_ns(void);

/* Begins; finds the broker's process by --pid, or by asking its unix socket who listens there. */
void measure_start(struct measure *measure, const struct arguments *arguments,
                   const struct helpers *helpers);

/* Adds elapsed time, messages per second and processor time per message; returns the messages per
 * second. */
double measure_stop(const struct measure *measure, struct figures *figures, int64_t messages);

/* Resident memory of the broker in bytes, -1 if it cannot be seen. */
double measure_broker_memory(const struct measure *measure);

/* The largest it has ever been. */
double measure_broker_peak(const struct measure *measure);

/* The path of the broker's unix socket, NULL when it is reached otherwise. Points into the
 * environment or the arguments. */
const char *measure_socket_path(const struct arguments *arguments);

#endif
