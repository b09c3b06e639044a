/* The public header on its own: C99 and C++ without a warning, also when included twice. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check_main.h"

static const char flags[] = "-pedantic -Wall -Wextra -Wconversion -Werror -fsyntax-only";

static int compile(const char *compiler, const char *language, const char *standard)
{
    char command[512];
    snprintf(command, sizeof command,
             "printf '#include \"client-lib/herald.h\"\\n#include \"client-lib/herald.h\"\\n' | "
             "%s -I. -x %s -std=%s %s -",
             compiler, language, standard, flags);
    return system(command);
}

static const char *find_compiler(const char *const *names)
{
    for (; *names != NULL; names++) {
        char command[128];
        snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", *names);
        if (system(command) == 0)
            return *names;
    }
    return NULL;
}

START_TEST(test_c)
{
    static const char *const names[] = {"cc", "gcc", "clang", NULL};
    const char *compiler = find_compiler(names);
    ck_assert_ptr_nonnull(compiler);
    ck_assert_int_eq(compile(compiler, "c", "c99"), 0);
    ck_assert_int_eq(compile(compiler, "c", "c11"), 0);
}
END_TEST

START_TEST(test_cxx)
{
    static const char *const names[] = {"c++", "g++", "clang++", NULL};
    const char *compiler = find_compiler(names);
    if (compiler == NULL)
        return; /* a machine without one still tests C */
    ck_assert_int_eq(compile(compiler, "c++", "c++11"), 0);
    ck_assert_int_eq(compile(compiler, "c++", "c++17"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_header");
    TCase *header = tcase_create("header");
    tcase_add_test(header, test_c);
    tcase_add_test(header, test_cxx);
    tcase_set_timeout(header, 60);
    suite_add_tcase(suite, header);
    return check_main(suite);
}
