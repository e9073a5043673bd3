/* gemlet-pack --slice list. */
#ifndef GEMLET_MODEL_PACK_SLICE_LIST_H
#define GEMLET_MODEL_PACK_SLICE_LIST_H

#include "model/pack/pack.h"
#include "model/pack/slice.h"

/* The published slices to options->report; with a source also what each takes of it: bytes of the file, bytes that are read and
 * multiply-adds to decode a token, the arena of 4,096 positions with four threads.  `pack` writes one of them. */
typedef gemlet_status pack_slice_writer(const pack_options *options, const pack_slice *slice, gemlet_error *error);
gemlet_status pack_list_slices(const pack_options *options, pack_slice_writer *pack, gemlet_error *error);

#endif
