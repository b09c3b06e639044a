/* What the benches have in common: a name of their own, made and removed again, and the end. */
#ifndef HERALD_CLI_BENCH_H
#define HERALD_CLI_BENCH_H

#include "client-lib/cli/contact.h"
#include "client-lib/cli/figures.h"

enum { BENCH_NAME_BYTES = 64 };

/* "bench-" and the process: two benches do not meet. */
void bench_make_name(char name[BENCH_NAME_BYTES]);

/* Each returns the exit code, which it has explained. */
int bench_create_queue(struct contact *contact, const char *queue);
int bench_delete_queue(struct contact *contact, const char *queue);

/* Prints the figures if all went well, and frees them in any case. Returns the exit code. */
int bench_finish(struct figures *figures, struct output *output, int code);

#endif
