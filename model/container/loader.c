#include "model/container/loader.h"
#include "core/crc32.h"

#include <math.h>
#include <string.h>

#include "core/quant/row_scaled.h"
#include "core/text.h"

void gemlet_loader_enter(gemlet_loader *loader, const char *text) {
    loader->prefix = strlen(text);
    memcpy(loader->name, text, loader->prefix);
}

void gemlet_loader_enter_number(gemlet_loader *loader, uint32_t number) {
    loader->prefix += gemlet_text_number(loader->name + loader->prefix, number);
    loader->name[loader->prefix++] = '.';
}

static const char *named(gemlet_loader *loader, const char *suffix) {
    memcpy(loader->name + loader->prefix, suffix, strlen(suffix) + 1);
    return loader->name;
}

size_t gemlet_loader_enter_below(gemlet_loader *loader, const char *text) {
    size_t before = loader->prefix;
    loader->prefix = strlen(named(loader, text));
    return before;
}

bool gemlet_loader_has(gemlet_loader *loader, const char *suffix) {
    return gemlet_container_has_tensor(loader->container, named(loader, suffix));
}

bool gemlet_loader_find(gemlet_loader *loader, const char *suffix, gemlet_tensor *tensor) {
    if (loader->status == GEMLET_OK) {
        loader->status = gemlet_container_tensor(loader->container, named(loader, suffix), tensor, loader->error);
    }
    if (loader->status != GEMLET_OK) {
        return false;
    }
    loader->fingerprint = gemlet_crc32(loader->fingerprint, &tensor->crc32, sizeof tensor->crc32);
    return true;
}

void gemlet_loader_fail(gemlet_loader *loader, gemlet_status status, const char *text) {
    if (loader->status == GEMLET_OK) {
        loader->status = gemlet_fail(loader->error, status, loader->container->path);
        gemlet_error_text(loader->error, ": tensor \"");
        gemlet_error_text(loader->error, loader->name);
        gemlet_error_text(loader->error, "\" ");
        gemlet_error_text(loader->error, text);
    }
}

static void tell_shape(gemlet_error *error, gemlet_shape shape, bool any) {
    const size_t sides[] = {shape.rows, shape.columns};
    gemlet_error_text(error, shape.kind);
    for (size_t i = 0; i < 2; i++) {
        gemlet_error_text(error, i == 0 ? " of " : " x ");
        if (any && sides[i] == 0) {
            gemlet_error_text(error, "any");
        } else {
            gemlet_error_number(error, sides[i]);
        }
    }
    if (shape.taps > 1) {
        gemlet_error_text(error, " with taps: ");
        gemlet_error_number(error, shape.taps);
    }
}

void gemlet_loader_fail_shape(gemlet_loader *loader, const gemlet_tensor *tensor, gemlet_shape expected) {
    const char *kind =
        tensor->kind == GEMLET_KIND_PLAIN ? gemlet_type_name(tensor->type) : gemlet_kind_name((uint32_t)tensor->kind);
    gemlet_loader_fail(loader, GEMLET_ERROR_FORMAT, "must be ");
    tell_shape(loader->error, expected, true);
    gemlet_error_text(loader->error, " but is ");
    tell_shape(loader->error, (gemlet_shape){kind, tensor->rows, tensor->columns, tensor->taps}, false);
}

bool gemlet_loader_has_data(const gemlet_loader *loader) {
    return loader->status == GEMLET_OK && loader->arena != NULL && loader->arena->base != NULL;
}

const void *gemlet_loader_data(gemlet_loader *loader, const gemlet_tensor *tensor) {
    const void *data = NULL;
    if (loader->status == GEMLET_OK && loader->arena != NULL) {
        loader->status =
            gemlet_container_load(loader->container, tensor, loader->arena, "weights", &data, loader->mapped, loader->error);
    }
    return data;
}

void gemlet_loader_row_scaled(gemlet_loader *loader, const gemlet_tensor *tensor, gemlet_matrix *matrix) {
    float steps[2] = {0.0f, 0.0f};
    matrix->data = gemlet_loader_data(loader, tensor);
    if (matrix->data != NULL) {
        memcpy(steps, (const unsigned char *)matrix->data + tensor->bytes - GEMLET_ROW_SCALED_TAIL, sizeof steps);
    }
    matrix->input_scale = steps[0];
    matrix->output_scale = steps[1];
    bool numbers = isfinite(steps[0]) && isfinite(steps[1]) && steps[0] >= 0.0f && steps[1] >= 0.0f;
    if (!numbers || (steps[1] > 0.0f && !(steps[0] > 0.0f))) {
        gemlet_loader_fail(loader, GEMLET_ERROR_FORMAT,
                           "must have two positive steps of its activations, one of its inputs alone, or two zeros");
    }
}

const float *gemlet_loader_reals(gemlet_loader *loader, const char *suffix, size_t rows, size_t columns) {
    gemlet_tensor tensor;
    if (!gemlet_loader_find(loader, suffix, &tensor)) {
        return NULL;
    }
    if (tensor.kind != GEMLET_KIND_PLAIN || tensor.type != GEMLET_TYPE_F32 || tensor.rows != rows || tensor.columns != columns) {
        gemlet_loader_fail_shape(loader, &tensor, (gemlet_shape){"F32", rows, columns, 0});
        return NULL;
    }
    return gemlet_loader_data(loader, &tensor);
}

gemlet_bounds gemlet_loader_bounds(gemlet_loader *loader, const char *stem) {
    gemlet_bounds bounds = {NULL, NULL};
    size_t before = gemlet_loader_enter_below(loader, stem);
    if (gemlet_loader_has(loader, "_min") || gemlet_loader_has(loader, "_max")) {
        bounds.least = gemlet_loader_reals(loader, "_min", 1, 1);
        bounds.most = gemlet_loader_reals(loader, "_max", 1, 1);
    }
    loader->prefix = before;
    bool there = bounds.least != NULL && bounds.most != NULL;
    if (there && !(isfinite(*bounds.least) && isfinite(*bounds.most) && *bounds.least <= *bounds.most)) {
        gemlet_loader_fail(loader, GEMLET_ERROR_FORMAT, "and the one that ends in _min must be finite, and in order");
    }
    return bounds;
}
