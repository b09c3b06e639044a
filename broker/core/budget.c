/* What one round does for events at most. */
#include "broker/core/budget.h"

void budget_take_in(struct budget *budget, uint64_t bytes, uint64_t copies)
{
    budget->owed_bytes += (BUDGET_COPY_BYTES + bytes) * copies;
    budget->taken_in_bytes += (BUDGET_COPY_BYTES + bytes) * copies;
}

bool budget_holds(const struct budget *budget, enum frame_type type)
{
    if (budget->owed_bytes < BUDGET_ROUND_BYTES)
        return false;
    return type == FRAME_PUBLISH || type == FRAME_APPEND || type == FRAME_PIECE;
}

void budget_hand_out(struct budget *budget, uint64_t bytes)
{
    budget->handed_out_bytes += BUDGET_COPY_BYTES + bytes;
}

/* What may be handed out in this round. */
static uint64_t allowance(const struct budget *budget)
{
    uint64_t most = BUDGET_ROUND_BYTES - BUDGET_ROUND_BYTES / 4;
    return BUDGET_ROUND_BYTES - (budget->taken_in_bytes < most ? budget->taken_in_bytes : most);
}

bool budget_is_spent(const struct budget *budget)
{
    return budget->handed_out_bytes >= allowance(budget);
}

uint64_t budget_copies_left(const struct budget *budget)
{
    uint64_t most = allowance(budget);
    if (budget->handed_out_bytes >= most)
        return 0;
    return (most - budget->handed_out_bytes + BUDGET_COPY_BYTES - 1) / BUDGET_COPY_BYTES;
}

void budget_next_round(struct budget *budget)
{
    uint64_t paid = allowance(budget);
    budget->owed_bytes -= paid < budget->owed_bytes ? paid : budget->owed_bytes;
    budget->taken_in_bytes = budget->handed_out_bytes = 0;
}
