/* Files broken by hand: each defect is refused with a message of its own.  With an argument, writes them there as a corpus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/container/container.h"
#include "tests/container/gguf_builder.h"
#include "tests/container/memory_port.h"

/* Changes one number, found as a place of the valid file. */
typedef enum place {
    AT_BYTE,       /* at byte `which` */
    AT_NAME,       /* the length of tensor `which`'s name */
    AT_NAME_TEXT,  /* its characters */
    AT_DIMENSIONS, /* its number of dimensions, plus `plus` */
    AT_TYPE,       /* its type, plus `plus` */
    AFTER_KEY,     /* behind the key `key`, plus `plus` */
    AT_KEY         /* the key `key` itself, plus `plus` */
} place;

typedef struct defect {
    const char *name;
    place where;
    size_t which;
    int plus;
    const char *key;
    int bytes; /* 4, 8, or 1 for a character */
    uint64_t number;
    const char *message;
} defect;

#define TWO_63 9223372036854775808u

static const defect defects[] = {
    {"magic", AT_BYTE, 0, 0, 0, 4, 0x46554748, "not a GGUF file (it does not start with \"GGUF\")"},
    {"version-0", AT_BYTE, 4, 0, 0, 4, 0, "GGUF version 2 or 3 expected, found 0"},
    {"version-4", AT_BYTE, 4, 0, 0, 4, 4, "GGUF version 2 or 3 expected, found 4"},
    {"version-big-endian", AT_BYTE, 4, 0, 0, 4, 0x03000000, "GGUF version 2 or 3 expected, found 50331648"},
    {"tensors-2-63", AT_BYTE, 8, 0, 0, 8, TWO_63, "at most 4096 tensors expected, found 9223372036854775808"},
    {"tensors-4097", AT_BYTE, 8, 0, 0, 8, 4097, "at most 4096 tensors expected, found 4097"},
    {"tensors-more", AT_BYTE, 8, 0, 0, 8, 4096, "key \"gemlet.tensor.kind\" must hold a number for each tensor, 4096, but holds 6"},
    {"tensors-fewer", AT_BYTE, 8, 0, 0, 8, 5, "key \"gemlet.tensor.kind\" must hold a number for each tensor, 5, but holds 6"},
    {"keys-2-63", AT_BYTE, 16, 0, 0, 8, TWO_63, "at most 256 keys expected, found 9223372036854775808"},
    {"keys-257", AT_BYTE, 16, 0, 0, 8, 257, "at most 256 keys expected, found 257"},
    {"keys-more", AT_BYTE, 16, 0, 0, 8, 16, "ends in the middle of the name of tensor 0"},
    {"keys-fewer", AT_BYTE, 16, 0, 0, 8, 14, "tensor \"negative\" must have 1 to 4 dimensions, but has 11"},
    {"keys-none", AT_BYTE, 16, 0, 0, 8, 0, "tensor \"general.description\" must have 1 to 4 dimensions, but has 8"},
    {"key-length-2-63", AT_KEY, 0, -8, "general.alignment", 8, TWO_63, "ends in the middle of key 2"},
    {"key-length-0", AT_KEY, 0, -8, "general.alignment", 8, 0, "keys have 1 to 127 bytes without a NUL, that of key 2 has 0"},
    {"key-length-128", AT_KEY, 0, -8, "general.alignment", 8, 128, "keys have 1 to 127 bytes without a NUL, that of key 2 has 128"},
    {"key-nul", AT_KEY, 0, 3, "general.alignment", 1, 0, "keys have 1 to 127 bytes without a NUL, that of key 2 has 17"},
    {"key-twice", AT_KEY, 0, 0, "words", 8, 0x0000096874757274, "key \"truth\" is there twice"}, /* and its type */
    {"value-type-13", AFTER_KEY, 0, 0, "general.alignment", 4, 13, "key \"general.alignment\" has an unknown type"},
    {"value-type-largest", AFTER_KEY, 0, 0, "general.alignment", 4, UINT32_MAX, "key \"general.alignment\" has an unknown type"},
    {"string-2-63", AFTER_KEY, 0, 4, "general.architecture", 8, TWO_63,
     "key \"general.architecture\" is a string that is longer than the file"},
    {"string-longer", AFTER_KEY, 0, 4, "general.architecture", 8, 100000,
     "key \"general.architecture\" is a string that is longer than the file"},
    {"array-of-arrays", AFTER_KEY, 0, 4, "numbers", 4, 9, "key \"numbers\" is an array of arrays, which is not supported"},
    {"array-of-unknown", AFTER_KEY, 0, 4, "numbers", 4, 99, "key \"numbers\" is an array of an unknown type"},
    {"array-2-63", AFTER_KEY, 0, 8, "numbers", 8, TWO_63, "key \"numbers\" is an array that is longer than the file"},
    {"array-2-62", AFTER_KEY, 0, 8, "numbers", 8, TWO_63 / 2, "key \"numbers\" is an array that is longer than the file"},
    {"strings-2-61", AFTER_KEY, 0, 8, "words", 8, TWO_63 / 4, "key \"words\" is an array that is longer than the file"},
    {"strings-inner-2-63", AFTER_KEY, 0, 16, "words", 8, TWO_63, "key \"words\" holds a string that is longer than the file"},
    {"alignment-0", AFTER_KEY, 0, 4, "general.alignment", 4, 0,
     "key \"general.alignment\" must be a power of two from 64 to 1048576, found 0"},
    {"alignment-96", AFTER_KEY, 0, 4, "general.alignment", 4, 96,
     "key \"general.alignment\" must be a power of two from 64 to 1048576, found 96"},
    {"alignment-32", AFTER_KEY, 0, 4, "general.alignment", 4, 32,
     "key \"general.alignment\" must be a power of two from 64 to 1048576, found 32"},
    {"alignment-2-31", AFTER_KEY, 0, 4, "general.alignment", 4, 0x80000000u,
     "key \"general.alignment\" must be a power of two from 64 to 1048576, found 2147483648"},
    {"alignment-4096", AFTER_KEY, 0, 4, "general.alignment", 4, 4096,
     "tensor \"matrix\" must start at a multiple of 4096, but starts at 64"},
    {"alignment-real", AFTER_KEY, 0, 0, "general.alignment", 4, 6, "key \"general.alignment\" must hold whole numbers"},
    {"version-2", AFTER_KEY, 0, 4, "gemlet.version", 4, 2,
     "packed for version 1 expected, found version 2: run the gemlet-pack of this version on the original model"},
    {"kinds-missing", AT_KEY, 0, 0, "gemlet.tensor.kind", 1, 'x', "key \"gemlet.tensor.kind\" is missing"},
    {"crcs-missing", AT_KEY, 0, 0, "gemlet.crc32", 1, 'x', "key \"gemlet.crc32\" is missing"},
    {"kinds-of-reals", AFTER_KEY, 0, 4, "gemlet.tensor.kind", 4, 6, "key \"gemlet.tensor.kind\" must hold an array of uint32"},
    {"kind-99", AFTER_KEY, 0, 20, "gemlet.tensor.kind", 4, 99, "tensor \"matrix\" has a kind that this version does not know: 99"},
    {"kind-largest", AFTER_KEY, 0, 20, "gemlet.tensor.kind", 4, UINT32_MAX,
     "tensor \"matrix\" has a kind that this version does not know: 4294967295"},
    {"kind-plain-bytes", AFTER_KEY, 0, 20, "gemlet.tensor.kind", 4, 0,
     "tensor \"matrix\" has a type that does not fit its kind, plain: ggml type 24"},
    {"kind-other-type", AFTER_KEY, 0, 20, "gemlet.tensor.kind", 4, 4,
     "tensor \"matrix\" must have as many bytes as its kind, rows, columns and taps say, 544, but has 288"},
    {"rows-0", AFTER_KEY, 0, 20, "gemlet.tensor.rows", 4, 0,
     "tensor \"matrix\" must have as many bytes as its kind, rows, columns and taps say, 0, but has 288"},
    {"rows-17", AFTER_KEY, 0, 20, "gemlet.tensor.rows", 4, 17,
     "tensor \"matrix\" must have as many bytes as its kind, rows, columns and taps say, 576, but has 288"},
    {"rows-largest", AFTER_KEY, 0, 24, "gemlet.tensor.rows", 4, UINT32_MAX,
     "tensor \"conv\" must have as many bytes as its kind, rows, columns and taps say, 68719476736, but has 128"},
    {"columns-33", AFTER_KEY, 0, 20, "gemlet.tensor.columns", 4, 33,
     "tensor \"matrix\" must have as many bytes as its kind, rows, columns and taps say, 0, but has 288"},
    {"columns-conv-17", AFTER_KEY, 0, 24, "gemlet.tensor.columns", 4, 17,
     "tensor \"conv\" must have as many bytes as its kind, rows, columns and taps say, 256, but has 128"},
    {"columns-conv-longest", AFTER_KEY, 0, 24, "gemlet.tensor.columns", 4, 131071,
     "tensor \"conv\" must have as many bytes as its kind, rows, columns and taps say, 1048576, but has 128"},
    {"columns-conv-longer", AFTER_KEY, 0, 24, "gemlet.tensor.columns", 4, 131072,
     "tensor \"conv\" must have sums of at most 131071 products, columns times taps, but has 131072"},
    {"taps-largest", AFTER_KEY, 0, 24, "gemlet.tensor.taps", 4, UINT32_MAX,
     "tensor \"conv\" must have as many bytes as its kind, rows, columns and taps say, 0, but has 128"},
    {"taps-depth-8", AFTER_KEY, 0, 32, "gemlet.tensor.taps", 4, 8,
     "tensor \"depth\" must have as many elements as its rows, columns and taps say, 32, but has 36"},
    {"plain-rows-3", AFTER_KEY, 0, 16, "gemlet.tensor.rows", 4, 3,
     "tensor \"real\" must have as many elements as its rows, columns and taps say, 9, but has 6"},
    {"name-length-2-63", AT_NAME, 1, 0, 0, 8, TWO_63, "ends in the middle of the name of tensor 1"},
    {"name-length-0", AT_NAME, 1, 0, 0, 8, 0, "tensors' names have 1 to 63 bytes without a NUL, that of tensor 1 has 0"},
    {"name-length-64", AT_NAME, 1, 0, 0, 8, 64, "tensors' names have 1 to 63 bytes without a NUL, that of tensor 1 has 64"},
    {"name-nul", AT_NAME_TEXT, 1, 2, 0, 1, 0, "tensors' names have 1 to 63 bytes without a NUL, that of tensor 1 has 6"},
    {"name-twice", AT_NAME_TEXT, 5, 0, 0, 4, 0x6C616572, "tensor \"real\" is there twice"},
    {"scale-name", AT_NAME_TEXT, 3, 5, 0, 1, 'S',
     "tensor \"conv\" must be followed by its scales, 8 F32 numbers, found \"conv.Scale\""},
    {"dimensions-0", AT_DIMENSIONS, 1, 0, 0, 4, 0, "tensor \"matrix\" must have 1 to 4 dimensions, but has 0"},
    {"dimensions-5", AT_DIMENSIONS, 1, 0, 0, 4, 5, "tensor \"matrix\" must have 1 to 4 dimensions, but has 5"},
    {"dimensions-largest", AT_DIMENSIONS, 1, 0, 0, 4, UINT32_MAX,
     "tensor \"matrix\" must have 1 to 4 dimensions, but has 4294967295"},
    {"dimension-0", AT_DIMENSIONS, 4, 12, 0, 8, 0, "tensor \"depth\" has a dimension of zero"},
    {"dimension-2-63", AT_DIMENSIONS, 4, 4, 0, 8, TWO_63, "tensor \"depth\" has more elements than a number can count"},
    {"dimension-2-61", AT_DIMENSIONS, 1, 4, 0, 8, TWO_63 / 4,
     "tensor \"matrix\" ends beyond the file: it starts at 64 and has 2305843009213693952 bytes, of data the file has 896"},
    {"elements-2-62", AT_DIMENSIONS, 3, 4, 0, 8, TWO_63 / 2, "tensor \"conv.scale\" has more bytes than a number can count"},
    {"type-unknown", AT_TYPE, 1, 0, 0, 4, 77, "tensor \"matrix\" has a type that does not fit its kind, q4_0 panels: ggml type 77"},
    {"type-largest", AT_TYPE, 1, 0, 0, 4, UINT32_MAX,
     "tensor \"matrix\" has a type that does not fit its kind, q4_0 panels: ggml type 4294967295"},
    {"type-blocks", AT_TYPE, 5, 0, 0, 4, 2, "tensor \"blob\" must have whole blocks, rows of a multiple of 32, but they have 100"},
    {"offset-2-63", AT_TYPE, 1, 4, 0, 8, TWO_63,
     "tensor \"matrix\" ends beyond the file: it starts at 9223372036854775808 and has 288 bytes, of data the file has 896"},
    {"offset-largest", AT_TYPE, 1, 4, 0, 8, UINT64_MAX - 63,
     "tensor \"matrix\" ends beyond the file: it starts at 18446744073709551552 and has 288 bytes, of data the file has 896"},
    {"offset-odd", AT_TYPE, 1, 4, 0, 8, 65, "tensor \"matrix\" must start at a multiple of 64, but starts at 65"},
    {"offset-overlap", AT_TYPE, 2, 4, 0, 8, 64, "tensor \"conv\" starts inside the one before it, \"matrix\": at "},
    {"offset-same", AT_TYPE, 1, 4, 0, 8, 0, "tensor \"matrix\" starts inside the one before it, \"real\": at "},
    {"offset-backward", AT_TYPE, 5, 4, 0, 8, 128, "tensor \"blob\" starts inside the one before it, \"depth\": at "},
    {"crc-missing", AT_KEY, 0, 0, "gemlet.header.crc32", 1, 'x',
     "key \"gemlet.header.crc32\" is missing: run gemlet-pack on the original model"},
    {"crc-type", AFTER_KEY, 0, 0, "gemlet.header.crc32", 4, 5, "key \"gemlet.header.crc32\" must be one uint32"},
    {"crc-number", AFTER_KEY, 0, 4, "gemlet.header.crc32", 4, 7, "the header is damaged: CRC-32 7 expected, found "},
    {"number", AFTER_KEY, 0, 4, "pi", 4, 7, "the header is damaged: CRC-32 "},
    {"offset-end", AT_TYPE, 5, 4, 0, 8, 960,
     "tensor \"blob\" ends beyond the file: it starts at 960 and has 100 bytes, of data the file has 896"},
};

enum { DEFECTS = sizeof defects / sizeof defects[0] };

/* Those that break no rule of GGUF, only limits of gemlet. */
static const char *const unsupported[] = {"version-0", "version-4", "version-big-endian", "tensors-2-63",    "tensors-4097",
                                          "keys-2-63", "keys-257",  "key-length-128",     "array-of-arrays", "version-2"};

static gemlet_status expected_status(const char *name) {
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        if (strcmp(unsupported[i], name) == 0) {
            return GEMLET_ERROR_UNSUPPORTED;
        }
    }
    return GEMLET_ERROR_FORMAT;
}

static size_t place_of(const defect *d, const gguf_builder *b, const packed_places *places) {
    switch (d->where) {
    case AT_BYTE: return d->which;
    case AT_NAME: return places->name[d->which];
    case AT_NAME_TEXT: return places->name[d->which] + 8 + (size_t)d->plus;
    case AT_DIMENSIONS: return places->dimensions[d->which] + (size_t)d->plus;
    case AT_TYPE: return places->type[d->which] + (size_t)d->plus;
    case AFTER_KEY: return find_text(b, d->key) + strlen(d->key) + (size_t)d->plus;
    case AT_KEY: return (size_t)((long)find_text(b, d->key) + d->plus);
    }
    abort();
}

static void break_file(const defect *d, gguf_builder *b) {
    packed_places places;
    build_packed(b, &places);
    size_t at = place_of(d, b, &places);
    if (d->bytes == 8) {
        set_u64(b, at, d->number);
    } else if (d->bytes == 4) {
        set_u32(b, at, (uint32_t)d->number);
    } else {
        b->data[at] = (unsigned char)d->number;
    }
}

/* Opens a file and checks that it is refused; the message into `error`. */
static void expect_refusal(const gguf_builder *b, const char *name, gemlet_error *error) {
    static gemlet_container container;
    memory_file memory = {.data = b->data, .size = b->length, .maps = true};
    gemlet_port port;
    memory_port_open(&memory, &port);
    error->message[0] = '\0';
    gemlet_status status = gemlet_container_open(&container, &port, "F", error);
    if (status != expected_status(name)) {
        fail_msg("%s: opened with status %d", name, (int)status);
    }
    assert_int_equal(status, error->status);
    assert_int_equal(memory.open, 0);
}

static void each_defect_has_its_message(void **state) {
    static gguf_builder b;
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < DEFECTS; i++) {
        gemlet_error error = {GEMLET_OK, ""};
        break_file(&defects[i], &b);
        expect_refusal(&b, defects[i].name, &error);
        if (strncmp(error.message, "F: ", 3) != 0 ||
            strncmp(error.message + 3, defects[i].message, strlen(defects[i].message)) != 0) {
            print_error("%s: \"%s\" expected, \"%s\" found\n", defects[i].name, defects[i].message, error.message);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* Whatever number is broken, opening ends with an answer; under the sanitizers, without an access outside. */
static void any_number_may_be_broken(void **state) {
    static const uint64_t numbers[] = {0, 1, 63, 64, UINT32_MAX, UINT64_C(1) << 32, TWO_63 - 1, TWO_63, UINT64_MAX - 7, UINT64_MAX};
    static gguf_builder b;
    static gemlet_container container;
    packed_places places;
    (void)state;
    build_packed(&b, &places);
    size_t header = places.data[0], refused = 0, total = 0;
    for (size_t at = 0; at + 8 <= header; at++) {
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            unsigned char kept[8];
            memory_file memory = {.data = b.data, .size = b.length, .maps = true};
            gemlet_port port;
            gemlet_error error = {GEMLET_OK, ""};
            memcpy(kept, b.data + at, 8);
            set_u64(&b, at, numbers[i]);
            memory_port_open(&memory, &port);
            gemlet_status status = gemlet_container_open(&container, &port, "F", &error);
            total++;
            refused += status != GEMLET_OK ? 1 : 0;
            if (status == GEMLET_OK) {
                gemlet_container_close(&container);
            } else {
                assert_true(error.status == status && error.message[0] == 'F');
            }
            assert_int_equal(memory.open, 0);
            memcpy(b.data + at, kept, 8);
        }
    }
    assert_true(refused > total / 8);
}

static int write_corpus(const char *folder) {
    static gguf_builder b;
    for (size_t i = 0; i <= DEFECTS; i++) {
        char path[4096];
        packed_places places;
        if (i == DEFECTS) {
            build_packed(&b, &places);
        } else {
            break_file(&defects[i], &b);
        }
        snprintf(path, sizeof path, "%s/%s.gguf", folder, i == DEFECTS ? "valid" : defects[i].name);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(b.data, 1, b.length, file) != b.length || fclose(file) != 0) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_defect_has_its_message),
        cmocka_unit_test(any_number_may_be_broken),
    };
    return argc > 1 ? write_corpus(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}
