/* A line of errands on the test's own thread. */
#include "tests/support/errand_line.h"

void errand_line_init(struct errand_line *line)
{
    line->first = NULL;
    line->end = &line->first;
}

void errand_line_post(void *context, struct errand *errand)
{
    struct errand_line *line = context;
    errand->next = NULL;
    *line->end = errand;
    line->end = &errand->next;
}

bool errand_line_is_empty(const struct errand_line *line)
{
    return line->first == NULL;
}

static struct errand *take_at(struct errand_line *line, struct errand **at)
{
    struct errand *errand = *at;
    *at = errand->next;
    if (line->end == &errand->next)
        line->end = at;
    return errand;
}

struct errand *errand_line_take(struct errand_line *line)
{
    return line->first != NULL ? take_at(line, &line->first) : NULL;
}

struct errand *errand_line_take_of(struct errand_line *line, enum errand_worker worker)
{
    for (struct errand **at = &line->first; *at != NULL; at = &(*at)->next)
        if ((*at)->worker == worker)
            return take_at(line, at);
    return NULL;
}

enum status errand_line_run_one(struct errand_line *line, struct journal *journal,
                                enum errand_worker worker)
{
    struct errand *errand = errand_line_take_of(line, worker);
    if (errand == NULL)
        return STATUS_NOT_FOUND;
    errand->run(errand);
    return journal_on_errand(journal, errand);
}

enum status errand_line_run(struct errand_line *line, struct journal *journal)
{
    struct errand *errand;
    while ((errand = errand_line_take(line)) != NULL) {
        errand->run(errand);
        enum status status = journal_on_errand(journal, errand);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

enum status errand_line_settle(struct errand_line *line, struct journal *journal, uint64_t now_ms)
{
    do {
        enum status status = errand_line_run(line, journal);
        if (status != STATUS_OK)
            return status;
        journal_round(journal, now_ms);
    } while (!errand_line_is_empty(line));
    return STATUS_OK;
}
