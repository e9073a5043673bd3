#include "tests/container/forge.h"

#include <stdlib.h>
#include <string.h>

#include "model/container/container.h"
#include "tests/container/memory_port.h"

/* Where the value of the key is; 0 where there is none. */
static size_t find_value(const unsigned char *bytes, size_t size) {
    static const char key[] = GEMLET_HEADER_CRC32_KEY;
    enum { LENGTH = sizeof key - 1, TYPE = 4, VALUE = 4 };
    for (size_t i = 0; i + LENGTH + TYPE + VALUE <= size; i++) {
        if (bytes[i] == (unsigned char)key[0] && memcmp(bytes + i, key, LENGTH) == 0) {
            return i + LENGTH + TYPE;
        }
    }
    return 0;
}

void forge_header(unsigned char *bytes, size_t size) {
    static const char damaged[] = "the header is damaged: CRC-32 ";
    static const char found[] = "expected, found ";
    gemlet_container container;
    gemlet_port port;
    gemlet_error error = {GEMLET_OK, ""};
    memory_file file = {.data = bytes, .size = size, .maps = true};
    memory_port_open(&file, &port);
    if (gemlet_container_open(&container, &port, "", &error) == GEMLET_OK) {
        gemlet_container_close(&container);
        return;
    }
    const char *number = strstr(error.message, damaged) != NULL ? strstr(error.message, found) : NULL;
    size_t at = find_value(bytes, size);
    if (number != NULL && at != 0) {
        unsigned long right = strtoul(number + sizeof found - 1, NULL, 10);
        for (size_t i = 0; i < 4; i++) {
            bytes[at + i] = (unsigned char)(right >> (8 * i) & 255);
        }
    }
}
