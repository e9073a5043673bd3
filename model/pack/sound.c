#include "model/pack/sound.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

const gemlet_conformer_traits *pack_sound_traits(const pack_model *model) {
    return gemlet_family_named(model->family->architecture)->sounds;
}

uint32_t pack_sound_window(const pack_model *model) {
    uint32_t left = model->audio.context_left, less = (uint32_t)pack_sound_traits(model)->context_less;
    return left > less && left - less <= GEMLET_CONFORMER_MOST_WINDOW ? left - less : 0;
}

/* head^-0.5 / ln 2 * softplus(s) * key scale; llama.cpp's converter has applied the softplus for Gemma 4. */
void pack_query_scale(const pack_model *model, float *scale, size_t count) {
    double factor = pack_sound_traits(model)->key_scale / (sqrt((double)count) * log(2.0));
    bool applied = model->from_gguf && pack_sound_traits(model) == &gemlet_gemma4a;
    for (size_t i = 0; i < count; i++) {
        double s = (double)scale[i];
        scale[i] = (float)(factor * (applied ? s : s > 30.0 ? s : log1p(exp(s))));
    }
}

void pack_sinusoids(const pack_model *model, size_t window, size_t width, double *out) {
    size_t half = width / 2;
    double key_scale = pack_sound_traits(model)->key_scale;
    for (size_t r = 0; r < window; r++) {
        for (size_t i = 0; i < half; i++) {
            double angle = (double)(window - 1 - r) * exp(-(double)i * log(1e4) / (double)(half > 1 ? half - 1 : 1));
            out[r * width + i] = sin(angle) / key_scale;
            out[r * width + half + i] = cos(angle) / key_scale;
        }
        if (width % 2 != 0) {
            out[r * width + width - 1] = 0.0;
        }
    }
}

void pack_mel_window(const gemlet_mel_traits *mel, size_t bins, float *out) {
    (void)bins;
    for (size_t i = 0; i < mel->frame; i++) {
        double exact = 0.5 - 0.5 * cos(2.0 * pi * (double)i / (double)mel->frame);
        out[i] = (float)exact;
        out[mel->frame + i] = (float)(exact - (double)out[i]);
    }
}

static double mel_of(double hertz) {
    return 2595.0 * log10(1.0 + hertz / 700.0);
}

/* Edge `i` of bins + 2. */
static double edge_of(const gemlet_mel_traits *mel, size_t bins, size_t i) {
    double low = mel_of(mel->low), high = mel_of(mel->high);
    return 700.0 * (pow(10.0, (low + (high - low) * (double)i / (double)(bins + 1)) / 2595.0) - 1.0);
}

void pack_mel_filters(const gemlet_mel_traits *mel, size_t bins, float *out) {
    for (size_t j = 0; j < bins; j++) {
        double left = edge_of(mel, bins, j), middle = edge_of(mel, bins, j + 1), right = edge_of(mel, bins, j + 2);
        for (size_t k = 0; k <= mel->points / 2; k++) {
            double hertz = (double)k * (double)GEMLET_SOUND_RATE / (double)mel->points;
            double height = fmin((hertz - left) / (middle - left), (right - hertz) / (right - middle));
            *out++ = (float)fmax(height, 0.0);
        }
    }
}
