/* The encoders' tensors.  Their sizes are what the files say; which tensors a block must have follows from those that it has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/quant/conv.h"
#include "model/pack/layout.h"
#include "model/pack/sound.h"

static gemlet_status add_conv(pack_layout *layout, const pack_tensor *source, uint32_t outputs, uint32_t channels, uint32_t taps,
                              gemlet_error *error) {
    pack_item item = {
        .action = PACK_CONV, .kind = GEMLET_KIND_CONV, .rows = outputs, .columns = channels, .taps = taps, .source = source};
    pack_item scales = {.action = PACK_SCALES, .kind = GEMLET_KIND_PLAIN, .rows = 1, .columns = outputs, .taps = 1};
    if (snprintf(scales.name, sizeof scales.name, "%s.scale", source->name) >= (int)sizeof scales.name) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "tensor \"%s\" has too long a name for its scales", source->name);
    }
    memcpy(item.name, source->name, sizeof item.name);
    item.bytes = gemlet_conv_bytes(outputs, taps, channels);
    if (item.bytes == 0) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: tensor \"%s\" has sums of %llu products, but %d at most fit 32 bits",
                         source->file->path, source->name, (unsigned long long)channels * taps, GEMLET_LONGEST_SUM);
    }
    scales.bytes = 4 * (uint64_t)outputs;
    gemlet_status status = pack_add_item(layout, &item, error);
    return status != GEMLET_OK ? status : pack_add_item(layout, &scales, error);
}

static gemlet_status add_real_conv(pack_layout *layout, const pack_tensor *source, uint32_t outputs, uint32_t channels,
                                   uint32_t taps, gemlet_error *error) {
    pack_item item = {.action = PACK_REAL_CONV,
                      .kind = GEMLET_KIND_REAL_CONV,
                      .rows = outputs,
                      .columns = channels,
                      .taps = taps,
                      .source = source};
    memcpy(item.name, source->name, sizeof item.name);
    item.bytes = 4 * (uint64_t)outputs * channels * taps;
    return pack_add_item(layout, &item, error);
}

/* What the sound encoder's tensors become besides what their shape says: names' ends, behind "a.blk.N.". */
static const struct {
    const char *source, *packed;
    pack_action action;
} computed[] = {
    {"linear_pos.weight", "positions", PACK_POSITIONS},
    {"attn_k_rel.weight", "positions", PACK_POSITIONS},
    {"per_dim_scale", "query_scale", PACK_QUERY_SCALE},
    {"per_dim_scale.weight", "query_scale", PACK_QUERY_SCALE},
};

static size_t index_of_computed(const char *name) {
    const char *end = strncmp(name, "a.blk.", 6) == 0 ? strchr(name + 6, '.') : NULL;
    size_t i = 0;
    while (i < sizeof computed / sizeof *computed && (end == NULL || strcmp(end + 1, computed[i].source) != 0)) {
        i++;
    }
    return i;
}

/* The positions of a block's attention and its query scale: constants that are computed here. */
static gemlet_status add_computed(pack_model *model, pack_layout *layout, const char *name, size_t which, gemlet_error *error) {
    pack_tensor *t;
    gemlet_status status = pack_need(model, name, &t, error);
    if (status != GEMLET_OK) {
        return status;
    }
    uint32_t window = pack_sound_window(model);
    bool positions = computed[which].action == PACK_POSITIONS;
    if (positions ? t->dimension_count != 2 || t->shape[0] != t->shape[1] || t->shape[0] > UINT32_MAX || window == 0
                  : pack_elements(t) > UINT32_MAX) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be square: the file is not of this model",
                         t->file->path, name);
    }
    pack_item item = {.action = computed[which].action, .kind = GEMLET_KIND_PLAIN, .taps = 1, .source = t};
    item.rows = positions ? window : 1;
    item.columns = (uint32_t)(positions ? t->shape[0] : pack_elements(t));
    item.bytes = 4 * (uint64_t)item.rows * item.columns;
    snprintf(item.name, sizeof item.name, "%.*s%s", (int)(strlen(name) - strlen(computed[which].source)), name,
             computed[which].packed);
    return pack_add_item(layout, &item, error);
}

/* The window and the filters of the front end, which no source holds. */
static gemlet_status add_mel(pack_model *model, pack_layout *layout, gemlet_error *error) {
    const gemlet_mel_traits *mel = &pack_sound_traits(model)->mel;
    pack_item window = {.name = "a.mel.window", .action = PACK_MEL_WINDOW, .kind = GEMLET_KIND_PLAIN, .taps = 1};
    pack_item filters = {.name = "a.mel.filters", .action = PACK_MEL_FILTERS, .kind = GEMLET_KIND_PLAIN, .taps = 1};
    window.rows = 2;
    window.columns = (uint32_t)mel->frame;
    window.bytes = 8 * (uint64_t)window.columns;
    filters.rows = model->audio.mel_bins;
    filters.columns = (uint32_t)(mel->points / 2 + 1);
    filters.bytes = 4 * (uint64_t)filters.rows * filters.columns;
    gemlet_status status = pack_add_item(layout, &window, error);
    return status != GEMLET_OK ? status : pack_add_item(layout, &filters, error);
}

/* How many numbers a matrix of the sound encoder takes: those of a frame, or where it ends a feed-forward, those that its other
 * matrix gives.  0: the source does not say. */
static uint64_t columns_of(pack_model *model, const char *name) {
    const char *down = strstr(name, "ffn_down"), *behind = down != NULL ? down + strlen("ffn_down") : NULL;
    const pack_tensor *t = pack_find(model, pack_sound_traits(model)->input);
    if (down != NULL) {
        char other[GEMLET_NAME_BYTES];
        snprintf(other, sizeof other, "%.*sffn_up%s", (int)(down - name), name, behind);
        t = pack_find(model, other);
    }
    return t != NULL ? t->shape[0] : 0;
}

/* A matrix of a quantised checkpoint, with the steps of its activations. */
static gemlet_status add_codes(pack_model *model, pack_layout *layout, const pack_tensor *t, gemlet_error *error) {
    uint64_t columns = columns_of(model, t->name);
    pack_item item = {.rows = (uint32_t)t->shape[0], .columns = (uint32_t)columns, .source = t};
    if (columns == 0 || columns > UINT32_MAX || t->dimension_count != 2) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be a matrix of a whole sound encoder", t->file->path,
                         t->name);
    }
    memcpy(item.name, t->name, sizeof item.name);
    return pack_add_row_scaled(model, layout, &item, 1, GEMLET_PACKED_PANELS, t->name, error);
}

/* Whether it stands beside the codes of a quantised matrix, and is packed with them. */
static bool is_beside_codes(pack_model *model, const char *name) {
    static const char *const ends[] = {".input_scale", ".output_scale", ".scale"};
    char codes[GEMLET_NAME_BYTES + 16];
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end = strlen(ends[i]);
        if (length > end && strcmp(name + length - end, ends[i]) == 0) {
            snprintf(codes, sizeof codes, "%.*s.weight", (int)(length - end), name);
            const pack_tensor *t = pack_find(model, codes);
            return t != NULL && t->bits != 0;
        }
    }
    return false;
}

/* A tensor as [outputs][channels][taps]. */
typedef struct conv_shape {
    uint64_t outputs, channels, taps;
} conv_shape;

/* Of [outputs][channels], [outputs][channels][taps] or [outputs][channels][height][width]; of a convolution over time also
 * [C][taps]. */
static conv_shape shape_of(const pack_tensor *t) {
    static const char over_time[] = ".conv_dw.weight";
    uint64_t shape[GEMLET_DIMENSIONS] = {1, 1, 1, 1};
    size_t length = strlen(t->name), end = sizeof over_time - 1;
    for (uint32_t i = 0; i < t->dimension_count; i++) {
        shape[i] = t->shape[i];
    }
    if (t->dimension_count == 2 && length > end && strcmp(t->name + length - end, over_time) == 0) {
        return (conv_shape){shape[0], 1, shape[1]};
    }
    return (conv_shape){shape[0], shape[1], shape[2] * shape[3]};
}

/* A matrix of few bits, or a convolution.  The stem, the sound's two convolutions and what has one input channel stay real: they
 * are cheap, and the first sees the picture or the sound itself. */
static gemlet_status add_weights(pack_model *model, pack_layout *layout, const pack_tensor *t, const conv_shape *s,
                                 gemlet_error *error) {
    bool added = false;
    gemlet_status status = s->taps == 1 ? pack_add_levels(model, layout, t, &added, error) : GEMLET_OK;
    if (status != GEMLET_OK || added) {
        return status;
    }
    bool real =
        (s->channels == 1 && s->taps > 1) || strncmp(t->name, "v.conv_stem.", 12) == 0 || strncmp(t->name, "a.conv1d.", 9) == 0;
    return (real ? add_real_conv : add_conv)(layout, t, (uint32_t)s->outputs, (uint32_t)s->channels, (uint32_t)s->taps, error);
}

/* Adds a tensor by its shape: codes, numbers, or weights. */
static gemlet_status add_by_shape(pack_model *model, pack_layout *layout, const char *name, gemlet_error *error) {
    pack_tensor *t;
    gemlet_status status = pack_need_weights(model, name, &t, error);
    if (status != GEMLET_OK) {
        return status;
    }
    conv_shape s = shape_of(t);
    uint64_t elements = pack_elements(t);
    if (elements > UINT32_MAX || s.taps > GEMLET_MAX_TAPS) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: tensor \"%s\" is too large for an encoder", t->file->path, name);
    }
    if (t->bits != 0) {
        return add_codes(model, layout, t, error);
    }
    bool numbers = t->dimension_count == 1 || (s.outputs == 1 && elements == s.channels); /* [C] or [1][C][1][1] */
    return numbers ? pack_add_reals(model, layout, name, 1, (uint32_t)elements, error) : add_weights(model, layout, t, &s, error);
}

/* Where a tensor named PREFIX + `has` is there, PREFIX + `wants` must be too. */
typedef struct companion {
    const char *has;
    const char *wants;
} companion;

static const companion companions[] = {
    {"conv_exp.weight", "bn1.weight"},
    {"conv_exp.weight", "conv_pwl.weight"},
    {"conv_exp.weight", "bn2.weight"},
    {"dw_start.conv.weight", "dw_start.bn.weight"},
    {"dw_mid.conv.weight", "dw_mid.bn.weight"},
    {"pw_exp.conv.weight", "pw_exp.bn.weight"},
    {"pw_exp.conv.weight", "pw_proj.conv.weight"},
    {"pw_exp.conv.weight", "pw_proj.bn.weight"},
    {"attn.query.proj.weight", "attn.key.proj.weight"},
    {"attn.query.proj.weight", "attn.value.proj.weight"},
    {"attn.query.proj.weight", "attn.output.proj.weight"},
    {"attn.query.proj.weight", "norm.weight"},
    {"attn.key.down_conv.weight", "attn.key.norm.weight"},
    {"attn.key.down_conv.weight", "attn.value.down_conv.weight"},
    {"attn.value.down_conv.weight", "attn.value.norm.weight"},
};

static gemlet_status check_companions(pack_model *model, const pack_tensor *t, gemlet_error *error) {
    size_t length = strlen(t->name);
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        size_t tail = strlen(companions[i].has);
        if (length > tail && t->name[length - tail - 1] == '.' && strcmp(t->name + length - tail, companions[i].has) == 0) {
            char name[2 * GEMLET_NAME_BYTES];
            pack_tensor *found;
            snprintf(name, sizeof name, "%.*s%s", (int)(length - tail), t->name, companions[i].wants);
            gemlet_status status = pack_need_weights(model, name, &found, error);
            if (status != GEMLET_OK) {
                return status;
            }
        }
    }
    return GEMLET_OK;
}

/* Adds every tensor whose name starts with `prefix`, in the order of names. */
static gemlet_status add_prefixed(pack_model *model, pack_layout *layout, const char *prefix, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < model->tensor_count && status == GEMLET_OK; i++) {
        const pack_tensor *t = &model->tensors[i];
        if (strncmp(t->name, prefix, strlen(prefix)) == 0 && !is_beside_codes(model, t->name)) {
            size_t which = index_of_computed(t->name);
            status = check_companions(model, t, error);
            if (status == GEMLET_OK) {
                status = which < sizeof computed / sizeof *computed ? add_computed(model, layout, t->name, which, error)
                                                                    : add_by_shape(model, layout, t->name, error);
            }
        }
    }
    return status;
}

/* The soft tokens' way into the text model where they are wanted, and the special ids' embeddings, which never change and so are
 * computed here. */
static gemlet_status add_embedder(pack_model *model, pack_layout *layout, const char *source, const char *hard,
                                  const pack_embedder *embedder, bool soft, gemlet_error *error) {
    char name[4][GEMLET_NAME_BYTES];
    static const char *const parts[4] = {"soft_emb_norm.weight", "input_projection.weight", "embedding.weight",
                                         "hard_emb_norm.weight"};
    pack_tensor *t[4];
    uint32_t width = embedder->width, text = model->text.width;
    for (int i = 0; i < 4; i++) {
        snprintf(name[i], sizeof name[i], "%s%s", source, parts[i]);
        gemlet_status status = pack_need(model, name[i], &t[i], error);
        if (status != GEMLET_OK) {
            return status;
        }
    }
    bool fits = pack_elements(t[3]) == width && t[1]->dimension_count == 2 && t[1]->shape[0] == text && t[1]->shape[1] == width &&
                t[2]->dimension_count == 2 && t[2]->shape[0] == embedder->vocabulary_size && t[2]->shape[1] == width;
    if (!fits) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: tensor \"%s\" must turn %u numbers into %u, and \"%s\" have %u rows: the file is not of this model",
                         t[1]->file->path, name[1], width, text, name[2], embedder->vocabulary_size);
    }
    pack_item item = {
        .action = PACK_HARD_EMBEDDING, .kind = GEMLET_KIND_PLAIN, .rows = embedder->vocabulary_size, .columns = text, .taps = 1};
    snprintf(item.name, sizeof item.name, "%s", hard);
    item.source = t[2];
    item.norm = t[3];
    item.projection = t[1];
    item.epsilon = embedder->rms_epsilon;
    item.bytes = 4 * (uint64_t)item.rows * item.columns;
    gemlet_status status = soft ? pack_add_reals(model, layout, name[0], 1, width, error) : GEMLET_OK;
    status = status != GEMLET_OK || !soft ? status : add_by_shape(model, layout, name[1], error);
    return status != GEMLET_OK ? status : pack_add_item(layout, &item, error);
}

static const char *const vision_needs[] = {
    "v.conv_stem.conv.weight", "v.conv_stem.bn.weight",        "v.blk.0.0.conv_exp.weight",   "v.msfa.ffn.pw_exp.conv.weight",
    "v.msfa.norm.weight",      "v.msfa.ffn.pw_proj.bn.weight", "v.msfa.ffn.pw_exp.bn.weight", "v.msfa.ffn.pw_proj.conv.weight",
};

/* The stage and block of "v.blk.STAGE.BLOCK.", and false for other names. */
static bool find_block(const char *name, unsigned long *stage, unsigned long *block) {
    char *end;
    if (strncmp(name, "v.blk.", 6) != 0) {
        return false;
    }
    *stage = strtoul(name + 6, &end, 10);
    if (*end != '.') {
        return false;
    }
    *block = strtoul(end + 1, &end, 10);
    return *end == '.';
}

/* Every block of every stage must be there up to the last one. */
static gemlet_status check_blocks(pack_model *model, gemlet_error *error) {
    unsigned long stage = 0, block = 0;
    for (size_t i = 0; i < model->tensor_count; i++) {
        unsigned long s, k;
        if (find_block(model->tensors[i].name, &s, &k) && (s != stage || k != block)) {
            if (!(s == stage && k == block + 1) && !(s == stage + 1 && k == 0)) {
                return pack_fail(
                    error, GEMLET_ERROR_FORMAT,
                    "the source has the encoder's block %lu.%lu after block %lu.%lu: give the files of one complete model", s, k,
                    stage, block);
            }
            stage = s;
            block = k;
        }
    }
    return GEMLET_OK;
}

gemlet_status pack_lay_out_encoders(pack_model *model, pack_layout *layout, gemlet_error *error) {
    pack_tensor *t;
    gemlet_status status = check_blocks(model, error);
    for (size_t i = 0; i < sizeof vision_needs / sizeof vision_needs[0] && status == GEMLET_OK; i++) {
        status = pack_need_weights(model, vision_needs[i], &t, error);
    }
    status = status != GEMLET_OK ? status : add_prefixed(model, layout, "v.", error);
    status = status != GEMLET_OK ? status : add_embedder(model, layout, "mm.", "v.hard_token_embd", &model->image, true, error);
    return status;
}

gemlet_status pack_lay_out_sound(pack_model *model, pack_layout *layout, gemlet_error *error) {
    bool wanted = !model->no_sound;
    gemlet_status status = wanted ? add_mel(model, layout, error) : GEMLET_OK;
    status = status != GEMLET_OK || !wanted ? status : add_prefixed(model, layout, "a.", error);
    if (status == GEMLET_OK && gemlet_family_named(model->family->architecture)->text.special_embeddings) {
        return add_embedder(model, layout, "mm.a.", "a.hard_token_embd", &model->sound, wanted, error);
    }
    return status != GEMLET_OK || !wanted ? status : add_prefixed(model, layout, "mm.a.", error);
}
