/* The tensors of an image encoder that is a transformer (gemma4v). */
#include <stdio.h>
#include <string.h>

#include "model/pack/layout.h"
#include "model/vision/vit/vit.h"

static uint32_t padded(pack_groups groups, uint32_t count) {
    return groups.padded == 0 ? count : count / groups.real * groups.padded;
}

/* A matrix whose rows and columns may be padded, and whose source may be [columns][rows]. */
static gemlet_status add_matrix(pack_model *model, pack_layout *layout, const char *name, const pack_item *shape,
                                gemlet_error *error) {
    pack_tensor *t;
    pack_item item = *shape;
    gemlet_status status = pack_need_weights(model, name, &t, error);
    if (status != GEMLET_OK) {
        return status;
    }
    uint32_t rows = item.transposed ? item.columns : item.rows, columns = item.transposed ? item.rows : item.columns;
    if (t->dimension_count != 2 || t->shape[0] != rows || (t->shape[1] != columns && t->bits == 0)) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: tensor \"%s\" must be %u rows of %u numbers: the file is not of this model", t->file->path, name,
                         rows, columns);
    }
    item.source = t;
    item.rows = padded(item.row_groups, item.rows);
    item.columns = padded(item.column_groups, item.columns);
    memcpy(item.name, t->name, sizeof item.name);
    return pack_add_row_scaled(model, layout, &item, 1, GEMLET_PACKED_PANELS, t->bits != 0 ? name : NULL, error);
}

/* STEM.SIDE_min and STEM.SIDE_max, where they are. */
static gemlet_status add_bounds(pack_model *model, pack_layout *layout, const char *stem, const char *side, bool kept,
                                gemlet_error *error) {
    static const char *const ends[] = {"min", "max"};
    char full[GEMLET_NAME_BYTES + 16];
    gemlet_status status = GEMLET_OK;
    snprintf(full, sizeof full, "%s.%s_min", stem, side);
    if (pack_find(model, full) == NULL) {
        return GEMLET_OK;
    }
    for (size_t i = 0; i < 2 && status == GEMLET_OK; i++) {
        pack_tensor *t;
        snprintf(full, sizeof full, "%s.%s_%s", stem, side, ends[i]);
        status = kept ? pack_add_reals(model, layout, full, 1, 1, error) : pack_need(model, full, &t, error);
    }
    return status;
}

/* A matrix with the step of its inputs, bounds, and a bias where the encoder has them. */
static gemlet_status add_linear(pack_model *model, pack_layout *layout, uint32_t layer, const char *name, const pack_item *shape,
                                gemlet_error *error) {
    char stem[GEMLET_NAME_BYTES], full[GEMLET_NAME_BYTES + 16];
    pack_item item = *shape;
    bool exact;
    snprintf(stem, sizeof stem, "v.blk.%u.%s", layer, name);
    gemlet_status status = pack_find_step(model, stem, &item.input_scale, &exact, error);
    snprintf(full, sizeof full, "%s.weight", stem);
    status = status != GEMLET_OK ? status : add_matrix(model, layout, full, &item, error);
    status = status != GEMLET_OK ? status : add_bounds(model, layout, stem, "input", !exact, error);
    status = status != GEMLET_OK ? status : add_bounds(model, layout, stem, "output", true, error);
    snprintf(full, sizeof full, "%s.bias", stem);
    return status != GEMLET_OK || !model->family->vit->biases ? status : pack_add_reals(model, layout, full, 1, shape->rows, error);
}

/* PREFIX.weight, and .bias of a LayerNorm. */
static gemlet_status add_norm(pack_model *model, pack_layout *layout, const char *prefix, gemlet_error *error) {
    char full[GEMLET_NAME_BYTES + 16];
    snprintf(full, sizeof full, "%s.weight", prefix);
    gemlet_status status = pack_add_reals(model, layout, full, 1, model->image.width, error);
    snprintf(full, sizeof full, "%s.bias", prefix);
    return status != GEMLET_OK || !model->family->vit->layer_norms
               ? status
               : pack_add_reals(model, layout, full, 1, model->image.width, error);
}

static gemlet_status add_linears(pack_model *model, pack_layout *layout, uint32_t layer, gemlet_error *error) {
    const pack_vit *v = &model->vit;
    uint32_t width = model->image.width, queries = v->head_count * v->head_width, rows = gemlet_vit_head_rows(v->head_width);
    const pack_groups heads = {v->head_width, rows}, inner = {v->inner, gemlet_vit_padded(v->inner)};
    const pack_groups attended = rows == v->head_width ? (pack_groups){queries, gemlet_vit_padded(queries)} : heads;
    const pack_item of_heads = {.rows = queries, .columns = width, .row_groups = heads};
    const pack_item to_inner = {.rows = v->inner, .columns = width, .row_groups = inner};
    const struct {
        const char *name;
        pack_item shape;
    } parts[] = {{"attn_q", of_heads},
                 {"attn_k", of_heads},
                 {"attn_v", of_heads},
                 {"attn_out", {.rows = width, .columns = queries, .column_groups = attended}},
                 {"ffn_gate", to_inner},
                 {"ffn_up", to_inner},
                 {"ffn_down", {.rows = width, .columns = v->inner, .column_groups = inner}}};
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == GEMLET_OK; i++) {
        if (model->family->vit->gated || strcmp(parts[i].name, "ffn_gate") != 0) {
            status = add_linear(model, layout, layer, parts[i].name, &parts[i].shape, error);
        }
    }
    return status;
}

static gemlet_status add_layer(pack_model *model, pack_layout *layout, uint32_t layer, gemlet_error *error) {
    static const char *const norms[] = {"ln1", "ln2"}, *const behind[] = {"attn_post_norm", "ffn_post_norm"},
                             *const of_heads[] = {"attn_q_norm", "attn_k_norm"};
    const gemlet_vit_traits *traits = model->family->vit;
    char name[GEMLET_NAME_BYTES];
    gemlet_status status = add_linears(model, layout, layer, error);
    for (size_t i = 0; i < 2 && status == GEMLET_OK; i++) {
        snprintf(name, sizeof name, "v.blk.%u.%s", layer, norms[i]);
        status = add_norm(model, layout, name, error);
        snprintf(name, sizeof name, "v.blk.%u.%s.weight", layer, behind[i]);
        status =
            status != GEMLET_OK || traits->layer_norms ? status : pack_add_reals(model, layout, name, 1, model->image.width, error);
        snprintf(name, sizeof name, "v.blk.%u.%s.weight", layer, of_heads[i]);
        status =
            status != GEMLET_OK || !traits->rotary ? status : pack_add_reals(model, layout, name, 1, model->vit.head_width, error);
    }
    return status;
}

/* A row for each patch of a square. */
static gemlet_status add_square_positions(pack_model *model, pack_layout *layout, gemlet_error *error) {
    uint32_t side = model->vit.image_size / model->family->vit->patch;
    return pack_add_reals(model, layout, "v.position_embd.weight", side * side, model->image.width, error);
}

/* Files of GGUF keep the numbers of a patch as [colour][row][column], folders of Gemma 4 as [row][column][colour]. */
static gemlet_status add_patches(pack_model *model, pack_layout *layout, gemlet_error *error) {
    const gemlet_vit_traits *traits = model->family->vit;
    uint32_t numbers = 3 * traits->patch * traits->patch;
    gemlet_status status = pack_add_reals(model, layout, "v.patch_embd.weight", model->image.width, numbers, error);
    if (status == GEMLET_OK) {
        layout->items[layout->count - 1].pixels_first = traits->rotary && !model->from_gguf;
    }
    return status != GEMLET_OK || !traits->biases
               ? status
               : pack_add_reals(model, layout, "v.patch_embd.bias", 1, model->image.width, error);
}

/* Of each of the two tables as many rows as a strip of the largest budget has columns. */
static gemlet_status add_positions(pack_model *model, pack_layout *layout, gemlet_error *error) {
    static const char name[] = "v.position_embd.weight";
    const uint64_t most = (uint64_t)GEMLET_VIT_MOST_TOKENS * GEMLET_VIT_POOL;
    pack_tensor *t;
    gemlet_status status = pack_need(model, name, &t, error);
    if (status != GEMLET_OK) {
        return status;
    }
    uint32_t elements, bytes;
    gemlet_type_block(t->type, &elements, &bytes);
    if (t->dimension_count != 3 || t->shape[0] != 2 || t->shape[2] != model->image.width || elements != 1) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be two tables with rows of %u", t->file->path, name,
                         model->image.width);
    }
    uint64_t rows = t->shape[1], kept = rows < most ? rows : most;
    pack_cut *cut = pack_add_cut(model);
    if (cut == NULL) {
        return pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for \"%s\"", name);
    }
    cut->source_row_bytes = t->shape[2] * bytes;
    cut->rows = (pack_spans){.span = {{0, kept}, {rows, kept}}, .count = 2};
    cut->columns = (pack_spans){.span = {{0, cut->source_row_bytes}}, .count = 1};
    t->dimension_count = 2;
    t->shape[0] = 2 * kept;
    t->shape[1] = t->shape[2];
    t->bytes = 2 * kept * cut->source_row_bytes;
    t->cut = cut;
    return pack_add_reals(model, layout, name, (uint32_t)(2 * kept), model->image.width, error);
}

/* Behind the layers: from the encoder's width to the text model's. */
static gemlet_status add_projection(pack_model *model, pack_layout *layout, gemlet_error *error) {
    bool gemma3 = model->family->vit->layer_norms;
    const pack_item shape = {.rows = model->text.width, .columns = model->image.width, .transposed = gemma3};
    gemlet_status status = GEMLET_OK;
    if (gemma3) {
        status = add_norm(model, layout, "v.post_ln", error);
        status =
            status != GEMLET_OK ? status : pack_add_reals(model, layout, "mm.soft_emb_norm.weight", 1, model->image.width, error);
    }
    return status != GEMLET_OK ? status : add_matrix(model, layout, "mm.input_projection.weight", &shape, error);
}

gemlet_status pack_lay_out_vit(pack_model *model, pack_layout *layout, gemlet_error *error) {
    gemlet_status status = add_patches(model, layout, error);
    status =
        status != GEMLET_OK ? status : (model->family->vit->square ? add_square_positions : add_positions)(model, layout, error);
    for (uint32_t i = 0; i < model->vit.block_count && status == GEMLET_OK; i++) {
        status = add_layer(model, layout, i, error);
    }
    return status != GEMLET_OK ? status : add_projection(model, layout, error);
}
