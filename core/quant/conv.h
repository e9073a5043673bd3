/* int8 convolutions of the encoder: weights with one scale per output channel, activations with one scale per pixel.
 *
 * Activations are NHWC: a pixel is `channels` consecutive elements.  A quantised pixel is int8 in -127 .. 127, padded with zeros to
 * gemlet_padded_channels(channels) bytes.  A convolution with several taps reads its pixels through pointers, so that nothing like
 * im2col is written; a tap outside the picture points to a pixel of zeros.
 *
 *     sum[p][o] = sum over taps t and channels c of  w[o][t][c] * x[t][p][c]      (exact, int32)
 *     y[p][o]   = (float)sum * weight_scale[o] * pixel_scale[p]                   (two roundings, in this order)
 */
#ifndef GEMLET_CORE_QUANT_CONV_H
#define GEMLET_CORE_QUANT_CONV_H

#include <stddef.h>
#include <stdint.h>

enum {
    GEMLET_CONV_PANEL = 8,      /* output channels that a packed panel interleaves */
    GEMLET_CHANNEL_PADDING = 16 /* quantised pixels and packed weights have a multiple of this many channels */
};

/* A packed convolution: `data` holds, for each panel of 8 output channels, for each tap, for each 8 input channels c, 64 bytes:
 *
 *     bytes  0 .. 15   outputs 0-3 x channels c + 0-3   (the outputs of the panel; byte 4 o + j is channel c + j of output o)
 *     bytes 16 .. 31   outputs 0-3 x channels c + 4-7
 *     bytes 32 .. 47   outputs 4-7 x channels c + 0-3
 *     bytes 48 .. 63   outputs 4-7 x channels c + 4-7
 *
 * Padded outputs and channels are zero.  Four channels of four outputs are what a dot product by element takes; the same 64 bytes
 * loaded with the structure load LD4 of 32-bit elements are 8 channels of outputs (0, 4), (1, 5), (2, 6), (3, 7): what a matrix
 * multiply-accumulate takes.  So one file serves all levels and none permutes weights in registers.
 *
 * Any weight is allowed.  Activations are never -128, and so two products fit 16 bits (2 * 128 * 127 < 32,768). */
typedef struct gemlet_conv {
    const int8_t *data; /* not owned; a multiple of 16 bytes, as pixels are */
    const float *scale; /* [outputs], not owned */
    size_t outputs;
    size_t channels; /* input channels */
    size_t taps;     /* 1 for a 1x1 convolution, 9 for a dense 3x3 */
} gemlet_conv;

typedef struct gemlet_conv_kernels {
    /* Quantises `pixels` pixels of `channels` floats, `stride` floats apart, to int8, gemlet_padded_channels(channels) bytes apart:
     * scale[p] = max|x| / 127, q = round to nearest even of x * (127 / max|x|); a pixel without a finite non-zero maximum (one with
     * a NaN or an infinity, or so small that 127 / max|x| is infinite) becomes zeros with scale 0. */
    void (*quantize)(const float *x, size_t stride, size_t pixels, size_t channels, int8_t *q, float *scale);

    /* The same for pixels that lie to one side of zero, as GELU leaves them: what is quantised is x - center[p], with
     *     center = least + (largest - least) / 2,  magnitude = max(largest - center, center - least),
     *     scale = magnitude / 127,  q = round to nearest even of (x - center) * (127 / magnitude),
     * so that sum w x = scale * sum w q + center * sum w.  Where 127 / magnitude is not finite, as for a pixel of equal elements, q
     * and scale are 0; for a pixel with a NaN, or whose center is infinite, so is center.  At least one channel. */
    void (*quantize_centered)(const float *x, size_t stride, size_t pixels, size_t channels, int8_t *q, float *scale,
                              float *center);

    /* Products for `pixels` output pixels and the panels [first_panel, end_panel).  `x[t * pixels + p]` points to the quantised
     * input pixel of tap t for output pixel p.  y[p * y_stride + o]; channels at and beyond conv->outputs are not written.
     * `pixel_scale` has one scale per output pixel, or is NULL for 1.  (With several taps the input pixels of one output have
     * different scales unless the caller quantised them with one: that is the caller's business.) */
    void (*multiply)(const gemlet_conv *conv, size_t first_panel, size_t end_panel, const int8_t *const *x, size_t pixels,
                     const float *pixel_scale, float *y, size_t y_stride);

    /* As multiply, but the plain sums. */
    void (*multiply_s32)(const gemlet_conv *conv, size_t first_panel, size_t end_panel, const int8_t *const *x, size_t pixels,
                         int32_t *y, size_t y_stride);
} gemlet_conv_kernels;

/* `channels` rounded up to a multiple of GEMLET_CHANNEL_PADDING. */
size_t gemlet_padded_channels(size_t channels);

/* Bytes of packed weights, 0 where that or a sum of `taps` * `channels` products overflows, and packing from int8 weights
 * [outputs][taps][channels]. */
size_t gemlet_conv_bytes(size_t outputs, size_t taps, size_t channels);
void gemlet_conv_pack(const int8_t *weights, size_t outputs, size_t taps, size_t channels, int8_t *packed);

extern const gemlet_conv_kernels gemlet_conv_kernels_scalar;
extern const gemlet_conv_kernels gemlet_conv_kernels_neon;
extern const gemlet_conv_kernels gemlet_conv_kernels_dotprod;
extern const gemlet_conv_kernels gemlet_conv_kernels_i8mm;

#endif
