/* A survey of a history. */
#include "broker/core/survey.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/table.h"

struct noted {
    UT_hash_handle hh;
    uint64_t sequence;
    uint32_t key_bytes;
    unsigned char key[];
};

struct survey {
    struct noted *noted;
    struct noted *at; /* while picking: the next one, in order */
    uint64_t last;
    bool is_picking;
};

struct survey *survey_new(uint64_t last)
{
    struct survey *survey = calloc(1, sizeof *survey);
    if (survey != NULL)
        survey->last = last;
    return survey;
}

void survey_free(struct survey *survey)
{
    if (survey == NULL)
        return;
    struct noted *noted;
    struct noted *next;
    HASH_ITER (hh, survey->noted, noted, next) {
        HASH_DEL(survey->noted, noted);
        free(noted);
    }
    free(survey);
}

bool survey_is_collecting(const struct survey *survey, uint64_t next)
{
    return !survey->is_picking && next <= survey->last;
}

enum status survey_note(struct survey *survey, struct wire_bytes key, uint64_t sequence,
                        uint32_t count_max)
{
    struct noted *noted;
    HASH_FIND(hh, survey->noted, key.at, key.bytes, noted);
    if (noted != NULL) {
        noted->sequence = sequence;
        return STATUS_OK;
    }
    if (HASH_COUNT(survey->noted) >= count_max)
        return STATUS_LIMIT;
    noted = malloc(sizeof *noted + key.bytes);
    if (noted == NULL)
        return STATUS_NO_MEMORY;
    noted->sequence = sequence;
    noted->key_bytes = key.bytes;
    memcpy(noted->key, key.at, key.bytes);
    HASH_ADD_KEYPTR(hh, survey->noted, noted->key, noted->key_bytes, noted);
    if (table_has(&noted->hh))
        return STATUS_OK;
    free(noted);
    return STATUS_NO_MEMORY;
}

static int compare(const struct noted *a, const struct noted *b)
{
    return a->sequence < b->sequence ? -1 : 1;
}

bool survey_pick(struct survey *survey, uint64_t next, uint64_t *sequence)
{
    if (!survey->is_picking) {
        HASH_SORT(survey->noted, compare);
        survey->at = survey->noted;
        survey->is_picking = true;
        next = 0;
    }
    while (survey->at != NULL && survey->at->sequence < next)
        survey->at = survey->at->hh.next;
    *sequence = survey->at != NULL ? survey->at->sequence : survey->last + 1;
    return survey->at != NULL;
}
