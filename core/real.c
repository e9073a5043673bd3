/* Tables and shapes around the float kernels; computed rarely, so in plain C and double precision. */
#include "core/real.h"

#include <math.h>

static const double two_pi = 6.283185307179586476925;

void gemlet_rope_frequencies(double theta, double factor, size_t length, double *turns) {
    double ratio = pow(theta, -2.0 / (double)length);
    double frequency = factor / two_pi;
    for (size_t i = 0; i < length / 2; i++) {
        turns[i] = frequency;
        frequency *= ratio;
    }
}

/* Taylor series up to x^11 and x^10 for |x| <= pi / 4: the first terms left out are below 3e-10. */
static double sine_small(double x) {
    double s = x * x;
    return x + x * s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * (1.0 / 362880 - s / 39916800))));
}

static double cosine_small(double x) {
    double s = x * x;
    return 1.0 + s * (-0.5 + s * (1.0 / 24 + s * (-1.0 / 720 + s * (1.0 / 40320 - s / 3628800))));
}

void gemlet_rope_table(const double *turns, size_t pairs, size_t position, float *cosine, float *sine) {
    for (size_t i = 0; i < pairs; i++) {
        double quarters = 4.0 * ((double)position * turns[i]);
        double whole = floor(quarters + 0.5);
        double angle = (quarters - whole) * (two_pi / 4);
        unsigned quadrant = (unsigned)(whole - 4.0 * floor(whole / 4.0)); /* exact, however large it is */
        double s = sine_small(angle);
        double c = cosine_small(angle);
        double cosines[] = {c, -s, -c, s};
        double sines[] = {s, c, -s, -c};
        cosine[i] = (float)cosines[quadrant];
        sine[i] = (float)sines[quadrant];
    }
}

size_t gemlet_same_padding(size_t length, size_t kernel, size_t stride) {
    size_t outputs = (length + stride - 1) / stride;
    size_t covered = outputs == 0 ? 0 : (outputs - 1) * stride + kernel;
    return covered > length ? (covered - length) / 2 : 0;
}
