/* Operations of records: what records.def says, as code. */
#include "broker/store/record.h"

#define OPERATION(NAME, name, type, urgency, text)                                                 \
    void record_get_##name(struct wire_reader *r, struct operation_##name *fields)                 \
    {
#define FIELD(kind, name, text) fields->name = wire_get_##kind(r);
#define OPERATION_END(NAME, name) }
#include "broker/store/records.def"

#define OPERATION(NAME, name, type, urgency, text)                                                 \
    size_t record_size_##name(const struct operation_##name *fields)                               \
    {                                                                                              \
        size_t bytes = 1;
#define FIELD(kind, name, text) bytes += wire_size_##kind(fields->name);
#define OPERATION_END(NAME, name)                                                                  \
    return bytes;                                                                                  \
    }
#include "broker/store/records.def"

#define OPERATION(NAME, name, type, urgency, text)                                                 \
    void record_put_##name(struct wire_writer *w, const struct operation_##name *fields)           \
    {                                                                                              \
        wire_put_u8(w, type);
#define FIELD(kind, name, text) wire_put_##kind(w, fields->name);
#define OPERATION_END(NAME, name) }
#include "broker/store/records.def"

enum status record_next(struct wire_reader *r, struct operation *operation)
{
    if (wire_left(r) == 0)
        return STATUS_MORE;
    operation->type = (enum operation_type)wire_get_u8(r);
    switch (operation->type) {
#define OPERATION(NAME, name, type, urgency, text)                                                 \
    case OPERATION_##NAME:                                                                         \
        record_get_##name(r, &operation->as.name);                                                 \
        break;
#include "broker/store/records.def"
    case OPERATION_TYPE_COUNT:
    default:
        return STATUS_CORRUPT;
    }
    return r->failed ? STATUS_CORRUPT : STATUS_OK;
}

void record_put(struct wire_writer *w, const struct operation *operation)
{
    switch (operation->type) {
#define OPERATION(NAME, name, type, urgency, text)                                                 \
    case OPERATION_##NAME:                                                                         \
        record_put_##name(w, &operation->as.name);                                                 \
        break;
#include "broker/store/records.def"
    case OPERATION_TYPE_COUNT:
        break;
    }
}

const char *record_operation_name(unsigned type)
{
    static const char *const names[OPERATION_TYPE_COUNT] = {
#define OPERATION(NAME, name, type, urgency, text) [type] = #NAME,
#include "broker/store/records.def"
    };
    return type < OPERATION_TYPE_COUNT && names[type] != NULL ? names[type] : "UNKNOWN";
}
