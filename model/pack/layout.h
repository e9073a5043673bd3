/* What the packed file will hold: one item for each of its tensors, in their order, with where its numbers come from. */
#ifndef GEMLET_MODEL_PACK_LAYOUT_H
#define GEMLET_MODEL_PACK_LAYOUT_H

#include "model/pack/model.h"

/* How an item's bytes are made; writer.c has a function for each. */
typedef enum pack_action {
    PACK_REALS,      /* numbers as F32 */
    PACK_MATRIX,     /* a quantised matrix of blocks */
    PACK_ROW_SCALED, /* a matrix with one scale a row, from codes or from numbers */
    PACK_CONV,       /* an int8 convolution; the PACK_SCALES after it are made with it */
    PACK_SCALES,
    PACK_REAL_CONV,      /* F32 [taps][columns][rows] */
    PACK_HARD_EMBEDDING, /* the special ids' embeddings, computed from three tensors */
    PACK_POSITIONS,      /* what attention adds to the keys of a sound, by distance */
    PACK_QUERY_SCALE,    /* what its queries are multiplied by */
    PACK_MEL_WINDOW,     /* of the sound's front end */
    PACK_MEL_FILTERS,
    PACK_BLOB /* bytes that are in memory already */
} pack_action;

/* Rows or columns in groups of `real`, behind each of which zeros make it `padded`.  padded 0: none. */
typedef struct pack_groups {
    uint32_t real, padded;
} pack_groups;

typedef struct pack_item {
    char name[GEMLET_NAME_BYTES];
    pack_action action;
    gemlet_tensor_kind kind;
    uint32_t rows, columns, taps;
    const pack_tensor *source;     /* NULL for PACK_SCALES, PACK_MEL_... and PACK_BLOB */
    const pack_tensor *norm;       /* of PACK_HARD_EMBEDDING */
    const pack_tensor *projection; /* of PACK_HARD_EMBEDDING */
    float epsilon;                 /* of PACK_HARD_EMBEDDING */
    const pack_tensor *scale;      /* of PACK_ROW_SCALED, as all of these: each row's; NULL: of numbers, by their maximum */
    float input_scale, output_scale;
    uint32_t bits;                         /* of the codes that numbers become; 0: 8 */
    pack_groups row_groups, column_groups; /* of numbers; rows and columns are those of the packed matrix */
    bool transposed;                       /* the source is [columns][rows] */
    bool pixels_first; /* of PACK_REALS: rows are [pixel][colour] in the source, [colour][pixel] in the packed file */
    const void *blob;  /* of PACK_BLOB, not owned */
    uint64_t bytes;
    /* Found while writing. */
    uint64_t offset; /* from the start of the data */
    uint32_t crc32;
    bool converted; /* not just moved: the relative error means something */
    double relative_error;
} pack_item;

typedef struct pack_layout {
    pack_item *items;
    size_t count;
    size_t capacity;
} pack_layout;

/* Which weight types matrices get. */
typedef struct pack_types {
    gemlet_weight_type reals;  /* of F32, F16 and BF16 sources */
    gemlet_weight_type blocks; /* of block formats other than Q4_0 and Q8_0, which stay as they are */
} pack_types;

void pack_layout_free(pack_layout *layout);

/* Checks the text model's configuration as the library does, and completes it: of what was loaded, and again of a slice. */
gemlet_status pack_check_text(pack_model *model, gemlet_error *error);

/* Add the tensors of the text model and of the encoders, and check that all that are needed are there with the right shape. */
gemlet_status pack_lay_out_text(pack_model *model, pack_types types, pack_layout *layout, gemlet_error *error);
gemlet_status pack_lay_out_encoders(pack_model *model, pack_layout *layout, gemlet_error *error);
gemlet_status pack_lay_out_vit(pack_model *model, pack_layout *layout, gemlet_error *error);
gemlet_status pack_lay_out_sound(pack_model *model, pack_layout *layout, gemlet_error *error);

/* ---- What these are made of ---- */

/* Adds a matrix of a quantised checkpoint with as many bits as its source, or 8 of a source of numbers.  The `rows` of a streamed
 * table become `split` rows each.  `activations` is the matrix whose steps are meant, NULL: without. */
gemlet_status pack_add_row_scaled(pack_model *model, pack_layout *layout, const pack_item *shape, uint32_t split,
                                  gemlet_packing packing, const char *activations, gemlet_error *error);

/* The steps of the activations of matrix `name` into `item`: both, or two zeros. */
gemlet_status pack_find_steps(pack_model *model, const char *name, pack_item *item, gemlet_error *error);

/* The step of a matrix' inputs is what brings their bounds, STEM.input_min and STEM.input_max, into 8 bits.  0: there are none.
 * `exact`: they are -128 and 127 steps but for their rounding to bfloat16, as those of trained models are, and need not be kept. */
gemlet_status pack_find_step(pack_model *model, const char *stem, float *step, bool *exact, gemlet_error *error);

/* Adds a matrix of Gemma 4's sound encoder whose numbers lie on grids of 2 or 4 bits, as codes of so many: nothing is lost.  Its
 * bounds are the ends of its inputs' range.  `*added`: it is one; other tensors are left to the caller. */
gemlet_status pack_add_levels(pack_model *model, pack_layout *layout, const pack_tensor *t, bool *added, gemlet_error *error);

gemlet_status pack_add_item(pack_layout *layout, const pack_item *item, gemlet_error *error);

/* Finds the tensor `name` and marks it as used.  It must hold numbers; pack_need_weights finds codes, too. */
gemlet_status pack_need_weights(pack_model *model, const char *name, pack_tensor **tensor, gemlet_error *error);
gemlet_status pack_need(pack_model *model, const char *name, pack_tensor **tensor, gemlet_error *error);

/* Adds `name` as `count` F32 numbers, whatever its dimensions. */
gemlet_status pack_add_reals(pack_model *model, pack_layout *layout, const char *name, uint32_t rows, uint32_t columns,
                             gemlet_error *error);

#endif
