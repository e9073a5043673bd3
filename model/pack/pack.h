/* gemlet-pack as a function. */
#ifndef GEMLET_MODEL_PACK_PACK_H
#define GEMLET_MODEL_PACK_PACK_H

#include <stdbool.h>
#include <stdio.h>

#include <gemlet/status.h>

typedef struct pack_options {
    const char *text;      /* a text GGUF, or NULL */
    const char *projector; /* its mmproj GGUF, or NULL */
    const char *folder;    /* a Hugging Face folder instead, or NULL */
    const char *output;
    const char *type; /* "q4_0", "q8_0", or NULL: q4_0 for real numbers, q8_0 for block formats that are neither */
    const char
        *slice;    /* which part of a MatFormer model (slice.h); NULL: the whole; "list": what there is, and nothing is written */
    bool no_sound; /* leave out the sound encoder */
    bool list;     /* say what would be done and write nothing */
    bool header_only; /* the weights stay a hole in the file: enough for a plan of a model that is not at hand */
    FILE *report;     /* lines about tensors; may be NULL */
    FILE *progress;   /* a progress bar where it is a terminal; may be NULL */
} pack_options;

gemlet_status pack_run(const pack_options *options, gemlet_error *error);

#endif
