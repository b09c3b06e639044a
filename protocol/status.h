/* Statuses by name and by code; the table is status.def. */
#ifndef HERALD_STATUS_H
#define HERALD_STATUS_H

#include <stdbool.h>
#include <stdint.h>

enum status {
#define STATUS(NAME, code, text) STATUS_##NAME = code,
#include "protocol/status.def"
};

/* The name as the wire's documents and the command line show it ("NO_QUEUE"), or "UNKNOWN" for a
 * code that the table does not have. Static storage. */
const char *status_name(unsigned code);

/* What a person reads; never NULL. Static storage. */
const char *status_text(unsigned code);

/* True for the codes that may stand in a refusal or a close. */
bool status_is_public(unsigned code);

#endif
