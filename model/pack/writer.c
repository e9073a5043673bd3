#include "model/pack/writer.h"
#include "core/crc32.h"
#include "model/pack/sound.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/quant/conv.h"
#include "core/quant/packing.h"
#include "model/pack/convert.h"
#include "model/pack/header.h"
#include "model/pack/unfinished.h"
#include "model/pack/writer_parts.h"
#include <gemlet/gemlet.h>
#include <gemlet/posix.h>

/* ---- One function for each action ---- */

/* Rows of [pixel][colour] as [colour][pixel]. */
static gemlet_status write_colours(pack_writer *w) {
    size_t columns = w->item->columns, pixels = columns / 3;
    gemlet_status status = pack_check_row(w, w->item->name, columns, PACK_PIECE_ELEMENTS / 2);
    for (uint64_t row = 0; row < w->item->rows && status == GEMLET_OK; row++) {
        float *turned = w->reals + columns;
        status = pack_read_reals(w, w->item->source, row * columns, columns, w->reals);
        for (size_t i = 0; i < columns && status == GEMLET_OK; i++) {
            turned[i] = w->reals[i % pixels * 3 + i / pixels];
        }
        status = status != GEMLET_OK ? status : pack_emit(w, turned, columns * sizeof *turned);
    }
    return status;
}

static gemlet_status write_reals(pack_writer *w) {
    uint64_t count = (uint64_t)w->item->rows * w->item->columns;
    gemlet_status status = GEMLET_OK;
    if (w->item->pixels_first) {
        return write_colours(w);
    }
    for (uint64_t first = 0; first < count && status == GEMLET_OK; first += PACK_PIECE_ELEMENTS) {
        size_t piece = count - first < PACK_PIECE_ELEMENTS ? (size_t)(count - first) : PACK_PIECE_ELEMENTS;
        status = pack_read_reals(w, w->item->source, first, piece, w->reals);
        status = status != GEMLET_OK ? status : pack_emit(w, w->reals, 4 * piece);
    }
    return status;
}

static uint32_t source_type(gemlet_weight_type type) {
    return type == GEMLET_Q4_0 ? GEMLET_TYPE_Q4_0 : GEMLET_TYPE_Q8_0;
}

/* `count` numbers from `first` on, at most PACK_PIECE_ELEMENTS, as blocks of `type`. */
static gemlet_status convert_piece(pack_writer *w, gemlet_weight_type type, uint64_t first, size_t count, unsigned char *blocks) {
    const pack_tensor *t = w->item->source;
    float back[GEMLET_BLOCK];
    gemlet_status status = pack_read_reals(w, t, first, count, w->reals);
    if (status != GEMLET_OK) {
        return status;
    }
    if (type != GEMLET_Q8_0 || !pack_widen(t->type, w->raw, count, blocks)) {
        pack_quantize(type, w->reals, count, blocks);
    }
    for (size_t i = 0; i < count; i += GEMLET_BLOCK) {
        pack_dequantize(source_type(type), blocks + i / GEMLET_BLOCK * gemlet_block_bytes(type), GEMLET_BLOCK, back);
        pack_add_error(w, w->reals + i, back, GEMLET_BLOCK);
    }
    return GEMLET_OK;
}

/* Source blocks of `rows` rows from `first` on into `blocks`: read as they are, or converted. */
static gemlet_status read_blocks(pack_writer *w, gemlet_weight_type type, uint64_t first, size_t rows, unsigned char *blocks) {
    const pack_tensor *t = w->item->source;
    size_t columns = w->item->columns, block_bytes = gemlet_block_bytes(type);
    size_t row_bytes = columns / GEMLET_BLOCK * block_bytes;
    gemlet_status status = GEMLET_OK;
    bool moved = t->type == source_type(type) && t->shift == 0.0f;
    w->item->converted = !moved;
    if (moved) {
        status = pack_read_tensor(t, first * row_bytes, blocks, rows * row_bytes, w->error);
    }
    /* Rows follow each other, and blocks do not cross their ends: a piece may end within a row. */
    for (size_t at = 0; at < rows * columns && status == GEMLET_OK && !moved; at += PACK_PIECE_ELEMENTS) {
        size_t count = rows * columns - at < PACK_PIECE_ELEMENTS ? rows * columns - at : PACK_PIECE_ELEMENTS;
        status = convert_piece(w, type, first * columns + at, count, blocks + at / GEMLET_BLOCK * block_bytes);
    }
    /* A scale beyond float16 shows as an exponent of all ones, from the source or from the conversion. */
    for (size_t i = 0; i < rows * row_bytes && status == GEMLET_OK; i += block_bytes) {
        if ((blocks[i + 1] & 0x7C) == 0x7C) {
            status =
                pack_fail(w->error, GEMLET_ERROR_FORMAT,
                          "%s: tensor \"%s\" has weights beyond float16 in row %llu: the file is damaged or was badly converted",
                          t->file->path, t->name, (unsigned long long)first + i / row_bytes);
        }
    }
    return status;
}

static gemlet_status write_matrix(pack_writer *w) {
    gemlet_tensor shape = {.kind = w->item->kind, .rows = w->item->rows, .columns = w->item->columns, .taps = 1};
    gemlet_matrix m;
    gemlet_tensor_matrix(&shape, &m);
    size_t group = gemlet_packing_group_rows(m.packing, m.rows), row_bytes = m.columns / GEMLET_BLOCK * gemlet_block_bytes(m.type);
    /* As many whole groups at a time as make a piece. */
    size_t groups = PACK_PIECE_ELEMENTS / (group * m.columns) + 1;
    unsigned char *blocks = calloc(groups * group, row_bytes),
                  *packed = malloc(gemlet_packing_group_bytes(m.type, m.packing, m.rows, m.columns));
    gemlet_status status = blocks != NULL && packed != NULL ? GEMLET_OK : pack_writer_memory(w);
    for (size_t first = 0; first < m.rows && status == GEMLET_OK; first += groups * group) {
        size_t rows = m.rows - first < groups * group ? m.rows - first : groups * group;
        status = read_blocks(w, m.type, first, rows, blocks);
        for (size_t row = 0; row < rows && status == GEMLET_OK; row += group) {
            size_t count = rows - row < group ? rows - row : group;
            gemlet_pack_group(m.type, m.packing, blocks + row * row_bytes, count, m.columns, packed);
            status = pack_emit(w, packed, gemlet_packing_group_bytes(m.type, m.packing, m.rows, m.columns));
        }
    }
    free(blocks);
    free(packed);
    return status;
}

/* One output's weights, [channels][taps] in the source, as integers [taps][channels]. */
static gemlet_status read_output(pack_writer *w, uint32_t output, int8_t *rounded, int8_t *out) {
    size_t taps = w->item->taps, channels = w->item->columns, count = taps * channels;
    gemlet_status status = pack_read_reals(w, w->item->source, (uint64_t)output * count, count, w->reals);
    if (status != GEMLET_OK) {
        return status;
    }
    float scale = pack_quantize_channel(w->reals, count, rounded);
    w->scales[output] = scale;
    for (size_t c = 0; c < channels; c++) {
        for (size_t t = 0; t < taps; t++) {
            float back = (float)rounded[c * taps + t] * scale;
            pack_add_error(w, &w->reals[c * taps + t], &back, 1);
            out[t * channels + c] = rounded[c * taps + t];
        }
    }
    return GEMLET_OK;
}

static gemlet_status write_conv(pack_writer *w) {
    pack_item *item = w->item;
    size_t count = (size_t)item->taps * item->columns, bytes = gemlet_conv_bytes(GEMLET_CONV_PANEL, item->taps, item->columns);
    int8_t *rounded = malloc(count), *panel = malloc(GEMLET_CONV_PANEL * count), *packed = malloc(bytes);
    free(w->scales);
    w->scales = malloc(item->rows * sizeof *w->scales);
    gemlet_status status = GEMLET_OK;
    if (count > PACK_PIECE_ELEMENTS) {
        status = pack_fail(w->error, GEMLET_ERROR_UNSUPPORTED, "tensor \"%s\" has %zu weights for an output, at most %d expected",
                           item->name, count, PACK_PIECE_ELEMENTS);
    } else if (rounded == NULL || panel == NULL || packed == NULL || w->scales == NULL) {
        status = pack_writer_memory(w);
    }
    for (uint32_t first = 0; first < item->rows && status == GEMLET_OK; first += GEMLET_CONV_PANEL) {
        uint32_t outputs = item->rows - first < GEMLET_CONV_PANEL ? item->rows - first : GEMLET_CONV_PANEL;
        /* cppcheck-suppress knownConditionTrueFalse ; cppcheck takes `outputs` for 0, which `first < rows` excludes */
        for (uint32_t i = 0; i < outputs && status == GEMLET_OK; i++) {
            status = read_output(w, first + i, rounded, panel + i * count);
        }
        if (status == GEMLET_OK) {
            gemlet_conv_pack(panel, outputs, item->taps, item->columns, packed);
            status = pack_emit(w, packed, bytes);
        }
    }
    item->converted = true;
    free(rounded);
    free(panel);
    free(packed);
    return status;
}

/* [outputs][channels][taps] to [taps][channels][outputs]. */
static gemlet_status write_real_conv(pack_writer *w) {
    size_t outputs = w->item->rows, channels = w->item->columns, taps = w->item->taps, count = outputs * channels * taps;
    if (count > PACK_PIECE_ELEMENTS) {
        return pack_fail(w->error, GEMLET_ERROR_UNSUPPORTED, "tensor \"%s\" has %zu weights, at most %d expected", w->item->name,
                         count, PACK_PIECE_ELEMENTS);
    }
    float *out = malloc(4 * count + 1);
    gemlet_status status = out != NULL ? GEMLET_OK : pack_writer_memory(w);
    status = status != GEMLET_OK ? status : pack_read_reals(w, w->item->source, 0, count, w->reals);
    for (size_t i = 0; i < count && status == GEMLET_OK; i++) {
        size_t o = i / (channels * taps), c = i / taps % channels, t = i % taps;
        out[(t * channels + c) * outputs + o] = w->reals[i];
    }
    status = status != GEMLET_OK ? status : pack_emit(w, out, 4 * count);
    free(out);
    return status;
}

/* x / sqrt(mean(x^2) + epsilon), times `weight` unless it is NULL. */
static void rms_norm(float *x, const float *weight, size_t count, float epsilon) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    double scale = 1.0 / sqrt(sum / (double)count + (double)epsilon);
    for (size_t i = 0; i < count; i++) {
        x[i] = (float)((double)x[i] * scale * (weight != NULL ? (double)weight[i] : 1.0));
    }
}

/* Gemma3nMultimodalEmbedder of transformers for ids: norm, projection, norm without weight. */
static gemlet_status write_hard_embedding(pack_writer *w) {
    const pack_item *item = w->item;
    size_t width = (size_t)item->source->shape[1], text = item->columns;
    float *weight = calloc(width, 4), *hidden = calloc(width, (size_t)4 * item->rows), *out = calloc(text, (size_t)4 * item->rows);
    gemlet_status status = GEMLET_OK;
    if (weight == NULL || hidden == NULL || out == NULL) {
        status = pack_writer_memory(w);
    }
    status = status != GEMLET_OK ? status : pack_check_row(w, item->source->name, width, PACK_PIECE_ELEMENTS);
    status = status != GEMLET_OK ? status : pack_read_reals(w, item->norm, 0, width, weight);
    for (uint32_t r = 0; r < item->rows && status == GEMLET_OK; r++) {
        status = pack_read_reals(w, item->source, r * width, width, hidden + r * width);
        if (status == GEMLET_OK) {
            rms_norm(hidden + r * width, weight, width, item->epsilon);
        }
    }
    for (size_t o = 0; o < text && status == GEMLET_OK; o++) {
        status = pack_read_reals(w, item->projection, o * width, width, w->reals);
        for (uint32_t r = 0; r < item->rows && status == GEMLET_OK; r++) {
            double sum = 0.0;
            for (size_t i = 0; i < width; i++) {
                sum += (double)hidden[r * width + i] * (double)w->reals[i];
            }
            out[r * text + o] = (float)sum;
        }
    }
    for (uint32_t r = 0; r < item->rows && status == GEMLET_OK; r++) {
        rms_norm(out + r * text, NULL, text, item->epsilon);
    }
    status = status != GEMLET_OK ? status : pack_emit(w, out, 4 * text * item->rows);
    free(weight);
    free(hidden);
    free(out);
    return status;
}

static gemlet_status write_query_scale(pack_writer *w) {
    size_t count = w->item->columns;
    if (count > PACK_PIECE_ELEMENTS) {
        return pack_fail(w->error, GEMLET_ERROR_UNSUPPORTED, "tensor \"%s\" has %zu numbers, at most %d expected", w->item->name,
                         count, PACK_PIECE_ELEMENTS);
    }
    gemlet_status status = pack_read_reals(w, w->item->source, 0, count, w->reals);
    pack_query_scale(w->model, w->reals, count);
    return status != GEMLET_OK ? status : pack_emit(w, w->reals, 4 * count);
}

/* A row of the matrix is what becomes one column. */
static gemlet_status write_positions(pack_writer *w) {
    size_t window = w->item->rows, width = w->item->columns;
    gemlet_status status = pack_check_row(w, w->item->source->name, width, PACK_PIECE_ELEMENTS);
    if (status != GEMLET_OK) {
        return status;
    }
    double *sinusoids = malloc(window * width * sizeof *sinusoids);
    float *out = malloc(4 * window * width);
    status = sinusoids != NULL && out != NULL ? GEMLET_OK : pack_writer_memory(w);
    if (status == GEMLET_OK) {
        pack_sinusoids(w->model, window, width, sinusoids);
    }
    for (size_t o = 0; o < width && status == GEMLET_OK; o++) {
        status = pack_read_reals(w, w->item->source, (uint64_t)o * width, width, w->reals);
        for (size_t r = 0; r < window && status == GEMLET_OK; r++) {
            double sum = 0.0;
            for (size_t i = 0; i < width; i++) {
                sum += sinusoids[r * width + i] * (double)w->reals[i];
            }
            out[r * width + o] = (float)sum;
        }
    }
    status = status != GEMLET_OK ? status : pack_emit(w, out, 4 * window * width);
    free(sinusoids);
    free(out);
    return status;
}

static gemlet_status write_mel(pack_writer *w, void (*make)(const gemlet_mel_traits *mel, size_t bins, float *out)) {
    float *out = malloc((size_t)w->item->bytes);
    gemlet_status status = out != NULL ? GEMLET_OK : pack_writer_memory(w);
    if (status == GEMLET_OK) {
        make(&pack_sound_traits(w->model)->mel, w->item->rows, out);
        status = pack_emit(w, out, (size_t)w->item->bytes);
    }
    free(out);
    return status;
}

static gemlet_status write_item(pack_writer *w) {
    switch (w->item->action) {
    case PACK_REALS: return write_reals(w);
    case PACK_MATRIX: return write_matrix(w);
    case PACK_ROW_SCALED: return pack_write_row_scaled(w);
    case PACK_CONV: return write_conv(w);
    case PACK_SCALES: return pack_emit(w, w->scales, (size_t)w->item->bytes);
    case PACK_REAL_CONV: return write_real_conv(w);
    case PACK_HARD_EMBEDDING: return write_hard_embedding(w);
    case PACK_POSITIONS: return write_positions(w);
    case PACK_QUERY_SCALE: return write_query_scale(w);
    case PACK_MEL_WINDOW: return write_mel(w, pack_mel_window);
    case PACK_MEL_FILTERS: return write_mel(w, pack_mel_filters);
    case PACK_BLOB: return pack_emit(w, w->item->blob, (size_t)w->item->bytes);
    }
    return GEMLET_ERROR_STATE;
}

/* ---- The file ---- */

static void report_item(pack_writer *w, FILE *report) {
    pack_item *item = w->item;
    item->relative_error = w->weight_square > 0.0 ? sqrt(w->error_square / w->weight_square) : 0.0;
    if (item->converted && report != NULL) {
        pack_progress_clear(&w->progress);
        fprintf(report, "%s: %s to %s, relative error %.6f\n", item->name, pack_type_name(item->source->type),
                gemlet_kind_name((uint32_t)item->kind), item->relative_error);
    }
}

static gemlet_status write_data(pack_writer *w, pack_layout *layout, FILE *report) {
    static const unsigned char zeros[GEMLET_ALIGNMENT];
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < layout->count && status == GEMLET_OK; i++) {
        w->item = &layout->items[i];
        w->item->crc32 = 0;
        w->error_square = w->weight_square = 0.0;
        status = write_item(w);
        size_t padding = (GEMLET_ALIGNMENT - w->item->bytes % GEMLET_ALIGNMENT) % GEMLET_ALIGNMENT;
        if (status == GEMLET_OK && padding != 0 && fwrite(zeros, 1, padding, w->out) != padding) {
            status = pack_fail(w->error, GEMLET_ERROR_IO, "the packed file can't be written: %s", strerror(errno));
        }
        if (status == GEMLET_OK) {
            report_item(w, report);
        }
    }
    return status;
}

static gemlet_status leave_hole(const pack_writer *w, const pack_layout *layout) {
    const pack_item *last = &layout->items[layout->count - 1];
    uint64_t end = last->offset + (last->bytes + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT;
    off_t start = ftello(w->out);
    if (start < 0 || fflush(w->out) != 0 || ftruncate(fileno(w->out), start + (off_t)end) != 0) {
        return pack_fail(w->error, GEMLET_ERROR_IO, "the packed file can't be made so large: %s", strerror(errno));
    }
    return GEMLET_OK;
}

static gemlet_status write_header(const pack_writer *w, pack_layout *layout) {
    pack_bytes header = {0};
    gemlet_status status = pack_write_header(w->model, layout, &header, w->error);
    if (status == GEMLET_OK &&
        (fseek(w->out, 0, SEEK_SET) != 0 || fwrite(header.data, 1, header.length, w->out) != header.length)) {
        status = pack_fail(w->error, GEMLET_ERROR_IO, "the packed file can't be written: %s", strerror(errno));
    }
    pack_bytes_free(&header);
    return status;
}

/* The header goes first without CRC-32s, which takes its room, and again when they are known. */
static gemlet_status write_file(pack_writer *w, pack_layout *layout, bool header_only, FILE *report) {
    w->raw = malloc(4 * PACK_PIECE_ELEMENTS);
    w->reals = malloc(sizeof *w->reals * PACK_PIECE_ELEMENTS);
    w->item = layout->items;
    gemlet_status status = w->raw != NULL && w->reals != NULL ? GEMLET_OK : pack_writer_memory(w);
    status = status != GEMLET_OK ? status : write_header(w, layout);
    status = status != GEMLET_OK ? status : header_only ? leave_hole(w, layout) : write_data(w, layout, report);
    status = status != GEMLET_OK ? status : write_header(w, layout);
    if (status == GEMLET_OK && (fflush(w->out) != 0 || fsync(fileno(w->out)) != 0)) {
        status = pack_fail(w->error, GEMLET_ERROR_IO, "the packed file can't be written: %s", strerror(errno));
    }
    status = status != GEMLET_OK ? status : pack_check_signals(w);
    pack_progress_clear(&w->progress);
    free(w->raw);
    free(w->reals);
    free(w->scales);
    return status;
}

/* ---- The file's name ---- */

static gemlet_status find_target(const char *path, char target[PACK_PATH_BYTES], gemlet_error *error) {
    int failure = pack_follow_links(path, target);
    return failure == 0              ? GEMLET_OK
           : failure == ENAMETOOLONG ? pack_fail(error, GEMLET_ERROR_ARGUMENT, "%.100s...: the output's name is too long", path)
                                     : pack_fail(error, GEMLET_ERROR_IO, "%s: too many symbolic links", path);
}

/* A packed file is written twice, its header last, and appears when it is whole: nothing but a regular file can take that. */
static gemlet_status check_output(const pack_model *model, const char *path, const char *target, gemlet_error *error) {
    struct stat there, source;
    if (stat(target, &there) != 0) {
        return GEMLET_OK; /* a new one; where it can't be, creating it says why */
    }
    if (!S_ISREG(there.st_mode)) {
        return pack_fail(error, GEMLET_ERROR_ARGUMENT, "%s: expected a regular file or a new name for the output, found a %s", path,
                         S_ISDIR(there.st_mode)    ? "folder"
                         : S_ISFIFO(there.st_mode) ? "pipe"
                         : S_ISSOCK(there.st_mode) ? "socket"
                                                   : "device");
    }
    for (size_t i = 0; i < model->file_count; i++) {
        if (fstat(model->files[i].descriptor, &source) == 0 && source.st_dev == there.st_dev && source.st_ino == there.st_ino) {
            return pack_fail(error, GEMLET_ERROR_ARGUMENT, "%s: the output would replace what is packed", path);
        }
    }
    return GEMLET_OK;
}

/* What the library could not open is not left behind, whatever it is that no check has thought of.  It says where: in the file that
 * has not got its name yet, so that is left out. */
static gemlet_status check_opens(const char *temporary, const char *target, gemlet_error *error) {
    gemlet_memory_plan plan;
    gemlet_port port;
    gemlet_error why = {GEMLET_OK, ""};
    gemlet_posix *posix = gemlet_posix_open(1, &port);
    if (posix == NULL) {
        return pack_fail(error, GEMLET_ERROR_MEMORY, "%s: out of memory to look at it", target);
    }
    gemlet_status status = gemlet_plan(&port, temporary, NULL, &plan, &why);
    gemlet_posix_close(posix);
    if (status == GEMLET_OK) {
        return GEMLET_OK;
    }
    size_t path = strlen(temporary),
           skipped = strncmp(why.message, temporary, path) == 0 ? path + strspn(why.message + path, ": ") : 0;
    return pack_fail(error, status, "%s: is not written, as it could not be opened: %s", target, why.message + skipped);
}

/* Writes `target` by way of a file beside it. */
static gemlet_status write_by_way_of(pack_writer *w, pack_layout *layout, const char *target, bool header_only, FILE *report) {
    char temporary[PACK_PATH_BYTES];
    pack_remove_unfinished(target);
    w->out = pack_create_unfinished(target, temporary);
    if (w->out == NULL) {
        return pack_fail(w->error, GEMLET_ERROR_IO, "%s: can't be created: %s", target, strerror(errno));
    }
    gemlet_status status = write_file(w, layout, header_only, report);
    status = status != GEMLET_OK ? status : check_opens(temporary, target, w->error);
    int failure = pack_finish_unfinished(w->out, temporary, target, status == GEMLET_OK);
    return failure == 0 ? status : pack_fail(w->error, GEMLET_ERROR_IO, "%s: can't be written: %s", target, strerror(failure));
}

gemlet_status pack_write(const pack_model *model, pack_layout *layout, const char *path, bool header_only, FILE *report,
                         FILE *progress, gemlet_error *error) {
    char target[PACK_PATH_BYTES];
    struct sigaction before[PACK_ENDING_SIGNALS];
    pack_writer w = {.model = model, .error = error};
    gemlet_status status = find_target(path, target, error);
    status = status != GEMLET_OK ? status : check_output(model, path, target, error);
    if (status != GEMLET_OK) {
        return status;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < layout->count; i++) {
        total += layout->items[i].bytes;
    }
    pack_progress_start(&w.progress, progress, total);
    pack_catch_signals(before);
    status = write_by_way_of(&w, layout, target, header_only, report);
    pack_let_signals(before);
    return status;
}
