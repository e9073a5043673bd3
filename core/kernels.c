#include "core/kernels.h"

#include <gemlet/port.h>

/* GEMLET_LEVEL_LIMIT is the highest level that the build compiled in (CMake option GEMLET_LEVEL_MAX). */
gemlet_level gemlet_level_for(uint32_t cpu_features) {
    gemlet_level level = GEMLET_LEVEL_SCALAR;
    if ((cpu_features & GEMLET_CPU_NEON) != 0) {
        level = GEMLET_LEVEL_NEON;
        if ((cpu_features & GEMLET_CPU_DOTPROD) != 0) {
            level = (cpu_features & GEMLET_CPU_I8MM) != 0 ? GEMLET_LEVEL_I8MM : GEMLET_LEVEL_DOTPROD;
        }
    }
    return level < (gemlet_level)GEMLET_LEVEL_LIMIT ? level : (gemlet_level)GEMLET_LEVEL_LIMIT;
}

gemlet_kernels gemlet_kernels_for(gemlet_level level) {
    gemlet_kernels kernels = {GEMLET_LEVEL_SCALAR, &gemlet_matrix_kernels_scalar, &gemlet_row_scaled_kernels_scalar,
                              &gemlet_conv_kernels_scalar, &gemlet_real_kernels_scalar};
#if GEMLET_LEVEL_LIMIT >= 1
    if (level >= GEMLET_LEVEL_NEON) {
        kernels = (gemlet_kernels){GEMLET_LEVEL_NEON, &gemlet_matrix_kernels_neon, &gemlet_row_scaled_kernels_neon,
                                   &gemlet_conv_kernels_neon, &gemlet_real_kernels_neon};
    }
#endif
#if GEMLET_LEVEL_LIMIT >= 2
    if (level >= GEMLET_LEVEL_DOTPROD) {
        kernels.level = GEMLET_LEVEL_DOTPROD;
        kernels.matrix = &gemlet_matrix_kernels_dotprod;
        kernels.row_scaled = &gemlet_row_scaled_kernels_dotprod;
        kernels.conv = &gemlet_conv_kernels_dotprod;
    }
#endif
#if GEMLET_LEVEL_LIMIT >= 3
    if (level >= GEMLET_LEVEL_I8MM) {
        kernels.level = GEMLET_LEVEL_I8MM;
        kernels.matrix = &gemlet_matrix_kernels_i8mm;
        kernels.row_scaled = &gemlet_row_scaled_kernels_i8mm;
        kernels.conv = &gemlet_conv_kernels_i8mm;
    }
#endif
    (void)level;
    return kernels;
}

const char *gemlet_level_name(gemlet_level level) {
    static const char *const names[] = {"scalar", "neon", "dotprod", "i8mm"};
    return names[level];
}
