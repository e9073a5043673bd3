/* sources: model/container/cursor.c
 * options: -eva-precision 3 -eva-slevel 4000 -eva-split-return full
 * The cursor: files of 0, 3, 8 and 12 bytes and one of 1,030, of any bytes, read through a port of which every call may fail or
 * answer any number; a read of 0 to 10 bytes, a number, and a skip of any length, each from every position at the end of the file
 * and of the window, and beyond it, with nothing in the window and with the file's beginning. */
#include "model/container/cursor.h"
#include "tests/proof/eva/any.h"

static int64_t read_at(void *context, gemlet_file *file, uint64_t offset, void *out, size_t length) {
    const uint64_t *size = context;
    (void)file;
    /*@ assert offset <= *size && length <= *size - offset; */
    any_bytes(out, length);
    return any_bool() ? (int64_t)length : (int64_t)any_number();
}

static gemlet_container container;
static uint64_t file_size;
static const gemlet_port port = {.context = &file_size, .read_at = read_at};

static gemlet_cursor fresh(uint64_t position, size_t window) {
    container.port = &port;
    container.size = file_size;
    container.window_offset = 0;
    container.window_length = window;
    any_bytes(container.window, sizeof container.window);
    return gemlet_cursor_at(&container, position);
}

static void use(uint64_t position, size_t window, size_t length) {
    unsigned char bytes[10];
    gemlet_cursor cursor = fresh(position, window);
    gemlet_cursor_bytes(&cursor, bytes + sizeof bytes - length, length);
    cursor = fresh(position, window);
    (void)gemlet_cursor_u32(&cursor);
    cursor = fresh(position, window);
    (void)gemlet_cursor_u64(&cursor);
    cursor = fresh(position, window);
    gemlet_cursor_skip(&cursor, any_number());
    /*@ assert cursor.failed || cursor.position <= file_size; */
}

int main(void) {
    static const uint64_t sizes[] = {0, 3, 8, 12};
    /*@ loop unroll 4; */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        file_size = sizes[i];
        /*@ loop unroll 15; */
        for (uint64_t position = 0; position <= 14; position++) {
            /*@ loop unroll 11; */
            for (size_t length = 0; length <= 10; length++) {
                use(position, 0, length);
                use(position, (size_t)file_size, length);
            }
        }
    }
    file_size = 1030;
    /*@ loop unroll 20; */
    for (uint64_t position = 1012; position <= 1031; position++) {
        use(position, 0, 10);
        use(position, GEMLET_WINDOW_BYTES, 10);
    }
    use(UINT64_MAX, 0, 10);
    return 0;
}
