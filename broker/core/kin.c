/* Kin: how tracked commands belong together. */
#include "broker/core/kin.h"

#include <stdlib.h>

#include "broker/core/state.h"
#include "broker/core/tracked.h"
#include "protocol/property.h"

static struct kin *kin_get(struct tracked *tracked)
{
    if (tracked->kin == NULL)
        tracked->kin = calloc(1, sizeof *tracked->kin);
    if (tracked->kin != NULL)
        tracked->kin->tracked = tracked;
    return tracked->kin;
}

static enum status meet_parent(struct core *core, struct kin *kin)
{
    struct tracked *parent = wire_id_is_zero(&kin->parent) ? NULL : tracked_find(core, kin->parent);
    if (parent == NULL || parent == kin->tracked || kin->parent_kin != NULL ||
        (kin->tracked->number != 0 && parent->number >= kin->tracked->number))
        return STATUS_OK;
    struct kin *parent_kin = kin_get(parent);
    if (parent_kin == NULL)
        return STATUS_NO_MEMORY;
    kin->parent_kin = parent_kin;
    LIST_INSERT_HEAD(&parent_kin->children, kin, sibling);
    return STATUS_OK;
}

static enum status meet_repaired(struct core *core, struct kin *kin)
{
    struct tracked *repaired =
        wire_id_is_zero(&kin->repairs) ? NULL : tracked_find(core, kin->repairs);
    if (repaired == NULL || repaired == kin->tracked)
        return STATUS_OK;
    struct kin *repaired_kin = kin_get(repaired);
    if (repaired_kin == NULL)
        return STATUS_NO_MEMORY;
    repaired_kin->repaired_by = kin->tracked->id;
    return STATUS_OK;
}

enum status kin_set(struct core *core, struct tracked *tracked, struct wire_id parent,
                    struct wire_id repairs)
{
    if (wire_id_is_zero(&parent) && wire_id_is_zero(&repairs))
        return STATUS_OK;
    struct kin *kin = kin_get(tracked);
    if (kin == NULL)
        return STATUS_NO_MEMORY;
    kin->parent = parent;
    kin->repairs = repairs;
    enum status status = meet_parent(core, kin);
    return status == STATUS_OK ? meet_repaired(core, kin) : status;
}

static enum status meet_all(struct core *core, struct tracked_list *list)
{
    struct tracked *tracked;
    enum status status = STATUS_OK;
    TAILQ_FOREACH (tracked, list, link) {
        if (tracked->kin == NULL)
            continue;
        status = meet_parent(core, tracked->kin);
        if (status == STATUS_OK)
            status = meet_repaired(core, tracked->kin);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

enum status kin_start(struct core *core)
{
    enum status status = meet_all(core, &core->tracked.open);
    return status == STATUS_OK ? meet_all(core, &core->tracked.finished) : status;
}

/* One that is not accepted after all has repaired nothing. */
static void leave_repaired(struct core *core, const struct kin *kin)
{
    struct tracked *repaired = tracked_find(core, kin->repairs);
    if (repaired != NULL && repaired->kin != NULL && kin->tracked->outcome == NULL &&
        memcmp(&repaired->kin->repaired_by, &kin->tracked->id, sizeof kin->tracked->id) == 0)
        repaired->kin->repaired_by = (struct wire_id){{0}};
}

void kin_end(struct core *core, struct tracked *tracked)
{
    struct kin *kin = tracked->kin;
    struct kin *child;
    if (kin == NULL)
        return;
    leave_repaired(core, kin);
    while ((child = LIST_FIRST(&kin->children)) != NULL) {
        child->parent_kin = NULL;
        LIST_REMOVE(child, sibling);
    }
    if (kin->parent_kin != NULL)
        LIST_REMOVE(kin, sibling);
    tracked->kin = NULL;
    free(kin);
}

/* --- in records ---------------------------------------------------------------------------------
 */

static void put_id(struct wire_writer *w, uint8_t kind, const struct wire_id *id)
{
    if (!wire_id_is_zero(id))
        property_put(w, kind, wire_bytes_of(id->byte, sizeof id->byte));
}

struct wire_bytes kin_list(const struct tracked *tracked, unsigned char room[KIN_LIST_BYTES_MAX])
{
    struct wire_writer w = wire_writer_of(room, KIN_LIST_BYTES_MAX);
    if (tracked->kin != NULL) {
        put_id(&w, PROPERTY_MESSAGE_PARENT, &tracked->kin->parent);
        put_id(&w, PROPERTY_MESSAGE_REPAIRS, &tracked->kin->repairs);
    }
    return wire_bytes_of(room, (uint32_t)wire_written(&w));
}

static struct wire_id find_id(struct wire_bytes list, uint8_t kind)
{
    struct wire_id id = {{0}};
    struct wire_bytes value = property_find(list, kind);
    if (value.bytes == sizeof id.byte)
        memcpy(id.byte, value.at, sizeof id.byte);
    return id;
}

enum status kin_set_list(struct core *core, struct tracked *tracked, struct wire_bytes list)
{
    return kin_set(core, tracked, find_id(list, PROPERTY_MESSAGE_PARENT),
                   find_id(list, PROPERTY_MESSAGE_REPAIRS));
}

/* --- descendants --------------------------------------------------------------------------------
 */

struct tracked *kin_next(const struct tracked *root, const struct tracked *before)
{
    const struct kin *kin = before->kin;
    if (kin == NULL)
        return NULL;
    if (!LIST_EMPTY(&kin->children))
        return LIST_FIRST(&kin->children)->tracked;
    for (; kin != NULL && kin->tracked != root; kin = kin->parent_kin)
        if (LIST_NEXT(kin, sibling) != NULL)
            return LIST_NEXT(kin, sibling)->tracked;
    return NULL;
}
