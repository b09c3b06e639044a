/* The memory of asides: whose they are, and that all of it is given back. */
#include "broker/core/aside_page.h"

#include <malloc.h>
#include <stdlib.h>

#include "broker/core/queue.h"
#include "broker/core/state.h"
#include "tests/support/chance.h"
#include "tests/support/check_main.h"
#include "tests/support/scene.h"

enum { QUEUES = 3, COUNT = 2000, STEPS = 50000 };

static struct core *core;
static struct queue *queues[QUEUES];

static void note(void *context, enum core_note level, const char *area, const char *text)
{
    (void)context, (void)level, (void)area, (void)text;
}

static void set_up(void)
{
    struct core_limits limits = scene_limits();
    core = core_new(&limits, note, NULL);
    for (uint32_t i = 0; i < QUEUES; i++)
        queues[i] = queue_new(core, QUEUE_TRANSIENT, i + 1, wire_bytes_of(NULL, 0));
}

static void tear_down(void)
{
    core_free(core);
}

/* Fills all of it, so that whoever shares it is seen. */
static struct aside *take(struct queue *queue, bool has_ward)
{
    struct aside *aside = aside_page_take(queue, has_ward);
    ck_assert_ptr_nonnull(aside);
    memset(aside, (int)queue->number, sizeof *aside + (has_ward ? sizeof(struct ward) : 0));
    return aside;
}

static bool is_whole(const struct aside *aside, bool has_ward)
{
    const unsigned char *at = (const unsigned char *)aside;
    size_t bytes = sizeof *aside + (has_ward ? sizeof(struct ward) : 0);
    for (size_t i = 0; i < bytes; i++)
        if (at[i] != aside_queue(aside)->number)
            return false;
    return true;
}

START_TEST(test_each_knows_its_queue_and_has_its_own_memory)
{
    static struct {
        struct aside *aside;
        unsigned queue;
        bool has_ward;
    } held[COUNT];
    struct chance chance = {9};
    for (unsigned step = 0; step < STEPS; step++) {
        size_t i = chance_below(&chance, COUNT);
        if (held[i].aside != NULL) {
            ck_assert(is_whole(held[i].aside, held[i].has_ward));
            ck_assert_ptr_eq(aside_queue(held[i].aside), queues[held[i].queue]);
            aside_page_give(held[i].aside);
            held[i].aside = NULL;
            continue;
        }
        held[i].queue = (unsigned)chance_below(&chance, QUEUES);
        held[i].has_ward = chance_below(&chance, 2) == 1;
        held[i].aside = take(queues[held[i].queue], held[i].has_ward);
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (held[i].aside != NULL)
            aside_page_give(held[i].aside);
        held[i].aside = NULL;
    }
}
END_TEST

START_TEST(test_what_is_not_in_use_is_given_back)
{
    static struct aside *asides[100000];
    size_t count = sizeof asides / sizeof asides[0];
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++)
            asides[i] = take(queues[i % QUEUES], false);
        for (size_t i = 0; i < count; i++)
            aside_page_give(asides[(i * 7919) % count]);
        ck_assert_uint_le(core->aside_blocks.with_room_count, 1);
        for (unsigned i = 0; i < QUEUES; i++)
            ck_assert(TAILQ_EMPTY(&queues[i]->asides.pages[0]));
    }
}
END_TEST

START_TEST(test_one_takes_at_most_58_bytes_of_its_page)
{
    ck_assert_uint_eq(sizeof(struct aside), 56);
    ck_assert_uint_ge((ASIDE_PAGE_BYTES - sizeof(struct aside_page)) / sizeof(struct aside), 71);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aside_page");
    TCase *tcase = tcase_create("aside_page");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_each_knows_its_queue_and_has_its_own_memory);
    tcase_add_test(tcase, test_what_is_not_in_use_is_given_back);
    tcase_add_test(tcase, test_one_takes_at_most_58_bytes_of_its_page);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
