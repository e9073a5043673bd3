/* A port to start from: copy this folder to port/<your board>, rename, and fill in what the board has. */
#ifndef GEMLET_PORT_TEMPLATE_TEMPLATE_H
#define GEMLET_PORT_TEMPLATE_TEMPLATE_H

#include <gemlet/port.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One file in memory: in flash that the CPU addresses, linked into the image, or loaded by the boot loader. */
typedef struct gemlet_template_file {
    const char *path;  /* the name under which it is opened */
    const void *start; /* 64-byte aligned, or the file can be read but not mapped */
    uint64_t size;
} gemlet_template_file;

/* What the port knows; the caller owns it and keeps it until the port is no longer used. */
typedef struct gemlet_template {
    const gemlet_template_file *files;
    size_t file_count;
} gemlet_template;

/* Fills `*port`.  Nothing is allocated and nothing needs to be closed. */
void gemlet_template_open(gemlet_template *board, gemlet_port *port);

#ifdef __cplusplus
}
#endif
#endif
