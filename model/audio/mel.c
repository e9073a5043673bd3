#include "model/audio/mel.h"

#include <stdint.h>
#include <string.h>

static size_t bins_of_spectrum(const gemlet_mel *mel) {
    return mel->traits->points / 2 + 1;
}

void gemlet_mel_carve(gemlet_mel *mel, gemlet_carver *carver) {
    mel->ranges = gemlet_carve(carver, mel->bins, sizeof *mel->ranges);
    mel->roots = gemlet_carve(carver, mel->traits->points / 2, sizeof *mel->roots);
    mel->signal = gemlet_carve(carver, mel->traits->points / 2, sizeof *mel->signal);
    mel->magnitudes = gemlet_carve(carver, bins_of_spectrum(mel), sizeof *mel->magnitudes);
    mel->samples = gemlet_carve(carver, mel->traits->frame + 1, sizeof *mel->samples);
    mel->row = gemlet_carve(carver, mel->bins, sizeof *mel->row);
}

void gemlet_mel_open(gemlet_mel *mel) {
    size_t spectrum = bins_of_spectrum(mel);
    gemlet_fourier_roots(mel->traits->points, mel->roots);
    for (size_t j = 0; j < mel->bins; j++) {
        const float *filter = mel->filters + j * spectrum;
        gemlet_mel_range range = {0, 0};
        for (size_t k = 0; k < spectrum; k++) {
            if (filter[k] != 0.0f) {
                range.first = range.end == 0 ? k : range.first;
                range.end = k + 1;
            }
        }
        mel->ranges[j] = range;
    }
}

void gemlet_mel_begin(gemlet_mel *mel) {
    memset(mel->samples, 0, mel->traits->lead * sizeof *mel->samples);
    mel->waiting = mel->traits->lead;
    mel->fed = 0;
}

double gemlet_logarithm(double x) {
    uint64_t bits = 0;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1022;
    bits = (bits & UINT64_C(0x000FFFFFFFFFFFFF)) | UINT64_C(0x3FE0000000000000);
    double mantissa = 0.0; /* 0.5 .. 1 */
    memcpy(&mantissa, &bits, sizeof mantissa);
    if (mantissa < 0.70710678118654752) {
        mantissa *= 2.0;
        exponent--;
    }
    double t = (mantissa - 1.0) / (mantissa + 1.0); /* |t| < 0.172: t^19 / 19 is below 2e-16 */
    double square = t * t;
    double series = 1.0 / 19.0;
    for (int n = 17; n >= 1; n -= 2) {
        series = series * square + 1.0 / n;
    }
    return 2.0 * t * series + exponent * 0.69314718055994531;
}

static void make_row(gemlet_mel *mel) {
    const gemlet_mel_traits *traits = mel->traits;
    memset(mel->signal, 0, traits->points / 2 * sizeof *mel->signal);
    for (size_t i = 1; i < traits->frame; i++) {
        double value = (double)mel->samples[i] - traits->emphasis * (double)mel->samples[i - 1];
        value *= (double)mel->window[i] + (double)mel->window[traits->frame + i];
        *(i % 2 == 0 ? &mel->signal[i / 2].re : &mel->signal[i / 2].im) = value;
    }
    gemlet_fourier_magnitudes(mel->roots, traits->points, mel->signal, mel->magnitudes);
    for (size_t j = 0; j < mel->bins; j++) {
        const float *filter = mel->filters + j * bins_of_spectrum(mel);
        double sum = 0.0;
        for (size_t k = mel->ranges[j].first; k < mel->ranges[j].end; k++) {
            sum += (double)filter[k] * mel->magnitudes[k];
        }
        mel->row[j] = (float)gemlet_logarithm(traits->floor_added   ? sum + traits->floor
                                              : sum > traits->floor ? sum
                                                                    : traits->floor);
    }
}

size_t gemlet_mel_feed(gemlet_mel *mel, const float *samples, size_t count, bool *complete) {
    size_t frame = mel->traits->frame;
    size_t taken = count < frame + 1 - mel->waiting ? count : frame + 1 - mel->waiting;
    memcpy(mel->samples + mel->waiting, samples, taken * sizeof *samples);
    mel->waiting += taken;
    mel->fed += taken;
    *complete = mel->waiting == frame + 1;
    if (*complete) {
        make_row(mel);
        mel->waiting -= GEMLET_MEL_HOP;
        memmove(mel->samples, mel->samples + GEMLET_MEL_HOP, mel->waiting * sizeof *samples);
    }
    return taken;
}

size_t gemlet_mel_padding(const gemlet_mel *mel) {
    return (mel->traits->padding - mel->fed % mel->traits->padding) % mel->traits->padding;
}

size_t gemlet_mel_frames(const gemlet_mel_traits *traits, size_t samples) {
    size_t padded = traits->lead + (samples + traits->padding - 1) / traits->padding * traits->padding;
    return padded <= traits->frame ? 0 : (padded - traits->frame - 1) / GEMLET_MEL_HOP + 1;
}
