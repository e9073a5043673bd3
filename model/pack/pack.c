#include "model/pack/pack.h"

#include <stdlib.h>
#include <string.h>

#include "model/pack/layout.h"
#include "model/pack/slice_list.h"
#include "model/pack/writer.h"
#include "model/text/tensors.h"

static gemlet_status choose_types(const char *name, pack_types *types, gemlet_error *error) {
    types->reals = GEMLET_Q4_0;
    types->blocks = GEMLET_Q8_0;
    if (name == NULL) {
        return GEMLET_OK;
    }
    if (strcmp(name, "q4_0") != 0 && strcmp(name, "q8_0") != 0) {
        return pack_fail(error, GEMLET_ERROR_ARGUMENT, "--type must be q4_0 or q8_0, found \"%s\"", name);
    }
    types->reals = types->blocks = name[1] == '4' ? GEMLET_Q4_0 : GEMLET_Q8_0;
    return GEMLET_OK;
}

static void list_items(const pack_model *model, const pack_layout *layout, FILE *out) {
    uint64_t total = 0;
    for (size_t i = 0; i < layout->count; i++) {
        const pack_item *item = &layout->items[i];
        fprintf(out, "%-48s %-5s %-16s %8u x %-6u taps %-3u %12llu bytes\n", item->name,
                item->source != NULL ? pack_type_name(item->source->type) : "-", gemlet_kind_name((uint32_t)item->kind), item->rows,
                item->columns, item->taps, (unsigned long long)item->bytes);
        total += item->bytes;
    }
    for (size_t i = 0; i < model->tensor_count; i++) {
        if (!model->tensors[i].used) {
            gemlet_error shown; /* whatever the file calls it, a terminal is not spoken to */
            (void)gemlet_fail(&shown, GEMLET_OK, model->tensors[i].name);
            fprintf(out, "%-48s dropped\n", shown.message);
        }
    }
    fprintf(out, "%zu tensors, %llu bytes\n", layout->count, (unsigned long long)total);
}

/* Whether the model is the same without the tensor: keys and values of layers that read those of others, a head that is a copy of
 * the embedding, the encoder that is not wanted. */
static bool is_harmless(const pack_model *model, const pack_tensor *tensor) {
    const char *name = tensor->name;
    if (strncmp(name, "blk.", 4) == 0) {
        char *end;
        unsigned long layer = strtoul(name + 4, &end, 10);
        return layer >= model->text.first_shared && layer < model->text.layers &&
               (strncmp(end, ".attn_k.", 8) == 0 || strncmp(end, ".attn_v.", 8) == 0 || strcmp(end, ".attn_k_norm.weight") == 0);
    }
    bool image = strncmp(name, "v.", 2) == 0 || strncmp(name, "mm.", 3) == 0;
    bool sound = strncmp(name, "a.", 2) == 0 || strncmp(name, "mm.a.", 5) == 0;
    return strncmp(name, "output.", 7) == 0 || (image && !model->image.present) ||
           (sound && (!model->sound.present || model->no_sound));
}

static gemlet_status check_unused(const pack_model *model, gemlet_error *error) {
    for (size_t i = 0; i < model->tensor_count; i++) {
        const pack_tensor *tensor = &model->tensors[i];
        if (!tensor->used && !is_harmless(model, tensor)) {
            return pack_refuse_tensor(model, tensor->file, tensor->name, error);
        }
    }
    return GEMLET_OK;
}

/* Each token must have an embedding. */
static gemlet_status check_ids(const pack_model *model, gemlet_error *error) {
    if (model->vocabulary.count <= model->text.vocabulary) {
        return GEMLET_OK;
    }
    return pack_fail(error, GEMLET_ERROR_FORMAT,
                     "the tokenizer has %zu tokens, but tensor \"token_embd.weight\" has %u rows: give the files of one model",
                     model->vocabulary.count, model->text.vocabulary);
}

/* `tables` are the tokenizer's prebuilt bytes, which must outlive the layout. */
static gemlet_status lay_out(pack_model *model, pack_types types, const void *tables, size_t table_bytes, pack_layout *layout,
                             gemlet_error *error) {
    pack_item item = {
        .name = "tokenizer.tables", .action = PACK_BLOB, .kind = GEMLET_KIND_BLOB, .blob = tables, .bytes = table_bytes};
    gemlet_status status = tables != NULL ? pack_add_item(layout, &item, error) : GEMLET_OK;
    status = status != GEMLET_OK ? status : pack_lay_out_text(model, types, layout, error);
    status = status != GEMLET_OK ? status : check_ids(model, error);
    bool vit = model->family->vit != NULL;
    status = status != GEMLET_OK || !model->image.present ? status
                                                          : (vit ? pack_lay_out_vit : pack_lay_out_encoders)(model, layout, error);
    status = status != GEMLET_OK || !model->sound.present ? status : pack_lay_out_sound(model, layout, error);
    return status != GEMLET_OK ? status : check_unused(model, error);
}

static bool has_tensors(const pack_model *model, const char *prefix) {
    for (size_t i = 0; i < model->tensor_count; i++) {
        if (strncmp(model->tensors[i].name, prefix, strlen(prefix)) == 0) {
            return true;
        }
    }
    return false;
}

/* Of an encoder that is left out, or that the source lacks, only the special ids' embeddings are needed, where there are any. */
static void settle_encoders(pack_model *model) {
    bool special = model->text.traits->special_embeddings;
    if (model->sound.present && !special && (model->no_sound || !has_tensors(model, "a."))) {
        model->sound.present = false;
    }
    if (model->image.present && !special && !has_tensors(model, "v.")) {
        model->image.present = false;
    }
}

static gemlet_status load(const pack_options *options, const pack_slice *slice, pack_model *model, gemlet_error *error) {
    gemlet_status status = options->folder != NULL ? pack_load_hf(model, options->folder, error)
                                                   : pack_load_gguf(model, options->text, options->projector, error);
    model->no_sound = options->no_sound;
    status = status != GEMLET_OK ? status : pack_check_text(model, error);
    status = status != GEMLET_OK || slice == NULL ? status : pack_apply_slice(model, slice, error);
    if (status == GEMLET_OK) {
        settle_encoders(model);
    }
    return status;
}

static gemlet_status pack_model_to(const pack_options *options, const pack_slice *slice, pack_model *model, gemlet_error *error) {
    pack_types types;
    pack_layout layout = {0};
    void *tables = NULL;
    size_t table_bytes = 0;
    gemlet_status status = choose_types(options->type, &types, error);
    status = status != GEMLET_OK ? status : load(options, slice, model, error);
    status = status != GEMLET_OK ? status : gemlet_tokenizer_build(&model->vocabulary, &tables, &table_bytes, error);
    status = status != GEMLET_OK ? status : lay_out(model, types, tables, table_bytes, &layout, error);
    if (status == GEMLET_OK && options->list && options->report != NULL) {
        list_items(model, &layout, options->report);
    }
    if (status == GEMLET_OK && !options->list) {
        status = pack_write(model, &layout, options->output, options->header_only, options->report, options->progress, error);
    }
    pack_layout_free(&layout);
    free(tables);
    return status;
}

static gemlet_status pack_one(const pack_options *options, const pack_slice *slice, gemlet_error *error) {
    pack_model model;
    pack_model_init(&model);
    gemlet_status status = pack_model_to(options, slice, &model, error);
    pack_model_free(&model);
    return status;
}

static gemlet_status pack_slice_or_all(const pack_options *options, gemlet_error *error) {
    pack_slice slice;
    gemlet_status status = options->slice != NULL ? pack_read_slice(options->slice, &slice, error) : GEMLET_OK;
    return status != GEMLET_OK ? status : pack_one(options, options->slice != NULL ? &slice : NULL, error);
}

gemlet_status pack_run(const pack_options *options, gemlet_error *error) {
    bool list_slices = options->slice != NULL && strcmp(options->slice, "list") == 0;
    if (list_slices && options->text == NULL && options->folder == NULL) {
        return pack_list_slices(options, pack_one, error);
    }
    if ((options->text == NULL) == (options->folder == NULL)) {
        return pack_fail(error, GEMLET_ERROR_ARGUMENT, "give either --text FILE or --hf FOLDER");
    }
    if (options->projector != NULL && options->text == NULL) {
        return pack_fail(error, GEMLET_ERROR_ARGUMENT, "--mmproj goes with --text; a Hugging Face folder holds everything itself");
    }
    if ((options->output == NULL || options->output[0] == '\0') && !options->list && !list_slices) {
        return pack_fail(error, GEMLET_ERROR_ARGUMENT, "give the output as -o FILE, or --list");
    }
    return list_slices ? pack_list_slices(options, pack_one, error) : pack_slice_or_all(options, error);
}
