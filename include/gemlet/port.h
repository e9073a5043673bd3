/* What gemlet asks of a board.  The caller fills one gemlet_port; see port/README.md for how to write one.
 *
 * Every function gets `context` first.  Functions are called from the thread that calls gemlet only, except the task function
 * handed to run_tasks.  Where several threads call gemlet, each with a session of its own, all functions must allow calls from them
 * at the same time.  Nothing here is kept longer than the object (model, session) that was opened with it.
 */
#ifndef GEMLET_PORT_H
#define GEMLET_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CPU features, a bit mask.  Kernels use no instruction that the port does not answer for. */
enum {
    GEMLET_CPU_NEON = 1u << 0,    /* Advanced SIMD: every ARMv8-A */
    GEMLET_CPU_DOTPROD = 1u << 1, /* SDOT, UDOT: Cortex-A55, A75, A76 and later */
    GEMLET_CPU_I8MM = 1u << 2     /* SMMLA: Cortex-A510, A710, Neoverse V1 and later */
};

/* An open file; the port defines it. */
typedef struct gemlet_file gemlet_file;

/* One piece of parallel work; `task` counts from 0. */
typedef void (*gemlet_task)(void *argument, size_t task);

typedef struct gemlet_port {
    void *context; /* handed to every function; the port owns what it points to */

    /* Opens `path` for reading.  NULL where it can't. */
    gemlet_file *(*open)(void *context, const char *path);

    /* The file's size in bytes into `*size`; false where the port can't tell. */
    bool (*size)(void *context, gemlet_file *file, uint64_t *size);

    /* Maps [offset, offset + length) for reading until close and answers its address, or NULL for "cannot": gemlet then reads the
     * range into the arena.  gemlet maps all weights of a file at once.  `offset` is any multiple of 64; the address must be one
     * too. */
    const void *(*map)(void *context, gemlet_file *file, uint64_t offset, size_t length);

    /* Reads up to `length` bytes at `offset` into `buffer` and answers how many, fewer only at the end of the file; negative on
     * an error. */
    int64_t (*read_at)(void *context, gemlet_file *file, uint64_t offset, void *buffer, size_t length);

    void (*close)(void *context, gemlet_file *file);

    /* Monotonic time in nanoseconds from any origin; a port without a clock answers 0. */
    uint64_t (*time)(void *context);

    /* Calls task(argument, 0) ... task(argument, count - 1), in any order and on any threads, and returns when all have returned.
     * A serial port calls them in a loop.  Results of gemlet do not depend on the order. */
    void (*run_tasks)(void *context, gemlet_task task, void *argument, size_t count);

    /* How many tasks run at the same time; 1 for a serial port. */
    size_t (*thread_count)(void *context);

    /* GEMLET_CPU_ bits of the core that run_tasks uses with the fewest. */
    uint32_t (*cpu_features)(void *context);

    /* One line of text without a newline, for people.  May be NULL. */
    void (*log)(void *context, const char *text);

    /* Writes why this thread's call of open, size or read_at before failed ("No such file or directory"): at most `bytes` with
     * the NUL, empty where there is nothing to say.  May be NULL: messages then don't tell. */
    void (*reason)(void *context, char *text, size_t bytes);
} gemlet_port;

#ifdef __cplusplus
}
#endif
#endif
