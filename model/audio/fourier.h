/* The Fourier transform of a real signal, in double precision: what a log-mel front end needs of it, its magnitudes. */
#ifndef GEMLET_MODEL_AUDIO_FOURIER_H
#define GEMLET_MODEL_AUDIO_FOURIER_H

#include <stddef.h>

/* A complex number. */
typedef struct gemlet_complex {
    double re, im;
} gemlet_complex;

/* The roots of unity exp(-2 pi i k / points), k = 0 .. points / 2 - 1, for a power of two of at least 4 points.  From square roots
 * alone (halved angles), so that every board has the same bits. */
void gemlet_fourier_roots(size_t points, gemlet_complex *roots);

/* |sum over n of x[n] exp(-2 pi i k n / points)|, k = 0 .. points / 2, of `points` real numbers, which are lost: x[n] is
 * signal[n / 2].re for even n and .im for odd n.  `roots` of the same number of points. */
void gemlet_fourier_magnitudes(const gemlet_complex *roots, size_t points, gemlet_complex *signal, double *magnitudes);

#endif
