/* The checksum of packed files and saved sessions. */
#ifndef GEMLET_CORE_CRC32_H
#define GEMLET_CORE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Continues the CRC-32 (ISO 3309, as zlib) of `length` more bytes; start with 0. */
uint32_t gemlet_crc32(uint32_t crc, const void *bytes, size_t length);

#endif
