/* libFuzzer: any bytes as the files of a Hugging Face folder for gemlet-pack. */
#include <stdio.h>

#include "tests/fuzz/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"config.json",     "preprocessor_config.json",     "tokenizer_config.json",
                                        "tokenizer.model", "model.safetensors.index.json", "model.safetensors"};
    enum { NAMES = sizeof names / sizeof names[0] };
    char output[FOLDER_BYTES + 32];
    for (int i = 0; i < NAMES; i++) {
        if (!fuzz_write_section(&data, &size, i == NAMES - 1, names[i])) {
            return 0;
        }
    }
    snprintf(output, sizeof output, "%s/out.gguf", fuzz_folder());
    pack_options options = {.folder = fuzz_folder(), .output = output};
    fuzz_pack(&options);
    return 0;
}
