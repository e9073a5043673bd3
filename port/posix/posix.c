#include <gemlet/posix.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "port/posix/cores.h"
#include "port/posix/file.h"
#include "port/posix/pool.h"

struct gemlet_posix {
    gemlet_pool *pool;
};

static uint64_t now(void *context) {
    (void)context;
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0) {
        return 0;
    }
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static void run_tasks(void *context, gemlet_task task, void *argument, size_t count) {
    const gemlet_posix *posix = context;
    gemlet_pool_run(posix->pool, task, argument, count);
}

static size_t thread_count(void *context) {
    const gemlet_posix *posix = context;
    return gemlet_pool_threads(posix->pool);
}

uint32_t gemlet_posix_cpu_features(void) {
#if defined(__aarch64__) && defined(__linux__)
    /* Linux answers what every core has.  The bit numbers are part of its interface; older headers lack the names. */
    const unsigned long asimd = 1ul << 1, asimd_dotprod = 1ul << 20, i8mm = 1ul << 13;
    unsigned long first = getauxval(AT_HWCAP);
    unsigned long second = getauxval(AT_HWCAP2);
    return ((first & asimd) != 0 ? GEMLET_CPU_NEON : 0u) | ((first & asimd_dotprod) != 0 ? GEMLET_CPU_DOTPROD : 0u) |
           ((second & i8mm) != 0 ? GEMLET_CPU_I8MM : 0u);
#elif defined(__aarch64__)
    return GEMLET_CPU_NEON;
#else
    return GEMLET_CPU_NEON | GEMLET_CPU_DOTPROD | GEMLET_CPU_I8MM;
#endif
}

static uint32_t cpu_features(void *context) {
    (void)context;
    return gemlet_posix_cpu_features();
}

static void log_line(void *context, const char *text) {
    (void)context;
    (void)fprintf(stderr, "%s\n", text);
}

gemlet_posix *gemlet_posix_open(size_t threads, gemlet_port *port) {
    threads = threads != 0 ? threads : gemlet_posix_cores();
    gemlet_posix *posix = malloc(sizeof *posix);
    if (posix == NULL) {
        return NULL;
    }
    posix->pool = gemlet_pool_open(threads);
    if (posix->pool == NULL) {
        free(posix);
        return NULL;
    }
    *port = (gemlet_port){
        .context = posix,
        .open = gemlet_posix_file_open,
        .size = gemlet_posix_file_size,
        .map = gemlet_posix_file_map,
        .read_at = gemlet_posix_file_read_at,
        .close = gemlet_posix_file_close,
        .time = now,
        .run_tasks = run_tasks,
        .thread_count = thread_count,
        .cpu_features = cpu_features,
        .log = log_line,
        .reason = gemlet_posix_file_reason,
    };
    return posix;
}

void gemlet_posix_close(gemlet_posix *posix) {
    if (posix != NULL) {
        gemlet_pool_close(posix->pool);
        free(posix);
    }
}
