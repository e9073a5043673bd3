/* sources: model/container/names.c
 * options: -eva-precision 4 -eva-slevel 500
 * Names of tensors: any name of 0, 1, 17 and 63 bytes put into a filter of any bits, and looked up in a list of 0 to 40 tensors,
 * from any place of it, whose descriptions hold anything: the cursor, which cursor.c proves, answers any number, and fails when it
 * likes. */
#include "model/container/names.h"
#include "model/container/cursor.h"
#include "tests/proof/eva/any.h"

gemlet_cursor gemlet_cursor_at(gemlet_container *container, uint64_t position) {
    gemlet_cursor cursor = {container, position, any_bool(), any_bool()};
    return cursor;
}

void gemlet_cursor_bytes(gemlet_cursor *cursor, void *out, size_t length) {
    any_bytes(out, length);
    cursor->position = any_number();
    cursor->failed = any_bool();
}

uint32_t gemlet_cursor_u32(gemlet_cursor *cursor) {
    cursor->failed = any_bool();
    return (uint32_t)any_number();
}

uint64_t gemlet_cursor_u64(gemlet_cursor *cursor) {
    cursor->failed = any_bool();
    return any_number();
}

void gemlet_cursor_skip(gemlet_cursor *cursor, uint64_t length) {
    (void)length;
    cursor->position = any_number();
    cursor->failed = any_bool();
}

static void use(size_t length) {
    static gemlet_container container;
    char name[GEMLET_NAME_BYTES];
    gemlet_description found;
    /*@ loop unroll 63; */
    for (size_t i = 0; i < length; i++) {
        name[i] = (char)any_size(1, 127);
    }
    name[length] = '\0';
    any_bytes(container.names, sizeof container.names);
    container.tensor_count = (uint32_t)any_size(0, 40);
    container.start.index = (uint32_t)any_size(0, 40);
    (void)gemlet_names_add(&container, name, container.tensor_count);
    (void)gemlet_names_find(&container, name, &found);
}

int main(void) {
    use(0);
    use(1);
    use(17);
    use(GEMLET_NAME_BYTES - 1);
    return 0;
}
