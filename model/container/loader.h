/* Finding a model's weights: tensors by name, with the shape that the configuration wants; the first failure is remembered, and
 * whatever is asked for after it answers zeros, so that a model's parts can be listed without a check after each line. */
#ifndef GEMLET_MODEL_CONTAINER_LOADER_H
#define GEMLET_MODEL_CONTAINER_LOADER_H

#include "model/container/bounds.h"
#include "model/container/container.h"

typedef struct gemlet_loader {
    gemlet_container *container;
    gemlet_arena *arena; /* takes what can't be mapped; NULL: shapes only, no data */
    uint64_t *mapped;    /* grows by the bytes that are mapped; may be NULL */
    gemlet_error *error;
    gemlet_status status;
    uint32_t fingerprint; /* CRC-32 of the CRC-32s of all tensors found so far */
    size_t prefix;        /* bytes of `name` that every suffix follows */
    char name[GEMLET_NAME_BYTES];
} gemlet_loader;

/* Names that follow start with `text`; or with what they start with now, `number` and a dot. */
void gemlet_loader_enter(gemlet_loader *loader, const char *text);
void gemlet_loader_enter_number(gemlet_loader *loader, uint32_t number);

/* Names that follow start with what they start with now and `text`.  Answers the prefix before, to be put back. */
size_t gemlet_loader_enter_below(gemlet_loader *loader, const char *text);

/* Whether there is such a tensor; a failure that follows names it. */
bool gemlet_loader_has(gemlet_loader *loader, const char *suffix);

/* False after a failure; a missing tensor is one. */
bool gemlet_loader_find(gemlet_loader *loader, const char *suffix, gemlet_tensor *tensor);

/* Fails unless it has failed already: FILE: tensor "NAME" `text`, NAME being the last one asked for. */
void gemlet_loader_fail(gemlet_loader *loader, gemlet_status status, const char *text);

/* Likewise of a tensor that was found, but is another one than was expected. */
typedef struct gemlet_shape {
    const char *kind;
    size_t rows, columns; /* 0: any number */
    size_t taps;          /* 0: the kind says it */
} gemlet_shape;
void gemlet_loader_fail_shape(gemlet_loader *loader, const gemlet_tensor *tensor, gemlet_shape expected);

/* Whether what the data say can be looked at.  A plan takes a file whose data are a hole, too: zeros. */
bool gemlet_loader_has_data(const gemlet_loader *loader);

/* The data of a tensor that was found; NULL with a counting arena and with none. */
const void *gemlet_loader_data(gemlet_loader *loader, const gemlet_tensor *tensor);

/* Likewise of a matrix in panels with one scale a row, whose steps of inputs and outputs stand behind the panels: both, that of
 * the inputs alone, or none (0). */
void gemlet_loader_row_scaled(gemlet_loader *loader, const gemlet_tensor *tensor, gemlet_matrix *matrix);

/* F32 [rows][columns]. */
const float *gemlet_loader_reals(gemlet_loader *loader, const char *suffix, size_t rows, size_t columns);

/* Two of one number each, STEM_min and STEM_max, where there is one of them. */
gemlet_bounds gemlet_loader_bounds(gemlet_loader *loader, const char *stem);

#endif
