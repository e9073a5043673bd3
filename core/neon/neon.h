/* NEON intrinsics: the compiler's own on ARM; on any other host SIMDe's, so that the same kernels run there under sanitizers. */
#ifndef GEMLET_CORE_NEON_NEON_H
#define GEMLET_CORE_NEON_NEON_H

#if defined(__ARM_NEON)
#include <arm_neon.h>
#else
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/arm/neon.h>

/* SIMDe 0.7 has SDOT as loops over single bytes, with which compilers take minutes, and lacks SMMLA.  No product or sum of two
 * leaves the type that it is in. */

/* r[i] += sum over k < 4 of a[4 i + k] * b[4 i + k]. */
#undef vdotq_s32
static inline int32x4_t vdotq_s32(int32x4_t r, int8x16_t a, int8x16_t b) {
    int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(a), vget_high_s8(b)));
    return vaddq_s32(r, vpaddq_s32(low, high));
}
#undef vdotq_laneq_s32
#define vdotq_laneq_s32(r, a, b, lane) vdotq_s32(r, a, vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(b), lane)))

/* r[2 i + j] += sum over k < 8 of a[8 i + k] * b[8 j + k]. */
static inline int32x4_t vmmlaq_s32(int32x4_t r, int8x16_t a, int8x16_t b) {
    int8x8_t rows[2] = {vget_low_s8(a), vget_high_s8(a)}, columns[2] = {vget_low_s8(b), vget_high_s8(b)};
    int32x4_t sums[2];
    for (int i = 0; i < 2; i++) {
        sums[i] = vpaddq_s32(vpaddlq_s16(vmull_s8(rows[i], columns[0])), vpaddlq_s16(vmull_s8(rows[i], columns[1])));
    }
    return vaddq_s32(r, vpaddq_s32(sums[0], sums[1]));
}

/* Nor has it FCVTNS, which ends at the type's range; NaN becomes 0. */
static inline int32x4_t vcvtnq_s32_f32(float32x4_t x) {
    float from[4];
    int32_t to[4];
    vst1q_f32(from, x);
    for (int i = 0; i < 4; i++) {
        to[i] = from[i] >= 0x1p31f   ? INT32_MAX
                : from[i] < -0x1p31f ? INT32_MIN
                : from[i] == from[i] ? (int32_t)__builtin_rintf(from[i])
                                     : 0;
    }
    return vld1q_s32(to);
}

/* Nor FDIV. */
static inline float32x4_t vdivq_f32(float32x4_t a, float32x4_t b) {
    float left[4], right[4];
    vst1q_f32(left, a);
    vst1q_f32(right, b);
    for (int i = 0; i < 4; i++) {
        left[i] /= right[i];
    }
    return vld1q_f32(left);
}

/* Halves of float16 vectors. */
static inline float16x4_t gemlet_half_of_f16(float16x8_t x, int first) {
    float16x4_t half;
    __builtin_memcpy(&half, (const char *)&x + 2 * first, sizeof half);
    return half;
}
#define vget_low_f16(x) gemlet_half_of_f16(x, 0)
#define vcvt_high_f32_f16(x) vcvt_f32_f16(gemlet_half_of_f16(x, 4))

/* Its multiply-adds by lane round twice; ARM's once. */
#undef vfmaq_laneq_f32
#define vfmaq_laneq_f32(sum, a, b, lane) vfmaq_f32(sum, a, vdupq_laneq_f32(b, lane))
#undef vfmas_laneq_f32
#define vfmas_laneq_f32(sum, a, b, lane) __builtin_fmaf(a, vgetq_lane_f32(b, lane), sum)
#endif

/* This file's sources are compiled once per level, with GEMLET_COMPILED_LEVEL = 1 (neon), 2 (dotprod) or 3 (i8mm). */
#if GEMLET_COMPILED_LEVEL == 1
#define GEMLET_LEVEL_NAME(name) name##_neon
#elif GEMLET_COMPILED_LEVEL == 2
#define GEMLET_LEVEL_NAME(name) name##_dotprod
#elif GEMLET_COMPILED_LEVEL == 3
#define GEMLET_LEVEL_NAME(name) name##_i8mm
#else
#error "GEMLET_COMPILED_LEVEL must be 1, 2 or 3"
#endif

/* Loop bodies that are instantiated with constant shapes. */
#define GEMLET_INLINE static inline __attribute__((always_inline))

/* Keeps the compiler from folding a walking pointer into offsets from its start, so that loads post-increment it. */
#define GEMLET_HIDE(pointer) __asm__("" : "+r"(pointer))

#endif
