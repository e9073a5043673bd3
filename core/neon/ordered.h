/* Instructions that stay in the order in which they are written.
 *
 * A core that executes in order (Cortex-A53, A55, A510) waits for each result that isn't there yet: four cycles for a dot product,
 * on A53 six for a widening multiplication.  So the loops that matter are written in the order in which they shall run: what
 * depends on each other four or more instructions apart, loads well before their use and not side by side where a multiplication is
 * free to stand between them.  Compilers don't keep that: gcc 12 knows the latency of a dot product for one core only, and spills
 * where it schedules for that.  Here each instruction is an assembler statement, which is not moved across another one; the
 * registers are still the compiler's choice.  On other machines the same names are intrinsics.
 *
 * A variable may be of any vector type, whatever the instruction takes its register for: sums of integers become floats where they
 * are. */
#ifndef GEMLET_CORE_NEON_ORDERED_H
#define GEMLET_CORE_NEON_ORDERED_H

#include "core/neon/neon.h"

#if defined(__aarch64__)

/* 16 and 8 bytes at any address. */
typedef int8x16_t ordered_bytes __attribute__((may_alias, aligned(1)));
typedef int8x8_t ordered_half_bytes __attribute__((may_alias, aligned(1)));

#define ORDERED_BYTES(from) (*(const ordered_bytes *)(const void *)(from))

/* Binds a local variable to a register where all 32 are in use: the compiler would copy values about to have them. */
#define ORDERED_LOCAL register
#define ORDERED_REGISTER(name) __asm__(name)

#define ORDERED_LOAD(to, from) __asm__ volatile("ldr %q0, %1" : "=w"(to) : "m"(ORDERED_BYTES(from)))
#define ORDERED_LOAD_HALF(to, from)                                                                                                \
    __asm__ volatile("ldr %d0, %1" : "=w"(to) : "m"(*(const ordered_half_bytes *)(const void *)(from)))

#define ORDERED_LOAD_REPEATED(to, from)                                                                                            \
    __asm__ volatile("ld1r {%0.4s}, [%1]" : "=w"(to) : "r"(from), "m"(*(const int32_t *)(const void *)(from)))

/* Four vectors of every fourth word; they must be bound to the registers of these names, which follow each other. */
#define ORDERED_LOAD_ROWS(to0, to1, to2, to3, from, name0, name1, name2, name3)                                                    \
    __asm__ volatile("ld4 {" name0 ".4s, " name1 ".4s, " name2 ".4s, " name3 ".4s}, [%4]"                                          \
                     : "=w"(to0), "=w"(to1), "=w"(to2), "=w"(to3)                                                                  \
                     : "r"(from), "m"(*(const char(*)[64])(const void *)(from)))

/* The same, and moves the pointer on. */
#define ORDERED_LOAD_NEXT_ROWS(to0, to1, to2, to3, from, name0, name1, name2, name3)                                               \
    __asm__ volatile("ld4 {" name0 ".4s, " name1 ".4s, " name2 ".4s, " name3 ".4s}, [%4], #64"                                     \
                     : "=w"(to0), "=w"(to1), "=w"(to2), "=w"(to3), "+r"(from)                                                      \
                     : "m"(*(const char(*)[64])(const void *)(from)))

/* 64 bytes in such registers, and moves the pointer on. */
#define ORDERED_LOAD_NEXT_64(to0, to1, to2, to3, from, name0, name1, name2, name3)                                                 \
    __asm__ volatile("ld1 {" name0 ".16b, " name1 ".16b, " name2 ".16b, " name3 ".16b}, [%4], #64"                                 \
                     : "=w"(to0), "=w"(to1), "=w"(to2), "=w"(to3), "+r"(from)                                                      \
                     : "m"(*(const char(*)[64])(const void *)(from)))

/* 32 bytes by one instruction; clang can't be told which addresses that takes. */
#if defined(__clang__)
#define ORDERED_LOAD_PAIR(first, second, from)                                                                                     \
    ORDERED_LOAD(first, from);                                                                                                     \
    ORDERED_LOAD(second, (const char *)(from) + 16)
#else
#define ORDERED_LOAD_PAIR(first, second, from)                                                                                     \
    __asm__ volatile("ldp %q0, %q1, %2"                                                                                            \
                     : "=w"(first), "=w"(second)                                                                                   \
                     : "Ump"(ORDERED_BYTES(from)), "m"(ORDERED_BYTES((const char *)(from) + 16)))
#endif

/* An instruction's text can't stand in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define ORDERED_1(text, result, a) __asm__ volatile(text : "=w"(result) : "w"(a))
#define ORDERED_2(text, result, a, b) __asm__ volatile(text : "=w"(result) : "w"(a), "w"(b))
#define ORDERED_ADD(text, sum, a, b) __asm__ volatile(text : "+w"(sum) : "w"(a), "w"(b))
#define ORDERED_CHANGE(text, x) __asm__ volatile(text : "+w"(x))
/* NOLINTEND(bugprone-macro-parentheses) */

#define ORDERED_SET_BYTES(to, value) __asm__ volatile("movi %0.16b, " #value : "=w"(to))
#define ORDERED_AND(to, a, b) ORDERED_2("and %0.16b, %1.16b, %2.16b", to, a, b)
#define ORDERED_HIGH_NIBBLES(to, a) ORDERED_SHIFT_SIGNED(to, a, 4)
#define ORDERED_SHIFT_SIGNED(to, a, bits) ORDERED_1("sshr %0.16b, %1.16b, #" #bits, to, a)
#define ORDERED_SHIFT(to, a, bits) ORDERED_1("ushr %0.16b, %1.16b, #" #bits, to, a)
#define ORDERED_DOT_LANE(sum, a, b, lane) ORDERED_ADD("sdot %0.4s, %1.16b, %2.4b[" #lane "]", sum, a, b)
#define ORDERED_MULTIPLY_LOW(to, a, b) ORDERED_2("smull %0.8h, %1.8b, %2.8b", to, a, b)
#define ORDERED_MULTIPLY_HIGH(to, a, b) ORDERED_2("smull2 %0.8h, %1.16b, %2.16b", to, a, b)
#define ORDERED_ACCUMULATE_LOW(sum, a, b) ORDERED_ADD("smlal %0.8h, %1.8b, %2.8b", sum, a, b)
#define ORDERED_ACCUMULATE_HIGH(sum, a, b) ORDERED_ADD("smlal2 %0.8h, %1.16b, %2.16b", sum, a, b)
#define ORDERED_ADD_PAIRS_16(to, a, b) ORDERED_2("addp %0.8h, %1.8h, %2.8h", to, a, b)
#define ORDERED_ADD_PAIRS_32(to, a, b) ORDERED_2("addp %0.4s, %1.4s, %2.4s", to, a, b)
#define ORDERED_PAIRS(to, a) ORDERED_1("saddlp %0.4s, %1.8h", to, a)
#define ORDERED_ACCUMULATE_PAIRS(sum, a) __asm__ volatile("sadalp %0.4s, %1.8h" : "+w"(sum) : "w"(a))
#define ORDERED_REPEAT_LANE(to, from, lane) ORDERED_1("dup %0.4s, %1.s[" #lane "]", to, from)
#define ORDERED_MATRIX_MULTIPLY(sum, a, b) ORDERED_ADD("smmla %0.4s, %1.16b, %2.16b", sum, a, b)
#define ORDERED_ZIP_WORDS(low, high, a, b)                                                                                         \
    ORDERED_2("zip1 %0.4s, %1.4s, %2.4s", low, a, b);                                                                              \
    ORDERED_2("zip2 %0.4s, %1.4s, %2.4s", high, a, b)
#define ORDERED_FROM_HALF(x) ORDERED_CHANGE("fcvtl %0.4s, %0.4h", x)
#define ORDERED_FROM_LOW_HALF(to, x) ORDERED_1("fcvtl %0.4s, %1.4h", to, x)
#define ORDERED_FROM_HIGH_HALF(to, x) ORDERED_1("fcvtl2 %0.4s, %1.8h", to, x)
#define ORDERED_TO_FLOAT(x) ORDERED_CHANGE("scvtf %0.4s, %0.4s", x)
#define ORDERED_MULTIPLY(x, factor) ORDERED_ADD("fmul %0.4s, %0.4s, %1.4s", x, factor, factor)
#define ORDERED_MULTIPLY_LANE(x, factors, lane) ORDERED_ADD("fmul %0.4s, %0.4s, %1.s[" #lane "]", x, factors, factors)
#define ORDERED_MULTIPLY_ADD_LANE(sum, a, b, lane) ORDERED_ADD("fmla %0.4s, %1.4s, %2.s[" #lane "]", sum, a, b)
#define ORDERED_MULTIPLY_ADD(sum, a, b) ORDERED_ADD("fmla %0.4s, %1.4s, %2.4s", sum, a, b)

#else

#include <string.h>

/* The same instructions on variables of any vector types. */
#define ORDERED_SET(to, value)                                                                                                     \
    do {                                                                                                                           \
        __typeof__(value) ordered_value = value;                                                                                   \
        memcpy(&(to), &ordered_value, sizeof(to));                                                                                 \
    } while (0)
#define ORDERED_AS(type, x) ((type)(x))

#define ORDERED_LOCAL
#define ORDERED_REGISTER(name)
#define ORDERED_LOAD(to, from) memcpy(&(to), from, 16)
#define ORDERED_LOAD_HALF(to, from) memcpy(&(to), from, 8)
#define ORDERED_LOAD_REPEATED(to, from) ORDERED_SET(to, vld1q_dup_s32((const int32_t *)(const void *)(from)))
#define ORDERED_LOAD_PAIR(first, second, from)                                                                                     \
    ORDERED_LOAD(first, from);                                                                                                     \
    ORDERED_LOAD(second, (const char *)(from) + 16)
#define ORDERED_LOAD_ROWS(to0, to1, to2, to3, from, name0, name1, name2, name3)                                                    \
    do {                                                                                                                           \
        int32x4x4_t rows = vld4q_s32((const int32_t *)(const void *)(from));                                                       \
        ORDERED_SET(to0, rows.val[0]);                                                                                             \
        ORDERED_SET(to1, rows.val[1]);                                                                                             \
        ORDERED_SET(to2, rows.val[2]);                                                                                             \
        ORDERED_SET(to3, rows.val[3]);                                                                                             \
    } while (0)

#define ORDERED_S8(x) ORDERED_AS(int8x16_t, x)
#define ORDERED_S16(x) ORDERED_AS(int16x8_t, x)
#define ORDERED_S32(x) ORDERED_AS(int32x4_t, x)
#define ORDERED_F32(x) ORDERED_AS(float32x4_t, x)

#define ORDERED_LOAD_NEXT_ROWS(to0, to1, to2, to3, from, name0, name1, name2, name3)                                               \
    do {                                                                                                                           \
        ORDERED_LOAD_ROWS(to0, to1, to2, to3, from, name0, name1, name2, name3);                                                   \
        (from) += 64;                                                                                                              \
    } while (0)
#define ORDERED_LOAD_NEXT_64(to0, to1, to2, to3, from, name0, name1, name2, name3)                                                 \
    do {                                                                                                                           \
        ORDERED_LOAD_PAIR(to0, to1, from);                                                                                         \
        ORDERED_LOAD_PAIR(to2, to3, (from) + 32);                                                                                  \
        (from) += 64;                                                                                                              \
    } while (0)

#define ORDERED_SET_BYTES(to, value) ORDERED_SET(to, vdupq_n_s8(value))
#define ORDERED_AND(to, a, b) ORDERED_SET(to, vandq_s8(ORDERED_S8(a), ORDERED_S8(b)))
#define ORDERED_HIGH_NIBBLES(to, a) ORDERED_SHIFT_SIGNED(to, a, 4)
#define ORDERED_SHIFT_SIGNED(to, a, bits) ORDERED_SET(to, vshrq_n_s8(ORDERED_S8(a), bits))
#define ORDERED_SHIFT(to, a, bits) ORDERED_SET(to, vshrq_n_u8(ORDERED_AS(uint8x16_t, a), bits))
#define ORDERED_DOT_LANE(sum, a, b, lane) ORDERED_SET(sum, vdotq_laneq_s32(ORDERED_S32(sum), ORDERED_S8(a), ORDERED_S8(b), lane))
#define ORDERED_MULTIPLY_LOW(to, a, b) ORDERED_SET(to, vmull_s8(vget_low_s8(ORDERED_S8(a)), vget_low_s8(ORDERED_S8(b))))
#define ORDERED_MULTIPLY_HIGH(to, a, b) ORDERED_SET(to, vmull_high_s8(ORDERED_S8(a), ORDERED_S8(b)))
#define ORDERED_ACCUMULATE_LOW(sum, a, b)                                                                                          \
    ORDERED_SET(sum, vmlal_s8(ORDERED_S16(sum), vget_low_s8(ORDERED_S8(a)), vget_low_s8(ORDERED_S8(b))))
#define ORDERED_ACCUMULATE_HIGH(sum, a, b) ORDERED_SET(sum, vmlal_high_s8(ORDERED_S16(sum), ORDERED_S8(a), ORDERED_S8(b)))
#define ORDERED_ADD_PAIRS_16(to, a, b) ORDERED_SET(to, vpaddq_s16(ORDERED_S16(a), ORDERED_S16(b)))
#define ORDERED_ADD_PAIRS_32(to, a, b) ORDERED_SET(to, vpaddq_s32(ORDERED_S32(a), ORDERED_S32(b)))
#define ORDERED_PAIRS(to, a) ORDERED_SET(to, vpaddlq_s16(ORDERED_S16(a)))
#define ORDERED_ACCUMULATE_PAIRS(sum, a) ORDERED_SET(sum, vpadalq_s16(ORDERED_S32(sum), ORDERED_S16(a)))
#define ORDERED_REPEAT_LANE(to, from, lane) ORDERED_SET(to, vdupq_laneq_s32(ORDERED_S32(from), lane))
#define ORDERED_MATRIX_MULTIPLY(sum, a, b) ORDERED_SET(sum, vmmlaq_s32(ORDERED_S32(sum), ORDERED_S8(a), ORDERED_S8(b)))
#define ORDERED_ZIP_WORDS(low, high, a, b)                                                                                         \
    do {                                                                                                                           \
        int32x4x2_t zipped = vzipq_s32(ORDERED_S32(a), ORDERED_S32(b));                                                            \
        ORDERED_SET(low, zipped.val[0]);                                                                                           \
        ORDERED_SET(high, zipped.val[1]);                                                                                          \
    } while (0)
#define ORDERED_FROM_HALVES(to, x, first)                                                                                          \
    do {                                                                                                                           \
        float16x4_t half;                                                                                                          \
        memcpy(&half, (const char *)&(x) + 2 * (first), sizeof half);                                                              \
        ORDERED_SET(to, vcvt_f32_f16(half));                                                                                       \
    } while (0)
#define ORDERED_FROM_HALF(x) ORDERED_FROM_HALVES(x, x, 0)
#define ORDERED_FROM_LOW_HALF(to, x) ORDERED_FROM_HALVES(to, x, 0)
#define ORDERED_FROM_HIGH_HALF(to, x) ORDERED_FROM_HALVES(to, x, 4)
#define ORDERED_TO_FLOAT(x) ORDERED_SET(x, vcvtq_f32_s32(ORDERED_S32(x)))
#define ORDERED_MULTIPLY(x, factor) ORDERED_SET(x, vmulq_f32(ORDERED_F32(x), factor))
#define ORDERED_MULTIPLY_LANE(x, factors, lane) ORDERED_MULTIPLY(x, vdupq_laneq_f32(factors, lane))
#define ORDERED_MULTIPLY_ADD(sum, a, b) ORDERED_SET(sum, vfmaq_f32(sum, ORDERED_F32(a), b))
#define ORDERED_MULTIPLY_ADD_LANE(sum, a, b, lane) ORDERED_MULTIPLY_ADD(sum, a, vdupq_laneq_f32(b, lane))

#endif

#endif
