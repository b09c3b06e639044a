/* A small journal in a real directory, for tests of tools that read one. */
#ifndef HERALD_TEST_SMALL_JOURNAL_H
#define HERALD_TEST_SMALL_JOURNAL_H

#include <stdint.h>

struct small_journal {
    char root[64];
    char data[96]; /* the directory with the journal */
    uint32_t spoilt_offset;
};

/* A queue `work` and nine messages, stopped cleanly. */
void small_journal_make(struct small_journal *small);

/* Damages the record of one message in the middle. */
void small_journal_spoil(struct small_journal *small);

/* Removes everything. */
void small_journal_remove(const struct small_journal *small);

#endif
