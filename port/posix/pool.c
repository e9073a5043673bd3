#include "port/posix/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct gemlet_pool {
    pthread_mutex_t turn; /* held by the caller whose job runs: several sessions may share the pool */
    pthread_mutex_t lock;
    pthread_cond_t start; /* a job is there, or the pool closes */
    pthread_cond_t idle;  /* the last worker left the job */
    /* Guarded by lock. */
    uint64_t jobs; /* how many were started: a worker that has seen fewer has work */
    size_t busy;   /* workers that have not left the job */
    bool closing;
    /* The job: constant while workers are busy, except for the next task that nobody has taken. */
    gemlet_task task;
    void *argument;
    size_t count;
    atomic_size_t next;
    size_t worker_count;
    pthread_t workers[];
};

static void take_tasks(gemlet_pool *pool) {
    for (size_t task = atomic_fetch_add(&pool->next, 1); task < pool->count; task = atomic_fetch_add(&pool->next, 1)) {
        pool->task(pool->argument, task);
    }
}

static void *worker(void *argument) {
    gemlet_pool *pool = argument;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->jobs == seen && !pool->closing) {
            pthread_cond_wait(&pool->start, &pool->lock);
        }
        if (pool->closing) {
            break;
        }
        seen = pool->jobs;
        pthread_mutex_unlock(&pool->lock);
        take_tasks(pool);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0) {
            pthread_cond_signal(&pool->idle);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

gemlet_pool *gemlet_pool_open(size_t threads) {
    if (threads == 0 || threads > SIZE_MAX / sizeof(pthread_t) / 2) {
        return NULL;
    }
    gemlet_pool *pool = calloc(1, sizeof *pool + (threads - 1) * sizeof pool->workers[0]);
    if (pool == NULL) {
        return NULL;
    }
    pthread_mutex_init(&pool->turn, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->idle, NULL);
    while (pool->worker_count < threads - 1) {
        if (pthread_create(&pool->workers[pool->worker_count], NULL, worker, pool) != 0) {
            gemlet_pool_close(pool);
            return NULL;
        }
        pool->worker_count++;
    }
    return pool;
}

void gemlet_pool_close(gemlet_pool *pool) {
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->worker_count; i++) {
        pthread_join(pool->workers[i], NULL);
    }
    pthread_cond_destroy(&pool->idle);
    pthread_cond_destroy(&pool->start);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->turn);
    free(pool);
}

size_t gemlet_pool_threads(const gemlet_pool *pool) {
    return pool->worker_count + 1;
}

void gemlet_pool_run(gemlet_pool *pool, gemlet_task task, void *argument, size_t count) {
    if (count <= 1 || pool->worker_count == 0) {
        for (size_t i = 0; i < count; i++) {
            task(argument, i);
        }
        return;
    }
    pthread_mutex_lock(&pool->turn);
    pthread_mutex_lock(&pool->lock);
    pool->task = task;
    pool->argument = argument;
    pool->count = count;
    atomic_store(&pool->next, 0);
    pool->busy = pool->worker_count;
    pool->jobs++;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    take_tasks(pool);
    pthread_mutex_lock(&pool->lock);
    while (pool->busy != 0) {
        pthread_cond_wait(&pool->idle, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_unlock(&pool->turn);
}
