/* Writes the packed file, tensor by tensor. */
#ifndef GEMLET_MODEL_PACK_WRITER_H
#define GEMLET_MODEL_PACK_WRITER_H

#include <stdio.h>

#include "model/pack/layout.h"
#include "model/pack/progress.h"

/* Writes to a temporary name beside `path`, syncs and renames; on an error nothing is left.  A line for each converted tensor goes
 * to `report` (may be NULL), the progress to `progress` (may be NULL).  Fills the items' CRC-32s and errors.
 * With `header_only` the data is a hole in the file. */
gemlet_status pack_write(const pack_model *model, pack_layout *layout, const char *path, bool header_only, FILE *report,
                         FILE *progress, gemlet_error *error);

#endif
