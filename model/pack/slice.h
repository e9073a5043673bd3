/* Slices of MatFormer models: Gemma 3n E4B holds E2B and what lies between, as the first units of each feed-forward and as some of
 * its layers.  Recipe: https://github.com/google-gemini/gemma-cookbook, MatFormer_Lab; the published ones are those of the dataset
 * google/gemma3n-slicing-configs. */
#ifndef GEMLET_MODEL_PACK_SLICE_H
#define GEMLET_MODEL_PACK_SLICE_H

#include "model/pack/model.h"

enum { PACK_SLICE_NAME_BYTES = 64 };

typedef struct pack_slice {
    char name[PACK_SLICE_NAME_BYTES];   /* "" where it has none */
    uint32_t widths[GEMLET_MAX_LAYERS]; /* of the feed-forwards of the layers that are kept */
    uint32_t kept;                      /* how many these are */
    bool skipped[GEMLET_MAX_LAYERS];    /* of the source's layers */
    uint32_t layers;                    /* of the source; 0: any number, of which none is skipped or those below */
} pack_slice;

/* A published one, for sources of 35 layers of 16,384. */
typedef struct pack_published_slice {
    const char *name;
    double parameters; /* billions, as published: without embeddings */
    double mmlu;       /* %, of the pre-trained model */
    const char *wide;  /* layers of the slice that keep all 16,384 units, the others have 8,192: "4,9,14" or "20-24" */
    bool skips;        /* layers 20 to 24 of the source */
} pack_published_slice;

extern const pack_published_slice pack_published_slices[];
extern const size_t pack_published_slice_count;

/* Reads what is given to --slice: the name of a published one, the path of a JSON file ("ffn_hidden_dims", "layers_skipped",
 * "name"), or "8192x20,16384x10;skip=20-24". */
gemlet_status pack_read_slice(const char *text, pack_slice *slice, gemlet_error *error);

/* The same in one line: "8192x30;skip=20-24".  The longest has 128 widths of seven digits, no two neighbours alike. */
enum { PACK_SLICE_LINE_BYTES = 2048 };
void pack_slice_line(const pack_slice *slice, char line[PACK_SLICE_LINE_BYTES]);

/* Makes a model that has been loaded the slice of it: configuration and tensors. */
gemlet_status pack_apply_slice(pack_model *model, const pack_slice *slice, gemlet_error *error);

#endif
