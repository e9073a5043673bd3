/* What the files share that write the packed file's tensors: each action is a function of the writer. */
#ifndef GEMLET_MODEL_PACK_WRITER_PARTS_H
#define GEMLET_MODEL_PACK_WRITER_PARTS_H

#include <signal.h>
#include <stdio.h>

#include "model/pack/layout.h"
#include "model/pack/progress.h"

enum { PACK_PIECE_ELEMENTS = 1 << 18 }; /* numbers that are converted at a time */

typedef struct pack_writer {
    const pack_model *model;
    FILE *out;
    gemlet_error *error;
    pack_item *item; /* that is being written */
    pack_progress progress;
    unsigned char *raw; /* scratch: source bytes of a piece */
    float *reals;       /* scratch: a piece as numbers */
    float *scales;      /* of the convolution that was written last */
    double error_square, weight_square;
} pack_writer;

/* The next bytes of the item. */
gemlet_status pack_emit(pack_writer *w, const void *bytes, size_t length);

/* Here, so that whoever reads the callers sees that it is not GEMLET_OK. */
static inline gemlet_status pack_writer_memory(const pack_writer *w) {
    pack_fail(w->error, GEMLET_ERROR_MEMORY, "out of memory for tensor \"%s\"", w->item->name);
    return GEMLET_ERROR_MEMORY;
}

/* `count` numbers of `t` from `first` on, both multiples of its block, at most PACK_PIECE_ELEMENTS; refuses what is not finite. */
gemlet_status pack_read_reals(pack_writer *w, const pack_tensor *t, uint64_t first, size_t count, float *out);

/* What the item's conversion lost of `count` numbers. */
void pack_add_error(pack_writer *w, const float *source, const float *packed, size_t count);

/* Refuses a tensor whose rows, of `count` numbers, are longer than what is converted at a time. */
gemlet_status pack_check_row(const pack_writer *w, const char *name, size_t count, size_t most);

/* What ends the program is noted from the one to the other, and sent again at the end; the check says whether something came.  May
 * be nested. */
enum { PACK_ENDING_SIGNALS = 7 };
void pack_catch_signals(struct sigaction before[PACK_ENDING_SIGNALS]);
void pack_let_signals(const struct sigaction before[PACK_ENDING_SIGNALS]);
gemlet_status pack_check_signals(const pack_writer *w);

/* write_row_scaled.c */
gemlet_status pack_write_row_scaled(pack_writer *w);

#endif
