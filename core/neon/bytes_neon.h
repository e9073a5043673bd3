/* Products of bytes at neon: 16 columns of 8 rows of weights times those of a vector, a pixel.
 *
 * Two products fit 16 bits as long as one factor is never -128, so that SMULL, SMLAL and SADALP make 16 multiply-adds.  Weights lie
 * in vectors of 4 columns of 4 rows.  LD4R brings 16 columns of a vector as four registers, each of which repeats four columns.
 * Sums are four registers: number i holds rows 2 i and 2 i + 1, each in two parts.  Those of four vectors, the weights, a vector
 * and the products take all 32 registers. */
#ifndef GEMLET_CORE_NEON_BYTES_NEON_H
#define GEMLET_CORE_NEON_BYTES_NEON_H

#include "core/neon/neon.h"

/* What the eight registers of weights, S to V of tuple A and of B, are: columns 0-3 and 4-7 of the first 4 rows, then of the last,
 * then columns 8-11 and 12-15 likewise. */
#define HALVES_OF_COLUMNS A_S, A_T, A_U, A_V, B_S, B_T, B_U, B_V /* a tuple has 8 columns of all rows */
#define HALVES_OF_ROWS A_S, A_T, B_S, B_T, A_U, A_V, B_U, B_V    /* a tuple has all columns of 4 rows */

#if defined(__aarch64__) && !defined(__clang__)

/* GCC 12 copies and spills the members of register tuples in these loops.  Here a tuple stays one operand, %S to %V name its
 * registers. */
GEMLET_INLINE int32x4x4_t load_repeated(const int8_t **x) {
    int32x4x4_t repeated;
    __asm__ volatile("ld4r {%S0.4s - %V0.4s}, [%1], #16" : "=w"(repeated), "+r"(*x) : "m"(*(const int8_t(*)[16]) * x));
    return repeated;
}

#define OPERAND_A_S "%S10"
#define OPERAND_A_T "%T10"
#define OPERAND_A_U "%U10"
#define OPERAND_A_V "%V10"
#define OPERAND_B_S "%S11"
#define OPERAND_B_T "%T11"
#define OPERAND_B_U "%U11"
#define OPERAND_B_V "%V11"

/* Both halves of a register's products into two of 16 bits. */
#define HALVES(INSTRUCTION, low, high, w, x)                                                                                       \
    INSTRUCTION " " low ".8h, " OPERAND_##w ".8b, " x ".8b\n\t" INSTRUCTION "2 " high ".8h, " OPERAND_##w ".16b, " x ".16b\n\t"

/* Dependent instructions are four or more apart, where Cortex-A53 wants six; so the second half's products begin between the first
 * one's ends.  LOAD is nothing, or LOAD_NEXT: the vector's registers take the next one. */
#define ADD_PRODUCTS(sum, a, b, w0, w1, w2, w3, w4, w5, w6, w7, vector, LOAD, next)                                                \
    do {                                                                                                                           \
        int16x8_t products[4];                                                                                                     \
        __asm__ volatile(                                                                                                          \
            HALVES("smull", "%4", "%5", w0, "%S8") HALVES("smull", "%6", "%7", w2, "%S8") HALVES("smlal", "%4", "%5", w1, "%T8")   \
                HALVES("smlal", "%6", "%7", w3, "%T8") "sadalp %0.4s, %4.8h\n\t"                                                   \
                                                       "smull %4.8h, " OPERAND_##w4 ".8b, %U8.8b\n\t"                              \
                                                                                    "sadalp %1.4s, %5.8h\n\t"                      \
                                                                                    "smull2 %5.8h, " OPERAND_##w4                  \
            ".16b, %U8.16b\n\t"                                                                                                    \
            "sadalp %2.4s, %6.8h\n\t"                                                                                              \
            "smull %6.8h, " OPERAND_##w6 ".8b, %U8.8b\n\t"                                                                         \
                                         "sadalp %3.4s, %7.8h\n\t"                                                                 \
                                         "smull2 %7.8h, " OPERAND_##w6 ".16b, %U8.16b\n\t" HALVES("smlal", "%4", "%5", w5, "%V8")  \
                                             HALVES("smlal", "%6", "%7", w7, "%V8") LOAD "sadalp %0.4s, %4.8h\n\t"                 \
                                                                                         "sadalp %1.4s, %5.8h\n\t"                 \
                                                                                         "sadalp %2.4s, %6.8h\n\t"                 \
                                                                                         "sadalp %3.4s, %7.8h"                     \
            : "+w"((sum)[0]), "+w"((sum)[1]), "+w"((sum)[2]), "+w"((sum)[3]), "=&w"(products[0]), "=&w"(products[1]),              \
              "=&w"(products[2]), "=&w"(products[3]), "+&w"(vector), "+r"(next)                                                    \
            : "w"(a), "w"(b), "m"(*(const int8_t(*)[16])next));                                                                    \
    } while (0)
#define LOAD_NEXT "ld4r {%S8.4s - %V8.4s}, [%9], #16\n\t"
#define LOAD_NOTHING ""

#else

/* The same in intrinsics: what the assembler above must equal. */
GEMLET_INLINE int32x4x4_t load_repeated(const int8_t **x) {
    int32x4x4_t repeated;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        repeated.val[i] = vld1q_dup_s32((const int32_t *)(const void *)(*x + 4 * i));
    }
    *x += 16;
    GEMLET_HIDE(*x);
    return repeated;
}

GEMLET_INLINE int32x4_t add_low(int32x4_t sum, int8x16_t w0, int8x16_t x0, int8x16_t w1, int8x16_t x1) {
    int16x8_t products = vmull_s8(vget_low_s8(w0), vget_low_s8(x0));
    return vpadalq_s16(sum, vmlal_s8(products, vget_low_s8(w1), vget_low_s8(x1)));
}

GEMLET_INLINE int32x4_t add_high(int32x4_t sum, int8x16_t w0, int8x16_t x0, int8x16_t w1, int8x16_t x1) {
    return vpadalq_s16(sum, vmlal_high_s8(vmull_high_s8(w0, x0), w1, x1));
}

#define OPERAND_A_S(a, b) (a).val[0]
#define OPERAND_A_T(a, b) (a).val[1]
#define OPERAND_A_U(a, b) (a).val[2]
#define OPERAND_A_V(a, b) (a).val[3]
#define OPERAND_B_S(a, b) (b).val[0]
#define OPERAND_B_T(a, b) (b).val[1]
#define OPERAND_B_U(a, b) (b).val[2]
#define OPERAND_B_V(a, b) (b).val[3]

/* Eight columns, two registers of weights for each 4 rows. */
#define ADD_HALF(sum, w0, w1, w2, w3, x0, x1)                                                                                      \
    do {                                                                                                                           \
        (sum)[0] = add_low((sum)[0], w0, x0, w1, x1);                                                                              \
        (sum)[1] = add_high((sum)[1], w0, x0, w1, x1);                                                                             \
        (sum)[2] = add_low((sum)[2], w2, x0, w3, x1);                                                                              \
        (sum)[3] = add_high((sum)[3], w2, x0, w3, x1);                                                                             \
    } while (0)
#define BYTES_OF(vector, i) vreinterpretq_s8_s32((vector).val[i])
#define ADD_PRODUCTS(sum, a, b, w0, w1, w2, w3, w4, w5, w6, w7, vector, LOAD, next)                                                \
    do {                                                                                                                           \
        ADD_HALF(sum, OPERAND_##w0(a, b), OPERAND_##w1(a, b), OPERAND_##w2(a, b), OPERAND_##w3(a, b), BYTES_OF(vector, 0),         \
                 BYTES_OF(vector, 1));                                                                                             \
        ADD_HALF(sum, OPERAND_##w4(a, b), OPERAND_##w5(a, b), OPERAND_##w6(a, b), OPERAND_##w7(a, b), BYTES_OF(vector, 2),         \
                 BYTES_OF(vector, 3));                                                                                             \
        LOAD(vector, next);                                                                                                        \
    } while (0)
#define LOAD_NEXT(vector, next) (vector) = load_repeated(&(next))
#define LOAD_NOTHING(vector, next) ((void)0)

#endif

/* sum[4] += products of the weights in tuples a and b, which lie as ORDER says, and of `vector`; the first also loads the next
 * vector and moves its pointer on. */
#define ADD_AND_LOAD(sum, a, b, ORDER, vector, next) ADD_IN_ORDER(sum, a, b, ORDER, vector, LOAD_NEXT, next)
#define ADD_LAST(sum, a, b, ORDER, vector, next) ADD_IN_ORDER(sum, a, b, ORDER, vector, LOAD_NOTHING, next)
#define ADD_IN_ORDER(sum, a, b, ...) ADD_PRODUCTS(sum, a, b, __VA_ARGS__)

#endif
