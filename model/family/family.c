#include "model/family/family.h"

#include "core/text.h"

static const gemlet_family families[] = {
    {
        .architecture = "gemma3",
        .chat = &gemlet_gemma3_chat,
        .calling_chat = &gemlet_functiongemma_chat,
        .images = &gemlet_siglip_encoder,
        .images_together = true,
    },
    {
        .architecture = "gemma3n",
        .text = {.altup = true,
                 .laurel = true,
                 .value_norm = true,
                 .shared_keys = true,
                 .sparse_gates = true,
                 .special_embeddings = true,
                 .per_layer_inputs = GEMLET_PER_LAYER_INPUTS_TO_OTHER_STREAMS},
        .chat = &gemlet_gemma3n_chat,
        .images = &gemlet_mobilenetv5_encoder,
        .sounds = &gemlet_usm,
    },
    {
        .architecture = "gemma4",
        .text = {.value_norm = true,
                 .shared_keys = true,
                 .per_layer_inputs = GEMLET_PER_LAYER_INPUTS_TO_STREAM,
                 .local_heads = true,
                 .partial_rotation = true,
                 .layer_scalar = true},
        .chat = &gemlet_gemma4_chat,
        .images = &gemlet_gemma4v_encoder,
        .clips = true,
        .sounds = &gemlet_gemma4a,
    },
};
enum { FAMILIES = sizeof families / sizeof *families };

const gemlet_family *gemlet_family_named(const char *architecture) {
    for (size_t i = 0; i < FAMILIES; i++) {
        if (gemlet_text_equal(families[i].architecture, architecture)) {
            return &families[i];
        }
    }
    return NULL;
}

gemlet_status gemlet_family_of(gemlet_container *container, const gemlet_family **family, gemlet_error *error) {
    char architecture[32];
    gemlet_status status = gemlet_container_string(container, "general.architecture", architecture, sizeof architecture, error);
    if (status != GEMLET_OK) {
        return status;
    }
    *family = gemlet_family_named(architecture);
    if (*family != NULL) {
        return GEMLET_OK;
    }
    gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, container->path);
    gemlet_error_text(error, ": architecture must be ");
    for (size_t i = 0; i < FAMILIES; i++) {
        gemlet_error_text(error, i == 0 ? "" : " or ");
        gemlet_error_text(error, families[i].architecture);
    }
    gemlet_error_text(error, " but is ");
    gemlet_error_text(error, architecture);
    return GEMLET_ERROR_UNSUPPORTED;
}
