/* What somebody who means harm would do after changing the header of a packed file. */
#ifndef GEMLET_TESTS_CONTAINER_FORGE_H
#define GEMLET_TESTS_CONTAINER_FORGE_H

#include <stddef.h>

/* Where the CRC-32 in the header is all that is wrong with the file, makes it right.  `bytes` are aligned to 64. */
void forge_header(unsigned char *bytes, size_t size);

#endif
