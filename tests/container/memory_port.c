#include "tests/container/memory_port.h"

#include <string.h>

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

void memory_port_open(memory_file *file, gemlet_port *port) {
    memset(port, 0, sizeof *port);
    port->context = file;
    port->open = open_file;
    port->size = file_size;
    port->map = map_file;
    port->read_at = read_file;
    port->close = close_file;
}
