/* The name of a unix socket: what may stand there before, and what is left behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/net/net.h"
#include "broker/net/unix_path.h"
#include "tests/support/check_main.h"

struct place {
    char directory[64];
    char path[100];
    char error[NET_ERROR_BYTES];
    struct unix_path *bound;
    int file;
};

static void place_make(struct place *place)
{
    memset(place, 0, sizeof(*place));
    snprintf(place->directory, sizeof(place->directory), "/tmp/herald-path-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place->directory));
    snprintf(place->path, sizeof(place->path), "%s/s", place->directory);
}

static void place_remove(const struct place *place)
{
    unlink(place->path);
    ck_assert_int_eq(rmdir(place->directory), 0);
}

static enum status bind_again(struct place *place)
{
    return unix_path_bind(place->path, 0660, &place->bound, &place->file, place->error);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int file = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(file, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(file, 5), 0);
    return file;
}

START_TEST(test_modes)
{
    static const uint32_t modes[] = {0600, 0660, 0666, 0777};
    struct place place;
    struct stat found;
    umask(0077);
    place_make(&place);
    for (size_t i = 0; i < 4; i++) {
        enum status status =
            unix_path_bind(place.path, modes[i], &place.bound, &place.file, place.error);
        ck_assert_int_eq(status, STATUS_OK);
        ck_assert_int_eq(stat(place.path, &found), 0);
        ck_assert_uint_eq(found.st_mode & 07777, modes[i]);
        close(place.file);
        unix_path_remove(place.bound);
        ck_assert_int_ne(access(place.path, F_OK), 0);
    }
    place_remove(&place);
}
END_TEST

START_TEST(test_a_living_socket_is_kept)
{
    struct place place;
    place_make(&place);
    int other = listen_at(place.path);
    ck_assert_int_eq(bind_again(&place), STATUS_IN_USE);
    ck_assert_ptr_nonnull(strstr(place.error, place.path));
    ck_assert_int_eq(access(place.path, F_OK), 0);
    close(other);
    place_remove(&place);
}
END_TEST

START_TEST(test_a_dead_socket_is_replaced)
{
    struct place place;
    place_make(&place);
    close(listen_at(place.path));
    ck_assert_int_eq(bind_again(&place), STATUS_OK);
    close(place.file);
    unix_path_remove(place.bound);
    place_remove(&place);
}
END_TEST

START_TEST(test_what_is_no_socket_is_kept)
{
    struct place place;
    place_make(&place);
    fclose(fopen(place.path, "w"));
    ck_assert_int_eq(bind_again(&place), STATUS_IO_ERROR);
    ck_assert_int_eq(unlink(place.path), 0);
    ck_assert_int_eq(symlink("/etc/passwd", place.path), 0);
    ck_assert_int_eq(bind_again(&place), STATUS_IO_ERROR);
    ck_assert_int_eq(access(place.path, F_OK), 0);
    place_remove(&place);
}
END_TEST

START_TEST(test_only_its_own_name_is_removed)
{
    struct place place;
    place_make(&place);
    ck_assert_int_eq(bind_again(&place), STATUS_OK);
    ck_assert_int_eq(unlink(place.path), 0);
    fclose(fopen(place.path, "w"));
    close(place.file);
    unix_path_remove(place.bound);
    ck_assert_int_eq(access(place.path, F_OK), 0);
    unix_path_remove(NULL);
    place_remove(&place);
}
END_TEST

START_TEST(test_lengths)
{
    struct place place;
    char path[120];
    place_make(&place);
    size_t used = (size_t)snprintf(path, sizeof(path), "%s/", place.directory);
    memset(path + used, 'x', sizeof(path) - used);
    path[108] = '\0';
    ck_assert_int_eq(unix_path_bind(path, 0660, &place.bound, &place.file, place.error),
                     STATUS_IO_ERROR);
    path[107] = '\0';
    ck_assert_int_eq(unix_path_bind(path, 0660, &place.bound, &place.file, place.error), STATUS_OK);
    close(place.file);
    unix_path_remove(place.bound);
    place_remove(&place);
}
END_TEST

START_TEST(test_a_folder_that_is_not_there)
{
    struct place place;
    place_make(&place);
    snprintf(place.path, sizeof(place.path), "%s/no/s", place.directory);
    ck_assert_int_eq(bind_again(&place), STATUS_IO_ERROR);
    place_remove(&place);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unix_path");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_modes);
    tcase_add_test(tcase, test_a_living_socket_is_kept);
    tcase_add_test(tcase, test_a_dead_socket_is_replaced);
    tcase_add_test(tcase, test_what_is_no_socket_is_kept);
    tcase_add_test(tcase, test_only_its_own_name_is_removed);
    tcase_add_test(tcase, test_lengths);
    tcase_add_test(tcase, test_a_folder_that_is_not_there);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
