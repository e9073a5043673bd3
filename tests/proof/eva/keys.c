/* sources: model/container/keys.c model/container/key_reader.c core/text.c
 * options: -eva-precision 4 -eva-slevel 500 -eva-split-return full -eva-interprocedural-splits -warn-special-float none
 * Values of keys: the list of keys holds any keys, types, counts and offsets, or ends early; the cursor, which cursor.c proves,
 * reads any bytes and fails when it likes; a real in a message, core/text_real.c, is any characters.  Numbers, truths and strings
 * are asked for by any index, directly and through a key reader. */
/* explained 1: strlen in gemlet_container_string, of a text that has just been ended at its length; Eva does not keep what a length
 * and a byte have to do with each other where the length comes back from another function. */
#include "core/text.h"
#include "model/container/cursor.h"
#include "model/container/key_reader.h"
#include "tests/proof/eva/any.h"
#include "tests/proof/eva/any_message.h"

gemlet_cursor gemlet_cursor_at(gemlet_container *container, uint64_t position) {
    gemlet_cursor cursor = {container, position, any_bool(), any_bool()};
    return cursor;
}

void gemlet_cursor_bytes(gemlet_cursor *cursor, void *out, size_t length) {
    any_bytes(out, length);
    cursor->failed = any_bool();
}

/* Cut where it is longer, and ended in any case. */
uint64_t gemlet_cursor_string(gemlet_cursor *cursor, char *out, size_t capacity) {
    any_bytes(out, capacity);
    out[capacity - 1] = '\0';
    cursor->failed = any_bool();
    return any_number();
}

size_t gemlet_text_real(char *out, double number) {
    (void)number;
    size_t length = any_size(1, GEMLET_REAL_CHARACTERS);
    any_bytes(out, GEMLET_REAL_CHARACTERS);
    return length;
}

gemlet_status gemlet_container_check_read(const gemlet_container *container, gemlet_error *error) {
    return container->unreadable ? gemlet_fail(error, GEMLET_ERROR_IO, container->path) : GEMLET_OK;
}

enum { MOST_TEXT = 16 };

/* A type that is none ends the walk. */
void gemlet_cursor_value(gemlet_cursor *cursor, gemlet_value *value, const char **problem) {
    *problem = NULL;
    value->type = (gemlet_value_type)any_size(0, GEMLET_VALUE_FLOAT64);
    value->array = any_bool();
    value->count = any_size(MOST_TEXT, UINT64_MAX);
    if (any_bool()) {
        uint64_t count = any_size(0, MOST_TEXT - 1);
        /*@ split count; */
        value->count = count;
    }
    value->offset = any_number();
    cursor->position = any_number();
    cursor->failed = any_bool();
}

uint32_t gemlet_value_bytes(uint32_t type) {
    static const uint32_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    /*@ assert type <= 12; */
    /*@ split type; */
    return bytes[type];
}

int main(void) {
    static gemlet_container container;
    uint32_t number;
    float real;
    bool truth;
    char text[MOST_TEXT];
    container.path = "file";
    container.keys = any_number();
    container.descriptions = any_number();
    container.unreadable = any_bool();
    (void)gemlet_container_u32(&container, "a.key", any_number(), &number, NULL);
    (void)gemlet_container_f32(&container, "a.key", any_number(), &real, NULL);
    (void)gemlet_container_bool(&container, "a.key", any_number(), &truth, NULL);
    (void)gemlet_container_string(&container, "a.key", text, sizeof text, NULL);
    gemlet_key_reader reader = {.container = &container, .status = GEMLET_OK, .prefix = "gemlet.vision"};
    if (gemlet_key_there(&reader, "block_count")) {
        (void)gemlet_key_u32(&reader, "block_count", any_number(), 1, 64);
        (void)gemlet_key_positive(&reader, "rope.freq_base", any_number());
        (void)gemlet_key_bool(&reader, "flag", any_number());
    }
    return 0;
}
