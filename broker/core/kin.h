/* Kin: how tracked commands belong together.
 *
 * A command may have been sent on behalf of another one, its parent, and is taken back together
 * with it; and it may repair one that was parked, which from then on names it. Both are said by
 * ids, which stay though what they name is forgotten. A parent was accepted before its children, so
 * that nobody is his own ancestor.
 */
#ifndef HERALD_KIN_H
#define HERALD_KIN_H

#include <stdbool.h>
#include <sys/queue.h>

#include "protocol/status.h"
#include "protocol/wire.h"

struct core;
struct tracked;

struct kin {
    struct tracked *tracked;
    struct wire_id parent; /* these three: zero: none */
    struct wire_id repairs;
    struct wire_id repaired_by;
    struct kin *parent_kin; /* NULL: it has none, or that is not known */
    LIST_ENTRY(kin) sibling;
    LIST_HEAD(, kin) children;
};

enum { KIN_LIST_BYTES_MAX = 2 * (2 + 16) };

/* Says of a command that is not finished what it belongs to, either of which may be zero.
 * STATUS_NO_MEMORY: not all of it is said; kin_end takes it back. */
enum status kin_set(struct core *core, struct tracked *tracked, struct wire_id parent,
                    struct wire_id repairs);

/* The broker has started: whatever order they were recovered in, they find each other now.
 * STATUS_NO_MEMORY. */
enum status kin_start(struct core *core);

/* Nothing of that holds any longer. */
void kin_end(struct core *core, struct tracked *tracked);

/* The same as a list of properties, and back. */
struct wire_bytes kin_list(const struct tracked *tracked, unsigned char room[KIN_LIST_BYTES_MAX]);
enum status kin_set_list(struct core *core, struct tracked *tracked, struct wire_bytes list);

/* All that was sent on behalf of a command, in turn: a child, its children, the next child. Begins
 * with the command itself; NULL is the end. */
struct tracked *kin_next(const struct tracked *root, const struct tracked *before);

#endif
