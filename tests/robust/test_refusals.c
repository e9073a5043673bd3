/* Packed files that are whole (their header's checksum is right) but wrong in one thing: each is refused with a message that names
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/container/forge.h"
#include "tests/robust/rig.h"

enum { ARENA = 1 << 21, NAMES = 1024 };

static const gemlet_options options = {.context = 64};
static _Alignas(GEMLET_ALIGNMENT) unsigned char arena_bytes[ARENA];

/* ---- What is in the file ---- */

typedef struct contents {
    memory_file file;
    gemlet_port port;
    gemlet_container container;
} contents;

static void contents_open(contents *c) {
    gemlet_error error;
    c->file = (memory_file){.data = mini.bytes, .size = mini.size, .maps = true};
    memory_port_open(&c->file, &c->port);
    forge_header(mini.bytes, mini.size);
    assert_int_equal(gemlet_container_open(&c->container, &c->port, "model", &error), GEMLET_OK);
}

static gemlet_value value_of(const char *key) {
    contents c;
    gemlet_value value;
    contents_open(&c);
    if (!gemlet_container_find(&c.container, key, &value)) {
        fail_msg("the file has no key \"%s\"", key);
    }
    gemlet_container_close(&c.container);
    return value;
}

/* The last letter of `name`, which stands in the file behind its length. */
static unsigned char *last_letter(const char *name) {
    size_t length = strlen(name);
    unsigned char text[8 + 256] = {(unsigned char)length, (unsigned char)(length >> 8)};
    memcpy(text + 8, name, length);
    for (size_t at = 0; at + 8 + length <= mini.size; at++) {
        if (memcmp(mini.bytes + at, text, 8 + length) == 0) {
            return mini.bytes + at + 8 + length - 1;
        }
    }
    fail_msg("\"%s\" is not in the file", name);
    return NULL;
}

/* ---- Opening it ---- */

/* Opens model and session on the file as it stands, its checksum made right. */
static gemlet_status open_forged(const gemlet_options *with, gemlet_error *error) {
    rig r;
    gemlet_arena arena;
    forge_header(mini.bytes, mini.size);
    rig_init(&r, mini.bytes, mini.size, with);
    *error = (gemlet_error){GEMLET_OK, ""};
    assert_int_equal(gemlet_arena_init(&arena, arena_bytes, ARENA, error), GEMLET_OK);
    const gemlet_arena before = arena;
    gemlet_status status = gemlet_model_open(&r.port, "model", with, &arena, &r.model, error);
    if (status != GEMLET_OK) {
        assert_int_equal(arena.kept, before.kept); /* nothing stays behind */
        assert_int_equal(arena.scratch, before.scratch);
        assert_int_equal(arena.user_count, before.user_count);
    } else {
        status = gemlet_session_open(r.model, with, &arena, &r.session, error);
    }
    gemlet_model_close(r.model);
    assert_int_equal(r.file.open, 0);
    return status;
}

static void assert_refused(const char *what, gemlet_status status, const gemlet_error *error, const char *words) {
    if (status == GEMLET_OK || strstr(error->message, words) == NULL) {
        fail_msg("%s: expected a message with \"%s\", found status %d and \"%s\"", what, words, (int)status, error->message);
    }
}

/* ---- What is missing ---- */

/* What a model may do without: keys for people and for the packer, and parts that not every model has. */
static bool may_be_missing(const char *name) {
    static const char *const optional[] = {"general.name",
                                           "general.file_type",
                                           "general.alignment",
                                           "general.quantization_version",
                                           "gemma3n.attention.value_length",
                                           "gemlet.vision.vocabulary_offset",
                                           "gemlet.vision.embedding_length",
                                           "gemlet.vision.begin_token_id",
                                           "gemlet.vision.soft_token_id",
                                           "gemlet.vision.image_size",
                                           "gemlet.audio.",
                                           "tokenizer.",
                                           "v.conv_stem.conv.bias",
                                           "a.",
                                           "mm.a."};
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
        size_t length = strlen(optional[i]);
        bool beginning = optional[i][length - 1] == '.';
        if (beginning ? strncmp(name, optional[i], length) == 0 : strcmp(name, optional[i]) == 0) {
            return true;
        }
    }
    return strstr(name, "layer_scale") != NULL || strstr(name, ".dw_") != NULL || strstr(name, "down_conv") != NULL;
}

/* Renames the thing by a bit of its last letter; refused: a key by its name, a tensor perhaps by that of what then has the
 * wrong shape. */
static void take_away(const char *name, size_t *refused, size_t *unused) {
    gemlet_error error;
    unsigned char *letter = last_letter(name);
    *letter ^= 1;
    gemlet_status status = open_forged(&options, &error);
    *letter ^= 1;
    if (status == GEMLET_OK && !may_be_missing(name)) {
        fail_msg("a file without \"%s\" is taken", name);
    }
    if (status != GEMLET_OK && strncmp(name, "gemma3n.", 8) == 0) {
        assert_refused("a missing key", status, &error, name);
    }
    assert_true(status == GEMLET_OK || error.message[0] != '\0');
    *refused += status != GEMLET_OK;
    *unused += status == GEMLET_OK;
}

static void what_is_missing_is_named(void **state) {
    static char names[NAMES][GEMLET_KEY_BYTES];
    size_t count = 0, refused = 0, unused = 0;
    contents c;
    gemlet_tensor tensor;
    gemlet_value value;
    uint64_t cursor = 0;
    (void)state;
    contents_open(&c);
    while (count < NAMES && gemlet_container_next_key(&c.container, &cursor, names[count], &value)) {
        count++;
    }
    cursor = 0;
    for (uint32_t i = 0; count < NAMES && gemlet_container_next_tensor(&c.container, &cursor, i, &tensor); i++, count++) {
        memcpy(names[count], tensor.name, sizeof tensor.name);
    }
    gemlet_container_close(&c.container);
    assert_in_range(count, 200, NAMES - 1);
    for (size_t i = 0; i < count; i++) {
        take_away(names[i], &refused, &unused);
    }
    print_message("           %zu keys and tensors taken away one at a time: %zu refused, %zu not needed\n", count, refused,
                  unused);
    assert_true(refused > count / 2);
}

/* A GGUF file for other programs. */
static void a_file_that_is_not_packed_says_what_to_do(void **state) {
    gemlet_error error;
    unsigned char *letter = last_letter("gemlet.version");
    (void)state;
    *letter ^= 1;
    gemlet_status status = open_forged(&options, &error);
    *letter ^= 1;
    assert_int_equal(status, GEMLET_ERROR_UNSUPPORTED);
    assert_refused("a file that is not packed", status, &error, "model: this GGUF file is not packed for gemlet: run gemlet-pack");
}

/* ---- What is out of its range ---- */

static void write_number(const char *key, size_t index, uint32_t bits) {
    gemlet_value value = value_of(key);
    size_t bytes = value.type == GEMLET_VALUE_BOOL ? 1 : 4;
    for (size_t i = 0; i < bytes; i++) {
        mini.bytes[value.offset + index * bytes + i] = (unsigned char)(bits >> (8 * i));
    }
}

static void what_is_out_of_range_is_named(void **state) {
    static const struct {
        const char *key;
        size_t index;
        uint32_t bits;
        const char *words;
    } cases[] = {
        {"gemma3n.block_count", 0, 0, "\"gemma3n.block_count\" must be 1 to"},
        {"gemma3n.block_count", 0, 1000, "\"gemma3n.block_count\" must be 1 to"},
        {"gemma3n.embedding_length", 0, 31, "\"gemma3n.embedding_length\" must be 32 to"},
        {"gemma3n.embedding_length", 0, 33, "the width must be a multiple of 32 but is 33"},
        {"gemma3n.attention.head_count_kv", 0, 0, "head_count_kv\" must be 1 to"},
        {"gemma3n.attention.key_length", 0, 33, "the head width must be a multiple of 2 but is 33"},
        {"gemma3n.attention.layer_norm_rms_epsilon", 0, 0x7FC00000, "must be a finite number"},
        {"gemma3n.rope.freq_base", 0, 0, "must be above 0"},
        {"gemma3n.rope.freq_base_swa", 0, 0xBF800000, "must be above 0"},
        {"gemma3n.altup.active_idx", 0, 1, "active AltUp stream must be 0 but is 1"},
        {"gemma3n.altup.num_inputs", 0, 99, "\"gemma3n.altup.num_inputs\" must be 1 to"},
        {"gemma3n.attention.shared_kv_layers", 0, 6, "shared_kv_layers\" must be 0 to 5"},
        {"gemma3n.activation_sparsity_scale", 0, 0xBF800000, "must not be negative in layer 0"},
        {"gemma3n.activation_sparsity_scale", 3, 0x7F800000, "must be a finite number"},
        {"gemma3n.feed_forward_length", 2, 16, "feed_forward_length\" must be 32 to"},
        {"gemlet.vision.soft_token_count", 0, 250, "square number of soft tokens"},
        {"gemlet.version", 0, 99, "version"},
    };
    gemlet_error error;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gemlet_value value = value_of(cases[i].key);
        unsigned char before[4];
        size_t offset = (size_t)value.offset + 4 * cases[i].index;
        memcpy(before, mini.bytes + offset, sizeof before);
        write_number(cases[i].key, cases[i].index, cases[i].bits);
        gemlet_status status = open_forged(&options, &error);
        memcpy(mini.bytes + offset, before, sizeof before);
        forge_header(mini.bytes, mini.size);
        assert_refused(cases[i].key, status, &error, cases[i].words);
    }
    print_message("           %zu numbers out of their range, all refused by name\n", sizeof cases / sizeof *cases);
}

static void a_shared_layer_needs_one_to_share_with(void **state) {
    static const char key[] = "gemma3n.attention.sliding_window_pattern";
    gemlet_value value = value_of(key);
    gemlet_error error;
    unsigned char before[6];
    (void)state;
    memcpy(before, mini.bytes + value.offset, sizeof before);
    for (size_t i = 0; i < 4; i++) {
        write_number(key, i, 1);
    }
    write_number(key, 5, 0);
    gemlet_status status = open_forged(&options, &error);
    memcpy(mini.bytes + value.offset, before, sizeof before);
    assert_refused(key, status, &error, "no earlier layer has keys and values for layer 5");
}

/* ---- What has the wrong shape or packing ---- */

static void tensors_of_another_kind_are_refused(void **state) {
    gemlet_value kinds = value_of("gemlet.tensor.kind");
    size_t refused = 0, taken = 0;
    (void)state;
    for (size_t i = 0; i < kinds.count; i++) {
        unsigned char *kind = mini.bytes + kinds.offset + 4 * i, before = *kind;
        for (uint32_t other = GEMLET_KIND_PLAIN; other < GEMLET_KINDS; other++) {
            gemlet_error error;
            if (other != before) {
                *kind = (unsigned char)other;
                gemlet_status status = open_forged(&options, &error);
                assert_true(status == GEMLET_OK || strstr(error.message, "tensor") != NULL);
                refused += status != GEMLET_OK;
                taken += status == GEMLET_OK;
            }
        }
        *kind = before;
    }
    print_message("           %zu tensors said to be of another kind: %zu refused, %zu not needed or as long\n", refused + taken,
                  refused, taken);
    assert_true(refused > 9 * taken);
}

static size_t index_of(const char *name) {
    gemlet_tensor tensor;
    contents c;
    contents_open(&c);
    assert_true(gemlet_container_find_tensor(&c.container, name, &tensor));
    gemlet_container_close(&c.container);
    return tensor.index;
}

/* A block without depthwise convolutions rewrites the picture pixel by pixel, wherever threads are: pixels must keep their length.
 * Rows are padded to 8 where they lie, so that 57 are as many bytes as 64; the scales are told to be as few. */
static void pixels_keep_their_length_where_nothing_orders_them(void **state) {
    static const char name[] = "v.blk.2.2.pw_proj.conv.weight", scales[] = "v.blk.2.2.pw_proj.conv.weight.scale";
    unsigned char *conv_rows = mini.bytes + value_of("gemlet.tensor.rows").offset + 4 * index_of(name);
    unsigned char *scale_columns = mini.bytes + value_of("gemlet.tensor.columns").offset + 4 * index_of(scales);
    unsigned char *dimension = last_letter(scales) + 1 + 4; /* behind how many there are */
    gemlet_error error;
    (void)state;
    assert_true(*dimension == 64 && *conv_rows == 64 && *scale_columns == 64);
    *dimension = 57;
    *conv_rows = *scale_columns = 57;
    gemlet_status status = open_forged(&options, &error);
    *dimension = 64;
    *conv_rows = *scale_columns = 64;
    forge_header(mini.bytes, mini.size);
    assert_refused(name, status, &error,
                   "\"v.blk.2.2.pw_proj.conv.weight\" must be int8 convolution of 64 x 64 but is int8 convolution of 57 x 64");
}

/* ---- What the caller asks for ---- */

static void options_out_of_range_are_named(void **state) {
    static const struct {
        gemlet_options options;
        const char *words;
    } cases[] = {
        {{.context = 1u << 30}, "option context must be at most"},
        {{.context = 64, .chunk = 257}, "option chunk must be at most 256 but is 257"},
        {{.context = 64, .cache = (gemlet_cache_type)7}, "option cache must be at most 1 but is 7"},
        {{.context = 64, .image_size = 100}, "image"},
    };
    gemlet_error error;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused("options", open_forged(&cases[i].options, &error), &error, cases[i].words);
    }
    assert_int_equal(open_forged(&options, &error), GEMLET_OK); /* and the file is as it was */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(a_file_that_is_not_packed_says_what_to_do),
        cmocka_unit_test(what_is_out_of_range_is_named),
        cmocka_unit_test(a_shared_layer_needs_one_to_share_with),
        cmocka_unit_test(tensors_of_another_kind_are_refused),
        cmocka_unit_test(pixels_keep_their_length_where_nothing_orders_them),
        cmocka_unit_test(options_out_of_range_are_named),
    };
    return cmocka_run_group_tests_name("robust/refusals", tests, pack_models, free_models);
}
