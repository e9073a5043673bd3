#include "port/template/template.h"

#include <string.h>

/* An open file is a pointer into the caller's table: nothing to allocate, nothing to run out of. */
static const gemlet_template_file *entry_of(gemlet_file *file) {
    return (const gemlet_template_file *)(const void *)file;
}

static gemlet_file *open_file(void *context, const char *path) {
    const gemlet_template *board = context;
    size_t length = strlen(path);
    for (size_t i = 0; i < board->file_count; i++) {
        const char *candidate = board->files[i].path;
        if (strlen(candidate) == length && memcmp(candidate, path, length) == 0) {
            return (gemlet_file *)(uintptr_t)&board->files[i]; /* opaque to the library, which never writes to it */
        }
    }
    return NULL;
}

static bool file_size(void *context, gemlet_file *file, uint64_t *size) {
    (void)context;
    *size = entry_of(file)->size;
    return true;
}

static const void *map_file(void *context, gemlet_file *file, uint64_t offset, size_t length) {
    (void)context;
    const gemlet_template_file *entry = entry_of(file);
    if (length == 0 || offset > entry->size || length > entry->size - offset) {
        return NULL;
    }
    const unsigned char *address = (const unsigned char *)entry->start + (size_t)offset;
    return (uintptr_t)address % 64 == 0 ? address : NULL;
}

static int64_t read_file(void *context, gemlet_file *file, uint64_t offset, void *buffer, size_t length) {
    (void)context;
    const gemlet_template_file *entry = entry_of(file);
    if (offset >= entry->size) {
        return 0;
    }
    size_t left = (size_t)(entry->size - offset);
    size_t taken = length < left ? length : left;
    memcpy(buffer, (const unsigned char *)entry->start + (size_t)offset, taken);
    return (int64_t)taken;
}

static void close_file(void *context, gemlet_file *file) {
    (void)context;
    (void)file;
}

/* A board with a free-running counter answers counter * 1000000000 / frequency here. */
static uint64_t now(void *context) {
    (void)context;
    return 0;
}

/* A board with an RTOS hands the tasks to one worker per core and waits for the last. */
static void run_tasks(void *context, gemlet_task task, void *argument, size_t count) {
    (void)context;
    for (size_t i = 0; i < count; i++) {
        task(argument, i);
    }
}

static size_t thread_count(void *context) {
    (void)context;
    return 1;
}

/* Every ARMv8-A core has NEON.  Add GEMLET_CPU_DOTPROD and GEMLET_CPU_I8MM where the core's manual names SDOT and SMMLA. */
static uint32_t cpu_features(void *context) {
    (void)context;
    return GEMLET_CPU_NEON;
}

void gemlet_template_open(gemlet_template *board, gemlet_port *port) {
    *port = (gemlet_port){
        .context = board,
        .open = open_file,
        .size = file_size,
        .map = map_file,
        .read_at = read_file,
        .close = close_file,
        .time = now,
        .run_tasks = run_tasks,
        .thread_count = thread_count,
        .cpu_features = cpu_features,
        .log = NULL, /* a function that writes the line to the serial console */
    };
}
