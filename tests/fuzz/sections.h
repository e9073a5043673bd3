/* An input of several files: each is a 32-bit length and its bytes; the last one takes what is left. */
#ifndef GEMLET_TESTS_FUZZ_SECTIONS_H
#define GEMLET_TESTS_FUZZ_SECTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"

/* A folder below TMPDIR, of FOLDER_BYTES at most, for the inputs and the output of one process: made at the first call, removed
 * when the process ends. */
const char *fuzz_folder(void);

/* Takes the next section to FOLDER/name; an empty one removes the file.  False at the end of the input. */
int fuzz_write_section(const uint8_t **data, size_t *size, int last, const char *name);

/* Runs the packer and checks what must hold whatever the input was. */
void fuzz_pack(const pack_options *options);

#endif
