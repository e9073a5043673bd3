/* PPM and PGM, plain (P2, P3) and binary (P5, P6), of bytes and of two bytes: netpbm's ppm(5) and pgm(5). */
#include <stdlib.h>

#include "examples/gemlet/picture.h"

enum { LARGEST_BYTE = 255, LARGEST_SAMPLE = 65535, END = -1 };

static int next_byte(picture_input *input) {
    uint8_t byte;
    return picture_read(input, &byte, 1) == 1 ? byte : END;
}

static bool is_space(int c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/* A number behind white space and comments; END where there is none or it is too long. */
static long next_number(picture_input *input) {
    int c = next_byte(input);
    while (is_space(c) || c == '#') {
        while (c == '#' && (c = next_byte(input)) != '\n' && c != END) {
            c = '#'; /* a comment goes on to the end of its line */
        }
        c = c == '\n' || is_space(c) ? next_byte(input) : c;
    }
    long number = c >= '0' && c <= '9' ? 0 : END;
    for (; c >= '0' && c <= '9' && number < 1000000; c = next_byte(input)) {
        number = number * 10 + (c - '0');
    }
    return is_space(c) || c == END ? number : END; /* the one white space that ends it is taken */
}

typedef struct samples {
    picture_input *input;
    bool plain;
    long most;
    size_t count;     /* of a row */
    uint8_t *scratch; /* [2 * count]; the row as it is stored */
} samples;

static uint8_t to_byte(long sample, long most) {
    return most == LARGEST_BYTE ? (uint8_t)sample : (uint8_t)((sample * LARGEST_BYTE + most / 2) / most);
}

/* Fills a row of bytes; what is wrong, or NULL. */
static const char *read_samples(const samples *s, uint8_t *row) {
    size_t width = s->most > LARGEST_BYTE ? 2 : 1;
    if (!s->plain && picture_read(s->input, s->scratch, s->count * width) != s->count * width) {
        return "the image is cut";
    }
    for (size_t i = 0; i < s->count; i++) {
        long sample = s->plain     ? next_number(s->input)
                      : width == 2 ? s->scratch[2 * i] * 256L + s->scratch[2 * i + 1]
                                   : s->scratch[i];
        if (sample == END) {
            return "the image is cut, or holds what is no number";
        }
        if (sample > s->most) {
            return "the image has samples above its largest value";
        }
        row[i] = to_byte(sample, s->most);
    }
    return NULL;
}

static gemlet_status read_rows(picture *p, const samples *s, bool grey, uint8_t *row) {
    for (uint32_t y = 0; y < p->height; y++) {
        const char *problem = read_samples(s, row);
        if (problem != NULL) {
            return picture_fail(p, GEMLET_ERROR_FORMAT, problem);
        }
        for (size_t x = p->width; grey && x > 0; x--) {
            row[3 * x - 1] = row[3 * x - 2] = row[3 * x - 3] = row[x - 1];
        }
        picture_add_row(p, row);
    }
    return GEMLET_OK;
}

gemlet_status picture_read_portable(picture *p, picture_input *input) {
    uint8_t magic[2];
    picture_read(input, magic, sizeof magic);
    bool grey = magic[1] == '2' || magic[1] == '5';
    long width = next_number(input);
    long height = next_number(input);
    long most = next_number(input);
    if (width < 0 || height < 0 || most < 1 || most > LARGEST_SAMPLE) {
        return picture_fail(p, GEMLET_ERROR_FORMAT,
                            "the header of a PPM or PGM file has width, height and a largest value up to 65535");
    }
    gemlet_status status = picture_begin(p, (uint64_t)width, (uint64_t)height, 0);
    if (status != GEMLET_OK) {
        return status;
    }
    size_t count = (size_t)width * (grey ? 1 : PICTURE_RGB);
    uint8_t *row = malloc((size_t)width * PICTURE_RGB);
    samples s = {input, magic[1] < '4', most, count, malloc(2 * count)};
    status = row != NULL && s.scratch != NULL ? read_rows(p, &s, grey, row)
                                              : picture_fail(p, GEMLET_ERROR_MEMORY, "out of memory for the image");
    free(row);
    free(s.scratch);
    return status;
}
