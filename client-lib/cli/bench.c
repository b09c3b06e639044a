/* What the benches have in common. */
#include "client-lib/cli/bench.h"

#include <stdio.h>
#include <unistd.h>

#include "client-lib/cli/report.h"

void bench_make_name(char name[BENCH_NAME_BYTES])
{
    snprintf(name, BENCH_NAME_BYTES, "bench-%d", (int)getpid());
}

int bench_create_queue(struct contact *contact, const char *queue)
{
    return report_status(contact->client,
                         herald_queue_create(contact->client, queue, NULL, CONTACT_ANSWER_MS),
                         NULL);
}

int bench_delete_queue(struct contact *contact, const char *queue)
{
    return report_status(
        contact->client,
        herald_queue_delete(contact->client, queue, HERALD_DELETE_ANYWAY, CONTACT_ANSWER_MS), NULL);
}

int bench_finish(struct figures *figures, struct output *output, int code)
{
    if (code == EXIT_OK) {
        figures_print_deinit(figures, output);
        return output_finish(output, code);
    }
    table_deinit(&figures->table);
    json_decref(figures->object);
    return code;
}
