/* The bounded reader on right files, through map and through read_at, with every failure of the port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/crc32.h"
#include "model/container/container.h"
#include "tests/container/gguf_builder.h"
#include "tests/container/memory_port.h"
#include "tests/support/fault_port.h"

typedef struct fixture {
    gguf_builder file;
    packed_places places;
    memory_file memory;
    gemlet_port port;
    gemlet_arena arena;
    _Alignas(64) unsigned char buffer[4096];
    gemlet_container container;
    gemlet_error error;
} fixture;

static int set_up(void **state) {
    fixture *f = aligned_alloc(64, (sizeof *f + 63) / 64 * 64);
    build_packed(&f->file, &f->places);
    f->memory = (memory_file){.data = f->file.data, .size = f->file.length, .maps = true};
    memory_port_open(&f->memory, &f->port);
    f->error = (gemlet_error){GEMLET_OK, ""};
    *state = f;
    return gemlet_arena_init(&f->arena, f->buffer, sizeof f->buffer, &f->error) == GEMLET_OK ? 0 : -1;
}

static int tear_down(void **state) {
    fixture *f = *state;
    int open = (int)f->memory.open;
    free(f);
    return open; /* a file that was left open fails the test */
}

static gemlet_status open_it(fixture *f) {
    return gemlet_container_open(&f->container, &f->port, "model.gguf", &f->error);
}

static void open_well(fixture *f) {
    gemlet_status status = open_it(f);
    if (status != GEMLET_OK) {
        fail_msg("%s", f->error.message);
    }
}

static void keys_are_found(void **state) {
    fixture *f = *state;
    uint32_t number;
    float real;
    bool truth;
    char text[16];
    open_well(f);
    gemlet_container *c = &f->container;
    assert_int_equal(gemlet_container_require_packed(c, &f->error), GEMLET_OK);
    assert_int_equal(gemlet_container_string(c, "general.architecture", text, sizeof text, &f->error), GEMLET_OK);
    assert_string_equal(text, "gemma3n");
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(gemlet_container_u32(c, "numbers", i, &number, &f->error), GEMLET_OK);
        assert_int_equal(number, 7 + i);
    }
    /* One number stands for every index. */
    assert_int_equal(gemlet_container_u32(c, "general.alignment", 5, &number, &f->error), GEMLET_OK);
    assert_int_equal(number, 64);
    assert_int_equal(gemlet_container_f32(c, "pi", 0, &real, &f->error), GEMLET_OK);
    assert_true(real == 3.14159274101257324f);
    assert_int_equal(gemlet_container_bool(c, "truth", 0, &truth, &f->error), GEMLET_OK);
    assert_true(truth);
    gemlet_container_close(c);
}

static void expect_key_error(fixture *f, gemlet_status status, const char *message) {
    assert_int_equal(status, GEMLET_ERROR_FORMAT);
    assert_string_equal(f->error.message, message);
}

static void wrong_keys_are_named(void **state) {
    fixture *f = *state;
    uint32_t number;
    float real;
    bool truth;
    char text[4];
    open_well(f);
    gemlet_container *c = &f->container;
    gemlet_error *e = &f->error;
    expect_key_error(f, gemlet_container_u32(c, "absent", 0, &number, e), "model.gguf: key \"absent\" is missing");
    expect_key_error(f, gemlet_container_u32(c, "numbers", 3, &number, e),
                     "model.gguf: key \"numbers\" must hold at least 4 numbers, but holds 3");
    expect_key_error(f, gemlet_container_u32(c, "pi", 0, &number, e), "model.gguf: key \"pi\" must hold whole numbers");
    expect_key_error(f, gemlet_container_u32(c, "negative", 0, &number, e), "model.gguf: key \"negative\" must not be negative");
    expect_key_error(f, gemlet_container_u32(c, "words", 0, &number, e),
                     "model.gguf: key \"words\" must hold numbers, but holds a string");
    expect_key_error(f, gemlet_container_f32(c, "numbers", 0, &real, e),
                     "model.gguf: key \"numbers\" must hold floating-point numbers");
    expect_key_error(f, gemlet_container_bool(c, "numbers", 0, &truth, e), "model.gguf: key \"numbers\" must hold true or false");
    expect_key_error(f, gemlet_container_string(c, "numbers", text, sizeof text, e),
                     "model.gguf: key \"numbers\" must hold a string");
    expect_key_error(f, gemlet_container_string(c, "general.architecture", text, sizeof text, e),
                     "model.gguf: key \"general.architecture\" must be shorter than 4 bytes, but has 7");
    gemlet_container_close(c);
}

static void keys_are_walked(void **state) {
    fixture *f = *state;
    char key[GEMLET_KEY_BYTES];
    gemlet_value value;
    uint64_t cursor = 0;
    uint32_t count = 0;
    open_well(f);
    while (gemlet_container_next_key(&f->container, &cursor, key, &value)) {
        count++;
    }
    assert_int_equal(count, 15);
    assert_string_equal(key, "negative");
    gemlet_container_close(&f->container);
}

/* Looking a key up passes the strings of arrays one by one: a packed file, which has its vocabulary elsewhere, has few. */
static void a_packed_file_has_few_strings_in_arrays(void **state) {
    fixture *f = *state;
    gguf_builder *b = &f->file;
    for (uint32_t i = 0; i < 4; i++) {
        const bool packed = i % 2 == 0;
        const uint32_t strings = i < 2 ? GEMLET_MAX_ARRAY_TEXTS : GEMLET_MAX_ARRAY_TEXTS + 1;
        b->length = 0;
        put_bytes(b, "GGUF", 4);
        put_u32(b, 3);
        put_u64(b, 0);
        put_u64(b, 3);
        for (uint32_t half = 0; half < 2; half++) {
            const uint32_t count = half == 0 ? 24 : strings - 24;
            put_string(b, half == 0 ? "few" : "many");
            put_u32(b, GEMLET_VALUE_ARRAY);
            put_u32(b, GEMLET_VALUE_STRING);
            put_u64(b, count);
            for (uint32_t k = 0; k < count; k++) {
                put_string(b, "");
            }
        }
        put_key_u32(b, packed ? "gemlet.version" : "other.version", 1);
        f->memory.size = b->length;
        gemlet_status status = gemlet_container_open(&f->container, &f->port, "model.gguf", &f->error);
        if (!packed) {
            assert_int_equal(status, GEMLET_OK);
            gemlet_container_close(&f->container);
        } else if (strings > GEMLET_MAX_ARRAY_TEXTS) {
            assert_int_equal(status, GEMLET_ERROR_UNSUPPORTED);
            assert_string_equal(f->error.message, "model.gguf: packed files have at most 1024 strings in arrays, found 1025");
        } else {
            assert_int_equal(status, GEMLET_ERROR_FORMAT); /* it has nothing else of a packed file */
            assert_null(strstr(f->error.message, "strings"));
        }
    }
}

static void check_data(fixture *f) {
    static const char *const names[6] = {"real", "matrix", "conv", "conv.scale", "depth", "blob"};
    for (uint32_t i = 0; i < 6; i++) {
        gemlet_tensor t;
        const void *data;
        uint64_t mapped = 0;
        unsigned char part[16];
        assert_int_equal(gemlet_container_tensor(&f->container, names[i], &t, &f->error), GEMLET_OK);
        assert_int_equal(t.index, i);
        assert_int_equal(t.offset, f->places.data[i]);
        assert_int_equal(gemlet_container_verify(&f->container, &t, &f->error), GEMLET_OK);
        assert_int_equal(gemlet_container_load(&f->container, &t, &f->arena, "test", &data, &mapped, &f->error), GEMLET_OK);
        assert_memory_equal(data, f->file.data + t.offset, t.bytes);
        assert_int_equal(mapped, f->memory.maps ? t.bytes : 0);
        assert_int_equal(gemlet_container_read(&f->container, &t, 3, part, sizeof part, &f->error), GEMLET_OK);
        assert_memory_equal(part, f->file.data + t.offset + 3, sizeof part);
        assert_int_equal(gemlet_container_read(&f->container, &t, t.bytes - 15, part, sizeof part, &f->error),
                         GEMLET_ERROR_ARGUMENT);
        assert_int_equal(gemlet_container_read(&f->container, &t, UINT64_MAX, part, sizeof part, &f->error), GEMLET_ERROR_ARGUMENT);
    }
}

static void tensors_are_mapped(void **state) {
    fixture *f = *state;
    open_well(f);
    check_data(f);
    assert_non_null(f->container.mapping);
    gemlet_container_close(&f->container);
    assert_null(f->container.mapping);
    assert_int_equal(f->memory.mappings, 1); /* for all of them */
}

static void tensors_are_read_where_nothing_maps(void **state) {
    fixture *f = *state;
    f->memory.maps = false;
    open_well(f);
    check_data(f);
    gemlet_container_close(&f->container);
    assert_int_equal(f->memory.mappings, 1); /* refused once, not asked for again */
    f->port.map = NULL;
    gemlet_arena_init(&f->arena, f->buffer, sizeof f->buffer, &f->error);
    open_well(f);
    check_data(f);
    gemlet_container_close(&f->container);
}

/* The name of tensor `number` of a long file; names have different lengths and stand in no order. */
static const char *long_name(char *out, uint32_t number) {
    snprintf(out, 32, "blk.%u.%s", number * 7919u % 1000u, number % 3 == 0 ? "weight" : "norm");
    return out;
}

/* An unpacked file of many tensors without data; the last one has the name of tensor `last`. */
static void build_long(gguf_builder *b, uint32_t count, uint32_t last) {
    char name[32];
    b->length = 0;
    put_bytes(b, "GGUF", 4);
    put_u32(b, 3);
    put_u64(b, count);
    put_u64(b, 0);
    for (uint32_t i = 0; i < count; i++) {
        put_string(b, long_name(name, i + 1 < count ? i : last));
        put_u32(b, 1);
        put_u64(b, 8);
        put_u32(b, 99); /* a type without data */
        put_u64(b, 0);
    }
}

enum { LONG = 900 };

static void check_found(fixture *f, uint32_t number) {
    char name[32];
    gemlet_tensor t;
    assert_true(gemlet_container_has_tensor(&f->container, long_name(name, number)));
    assert_true(gemlet_container_find_tensor(&f->container, name, &t));
    assert_int_equal(t.index, number);
    assert_string_equal(t.name, name);
}

static void names_are_found_in_any_order(void **state) {
    fixture *f = *state;
    char name[GEMLET_NAME_BYTES + 8];
    build_long(&f->file, LONG, LONG - 1);
    f->memory.size = f->file.length;
    open_well(f);
    for (uint32_t i = 0; i < LONG; i++) {
        check_found(f, i);
        check_found(f, i * 37 % LONG);
        check_found(f, LONG - 1 - i);
        snprintf(name, sizeof name, "blk.%u.bias", i);
        assert_false(gemlet_container_has_tensor(&f->container, name));
    }
    for (uint32_t i = 0; i < 10000; i++) { /* some look as if they were there */
        snprintf(name, sizeof name, "absent.%u", i);
        assert_false(gemlet_container_has_tensor(&f->container, name));
    }
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0'; /* longer than any tensor's */
    assert_false(gemlet_container_has_tensor(&f->container, name));
    gemlet_container_close(&f->container);
    assert_true(f->container.file == NULL && f->container.mapping == NULL);
    assert_int_equal(f->container.tensor_count + f->container.key_count, 0);
}

static void a_name_that_is_there_twice_is_refused(void **state) {
    fixture *f = *state;
    char expected[96], name[32];
    for (uint32_t i = 0; i < LONG - 1; i += 61) {
        build_long(&f->file, LONG, i);
        f->memory.size = f->file.length;
        assert_int_equal(open_it(f), GEMLET_ERROR_FORMAT);
        snprintf(expected, sizeof expected, "model.gguf: tensor \"%s\" is there twice", long_name(name, i));
        assert_string_equal(f->error.message, expected);
    }
}

static void shapes_are_described(void **state) {
    fixture *f = *state;
    gemlet_tensor t;
    gemlet_matrix m;
    open_well(f);
    assert_true(gemlet_container_find_tensor(&f->container, "depth", &t));
    assert_int_equal(t.kind, GEMLET_KIND_REAL_CONV);
    assert_int_equal(t.rows, 4);
    assert_int_equal(t.columns, 1);
    assert_int_equal(t.taps, 9);
    assert_false(gemlet_tensor_matrix(&t, &m));
    assert_true(gemlet_container_find_tensor(&f->container, "matrix", &t));
    assert_true(gemlet_tensor_matrix(&t, &m));
    assert_int_equal(m.rows, 16);
    assert_int_equal(m.columns, 32);
    assert_int_equal(m.type, GEMLET_Q4_0);
    assert_int_equal(m.packing, GEMLET_PACKED_PANELS);
    assert_false(gemlet_container_find_tensor(&f->container, "matri", &t));
    assert_int_equal(gemlet_container_tensor(&f->container, "absent", &t, &f->error), GEMLET_ERROR_FORMAT);
    assert_string_equal(f->error.message, "model.gguf: tensor \"absent\" is missing");
    gemlet_container_close(&f->container);
}

/* A plan has no memory: what would be read is counted. */
static void a_counting_arena_counts(void **state) {
    fixture *f = *state;
    gemlet_tensor t;
    const void *data;
    f->memory.maps = false;
    gemlet_arena_init_counting(&f->arena);
    open_well(f);
    assert_true(gemlet_container_find_tensor(&f->container, "blob", &t));
    assert_int_equal(t.index, 5);
    assert_int_equal(f->arena.kept, 0);
    assert_int_equal(gemlet_container_load(&f->container, &t, &f->arena, "test", &data, NULL, &f->error), GEMLET_OK);
    assert_null(data);
    assert_int_equal(f->arena.kept, 128);
    gemlet_container_close(&f->container);
}

static void damage_is_found(void **state) {
    fixture *f = *state;
    gemlet_tensor t;
    for (size_t i = 0; i < 6; i++) {
        f->file.data[f->places.data[i] + 7] ^= 4;
    }
    open_well(f);
    uint64_t cursor = 0;
    for (uint32_t i = 0; i < 6; i++) {
        assert_true(gemlet_container_next_tensor(&f->container, &cursor, i, &t));
        assert_int_equal(gemlet_container_verify(&f->container, &t, &f->error), GEMLET_ERROR_FORMAT);
        assert_non_null(strstr(f->error.message, "\" is damaged: CRC-32 "));
    }
    gemlet_container_close(&f->container);
}

/* Everything before the last tensor's end is needed. */
static void a_cut_file_is_refused(void **state) {
    fixture *f = *state;
    size_t end = f->places.data[5] + 100;
    for (size_t size = 0; size < end; size++) {
        f->memory.size = size;
        gemlet_arena_init(&f->arena, f->buffer, sizeof f->buffer, &f->error);
        gemlet_status status = open_it(f);
        if (status != GEMLET_ERROR_FORMAT || strncmp(f->error.message, "model.gguf: ", 12) != 0) {
            fail_msg("%zu bytes: status %d, \"%s\"", size, (int)status, f->error.message);
        }
    }
    f->memory.size = end;
    open_well(f);
    gemlet_container_close(&f->container);
}

static void a_failing_port_is_an_error(void **state) {
    fixture *f = *state;
    fault_port fault;
    gemlet_port failing;
    fault_port_open(&fault, &f->port, &failing);
    for (uint64_t call = 1;; call++) {
        fault.calls = 0;
        fault.fail_call = call;
        gemlet_arena_init(&f->arena, f->buffer, sizeof f->buffer, &f->error);
        gemlet_status status = gemlet_container_open(&f->container, &failing, "model.gguf", &f->error);
        if (fault.calls < call) {
            assert_int_equal(status, GEMLET_OK);
            gemlet_container_close(&f->container);
            assert_true(call > 16);
            break;
        }
        if (status == GEMLET_OK) {
            fail_msg("call %u failed and was not noticed", (unsigned)call);
        }
        assert_int_equal(fault.open_files, 0);
    }
}

/* After opening, too, a port that fails is not mistaken for a file that lacks something. */
static void a_port_that_fails_later_is_an_error(void **state) {
    fixture *f = *state;
    fault_port fault;
    gemlet_port failing;
    gemlet_tensor t;
    uint32_t number;
    fault_port_open(&fault, &f->port, &failing);
    assert_int_equal(gemlet_container_open(&f->container, &failing, "model.gguf", &f->error), GEMLET_OK);
    fault.fail_call = fault.calls + 1;
    fault.fail_every_later = true;
    assert_int_equal(gemlet_container_u32(&f->container, "numbers", 0, &number, &f->error), GEMLET_ERROR_IO);
    assert_string_equal(f->error.message, "model.gguf: can't be read");
    assert_int_equal(gemlet_container_tensor(&f->container, "blob", &t, &f->error), GEMLET_ERROR_IO);
    assert_string_equal(f->error.message, "model.gguf: can't be read");
    gemlet_container_close(&f->container);
}

/* Nor where what fails is the reading of a value that was found: none of these fits into what is held of the file. */
static void a_value_that_cannot_be_read_is_an_error(void **state) {
    fixture *f = *state;
    fault_port fault;
    gemlet_port failing;
    uint32_t number, numbers[700] = {0};
    char text[4096];
    gguf_builder *b = &f->file;
    b->length = 0;
    put_bytes(b, "GGUF", 4);
    put_u32(b, 3);
    put_u64(b, 0);
    put_u64(b, 2);
    memset(text, 'x', 3000);
    text[3000] = '\0';
    put_key_string(b, "text", text);
    put_key_u32s(b, "numbers", numbers, 700);
    f->memory.size = b->length;
    fault_port_open(&fault, &f->port, &failing);
    assert_int_equal(gemlet_container_open(&f->container, &failing, "model.gguf", &f->error), GEMLET_OK);
    for (uint64_t call = 1; call <= 3; call++) {
        for (int what = 0; what < 2; what++) {
            fault.calls = 0;
            fault.fail_call = call;
            f->container.unreadable = false;
            f->container.window_length = 0;
            gemlet_status status = what == 0 ? gemlet_container_string(&f->container, "text", text, sizeof text, &f->error)
                                             : gemlet_container_u32(&f->container, "numbers", 699, &number, &f->error);
            assert_int_equal(fault.injected, 2 * call - 1 + (unsigned)what);
            assert_int_equal(status, GEMLET_ERROR_IO);
            assert_string_equal(f->error.message, "model.gguf: can't be read");
        }
    }
    gemlet_container_close(&f->container);
}

static void an_unpacked_file_says_what_to_do(void **state) {
    fixture *f = *state;
    size_t at = find_text(&f->file, "gemlet.version");
    f->file.data[at] = 'x';
    open_well(f);
    assert_false(f->container.packed);
    assert_int_equal(gemlet_container_require_packed(&f->container, &f->error), GEMLET_ERROR_UNSUPPORTED);
    assert_non_null(strstr(f->error.message, "run gemlet-pack"));
    gemlet_container_close(&f->container);
}

static void crc_is_that_of_zlib(void **state) {
    (void)state;
    assert_int_equal(gemlet_crc32(0, "123456789", 9), 0xCBF43926);
    assert_int_equal(gemlet_crc32(gemlet_crc32(0, "1234", 4), "56789", 5), 0xCBF43926);
    assert_int_equal(gemlet_crc32(0, "", 0), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(keys_are_found),
        TEST(wrong_keys_are_named),
        TEST(keys_are_walked),
        TEST(a_packed_file_has_few_strings_in_arrays),
        TEST(tensors_are_mapped),
        TEST(tensors_are_read_where_nothing_maps),
        TEST(names_are_found_in_any_order),
        TEST(a_name_that_is_there_twice_is_refused),
        TEST(shapes_are_described),
        TEST(a_counting_arena_counts),
        TEST(damage_is_found),
        TEST(a_cut_file_is_refused),
        TEST(a_failing_port_is_an_error),
        TEST(a_port_that_fails_later_is_an_error),
        TEST(a_value_that_cannot_be_read_is_an_error),
        TEST(an_unpacked_file_says_what_to_do),
        cmocka_unit_test(crc_is_that_of_zlib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
