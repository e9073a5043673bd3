/* libFuzzer: any bytes as a request for a chat completion.  It is read, or refused with words, and leaves no memory behind. */
#include <stdlib.h>

#include "examples/gemlet/serve/request.h"
#include "tests/robust/rig.h"

enum { POSITIONS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static rig r;
    static options chosen;
    if (r.session == NULL) {
        (void)pack_models(NULL);
        rig_start(&r, &small, &(gemlet_options){.context = POSITIONS, .chunk = 8});
    }
    const request_reader reader = {.options = &chosen, .model = r.model, .session = r.session};
    request read;
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_status status = request_read(&read, &reader, (const char *)data, size, &error);
    if (status != GEMLET_OK && (error.status != status || error.message[0] == '\0')) {
        abort(); /* every refusal says why */
    }
    if (status == GEMLET_OK && (read.positions > POSITIONS || read.prompt.count == 0)) {
        abort();
    }
    request_free(&read);
    return 0;
}
