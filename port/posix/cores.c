#if defined(__linux__)
/* NOLINTNEXTLINE(readability-identifier-naming) ; the C library's name: the affinity of a process is Linux's own */
#define _GNU_SOURCE
#endif
#include "port/posix/cores.h"

#include <unistd.h>

#if defined(__linux__)
#include <sched.h>

enum { MOST_CORES = 1 << 16 };

/* 0 where the system does not tell.  It refuses a set that is smaller than its own. */
static size_t allowed_cores(void) {
    for (size_t most = CPU_SETSIZE; most <= MOST_CORES; most *= 2) {
        cpu_set_t *set = CPU_ALLOC(most);
        if (set == NULL) {
            return 0;
        }
        size_t bytes = CPU_ALLOC_SIZE(most);
        size_t found = sched_getaffinity(0, bytes, set) == 0 ? (size_t)CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (found > 0) {
            return found;
        }
    }
    return 0;
}
#endif

size_t gemlet_posix_cores(void) {
#if defined(__linux__)
    size_t allowed = allowed_cores();
    if (allowed > 0) {
        return allowed;
    }
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}
