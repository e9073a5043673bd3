/* What the packed file will hold: one item for each of its tensors, in their order, with where its numbers come from. */
#ifndef GEMLET_MODEL_PACK_LAYOUT_H
#define GEMLET_MODEL_PACK_LAYOUT_H

#include "model/pack/model.h"

/* How an item's bytes are made; writer.c has a function for each. */
typedef enum pack_action {
    PACK_REALS,  /* numbers as F32 */
    PACK_MATRIX, /* a quantised matrix */
    PACK_CONV,   /* an int8 convolution; the PACK_SCALES after it are made with it */
    PACK_SCALES,
    PACK_REAL_CONV,      /* F32 [taps][columns][rows] */
    PACK_HARD_EMBEDDING, /* the special ids' embeddings, computed from three tensors */
    PACK_POSITIONS,      /* what attention adds to the keys of a sound, by distance */
    PACK_QUERY_SCALE,    /* what its queries are multiplied by */
    PACK_MEL_WINDOW,     /* of the sound's front end */
    PACK_MEL_FILTERS,
    PACK_BLOB /* bytes that are in memory already */
} pack_action;

typedef struct pack_item {
    char name[GEMLET_NAME_BYTES];
    pack_action action;
    gemlet_tensor_kind kind;
    uint32_t rows, columns, taps;
    const pack_tensor *source;     /* NULL for PACK_SCALES, PACK_MEL_... and PACK_BLOB */
    const pack_tensor *norm;       /* of PACK_HARD_EMBEDDING */
    const pack_tensor *projection; /* of PACK_HARD_EMBEDDING */
    float epsilon;                 /* of PACK_HARD_EMBEDDING */
    const void *blob;              /* of PACK_BLOB, not owned */
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

/* Add the tensors of the text model and of the encoders, and check that all that are needed are there with the right shape. */
gemlet_status pack_lay_out_text(pack_model *model, pack_types types, pack_layout *layout, gemlet_error *error);
gemlet_status pack_lay_out_encoders(pack_model *model, pack_layout *layout, gemlet_error *error);
gemlet_status pack_lay_out_sound(pack_model *model, pack_layout *layout, gemlet_error *error);

/* ---- What these are made of ---- */

gemlet_status pack_add_item(pack_layout *layout, const pack_item *item, gemlet_error *error);

/* Finds the tensor `name` and marks it as used. */
gemlet_status pack_need(pack_model *model, const char *name, pack_tensor **tensor, gemlet_error *error);

/* Adds `name` as `count` F32 numbers, whatever its dimensions. */
gemlet_status pack_add_reals(pack_model *model, pack_layout *layout, const char *name, uint32_t rows, uint32_t columns,
                             gemlet_error *error);

#endif
