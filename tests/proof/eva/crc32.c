/* sources: core/crc32.c
 * options: -eva-precision 2
 * CRC-32: any 0 to 4,096 bytes, any beginning. */
#include "core/crc32.h"
#include "tests/proof/eva/any.h"

int main(void) {
    unsigned char bytes[4096];
    any_bytes(bytes, sizeof bytes);
    return (int)(gemlet_crc32((uint32_t)any_size(0, UINT32_MAX), bytes, any_size(0, sizeof bytes)) & 1u);
}
