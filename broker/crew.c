/* The crew: two threads that run the journal's errands, so that the loop never waits for a disk. */
#include "broker/crew.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

/* A list that keeps the order. */
struct errand_list {
    struct errand *first;
    struct errand **end;
};

struct worker {
    pthread_t thread;
    pthread_mutex_t lock; /* guards everything below, but for the file */
    pthread_cond_t posted;
    struct errand_list queue;
    struct errand_list done;
    bool is_ending;
    bool is_background;
    int file;
};

struct crew {
    struct worker workers[CREW_WORKER_COUNT];
    uint32_t started_count; /* workers whose thread runs */
    uint32_t outstanding_count;
};

static void errand_list_init(struct errand_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void errand_list_add(struct errand_list *list, struct errand *errand)
{
    errand->next = NULL;
    *list->end = errand;
    list->end = &errand->next;
}

static struct errand *errand_list_take(struct errand_list *list)
{
    struct errand *errand = list->first;
    list->first = errand->next;
    if (list->first == NULL)
        list->end = &list->first;
    return errand;
}

/* Only the first errand of a list rings: the loop takes all of it at once. It rings outside of the
 * lock, or the loop would wake up only to wait for it; so the loop may find the list empty when it
 * comes. */
static void worker_ring(const struct worker *worker)
{
    uint64_t one = 1;
    ssize_t written = write(worker->file, &one, sizeof one);
    assert(written == sizeof one);
}

/* What is done in the background must not hold up the loop and commits on a machine with few
 * processors. A nice value is the thread's own on Linux; where it may not be set, all are equal. */
enum { BACKGROUND_NICE = 10 };

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    if (worker->is_background)
        (void)setpriority(PRIO_PROCESS, 0, BACKGROUND_NICE);
    pthread_mutex_lock(&worker->lock);
    for (;;) {
        while (worker->queue.first == NULL && !worker->is_ending)
            pthread_cond_wait(&worker->posted, &worker->lock);
        if (worker->queue.first == NULL)
            break;
        struct errand *errand = errand_list_take(&worker->queue);
        pthread_mutex_unlock(&worker->lock);
        errand->run(errand);
        pthread_mutex_lock(&worker->lock);
        bool was_empty = worker->done.first == NULL;
        errand_list_add(&worker->done, errand);
        if (!was_empty)
            continue;
        pthread_mutex_unlock(&worker->lock);
        worker_ring(worker);
        pthread_mutex_lock(&worker->lock);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

/* The thread inherits a mask without any signal, so that all of them reach the loop. */
static bool worker_start(struct worker *worker)
{
    errand_list_init(&worker->queue);
    errand_list_init(&worker->done);
    worker->file = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (worker->file < 0)
        return false;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->posted, NULL);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, worker_run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0)
        return true;
    pthread_cond_destroy(&worker->posted);
    pthread_mutex_destroy(&worker->lock);
    close(worker->file);
    return false;
}

static void worker_stop(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->is_ending = true;
    pthread_cond_signal(&worker->posted);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->posted);
    pthread_mutex_destroy(&worker->lock);
    close(worker->file);
}

struct crew *crew_new(void)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL)
        return NULL;
    for (uint32_t i = 0; i < CREW_WORKER_COUNT; i++) {
        crew->workers[i].is_background = i == ERRAND_BACKGROUND;
        if (!worker_start(&crew->workers[i])) {
            crew_free(crew);
            return NULL;
        }
        crew->started_count++;
    }
    return crew;
}

void crew_free(struct crew *crew)
{
    if (crew == NULL)
        return;
    assert(crew->outstanding_count == 0);
    for (uint32_t i = 0; i < crew->started_count; i++)
        worker_stop(&crew->workers[i]);
    free(crew);
}

void crew_post(void *context, struct errand *errand)
{
    struct crew *crew = context;
    struct worker *worker = &crew->workers[errand->worker];
    crew->outstanding_count++;
    pthread_mutex_lock(&worker->lock);
    errand_list_add(&worker->queue, errand);
    pthread_mutex_unlock(&worker->lock);
    pthread_cond_signal(&worker->posted);
}

int crew_file(const struct crew *crew, enum errand_worker worker)
{
    return crew->workers[worker].file;
}

struct errand *crew_collect(struct crew *crew, enum errand_worker which)
{
    struct worker *worker = &crew->workers[which];
    uint64_t rung;
    /* Silenced before the list is looked at: what is done after that rings again. */
    (void)!read(worker->file, &rung, sizeof rung);
    pthread_mutex_lock(&worker->lock);
    struct errand *first = worker->done.first;
    errand_list_init(&worker->done);
    pthread_mutex_unlock(&worker->lock);
    for (const struct errand *errand = first; errand != NULL; errand = errand->next) {
        assert(crew->outstanding_count > 0);
        crew->outstanding_count--;
    }
    return first;
}

uint32_t crew_outstanding_count(const struct crew *crew)
{
    return crew->outstanding_count;
}

void crew_wait(struct crew *crew)
{
    assert(crew->outstanding_count > 0);
    struct pollfd files[CREW_WORKER_COUNT];
    for (int i = 0; i < CREW_WORKER_COUNT; i++)
        files[i] = (struct pollfd){crew->workers[i].file, POLLIN, 0};
    /* An interrupted wait is as good as a short one: the caller looks and waits again. */
    (void)poll(files, CREW_WORKER_COUNT, -1);
}
