/* The end of every unit test: runs a suite and says how it went. */
#include "tests/support/check_main.h"

/* What the linker puts in the place of Check's own function of that name. That one writes each
 * place to a pipe, to say of a crash what it came after; the sanitizers do so anyway, and tests
 * that compare a million times would do little else. */
void __wrap__mark_point(const char *file, int line);

void __wrap__mark_point(const char *file, int line)
{
    (void)file;
    (void)line;
}

int check_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
