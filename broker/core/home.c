/* Homes: where in the journal each durable object was last stated whole. */
#include "broker/core/home.h"

#include "broker/core/state.h"

void home_end(struct core *core, struct home *home)
{
    if (core->journal != NULL && home->position > 0)
        journal_home_remove(core->journal, home->position, 1, home->bytes);
    *home = (struct home){0};
}

void home_move(struct core *core, struct home *home, uint64_t position, uint32_t bytes)
{
    if (position == 0)
        return;
    struct home before = *home;
    *home = (struct home){position, bytes};
    if (core->journal != NULL)
        journal_home_state(core->journal, position, 1, bytes, bytes);
    home_end(core, &before);
}

void home_add_place(struct core *core, uint64_t position, uint32_t size, uint32_t message_bytes)
{
    if (core->journal != NULL)
        journal_home_state(core->journal, position, 1, place_weight(size),
                           message_bytes >> place_shares(size));
}

void home_remove_place(struct core *core, uint64_t position, uint32_t size)
{
    if (core->journal != NULL)
        journal_home_remove(core->journal, position, 1, place_weight(size));
}
