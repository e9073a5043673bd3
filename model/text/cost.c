/* What decoding a token reads, from shapes alone, so that a plan needs no layer in memory; the types are those of the embedding
 * unless the file mixes them. */
#include <math.h>

#include "model/text/decoder.h"
#include "model/text/tensors.h"

static uint64_t matrix_bytes(const gemlet_matrix *w) {
    return w->columns == 0 ? 0 : gemlet_packed_bytes(w->type, w->packing, w->rows, w->columns);
}

/* Where gates are cut off at `sparsity` deviations: the share of a normal distribution above that. */
static double open_share(float sparsity) {
    return sparsity > 0.0f ? 0.5 * erfc((double)sparsity / sqrt(2.0)) : 1.0;
}

/* Single rows of up; of down single columns and the scales of every block with an open column. */
static uint64_t feed_forward_bytes(const gemlet_text_config *c, uint32_t layer, gemlet_weight_type type) {
    double weights = (double)c->width * (double)c->layer[layer].feed_forward;
    double share = open_share(c->layer[layer].sparsity);
    double value_bytes = type == GEMLET_Q4_0 ? 0.5 : 1.0;
    double scale_bytes = 2.0 / (double)GEMLET_BLOCK;
    double touched = 1.0 - pow(1.0 - share, GEMLET_BLOCK);
    return (uint64_t)(weights * ((value_bytes + scale_bytes) + share * (value_bytes + scale_bytes) + share * value_bytes +
                                 touched * scale_bytes));
}

uint64_t gemlet_text_token_bytes(const gemlet_text_config *config, const gemlet_text_weights *weights) {
    const gemlet_text_config *c = config;
    const gemlet_text_weights *w = weights;
    gemlet_weight_type type = w->embedding.type;
    uint64_t bytes = matrix_bytes(c->own_head ? &w->head : &w->embedding) + matrix_bytes(&w->per_layer_projection);
    for (uint32_t s = 1; s < c->streams; s++) {
        bytes += matrix_bytes(&w->stream_in[s]) + matrix_bytes(&w->stream_out[s]);
    }
    if (w->per_layer_table.columns > 0) {
        bytes += gemlet_packing_group_bytes(w->per_layer_table.type, GEMLET_PACKED_ROWS, 1, w->per_layer_table.columns);
    }
    for (uint32_t i = 0; i < c->layers; i++) {
        const gemlet_attention_config *kind = gemlet_attention_of(c, i);
        size_t rows = 2 * (size_t)c->heads * kind->head_width +
                      (i < c->first_shared ? 2 * (size_t)kind->kv_heads * kind->head_width : 0) + 2 * (size_t)c->laurel_rank +
                      2 * (size_t)c->per_layer_width;
        bytes += gemlet_packed_bytes(type, GEMLET_PACKED_PANELS, rows, c->width) + feed_forward_bytes(c, i, type);
        bytes += sizeof(float) * ((uint64_t)c->width * (c->traits->altup ? 8 + c->streams : 4));
    }
    return bytes;
}
