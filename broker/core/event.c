/* Events that an exchange keeps. */
#include "broker/core/event.h"

#include <assert.h>

#include "broker/core/accept.h"
#include "broker/core/dispatch.h"
#include "broker/core/history.h"
#include "protocol/frame.h"
#include "protocol/property.h"
#include "protocol/topic.h"

#define NUMBER_MAX ((UINT64_C(1) << 48) - 1)

/* What only the broker says. */
static bool is_own(uint8_t kind)
{
    return kind == PROPERTY_MESSAGE_SEQUENCE || kind == PROPERTY_MESSAGE_VERSION ||
           kind == PROPERTY_MESSAGE_PREVIOUS;
}

struct event_terms event_terms(struct wire_bytes properties)
{
    struct event_terms terms = {.expect = EXPECT_ANY};
    struct wire_reader r = wire_reader_of(properties.at, properties.bytes);
    struct property property;
    while (properties.bytes > 0 && property_next(&r, &property)) {
        if (property.kind == PROPERTY_MESSAGE_ENTITY) {
            terms.entity = property.value;
            continue;
        }
        if (property.value.bytes != 8)
            continue;
        uint64_t value = wire_load_u64(property.value.at);
        if (property.kind == PROPERTY_MESSAGE_SEQUENCE)
            terms.sequence = value;
        else if (property.kind == PROPERTY_MESSAGE_VERSION)
            terms.version = value;
        else if (property.kind == PROPERTY_MESSAGE_PREVIOUS)
            terms.previous = value;
        else if (property.kind == PROPERTY_MESSAGE_SNAPSHOT)
            terms.is_snapshot = value != 0;
        else if (property.kind == PROPERTY_MESSAGE_EXPECT)
            terms.expect = value;
        terms.has_expect |= property.kind == PROPERTY_MESSAGE_EXPECT;
        terms.has_own |= is_own(property.kind);
    }
    return terms;
}

bool event_entity_is_good(struct wire_bytes name)
{
    if (name.bytes == 0 || !topic_is_utf8(name))
        return false;
    for (uint32_t i = 0; i < name.bytes; i++)
        if (name.at[i] < 0x20 || name.at[i] == 0x7f)
            return false;
    return true;
}

/* What no event may say, and what one that is not kept may not. */
static enum status check_terms(struct accept *accept)
{
    const struct event_terms *terms = &accept->event;
    struct core *core = accept->core;
    bool has_entity = terms->entity.at != NULL;
    if (terms->has_own) {
        dispatch_explain(core, "sequence, version and previous are the broker's to give");
        return STATUS_BAD_PROPERTY;
    }
    if (!has_entity && (terms->has_expect || terms->is_snapshot)) {
        dispatch_explain(core, "what is expected needs an entity, and so does a snapshot");
        return STATUS_BAD_PROPERTY;
    }
    if (has_entity && accept->history == NULL) {
        dispatch_explain(core, "an entity needs an exchange with a history");
        return STATUS_NO_HISTORY;
    }
    if (has_entity && accept->is_transient) {
        dispatch_explain(core, "a transient event belongs to no entity");
        return STATUS_BAD_PROPERTY;
    }
    return !has_entity || event_entity_is_good(terms->entity) ? STATUS_OK : STATUS_BAD_NAME;
}

enum status event_check_appended(struct core *core, struct wire_bytes properties)
{
    struct event_terms terms = event_terms(properties);
    if (terms.entity.at != NULL || terms.has_expect) {
        dispatch_explain(core, "the entity and its version are said once for all events");
        return STATUS_BAD_PROPERTY;
    }
    if (terms.has_own) {
        dispatch_explain(core, "sequence, version and previous are the broker's to give");
        return STATUS_BAD_PROPERTY;
    }
    return STATUS_OK;
}

/* One of several, all of which were looked at before: their entity and what is expected of it stand
 * beside them. */
static void take_terms(struct accept *accept)
{
    struct event_terms *terms = &accept->event;
    assert(terms->entity.at == NULL && !terms->has_expect && !terms->has_own);
    terms->entity = accept->append->entity;
    terms->expect = accept->append->expect;
}

static bool is_expected(uint64_t expect, uint64_t version)
{
    if (expect == EXPECT_ANY)
        return true;
    return expect == EXPECT_EXISTS ? version > 0 : version == expect;
}

static enum status prepare_entity(struct accept *accept)
{
    struct core *core = accept->core;
    struct event_terms *terms = &accept->event;
    struct entities *entities = &accept->history->entities;
    uint64_t version;
    accept->entity_key = entities_key(entities, terms->entity);
    bool is_known = entities_find(entities, accept->entity_key, &version, &terms->previous);
    if (!is_expected(terms->expect, version)) {
        dispatch_explain(core, "%llu", (unsigned long long)version);
        return STATUS_VERSION_CONFLICT;
    }
    if (!is_known && core->entity_count >= core->limits.entities_max) {
        dispatch_explain(core, "too many entities");
        return STATUS_LIMIT;
    }
    terms->version = version + 1;
    return entities_reserve(entities, accept->entity_key);
}

/* The broker's own come first, so that whoever looks for them finds them at once. */
static void make_properties(struct accept *accept)
{
    struct core *core = accept->core;
    const struct event_terms *terms = &accept->event;
    struct wire_bytes given = accept->message.properties;
    struct wire_writer w = wire_writer_of(core->event_properties, sizeof core->event_properties);
    property_put_number(&w, PROPERTY_MESSAGE_SEQUENCE, terms->sequence);
    if (terms->version != 0)
        property_put_number(&w, PROPERTY_MESSAGE_VERSION, terms->version);
    if (terms->previous != 0)
        property_put_number(&w, PROPERTY_MESSAGE_PREVIOUS, terms->previous);
    if (accept->append != NULL)
        property_put(&w, PROPERTY_MESSAGE_ENTITY, terms->entity);
    struct wire_reader r = wire_reader_of(given.at, given.bytes);
    struct property property;
    while (given.bytes > 0 && property_next(&r, &property))
        if (property.kind != PROPERTY_MESSAGE_EXPECT && !is_own(property.kind))
            property_put(&w, property.kind, property.value);
    assert(!w.failed);
    accept->message.properties = wire_bytes_of(core->event_properties, (uint32_t)wire_written(&w));
}

enum status event_prepare(struct accept *accept)
{
    accept->event = event_terms(accept->message.properties);
    enum status status = STATUS_OK;
    if (accept->append != NULL)
        take_terms(accept);
    else
        status = check_terms(accept);
    if (accept->is_transient)
        accept->history = NULL;
    if (status != STATUS_OK || accept->history == NULL)
        return status;
    struct history *history = accept->history;
    if (history->last >= NUMBER_MAX)
        return STATUS_LIMIT;
    if (accept->event.entity.at != NULL)
        status = prepare_entity(accept);
    if (status == STATUS_OK)
        status = history_reserve(history, 1);
    if (status != STATUS_OK)
        return status;
    accept->event.sequence = history->last + 1;
    make_properties(accept);
    return STATUS_OK;
}

static void set_entity(struct core *core, struct history *history, struct entity_key key,
                       const struct event_terms *terms)
{
    uint64_t count = history->entities.count;
    entities_set(&history->entities, key, terms->version, terms->sequence);
    core->entity_count += history->entities.count - count;
}

void event_keep(struct accept *accept, uint64_t word)
{
    struct history_event event = {accept->event.sequence, word, accept->size};
    history_add(accept->core, accept->history, &event, accept->message_bytes);
    if (accept->event.version != 0)
        set_entity(accept->core, accept->history, accept->entity_key, &accept->event);
}

enum status event_apply_entity(struct core *core, struct history *history,
                               struct wire_bytes properties)
{
    struct event_terms terms = event_terms(properties);
    if (terms.version == 0 || terms.entity.at == NULL)
        return STATUS_OK;
    if (terms.version > NUMBER_MAX || terms.sequence > NUMBER_MAX)
        return STATUS_CORRUPT;
    struct entity_key key = entities_key(&history->entities, terms.entity);
    if (entities_reserve(&history->entities, key) != STATUS_OK)
        return STATUS_NO_MEMORY;
    set_entity(core, history, key, &terms);
    return STATUS_OK;
}
