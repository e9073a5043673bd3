#include <math.h>
#include <string.h>

#include "core/carver.h"
#include "model/container/loader.h"
#include "model/text/decoder.h"
#include "model/text/tensors.h"

/* Where the table says that a tensor belongs; `layer` is the one it is of. */
static void *place_of(const gemlet_text_need *need, gemlet_text_weights *weights, gemlet_text_layer *layer) {
    return (unsigned char *)(need->of_layer ? (void *)layer : weights) + need->tensor->place + need->stream * sizeof(gemlet_matrix);
}

/* The matrix whose quantised input it takes; one that is not there has no columns. */
static gemlet_matrix other_of(const gemlet_text_need *need, const gemlet_text_weights *weights, const gemlet_text_layer *layer) {
    gemlet_matrix other = {0};
    if (need->tensor->same_input != 0) {
        memcpy(&other, (const unsigned char *)(need->of_layer ? (const void *)layer : weights) + need->tensor->same_input,
               sizeof other);
    }
    return other;
}

/* Whether a matrix is as the table wants it.  Those that are multiplied are all of blocks or all have one scale a row, as the
 * buffers for their inputs are; of the latter there are panels alone, and rows of the table. */
static bool fits(const gemlet_text_config *config, const gemlet_text_need *need, const gemlet_text_weights *weights,
                 const gemlet_tensor *tensor, const gemlet_matrix *matrix) {
    bool streamed = need->tensor->form == GEMLET_FORM_STREAMED, row_scaled = gemlet_is_row_scaled(matrix->type);
    size_t split = streamed ? gemlet_text_table_rows(config, matrix->type) : 1;
    return matrix->packing == need->packing && (need->rows == 0 || matrix->rows == need->rows * split) &&
           matrix->rows % split == 0 && matrix->columns * split == need->columns &&
           tensor->bytes == gemlet_packed_bytes(matrix->type, matrix->packing, matrix->rows, matrix->columns) &&
           (streamed || !row_scaled || matrix->packing == GEMLET_PACKED_PANELS) &&
           (streamed || weights->embedding.columns == 0 || row_scaled == gemlet_is_row_scaled(weights->embedding.type));
}

/* The kinds of matrices that are as the table wants them. */
static const char *kinds_for(const gemlet_text_need *need, const gemlet_text_weights *weights) {
    bool known = weights->embedding.columns != 0;
    if (need->tensor->form == GEMLET_FORM_STREAMED) {
        return "rows";
    }
    switch (need->packing) {
    case GEMLET_PACKED_ROWS: return "q4_0 or q8_0 rows";
    case GEMLET_PACKED_COLUMNS: return "q4_0 or q8_0 columns";
    case GEMLET_PACKED_PANELS: break;
    }
    return !known ? "panels" : gemlet_is_row_scaled(weights->embedding.type) ? "w2, w4 or w8 panels" : "q4_0 or q8_0 panels";
}

/* What was quantised for `other`, which may not be there, is taken by this one. */
static void check_inputs(gemlet_loader *l, const gemlet_text_tensor *tensor, const gemlet_matrix *matrix,
                         const gemlet_matrix *other) {
    float difference = matrix->input_scale - other->input_scale;
    if (other->columns != 0 && (matrix->type != other->type || difference != 0.0f) && gemlet_is_row_scaled(matrix->type)) {
        gemlet_loader_fail(l, GEMLET_ERROR_FORMAT, "must take the same input as the matrix beside it, with as many bits");
    }
    bool known = gemlet_is_row_scaled(matrix->type) && gemlet_loader_has_data(l);
    const char *fault = known ? gemlet_text_check_steps(tensor, matrix->input_scale) : NULL;
    if (fault != NULL) {
        gemlet_loader_fail(l, GEMLET_ERROR_FORMAT, fault);
    }
}

/* With GEMLET_FORM_STREAMED a matrix is never resident: it has no data, but a place in the file. */
static void load_matrix(gemlet_loader *l, gemlet_text_config *config, const gemlet_text_need *need, gemlet_text_weights *weights,
                        const gemlet_text_layer *layer, gemlet_matrix *out) {
    gemlet_matrix matrix = {0};
    gemlet_tensor tensor;
    bool streamed = need->tensor->form == GEMLET_FORM_STREAMED;
    if (!gemlet_loader_find(l, need->name, &tensor)) {
        return;
    }
    if (!gemlet_tensor_matrix(&tensor, &matrix) || !fits(config, need, weights, &tensor, &matrix)) {
        gemlet_loader_fail_shape(l, &tensor, (gemlet_shape){kinds_for(need, weights), need->rows, need->columns, 0});
        return;
    }
    if (streamed) {
        weights->per_layer_offset = tensor.offset;
    } else if (gemlet_is_row_scaled(matrix.type)) {
        gemlet_loader_row_scaled(l, &tensor, &matrix);
    } else {
        matrix.data = gemlet_loader_data(l, &tensor);
    }
    const gemlet_matrix other = other_of(need, weights, layer);
    check_inputs(l, need->tensor, &matrix, &other);
    gemlet_text_learn(config, need, (uint32_t)(matrix.rows / (streamed ? gemlet_text_table_rows(config, matrix.type) : 1)));
    weights->token_bytes += gemlet_text_bytes_of_token(config, need, &matrix);
    *out = matrix;
}

static void load_tensor(gemlet_loader *l, gemlet_text_config *config, const gemlet_text_need *need, gemlet_text_weights *weights,
                        gemlet_text_layer *layer) {
    void *place = place_of(need, weights, layer);
    if (need->tensor->form == GEMLET_FORM_REALS) {
        *(const float **)place = gemlet_loader_reals(l, need->name, need->rows, need->columns);
        weights->token_bytes += need->rows * need->columns * sizeof(float);
    } else {
        load_matrix(l, config, need, weights, layer, place);
    }
}

static void load_rope(gemlet_loader *l, const gemlet_text_config *c, gemlet_text_weights *w) {
    for (size_t kind = 0; kind < GEMLET_LAYER_KINDS && l->status == GEMLET_OK; kind++) {
        const gemlet_attention_config *a = &c->kinds[kind];
        void *turns = NULL;
        l->status = gemlet_arena_keep(l->arena, "rotary frequencies", a->head_width / 2 * sizeof(double), &turns, l->error);
        w->turns[kind] = turns;
        if (turns != NULL) {
            gemlet_rope_frequencies((double)a->rope_base, 1.0 / (double)a->rope_factor, a->head_width, w->turns[kind]);
        }
    }
}

/* The tables of the encoders' ids: the packer has computed them. */
static void load_special_embeddings(gemlet_loader *l, const gemlet_text_config *config, gemlet_text_weights *w) {
    if (config->vision_count > 0) {
        w->vision_embedding = gemlet_loader_reals(l, "v.hard_token_embd", config->vision_count, config->width);
    }
    if (config->audio_count > 0) {
        w->audio_embedding = gemlet_loader_reals(l, "a.hard_token_embd", config->audio_count, config->width);
    }
}

gemlet_status gemlet_text_load(gemlet_container *container, gemlet_text_config *config, gemlet_text_layer *layers,
                               gemlet_arena *arena, gemlet_text_weights *weights, uint64_t *mapped, gemlet_error *error) {
    gemlet_loader l = {.container = container, .arena = arena, .mapped = mapped, .error = error, .status = GEMLET_OK};
    gemlet_text_layer unkept = {0}; /* of every layer, where a plan has no memory for them */
    gemlet_text_need need = {0};
    *weights = (gemlet_text_weights){.layers = layers};
    load_rope(&l, config, weights);
    for (uint32_t i = 0; i < config->layers && layers != NULL; i++) {
        layers[i] = unkept;
    }
    uint32_t layer = 0;
    while (l.status == GEMLET_OK && gemlet_text_next(config, &need)) {
        if (need.layer != layer) {
            layer = need.layer;
            unkept = (gemlet_text_layer){0};
        }
        load_tensor(&l, config, &need, weights, layers != NULL ? &layers[need.layer] : &unkept);
    }
    load_special_embeddings(&l, config, weights);
    weights->fingerprint = l.fingerprint;
    return l.status;
}
