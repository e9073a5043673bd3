#include "model/vision/mobilenetv5/mobilenetv5.h"

void gemlet_mobilenetv5_enter_block(gemlet_loader *l, uint32_t stage, uint32_t block) {
    gemlet_loader_enter(l, "v.blk.");
    gemlet_loader_enter_number(l, stage);
    gemlet_loader_enter_number(l, block);
}

static void count_blocks(gemlet_loader *l, gemlet_mobilenetv5_config *c) {
    for (uint32_t stage = 0; stage < GEMLET_MOBILENETV5_MOST_STAGES; stage++) {
        uint32_t block = 0;
        for (;; block++) {
            gemlet_mobilenetv5_enter_block(l, stage, block);
            bool there = c->block_count < GEMLET_MOBILENETV5_MOST_BLOCKS &&
                         (gemlet_loader_has(l, "conv_exp.weight") || gemlet_loader_has(l, "pw_exp.conv.weight") ||
                          gemlet_loader_has(l, "attn.query.proj.weight"));
            if (!there) {
                break;
            }
            c->block_count++;
        }
        if (block == 0) {
            break;
        }
        c->blocks[stage] = block;
        c->stages = stage + 1;
    }
}

gemlet_status gemlet_mobilenetv5_read_config(gemlet_container *container, gemlet_mobilenetv5_config *config, gemlet_error *error) {
    *config = (gemlet_mobilenetv5_config){0};
    if (!gemlet_container_find(container, "gemlet.vision.image_size", NULL)) {
        return GEMLET_OK;
    }
    gemlet_loader l = {.container = container, .error = error, .status = GEMLET_OK};
    count_blocks(&l, config);
    const struct {
        const char *key;
        uint32_t *out;
    } numbers[] = {
        {"gemlet.vision.image_size", &config->image_size},
        {"gemlet.vision.soft_token_count", &config->soft_tokens},
    };
    gemlet_status status = gemlet_container_f32(container, "gemlet.vision.rms_epsilon", 0, &config->epsilon, error);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == GEMLET_OK; i++) {
        status = gemlet_container_u32(container, numbers[i].key, 0, numbers[i].out, error);
    }
    while (status == GEMLET_OK && config->side < 64 && config->side * config->side < config->soft_tokens) {
        config->side++;
    }
    if (status == GEMLET_OK && (config->side == 0 || config->side * config->side != config->soft_tokens || config->stages < 2)) {
        status = gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, container->path);
        gemlet_error_text(error,
                          ": an image must have a square number of soft tokens, at most 4096, and two stages, but there are ");
        gemlet_error_number(error, config->soft_tokens);
        gemlet_error_text(error, " and ");
        gemlet_error_number(error, config->stages);
    }
    return status;
}
