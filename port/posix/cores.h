/* How many cores the process may use. */
#ifndef GEMLET_PORT_POSIX_CORES_H
#define GEMLET_PORT_POSIX_CORES_H

#include <stddef.h>

/* At least 1.  Where the system tells, those that it may run on (taskset, a container's set of cores), not all that there are: more
 * threads than these would only take turns. */
size_t gemlet_posix_cores(void);

#endif
