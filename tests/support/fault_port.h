/* A port for tests that passes everything on to another port, until it fails as it was told. */
#ifndef GEMLET_TESTS_SUPPORT_FAULT_PORT_H
#define GEMLET_TESTS_SUPPORT_FAULT_PORT_H

#include "port/port.h"

typedef struct fault_port {
    gemlet_port below; /* the real port */

    /* The faults; all zero is none. */
    uint64_t fail_call;    /* the call of open, size, map or read_at that fails, counted together from 1; 0: none */
    bool fail_every_later; /* and all after it */
    bool refuse_map;       /* map answers "cannot" */
    size_t read_at_most;   /* read_at gives at most so many bytes, as at the end of a file; 0: no limit */
    bool truncated;        /* the file ends at truncated_size: size says so and reads stop there */
    uint64_t truncated_size;
    bool size_lies; /* with truncated: size still answers the whole size, as when a file shrinks after it was opened */

    /* What was seen. */
    uint64_t calls;      /* of open, size, map and read_at */
    uint64_t open_files; /* opened and not closed: a test ends with 0 */
    uint64_t bytes_read;
} fault_port;

/* Fills `*port` with functions that go through `fault` to `below`; both must outlive the port.  Sets no fault. */
void fault_port_open(fault_port *fault, const gemlet_port *below, gemlet_port *port);

#endif
