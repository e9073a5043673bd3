/* Antialiased resampling of bytes: a filter as wide as the reduction, in two passes of 22-bit fixed point, columns first, rounded
 * to bytes in between.  Pillow's Resample.c and torchvision compute the same.
 *
 * Rows stream: the frame is read once from top to bottom, and only the rows that the window of one output row reaches are held. */
#include <math.h>
#include <string.h>

#include "model/vision/resize.h"

enum { FRACTION_BITS = 22, CHANNELS = 3 };

/* What an output sample is made of: `count` inputs from `first` on.  Of 32 bits, as the scratch has no wider alignment. */
typedef struct window {
    uint32_t first, count;
} window;

/* How far the filter reaches from its centre, in samples of the larger of both sizes. */
static double reach_of(gemlet_resample_filter filter) {
    return filter == GEMLET_RESAMPLE_CUBIC ? 2.0 : 1.0;
}

/* The filter at a distance from its centre: a triangle, or Keys' cubic with a = -1/2. */
static double filter_at(gemlet_resample_filter filter, double distance) {
    double x = fabs(distance);
    if (filter == GEMLET_RESAMPLE_TRIANGLE) {
        return fmax(0.0, 1.0 - x);
    }
    return x < 1.0 ? (1.5 * x - 2.5) * x * x + 1.0 : x < 2.0 ? ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 : 0.0;
}

/* The longest window that any output of `from` samples brought to `to` has. */
static size_t longest_window(gemlet_resample_filter filter, size_t from, size_t to) {
    size_t reach = 2 * (size_t)reach_of(filter);
    return from > to ? reach * ((from + to - 1) / to) + 1 : reach + 1;
}

/* The window of output `i` and its weights, which sum to 1 up to rounding. */
static window weigh(gemlet_resample_filter filter, size_t from, size_t to, size_t i, int32_t *weights) {
    double scale = (double)from / (double)to;
    double wide = scale > 1.0 ? scale : 1.0, support = wide * reach_of(filter);
    double centre = ((double)i + 0.5) * scale;
    double low = centre - support + 0.5;
    double high = centre + support + 0.5;
    window w = {low > 0.0 ? (uint32_t)low : 0, high < (double)from ? (uint32_t)high : (uint32_t)from};
    w.count -= w.first;
    double sum = 0.0;
    for (size_t k = 0; k < w.count; k++) {
        sum += filter_at(filter, ((double)(w.first + k) - centre + 0.5) / wide);
    }
    for (size_t k = 0; k < w.count; k++) {
        double share = filter_at(filter, ((double)(w.first + k) - centre + 0.5) / wide) / sum;
        weights[k] = (int32_t)floor(share * (double)(1 << FRACTION_BITS) + 0.5);
    }
    return w;
}

static uint8_t to_byte(int32_t fixed) {
    int32_t value = fixed / (1 << FRACTION_BITS); /* below 0 all is 0 */
    return (uint8_t)(value > 255 ? 255 : value < 0 ? 0 : value);
}

/* ---- Formats ---- */

static uint8_t clamp(int32_t value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* What Y (behind its offset), U and V (from -128 on) give to red, green and blue, in 1 / 256: ITU-R BT.601 and BT.709, whose Kr and
 * Kb are 0.299 and 0.114, 0.2126 and 0.0722.  The limited range stretches Y by 255 / 219, U and V by 255 / 224. */
typedef struct conversion {
    int32_t offset, y, red_v, green_u, green_v, blue_u;
} conversion;

static const conversion conversions[2][2] = {{{16, 298, 409, 100, 208, 516}, {0, 256, 359, 88, 183, 454}},
                                             {{16, 298, 459, 55, 136, 541}, {0, 256, 403, 48, 120, 475}}};

static void from_luma(const conversion *k, int32_t y, int32_t u, int32_t v, uint8_t *rgb) {
    int32_t grey = k->y * (y - k->offset) + 128;
    rgb[0] = clamp((grey + k->red_v * (v - 128)) / 256);
    rgb[1] = clamp((grey - k->green_u * (u - 128) - k->green_v * (v - 128)) / 256);
    rgb[2] = clamp((grey + k->blue_u * (u - 128)) / 256);
}

static void read_row(const gemlet_image *image, size_t row, uint8_t *rgb) {
    const uint8_t *from = image->pixels + row * image->stride;
    const size_t chroma_row = row / 2 * image->chroma_stride;
    const uint8_t *chroma = image->format >= GEMLET_PIXELS_NV12 ? image->chroma + chroma_row : NULL;
    const uint8_t *chroma_v = image->format == GEMLET_PIXELS_I420 ? image->chroma_v + chroma_row : NULL;
    const bool luma = image->format >= GEMLET_PIXELS_YUYV;
    const conversion *k = luma ? &conversions[image->matrix][image->range] : NULL;
    for (size_t x = 0; x < image->width; x++, rgb += CHANNELS) {
        switch (image->format) {
        case GEMLET_PIXELS_RGB: memcpy(rgb, from + 3 * x, CHANNELS); break;
        case GEMLET_PIXELS_RGBA: memcpy(rgb, from + 4 * x, CHANNELS); break;
        case GEMLET_PIXELS_GREY: memset(rgb, from[x], CHANNELS); break;
        case GEMLET_PIXELS_YUYV: from_luma(k, from[2 * x], from[x / 2 * 4 + 1], from[x / 2 * 4 + 3], rgb); break;
        case GEMLET_PIXELS_NV12: from_luma(k, from[x], chroma[x / 2 * 2], chroma[x / 2 * 2 + 1], rgb); break;
        case GEMLET_PIXELS_I420: from_luma(k, from[x], chroma[x / 2], chroma_v[x / 2], rgb); break;
        case GEMLET_PIXELS_BGR:
            rgb[0] = from[3 * x + 2];
            rgb[1] = from[3 * x + 1];
            rgb[2] = from[3 * x];
            break;
        }
    }
}

static gemlet_status fail_number(gemlet_error *error, const char *text, uint64_t expected, uint64_t found) {
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, text);
    gemlet_error_number(error, expected);
    gemlet_error_text(error, " but is ");
    gemlet_error_number(error, found);
    return GEMLET_ERROR_ARGUMENT;
}

static gemlet_status check_chroma(const gemlet_image *image, gemlet_error *error) {
    bool planar = image->format == GEMLET_PIXELS_I420;
    if (image->width % 2 != 0 || (image->format != GEMLET_PIXELS_YUYV && image->height % 2 != 0)) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT,
                           "a YUYV image must have an even width, an NV12 and an I420 image an even height too");
    }
    if ((unsigned)image->matrix > (unsigned)GEMLET_COLOR_BT709) {
        return fail_number(error, "the colour matrix must be at most ", GEMLET_COLOR_BT709, (unsigned)image->matrix);
    }
    if ((unsigned)image->range > (unsigned)GEMLET_RANGE_FULL) {
        return fail_number(error, "the colour range must be at most ", GEMLET_RANGE_FULL, (unsigned)image->range);
    }
    if (image->format == GEMLET_PIXELS_YUYV) {
        return GEMLET_OK;
    }
    size_t row = planar ? image->width / 2 : image->width;
    if (image->chroma == NULL || (planar && image->chroma_v == NULL)) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "an NV12 image needs a plane of chroma, an I420 image two");
    }
    return image->chroma_stride >= row
               ? GEMLET_OK
               : fail_number(error, "the stride of the image's chroma must be at least ", row, image->chroma_stride);
}

size_t gemlet_pixel_bytes(gemlet_pixel_format format) {
    static const uint8_t bytes[] = {3, 3, 4, 1, 2, 1, 1};
    return bytes[format];
}

gemlet_status gemlet_check_image(const gemlet_image *image, gemlet_error *error) {
    if (image == NULL || image->pixels == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "an image must have pixels");
    }
    if ((unsigned)image->format > (unsigned)GEMLET_PIXELS_I420) {
        return fail_number(error, "the pixel format must be at most ", GEMLET_PIXELS_I420, (unsigned)image->format);
    }
    uint32_t longer = image->width > image->height ? image->width : image->height;
    bool empty = image->width == 0 || image->height == 0;
    if (empty || longer > GEMLET_LARGEST_IMAGE) {
        return fail_number(error, "an image's sides must be 1 pixel to ", GEMLET_LARGEST_IMAGE, empty ? 0 : longer);
    }
    size_t row = image->width * gemlet_pixel_bytes(image->format);
    if (image->stride < row) {
        return fail_number(error, "the image's stride must be at least ", row, image->stride);
    }
    return image->format >= GEMLET_PIXELS_YUYV ? check_chroma(image, error) : GEMLET_OK;
}

/* ---- The two passes ---- */

typedef struct resizer {
    gemlet_resample_target to;
    window *columns;  /* [width] */
    int32_t *weights; /* [width][longest window of a row] */
    int32_t *down;    /* [longest window of a column] */
    size_t longest_row, longest_column;
    uint8_t *row;  /* [image width][3] */
    uint8_t *ring; /* [longest window of a column][width][3]: row r in slot r % longest_column */
} resizer;

static void resize_row(const resizer *r, const uint8_t *from, uint8_t *to) {
    for (size_t i = 0; i < r->to.width; i++, to += CHANNELS) {
        const int32_t *weight = r->weights + i * r->longest_row;
        const uint8_t *x = from + r->columns[i].first * CHANNELS;
        int32_t sum[CHANNELS] = {1 << (FRACTION_BITS - 1), 1 << (FRACTION_BITS - 1), 1 << (FRACTION_BITS - 1)};
        for (size_t k = 0; k < r->columns[i].count; k++, x += CHANNELS) {
            for (size_t c = 0; c < CHANNELS; c++) {
                sum[c] += weight[k] * x[c];
            }
        }
        for (size_t c = 0; c < CHANNELS; c++) {
            to[c] = to_byte(sum[c]);
        }
    }
}

static void mix_rows(const resizer *r, window w, uint8_t *to) {
    size_t length = r->to.width * CHANNELS;
    for (size_t i = 0; i < length; i++) {
        int32_t sum = 1 << (FRACTION_BITS - 1);
        for (size_t k = 0; k < w.count; k++) {
            sum += r->down[k] * r->ring[(w.first + k) % r->longest_column * length + i];
        }
        to[i] = to_byte(sum);
    }
}

/* Lays the arrays out in `scratch`; the wide types, all of 32 bits, first. */
static size_t lay_out(resizer *r, size_t width, size_t height, unsigned char *scratch) {
    size_t columns = r->to.width;
    r->longest_row = longest_window(r->to.filter, width, columns);
    r->longest_column = longest_window(r->to.filter, height, r->to.height);
    const size_t bytes[] = {columns * sizeof(window), columns * r->longest_row * sizeof(int32_t),
                            r->longest_column * sizeof(int32_t), width * CHANNELS, r->longest_column * columns * CHANNELS};
    void *place[5];
    size_t used = 0;
    for (size_t i = 0; i < 5; i++) {
        place[i] = scratch != NULL ? scratch + used : NULL;
        used += bytes[i];
    }
    r->columns = place[0];
    r->weights = place[1];
    r->down = place[2];
    r->row = place[3];
    r->ring = place[4];
    return used;
}

gemlet_status gemlet_resample(const gemlet_image *image, const gemlet_resample_target *target, void *scratch, size_t bytes,
                              uint8_t *pixels, gemlet_error *error) {
    gemlet_status status = gemlet_check_image(image, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (target->width == 0 || target->height == 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the size that an image is brought to must be at least 1 pixel but is 0");
    }
    resizer r = {.to = *target};
    size_t needed = lay_out(&r, image->width, image->height, scratch);
    if (needed > bytes) {
        return fail_number(error, "the bytes that bringing the image to its size takes must be at most ", bytes, needed);
    }
    for (size_t i = 0; i < target->width; i++) {
        r.columns[i] = weigh(target->filter, image->width, target->width, i, r.weights + i * r.longest_row);
    }
    size_t done = 0;
    for (size_t i = 0; i < target->height; i++) {
        window rows = weigh(target->filter, image->height, target->height, i, r.down);
        for (done = done > rows.first ? done : rows.first; done < rows.first + rows.count; done++) {
            read_row(image, done, r.row);
            resize_row(&r, r.row, r.ring + done % r.longest_column * target->width * CHANNELS);
        }
        mix_rows(&r, rows, pixels + i * target->width * CHANNELS);
    }
    return GEMLET_OK;
}

size_t gemlet_resize_bytes(size_t size) {
    resizer r = {.to = {GEMLET_RESAMPLE_TRIANGLE, size, size}};
    return size == 0 ? 0 : lay_out(&r, GEMLET_LARGEST_IMAGE, GEMLET_LARGEST_IMAGE, NULL);
}

gemlet_status gemlet_resize(const gemlet_image *image, size_t size, void *scratch, uint8_t *square, gemlet_error *error) {
    const gemlet_resample_target target = {GEMLET_RESAMPLE_TRIANGLE, size, size};
    return gemlet_resample(image, &target, scratch, gemlet_resize_bytes(size), square, error);
}
