#include "model/audio/conformer.h"
#include "model/container/key_reader.h"

static void read_numbers(gemlet_key_reader *r, const gemlet_conformer_traits *traits, gemlet_conformer_config *c) {
    c->block_count = gemlet_key_u32(r, "block_count", 0, 1, GEMLET_CONFORMER_MOST_BLOCKS);
    c->heads = gemlet_key_u32(r, "attention.head_count", 0, 1, 1024);
    uint32_t left = gemlet_key_u32(r, "attention.context_left", 0, 2, GEMLET_CONFORMER_MOST_WINDOW);
    c->window = left - (uint32_t)traits->context_less;
    (void)gemlet_key_u32(r, "attention.context_right", 0, 0, 0); /* frames ahead would make the encoder wait */
    c->bins = gemlet_key_u32(r, "mel_bins", 0, GEMLET_SUBSAMPLING, 1024);
    c->reduction = gemlet_key_u32(r, "reduction_factor", 0, 1, 64);
    c->logit_cap = gemlet_key_f32(r, "attention.logit_cap", 0);
    c->residual_weight = gemlet_key_f32(r, "residual_weight", 0);
    c->group_norm_epsilon = gemlet_key_positive(r, "group_norm_epsilon", 0);
    c->epsilon = gemlet_key_positive(r, "rms_epsilon", 0);
    c->soft_tokens = gemlet_key_u32(r, "soft_token_count", 0, 0, 65536);
}

gemlet_status gemlet_conformer_read_config(gemlet_container *container, gemlet_conformer_model *model, gemlet_error *error) {
    gemlet_key_reader r = {.container = container, .error = error, .prefix = "gemlet.audio"};
    model->config = (gemlet_conformer_config){0};
    if (!gemlet_key_there(&r, "block_count") || !gemlet_container_has_tensor(container, "a.mel.window")) {
        return GEMLET_OK; /* the second: packed when sound was not run yet */
    }
    read_numbers(&r, model->traits, &model->config);
    if (r.status == GEMLET_OK && model->config.bins % GEMLET_SUBSAMPLING != 0) {
        gemlet_key_fail(&r, GEMLET_ERROR_UNSUPPORTED, "the mel bins of the sound encoder must be a multiple of 4 but are ");
        gemlet_error_number(error, model->config.bins);
    }
    if (r.status != GEMLET_OK) {
        model->config.block_count = 0;
    }
    return r.status;
}
