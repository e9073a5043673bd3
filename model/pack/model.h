/* What gemlet-pack knows of a model to be packed, whichever source it came from: hyper-parameters, vocabulary and where each
 * tensor's numbers are.  Host only; everything is owned by the pack_model and freed with it. */
#ifndef GEMLET_MODEL_PACK_MODEL_H
#define GEMLET_MODEL_PACK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/container/container.h"
#include "model/pack/fail.h"
#include "model/pack/family.h"
#include "model/pack/quantization.h"
#include "model/pack/tokenizer_build.h"
#include <gemlet/status.h>

enum { PACK_MAX_FILES = 256 };

typedef struct pack_file {
    char *path;
    int descriptor;
    uint64_t size;
} pack_file;

/* Elements, or bytes, that follow each other. */
typedef struct pack_span {
    uint64_t first, count;
} pack_span;

typedef struct pack_spans {
    pack_span span[GEMLET_MAX_LAYERS];
    size_t count;
} pack_spans;

/* A matrix of which some rows and columns are the tensor. */
typedef struct pack_cut {
    uint64_t source_row_bytes;
    pack_spans rows;
    pack_spans columns; /* in bytes of a row */
    struct pack_cut *next;
} pack_cut;

/* The type of a tensor of codes, several to a byte: none of ggml's. */
enum { PACK_TYPE_U8 = 1000 };
const char *pack_type_name(uint32_t type);

/* A tensor of the source under its GGUF name. */
typedef struct pack_tensor {
    char name[GEMLET_NAME_BYTES];
    uint32_t type; /* gemlet_tensor_type, or PACK_TYPE_U8 */
    uint32_t bits; /* of codes, as the configuration says; 0: numbers */
    uint32_t dimension_count;
    uint64_t shape[GEMLET_DIMENSIONS]; /* C order: the slowest first */
    const pack_file *file;
    uint64_t offset;
    uint64_t bytes;
    const pack_cut *cut; /* NULL: the whole tensor of the source; else `bytes` are those that are left */
    float shift;         /* added to every number: Gemma 3 of Hugging Face keeps its norms less one */
    bool used;
} pack_tensor;

typedef struct pack_embedder {
    bool present;
    uint32_t vocabulary_offset; /* ids from here on, vocabulary_size of them, have rows of their own */
    uint32_t vocabulary_size;
    uint32_t begin_id, end_id, soft_id;
    uint32_t soft_tokens;
    uint32_t width; /* of the encoder's output */
    float rms_epsilon;
} pack_embedder;

typedef struct pack_audio {
    uint32_t block_count;
    uint32_t head_count;
    uint32_t chunk_size;
    uint32_t context_left;
    uint32_t context_right;
    uint32_t mel_bins;
    uint32_t reduction_factor;
    float logit_cap;
    float residual_weight;
    float gradient_clipping;
    float group_norm_epsilon;
} pack_audio;

/* Of an image encoder that is a transformer. */
typedef struct pack_vit {
    uint32_t block_count, head_count, head_width, inner;
    uint32_t image_size; /* of squares */
    float rope_base;
} pack_vit;

typedef struct pack_model {
    const pack_family *family;
    bool from_gguf;
    char name[128];
    gemlet_text_config text;
    bool head_apart; /* the source says that the head is not the embedding: there must be a tensor of it */
    pack_quantization quantization;
    pack_cut *cuts;                 /* owned */
    char slice[GEMLET_SLICE_BYTES]; /* what was cut, for people; "" */
    uint32_t bos, eos, padding;
    pack_embedder image;
    uint32_t image_size; /* of encoders of squares */
    pack_vit vit;        /* where the family has vit_numbers */
    pack_embedder sound;
    bool no_sound; /* of the sound encoder only the special ids' embeddings are wanted */
    pack_audio audio;
    gemlet_vocabulary vocabulary;
    void *texts[2];       /* where the vocabulary's texts are */
    pack_tensor *tensors; /* sorted by name */
    size_t tensor_count;
    size_t tensor_capacity;
    pack_file files[PACK_MAX_FILES];
    size_t file_count;
} pack_model;

void pack_model_init(pack_model *model);
void pack_model_free(pack_model *model);

/* Opens `path` and keeps it in the model. */
gemlet_status pack_open(pack_model *model, const char *path, const pack_file **file, gemlet_error *error);
gemlet_status pack_read(const pack_file *file, uint64_t offset, void *out, size_t length, gemlet_error *error);

/* `length` bytes of a tensor, cut as it is, from byte `offset` on. */
gemlet_status pack_read_tensor(const pack_tensor *tensor, uint64_t offset, void *out, size_t length, gemlet_error *error);

/* A cut that is freed with the model; NULL where there is no memory. */
pack_cut *pack_add_cut(pack_model *model);

/* Adds a copy of `tensor`.  Its bytes must be inside its file. */
gemlet_status pack_add_tensor(pack_model *model, const pack_tensor *tensor, gemlet_error *error);

/* Sorts by name, numbers in names by value, and refuses a name that is there twice.  Needed before pack_find. */
gemlet_status pack_sort_tensors(pack_model *model, gemlet_error *error);
pack_tensor *pack_find(pack_model *model, const char *name);
uint64_t pack_elements(const pack_tensor *tensor);

/* Refuses a tensor of the source that no part of the model takes: without it, it would be another model. */
gemlet_status pack_refuse_tensor(const pack_model *model, const pack_file *file, const char *name, gemlet_error *error);

/* Fills the model from a text GGUF and, unless NULL, its mmproj GGUF. */
gemlet_status pack_load_gguf(pack_model *model, const char *text, const char *projector, gemlet_error *error);

/* Fills the model from a folder of Hugging Face. */
gemlet_status pack_load_hf(pack_model *model, const char *folder, gemlet_error *error);

/* The GGUF name of a Hugging Face tensor into `out`; false for one that gemlet has no use for.  `*norm` says whether it is an
 * RMSNorm of the text model, which some families keep less one. */
bool pack_gguf_name(const pack_family *family, const char *name, char out[GEMLET_NAME_BYTES], bool *norm);

/* files.c: a whole file, NUL-terminated, that the caller frees; at most `limit` bytes. */
gemlet_status pack_read_whole(const char *path, size_t limit, char **bytes, size_t *length, gemlet_error *error);

/* Whether there is a file of that name, were it one that can't be read: only what is not there may be done without. */
bool pack_is_there(const char *path);

/* ---- The parts of pack_load_hf ---- */

/* Adds the tensors of a safetensors file that pack_gguf_name knows. */
gemlet_status pack_load_safetensors(pack_model *model, const char *path, gemlet_error *error);

/* Fills family, text, image and sound from FOLDER/config.json and preprocessor_config.json. */
gemlet_status pack_load_config(pack_model *model, const char *folder, gemlet_error *error);

#endif
