/* Work that the port's threads share.  Inline, as most of it is little: a token's share of a step. */
#ifndef GEMLET_CORE_PARALLEL_H
#define GEMLET_CORE_PARALLEL_H

#include <gemlet/port.h>

/* Calls task(argument, 0 .. count - 1) on the port's threads; a single task, and none, without them. */
static inline void gemlet_parallel(const gemlet_port *port, gemlet_task task, void *argument, size_t count) {
    if (count == 1) {
        task(argument, 0);
    } else if (count > 1) {
        port->run_tasks(port->context, task, argument, count);
    }
}

/* Task `task` of `tasks` gets [*first, *end) of `items`. */
static inline void gemlet_share(size_t items, size_t task, size_t tasks, size_t *first, size_t *end) {
    *first = items * task / tasks;
    *end = items * (task + 1) / tasks;
}

#endif
