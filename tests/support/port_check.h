/* What every port must do, whatever the board: run by the test of each port. */
#ifndef GEMLET_TESTS_SUPPORT_PORT_CHECK_H
#define GEMLET_TESTS_SUPPORT_PORT_CHECK_H

#include "tests/support/temporary.h"
#include <gemlet/port.h>

/* The contents of a test file of `size` bytes, 64-byte aligned, for the caller to free. */
unsigned char *port_check_contents(size_t size);

/* A new file with these contents; `path` gets its name, which the caller removes. */
void port_check_write_file(char path[TEMPORARY_BYTES], const unsigned char *contents, size_t size);

/* Opens `path` through the port and compares everything that can be read of it with `contents`.  `maps`: that map may not refuse.
 */
void port_check_files(const gemlet_port *port, const char *path, const unsigned char *contents, size_t size, bool maps);

/* Tasks, threads, time, log. */
void port_check_tasks(const gemlet_port *port);

#endif
