#include "tests/container/memory_port.h"

#include <string.h>

#include "tests/support/sanitized.h"
#include <gemlet/posix.h>

static gemlet_file *open_file(void *context, const char *path) {
    memory_file *file = context;
    (void)path;
    file->open++;
    return (gemlet_file *)file;
}

static bool file_size(void *context, gemlet_file *handle, uint64_t *size) {
    const memory_file *file = context;
    (void)handle;
    *size = file->size;
    return true;
}

static const void *map_file(void *context, gemlet_file *handle, uint64_t offset, size_t length) {
    memory_file *file = context;
    (void)handle;
    file->mappings++;
    return file->maps && offset <= file->size && length <= file->size - offset ? file->data + offset : NULL;
}

static int64_t read_file(void *context, gemlet_file *handle, uint64_t offset, void *buffer, size_t length) {
    const memory_file *file = context;
    (void)handle;
    if (offset > file->size) {
        return 0;
    }
    size_t rest = file->size - (size_t)offset, part = length < rest ? length : rest;
    memcpy(buffer, file->data + offset, part);
    return (int64_t)part;
}

static void close_file(void *context, gemlet_file *handle) {
    memory_file *file = context;
    (void)handle;
    file->open--;
}

static uint64_t now(void *context) {
    (void)context;
    return 0;
}

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

static uint32_t cpu_features(void *context) {
    (void)context;
    return SANITIZED ? 0 : gemlet_posix_cpu_features();
}

void memory_port_open(memory_file *file, gemlet_port *port) {
    *port = (gemlet_port){
        .context = file,
        .open = open_file,
        .size = file_size,
        .map = map_file,
        .read_at = read_file,
        .close = close_file,
        .time = now,
        .run_tasks = run_tasks,
        .thread_count = thread_count,
        .cpu_features = cpu_features,
    };
}
