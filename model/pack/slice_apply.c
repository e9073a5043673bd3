/* A model that has been loaded becomes a slice of it: nothing is copied, tensors are cut. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pack/slice.h"

/* Which source layer each layer of the slice is. */
typedef struct selection {
    uint32_t source[GEMLET_MAX_LAYERS];
    uint32_t units[GEMLET_MAX_LAYERS]; /* of their feed-forwards, in the source */
    uint32_t kept, layers;
} selection;

static gemlet_status refuse(gemlet_error *error, const char *reason, uint32_t found, uint32_t wanted) {
    return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, reason, found, wanted);
}

/* The last layer of each kind before the first that shares keys is what those read. */
static gemlet_status check_feeders(const gemlet_text_config *t, const pack_slice *slice, gemlet_error *error) {
    uint32_t own = t->layers - t->shared_layers;
    for (gemlet_layer_kind kind = GEMLET_GLOBAL_LAYER; kind < GEMLET_LAYER_KINDS && t->shared_layers > 0; kind++) {
        for (uint32_t i = own; i-- > 0;) {
            if (t->layer[i].kind == kind) {
                if (slice->skipped[i]) {
                    return refuse(error, "--slice: layer %u can't be skipped: the last %u layers read its keys and values", i,
                                  t->shared_layers);
                }
                break;
            }
        }
    }
    return GEMLET_OK;
}

static gemlet_status select_layers(const gemlet_text_config *t, const pack_slice *slice, selection *s, gemlet_error *error) {
    *s = (selection){.layers = t->layers};
    if (slice->layers != 0 && slice->layers != t->layers) {
        return refuse(error, "--slice: the source has %u layers, the published slices are of one with %u", t->layers,
                      slice->layers);
    }
    for (uint32_t i = 0; i < GEMLET_MAX_LAYERS; i++) {
        if (slice->skipped[i] && i >= t->layers) {
            return refuse(error, "--slice: layer %u can't be skipped: the source has %u", i, t->layers);
        }
        if (i < t->layers && !slice->skipped[i]) {
            s->units[s->kept] = t->layer[i].feed_forward;
            s->source[s->kept++] = i;
        }
    }
    if (s->kept != slice->kept) {
        return refuse(error, "--slice: %u widths are given, but %u layers are kept", slice->kept, s->kept);
    }
    for (uint32_t i = 0; i < s->kept; i++) {
        uint32_t most = s->units[i];
        if (slice->widths[i] == 0 || slice->widths[i] % GEMLET_BLOCK != 0 || slice->widths[i] > most) {
            return pack_fail(
                error, GEMLET_ERROR_UNSUPPORTED,
                "--slice: the width of layer %u must be a multiple of %d up to %u, what layer %u of the source has, but is %u", i,
                GEMLET_BLOCK, most, s->source[i], slice->widths[i]);
        }
    }
    return check_feeders(t, slice, error);
}

/* ---- Cuts ---- */

/* Rows or columns that are kept: of each kept layer as many as `each`, side by side ones together. */
static void cut_by_layers(const selection *s, uint64_t each, pack_spans *spans) {
    spans->count = 0;
    for (uint32_t i = 0; i < s->kept; i++) {
        pack_span *last = spans->count > 0 ? &spans->span[spans->count - 1] : NULL;
        if (last != NULL && last->first + last->count == s->source[i] * each) {
            last->count += each;
        } else {
            spans->span[spans->count++] = (pack_span){s->source[i] * each, each};
        }
    }
}

static uint64_t length_of(const pack_spans *spans) {
    uint64_t length = 0;
    for (size_t i = 0; i < spans->count; i++) {
        length += spans->span[i].count;
    }
    return length;
}

/* What is cut are runs of what config.json says: another matrix would lose other ones. */
static gemlet_status check_length(const pack_tensor *t, size_t dimension, uint64_t wanted, gemlet_error *error) {
    if (t->dimension_count == 2 && t->shape[dimension] == wanted) {
        return GEMLET_OK;
    }
    return pack_fail(error, GEMLET_ERROR_FORMAT,
                     "%s: tensor \"%s\" must be a matrix of %llu %s, but has %llu: the file is not of this model", t->file->path,
                     t->name, (unsigned long long)wanted, dimension == 0 ? "rows" : "columns",
                     (unsigned long long)(dimension < t->dimension_count ? t->shape[dimension] : 1));
}

/* Rows and columns to keep, in elements; of columns whole blocks. */
static gemlet_status cut(pack_model *model, pack_tensor *t, const pack_spans *rows, const pack_spans *columns,
                         gemlet_error *error) {
    uint32_t elements, bytes;
    if (t->dimension_count != 2 || !gemlet_type_block(t->type, &elements, &bytes)) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be a matrix", t->file->path, t->name);
    }
    pack_cut *c = pack_add_cut(model);
    if (c == NULL) {
        return pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for a slice of \"%s\"", t->name);
    }
    c->source_row_bytes = t->shape[1] / elements * bytes;
    c->rows = *rows;
    c->columns = *columns;
    for (size_t i = 0; i < c->columns.count; i++) {
        pack_span *span = &c->columns.span[i];
        if (span->first % elements != 0 || span->count % elements != 0) {
            return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                             "%s: tensor \"%s\" can't be cut: it has blocks of %u columns, and %llu from %llu on are wanted",
                             t->file->path, t->name, elements, (unsigned long long)span->count, (unsigned long long)span->first);
        }
        *span = (pack_span){span->first / elements * bytes, span->count / elements * bytes};
    }
    t->shape[0] = length_of(rows);
    t->shape[1] = length_of(columns);
    t->bytes = t->shape[0] * length_of(&c->columns);
    t->cut = c;
    return GEMLET_OK;
}

static pack_spans first_of(uint64_t count) {
    return (pack_spans){.span = {{0, count}}, .count = 1};
}

/* ---- Tensors ---- */

static bool is_called(const char *name, const char *one, const char *other) {
    return strcmp(name, one) == 0 || strcmp(name, other) == 0;
}

/* A tensor of a layer gets the layer's new number, or goes. */
static gemlet_status slice_layer_tensor(pack_model *model, const pack_slice *slice, const selection *s, pack_tensor *t, bool *stays,
                                        gemlet_error *error) {
    char *end, name[GEMLET_NAME_BYTES];
    unsigned long layer = strtoul(t->name + 4, &end, 10);
    uint32_t number = 0;
    while (number < s->kept && s->source[number] != layer) {
        number++;
    }
    *stays = number < s->kept;
    if (!*stays) {
        return layer < s->layers ? GEMLET_OK : pack_refuse_tensor(model, t->file, t->name, error);
    }
    snprintf(name, sizeof name, "blk.%u%.48s", number, end);
    pack_spans all_rows = first_of(t->shape[0]), all_columns = first_of(t->shape[1]), some = first_of(slice->widths[number]);
    bool by_rows = is_called(end, ".ffn_gate.weight", ".ffn_up.weight"), by_columns = strcmp(end, ".ffn_down.weight") == 0;
    gemlet_status status = GEMLET_OK;
    if ((by_rows || by_columns) && slice->widths[number] < s->units[number]) {
        status = check_length(t, by_columns ? 1 : 0, s->units[number], error);
        status = status != GEMLET_OK ? status : cut(model, t, by_rows ? &some : &all_rows, by_rows ? &all_columns : &some, error);
    }
    memcpy(t->name, name, sizeof name);
    return status;
}

static gemlet_status slice_tensors(pack_model *model, const pack_slice *slice, const selection *s, gemlet_error *error) {
    uint32_t width = model->text.per_layer_width;
    gemlet_status status = GEMLET_OK;
    size_t count = 0;
    for (size_t i = 0; i < model->tensor_count && status == GEMLET_OK; i++) {
        pack_tensor *t = &model->tensors[i];
        bool stays = true;
        pack_spans kept, whole = first_of(t->shape[0]);
        cut_by_layers(s, width, &kept);
        if (strncmp(t->name, "blk.", 4) == 0) {
            status = slice_layer_tensor(model, slice, s, t, &stays, error);
        } else if (strcmp(t->name, "per_layer_model_proj.weight") == 0 && s->kept < s->layers) {
            whole = first_of(t->shape[1]);
            status = check_length(t, 0, (uint64_t)s->layers * width, error);
            status = status != GEMLET_OK ? status : cut(model, t, &kept, &whole, error);
        } else if (strcmp(t->name, "per_layer_token_embd.weight") == 0 && s->kept < s->layers) {
            status = check_length(t, 1, (uint64_t)s->layers * width, error);
            status = status != GEMLET_OK ? status : cut(model, t, &whole, &kept, error);
        }
        if (stays) {
            model->tensors[count++] = *t;
        }
    }
    model->tensor_count = count;
    return status != GEMLET_OK ? status : pack_sort_tensors(model, error);
}

/* What was cut, for the packed file to remember; nothing where nothing was. */
static void remember(pack_model *model, const pack_slice *slice, const selection *s) {
    bool same = s->kept == s->layers;
    for (uint32_t i = 0; i < s->kept && same; i++) {
        same = slice->widths[i] == s->units[i];
    }
    if (!same) {
        char line[PACK_SLICE_LINE_BYTES];
        pack_slice_line(slice, line);
        snprintf(model->slice, sizeof model->slice, "%s%s%s of %u layers", slice->name, slice->name[0] != '\0' ? ": " : "", line,
                 s->layers);
    }
}

gemlet_status pack_apply_slice(pack_model *model, const pack_slice *slice, gemlet_error *error) {
    const gemlet_text_config before = model->text;
    selection s;
    if (!before.traits->altup) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                         "--slice: only Gemma 3n's models contain smaller ones, but this is a %s model",
                         model->family->architecture);
    }
    gemlet_status status = select_layers(&before, slice, &s, error);
    if (status != GEMLET_OK) {
        return status;
    }
    for (uint32_t i = 0; i < s.kept; i++) {
        model->text.layer[i] = before.layer[s.source[i]];
        model->text.layer[i].feed_forward = slice->widths[i];
    }
    model->text.layers = s.kept;
    model->text.shared_layers = 0;
    for (uint32_t i = 0; i < s.kept; i++) {
        model->text.shared_layers += s.source[i] >= before.layers - before.shared_layers;
    }
    remember(model, slice, &s);
    return slice_tensors(model, slice, &s, error);
}
