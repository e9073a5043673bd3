/* A port whose only file is a buffer.  Serial; no CPU features where the build is sanitized.  Serves the reader's tests, the tests
 * of robustness and the fuzz targets. */
#ifndef GEMLET_TESTS_CONTAINER_MEMORY_PORT_H
#define GEMLET_TESTS_CONTAINER_MEMORY_PORT_H

#include <gemlet/port.h>

typedef struct memory_file {
    const unsigned char *data; /* aligned to 64 where it is to be mapped */
    size_t size;
    bool maps;
    size_t open;     /* files opened and not closed */
    size_t mappings; /* made */
} memory_file;

/* Fills `port`, which has no log; `file` must outlive it. */
void memory_port_open(memory_file *file, gemlet_port *port);

#endif
