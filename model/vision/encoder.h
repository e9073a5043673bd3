/* What a session asks of an image encoder, whichever it is.
 *
 * An encoder has two parts.  The model's part holds its configuration and its weights: it is filled by read_config and load when a
 * model is opened.  The session's part holds the shapes and the memory of a run, which several sessions must not share: it begins
 * with a gemlet_image_run and is filled by plan.  Both are structures of the encoder's own; model/family/family.h has room for
 * either of any encoder. */
#ifndef GEMLET_MODEL_VISION_ENCODER_H
#define GEMLET_MODEL_VISION_ENCODER_H

#include <gemlet/image.h>

#include "core/kernels.h"
#include "model/container/container.h"

/* The beginning of every encoder's session part. */
typedef struct gemlet_image_run {
    /* Set by the session before plan: */
    gemlet_kernels kernels;
    const gemlet_port *port;
    size_t threads;
    size_t text_width;     /* numbers of a soft token */
    uint32_t image_size;   /* pixels of a side, the option; 0: what the model was made for, which plan puts here */
    uint32_t image_tokens; /* of frames that keep their shape: the most soft tokens; likewise */
    /* Set by plan: */
    size_t bytes;              /* of `memory` */
    uint32_t most_soft_tokens; /* that any frame gives */
    /* Set by the session before prepare: */
    unsigned char *memory;                                   /* 64-byte aligned; only matters from prepare to the end of run */
    bool (*go_on)(void *context, size_t done, size_t total); /* asked behind each block; NULL: to the end in any case */
    void *go_on_context;
} gemlet_image_run;

typedef struct gemlet_image_encoder {
    /* Reads the configuration from the file's keys.  `*there` is false where the file holds no image encoder. */
    gemlet_status (*read_config)(void *model, gemlet_container *container, bool *there, gemlet_error *error);

    /* Finds the weights; what can't be mapped, and the list of blocks, is kept in `arena`. `*mapped` grows by the bytes that are.
     */
    gemlet_status (*load)(void *model, gemlet_container *container, size_t text_width, gemlet_arena *arena, uint64_t *mapped,
                          gemlet_error *error);

    /* Finds out what a run takes, from the shapes of the weights, so that it needs none of their numbers.  Reads the file where the
     * model was loaded into a counting arena, and never else: sessions may be opened from several threads.  GEMLET_ERROR_ARGUMENT
     * for an image size that the model does not allow. */
    gemlet_status (*plan)(gemlet_image_run *run, const void *model, gemlet_container *container, gemlet_error *error);

    /* How many soft tokens a frame of width x height pixels gives. */
    uint32_t (*soft_tokens)(const gemlet_image_run *run, uint32_t width, uint32_t height);

    /* Brings a frame into the memory, as encode wants it.  GEMLET_ERROR_ARGUMENT for a frame that can't be. */
    gemlet_status (*prepare)(const gemlet_image_run *run, const gemlet_image *image, gemlet_error *error);

    /* Encodes what was prepared last into soft_tokens [soft tokens][text width].  False where go_on said so: they are not filled
     * then. */
    bool (*encode)(const gemlet_image_run *run, float *soft_tokens);
} gemlet_image_encoder;

#endif
