/* JPEG through libjpeg-turbo.  A picture that would take too much memory is scaled while it is decoded. */
#include "examples/gemlet/picture.h"

#ifdef GEMLET_HAVE_JPEG

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum {
    EIGHTHS = 8,      /* libjpeg scales by so many eighths */
    MOST_SCANS = 100, /* of a progressive picture: those of cameras and programs have some ten */
    SEGMENT = 0xFFFF,
    BUFFER_BYTES = 1 << 14
};

typedef struct jpeg_reader {
    picture *picture;
    picture_input *input;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf stop;
    bool ended;           /* whether the file ended before the picture did */
    bool cut;             /* and pixels had to be made up for it */
    unsigned orientation; /* of the first segment that tells one other than 1 */
    uint8_t *row;
    char message[JMSG_LENGTH_MAX];
    uint8_t buffer[BUFFER_BYTES];
    uint8_t segment[SEGMENT];
} jpeg_reader;

static void stop_reading(j_common_ptr jpeg) {
    jpeg_reader *r = jpeg->client_data;
    r->errors.format_message(jpeg, r->message);
    longjmp(r->stop, 1);
}

static void stop_saying(jpeg_reader *r, const char *what) {
    snprintf(r->message, sizeof r->message, "%s", what);
    longjmp(r->stop, 1);
}

/* Warnings: pixels are there, but some may be guessed.  Bytes too many before a marker, as some cameras make them, harm none. */
static void take_message(j_common_ptr jpeg, int level) {
    jpeg_reader *r = jpeg->client_data;
    if (level >= 0 || r->errors.msg_code == JWRN_EXTRANEOUS_DATA || r->errors.msg_code == JWRN_JFIF_MAJOR) {
        return;
    }
    r->cut = r->cut || (r->ended && r->errors.msg_code == JWRN_HIT_MARKER);
    if (r->picture->file->damage[0] == '\0') {
        char text[JMSG_LENGTH_MAX];
        r->errors.format_message(jpeg, text);
        snprintf(r->picture->file->damage, IMAGE_DAMAGE_BYTES, "%.*s", IMAGE_DAMAGE_BYTES - 1, text);
    }
}

/* Thousands of scans of nothing take hours. */
static void count_scans(j_common_ptr jpeg) {
    jpeg_reader *r = jpeg->client_data;
    if (r->jpeg.input_scan_number > MOST_SCANS) {
        stop_saying(r, "more than 100 scans");
    }
}

/* ---- Where the bytes come from ---- */

static void begin_source(j_decompress_ptr jpeg) {
    (void)jpeg;
}

/* Behind the end of the file stands an end of the picture: what was decoded is judged later. */
static boolean fill_buffer(j_decompress_ptr jpeg) {
    jpeg_reader *r = jpeg->client_data;
    size_t got = picture_read(r->input, r->buffer, sizeof r->buffer);
    if (got == 0) {
        r->ended = true;
        r->buffer[0] = 0xFF;
        r->buffer[1] = JPEG_EOI;
        got = 2;
    }
    r->source.next_input_byte = r->buffer;
    r->source.bytes_in_buffer = got;
    return TRUE;
}

static void skip_bytes(j_decompress_ptr jpeg, long count) {
    jpeg_reader *r = jpeg->client_data;
    while (count > 0 && !r->ended) {
        size_t step = r->source.bytes_in_buffer < (size_t)count ? r->source.bytes_in_buffer : (size_t)count;
        r->source.next_input_byte += step;
        r->source.bytes_in_buffer -= step;
        count -= (long)step;
        if (count > 0) {
            fill_buffer(jpeg);
        }
    }
}

static void prepare(jpeg_reader *r, picture *p, picture_input *input) {
    r->picture = p;
    r->input = input;
    r->ended = r->cut = false;
    r->orientation = 1;
    r->row = NULL;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = stop_reading;
    r->errors.emit_message = take_message;
    r->jpeg.client_data = r;
    r->source = (struct jpeg_source_mgr){.init_source = begin_source,
                                         .fill_input_buffer = fill_buffer,
                                         .skip_input_data = skip_bytes,
                                         .resync_to_restart = jpeg_resync_to_restart,
                                         .term_source = begin_source};
    r->progress.progress_monitor = count_scans;
}

static unsigned next_byte(jpeg_reader *r) {
    if (r->source.bytes_in_buffer == 0) {
        fill_buffer(&r->jpeg);
    }
    r->source.bytes_in_buffer--;
    return *r->source.next_input_byte++;
}

/* A segment with EXIF data, of which libjpeg would keep any number. */
static boolean read_exif(j_decompress_ptr jpeg) {
    jpeg_reader *r = jpeg->client_data;
    size_t bytes = next_byte(r) << 8, count = 0;
    bytes |= next_byte(r); /* those of the length itself included */
    for (; count + 2 < bytes && !r->ended; count++) {
        r->segment[count] = (uint8_t)next_byte(r);
    }
    if (r->orientation == 1) {
        r->orientation = picture_exif_orientation(r->segment, count);
    }
    return TRUE;
}

/* ---- The picture ---- */

/* A picture in several scans is held as coefficients until the last. */
static uint64_t coefficient_bytes(struct jpeg_decompress_struct *jpeg) {
    uint64_t bytes = 0;
    for (int i = 0; jpeg_has_multiple_scans(jpeg) && i < jpeg->num_components; i++) {
        const jpeg_component_info *c = &jpeg->comp_info[i];
        bytes += (uint64_t)c->width_in_blocks * c->height_in_blocks * sizeof(JBLOCK);
    }
    return bytes;
}

/* The most eighths of the sides with which the pixels fit. */
static void choose_scale(jpeg_reader *r, uint64_t taken) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    jpeg->scale_denom = EIGHTHS;
    for (jpeg->scale_num = EIGHTHS; jpeg->scale_num > 0; jpeg->scale_num--) {
        jpeg_calc_output_dimensions(jpeg);
        if ((uint64_t)jpeg->output_width * jpeg->output_height * PICTURE_RGB <= picture_room(r->picture, taken)) {
            return;
        }
    }
    jpeg->scale_num = 1;
}

/* Whether each coefficient came with all of its bits, in whatever scan. */
static bool has_all_scans(const struct jpeg_decompress_struct *jpeg) {
    for (int c = 0; c < jpeg->num_components; c++) {
        if (jpeg->comp_info[c].quant_table == NULL) { /* as it is before the component's first scan */
            return false;
        }
        for (int k = 0; jpeg->coef_bits != NULL && k < DCTSIZE2; k++) {
            if (jpeg->coef_bits[c][k] != 0) {
                return false;
            }
        }
    }
    return true;
}

static gemlet_status read_rows(jpeg_reader *r) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    jpeg_start_decompress(jpeg);
    r->row = malloc((size_t)jpeg->output_width * PICTURE_RGB);
    if (r->row == NULL) {
        return picture_fail(r->picture, GEMLET_ERROR_MEMORY, "out of memory for the image");
    }
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = r->row;
        jpeg_read_scanlines(jpeg, &row, 1);
        picture_add_row(r->picture, r->row);
    }
    bool complete = has_all_scans(jpeg);
    jpeg_finish_decompress(jpeg);
    /* The last bytes of a file may be missing without a pixel being so; arithmetic coding does not tell. */
    r->cut = r->cut || (r->ended && (!complete || jpeg->arith_code));
    return r->cut ? picture_fail(r->picture, GEMLET_ERROR_FORMAT, "the JPEG file is cut") : GEMLET_OK;
}

/* Leaves by r->stop where libjpeg can't go on. */
static gemlet_status decode(jpeg_reader *r) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    picture *p = r->picture;
    jpeg->src = &r->source;
    jpeg->progress = &r->progress;
    jpeg->mem->max_memory_to_use = (long)p->memory;
    jpeg_set_marker_processor(jpeg, JPEG_APP0 + 1, read_exif);
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK) {
        return picture_fail(p, GEMLET_ERROR_UNSUPPORTED, "a JPEG file for printing (CMYK): convert it to RGB");
    }
    gemlet_status status = picture_check_sides(p, jpeg->image_width, jpeg->image_height);
    if (status != GEMLET_OK) {
        return status;
    }
    p->orientation = r->orientation;
    jpeg->out_color_space = JCS_RGB;
    uint64_t taken = coefficient_bytes(jpeg);
    if (taken >= p->memory) {
        return picture_fail_memory(p, taken);
    }
    choose_scale(r, taken);
    jpeg_calc_output_dimensions(jpeg);
    status = picture_begin(p, jpeg->output_width, jpeg->output_height, taken);
    return status == GEMLET_OK ? read_rows(r) : status;
}

gemlet_status picture_read_jpeg(picture *p, picture_input *input) {
    jpeg_reader *r = malloc(sizeof *r);
    if (r == NULL) {
        return picture_fail(p, GEMLET_ERROR_MEMORY, "out of memory for the image");
    }
    prepare(r, p, input);
    gemlet_status status;
    if (setjmp(r->stop) != 0) {
        status = picture_fail(p, GEMLET_ERROR_FORMAT, r->ended ? "the JPEG file is cut: " : "a damaged JPEG file: ");
        gemlet_error_text(p->error, r->message);
    } else {
        jpeg_create_decompress(&r->jpeg);
        status = decode(r);
    }
    jpeg_destroy_decompress(&r->jpeg);
    free(r->row);
    free(r);
    return status;
}

#else

gemlet_status picture_read_jpeg(picture *p, picture_input *input) {
    (void)input;
    return picture_fail(p, GEMLET_ERROR_UNSUPPORTED, "this build reads no JPEG files: convert it to PPM");
}

#endif
