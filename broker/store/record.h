/* Operations of records: the struct of each type, encoding and decoding; made from records.def. */
#ifndef HERALD_RECORD_H
#define HERALD_RECORD_H

#include "protocol/status.h"
#include "protocol/wire.h"

/* In the list of queues of a MESSAGE operation, what stands for the history of an exchange: its
 * number with this bit. The numbers of both are below it. */
#define HISTORY_BIT (UINT32_C(1) << 31)

enum operation_type {
#define OPERATION(NAME, name, type, urgency, text) OPERATION_##NAME = type,
#include "broker/store/records.def"
    OPERATION_TYPE_COUNT = 27,
};

#define OPERATION(NAME, name, type, urgency, text) struct operation_##name {
#define FIELD(kind, name, text) wire_type_##kind name;
#define OPERATION_END(NAME, name)                                                                  \
    }                                                                                              \
    ;
#include "broker/store/records.def"

/* A decoded operation; byte fields point into the record. */
struct operation {
    enum operation_type type;
    union {
#define OPERATION(NAME, name, type, urgency, text) struct operation_##name name;
#include "broker/store/records.def"
    } as;
};

/* Decodes the next operation of a record. STATUS_OK; STATUS_MORE at the end of the record;
 * STATUS_CORRUPT for anything that was never written. */
enum status record_next(struct wire_reader *r, struct operation *operation);

/* "MESSAGE", or "UNKNOWN". Static storage. */
const char *record_operation_name(unsigned type);

/* Encodes whatever the operation is. */
void record_put(struct wire_writer *w, const struct operation *operation);

/* Encoders and decoders of one type each; size_ counts the type's byte too. */
#define OPERATION(NAME, name, type, urgency, text)                                                 \
    size_t record_size_##name(const struct operation_##name *fields);                              \
    void record_put_##name(struct wire_writer *w, const struct operation_##name *fields);          \
    void record_get_##name(struct wire_reader *r, struct operation_##name *fields);
#include "broker/store/records.def"

#endif
