/* The header of a packed file: keys and descriptions of tensors. */
#ifndef GEMLET_MODEL_PACK_HEADER_H
#define GEMLET_MODEL_PACK_HEADER_H

#include "model/pack/bytes.h"
#include "model/pack/layout.h"

/* Sets the items' offsets and writes the header, padded to where the data starts, into `header`.  The CRC-32s are the items'
 * current ones, and the length does not depend on them: so the header is written again when they are known. */
gemlet_status pack_write_header(const pack_model *model, pack_layout *layout, pack_bytes *header, gemlet_error *error);

#endif
