/* float32 kernels.
 *
 * The scalar functions are the definition, and NEON gives the same bits: every product that is added is one fused multiply-add,
 * sums run in a fixed number of interleaved partial sums, and exp and tanh are polynomials (no libm, so that boards agree too).
 * Only what the comment of a function names as unspecified may differ.  No kernel faults on infinities or NaN; where they matter
 * the comment says what comes out.  Denormal numbers are numbers like others.
 *
 * SUM16 below is the order of a long sum: term i goes into partial sum i % 16, in ascending i, starting at 0, the terms being
 * padded with zeros to a multiple of 4; then, with p the partial sums and j = 0 .. 3, q[j] = (p[j] + p[4 + j]) + (p[8 + j] + p[12 +
 * j]);    sum = (q[0] + q[1]) + (q[2] + q[3]).
 *
 * Lengths count floats and may be any, also zero; pointers need no more alignment than their type.  Outputs may be the very array
 * of an input where a function says "in place"; else they must not overlap.  Nothing is allocated and nothing fails.
 */
#ifndef GEMLET_CORE_REAL_H
#define GEMLET_CORE_REAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GEMLET_LOG2_E 0x1.715476p+0f /* takes scores to base 2 */

/* How the elements of gemlet_rows are stored. */
typedef enum gemlet_row_type {
    GEMLET_ROW_F32,
    GEMLET_ROW_F16, /* IEEE half precision, as to_half writes it */
    GEMLET_ROW_S8   /* int8 times one scale a row, as the `quantize` of gemlet_conv_kernels writes it */
} gemlet_row_type;

/* A few consecutive rows of a matrix: keys or values of the cache, a small dense matrix, or parallel streams.  Not owned. */
typedef struct gemlet_rows {
    const void *data;
    const float *scale; /* [count], only for GEMLET_ROW_S8 */
    size_t count;
    size_t length; /* elements of a row */
    size_t stride; /* elements from one row to the next */
    gemlet_row_type type;
} gemlet_rows;

enum {
    GEMLET_DEPTHWISE_KERNEL_MAX = 5,
    GEMLET_WEIGHT_UNITS = 128, /* of softmax_block, in a step of its weights */
    GEMLET_WEIGHT_CENTER = 127 /* taken from a weight, so that 0 .. 254 fit int8 */
};

/* What softmax_block says of a block. */
typedef struct gemlet_softmax_block {
    float largest;     /* element that is no NaN; 0 where there is none but -inf */
    int32_t sum, rest; /* of its weights, and of what rounding left of them, in units */
} gemlet_softmax_block;

/* A depthwise convolution of NHWC pictures: each channel has its own kernel x kernel weights, without bias. */
typedef struct gemlet_depthwise {
    const float *weights; /* [kernel row][kernel column][channels], not owned */
    size_t channels;
    size_t kernel; /* 3 or 5 */
    size_t stride; /* 1 or 2 */
} gemlet_depthwise;

typedef struct gemlet_real_kernels {
    /* SUM16 of x[i] * x[i], over length: the mean square.  0 for length 0. */
    float (*mean_square)(const float *x, size_t length);

    /* RMSNorm as Gemma 3n and its encoder use it: y = x * r * w with r = 1 / sqrt(mean_square(x) + epsilon), rounded after each
     * operation.  `weight` may be NULL (no multiplication).  In place.  Squares must not overflow: |x| < 1e19. */
    void (*rms_norm)(const float *x, const float *weight, float epsilon, size_t length, float *y);

    /* LayerNorm: y = fma((x - m) * r, w, b) with m the mean, SUM16 of x[i] over length, and r = 1 / sqrt(SUM16 of (x[i] - m)^2,
     * over length, + epsilon), rounded after each operation.  In place.  Squares must not overflow. */
    void (*layer_norm)(const float *x, const float *weight, const float *bias, float epsilon, size_t length, float *y);

    /* gelu after rms_norm in one pass: what follows nearly every expanding convolution of the encoder.  In place. */
    void (*rms_norm_gelu)(const float *x, const float *weight, float epsilon, size_t length, float *y);

    /* GELU in its tanh form ("gelu_pytorch_tanh"; the encoder uses the same one), 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715
     * x^3))), as max(x, 0) - c / p(c)^16 with c = min(|x|, 64) and a polynomial p of degree 6.  Against the formula in exact
     * arithmetic the error is at most 9e-7 + half a unit in the last place of the result, and at most 5e-6 |x|.  Infinities:
     * gelu(inf) = inf, gelu(-inf) = 0; NaN stays NaN.  In place. */
    void (*gelu)(const float *x, size_t length, float *y);

    /* y = gelu(gate) * up, the gated FFN's and the per-layer inputs' activation.  In place with either. */
    void (*gelu_multiply)(const float *gate, const float *up, size_t length, float *y);

    /* y = up * sigmoid(gate), the conformer's gated unit; with gate and up the same, SiLU.  sigmoid(x) = 1 / (1 + e) for x >= 0 and
     * e / (1 + e) below, e = exp(-|x|) as softmax has it: a relative error of at most 4e-7 + 1e-7 |x|, and 0 below -87.8.  NaN
     * stays NaN.  In place with either. */
    void (*sigmoid_multiply)(const float *gate, const float *up, size_t length, float *y);

    /* Softmax of a row, in place: e = exp(x - max), x = e * (1 / SUM16 of e).  exp has a relative error of at most
     * 2e-7 + 1e-7 |x - max|, and is 0 below 2^-126.5.  An element of -inf (masked) becomes 0, a row of nothing but
     * -inf all zeros; a row with +inf or NaN in it becomes all NaN; every other row is finite and sums to 1 within 1e-6 plus
     * rounding of the sum. */
    void (*softmax)(float *x, size_t length);

    /* A block of a row's softmax for int8 products, to base 2 and relative to the block's largest element: t = 128 * 254 *
     * 2^(x - largest), with a relative error of 1.1e-4 + 1e-7 |x - largest|, rounded to nearest even, 0 for NaN;
     * w = floor((t + 64) / 128), in 0 .. 254.  weights[i] = w - 127, padded to a multiple of 16 with what w = 0 gives; the sum is
     * that of t, the rest that of t - 128 * w.  At most 65,536 elements. */
    gemlet_softmax_block (*softmax_block)(const float *x, size_t length, int8_t *weights);

    /* x = cap * tanh(x * (1 / cap)), in place: the soft cap of the logits, and with cap = 1 plain tanh.  tanh has a relative error
     * of at most 1e-6 (for normal arguments); infinities give -cap and cap, NaN stays NaN. */
    void (*soft_cap)(float *x, float cap, size_t length);

    /* x[i] = a * x[i]. */
    void (*scale)(float *x, float a, size_t length);

    /* y[i] = fma(a, x[i], y[i]); a = 1 is plain addition. */
    void (*add_scaled)(float *y, float a, const float *x, size_t length);

    /* y[i] = y[i] * x[i]. */
    void (*multiply)(float *y, const float *x, size_t length);

    /* y[i] = fma(a[i], x[i], y[i]): a tap of a convolution over time. */
    void (*multiply_add)(float *y, const float *a, const float *x, size_t length);

    /* Rotary position embedding of one head, in place, in the rotate-half form; `cosine` and `sine` have length / 2 elements (see
     * gemlet_rope_table).  With h = length / 2, a = x[i], b = x[h + i]:
     *     x[i] = fma(-b, sine[i], a * cosine[i]);    x[h + i] = fma(a, sine[i], b * cosine[i]). */
    void (*rope)(float *x, const float *cosine, const float *sine, size_t length);

    /* Rounds to half precision, to nearest even; what is beyond the finite range, infinities too, becomes -65504 or 65504; NaN
     * stays NaN, of unspecified bits. */
    void (*to_half)(const float *x, size_t length, uint16_t *y);

    /* bfloat16 is the upper half of a float32's bits: as much range, 8 bits of precision.  y[i] = x[i], exactly. */
    void (*from_bfloat16)(const uint16_t *x, size_t length, float *y);

    /* y[i] = (bits of x[i] + 0x8000) >> 16, without overflow: the nearest, of two the one farther from zero; what is beyond the
     * range becomes an infinity. */
    void (*to_bfloat16)(const float *x, size_t length, uint16_t *y);

    /* y[i] = to_bfloat16(fma(x[i], scale[i], y[i])), a residual connection with its layer scale; NULL: no scale. */
    void (*add_bfloat16)(uint16_t *y, const float *scale, const float *x, size_t length);

    /* Products of `count` vectors with every row: y[v * y_stride + r] = (x_v . row_r), times scale[r] for GEMLET_ROW_S8.
     * x_v starts at x + v * x_stride.  Element i is added to partial sum i % 4 in ascending order, starting at 0, rows and x padded
     * with zeros to a multiple of 8; sum = (p[0] + p[1]) + (p[2] + p[3]).  Attention scores (the queries that share a key head are
     * the vectors), and y = W x for small float matrices. */
    void (*dot)(const gemlet_rows *rows, const float *x, size_t x_stride, size_t count, float *y, size_t y_stride);

    /* Adds weighted sums of rows to `count` vectors: y_v[i] = fma(w, row_r[i], y_v[i]) for r ascending, with
     * w = weights[v * weight_stride + r], times scale[r] (rounded) for GEMLET_ROW_S8; y_v starts at y + v * y_stride.  Attention
     * outputs, and the mixing of parallel streams.  A cache in two pieces takes two calls. */
    void (*mix)(const gemlet_rows *rows, const float *weights, size_t weight_stride, size_t count, float *y, size_t y_stride);

    /* The sparse FFN's cut-off (Gaussian top-k): cutoff = mean + deviation * multiplier with the population's standard deviation;
     *     mean = SUM16 of x / length;    deviation = sqrt(SUM16 of (x - mean)^2 / length)
     * (the terms of the first sum are added plainly, length is converted to float).  Writes the ascending indices i with x[i] >
     * cutoff to `list` and x[i] - cutoff to `values`, both with room for `length`, and answers how many.  Everything else would be
     * zero. */
    size_t (*select_above)(const float *x, size_t length, float multiplier, uint32_t *list, float *values);

    /* One output row of a depthwise convolution.  `rows` points to the `kernel` input rows of `width` pixels that the output row
     * sees, NULL for one above or below the picture, not all of them NULL; `padding` is how many columns the first window begins
     * left of the picture (see gemlet_same_padding); y has `outputs` pixels.  Columns outside the picture are left out.  Order:
     * kernel columns ascending, in each of them kernel rows ascending; the first product is taken as it is, the others are fused.
     * A missing row has weight 0 and the pixels of the first row that is there.  Pixels must be finite. */
    void (*depthwise)(const gemlet_depthwise *conv, const float *const *rows, size_t width, size_t padding, size_t outputs,
                      float *y);
} gemlet_real_kernels;

extern const gemlet_real_kernels gemlet_real_kernels_scalar;
extern const gemlet_real_kernels gemlet_real_kernels_neon;

/* The frequencies of rotary embedding in turns per position, for the `length` / 2 pairs of a head:
 * turns[i] = factor * theta^(-2 i / length) / (2 pi).  `factor` is 1, or the inverse of a linear position scaling. */
void gemlet_rope_frequencies(double theta, double factor, size_t length, double *turns);

/* The cosines and sines of one position, `pairs` of each: off by less than 1e-7 for positions up to 2^22.  (transformers rounds
 * frequency and angle to float32 first, which costs up to 3e-3 at position 32768.) */
void gemlet_rope_table(const double *turns, size_t pairs, size_t position, float *cosine, float *sine);

/* Padding "same" of one dimension: the number of outputs is ceil(length / stride), and this many of the padded elements come first;
 * where the padding is odd, one more comes last. */
size_t gemlet_same_padding(size_t length, size_t kernel, size_t stride);

#ifdef __cplusplus
}
#endif
#endif
