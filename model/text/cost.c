/* What decoding a token reads. */
#include <math.h>

#include "model/text/decoder.h"
#include "model/text/tensors.h"

/* Where gates are cut off at `sparsity` deviations: the share of a normal distribution above that. */
static double open_share(float sparsity) {
    return sparsity > 0.0f ? 0.5 * erfc((double)sparsity / sqrt(2.0)) : 1.0;
}

/* Of a matrix in a layer with sparse gates: single rows of up; of down single columns and the scales of every block with an open
 * column. */
static uint64_t sparse_bytes(const gemlet_matrix *w, float sparsity) {
    double weights = (double)w->rows * (double)w->columns, share = open_share(sparsity);
    double value_bytes = w->type == GEMLET_Q4_0 ? 0.5 : 1.0, scale_bytes = 2.0 / (double)GEMLET_BLOCK;
    double touched = w->packing == GEMLET_PACKED_ROWS ? share : 1.0 - pow(1.0 - share, GEMLET_BLOCK);
    return (uint64_t)(weights * (share * value_bytes + touched * scale_bytes));
}

uint64_t gemlet_text_bytes_of_token(const gemlet_text_config *config, const gemlet_text_need *need, const gemlet_matrix *w) {
    if (need->tensor->form == GEMLET_FORM_STREAMED) {
        return gemlet_text_table_bytes(config, w);
    }
    if (w->packing != GEMLET_PACKED_PANELS) {
        return sparse_bytes(w, config->layer[need->layer].sparsity);
    }
    bool looked_up = config->own_head && !need->of_layer && need->tensor->rows == GEMLET_SIZE_VOCABULARY &&
                     need->tensor->part != GEMLET_TEXT_OWN_HEAD;
    return looked_up ? 0 : gemlet_packed_bytes(w->type, w->packing, w->rows, w->columns);
}
