/* A real heraldd for a test: started in a directory of its own, stopped in every way, started
 * again.
 *
 * The program is $HERALDD, or build/heraldd. It runs with --dev, so anybody may come in, and
 * listens at its unix socket only, unless the test's configuration has a listen.tcp. Whatever goes
 * wrong in here ends the test program with a message.
 */
#ifndef HERALD_DAEMON_H
#define HERALD_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon;

/* Starts it and waits until it is ready. `directory` NULL: a temporary one, removed by daemon_free;
 * else it is made if it is missing, and stays. `extra` are lines of configuration, or NULL. Small
 * segments (1 MiB, two spares) are set unless `extra` has a [journal]. */
struct daemon *daemon_start(const char *directory, const char *extra);

/* The same without waiting and without any check: for starts that fail. */
struct daemon *daemon_launch(const char *directory, const char *extra);

/* Kills it if it still runs, and frees. NULL is fine. */
void daemon_free(struct daemon *daemon);

/* "unix:/…/herald.sock"; lives as long as the daemon. */
const char *daemon_url(const struct daemon *daemon);
const char *daemon_directory(const struct daemon *daemon);

/* 0 while it does not run. */
pid_t daemon_pid(const struct daemon *daemon);

/* The port of the first TCP listener of the last start, 0 if there is none. */
uint16_t daemon_port(const struct daemon *daemon);

/* New connections; blocking sockets whose reads and writes give up after 10 s. */
int daemon_connect(const struct daemon *daemon);
int daemon_connect_tcp(const struct daemon *daemon);

/* The same at the unix socket of one that may be gone: -1. */
int daemon_try_connect(const struct daemon *daemon);

void daemon_signal(const struct daemon *daemon, int number);

/* Waits for its end, 30 s at most. The exit code, or minus the signal's number. */
int daemon_wait(struct daemon *daemon);

/* SIGTERM and SIGKILL, each with waiting. */
int daemon_term(struct daemon *daemon);
void daemon_kill9(struct daemon *daemon);

/* Starts it again on the same data. It must not be running. */
void daemon_restart(struct daemon *daemon);

/* The same for starts that may fail: false when it ended before it was ready, and then *code is
 * what daemon_wait would return. */
bool daemon_try_restart(struct daemon *daemon, int *code);

/* Further starts run under strace with these options, separated by spaces (all threads, without
 * its own remarks, descriptors as paths); NULL: no longer. */
void daemon_trace(struct daemon *daemon, const char *options);

/* Puts the running daemon under strace with these options, and returns once that is so. Counts of
 * calls begin here. Ended by daemon_detach, also when the daemon has ended. */
void daemon_attach(struct daemon *daemon, const char *options);
void daemon_detach(struct daemon *daemon);

/* SIGKILL for both, with waiting. */
void daemon_kill9_traced(struct daemon *daemon);

/* What strace wrote since the last start or attach that was traced; lives with the daemon. */
const char *daemon_trace_path(const struct daemon *daemon);

/* The last line that it wrote about a call, which after a kill is the one that was hit; "" if there
 * is none. */
void daemon_last_call(const struct daemon *daemon, char *line, size_t room);

/* No file of further starts grows beyond this many bytes; 0: as the system has it. */
void daemon_limit_files(struct daemon *daemon, uint64_t bytes);

/* Replaces the extra lines of configuration; takes effect by SIGHUP or a restart. */
void daemon_configure(const struct daemon *daemon, const char *extra);

/* Whether its log, of all starts together, has a line with this text by now, or within the time. */
bool daemon_has_logged(const struct daemon *daemon, const char *text);
bool daemon_will_log(const struct daemon *daemon, const char *text, uint32_t within_ms);

/* Of the running process. */
uint64_t daemon_resident_bytes(const struct daemon *daemon);
uint64_t daemon_cpu_us(const struct daemon *daemon);

#endif
