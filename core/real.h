/* float32 kernels.  The scalar functions are the definition; NEON stays within the stated bound of them. */
#ifndef GEMLET_CORE_REAL_H
#define GEMLET_CORE_REAL_H

#include <stddef.h>
#include <stdint.h>

typedef struct gemlet_real_kernels {
    int to_be_written; /* by the owner of the float family */
} gemlet_real_kernels;

extern const gemlet_real_kernels gemlet_real_kernels_scalar;
extern const gemlet_real_kernels gemlet_real_kernels_neon;

#endif
