/* The pump: hands out what is ready to consumers with room. */
#ifndef HERALD_PUMP_H
#define HERALD_PUMP_H

#include <stdint.h>

struct core;
struct operation_message;
struct queue;

/* Before the batch goes to disk: marks that the coming hand-outs need travel in the same batch. */
void pump_prepare(struct core *core);

/* After the durable position moved: queues whose head waited for the disk may go on. */
void pump_on_durable(struct core *core);

/* Hands an event to the live subscriber behind a queue that holds nothing, as it comes in. */
void pump_hand_live(struct core *core, struct queue *queue,
                    const struct operation_message *message);

/* There is nothing to hand out of this queue now, or it ends. */
void pump_leave(struct core *core, struct queue *queue);

/* Hands out, queue by queue, a bounded amount. Sets core->has_more when some is left. */
void pump_run(struct core *core);

#endif
