/* Writes NumPy's .npy files (format 1.0): float32 matrices, a row at a time. */
#ifndef GEMLET_EXAMPLES_GEMLET_NPY_H
#define GEMLET_EXAMPLES_GEMLET_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The header of a matrix [rows][columns]; false where writing fails. */
bool npy_header(FILE *out, size_t rows, size_t columns);

bool npy_row(FILE *out, const float *row, size_t columns);

#endif
