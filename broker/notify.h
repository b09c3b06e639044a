/* What the service manager is told: the protocol of sd_notify, without its library.
 *
 * Each call sends one datagram to the socket that NOTIFY_SOCKET names and does nothing where there
 * is none. A datagram that cannot be sent at once is dropped, so none of these calls can hold up
 * the loop; what they return need not be looked at.
 */
#ifndef HERALD_NOTIFY_H
#define HERALD_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* The daemon serves; `status` is one line for `systemctl status`. Also ends a reload. */
bool notify_ready(const char *status);

/* SIGHUP was taken up; notify_ready must follow. */
bool notify_reloading(void);

bool notify_stopping(const char *status);

bool notify_status(const char *status);

/* Asks for this much more time to start or to stop, counted from now. */
bool notify_extend_timeout(uint64_t more_ms);

/* The loop turns. */
bool notify_watchdog(void);

/* How often notify_watchdog should be called: half of what the manager waits. 0: it does not watch.
 */
uint64_t notify_watchdog_interval_ms(void);

#endif
