/* The kernel table: one struct of function pointers per family, filled once from the CPU features that the port answers. */
#ifndef GEMLET_CORE_KERNELS_H
#define GEMLET_CORE_KERNELS_H

#include "core/quant/conv.h"
#include "core/quant/matrix.h"
#include "core/quant/row_scaled.h"
#include "core/real.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Instruction levels, each with everything of the ones before it. */
typedef enum gemlet_level {
    GEMLET_LEVEL_SCALAR,  /* portable C: the definition of every kernel */
    GEMLET_LEVEL_NEON,    /* ARMv8.0: Cortex-A53, A72 */
    GEMLET_LEVEL_DOTPROD, /* Cortex-A55, A76 */
    GEMLET_LEVEL_I8MM     /* Cortex-A510, A710, Neoverse V1 */
} gemlet_level;

typedef struct gemlet_kernels {
    gemlet_level level;
    const gemlet_matrix_kernels *matrix;
    const gemlet_row_scaled_kernels *row_scaled;
    const gemlet_conv_kernels *conv;
    const gemlet_real_kernels *real;
} gemlet_kernels;

/* The best level for `cpu_features` (GEMLET_CPU_ bits of port.h) that this build contains. */
gemlet_level gemlet_level_for(uint32_t cpu_features);

/* The table of `level`, which must be one that gemlet_level_for can answer, or a lower one. */
gemlet_kernels gemlet_kernels_for(gemlet_level level);

/* "scalar", "neon", "dotprod" or "i8mm". */
const char *gemlet_level_name(gemlet_level level);

#ifdef __cplusplus
}
#endif
#endif
