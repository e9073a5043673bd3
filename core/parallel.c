#include "core/parallel.h"

void gemlet_parallel(const gemlet_port *port, gemlet_task task, void *argument, size_t count) {
    if (count == 1) {
        task(argument, 0);
    } else if (count > 1) {
        port->run_tasks(port->context, task, argument, count);
    }
}

void gemlet_share(size_t items, size_t task, size_t tasks, size_t *first, size_t *end) {
    *first = items * task / tasks;
    *end = items * (task + 1) / tasks;
}
