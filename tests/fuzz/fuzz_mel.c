/* libFuzzer: samples of any bits but those that are no numbers, which the session refuses, through the log-mel front ends of both
 * families. The rows do not depend on how the samples are fed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/audio/conformer.h"

enum { BINS = 16, MOST_SAMPLES = 4096, MOST_ROWS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct front_end {
    gemlet_mel mel;
    float *window, *filters;
    void *memory;
} front_end;

static void open_front_end(front_end *f, const gemlet_mel_traits *traits) {
    size_t points = traits->points / 2 + 1;
    f->window = calloc(2 * traits->frame, sizeof(float));
    f->filters = calloc(BINS * points, sizeof(float));
    for (size_t i = 1; i < traits->frame; i++) {
        f->window[i] = 0.5f - 0.5f * cosf(6.28318531f * (float)i / (float)traits->frame);
    }
    for (size_t bin = 0; bin < BINS; bin++) {
        for (size_t k = bin * points / BINS; k < (bin + 1) * points / BINS; k++) {
            f->filters[bin * points + k] = 0.25f * (float)(1 + k % 4);
        }
    }
    f->mel = (gemlet_mel){.traits = traits, .window = f->window, .filters = f->filters, .bins = BINS};
    gemlet_carver counting = {NULL, 0};
    gemlet_mel_carve(&f->mel, &counting);
    gemlet_carver carver = {aligned_alloc(64, (counting.used + 63) / 64 * 64), 0};
    f->memory = carver.memory;
    gemlet_mel_carve(&f->mel, &carver);
    gemlet_mel_open(&f->mel);
}

static size_t rows_of(front_end *f, const float *samples, size_t count, size_t piece, float *rows) {
    size_t found = 0;
    gemlet_mel_begin(&f->mel);
    for (size_t done = 0; done < count;) {
        bool complete;
        size_t now = gemlet_smaller(piece, count - done), taken = gemlet_mel_feed(&f->mel, samples + done, now, &complete);
        if (taken == 0 || taken > now) {
            abort();
        }
        done += taken;
        if (complete && found < MOST_ROWS) {
            memcpy(rows + found++ * BINS, f->mel.row, BINS * sizeof(float));
        }
    }
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const gemlet_conformer_traits *const families[] = {&gemlet_usm, &gemlet_gemma4a};
    static front_end ends[2];
    static float samples[MOST_SAMPLES], whole[MOST_ROWS * BINS], pieces[MOST_ROWS * BINS];
    if (size < 3) {
        return 0;
    }
    front_end *f = &ends[data[0] & 1];
    if (f->memory == NULL) {
        open_front_end(f, &families[data[0] & 1]->mel);
    }
    size_t count = 0;
    bool short_samples = (data[0] & 2) != 0;
    for (size_t at = 3; at + 4 <= size && count < MOST_SAMPLES; at += short_samples ? 2 : 4) {
        int16_t value;
        memcpy(&value, data + at, sizeof value);
        samples[count] = (float)value / 32768.0f;
        if (!short_samples) {
            memcpy(&samples[count], data + at, sizeof *samples);
        }
        count += isfinite(samples[count]) ? 1 : 0;
    }
    size_t first = rows_of(f, samples, count, MOST_SAMPLES, whole), second = rows_of(f, samples, count, 1 + data[1], pieces);
    if (first != second || memcmp(whole, pieces, first * BINS * sizeof(float)) != 0) {
        abort();
    }
    return 0;
}
