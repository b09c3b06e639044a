/* Runs a fuzz target without a fuzzer: every seed of a directory, then some seconds of mutations.
 *
 *   replay_TARGET DIRECTORY [SECONDS]
 *
 * Follows a seed of chance that never changes, so that a failure comes again. The input that fails
 * is left in the file PROGRAM.failed, to become a seed. Ends with the line "N passed, N failed".
 */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/support/chance.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Only some targets have one; without it the address is NULL. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
    __attribute__((weak));

/* Only under a sanitizer. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

enum { INPUT_BYTES_MAX = 65536, SEEDS_MAX = 10000 };

struct seed {
    size_t bytes;
    unsigned char *at;
};

/* The callbacks of a dying process get no argument, so what they need stands here. */
static struct {
    char path[512];
    const uint8_t *at;
    size_t bytes;
} now;

static struct chance mutations = {20260801};

static void save_input(void)
{
    FILE *file = fopen(now.path, "wb");
    if (file == NULL)
        return;
    fwrite(now.at, 1, now.bytes, file);
    fclose(file);
    fprintf(stderr, "the input of %zu bytes is in %s\n", now.bytes, now.path);
}

static void on_abort(int number)
{
    save_input();
    signal(number, SIG_DFL);
    raise(number);
}

/* The input is in an allocation of its own size, so that a read beyond it is seen. */
static void run(const uint8_t *at, size_t bytes)
{
    uint8_t *exact = malloc(bytes > 0 ? bytes : 1);
    if (exact == NULL)
        abort();
    memcpy(exact, at, bytes);
    now.at = exact;
    now.bytes = bytes;
    LLVMFuzzerTestOneInput(exact, bytes);
    free(exact);
}

static struct seed read_seed(const char *directory, const char *name)
{
    static unsigned char room[INPUT_BYTES_MAX];
    char path[4096];
    struct stat about;
    struct seed seed = {0, NULL};
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode))
        return seed;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return seed;
    seed.bytes = fread(room, 1, sizeof room, file);
    fclose(file);
    seed.at = malloc(seed.bytes + 1);
    if (seed.at == NULL)
        abort();
    memcpy(seed.at, room, seed.bytes);
    return seed;
}

static size_t read_seeds(const char *directory, struct seed *seeds)
{
    struct dirent **entries;
    int found = scandir(directory, &entries, NULL, alphasort);
    size_t count = 0;
    for (int i = 0; i < found; i++) {
        struct seed seed = read_seed(directory, entries[i]->d_name);
        if (seed.at != NULL && count < SEEDS_MAX)
            seeds[count++] = seed;
        else
            free(seed.at);
        free(entries[i]);
    }
    if (found >= 0)
        free(entries);
    return count;
}

static void change_byte(uint8_t *data, size_t size)
{
    static const uint8_t usual[] = {0, 1, 0x7f, 0x80, 0xff, '.', '#', '*', '\n'};
    size_t at = chance_below(&mutations, size);
    switch (chance_below(&mutations, 4)) {
    case 0:
        data[at] ^= (uint8_t)(1U << chance_below(&mutations, 8));
        return;
    case 1:
        data[at] = (uint8_t)chance_next(&mutations);
        return;
    case 2:
        data[at] = usual[chance_below(&mutations, sizeof usual)];
        return;
    default:
        data[at] = data[chance_below(&mutations, size)];
        return;
    }
}

/* Takes a run of bytes out, or doubles one. */
static size_t change_length(uint8_t *data, size_t size, size_t max_size)
{
    size_t at = chance_below(&mutations, size);
    size_t bytes = 1 + chance_below(&mutations, size - at);
    if (chance_below(&mutations, 2) == 0 && bytes < size) {
        memmove(data + at, data + at + bytes, size - at - bytes);
        return size - bytes;
    }
    if (size + bytes > max_size)
        return size;
    memmove(data + at + bytes, data + at, size - at);
    return size + bytes;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
    if (size == 0) {
        data[0] = (uint8_t)chance_next(&mutations);
        return 1;
    }
    if (chance_below(&mutations, 4) == 0)
        return change_length(data, size, max_size);
    change_byte(data, size);
    return size;
}

static size_t mutate(uint8_t *data, size_t size)
{
    for (uint64_t times = 1 + chance_below(&mutations, 8); times > 0; times--) {
        if (LLVMFuzzerCustomMutator != NULL)
            size = LLVMFuzzerCustomMutator(data, size, INPUT_BYTES_MAX,
                                           (unsigned)chance_next(&mutations));
        else
            size = LLVMFuzzerMutate(data, size, INPUT_BYTES_MAX);
    }
    return size;
}

static unsigned long run_mutations(const struct seed *seeds, size_t count, long seconds)
{
    static uint8_t data[INPUT_BYTES_MAX];
    unsigned long runs = 0;
    for (time_t end = time(NULL) + seconds; time(NULL) < end;) {
        for (int i = 0; i < 100; i++, runs++) {
            size_t size = 0;
            if (count > 0) {
                const struct seed *seed = &seeds[chance_below(&mutations, count)];
                size = seed->bytes;
                memcpy(data, seed->at, size);
            }
            run(data, mutate(data, size));
        }
    }
    return runs;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s DIRECTORY [SECONDS]\n", argv[0]);
        return 2;
    }
    static struct seed seeds[SEEDS_MAX];
    snprintf(now.path, sizeof now.path, "%s.failed", argv[0]);
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(save_input);
    size_t count = read_seeds(argv[1], seeds);
    for (size_t i = 0; i < count; i++)
        run(seeds[i].at, seeds[i].bytes);
    unsigned long runs = run_mutations(seeds, count, argc > 2 ? strtol(argv[2], NULL, 10) : 2);
    for (size_t i = 0; i < count; i++)
        free(seeds[i].at);
    printf("%zu seeds, %lu mutations\n%zu passed, 0 failed\n", count, runs, count + 1);
    return 0;
}
