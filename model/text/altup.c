/* AltUp: several residual streams, of which a layer computes one and predicts and corrects the others.
 * transformers, Gemma3nTextAltUp. */
#include <string.h>

#include "model/text/decoder.h"

/* tanh(router(rms_norm(x) / width)), [streams]. */
static void route(const gemlet_text_decoder *d, const gemlet_text_layer *layer, const float *x, float *normed, float *modalities) {
    const gemlet_text_config *c = d->config;
    const gemlet_real_kernels *real = d->kernels.real;
    real->rms_norm(x, layer->router_norm, c->epsilon, c->width, normed);
    real->scale(normed, 1.0f / (float)c->width, c->width);
    gemlet_rows router = {layer->router, NULL, c->streams, c->width, c->width, GEMLET_ROW_F32};
    real->dot(&router, normed, c->width, 1, modalities, c->streams);
    real->soft_cap(modalities, 1.0f, c->streams);
}

/* predictions[i] = streams[i] + sum over j of coefficient[i][j] * streams[j]. */
void gemlet_text_predict(const gemlet_text_decoder *d, uint32_t index, size_t token) {
    const gemlet_text_config *c = d->config;
    const gemlet_text_layer *layer = &d->weights->layers[index];
    const gemlet_real_kernels *real = d->kernels.real;
    const float *streams = d->scratch.streams + token * c->streams * c->width;
    float *predictions = d->scratch.predictions + token * c->streams * c->width;
    float modalities[GEMLET_MAX_STREAMS];
    float coefficients[GEMLET_MAX_STREAMS * GEMLET_MAX_STREAMS];
    route(d, layer, streams, d->scratch.normed + token * c->width, modalities);
    gemlet_rows predict = {layer->predict, NULL, (size_t)c->streams * c->streams, c->streams, c->streams, GEMLET_ROW_F32};
    real->dot(&predict, modalities, c->streams, 1, coefficients, predict.count);
    memcpy(predictions, streams, (size_t)c->streams * c->width * sizeof *streams);
    gemlet_rows rows = {streams, NULL, c->streams, c->width, c->width, GEMLET_ROW_F32};
    real->mix(&rows, coefficients, c->streams, c->streams, predictions, c->width);
}

/* streams[i] = predictions[i] + (coefficient[i] + 1) * (activated - predictions[0]), activated being scratch.branch. */
void gemlet_text_correct(const gemlet_text_decoder *d, uint32_t index, size_t token) {
    const gemlet_text_config *c = d->config;
    const gemlet_text_layer *layer = &d->weights->layers[index];
    const gemlet_real_kernels *real = d->kernels.real;
    const float *predictions = d->scratch.predictions + token * c->streams * c->width;
    float *streams = d->scratch.streams + token * c->streams * c->width;
    float *innovation = d->scratch.branch + token * c->width;
    float modalities[GEMLET_MAX_STREAMS];
    float coefficients[GEMLET_MAX_STREAMS];
    route(d, layer, innovation, d->scratch.normed + token * c->width, modalities);
    gemlet_rows correct = {layer->correct, NULL, c->streams, c->streams, c->streams, GEMLET_ROW_F32};
    real->dot(&correct, modalities, c->streams, 1, coefficients, c->streams);
    for (size_t i = 0; i < c->streams; i++) {
        coefficients[i] += 1.0f;
    }
    real->add_scaled(innovation, -1.0f, predictions, c->width);
    memcpy(streams, predictions, (size_t)c->streams * c->width * sizeof *streams);
    gemlet_rows row = {innovation, NULL, 1, c->width, c->width, GEMLET_ROW_F32};
    real->mix(&row, coefficients, 1, c->streams, streams, c->width);
}
