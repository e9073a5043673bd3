/* libFuzzer: any bytes as a text GGUF and its mmproj GGUF for gemlet-pack. */
#include <stdio.h>
#include <unistd.h>

#include "tests/fuzz/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[FOLDER_BYTES + 32], projector[FOLDER_BYTES + 32], output[FOLDER_BYTES + 32];
    snprintf(text, sizeof text, "%s/text.gguf", fuzz_folder());
    snprintf(projector, sizeof projector, "%s/mmproj.gguf", fuzz_folder());
    snprintf(output, sizeof output, "%s/out.gguf", fuzz_folder());
    if (!fuzz_write_section(&data, &size, 0, "text.gguf") || !fuzz_write_section(&data, &size, 1, "mmproj.gguf")) {
        return 0;
    }
    pack_options options = {.text = text, .projector = access(projector, R_OK) == 0 ? projector : NULL, .output = output};
    fuzz_pack(&options);
    return 0;
}
