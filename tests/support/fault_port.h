/* A port for tests that passes everything on to another port, until it fails as it was told. */
#ifndef GEMLET_TESTS_SUPPORT_FAULT_PORT_H
#define GEMLET_TESTS_SUPPORT_FAULT_PORT_H

#include <gemlet/port.h>

/* How run_tasks calls the tasks: as the port below does, or by the calling thread. */
typedef enum fault_order { FAULT_ORDER_BELOW, FAULT_ORDER_FORWARD, FAULT_ORDER_BACKWARD, FAULT_ORDER_ODD_FIRST } fault_order;

typedef struct fault_port {
    gemlet_port below; /* the real port */

    /* The faults; all zero is none. */
    uint64_t fail_call;    /* the call of open, size, map or read_at that fails, counted together from 1; 0: none */
    bool fail_every_later; /* and all after it */
    bool refuse_map;       /* map answers "cannot" */
    size_t read_at_most;   /* read_at gives at most so many bytes, as at the end of a file; 0: no limit */
    bool truncated;        /* the file ends at truncated_size: size says so and reads stop there */
    uint64_t truncated_size;
    bool size_lies;           /* with truncated: size still answers the whole size, as when a file shrinks after it was opened */
    uint64_t short_call;      /* the call, counted as for fail_call, that reads a byte too few; 0: none */
    uint64_t added_size;      /* size answers so many bytes more than there are */
    uint64_t claimed_threads; /* thread_count answers this; 0: what is below */
    fault_order order;        /* of tasks */
    bool time_runs_back;      /* a second for each call, from far in the future to far in the past */

    /* What was seen. */
    uint64_t calls;      /* of open, size, map and read_at */
    uint64_t open_files; /* opened and not closed: a test ends with 0 */
    uint64_t bytes_read;
    uint64_t injected;     /* calls of open, size and read_at that failed or fell short because of fail_call or short_call */
    uint64_t refused_maps; /* calls of map that answered "cannot" because of a fault */
    uint64_t task_runs;    /* calls of run_tasks */
    uint64_t times;        /* calls of time */
} fault_port;

/* Fills `*port` with functions that go through `fault` to `below`; both must outlive the port.  Sets no fault. */
void fault_port_open(fault_port *fault, const gemlet_port *below, gemlet_port *port);

#endif
