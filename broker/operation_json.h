/* An operation of the journal as a JSON object, made from records.def. */
#ifndef HERALD_OPERATION_JSON_H
#define HERALD_OPERATION_JSON_H

#include <jansson.h>

#include "broker/store/record.h"

/* "operation" and the fields of its type. Bytes are text when they are UTF-8, otherwise the name
 * ends in _base64; the numbers of queues are a list, and those of exchanges into whose histories a
 * message goes another, "histories"; ranges are lists of two; properties, settings, headers and
 * filters are objects, where a header that is not UTF-8 is null. Numbers above 2^63-1 are text. The
 * object is the caller's; NULL or incomplete when memory runs out. */
json_t *operation_json(const struct operation *operation);

#endif
