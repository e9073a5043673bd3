/* Matrices of a quantised checkpoint: codes of 2, 4 or 8 bits, a scale a row, the steps of their activations. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/checked.h"
#include "core/quant/packing.h"
#include "core/quant/row_scaled.h"
#include "model/pack/convert.h"
#include "model/pack/layout.h"

/* What `name` has beside its codes: "blk.0.attn_q.weight" and ".scale" to blk.0.attn_q.scale; NULL where there is none. */
static pack_tensor *beside(pack_model *model, const char *name, const char *suffix) {
    char other[GEMLET_NAME_BYTES + 16];
    size_t stem = strlen(name) - strlen(".weight");
    snprintf(other, sizeof other, "%.*s%s", (int)stem, name, suffix);
    pack_tensor *tensor = pack_find(model, other);
    if (tensor != NULL) {
        tensor->used = true;
    }
    return tensor;
}

/* A step of activations into `*step`: one number, positive or 0. */
static gemlet_status read_step(pack_model *model, const char *name, const char *suffix, float *step, gemlet_error *error) {
    const pack_tensor *t = beside(model, name, suffix);
    unsigned char bytes[4];
    *step = 0.0f;
    if (t == NULL) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "the source lacks the step \"%s\" of tensor \"%s\": give the whole checkpoint",
                         suffix + 1, name);
    }
    if (pack_elements(t) != 1 || t->type != GEMLET_TYPE_F32) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be one F32 number", t->file->path, t->name);
    }
    gemlet_status status = pack_read(t->file, t->offset, bytes, sizeof bytes, error);
    if (status == GEMLET_OK) {
        pack_dequantize(t->type, bytes, 1, step);
        if (!isfinite(*step) || *step < 0.0f) {
            status = pack_fail(error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be positive or 0, but is %g", t->file->path,
                               t->name, (double)*step);
        }
    }
    return status;
}

/* One number of a tensor, whatever its type. */
static gemlet_status read_number(pack_model *model, const char *name, float *number, gemlet_error *error) {
    pack_tensor *t;
    unsigned char bytes[4];
    gemlet_status status = pack_need(model, name, &t, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (pack_elements(t) != 1 || t->bytes > sizeof bytes) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be one number", t->file->path, name);
    }
    status = pack_read(t->file, t->offset, bytes, (size_t)t->bytes, error);
    if (status == GEMLET_OK) {
        pack_dequantize(t->type, bytes, 1, number);
    }
    return status;
}

gemlet_status pack_find_step(pack_model *model, const char *stem, float *step, bool *exact, gemlet_error *error) {
    char least_name[GEMLET_NAME_BYTES + 16], most_name[GEMLET_NAME_BYTES + 16];
    float least = 0.0f, most = 0.0f;
    snprintf(least_name, sizeof least_name, "%s.input_min", stem);
    snprintf(most_name, sizeof most_name, "%s.input_max", stem);
    *step = 0.0f;
    *exact = true;
    if (pack_find(model, least_name) == NULL && pack_find(model, most_name) == NULL) {
        return GEMLET_OK;
    }
    gemlet_status status = read_number(model, least_name, &least, error);
    status = status != GEMLET_OK ? status : read_number(model, most_name, &most, error);
    if (status != GEMLET_OK) {
        return status;
    }
    *step = fmaxf(least / -128.0f, most / 127.0f);
    *exact = fabsf(least + *step * 128.0f) <= *step && fabsf(most - *step * 127.0f) <= *step;
    if (!isfinite(least) || !isfinite(most) || !(least < most) || !(*step > 0.0f)) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "tensors \"%s\" and \"%s\" must be bounds, but are %g and %g", least_name,
                         most_name, (double)least, (double)most);
    }
    return GEMLET_OK;
}

/* How many bits the codes have: what their shape says, which the configuration must say, too. */
static gemlet_status find_bits(const pack_tensor *t, uint64_t columns, uint32_t *bits, gemlet_error *error) {
    uint64_t stored = t->dimension_count == 2 ? t->shape[1] : 0;
    *bits = t->type == GEMLET_TYPE_I8 && stored == columns ? 8 : 0;
    for (uint32_t some = 2; some <= 4 && t->type == PACK_TYPE_U8; some *= 2) {
        *bits = stored * 8 == columns * some ? some : *bits;
    }
    if (*bits == 0) {
        return pack_fail(
            error, GEMLET_ERROR_FORMAT,
            "%s: tensor \"%s\" must have rows of %llu codes of 2, 4 or 8 bits, but has rows of %llu bytes: the file is not "
            "of this model",
            t->file->path, t->name, (unsigned long long)columns, (unsigned long long)stored);
    }
    if (*bits != t->bits) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: tensor \"%s\" has codes of %u bits, but config.json's \"quantization_config\" says %u", t->file->path,
                         t->name, *bits, t->bits);
    }
    return GEMLET_OK;
}

/* The scales of the rows, `count` of them. */
static gemlet_status find_scales(pack_model *model, const pack_tensor *t, uint64_t count, const pack_tensor **scales,
                                 gemlet_error *error) {
    const pack_tensor *found = beside(model, t->name, ".scale");
    *scales = found;
    if (found == NULL) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "the source lacks the scales of tensor \"%s\": give the whole checkpoint",
                         t->name);
    }
    if (found->type != GEMLET_TYPE_F32 || pack_elements(found) != count) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be %llu F32 numbers, one a row, but has %llu",
                         found->file->path, found->name, (unsigned long long)count, (unsigned long long)pack_elements(found));
    }
    return GEMLET_OK;
}

gemlet_status pack_find_steps(pack_model *model, const char *name, pack_item *item, gemlet_error *error) {
    gemlet_status status = read_step(model, name, ".input_scale", &item->input_scale, error);
    status = status != GEMLET_OK ? status : read_step(model, name, ".output_scale", &item->output_scale, error);
    if (status == GEMLET_OK && (item->input_scale > 0.0f) != (item->output_scale > 0.0f)) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "tensor \"%s\" has a step of its %s alone: both or none are expected", name,
                         item->input_scale > 0.0f ? "inputs" : "outputs");
    }
    return status;
}

gemlet_status pack_add_row_scaled(pack_model *model, pack_layout *layout, const pack_item *shape, uint32_t split,
                                  gemlet_packing packing, const char *activations, gemlet_error *error) {
    const pack_tensor *source = shape->source;
    pack_item item = *shape;
    uint32_t bits = shape->bits != 0 ? shape->bits : 8;
    gemlet_status status = GEMLET_OK;
    item.action = PACK_ROW_SCALED;
    if (source->bits != 0) {
        status = find_bits(source, item.columns, &bits, error);
        status = status != GEMLET_OK ? status : find_scales(model, source, (uint64_t)item.rows * split, &item.scale, error);
        status = status != GEMLET_OK || activations == NULL ? status : pack_find_steps(model, activations, &item, error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    if (item.columns % split != 0 || (uint64_t)item.rows * split > UINT32_MAX || (source->bits == 0 && split != 1)) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: tensor \"%s\" must be codes with a scale for each of %u layers",
                         source->file->path, source->name, split);
    }
    gemlet_weight_type type = bits == 2 ? GEMLET_W2 : bits == 4 ? GEMLET_W4 : GEMLET_W8;
    item.rows *= split;
    item.columns /= split;
    item.taps = 1;
    item.kind = gemlet_kind_of_matrix(type, packing);
    item.bytes = gemlet_packed_bytes(type, packing, item.rows, item.columns);
    if (item.bytes == 0) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                         "%s: tensor \"%s\" has rows of %u, a multiple of %d is needed and at most %d, whose sums fit 32 bits",
                         source->file->path, source->name, item.columns, GEMLET_BLOCK, GEMLET_LONGEST_SUM);
    }
    return pack_add_item(layout, &item, error);
}
