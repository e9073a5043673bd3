/* gemlet-pack on the tiny model: what goes in comes out, from both sources; what does not fit is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/quant/packing.h"
#include "model/pack/convert.h"
#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"

typedef struct fixture {
    char folder[FOLDER_BYTES];
    char packed[FOLDER_BYTES + 32];
    gemlet_error error;
} fixture;

static gemlet_status pack(fixture *f, const char *text, const char *projector, const char *folder, const char *type) {
    pack_options options = {.text = text, .projector = projector, .folder = folder, .output = f->packed, .type = type};
    f->error.message[0] = '\0';
    return pack_run(&options, &f->error);
}

static void pack_well(fixture *f, const char *text, const char *projector, const char *folder, const char *type) {
    if (pack(f, text, projector, folder, type) != GEMLET_OK) {
        fail_msg("%s", f->error.message);
    }
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    folder_make(f->folder, "Hf");
    snprintf(f->packed, sizeof f->packed, "%s/packed.gguf", f->folder);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    folder_remove(f->folder);
    free(f);
    return 0;
}

/* ---- Lossless ---- */

/* A packed matrix as source blocks. */
static unsigned char *unpack(open_gguf *packed, const gemlet_tensor *t, const gemlet_matrix *m, size_t *bytes) {
    size_t group = gemlet_packing_group_rows(m->packing, m->rows),
           row_bytes = m->columns / GEMLET_BLOCK * gemlet_block_bytes(m->type);
    size_t group_bytes = gemlet_packing_group_bytes(m->type, m->packing, m->rows, m->columns);
    unsigned char *data = gguf_bytes(packed, t);
    *bytes = m->rows * row_bytes;
    unsigned char *out = malloc(*bytes);
    for (size_t row = 0; row < m->rows; row += group) {
        size_t count = m->rows - row < group ? m->rows - row : group;
        gemlet_unpack_group(m->type, m->packing, data + row / group * group_bytes, count, m->columns, out + row * row_bytes);
    }
    free(data);
    return out;
}

/* The numbers that a packed tensor, no convolution of integers, holds, in the source's order. */
static float *packed_numbers(open_gguf *packed, const gemlet_tensor *t) {
    gemlet_matrix m;
    size_t count = (size_t)t->rows * t->columns * t->taps, bytes;
    float *out = malloc(sizeof *out * count);
    if (gemlet_tensor_matrix(t, &m)) {
        unsigned char *blocks = unpack(packed, t, &m, &bytes);
        assert_true(pack_dequantize(m.type == GEMLET_Q4_0 ? GEMLET_TYPE_Q4_0 : GEMLET_TYPE_Q8_0, blocks, count, out));
        free(blocks);
        return out;
    }
    unsigned char *data = gguf_bytes(packed, t);
    for (size_t i = 0; i < count; i++) {
        size_t o = i / (t->columns * t->taps), c = i / t->taps % t->columns, tap = i % t->taps;
        size_t at = t->kind == GEMLET_KIND_REAL_CONV ? (tap * t->columns + c) * t->rows + o : i;
        memcpy(&out[i], data + 4 * at, 4);
    }
    free(data);
    return out;
}

/* "altup_proj.1.weight" is slice 1 of the source's "altup_proj.weight". */
static void source_name(const char *name, char out[GEMLET_NAME_BYTES]) {
    const char *stem = strncmp(name, "altup_proj.", 11) == 0          ? "altup_proj"
                       : strncmp(name, "altup_unembd_proj.", 18) == 0 ? "altup_unembd_proj"
                                                                      : NULL;
    if (stem != NULL) {
        snprintf(out, GEMLET_NAME_BYTES, "%s.weight#%c", stem, name[strlen(stem) + 1]);
    } else {
        snprintf(out, GEMLET_NAME_BYTES, "%s", name);
    }
}

static bool made_here(const char *name) {
    size_t length = strlen(name);
    const char *end = strncmp(name, "a.blk.", 6) == 0 ? strchr(name + 6, '.') : NULL;
    bool constant =
        strncmp(name, "a.mel.", 6) == 0 || (end != NULL && (strcmp(end, ".positions") == 0 || strcmp(end, ".query_scale") == 0));
    return strcmp(name, "tokenizer.tables") == 0 || constant || strstr(name, "hard_token_embd") != NULL ||
           (length > 6 && strcmp(name + length - 6, ".scale") == 0);
}

static float *source_numbers(open_gguf *text, open_gguf *projector, const gemlet_tensor *t) {
    char name[GEMLET_NAME_BYTES];
    size_t count;
    source_name(t->name, name);
    float *numbers = gguf_numbers(text, name, &count);
    if (numbers == NULL) {
        numbers = gguf_numbers(projector, name, &count);
    }
    if (numbers == NULL || (size_t)t->rows * t->columns * t->taps > count) {
        fail_msg("%s has no source", t->name);
    }
    return numbers;
}

/* Integers times scales are the source's numbers but for its float16, and lie where conv.h packs them. */
static void compare_conv(open_gguf *packed, const gemlet_tensor *t, const float *expected) {
    size_t per_output = (size_t)t->columns * t->taps;
    gemlet_tensor scale;
    char name[2 * GEMLET_NAME_BYTES];
    int8_t *weights = malloc(t->rows * per_output), *again = malloc((size_t)t->bytes);
    snprintf(name, sizeof name, "%s.scale", t->name);
    assert_true(gemlet_container_find_tensor(&packed->container, name, &scale));
    float *scales = packed_numbers(packed, &scale);
    for (size_t i = 0; i < t->rows * per_output; i++) {
        size_t o = i / per_output, c = i / t->taps % t->columns, tap = i % t->taps;
        float q = rintf(expected[i] / scales[o]);
        assert_true(fabsf(q) <= 127.0f);
        assert_true(fabsf(q * scales[o] - expected[i]) <= 127.0f * scales[o] / 1024.0f);
        weights[o * per_output + tap * t->columns + c] = (int8_t)q;
    }
    gemlet_conv_pack(weights, t->rows, t->taps, t->columns, again);
    unsigned char *data = gguf_bytes(packed, t);
    assert_memory_equal(data, again, t->bytes);
    free(data);
    free(scales);
    free(again);
    free(weights);
}

/* Every packed number is the source's. */
static void compare_with_source(open_gguf *packed, open_gguf *text, open_gguf *projector, const gemlet_tensor *t) {
    float *expected = source_numbers(text, projector, t);
    if (t->kind == GEMLET_KIND_CONV) {
        compare_conv(packed, t, expected);
    } else {
        float *found = packed_numbers(packed, t);
        for (size_t i = 0; i < (size_t)t->rows * t->columns * t->taps; i++) {
            if (found[i] != expected[i]) {
                fail_msg("%s[%zu]: %g expected, %g found", t->name, i, (double)expected[i], (double)found[i]);
            }
        }
        free(found);
    }
    free(expected);
}

static void the_tiny_model_is_packed_without_loss(void **state) {
    fixture *f = *state;
    open_gguf packed, text, projector;
    gemlet_tensor t;
    uint64_t cursor = 0;
    uint32_t compared = 0;
    pack_well(f, TINY_TEXT, TINY_PROJECTOR, NULL, NULL);
    gguf_open(&packed, f->packed);
    gguf_open(&text, TINY_TEXT);
    gguf_open(&projector, TINY_PROJECTOR);
    assert_int_equal(gemlet_container_require_packed(&packed.container, &f->error), GEMLET_OK);
    for (uint32_t i = 0; i < packed.container.tensor_count; i++) {
        assert_true(gemlet_container_next_tensor(&packed.container, &cursor, i, &t));
        assert_int_equal(gemlet_container_verify(&packed.container, &t, &f->error), GEMLET_OK);
        assert_int_equal(t.offset % 64, 0);
        if (!made_here(t.name)) {
            compare_with_source(&packed, &text, &projector, &t);
            compared++;
        }
    }
    /* 785 in the source, 6 more for the stacked projections' slices less their 2; less 15 of the layers without own keys, 4 that go
     * into the special ids' embeddings, and of the sound encoder's two blocks 4 that go into constants. */
    assert_int_equal(compared, 785 + 6 - 2 - 15 - 4 - 4);
    gguf_close(&packed);
    gguf_close(&text);
    gguf_close(&projector);
}

/* Blocks that are right already are moved, not converted: the same bytes. */
static void quantised_blocks_are_moved(void **state) {
    static const char *const names[] = {"token_embd.weight", "per_layer_token_embd.weight", "blk.0.ffn_up.weight",
                                        "blk.9.ffn_down.weight", "blk.24.attn_q.weight"};
    static const gemlet_packing packings[] = {GEMLET_PACKED_PANELS, GEMLET_PACKED_ROWS, GEMLET_PACKED_ROWS, GEMLET_PACKED_COLUMNS,
                                              GEMLET_PACKED_PANELS};
    fixture *f = *state;
    open_gguf packed, text;
    pack_well(f, TINY_TEXT, NULL, NULL, "q8_0"); /* a type for other formats changes nothing here */
    gguf_open(&packed, f->packed);
    gguf_open(&text, TINY_TEXT);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        gemlet_tensor from, to;
        gemlet_matrix m;
        size_t bytes;
        assert_true(gemlet_container_find_tensor(&packed.container, names[i], &to));
        assert_true(gemlet_container_find_tensor(&text.container, names[i], &from));
        assert_true(gemlet_tensor_matrix(&to, &m));
        assert_int_equal(m.packing, packings[i]);
        assert_int_equal(m.type, GEMLET_Q4_0);
        unsigned char *found = unpack(&packed, &to, &m, &bytes), *expected = gguf_bytes(&text, &from);
        assert_true(bytes <= from.bytes);
        assert_memory_equal(found, expected, bytes);
        free(found);
        free(expected);
    }
    gguf_close(&packed);
    gguf_close(&text);
}

static void what_is_not_needed_is_dropped(void **state) {
    fixture *f = *state;
    open_gguf packed;
    gemlet_tensor t;
    uint32_t number;
    pack_well(f, TINY_TEXT, TINY_PROJECTOR, NULL, NULL);
    gguf_open(&packed, f->packed);
    assert_true(gemlet_container_find_tensor(&packed.container, "blk.19.attn_k.weight", &t));
    assert_false(gemlet_container_find_tensor(&packed.container, "blk.20.attn_k.weight", &t));
    assert_false(gemlet_container_find_tensor(&packed.container, "blk.24.attn_v.weight", &t));
    assert_false(gemlet_container_find_tensor(&packed.container, "blk.22.attn_k_norm.weight", &t));
    /* llama.cpp's converter pads the per-layer table to the vocabulary. */
    assert_true(gemlet_container_find_tensor(&packed.container, "per_layer_token_embd.weight", &t));
    assert_int_equal(t.rows, 512);
    assert_true(gemlet_container_find_tensor(&packed.container, "v.blk.1.0.layer_scale.gamma", &t));
    assert_int_equal(t.dimension_count, 1);
    assert_int_equal(gemlet_container_u32(&packed.container, "gemlet.vision.vocabulary_offset", 0, &number, &f->error), GEMLET_OK);
    assert_int_equal(number, 512);
    assert_int_equal(gemlet_container_u32(&packed.container, "gemlet.audio.vocabulary_offset", 0, &number, &f->error), GEMLET_OK);
    assert_int_equal(number, 520);
    gguf_close(&packed);
}

/* The rest, the special ids' embeddings of sound included, is the same. */
static void sound_can_be_left_out(void **state) {
    fixture *f = *state;
    char whole_path[FOLDER_BYTES + 32];
    open_gguf whole, packed;
    gemlet_tensor from, to;
    uint64_t cursor = 0;
    uint32_t left_out = 0, number;
    snprintf(whole_path, sizeof whole_path, "%s/whole.gguf", f->folder);
    pack_options options = {.text = TINY_TEXT, .projector = TINY_PROJECTOR, .output = whole_path};
    assert_int_equal(pack_run(&options, &f->error), GEMLET_OK);
    options.output = f->packed;
    options.no_sound = true;
    assert_int_equal(pack_run(&options, &f->error), GEMLET_OK);
    gguf_open(&whole, whole_path);
    gguf_open(&packed, f->packed);
    for (uint32_t i = 0; i < whole.container.tensor_count; i++) {
        assert_true(gemlet_container_next_tensor(&whole.container, &cursor, i, &from));
        bool there = gemlet_container_find_tensor(&packed.container, from.name, &to);
        bool sound = strncmp(from.name, "a.", 2) == 0 || strncmp(from.name, "mm.a.", 5) == 0;
        assert_int_equal(there, !sound || strcmp(from.name, "a.hard_token_embd") == 0);
        left_out += !there;
        if (there) {
            assert_int_equal(to.crc32, from.crc32);
            assert_int_equal(to.bytes, from.bytes);
        }
    }
    assert_int_equal(packed.container.tensor_count + left_out, whole.container.tensor_count);
    assert_int_equal(gemlet_container_u32(&packed.container, "gemlet.audio.vocabulary_offset", 0, &number, &f->error), GEMLET_OK);
    assert_int_equal(number, 520);
    assert_false(gemlet_container_find(&packed.container, "gemlet.audio.block_count", NULL));
    gguf_close(&whole);
    gguf_close(&packed);
}

static void special_ids_have_the_reference_embeddings(void **state) {
    static const char *const names[2] = {"v.hard_token_embd", "a.hard_token_embd"};
    fixture *f = *state;
    open_gguf packed;
    float expected[16][128];
    FILE *file = fopen("tests/data/tiny/hard_embeddings.f32", "rb");
    assert_non_null(file);
    assert_int_equal(fread(expected, sizeof expected, 1, file), 1);
    fclose(file);
    pack_well(f, TINY_TEXT, TINY_PROJECTOR, NULL, NULL);
    gguf_open(&packed, f->packed);
    for (int part = 0; part < 2; part++) {
        gemlet_tensor t;
        assert_true(gemlet_container_find_tensor(&packed.container, names[part], &t));
        assert_int_equal(t.rows, 8);
        assert_int_equal(t.columns, 128);
        float *found = packed_numbers(&packed, &t);
        for (int i = 0; i < 8 * 128; i++) { /* rows have a mean square of 1; the source's tables are float16 */
            assert_true(fabsf(found[i] - expected[8 * part + i / 128][i % 128]) < 2e-3f);
        }
        free(found);
    }
    gguf_close(&packed);
}

/* ---- Both sources ---- */

static char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*length);
    assert_int_equal(fread(bytes, 1, *length, file), *length);
    fclose(file);
    return bytes;
}

static void sources_give_the_same_file(fixture *f, const tiny_source *source) {
    size_t length, other_length;
    pack_well(f, source->text, source->projector, NULL, NULL);
    char *expected = read_file(f->packed, &length);
    for (unsigned shards = 1; shards <= 3; shards += 2) {
        char hf[FOLDER_BYTES];
        folder_make(hf, "Hf"); /* the name that the GGUF has */
        write_tiny_hf(source, hf, shards);
        pack_well(f, NULL, NULL, hf, NULL);
        char *found = read_file(f->packed, &other_length);
        assert_int_equal(other_length, length);
        assert_memory_equal(found, expected, length);
        free(found);
        folder_remove(hf);
    }
    free(expected);
}

static void both_sources_give_the_same_file(void **state) {
    sources_give_the_same_file(*state, &tiny_gemma3n);
    sources_give_the_same_file(*state, &tiny_gemma4);
}

/* Gemma 3's norms are stored less one in a folder of Hugging Face. */
static void both_sources_of_gemma_3_hold_the_same(void **state) {
    fixture *f = *state;
    open_gguf first, second;
    char other[FOLDER_BYTES + 32];
    gemlet_tensor a, b;
    uint64_t cursor_a = 0, cursor_b = 0;
    pack_well(f, "tests/data/gemma3-small/text.gguf", NULL, NULL, "q8_0");
    snprintf(other, sizeof other, "%s/other.gguf", f->folder);
    assert_int_equal(rename(f->packed, other), 0);
    pack_well(f, NULL, NULL, "tests/data/gemma3-small/hf", "q8_0");
    gguf_open(&first, other);
    gguf_open(&second, f->packed);
    assert_int_equal(first.container.tensor_count, 16);
    for (uint32_t i = 0; i < 16; i++) {
        assert_true(gemlet_container_next_tensor(&first.container, &cursor_a, i, &a));
        assert_true(gemlet_container_next_tensor(&second.container, &cursor_b, i, &b));
        assert_string_equal(a.name, b.name);
        assert_int_equal(a.kind, b.kind);
        unsigned char *data_a = gguf_bytes(&first, &a), *data_b = gguf_bytes(&second, &b);
        assert_int_equal(a.bytes, b.bytes);
        assert_memory_equal(data_a, data_b, a.bytes);
        free(data_a);
        free(data_b);
    }
    gguf_close(&first);
    gguf_close(&second);
}

/* ---- Shapes alone ---- */

/* E2B as published, of which the repository has the shapes: the numbers that plans are made from. */
static void a_header_alone_describes_a_model(void **state) {
    fixture *f = *state;
    char hf[FOLDER_BYTES];
    open_gguf packed;
    gemlet_tensor t;
    uint64_t cursor = 0, resident = 0, encoder = 0, weights = 0;
    folder_make(hf, "e2b");
    write_shape_hf(hf, "tests/data/shapes/gemma3n-e2b");
    pack_options options = {.folder = hf, .output = f->packed, .header_only = true};
    if (pack_run(&options, &f->error) != GEMLET_OK) {
        fail_msg("%s", f->error.message);
    }
    folder_remove(hf);
    gguf_open(&packed, f->packed);
    for (uint32_t i = 0; i < packed.container.tensor_count; i++) {
        assert_true(gemlet_container_next_tensor(&packed.container, &cursor, i, &t));
        bool text = strncmp(t.name, "blk.", 4) == 0 || strncmp(t.name, "token_embd", 10) == 0 || strncmp(t.name, "altup", 5) == 0 ||
                    strncmp(t.name, "per_layer_model", 15) == 0;
        resident += text ? t.bytes : 0;
        weights += text && t.kind != GEMLET_KIND_PLAIN ? (uint64_t)t.rows * t.columns : 0;
        encoder += strncmp(t.name, "v.", 2) == 0 && t.kind == GEMLET_KIND_CONV ? (uint64_t)t.rows * t.columns * t.taps : 0;
    }
    assert_true(gemlet_container_find_tensor(&packed.container, "per_layer_token_embd.weight", &t));
    assert_int_equal(t.rows, 262144);
    assert_int_equal(t.columns, 30 * 256);
    assert_int_equal(t.bytes / t.rows, 30 * 256 / 32 * 18);
    /* 2.4 G weights a token at 4.5 bits, the encoder's 294 M. */
    assert_true(weights > 2380000000u && weights < 2460000000u);
    assert_true(resident > 1330000000u && resident < 1390000000u);
    assert_true(encoder > 280000000u && encoder < 300000000u);
    gguf_close(&packed);
}

/* ---- Refusals ---- */

/* Packs a copy of a file with `length` bytes at the first `what` replaced by `with`, as text or as projector. */
static gemlet_status pack_changed(fixture *f, bool projector, const char *what, size_t behind, const void *with, size_t length) {
    char path[FOLDER_BYTES + 32];
    size_t size;
    char *bytes = read_file(projector ? TINY_PROJECTOR : TINY_TEXT, &size);
    size_t at = 0, text = strlen(what);
    while (at + text <= size && memcmp(bytes + at, what, text) != 0) {
        at++;
    }
    assert_true(at + text <= size);
    memcpy(bytes + at + behind, with, length);
    snprintf(path, sizeof path, "%s/changed.gguf", f->folder);
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    free(bytes);
    gemlet_status status = pack(f, projector ? TINY_TEXT : path, projector ? path : TINY_PROJECTOR, NULL, NULL);
    unlink(path);
    return status;
}

static void expect_refusal(const fixture *f, gemlet_status status, const char *part) {
    assert_int_not_equal(status, GEMLET_OK);
    if (strstr(f->error.message, part) == NULL) {
        fail_msg("\"%s\" expected in \"%s\"", part, f->error.message);
    }
    assert_int_equal(folder_count(f->folder), 0); /* no half file, no temporary one */
}

static void inputs_that_do_not_match_are_refused(void **state) {
    fixture *f = *state;
    static const uint32_t width = 256, blocks = 26;
    expect_refusal(f, pack(f, TINY_PROJECTOR, NULL, NULL, NULL), "this one goes behind --mmproj");
    expect_refusal(f, pack(f, TINY_TEXT, TINY_TEXT, NULL, NULL), "give the mmproj GGUF of the same model");
    expect_refusal(f, pack(f, "absent.gguf", NULL, NULL, NULL), "absent.gguf: can't be opened");
    expect_refusal(f, pack(f, NULL, NULL, f->folder, NULL), "config.json: can't be opened");
    expect_refusal(f, pack(f, TINY_TEXT, NULL, NULL, "q3_k"), "--type must be q4_0 or q8_0, found \"q3_k\"");
    expect_refusal(f, pack(f, NULL, NULL, NULL, NULL), "give either --text FILE or --hf FOLDER");
    expect_refusal(f, pack_changed(f, false, "gemma3n", 0, "llama99", 7), "architecture \"llama99\" is not supported");
    expect_refusal(f, pack_changed(f, false, "gemma3n.block_count", 23, &blocks, 4), "must hold at least 26 numbers, but holds 25");
    expect_refusal(f, pack_changed(f, false, "gemma3n.embedding_length", 28, &width, 4), "makes vectors of 128 numbers, but");
    expect_refusal(f, pack_changed(f, false, "blk.7.ffn_gate.weight", 0, "blk.7.ffn_xxxx.weight", 21),
                   "lacks tensor \"blk.7.ffn_gate.weight\"");
    expect_refusal(f, pack_changed(f, true, "v.blk.1.1.pw_exp.bn", 0, "v.blk.1.1.pw_exp.xx", 19),
                   "lacks tensor \"v.blk.1.1.pw_exp.bn.weight\"");
    expect_refusal(f, pack_changed(f, true, "v.msfa.norm.weight", 0, "v.msfa.xxxx.weight", 18),
                   "lacks tensor \"v.msfa.norm.weight\"");
    expect_refusal(f, pack_changed(f, true, "clip.vision.projection_dim", 30, &width, 4), "makes vectors of 256 numbers, but");
    expect_refusal(f, pack_changed(f, true, "gemma3nv", 0, "gemma4nv", 8), "is the projector of another model (type \"gemma4nv\"");
}

/* The id of a token that is not there is the published models' one, which this small one has no embedding for. */
static void what_could_not_be_opened_is_refused(void **state) {
    fixture *f = *state;
    expect_refusal(f, pack_changed(f, false, "<start_of_image>", 0, "<start_of_imagg>", 16),
                   "packed.gguf: is not written, as it could not be opened: token ids must be below 528, the rows of tensor "
                   "\"token_embd.weight\", but gemlet.vision.begin_token_id has 255999");
}

static void weights_that_are_no_numbers_are_refused(void **state) {
    static const char *const names[] = {"blk.3.attn_norm.weight", "blk.3.laurel_l.weight", "blk.3.attn_q.weight"};
    static const char *const problems[] = {"holds NaN at element 0", "holds NaN at element 0",
                                           "has weights beyond float16 in row 0"};
    fixture *f = *state;
    open_gguf text;
    gguf_open(&text, TINY_TEXT);
    for (size_t i = 0; i < 3; i++) {
        char path[FOLDER_BYTES + 32];
        gemlet_tensor t;
        static const unsigned char nan_real[4] = {0, 0, 0xC0, 0x7F}, infinite_half[2] = {0, 0x7C};
        assert_true(gemlet_container_find_tensor(&text.container, names[i], &t));
        snprintf(path, sizeof path, "%s/changed.gguf", f->folder);
        copy_file(TINY_TEXT, path);
        FILE *file = fopen(path, "r+b");
        fseek(file, (long)t.offset, SEEK_SET);
        fwrite(i < 2 ? nan_real : infinite_half, 1, i < 2 ? 4 : 2, file);
        fclose(file);
        gemlet_status status = pack(f, path, NULL, NULL, NULL);
        unlink(path);
        expect_refusal(f, status, problems[i]);
    }
    gguf_close(&text);
}

static void a_cut_source_is_refused(void **state) {
    fixture *f = *state;
    char path[FOLDER_BYTES + 32];
    snprintf(path, sizeof path, "%s/changed.gguf", f->folder);
    for (long size = 0; size < 10462944; size = 3 * size + 1000) {
        copy_file(TINY_TEXT, path);
        assert_int_equal(truncate(path, size), 0);
        gemlet_status status = pack(f, path, NULL, NULL, NULL);
        unlink(path);
        expect_refusal(f, status, path);
    }
}

static void an_existing_file_survives_a_failure(void **state) {
    fixture *f = *state;
    size_t length;
    copy_file("tests/data/tiny/hf/config.json", f->packed);
    assert_int_not_equal(pack(f, TINY_PROJECTOR, NULL, NULL, NULL), GEMLET_OK);
    char *bytes = read_file(f->packed, &length);
    assert_int_equal(length, 4125);
    free(bytes);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_tiny_model_is_packed_without_loss),
        TEST(quantised_blocks_are_moved),
        TEST(sound_can_be_left_out),
        TEST(what_is_not_needed_is_dropped),
        TEST(special_ids_have_the_reference_embeddings),
        TEST(both_sources_give_the_same_file),
        TEST(both_sources_of_gemma_3_hold_the_same),
        TEST(a_header_alone_describes_a_model),
        TEST(inputs_that_do_not_match_are_refused),
        TEST(what_could_not_be_opened_is_refused),
        TEST(weights_that_are_no_numbers_are_refused),
        TEST(a_cut_source_is_refused),
        TEST(an_existing_file_survives_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
