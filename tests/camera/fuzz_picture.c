/* libFuzzer: any bytes as a picture file, in little memory, and as EXIF data, and as a stream of Motion JPEG.  The seeds are
 * pictures that test_picture.c makes. */
#include <stdlib.h>

#include "examples/camera/motion_jpeg.h"
#include "examples/gemlet/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SMALL = 1 << 12, LARGE = 1 << 20 };

/* Every byte of a picture is there, and no more was taken than allowed. */
static void read_picture(const uint8_t *data, size_t size, size_t memory) {
    image_file file;
    gemlet_error error = {GEMLET_OK, ""};
    if (image_read_bytes(&file, data, size, "picture", memory, &error) != GEMLET_OK) {
        if (file.pixels != NULL || error.message[0] == '\0') {
            abort();
        }
        return;
    }
    uint64_t sum = 0;
    size_t bytes = file.image.stride * file.image.height;
    for (size_t i = 0; i < bytes; i++) {
        sum += file.pixels[i];
    }
    if (bytes > memory || sum > 255 * (uint64_t)bytes || file.image.stride != (size_t)file.image.width * PICTURE_RGB) {
        abort();
    }
    image_free(&file);
}

/* Pictures begin before they end. */
static void split_stream(const uint8_t *data, size_t size) {
    motion_jpeg m = {.place = MOTION_JPEG_OUTSIDE};
    bool inside = false;
    for (size_t i = 0; i < size; i++) {
        motion_jpeg_event event = motion_jpeg_take(&m, data[i]);
        bool needs_inside = event == MOTION_JPEG_INSIDE || event == MOTION_JPEG_END || event == MOTION_JPEG_CUT;
        if (needs_inside != inside) {
            abort();
        }
        inside = event != MOTION_JPEG_NOTHING && event != MOTION_JPEG_END;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned orientation = picture_exif_orientation(data, size);
    if (orientation < 1 || orientation > 8) {
        abort();
    }
    split_stream(data, size);
    read_picture(data, size, SMALL);
    read_picture(data, size, LARGE);
    return 0;
}
