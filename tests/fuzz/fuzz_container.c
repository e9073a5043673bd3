/* libFuzzer: any bytes as a model file, with the right CRC-32 of the header where nothing else is wrong with it.  Opens it and
 * reads everything that can be asked for.  Of one input in four the last byte says which call of the port fails, or falls short. */
#include <stdlib.h>
#include <string.h>

#include "model/container/container.h"
#include "tests/container/forge.h"
#include "tests/container/memory_port.h"
#include "tests/support/fault_port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_keys(gemlet_container *c) {
    char key[GEMLET_KEY_BYTES], text[64];
    gemlet_value value;
    uint64_t cursor = 0;
    for (uint32_t i = 0; gemlet_container_next_key(c, &cursor, key, &value); i++) {
        uint32_t number;
        float real;
        bool truth;
        (void)gemlet_container_u32(c, key, i, &number, NULL);
        (void)gemlet_container_f32(c, key, 0, &real, NULL);
        (void)gemlet_container_bool(c, key, value.count - 1, &truth, NULL);
        (void)gemlet_container_string(c, key, text, sizeof text, NULL);
    }
}

static void read_tensors(gemlet_container *c, gemlet_arena *arena, const fault_port *fault) {
    gemlet_tensor t, again;
    gemlet_error error = {GEMLET_OK, ""};
    uint64_t cursor = 0;
    for (uint32_t i = 0; gemlet_container_next_tensor(c, &cursor, i, &t); i++) {
        const unsigned char *bytes;
        const void *loaded = NULL;
        if (!gemlet_container_find_tensor(c, t.name, &again) || again.index != i) {
            if (fault->injected == 0) {
                abort(); /* names are unique once a file is open */
            }
            continue;
        }
        (void)gemlet_container_verify(c, &t, &error);
        if (gemlet_container_load(c, &t, arena, "fuzz", &loaded, NULL, &error) == GEMLET_OK && loaded != NULL && t.bytes > 0) {
            bytes = loaded;
            volatile unsigned char touched = (unsigned char)(bytes[0] ^ bytes[t.bytes - 1]);
            (void)touched;
        }
    }
    if (cursor != 0 && fault->injected == 0 && gemlet_container_next_tensor(c, &cursor, c->tensor_count, &t)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static _Alignas(64) unsigned char buffer[1 << 20];
    static gemlet_container container;
    gemlet_arena arena;
    gemlet_port below, port;
    gemlet_error error = {GEMLET_OK, ""};
    unsigned char *copy = aligned_alloc(64, (size + 64) / 64 * 64);
    memcpy(copy, data, size);
    forge_header(copy, size);
    memory_file file = {.data = copy, .size = size, .maps = size % 2 == 0};
    memory_port_open(&file, &below);
    fault_port fault = {.below = below};
    fault_port_open(&fault, &below, &port);
    if (size % 4 == 3) {
        *(data[size - 1] % 2 == 0 ? &fault.fail_call : &fault.short_call) = 1u + data[size - 1] / 2;
    }
    (void)gemlet_arena_init(&arena, buffer, sizeof buffer, &error);
    gemlet_status status = gemlet_container_open(&container, &port, "F", &error);
    if (status == GEMLET_OK) {
        (void)gemlet_container_require_packed(&container, &error);
        read_keys(&container);
        read_tensors(&container, &arena, &fault);
        gemlet_container_close(&container);
    } else if (error.status != status || error.message[0] == '\0') {
        abort(); /* every refusal says why */
    }
    if (file.open != 0) {
        abort();
    }
    free(copy);
    return 0;
}
