/* A received message, printed. */
#ifndef HERALD_CLI_MESSAGE_H
#define HERALD_CLI_MESSAGE_H

#include "client-lib/cli/output.h"
#include "client-lib/herald.h"

enum message_style { MESSAGE_BODY, MESSAGE_KEY_AND_BODY, MESSAGE_VERSION_KEY_AND_BODY };

/* Prints the body, with its key or its version and its key and a space before it; in the formats of
 * JSON always everything. */
void message_print(struct output *output, struct herald_message *message, enum message_style style);

/* The same as an object; to be given up by the caller. */
json_t *message_json(struct herald_message *message);

#endif
