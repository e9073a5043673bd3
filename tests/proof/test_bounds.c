/* Every bound of what reads strangers' bytes, from both sides: the first value that is refused and the last that is not.  What is
 * small is compared with its definition over all of its inputs. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/carver.h"
#include "core/crc32.h"
#include "core/quant/row_scaled.h"
#include "core/text.h"
#include "core/utf8.h"
#include "model/container/cursor.h"
#include "model/container/key_reader.h"
#include "model/container/loader.h"
#include "model/container/names.h"
#include "tests/container/gguf_builder.h"
#include "tests/container/memory_port.h"
#include "tests/support/fault_port.h"

/* ---- UTF-8 ---- */

/* RFC 3629, section 4, word by word: the ranges of the second byte by the first. */
static size_t valid_length(const unsigned char *b) {
    static const struct {
        unsigned char first, last, low, high;
        size_t length;
    } rows[] = {{0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
                {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
                {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (b[0] >= rows[i].first && b[0] <= rows[i].last) {
            bool valid = rows[i].length == 1 || (b[1] >= rows[i].low && b[1] <= rows[i].high);
            for (size_t k = 2; k < rows[i].length; k++) {
                valid = valid && b[k] >= 0x80 && b[k] <= 0xBF;
            }
            return valid ? rows[i].length : 0;
        }
    }
    return 0;
}

/* Of each byte those that lie beside an end of a range. */
static const unsigned char edges[] = {0x00, 0x1F, 0x20, 0x7E, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xA1,
                                      0xBF, 0xC0, 0xC1, 0xC2, 0xC3, 0xDF, 0xE0, 0xED, 0xF0, 0xF4, 0xFF};

static size_t expected_of_lead(unsigned char lead) {
    return lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF8 ? 4 : 0;
}

/* What reading `bytes` of the sequence must answer: whole, cut off, or no character. */
static int expected_read(const unsigned char *b, size_t bytes) {
    size_t length = expected_of_lead(b[0]);
    for (size_t i = 1; i < length; i++) {
        if (i == bytes) {
            return 0;
        }
        if (b[i] < 0x80 || b[i] > 0xBF) {
            return -1;
        }
    }
    return valid_length(b) > 0 ? (int)length : -1;
}

static void for_all_sequences(void (*check)(const unsigned char *b)) {
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            for (size_t i = 0; i < sizeof edges; i += first < 0xE0 ? 7 : 1) {
                for (size_t k = 0; k < sizeof edges; k += first < 0xF0 ? 7 : 1) {
                    const unsigned char b[4] = {(unsigned char)first, (unsigned char)second, edges[i], edges[k]};
                    check(b);
                }
            }
        }
    }
}

static void check_read(const unsigned char *b) {
    for (size_t bytes = 1; bytes <= 4; bytes++) {
        uint32_t character = 0;
        int found = gemlet_utf8_read(b, bytes, &character), wanted = expected_read(b, bytes);
        if (found != wanted) {
            fail_msg("%02X %02X %02X %02X, %zu bytes: %d expected, %d found", b[0], b[1], b[2], b[3], bytes, wanted, found);
        }
        unsigned char again[4];
        if (found > 0 && (gemlet_utf8_write(character, again) != (size_t)found || memcmp(again, b, (size_t)found) != 0)) {
            fail_msg("%02X %02X %02X %02X is written otherwise", b[0], b[1], b[2], b[3]);
        }
        size_t valid = 0;
        for (int next = wanted; next > 0; next = valid < bytes ? expected_read(b + valid, bytes - valid) : 0) {
            valid += (size_t)next;
        }
        assert_int_equal(gemlet_utf8_valid(b, bytes), valid == bytes);
    }
}

static void utf8_is_that_of_the_standard(void **state) {
    (void)state;
    for_all_sequences(check_read);
    for (uint32_t character = 0; character <= 0x10FFFF; character++) {
        unsigned char bytes[4] = {0};
        uint32_t again = 0;
        if (character >= 0xD800 && character <= 0xDFFF) {
            continue;
        }
        size_t length = gemlet_utf8_write(character, bytes);
        if (length != valid_length(bytes) || gemlet_utf8_read(bytes, length, &again) != (int)length || again != character) {
            fail_msg("U+%X", (unsigned)character);
        }
    }
}

/* A message shows what can be printed, and a question mark for each byte that can't. */
static void check_message(const unsigned char *b) {
    char wanted[8];
    size_t used = 0;
    gemlet_error error = {GEMLET_OK, ""};
    for (size_t i = 0; i < 4;) {
        unsigned char rest[8] = {0};
        memcpy(rest, b + i, 4 - i);
        size_t length = valid_length(rest);
        bool control = rest[0] < 0x20 || rest[0] == 0x7F || (rest[0] == 0xC2 && rest[1] < 0xA0);
        length = length > 4 - i || control ? 0 : length;
        wanted[used] = '?';
        memcpy(wanted + used, rest, length);
        used += length > 0 ? length : 1;
        i += length > 0 ? length : 1;
    }
    wanted[used] = '\0';
    gemlet_error_bytes(&error, (const char *)b, 4);
    if (strcmp(error.message, wanted) != 0) {
        fail_msg("%02X %02X %02X %02X: \"%s\" expected, \"%s\" found", b[0], b[1], b[2], b[3], wanted, error.message);
    }
}

static void messages_are_printable(void **state) {
    (void)state;
    for_all_sequences(check_message);
    /* A text whose last character is cut off, in memory that goes on. */
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_error_bytes(&error, "ab\xE2\x96\x81", 4);
    assert_string_equal(error.message, "ab??");
}

/* A character that does not fit ends the message before it. */
static void messages_end_with_a_character(void **state) {
    (void)state;
    static const char *const characters[] = {"x", "\xC3\xA9", "\xE2\x96\x81", "\xF0\x9F\x90\xA8"};
    for (size_t room = 0; room < 6; room++) {
        for (size_t i = 0; i < 4; i++) {
            gemlet_error error = {GEMLET_OK, ""};
            size_t length = sizeof error.message - 1 - room;
            memset(error.message, 'a', length);
            error.message[length] = '\0';
            gemlet_error_text(&error, characters[i]);
            gemlet_error_text(&error, "");
            assert_int_equal(strlen(error.message), length + (i + 1 <= room ? i + 1 : 0));
            assert_int_equal(error.message[length - 1], 'a');
            assert_true(i + 1 > room || strcmp(error.message + length, characters[i]) == 0);
        }
    }
}

/* ---- Arrays cut off memory ---- */

static void arrays_are_aligned(void **state) {
    (void)state;
    static const size_t bytes[][2] = {{0, 0}, {1, 64}, {63, 64}, {64, 64}, {65, 128}, {128, 128}, {1000, 1024}};
    unsigned char memory[8192];
    gemlet_carver counting = {NULL, 0}, carver = {memory, 0};
    size_t used = 0;
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        assert_int_equal(gemlet_aligned(bytes[i][0]), bytes[i][1]);
        assert_null(gemlet_carve(&counting, bytes[i][0], 3));
        assert_ptr_equal(gemlet_carve(&carver, bytes[i][0], 3), memory + used);
        used += (3 * bytes[i][0] + 63) / 64 * 64;
        assert_int_equal(counting.used, used);
        assert_int_equal(carver.used, used);
    }
}

static void memory_is_aligned_and_enough(void **state) {
    (void)state;
    static _Alignas(64) unsigned char memory[192];
    gemlet_error error = {GEMLET_OK, ""};
    assert_int_equal(gemlet_check_memory("table", memory, 128, 128, &error), GEMLET_OK);
    assert_int_equal(gemlet_check_memory("table", memory + 1, 191, 128, &error), GEMLET_ERROR_ALIGNMENT);
    assert_string_equal(error.message, "table: expected memory at a multiple of 64");
    assert_int_equal(gemlet_check_memory("table", memory, 127, 128, &error), GEMLET_ERROR_MEMORY);
    assert_string_equal(error.message, "table: expected 128 bytes of memory, found 127");
}

/* ---- Types ---- */

static void types_are_those_of_ggml(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t elements, bytes;
    } wanted[] = {
        {"F32", 1, 4},      {"F16", 1, 2},      {"Q4_0", 32, 18},   {"Q4_1", 32, 20}, {0, 0, 0},         {0, 0, 0},
        {"Q5_0", 32, 22},   {"Q5_1", 32, 24},   {"Q8_0", 32, 34},   {"Q8_1", 0, 0},   {"Q2_K", 256, 84}, {"Q3_K", 256, 110},
        {"Q4_K", 256, 144}, {"Q5_K", 256, 176}, {"Q6_K", 256, 210}, {"Q8_K", 0, 0},   {"IQ2_XXS", 0, 0}, {"IQ2_XS", 0, 0},
        {"IQ3_XXS", 0, 0},  {"IQ1_S", 0, 0},    {"IQ4_NL", 32, 18}, {"IQ3_S", 0, 0},  {"IQ2_S", 0, 0},   {"IQ4_XS", 256, 136},
        {"I8", 1, 1},       {"I16", 0, 0},      {"I32", 0, 0},      {"I64", 0, 0},    {"F64", 0, 0},     {"IQ1_M", 0, 0},
        {"BF16", 1, 2},     {0, 0, 0},          {0, 0, 0},          {0, 0, 0},        {"TQ1_0", 0, 0},   {"TQ2_0", 0, 0},
        {0, 0, 0},          {0, 0, 0},          {0, 0, 0},          {"MXFP4", 0, 0},  {"NVFP4", 0, 0},   {"Q1_0", 0, 0},
        {0, 0, 0},          {0, 0, 0}};
    for (uint32_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        uint32_t elements = 9, bytes = 9;
        assert_int_equal(gemlet_type_block(i, &elements, &bytes), wanted[i].elements > 0);
        assert_int_equal(elements, wanted[i].elements);
        assert_int_equal(bytes, wanted[i].bytes);
        assert_string_equal(gemlet_type_name(i), wanted[i].name != NULL ? wanted[i].name : "unknown");
    }
    assert_string_equal(gemlet_type_name(UINT32_MAX), "unknown");
}

static void kinds_are_matrices_or_not(void **state) {
    (void)state;
    static const char *const names[] = {"plain",     "q4_0 panels",  "q4_0 rows",        "q4_0 columns",     "q8_0 panels",
                                        "q8_0 rows", "q8_0 columns", "int8 convolution", "real convolution", "blob",
                                        "w2 panels", "w4 panels",    "w8 panels",        "w2 rows",          "w4 rows",
                                        "w8 rows"};
    static const int types[] = {-1, GEMLET_Q4_0, GEMLET_Q4_0, GEMLET_Q4_0, GEMLET_Q8_0, GEMLET_Q8_0, GEMLET_Q8_0, -1,
                                -1, -1,          GEMLET_W2,   GEMLET_W4,   GEMLET_W8,   GEMLET_W2,   GEMLET_W4,   GEMLET_W8};
    static const int packings[] = {0, 0, 1, 2, 0, 1, 2, 0, 0, 0, 0, 0, 0, 1, 1, 1};
    assert_int_equal(sizeof names / sizeof *names, GEMLET_KINDS);
    for (uint32_t i = 0; i < GEMLET_KINDS; i++) {
        gemlet_tensor tensor = {.kind = (gemlet_tensor_kind)i, .rows = 5, .columns = 7};
        gemlet_matrix matrix = {.rows = 99};
        assert_string_equal(gemlet_kind_name(i), names[i]);
        assert_int_equal(gemlet_tensor_matrix(&tensor, &matrix), types[i] >= 0);
        if (types[i] >= 0) {
            assert_int_equal(matrix.type, types[i]);
            assert_int_equal(matrix.packing, packings[i]);
            assert_true(matrix.rows == 5 && matrix.columns == 7 && matrix.data == NULL);
            assert_int_equal(gemlet_kind_of_matrix(matrix.type, matrix.packing), i);
        } else {
            assert_int_equal(matrix.rows, 99);
        }
    }
    assert_null(gemlet_kind_name(GEMLET_KINDS));
    for (int type = GEMLET_W2; type <= GEMLET_W8; type++) {
        assert_int_equal(gemlet_kind_of_matrix((gemlet_weight_type)type, GEMLET_PACKED_COLUMNS), GEMLET_KINDS);
    }
}

static void names_are_hashed_by_fnv(void **state) {
    (void)state;
    assert_true(gemlet_name_hash("") == UINT64_C(0xCBF29CE484222325));
    assert_true(gemlet_name_hash("a") == UINT64_C(0xAF63DC4C8601EC8C));
    assert_true(gemlet_name_hash("foobar") == UINT64_C(0x85944171F73967E8));
}

/* ---- The cursor ---- */

enum { FILE_BYTES = 3000 };

typedef struct desk {
    unsigned char bytes[FILE_BYTES];
    memory_file file;
    gemlet_port below, port;
    fault_port fault;
    gemlet_container container;
} desk;

/* A container over `size` bytes of which nothing has been read. */
static void desk_open(desk *d, size_t size) {
    for (size_t i = 0; i < FILE_BYTES; i++) {
        d->bytes[i] = (unsigned char)(i * 7 + i / 256 + 1);
    }
    d->file = (memory_file){.data = d->bytes, .size = size};
    memory_port_open(&d->file, &d->below);
    fault_port_open(&d->fault, &d->below, &d->port);
    memset(&d->container, 0, sizeof d->container);
    d->container.port = &d->port;
    d->container.size = size;
    d->container.path = "F";
    d->container.file = d->port.open(d->port.context, "F");
    d->fault.calls = 0;
}

static void any_bytes_are_those_of_the_file(void **state) {
    (void)state;
    static desk d;
    static const size_t starts[] = {0, 1, 1023, 1024, 1025, 2047, 2999, 3000}, lengths[] = {0, 1, 2, 1023, 1024, 1025, 2500};
    for (size_t i = 0; i < 64; i++) {
        size_t before = starts[i / 8], from = starts[i % 8];
        for (size_t k = 0; k < 7; k++) {
            unsigned char out[2501];
            desk_open(&d, FILE_BYTES);
            gemlet_cursor at = gemlet_cursor_at(&d.container, before);
            gemlet_cursor_bytes(&at, out, before < FILE_BYTES ? 1 : 0); /* the window stands somewhere */
            assert_false(at.failed);
            at = gemlet_cursor_at(&d.container, from);
            memset(out, 0xEE, sizeof out);
            gemlet_cursor_bytes(&at, out, lengths[k]);
            bool inside = from + lengths[k] <= FILE_BYTES;
            assert_int_equal(at.failed, !inside);
            assert_false(at.unreadable);
            assert_int_equal(at.position, inside ? from + lengths[k] : from);
            for (size_t b = 0; b < lengths[k]; b++) {
                assert_int_equal(out[b], inside ? d.bytes[from + b] : 0);
            }
            assert_int_equal(out[lengths[k]], 0xEE);
        }
    }
}

/* Reading on in what is held asks the port for nothing. */
static void the_window_is_used(void **state) {
    (void)state;
    static desk d;
    unsigned char out[1024];
    desk_open(&d, FILE_BYTES);
    gemlet_cursor at = gemlet_cursor_at(&d.container, 100);
    gemlet_cursor_bytes(&at, out, 1);
    for (uint64_t position = 100; position < 1124; position += 128) {
        at = gemlet_cursor_at(&d.container, position);
        gemlet_cursor_bytes(&at, out, 128);
    }
    assert_int_equal(d.fault.calls, 1);
    at = gemlet_cursor_at(&d.container, 99);
    gemlet_cursor_bytes(&at, out, 1);
    assert_int_equal(d.fault.calls, 2);
    at = gemlet_cursor_at(&d.container, 1123);
    gemlet_cursor_bytes(&at, out, 1);
    assert_int_equal(d.fault.calls, 3);
}

static void numbers_are_little_endian(void **state) {
    (void)state;
    static desk d;
    desk_open(&d, FILE_BYTES);
    memcpy(d.bytes + 1020, "\x01\x82\x03\x84\x05\x86\x07\x88", 8); /* over the end of a window that starts at 0 */
    gemlet_cursor at = gemlet_cursor_at(&d.container, 0);
    assert_int_equal(gemlet_cursor_u32(&at),
                     (uint32_t)d.bytes[0] | (uint32_t)d.bytes[1] << 8 | (uint32_t)d.bytes[2] << 16 | (uint32_t)d.bytes[3] << 24);
    at = gemlet_cursor_at(&d.container, 1020);
    assert_true(gemlet_cursor_u32(&at) == 0x84038201u);
    at = gemlet_cursor_at(&d.container, 1020);
    assert_true(gemlet_cursor_u64(&at) == UINT64_C(0x8807860584038201));
    assert_int_equal(at.position, 1028);
    at = gemlet_cursor_at(&d.container, FILE_BYTES - 8);
    (void)gemlet_cursor_u64(&at);
    assert_false(at.failed);
    assert_int_equal(gemlet_cursor_u32(&at), 0);
    assert_true(at.failed && !at.unreadable);
    at = gemlet_cursor_at(&d.container, 8);
    at.failed = true; /* once failed, nothing more is read */
    assert_int_equal(gemlet_cursor_u64(&at), 0);
    assert_int_equal(at.position, 8);
}

static void skipping_stays_inside(void **state) {
    (void)state;
    static desk d;
    desk_open(&d, FILE_BYTES);
    for (uint64_t from = FILE_BYTES - 2; from <= FILE_BYTES + 1; from++) {
        static const uint64_t lengths[] = {0, 1, 2, 3, FILE_BYTES, UINT64_MAX - FILE_BYTES, UINT64_MAX};
        for (size_t i = 0; i < 7; i++) {
            gemlet_cursor at = gemlet_cursor_at(&d.container, from);
            bool inside = from <= FILE_BYTES && lengths[i] <= FILE_BYTES - from;
            gemlet_cursor_skip(&at, lengths[i]);
            assert_int_equal(at.failed, !inside);
            assert_int_equal(at.position, inside ? from + lengths[i] : from);
        }
    }
    gemlet_cursor at = gemlet_cursor_at(&d.container, 5);
    at.failed = true;
    gemlet_cursor_skip(&at, 1);
    assert_int_equal(at.position, 5);
}

static void strings_end_where_the_buffer_does(void **state) {
    (void)state;
    static desk d;
    for (size_t capacity = 1; capacity <= 8; capacity++) {
        for (uint64_t length = 0; length <= 9; length++) {
            char out[10];
            desk_open(&d, 100);
            memset(d.bytes + 20, 0, 8);
            d.bytes[20] = (unsigned char)length;
            memset(out, 'E', sizeof out);
            gemlet_cursor at = gemlet_cursor_at(&d.container, 20);
            assert_int_equal(gemlet_cursor_string(&at, out, capacity), length);
            size_t part = length < capacity ? (size_t)length : capacity - 1;
            assert_false(at.failed);
            assert_int_equal(at.position, 28 + length);
            assert_memory_equal(out, d.bytes + 28, part);
            assert_int_equal(out[part], '\0');
            for (size_t i = part + 1; i < sizeof out; i++) {
                assert_int_equal(out[i], 'E');
            }
        }
    }
    for (uint64_t length = 71; length <= 73; length++) { /* 72 end the file */
        char out[4] = "EEE";
        d.bytes[20] = (unsigned char)length;
        gemlet_cursor at = gemlet_cursor_at(&d.container, 20);
        d.container.window_length = 0;
        assert_int_equal(gemlet_cursor_string(&at, out, sizeof out), length);
        assert_int_equal(at.failed, length > 72);
        assert_memory_equal(out, length > 72 ? "\0EE" : (const char *)d.bytes + 28, 3);
    }
}

/* Each call of the port that fails is told from the file's end. */
static void a_port_that_fails_is_told(void **state) {
    (void)state;
    static desk d;
    for (int what = 0; what < 4; what++) {
        for (uint64_t call = 1; call <= 3; call++) {
            unsigned char out[2600];
            char text[2000];
            desk_open(&d, FILE_BYTES);
            memset(d.bytes + 20, 0, 8);
            d.bytes[20] = 0xD0;
            d.bytes[21] = 7; /* 2,000 bytes */
            d.fault.fail_call = what % 2 == 0 ? call : 0;
            d.fault.short_call = what % 2 == 1 ? call : 0;
            memset(out, 0xEE, sizeof out);
            gemlet_cursor at = gemlet_cursor_at(&d.container, 20);
            if (what < 2) {
                gemlet_cursor_bytes(&at, out, 2500); /* three windows */
                for (size_t i = 0; i < 2500; i++) {
                    assert_int_equal(out[i], i < 1024 * (call - 1) ? d.bytes[20 + i] : 0);
                }
                assert_int_equal(out[2500], 0xEE);
            } else {
                assert_int_equal(gemlet_cursor_string(&at, text, sizeof text), call == 1 ? 0 : 2000);
                assert_true(call > 2 || text[0] == (call == 1 ? '\0' : (char)d.bytes[28]));
            }
            assert_int_equal(at.failed, what < 2 || call < 3);
            assert_int_equal(at.unreadable, what < 2 || call < 3);
            assert_int_equal(d.container.unreadable, what < 2 || call < 3);
        }
    }
}

/* Writes a value's description at the start and asks for it. */
static const char *value_of(desk *d, uint32_t type, uint32_t inner, uint64_t count, gemlet_value *value, gemlet_cursor *at) {
    const char *problem = "none was told";
    const uint64_t numbers[] = {inner, count};
    size_t used = 4;
    desk_open(d, 64);
    memset(d->bytes, 0, 64);
    memcpy(d->bytes, &type, 4); /* the machines of the tests are little-endian */
    if (type == GEMLET_VALUE_ARRAY) {
        memcpy(d->bytes + used, &numbers[0], 4);
        used += 4;
    }
    memcpy(d->bytes + used, &numbers[1], type == GEMLET_VALUE_ARRAY || type == GEMLET_VALUE_STRING ? 8 : 0);
    *at = gemlet_cursor_at(&d->container, 0);
    *value = (gemlet_value){.count = 99};
    gemlet_cursor_value(at, value, &problem);
    assert_int_equal(value->type, type == GEMLET_VALUE_ARRAY ? inner : type);
    assert_int_equal(value->array, type == GEMLET_VALUE_ARRAY);
    assert_int_equal(at->failed, problem != NULL);
    return problem;
}

static void values_end_in_the_file(void **state) {
    (void)state;
    static desk d;
    static const uint32_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8, 0};
    gemlet_value value;
    gemlet_cursor at;
    for (uint32_t type = 0; type < 14; type++) {
        assert_int_equal(gemlet_value_bytes(type), bytes[type]);
        if (bytes[type] > 0) {
            assert_null(value_of(&d, type, 0, 0, &value, &at));
            assert_int_equal(at.position, 4 + bytes[type]);
            assert_int_equal(value.offset, 4);
            assert_int_equal(value.count, 1);
            uint64_t most = (64 - 16) / bytes[type];
            assert_null(value_of(&d, GEMLET_VALUE_ARRAY, type, most, &value, &at));
            assert_int_equal(at.position, 16 + most * bytes[type]);
            assert_int_equal(value.offset, 16);
            assert_int_equal(value.count, most);
            assert_string_equal(value_of(&d, GEMLET_VALUE_ARRAY, type, most + 1, &value, &at),
                                "is an array that is longer than the file");
            assert_null(value_of(&d, GEMLET_VALUE_ARRAY, type, 0, &value, &at));
        }
    }
    assert_string_equal(value_of(&d, 13, 0, 0, &value, &at), "has an unknown type");
    assert_string_equal(value_of(&d, GEMLET_VALUE_ARRAY, 13, 0, &value, &at), "is an array of an unknown type");
    assert_string_equal(value_of(&d, GEMLET_VALUE_ARRAY, GEMLET_VALUE_ARRAY, 0, &value, &at),
                        "is an array of arrays, which is not supported");
    assert_null(value_of(&d, GEMLET_VALUE_STRING, 0, 52, &value, &at));
    assert_int_equal(at.position, 64);
    assert_int_equal(value.count, 52);
    assert_string_equal(value_of(&d, GEMLET_VALUE_STRING, 0, 53, &value, &at), "is a string that is longer than the file");
    assert_null(value_of(&d, GEMLET_VALUE_ARRAY, GEMLET_VALUE_STRING, 6, &value, &at)); /* of no bytes each */
    assert_int_equal(at.position, 64);
    assert_string_equal(value_of(&d, GEMLET_VALUE_ARRAY, GEMLET_VALUE_STRING, 7, &value, &at),
                        "is an array that is longer than the file");
}

static void values_that_are_cut_are_told(void **state) {
    (void)state;
    static desk d;
    static const size_t sizes[][2] = {{3, 0}, {7, 4}, {11, 10}, {11, 8}, {15, 9}, {7, 9}};
    const char *problem = NULL;
    gemlet_value value;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        desk_open(&d, sizes[i][0]);
        memset(d.bytes, 0, 64);
        d.bytes[0] = (unsigned char)sizes[i][1];
        gemlet_cursor at = gemlet_cursor_at(&d.container, 0);
        gemlet_cursor_value(&at, &value, &problem);
        assert_string_equal(problem, "ends beyond the file");
        assert_true(at.failed && !at.unreadable);
        desk_open(&d, i > 0 ? sizes[i][0] : 64);
        d.fault.fail_call = 1;
        at = gemlet_cursor_at(&d.container, 0);
        gemlet_cursor_value(&at, &value, &problem);
        assert_null(problem); /* it is the port */
        assert_true(at.failed && at.unreadable);
    }
    desk_open(&d, 64); /* an array of one string that is longer than what is left */
    memset(d.bytes, 0, 64);
    d.bytes[0] = GEMLET_VALUE_ARRAY;
    d.bytes[4] = GEMLET_VALUE_STRING;
    d.bytes[8] = 1;
    for (unsigned char length = 40; length <= 41; length++) {
        d.bytes[16] = length;
        d.container.window_length = 0;
        gemlet_cursor at = gemlet_cursor_at(&d.container, 0);
        gemlet_cursor_value(&at, &value, &problem);
        assert_int_equal(problem != NULL, length == 41);
        assert_true(length == 40 || strcmp(problem, "holds a string that is longer than the file") == 0);
    }
}

static void reals_are_written_for_people(void **state) {
    (void)state;
    static const struct {
        double number;
        const char *text;
    } cases[] = {{0.0, "0"},
                 {-0.0, "0"},
                 {1.0, "1"},
                 {-12.5, "-12.5"},
                 {0.95, "0.95"},
                 {0.0001, "0.0001"},
                 {0.00001, "1e-5"},
                 {100.0, "100"},
                 {12345678.0, "12345678"},
                 {99999999.6, "1e8"},
                 {123456789.0, "1.2345679e8"},
                 {(double)1.0000001f, "1.0000001"},
                 {(double)0.1f, "0.1"},
                 {(double)-1e-30f, "-1e-30"},
                 {DBL_MAX, "1.7976931e308"},
                 {-DBL_MIN, "-2.2250739e-308"},
                 {(double)INFINITY, "infinity"},
                 {(double)-INFINITY, "-infinity"},
                 {(double)NAN, "NaN"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[GEMLET_REAL_CHARACTERS + 1];
        memset(out, 'E', sizeof out);
        size_t length = gemlet_text_real(out, cases[i].number);
        assert_in_range(length, 1, GEMLET_REAL_CHARACTERS);
        assert_int_equal(out[length], 'E');
        out[length] = '\0';
        assert_string_equal(out, cases[i].text);
    }
}

/* ---- Keys ---- */

typedef struct opened {
    gguf_builder b;
    memory_file file;
    gemlet_port port;
    gemlet_container container;
    gemlet_error error;
} opened;

static opened o;

/* A file that is not packed: its keys and tensors follow. */
static void begin_file(uint64_t tensors, uint64_t keys) {
    o.b.length = 0;
    put_bytes(&o.b, "GGUF", 4);
    put_u32(&o.b, 3);
    put_u64(&o.b, tensors);
    put_u64(&o.b, keys);
}

static void put_tensor(const char *name, uint64_t columns, uint64_t rows, uint32_t type, uint64_t offset) {
    put_string(&o.b, name);
    put_u32(&o.b, 2);
    put_u64(&o.b, columns);
    put_u64(&o.b, rows);
    put_u32(&o.b, type);
    put_u64(&o.b, offset);
}

static gemlet_status open_built(void) {
    o.file = (memory_file){.data = o.b.data, .size = o.b.length, .maps = true};
    memory_port_open(&o.file, &o.port);
    o.error = (gemlet_error){GEMLET_OK, ""};
    return gemlet_container_open(&o.container, &o.port, "F", &o.error);
}

static void says(gemlet_status status, gemlet_status expected, const char *message) {
    assert_int_equal(status, expected);
    assert_int_equal(o.error.status, expected);
    assert_string_equal(o.error.message, message);
}

static void put_number(const char *key, uint32_t type, uint64_t bits) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(bits >> 8 * i & 255);
    }
    put_string(&o.b, key);
    put_u32(&o.b, type);
    put_bytes(&o.b, bytes, gemlet_value_bytes(type));
}

static void every_type_of_number_is_read(void **state) {
    (void)state;
    static const struct {
        uint32_t type;
        uint64_t bits;
        const char *problem; /* NULL: it is read */
    } cases[] = {
        {GEMLET_VALUE_UINT8, 255, NULL},
        {GEMLET_VALUE_INT8, 127, NULL},
        {GEMLET_VALUE_INT8, 128, "must not be negative"},
        {GEMLET_VALUE_UINT16, 65535, NULL},
        {GEMLET_VALUE_INT16, 32767, NULL},
        {GEMLET_VALUE_INT16, 32768, "must not be negative"},
        {GEMLET_VALUE_UINT32, UINT32_MAX, NULL},
        {GEMLET_VALUE_INT32, INT32_MAX, NULL},
        {GEMLET_VALUE_INT32, 0x80000000u, "must not be negative"},
        {GEMLET_VALUE_UINT64, UINT32_MAX, NULL},
        {GEMLET_VALUE_UINT64, UINT64_C(1) << 32, "is too large"},
        {GEMLET_VALUE_UINT64, UINT64_MAX, "is too large"},
        {GEMLET_VALUE_INT64, UINT32_MAX, NULL},
        {GEMLET_VALUE_INT64, UINT64_C(1) << 32, "is too large"},
        {GEMLET_VALUE_INT64, UINT64_C(1) << 63, "must not be negative"},
        {GEMLET_VALUE_FLOAT32, 0, "must hold whole numbers"},
        {GEMLET_VALUE_FLOAT64, 0, "must hold whole numbers"},
        {GEMLET_VALUE_BOOL, 1, "must hold whole numbers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t number = 77;
        char expected[64];
        begin_file(0, 1);
        put_number("k", cases[i].type, cases[i].bits);
        assert_int_equal(open_built(), GEMLET_OK);
        gemlet_status status = gemlet_container_u32(&o.container, "k", 0, &number, &o.error);
        if (cases[i].problem == NULL) {
            assert_int_equal(status, GEMLET_OK);
            assert_true(number == cases[i].bits);
        } else {
            snprintf(expected, sizeof expected, "F: key \"k\" %s", cases[i].problem);
            says(status, GEMLET_ERROR_FORMAT, expected);
            assert_int_equal(number, 77);
        }
        gemlet_container_close(&o.container);
    }
}

static void reals_and_truths_are_read(void **state) {
    (void)state;
    float real = 0.0f;
    bool truth = false;
    begin_file(0, 6);
    put_number("double", GEMLET_VALUE_FLOAT64, UINT64_C(0x3FE8000000000000));
    put_number("float", GEMLET_VALUE_FLOAT32, 0xBF400000u);
    put_number("yes", GEMLET_VALUE_BOOL, 1);
    put_number("no", GEMLET_VALUE_BOOL, 0);
    put_number("two", GEMLET_VALUE_BOOL, 2);
    put_number("byte", GEMLET_VALUE_UINT8, 1);
    assert_int_equal(open_built(), GEMLET_OK);
    gemlet_container *c = &o.container;
    assert_int_equal(gemlet_container_f32(c, "double", 0, &real, &o.error), GEMLET_OK);
    assert_true(real == 0.75f);
    assert_int_equal(gemlet_container_f32(c, "float", 3, &real, &o.error), GEMLET_OK);
    assert_true(real == -0.75f);
    says(gemlet_container_f32(c, "byte", 0, &real, &o.error), GEMLET_ERROR_FORMAT,
         "F: key \"byte\" must hold floating-point numbers");
    says(gemlet_container_f32(c, "none", 0, &real, &o.error), GEMLET_ERROR_FORMAT, "F: key \"none\" is missing");
    assert_int_equal(gemlet_container_bool(c, "yes", 0, &truth, &o.error), GEMLET_OK);
    assert_true(truth);
    assert_int_equal(gemlet_container_bool(c, "no", 0, &truth, &o.error), GEMLET_OK);
    assert_false(truth);
    says(gemlet_container_bool(c, "two", 0, &truth, &o.error), GEMLET_ERROR_FORMAT, "F: key \"two\" must hold true or false");
    says(gemlet_container_bool(c, "byte", 0, &truth, &o.error), GEMLET_ERROR_FORMAT, "F: key \"byte\" must hold true or false");
    says(gemlet_container_bool(c, "none", 0, &truth, &o.error), GEMLET_ERROR_FORMAT, "F: key \"none\" is missing");
    gemlet_container_close(c);
}

static void strings_fit_with_their_end(void **state) {
    (void)state;
    begin_file(0, 3);
    put_key_string(&o.b, "text", "word");
    put_string(&o.b, "nul");
    put_u32(&o.b, GEMLET_VALUE_STRING);
    put_u64(&o.b, 3);
    put_bytes(&o.b, "a\0b", 3);
    put_key_u32s(&o.b, "numbers", (const uint32_t[]){1, 2}, 2);
    assert_int_equal(open_built(), GEMLET_OK);
    for (size_t capacity = 1; capacity <= 6; capacity++) {
        char out[8], expected[80];
        memset(out, 'E', sizeof out);
        gemlet_status status = gemlet_container_string(&o.container, "text", out, capacity, &o.error);
        if (capacity >= 5) {
            assert_int_equal(status, GEMLET_OK);
            assert_memory_equal(out, "word\0EEE", 8);
        } else {
            snprintf(expected, sizeof expected, "F: key \"text\" must be shorter than %zu bytes, but has 4", capacity);
            says(status, GEMLET_ERROR_FORMAT, expected);
            assert_memory_equal(out, "EEEEEEEE", 8);
        }
    }
    char out[8];
    says(gemlet_container_string(&o.container, "nul", out, sizeof out, &o.error), GEMLET_ERROR_FORMAT,
         "F: key \"nul\" holds a NUL");
    says(gemlet_container_string(&o.container, "none", out, sizeof out, &o.error), GEMLET_ERROR_FORMAT,
         "F: key \"none\" is missing");
    says(gemlet_container_string(&o.container, "numbers", out, sizeof out, &o.error), GEMLET_ERROR_FORMAT,
         "F: key \"numbers\" must hold a string");
    uint32_t number = 0;
    assert_int_equal(gemlet_container_u32(&o.container, "numbers", 1, &number, &o.error), GEMLET_OK);
    assert_int_equal(number, 2);
    says(gemlet_container_u32(&o.container, "numbers", 2, &number, &o.error), GEMLET_ERROR_FORMAT,
         "F: key \"numbers\" must hold at least 3 numbers, but holds 2");
    gemlet_container_close(&o.container);
}

static void a_key_reader_stops_at_the_first_fault(void **state) {
    (void)state;
    begin_file(0, 5);
    put_number("p.five", GEMLET_VALUE_UINT32, 5);
    put_number("p.half", GEMLET_VALUE_FLOAT32, 0x3F000000u);
    put_number("p.zero", GEMLET_VALUE_FLOAT32, 0);
    put_number("p.infinite", GEMLET_VALUE_FLOAT32, 0x7F800000u);
    put_number("p.true", GEMLET_VALUE_BOOL, 1);
    assert_int_equal(open_built(), GEMLET_OK);
    gemlet_key_reader reader = {.container = &o.container, .prefix = "p", .error = &o.error};
    assert_true(gemlet_key_there(&reader, "five") && !gemlet_key_there(&reader, "six"));
    assert_int_equal(gemlet_key_u32(&reader, "five", 0, 5, 5), 5);
    assert_true(gemlet_key_f32(&reader, "half", 0) == 0.5f);
    assert_true(gemlet_key_positive(&reader, "half", 0) == 0.5f);
    assert_true(gemlet_key_bool(&reader, "true", 0));
    assert_int_equal(reader.status, GEMLET_OK);
    static const struct { uint32_t low, high; } bounds[] = {{6, 9}, {1, 4}};
    for (size_t i = 0; i < 2; i++) {
        char expected[80];
        reader.status = GEMLET_OK;
        assert_int_equal(gemlet_key_u32(&reader, "five", 0, bounds[i].low, bounds[i].high), bounds[i].low);
        snprintf(expected, sizeof expected, "F: key \"p.five\" must be %u to %u but is 5", (unsigned)bounds[i].low,
                 (unsigned)bounds[i].high);
        says(reader.status, GEMLET_ERROR_FORMAT, expected);
    }
    assert_int_equal(gemlet_key_u32(&reader, "five", 0, 1, 9), 1); /* it has failed */
    assert_true(gemlet_key_f32(&reader, "half", 0) == 0.0f);
    assert_false(gemlet_key_bool(&reader, "true", 0));
    assert_true(gemlet_key_positive(&reader, "half", 0) == 0.0f);
    reader.status = GEMLET_OK;
    (void)gemlet_key_positive(&reader, "zero", 0);
    says(reader.status, GEMLET_ERROR_FORMAT, "F: key \"p.zero\" must be above 0 but is 0");
    reader.status = GEMLET_OK;
    assert_true(gemlet_key_f32(&reader, "infinite", 0) == 0.0f);
    says(reader.status, GEMLET_ERROR_FORMAT, "F: key \"p.infinite\" must be a finite number but is infinity");
    gemlet_container_close(&o.container);
}

/* ---- The file ---- */

static void the_smallest_file_is_a_header(void **state) {
    (void)state;
    begin_file(0, 0);
    assert_int_equal(open_built(), GEMLET_OK);
    assert_int_equal(o.container.data, 32);
    gemlet_container_close(&o.container);
    o.b.length = 23;
    says(open_built(), GEMLET_ERROR_FORMAT, "F: a GGUF file has at least 24 bytes, found 23");
}

static void as_many_keys_as_allowed(void **state) {
    (void)state;
    for (uint64_t keys = 256; keys <= 257; keys++) {
        char name[16];
        begin_file(0, keys);
        for (uint64_t i = 0; i < keys; i++) {
            snprintf(name, sizeof name, "k%u", (unsigned)i);
            put_key_u32(&o.b, name, (uint32_t)i);
        }
        if (keys == 256) {
            assert_int_equal(open_built(), GEMLET_OK);
            gemlet_container_close(&o.container);
        } else {
            says(open_built(), GEMLET_ERROR_UNSUPPORTED, "F: at most 256 keys expected, found 257");
        }
    }
}

static void names_have_their_longest(void **state) {
    (void)state;
    char key[129], name[65];
    memset(key, 'k', sizeof key);
    memset(name, 'n', sizeof name);
    for (size_t over = 0; over < 2; over++) {
        key[127 + over] = '\0';
        begin_file(0, 1);
        put_key_u32(&o.b, key, 1);
        if (over == 0) {
            assert_int_equal(open_built(), GEMLET_OK);
            assert_true(gemlet_container_find(&o.container, key, NULL));
            gemlet_container_close(&o.container);
        } else {
            says(open_built(), GEMLET_ERROR_UNSUPPORTED, "F: keys have 1 to 127 bytes without a NUL, that of key 0 has 128");
        }
        key[127 + over] = 'k';
        name[63 + over] = '\0';
        begin_file(1, 0);
        put_tensor(name, 1, 1, 99, 0);
        if (over == 0) {
            assert_int_equal(open_built(), GEMLET_OK);
            assert_true(gemlet_container_has_tensor(&o.container, name));
            gemlet_container_close(&o.container);
        } else {
            says(open_built(), GEMLET_ERROR_FORMAT, "F: tensors' names have 1 to 63 bytes without a NUL, that of tensor 0 has 64");
        }
        name[63 + over] = 'n';
    }
}

static void alignments_are_powers_of_two(void **state) {
    (void)state;
    static const uint32_t numbers[][2] = {{4, 0},      {7, 0}, {8, 1}, {9, 0}, {12, 0}, {16, 1}, {1 << 20, 1}, {(1 << 20) + 1, 0},
                                          {1 << 21, 0}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char expected[96];
        begin_file(0, 1);
        put_key_u32(&o.b, "general.alignment", numbers[i][0]);
        gemlet_status status = open_built();
        if (numbers[i][1] == 1) {
            assert_int_equal(status, GEMLET_OK);
            assert_int_equal(o.container.alignment, numbers[i][0]);
            assert_int_equal(o.container.data, (o.b.length + numbers[i][0] - 1) / numbers[i][0] * numbers[i][0]);
            gemlet_container_close(&o.container);
        } else {
            snprintf(expected, sizeof expected, "F: key \"general.alignment\" must be a power of two from 8 to 1048576, found %u",
                     (unsigned)numbers[i][0]);
            bool large = numbers[i][0] == 1 << 21; /* GGUF has a place for it */
            says(status, large ? GEMLET_ERROR_UNSUPPORTED : GEMLET_ERROR_FORMAT, expected);
        }
    }
}

static void pad_file(size_t multiple) {
    while (o.b.length % multiple != 0) {
        put_bytes(&o.b, "", 1);
    }
}

static void plain_tensors_are_described(void **state) {
    (void)state;
    begin_file(2, 0);
    put_tensor("a", 3, 5, GEMLET_TYPE_F32, 0);
    put_tensor("b", 32, 2, GEMLET_TYPE_Q4_0, 64);
    pad_file(32);
    size_t data = o.b.length;
    for (int i = 0; i < 64 + 36; i++) {
        put_bytes(&o.b, "x", 1);
    }
    assert_int_equal(open_built(), GEMLET_OK);
    gemlet_tensor t;
    uint64_t cursor = 0;
    memset(&t, 0xEE, sizeof t);
    assert_true(gemlet_container_next_tensor(&o.container, &cursor, 0, &t));
    assert_string_equal(t.name, "a");
    assert_true(t.kind == GEMLET_KIND_PLAIN && t.rows == 5 && t.columns == 3 && t.taps == 1 && t.crc32 == 0 && t.bytes == 60);
    assert_true(t.offset == data && t.dimension_count == 2 && t.dimensions[2] == 1 && t.dimensions[3] == 1);
    assert_true(gemlet_container_next_tensor(&o.container, &cursor, 1, &t));
    assert_true(t.rows == 2 && t.columns == 32 && t.bytes == 36 && t.offset == data + 64);
    assert_false(gemlet_container_next_tensor(&o.container, &cursor, 2, &t));
    assert_int_equal(gemlet_container_verify(&o.container, &t, &o.error), GEMLET_ERROR_FORMAT);
    o.error = (gemlet_error){GEMLET_OK, ""};
    unsigned char byte[2];
    assert_int_equal(gemlet_container_read(&o.container, &t, 35, byte, 1, &o.error), GEMLET_OK);
    assert_int_equal(gemlet_container_read(&o.container, &t, 36, byte, 0, &o.error), GEMLET_OK);
    says(gemlet_container_read(&o.container, &t, 35, byte, 2, &o.error), GEMLET_ERROR_ARGUMENT,
         "F: tensor \"b\" was asked for bytes beyond its end");
    says(gemlet_container_read(&o.container, &t, 37, byte, 0, &o.error), GEMLET_ERROR_ARGUMENT,
         "F: tensor \"b\" was asked for bytes beyond its end");
    assert_int_equal(gemlet_container_read(&o.container, &t, 36, byte, 1, NULL), GEMLET_ERROR_ARGUMENT);
    gemlet_container_close(&o.container);
    assert_true(o.container.file == NULL && o.container.mapping == NULL && o.container.tensor_count == 0 &&
                o.container.key_count == 0);
    o.b.length--; /* the last byte of the last tensor */
    says(open_built(), GEMLET_ERROR_FORMAT,
         "F: tensor \"b\" ends beyond the file: it starts at 64 and has 36 bytes, of data the file has 99");
}

static void shapes_end_at_what_a_number_counts(void **state) {
    (void)state;
    static const struct {
        uint64_t columns, rows;
        const char *message;
    } cases[] = {
        {UINT32_MAX, 1, NULL},
        {UINT64_C(1) << 32, 1, "F: tensor \"t\" has a dimension beyond 4294967295"},
        {1, UINT32_MAX, NULL},
        {1, UINT64_C(1) << 32, "F: tensor \"t\" has a dimension beyond 4294967295"},
        {UINT64_C(1) << 32, UINT64_C(1) << 32, "F: tensor \"t\" has more elements than a number can count"},
        {UINT32_MAX, UINT64_C(4294967297),
         "F: tensor \"t\" has more elements than a number can count"},                           /* 2^64 - 1 stands for that */
        {UINT32_MAX, UINT64_C(4294967296), "F: tensor \"t\" has a dimension beyond 4294967295"}, /* 2^64 - 2^32 */
        {UINT64_MAX, 2, "F: tensor \"t\" has more elements than a number can count"},
        {0, 1, "F: tensor \"t\" has a dimension of zero"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_file(1, 0);
        put_tensor("t", cases[i].columns, cases[i].rows, 99, 0); /* a type whose data nobody wants */
        gemlet_status status = open_built();
        if (cases[i].message == NULL) {
            assert_int_equal(status, GEMLET_OK);
            gemlet_container_close(&o.container);
        } else {
            bool large = strstr(cases[i].message, "beyond") != NULL; /* GGUF has a place for it */
            says(status, large ? GEMLET_ERROR_UNSUPPORTED : GEMLET_ERROR_FORMAT, cases[i].message);
        }
    }
    begin_file(1, 0);
    put_tensor("t", UINT64_C(1) << 62, 1, GEMLET_TYPE_F32, 0);
    says(open_built(), GEMLET_ERROR_FORMAT, "F: tensor \"t\" has more bytes than a number can count");
}

/* A file that ends where its data would begin, and data that starts at no multiple of 64. */
static void what_cannot_be_mapped_is_read(void **state) {
    (void)state;
    static _Alignas(GEMLET_ALIGNMENT) unsigned char memory[256];
    gemlet_arena arena;
    for (int odd = 0; odd < 2; odd++) {
        gemlet_tensor t;
        const void *data = NULL;
        uint64_t mapped = 0;
        begin_file(1, 2);
        put_key_u32(&o.b, "general.alignment", 32);
        put_key_string(&o.b, "xx", odd == 1 ? "0123456789" : ""); /* moves the data */
        put_tensor("t", 4, 2, GEMLET_TYPE_F32, 0);
        pad_file(32);
        assert_int_equal(o.b.length % 64, odd == 1 ? 32 : 0);
        size_t start = o.b.length;
        put_bytes(&o.b, "0123456789ABCDEF0123456789abcdef", 32);
        assert_int_equal(open_built(), GEMLET_OK);
        assert_int_equal(gemlet_arena_init(&arena, memory, sizeof memory, &o.error), GEMLET_OK);
        assert_true(gemlet_container_find_tensor(&o.container, "t", &t));
        assert_int_equal(gemlet_container_load(&o.container, &t, &arena, "w", &data, &mapped, &o.error), GEMLET_OK);
        assert_memory_equal(data, o.b.data + start, 32);
        assert_int_equal(mapped, odd == 1 ? 0 : 32);
        assert_int_equal(arena.kept, odd == 1 ? 64 : 0);
        assert_int_equal(o.file.mappings, odd == 1 ? 0 : 1);
        gemlet_container_close(&o.container);
    }
    begin_file(0, 0);
    assert_int_equal(open_built(), GEMLET_OK); /* data would start at 32, behind the end */
    gemlet_tensor none = {.name = "none", .offset = 32};
    const void *data = &none;
    assert_int_equal(gemlet_arena_init(&arena, memory, sizeof memory, &o.error), GEMLET_OK);
    assert_int_equal(gemlet_container_load(&o.container, &none, &arena, "w", &data, NULL, &o.error), GEMLET_OK);
    assert_int_equal(o.file.mappings, 0);
    gemlet_container_close(&o.container);
}

static void reason(void *context, char *out, size_t bytes) {
    snprintf(out, bytes, "%s", *(const char **)context);
}

static gemlet_file *cannot_open(void *context, const char *path) {
    (void)context;
    (void)path;
    return NULL;
}

static void the_port_s_reason_follows(void **state) {
    (void)state;
    const char *text = "the card is gone";
    gemlet_port port = {.context = &text, .open = cannot_open, .reason = reason};
    says(gemlet_container_open(&o.container, &port, "F", &o.error), GEMLET_ERROR_IO, "F: can't be opened: the card is gone");
    text = "";
    says(gemlet_container_open(&o.container, &port, "F", &o.error), GEMLET_ERROR_IO, "F: can't be opened");
    port.reason = NULL;
    says(gemlet_container_open(&o.container, &port, "F", &o.error), GEMLET_ERROR_IO, "F: can't be opened");
    begin_file(0, 0);
    o.b.data[0] = 'x';
    o.file = (memory_file){.data = o.b.data, .size = o.b.length};
    memory_port_open(&o.file, &port);
    port.reason = reason; /* of which nobody asks where the file is wrong: its context is another */
    says(gemlet_container_open(&o.container, &port, "F", &o.error), GEMLET_ERROR_FORMAT,
         "F: not a GGUF file (it does not start with \"GGUF\")");
}

static void open_packed(void) {
    packed_places places;
    build_packed(&o.b, &places);
    assert_int_equal(open_built(), GEMLET_OK);
}

static void card_is_gone(void *context, char *out, size_t bytes) {
    (void)context;
    snprintf(out, bytes, "the card is gone");
}

/* Wherever it is noticed that a read has failed, also where only something seems to be missing. */
static void the_reason_follows_what_can_t_be_read(void **state) {
    (void)state;
    gemlet_tensor t;
    uint32_t number;
    open_packed();
    gemlet_port port = *o.container.port;
    port.reason = card_is_gone;
    o.container.port = &port;
    says(gemlet_container_u32(&o.container, "none", 0, &number, &o.error), GEMLET_ERROR_FORMAT, "F: key \"none\" is missing");
    says(gemlet_container_tensor(&o.container, "none", &t, &o.error), GEMLET_ERROR_FORMAT, "F: tensor \"none\" is missing");
    o.container.unreadable = true;
    says(gemlet_container_u32(&o.container, "none", 0, &number, &o.error), GEMLET_ERROR_IO, "F: can't be read: the card is gone");
    says(gemlet_container_tensor(&o.container, "none", &t, &o.error), GEMLET_ERROR_IO, "F: can't be read: the card is gone");
    says(gemlet_container_check_read(&o.container, &o.error), GEMLET_ERROR_IO, "F: can't be read: the card is gone");
    says(gemlet_container_fail_read(&o.container, "conv", &o.error), GEMLET_ERROR_IO,
         "F: tensor \"conv\" can't be read: the card is gone");
    gemlet_container_close(&o.container);
}

/* ---- The loader ---- */

static void a_loader_names_what_it_looks_for(void **state) {
    (void)state;
    gemlet_tensor t;
    open_packed();
    gemlet_loader loader = {.container = &o.container, .error = &o.error};
    gemlet_loader_enter(&loader, "co");
    assert_true(gemlet_loader_has(&loader, "nv"));
    assert_false(gemlet_loader_has(&loader, "n"));
    assert_true(gemlet_loader_find(&loader, "nv.scale", &t));
    assert_int_equal(t.index, 3);
    assert_true(loader.fingerprint != 0);
    uint32_t fingerprint = loader.fingerprint;
    gemlet_loader_enter(&loader, "blk.");
    gemlet_loader_enter_number(&loader, 120);
    assert_false(gemlet_loader_find(&loader, "x", &t));
    says(loader.status, GEMLET_ERROR_FORMAT, "F: tensor \"blk.120.x\" is missing");
    assert_int_equal(loader.fingerprint, fingerprint);
    gemlet_loader_enter(&loader, "conv"); /* nothing works after a failure, and the first one stays */
    assert_false(gemlet_loader_find(&loader, "", &t));
    gemlet_loader_fail(&loader, GEMLET_ERROR_STATE, "is late");
    says(loader.status, GEMLET_ERROR_FORMAT, "F: tensor \"blk.120.x\" is missing");
    assert_null(gemlet_loader_data(&loader, &t));
    loader.status = GEMLET_OK;
    assert_true(gemlet_loader_has(&loader, ""));
    gemlet_loader_fail(&loader, GEMLET_ERROR_STATE, "is late");
    says(loader.status, GEMLET_ERROR_STATE, "F: tensor \"conv\" is late");
    gemlet_container_close(&o.container);
}

static void a_loader_checks_shapes(void **state) {
    (void)state;
    static _Alignas(GEMLET_ALIGNMENT) unsigned char memory[64];
    static const struct {
        const char *name;
        size_t rows, columns;
        const char *message; /* NULL: it is loaded */
    } cases[] = {
        {"real", 2, 3, NULL},
        {"real", 3, 2, "F: tensor \"real\" must be F32 of 3 x 2 but is F32 of 2 x 3"},
        {"real", 2, 2, "F: tensor \"real\" must be F32 of 2 x 2 but is F32 of 2 x 3"},
        {"real", 1, 3, "F: tensor \"real\" must be F32 of 1 x 3 but is F32 of 2 x 3"},
        {"matrix", 16, 32, "F: tensor \"matrix\" must be F32 of 16 x 32 but is q4_0 panels of 16 x 32"},
        {"depth", 4, 1, "F: tensor \"depth\" must be F32 of 4 x 1 but is real convolution of 4 x 1 with taps: 9"},
    };
    gemlet_arena arena;
    uint64_t mapped = 0;
    open_packed();
    assert_int_equal(gemlet_arena_init(&arena, memory, sizeof memory, &o.error), GEMLET_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gemlet_loader loader = {.container = &o.container, .arena = &arena, .mapped = &mapped, .error = &o.error};
        const float *reals = gemlet_loader_reals(&loader, cases[i].name, cases[i].rows, cases[i].columns);
        if (cases[i].message == NULL) {
            assert_int_equal(loader.status, GEMLET_OK);
            assert_ptr_equal(reals, o.container.mapping);
            assert_int_equal(mapped, 24);
        } else {
            assert_null(reals);
            says(loader.status, GEMLET_ERROR_FORMAT, cases[i].message);
        }
    }
    gemlet_loader any = {.container = &o.container, .error = &o.error};
    gemlet_tensor t;
    assert_true(gemlet_loader_find(&any, "depth", &t));
    gemlet_loader_fail_shape(&any, &t, (gemlet_shape){"real convolution", 0, 2, 25});
    says(any.status, GEMLET_ERROR_FORMAT,
         "F: tensor \"depth\" must be real convolution of any x 2 with taps: 25 but is real convolution of 4 x 1 with taps: 9");
    gemlet_loader shapes = {.container = &o.container, .error = &o.error}; /* without an arena no data */
    assert_null(gemlet_loader_reals(&shapes, "real", 2, 3));
    assert_int_equal(shapes.status, GEMLET_OK);
    gemlet_container_close(&o.container);
}

/* The steps stand 256 bytes before the end. */
static void steps_of_activations_are_positive_or_none(void **state) {
    (void)state;
    static const struct {
        float input, output;
        bool good;
    } cases[] = {{0.0f, 0.0f, true},    {0.5f, 0.0f, true},      {0.5f, 0.25f, true},     {0.0f, 0.25f, false},
                 {-1.0f, 0.0f, false},  {0.5f, -0.25f, false},   {INFINITY, 0.0f, false}, {0.5f, INFINITY, false},
                 {NAN, 0.25f, false},   {0.5f, NAN, false},      {-1.0f, -1.0f, false},   {1e-30f, 1e-30f, true},
                 {0.0f, 1e-30f, false}, {INFINITY, 0.5f, false}, {-0.5f, 0.5f, false}};
    static _Alignas(GEMLET_ALIGNMENT) unsigned char memory[64];
    gemlet_arena arena;
    gemlet_tensor t;
    open_packed();
    assert_int_equal(gemlet_arena_init(&arena, memory, sizeof memory, &o.error), GEMLET_OK);
    assert_true(gemlet_container_find_tensor(&o.container, "matrix", &t)); /* 288 bytes: its kind does not matter here */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gemlet_matrix matrix = {.input_scale = 9.0f, .output_scale = 9.0f};
        gemlet_loader loader = {.container = &o.container, .arena = &arena, .error = &o.error, .name = "matrix"};
        memcpy(o.b.data + t.offset + t.bytes - GEMLET_ROW_SCALED_TAIL, &cases[i].input, 4);
        memcpy(o.b.data + t.offset + t.bytes - GEMLET_ROW_SCALED_TAIL + 4, &cases[i].output, 4);
        gemlet_loader_row_scaled(&loader, &t, &matrix);
        assert_ptr_equal(matrix.data, o.b.data + t.offset);
        if (cases[i].good) {
            assert_int_equal(loader.status, GEMLET_OK);
            assert_true(matrix.input_scale == cases[i].input && matrix.output_scale == cases[i].output);
        } else {
            says(loader.status, GEMLET_ERROR_FORMAT,
                 "F: tensor \"matrix\" must have two positive steps of its activations, one of its inputs alone, or two zeros");
        }
    }
    gemlet_loader shapes = {.container = &o.container, .error = &o.error};
    gemlet_matrix matrix = {.input_scale = 9.0f, .output_scale = 9.0f};
    gemlet_loader_row_scaled(&shapes, &t, &matrix);
    assert_true(shapes.status == GEMLET_OK && matrix.data == NULL && matrix.input_scale == 0.0f && matrix.output_scale == 0.0f);
    gemlet_container_close(&o.container);
}

/* ---- Packed files ---- */

/* A file with bounds of "both", and an upper one alone. */
static void open_bounds(float least, float most) {
    const float numbers[] = {least, most, 1.0f};
    begin_file(3, 0);
    put_tensor("both_min", 1, 1, GEMLET_TYPE_F32, 0);
    put_tensor("both_max", 1, 1, GEMLET_TYPE_F32, 32);
    put_tensor("upper_max", 1, 1, GEMLET_TYPE_F32, 64);
    for (size_t i = 0; i < 3; i++) {
        pad_file(32);
        put_bytes(&o.b, &numbers[i], sizeof numbers[i]);
    }
    assert_int_equal(open_built(), GEMLET_OK);
}

static void bounds_are_two_numbers_in_order(void **state) {
    (void)state;
    static const struct {
        float least, most;
        const char *fault; /* NULL: none */
    } cases[] = {
        {-1.0f, 2.0f, NULL},        {0.0f, 0.0f, NULL},    {2.0f, -1.0f, "in order"}, {-INFINITY, 1.0f, "finite"},
        {0.0f, INFINITY, "finite"}, {NAN, 1.0f, "finite"}, {-1.0f, NAN, "finite"},
    };
    static _Alignas(GEMLET_ALIGNMENT) unsigned char memory[1024];
    gemlet_arena arena;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gemlet_loader loader = {.container = &o.container, .arena = &arena, .error = &o.error};
        open_bounds(cases[i].least, cases[i].most);
        assert_int_equal(gemlet_arena_init(&arena, memory, sizeof memory, &o.error), GEMLET_OK);
        gemlet_bounds none = gemlet_loader_bounds(&loader, "none"), both = gemlet_loader_bounds(&loader, "both");
        assert_true(none.least == NULL && none.most == NULL);
        if (cases[i].fault == NULL) {
            assert_int_equal(loader.status, GEMLET_OK);
            assert_true(*both.least == cases[i].least && *both.most == cases[i].most);
            gemlet_loader_bounds(&loader, "upper");
            says(loader.status, GEMLET_ERROR_FORMAT, "F: tensor \"upper_min\" is missing");
        } else {
            says(loader.status, GEMLET_ERROR_FORMAT,
                 "F: tensor \"both_max\" and the one that ends in _min must be finite, and in order");
        }
        assert_int_equal(loader.prefix, 0);
        gemlet_container_close(&o.container);
    }
    gemlet_loader shapes = {.container = &o.container, .error = &o.error}; /* without an arena no data */
    open_bounds(2.0f, 1.0f);
    assert_null(gemlet_loader_bounds(&shapes, "both").least);
    assert_int_equal(shapes.status, GEMLET_OK);
    gemlet_container_close(&o.container);
}

static void damage_is_told_with_both_sums(void **state) {
    (void)state;
    gemlet_tensor t;
    char expected[96];
    open_packed();
    assert_true(gemlet_container_find_tensor(&o.container, "blob", &t));
    assert_int_equal(gemlet_container_verify(&o.container, &t, &o.error), GEMLET_OK);
    uint32_t right = t.crc32;
    t.crc32 ^= 1;
    snprintf(expected, sizeof expected, "F: tensor \"blob\" is damaged: CRC-32 %u expected, found %u", (unsigned)(right ^ 1),
             (unsigned)right);
    says(gemlet_container_verify(&o.container, &t, &o.error), GEMLET_ERROR_FORMAT, expected);
    gemlet_container_close(&o.container);
}

/* Tensors are summed piece by piece, to the last byte. */
static void sums_go_to_the_last_byte(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 8193, 12288};
    open_packed();
    o.b.length = 0;
    for (size_t i = 0; i < 12288; i++) {
        put_bytes(&o.b, (const char[]){(char)(i * 7 + i / 256)}, 1);
    }
    o.file.data = o.b.data;
    o.file.size = o.container.size = o.b.length;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        gemlet_tensor t = {.name = "t", .bytes = sizes[i], .crc32 = gemlet_crc32(0, o.b.data, sizes[i])};
        assert_int_equal(gemlet_container_verify(&o.container, &t, &o.error), GEMLET_OK);
        for (size_t at = 0; at < sizes[i]; at += 1 + at / 64 * 61) {
            o.b.data[at] ^= 1;
            assert_int_equal(gemlet_container_verify(&o.container, &t, &o.error), GEMLET_ERROR_FORMAT);
            o.b.data[at] ^= 1;
        }
        for (size_t from_end = 1; from_end <= 3 && from_end <= sizes[i]; from_end++) {
            o.b.data[sizes[i] - from_end] ^= 1;
            assert_int_equal(gemlet_container_verify(&o.container, &t, &o.error), GEMLET_ERROR_FORMAT);
            o.b.data[sizes[i] - from_end] ^= 1;
        }
    }
    gemlet_container_close(&o.container);
}

static void an_overlap_is_told_whole(void **state) {
    (void)state;
    packed_places places;
    char expected[128];
    build_packed(&o.b, &places);
    set_u64(&o.b, places.type[2] + 4, 320); /* "conv" at 320: one byte into "matrix", which ends at 352, would be enough */
    snprintf(expected, sizeof expected,
             "F: tensor \"conv\" starts inside the one before it, \"matrix\": at %zu where that ends at %zu", places.data[0] + 320,
             places.data[1] + 288);
    says(open_built(), GEMLET_ERROR_FORMAT, expected);
}

static void a_header_s_sum_is_of_all_but_itself(void **state) {
    (void)state;
    packed_places places;
    build_packed(&o.b, &places);
    size_t at = find_text(&o.b, "gemlet.header.crc32") + strlen("gemlet.header.crc32") + 4;
    uint32_t right = 0;
    memcpy(&right, o.b.data + at, 4);
    set_u32(&o.b, at, right + 1);
    char expected[96];
    snprintf(expected, sizeof expected, "F: the header is damaged: CRC-32 %u expected, found %u", (unsigned)(right + 1),
             (unsigned)right);
    says(open_built(), GEMLET_ERROR_FORMAT, expected);
    set_u32(&o.b, at, right);
    for (size_t i = 24; i < places.data[0]; i += 41) { /* whatever byte of the header changes, it is refused */
        o.b.data[i] ^= 0x20;
        assert_true(open_built() != GEMLET_OK);
        o.b.data[i] ^= 0x20;
    }
    assert_int_equal(open_built(), GEMLET_OK);
    gemlet_container_close(&o.container);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_that_of_the_standard),
        cmocka_unit_test(messages_are_printable),
        cmocka_unit_test(messages_end_with_a_character),
        cmocka_unit_test(arrays_are_aligned),
        cmocka_unit_test(memory_is_aligned_and_enough),
        cmocka_unit_test(types_are_those_of_ggml),
        cmocka_unit_test(kinds_are_matrices_or_not),
        cmocka_unit_test(names_are_hashed_by_fnv),
        cmocka_unit_test(any_bytes_are_those_of_the_file),
        cmocka_unit_test(the_window_is_used),
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(skipping_stays_inside),
        cmocka_unit_test(strings_end_where_the_buffer_does),
        cmocka_unit_test(a_port_that_fails_is_told),
        cmocka_unit_test(values_end_in_the_file),
        cmocka_unit_test(values_that_are_cut_are_told),
        cmocka_unit_test(reals_are_written_for_people),
        cmocka_unit_test(every_type_of_number_is_read),
        cmocka_unit_test(reals_and_truths_are_read),
        cmocka_unit_test(strings_fit_with_their_end),
        cmocka_unit_test(a_key_reader_stops_at_the_first_fault),
        cmocka_unit_test(the_smallest_file_is_a_header),
        cmocka_unit_test(as_many_keys_as_allowed),
        cmocka_unit_test(names_have_their_longest),
        cmocka_unit_test(alignments_are_powers_of_two),
        cmocka_unit_test(plain_tensors_are_described),
        cmocka_unit_test(shapes_end_at_what_a_number_counts),
        cmocka_unit_test(what_cannot_be_mapped_is_read),
        cmocka_unit_test(the_port_s_reason_follows),
        cmocka_unit_test(the_reason_follows_what_can_t_be_read),
        cmocka_unit_test(a_loader_names_what_it_looks_for),
        cmocka_unit_test(a_loader_checks_shapes),
        cmocka_unit_test(steps_of_activations_are_positive_or_none),
        cmocka_unit_test(bounds_are_two_numbers_in_order),
        cmocka_unit_test(damage_is_told_with_both_sums),
        cmocka_unit_test(sums_go_to_the_last_byte),
        cmocka_unit_test(an_overlap_is_told_whole),
        cmocka_unit_test(a_header_s_sum_is_of_all_but_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
