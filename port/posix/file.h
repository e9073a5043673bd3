/* Files of the posix port: the functions of port.h, which need no context. */
#ifndef GEMLET_PORT_POSIX_FILE_H
#define GEMLET_PORT_POSIX_FILE_H

#include <gemlet/port.h>

gemlet_file *gemlet_posix_file_open(void *context, const char *path);
bool gemlet_posix_file_size(void *context, gemlet_file *file, uint64_t *size);
const void *gemlet_posix_file_map(void *context, gemlet_file *file, uint64_t offset, size_t length);
int64_t gemlet_posix_file_read_at(void *context, gemlet_file *file, uint64_t offset, void *buffer, size_t length);
void gemlet_posix_file_close(void *context, gemlet_file *file);
void gemlet_posix_file_reason(void *context, char *text, size_t bytes);

#endif
