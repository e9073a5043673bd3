#include "tests/fuzz/sections.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[FOLDER_BYTES];

static void remove_folder(void) {
    folder_remove(folder);
}

const char *fuzz_folder(void) {
    if (folder[0] == '\0') {
        folder_make(folder, "fuzz");
        atexit(remove_folder);
    }
    return folder;
}

int fuzz_write_section(const uint8_t **data, size_t *size, int last, const char *name) {
    char path[FOLDER_BYTES + 64];
    size_t length = *size;
    if (!last) {
        if (*size < 4) {
            return 0;
        }
        length = (size_t)(*data)[0] | (size_t)(*data)[1] << 8 | (size_t)(*data)[2] << 16 | (size_t)(*data)[3] << 24;
        *data += 4;
        *size -= 4;
        length = length > *size ? *size : length;
    }
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    unlink(path);
    if (length > 0) {
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(*data, 1, length, file) != length || fclose(file) != 0) {
            abort();
        }
    }
    *data += length;
    *size -= length;
    return 1;
}

void fuzz_pack(const pack_options *options) {
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_status status = pack_run(options, &error);
    if (status == GEMLET_OK ? access(options->output, R_OK) != 0 : error.message[0] == '\0' || error.status != status) {
        abort(); /* a file or a reason */
    }
    if (status == GEMLET_OK) {
        unlink(options->output);
    } else if (access(options->output, F_OK) == 0) {
        abort(); /* never half a file */
    }
}
