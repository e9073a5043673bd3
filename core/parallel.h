/* Work that the port's threads share. */
#ifndef GEMLET_CORE_PARALLEL_H
#define GEMLET_CORE_PARALLEL_H

#include <gemlet/port.h>

/* Calls task(argument, 0 .. count - 1) on the port's threads; a single task, and none, without them. */
void gemlet_parallel(const gemlet_port *port, gemlet_task task, void *argument, size_t count);

/* Task `task` of `tasks` gets [*first, *end) of `items`. */
void gemlet_share(size_t items, size_t task, size_t tasks, size_t *first, size_t *end);

#endif
