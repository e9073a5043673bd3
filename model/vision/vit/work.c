/* The memory of a run. */
#include "model/vision/vit/vit.h"

/* Sides in patches at most. */
static size_t longest_side(const gemlet_vit *v) {
    const gemlet_vit_config *c = v->config;
    return c->traits->square ? c->image_size / c->traits->patch : (size_t)v->run.image_tokens * c->pool;
}

size_t gemlet_vit_resampling_bytes(const gemlet_vit *v) {
    /* The arrays of resize.c at most: a frame of GEMLET_LARGEST_IMAGE pixels a side to a strip as wide as the budget.  Rounding a
     * side down to a cell halves it at most, and the longest windows of rows and of columns are 4 samples for each one that is
     * left. */
    const gemlet_vit_config *c = v->config;
    size_t widest = longest_side(v) * c->traits->patch, cell = (size_t)c->pool * c->traits->patch, largest = GEMLET_LARGEST_IMAGE;
    size_t windows = 16 * widest, row_weights = 4 * (4 * largest + 5 * widest);
    size_t column_weights = 4 * (4 * largest / cell + 9);
    return windows + row_weights + column_weights + 3 * largest + 3 * (8 * largest + 9 * widest);
}

static gemlet_vit_scratch carve_scratch(const gemlet_vit *v, const gemlet_attention_keys *keys, gemlet_carver *carver) {
    const gemlet_vit_config *c = v->config;
    size_t inner = gemlet_vit_padded(c->inner), rows = gemlet_vit_head_rows(c->head_width);
    size_t attended = gemlet_vit_padded((uint32_t)(c->heads * rows));
    size_t widest = gemlet_larger(c->width, gemlet_vit_patch_numbers(c));
    return (gemlet_vit_scratch){
        .input = gemlet_carve(carver, GEMLET_VIT_CHUNK * widest, sizeof(float)),
        .output = gemlet_carve(carver, (size_t)GEMLET_VIT_CHUNK * c->width, sizeof(float)),
        .attended = gemlet_carve(carver, GEMLET_VIT_CHUNK * attended, sizeof(float)),
        .gate = c->traits->gated ? gemlet_carve(carver, GEMLET_VIT_CHUNK * inner, sizeof(float)) : NULL,
        .up = gemlet_carve(carver, GEMLET_VIT_CHUNK * inner, sizeof(float)),
        .hidden = gemlet_carve(
            carver, gemlet_row_scaled_activation_bytes(GEMLET_VIT_CHUNK, gemlet_larger(gemlet_larger(inner, c->width), attended)),
            1),
        .query = gemlet_carve(carver, GEMLET_VIT_CHUNK * rows, sizeof(float)),
        .attention = gemlet_carve_attention_scratch(carver, keys, GEMLET_VIT_CHUNK),
    };
}

/* What lives from the first layer on. */
static void carve_layers(const gemlet_vit *v, size_t patches, gemlet_carver *carver, gemlet_attention_keys *first,
                         gemlet_vit_work *work) {
    const gemlet_vit_config *c = v->config;
    size_t rows = gemlet_vit_head_rows(c->head_width);
    work->activations = gemlet_carve(carver, gemlet_row_scaled_activation_bytes(patches, c->width), 1);
    work->value = gemlet_carve(carver, patches * rows, sizeof(float));
    *first = gemlet_carve_attention_keys(carver, patches, rows, rows);
    for (size_t head = 0; head < c->heads; head++) {
        gemlet_attention_keys keys = head == 0 ? *first : gemlet_carve_more_attention_keys(carver, first);
        if (work->keys != NULL) {
            work->keys[head] = keys;
        }
    }
}

size_t gemlet_vit_carve(const gemlet_vit *v, size_t patches, unsigned char *memory, gemlet_vit_work *work) {
    const gemlet_vit_config *c = v->config;
    size_t cell = (size_t)c->pool * c->traits->patch, turns = c->traits->rotary ? longest_side(v) * (c->head_width / 4) : 0;
    gemlet_carver carver = {memory, 0};
    *work = (gemlet_vit_work){.grid = gemlet_carve(&carver, 1, sizeof(gemlet_vit_grid))};
    work->residual = gemlet_carve(&carver, patches * c->width, sizeof *work->residual);
    work->cosine = gemlet_carve(&carver, turns, sizeof(float));
    work->sine = gemlet_carve(&carver, turns, sizeof(float));
    work->keys = gemlet_carve(&carver, c->heads, sizeof *work->keys); /* written here, so not where the frame is */
    work->scratch = gemlet_carve(&carver, v->run.threads, sizeof *work->scratch);
    gemlet_attention_keys shape;
    gemlet_carver shapes = {NULL, 0};
    shape = gemlet_carve_attention_keys(&shapes, patches, gemlet_vit_head_rows(c->head_width), gemlet_vit_head_rows(c->head_width));
    for (size_t i = 0; i < v->run.threads; i++) {
        gemlet_vit_scratch one = carve_scratch(v, &shape, &carver);
        if (work->scratch != NULL) {
            work->scratch[i] = one;
        }
    }
    gemlet_carver before = carver; /* the frame comes before all else */
    work->pixels = gemlet_carve(&before, (size_t)v->run.most_soft_tokens * cell * cell, 3);
    work->resampling = gemlet_carve(&before, gemlet_vit_resampling_bytes(v), 1);
    carve_layers(v, patches, &carver, &shape, work);
    return gemlet_larger(carver.used, before.used);
}
