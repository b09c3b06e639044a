/* The end of every unit test: runs a suite and says how it went. */
#ifndef HERALD_CHECK_MAIN_H
#define HERALD_CHECK_MAIN_H

#include <check.h>

/* Runs all cases of the suite and prints Check's line "100%: Checks: N, Failures: F, Errors: E".
 * Takes the suite. CK_FORK=no keeps the tests in this process, as sanitizers want it.
 * Returns what main shall return: 0 when all passed. */
int check_main(Suite *suite);

#endif
