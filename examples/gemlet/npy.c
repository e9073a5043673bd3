#include "examples/gemlet/npy.h"

#include <string.h>

_Static_assert(sizeof(float) == 4, "npy files hold float32");

/* Magic, version 1.0, the length of what follows in two bytes, then a Python dictionary, padded with spaces so that the data start
 * at a multiple of 64. */
enum { MAGIC_BYTES = 8, LENGTH_BYTES = 2, HEADER_BYTES = 128 };

bool npy_header(FILE *out, size_t rows, size_t columns) {
    unsigned char header[HEADER_BYTES];
    size_t rest = HEADER_BYTES - MAGIC_BYTES - LENGTH_BYTES;
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00", MAGIC_BYTES);
    header[MAGIC_BYTES] = (unsigned char)rest;
    header[MAGIC_BYTES + 1] = 0;
    char text[HEADER_BYTES];
    int length = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, columns);
    if (length < 0 || (size_t)length >= rest) {
        return false;
    }
    memcpy(header + MAGIC_BYTES + LENGTH_BYTES, text, (size_t)length);
    header[HEADER_BYTES - 1] = '\n';
    return fwrite(header, sizeof header, 1, out) == 1;
}

bool npy_row(FILE *out, const float *row, size_t columns) {
    return fwrite(row, sizeof *row, columns, out) == columns;
}
