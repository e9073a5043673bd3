#include "model/audio/fourier.h"

#include <math.h>

static gemlet_complex product(gemlet_complex a, gemlet_complex b) {
    return (gemlet_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* Root `half` is exp(-i pi / 2) for half = points / 4, and each halved index halves the angle; the others are products of these. */
void gemlet_fourier_roots(size_t points, gemlet_complex *roots) {
    roots[0] = (gemlet_complex){1.0, 0.0};
    gemlet_complex root = {0.0, -1.0};
    for (size_t step = points / 4; step >= 1; step /= 2) {
        roots[step] = root;
        double cosine = sqrt((1.0 + root.re) * 0.5);
        root = (gemlet_complex){cosine, root.im / (2.0 * cosine)};
    }
    for (size_t step = 2; step < points / 2; step *= 2) {
        for (size_t i = 1; i < step; i++) {
            roots[step + i] = product(roots[step], roots[i]);
        }
    }
}

static void reverse_bits(gemlet_complex *z, size_t count) {
    size_t reversed = 0;
    for (size_t i = 1; i < count; i++) {
        size_t bit = count / 2;
        for (; (reversed & bit) != 0; bit /= 2) {
            reversed -= bit;
        }
        reversed += bit;
        if (i < reversed) {
            gemlet_complex swapped = z[i];
            z[i] = z[reversed];
            z[reversed] = swapped;
        }
    }
}

/* In place, decimation in time; root k of `points` / stride points is roots[k * stride]. */
static void transform(const gemlet_complex *roots, size_t points, gemlet_complex *z, size_t count) {
    reverse_bits(z, count);
    for (size_t half = 1; half < count; half *= 2) {
        size_t stride = points / (2 * half);
        for (size_t first = 0; first < count; first += 2 * half) {
            for (size_t k = 0; k < half; k++) {
                gemlet_complex *low = z + first + k;
                gemlet_complex *high = low + half;
                gemlet_complex turned = product(*high, roots[k * stride]);
                *high = (gemlet_complex){low->re - turned.re, low->im - turned.im};
                *low = (gemlet_complex){low->re + turned.re, low->im + turned.im};
            }
        }
    }
}

/* The even and the odd samples are the two parts of a complex signal of half the length, Z.  With Y the conjugate of Z[half - k]:
 * X[k] = (Z[k] + Y) / 2 - i root[k] (Z[k] - Y) / 2. */
void gemlet_fourier_magnitudes(const gemlet_complex *roots, size_t points, gemlet_complex *signal, double *magnitudes) {
    size_t half = points / 2;
    transform(roots, points, signal, half);
    for (size_t k = 0; k <= half; k++) {
        gemlet_complex z = signal[k % half];
        gemlet_complex y = signal[(half - k) % half];
        gemlet_complex root = k < half ? roots[k] : (gemlet_complex){-1.0, 0.0};
        gemlet_complex odd = product(root, (gemlet_complex){z.im + y.im, y.re - z.re});
        double re = 0.5 * (z.re + y.re + odd.re);
        double im = 0.5 * (z.im - y.im + odd.im);
        magnitudes[k] = sqrt(re * re + im * im);
    }
}
