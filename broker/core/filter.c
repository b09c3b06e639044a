/* Filters: headers that a message must have. */
#include "broker/core/filter.h"

enum status filter_check(struct wire_bytes filter)
{
    return header_check(filter, FILTER_COUNT_MAX, FILTER_BYTES_MAX);
}

/* A name stands at most once in a list, so the first of that name decides. */
static bool is_met(const struct header *wanted, struct wire_bytes headers)
{
    struct wire_reader r = wire_reader_of(headers.at, headers.bytes);
    struct header header;
    while (header_next(&r, &header))
        if (wire_bytes_equal(header.name, wanted->name))
            return wire_bytes_equal(header.value, wanted->value);
    return false;
}

bool filter_find_unmet(struct wire_bytes filter, struct wire_bytes headers, struct header *unmet)
{
    struct wire_reader r = wire_reader_of(filter.at, filter.bytes);
    while (header_next(&r, unmet))
        if (!is_met(unmet, headers))
            return true;
    return false;
}

bool filter_matches(struct wire_bytes filter, struct wire_bytes headers)
{
    struct header unmet;
    return !filter_find_unmet(filter, headers, &unmet);
}

bool filter_is_same(struct wire_bytes a, struct wire_bytes b)
{
    return a.bytes == b.bytes && filter_matches(a, b) && filter_matches(b, a);
}
