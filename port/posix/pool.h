/* A pool of threads that is made once and waits between calls. */
#ifndef GEMLET_PORT_POSIX_POOL_H
#define GEMLET_PORT_POSIX_POOL_H

#include <gemlet/port.h>

typedef struct gemlet_pool gemlet_pool;

/* A pool in which `threads` tasks run at a time, the caller's included.  NULL where memory or a thread is refused. */
gemlet_pool *gemlet_pool_open(size_t threads);
void gemlet_pool_close(gemlet_pool *pool);
size_t gemlet_pool_threads(const gemlet_pool *pool);

/* As run_tasks of port.h.  May be called by several threads at once, whose jobs then take turns; not by a task. */
void gemlet_pool_run(gemlet_pool *pool, gemlet_task task, void *argument, size_t count);

#endif
