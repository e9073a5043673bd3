/* Checks the tokenizer against a reference file and measures it, for vocabularies that are too large for the repository:
 *
 *     bench_tokenizer MODEL ROWS REFERENCE [ADDED]
 *     bench_tokenizer --tables MODEL OUT           writes its tables, for tests/bench/grammar.sh
 *
 * MODEL: tokenizer.model.  ROWS: the same vocabulary as a GGUF file has it (see reference.h), or "-".  Prints the bytes of the
 * tables, whether both sources give the same, the lines equal for several sizes of scratch, and the processor time for 1 MB of
 * text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/tokenizer/reference.h"

static double seconds(clock_t from) {
    return (double)(clock() - from) / CLOCKS_PER_SEC;
}

static size_t count_equal(const test_tokenizer *t, const unsigned char *file, size_t bytes, void *scratch, size_t scratch_bytes,
                          size_t feed, size_t *total) {
    id_list list = {0};
    reference_line line;
    size_t equal = 0;
    *total = 0;
    for (size_t at = 0; reference_next(file, bytes, &at, &line);) {
        for (int mode = 0; mode < 2; mode++) {
            gemlet_error error = {0};
            gemlet_status status = encode_text(&t->tokenizer, (gemlet_text_mode)mode, scratch, scratch_bytes, line.text, line.bytes,
                                               feed, &list, &error);
            bool same = status == GEMLET_OK && list.count == line.count[mode] && hash_ids(list.ids, list.count) == line.hash[mode];
            equal += same;
            if (!same && *total - equal < 5) {
                printf("  line %zu, mode %d: %s\n", *total / 2, mode, status == GEMLET_OK ? "other ids" : error.message);
            }
            ++*total;
        }
    }
    free(list.ids);
    return equal;
}

static void measure_encode(const test_tokenizer *t, const unsigned char *file, size_t bytes, void *scratch, size_t scratch_bytes) {
    enum { TEXT_BYTES = 1 << 20 };
    char *text = malloc(TEXT_BYTES);
    id_list list = {0};
    gemlet_error error = {0};
    reference_line line;
    size_t used = 0;
    for (size_t at = 0; text != NULL && used < TEXT_BYTES && reference_next(file, bytes, &at, &line);) {
        size_t take = line.bytes < TEXT_BYTES - used ? line.bytes : TEXT_BYTES - used;
        memcpy(text + used, line.text, take);
        used += take;
    }
    clock_t from = clock();
    gemlet_status status = encode_text(&t->tokenizer, GEMLET_TEXT_PLAIN, scratch, scratch_bytes, text, used, 4096, &list, &error);
    printf("%zu bytes of text in one run, scratch %zu: %zu ids, %.3f s, %s\n", used, scratch_bytes, list.count, seconds(from),
           gemlet_status_text(status));
    free(list.ids);
    free(text);
}

static int write_tables(const char *model, const char *path) {
    test_tokenizer t;
    if (!test_tokenizer_load(&t, model, NULL, 0)) {
        return 1;
    }
    FILE *file = fopen(path, "wb");
    bool good = file != NULL && fwrite(t.tables, 1, t.bytes, file) == t.bytes;
    good = file != NULL && fclose(file) == 0 && good;
    test_tokenizer_free(&t);
    return good ? 0 : 1;
}

int main(int argc, char **argv) {
    static const size_t scratch_sizes[] = {GEMLET_ENCODER_MIN_BYTES, GEMLET_ENCODER_BYTES, 65534 * GEMLET_ENCODER_SYMBOL_BYTES};
    if (argc == 4 && strcmp(argv[1], "--tables") == 0) {
        return write_tables(argv[2], argv[3]);
    }
    if (argc < 4) {
        fprintf(stderr, "usage: %s MODEL ROWS REFERENCE [ADDED]\n", argv[0]);
        return 2;
    }
    test_tokenizer t;
    test_tokenizer rows = {0};
    size_t bytes;
    clock_t from = clock();
    unsigned char *file = read_file(argv[3], &bytes);
    if (file == NULL || !test_tokenizer_load(&t, argv[1], argc > 4 ? argv[4] : NULL, 0)) {
        free(file);
        return 1;
    }
    void *scratch = malloc(scratch_sizes[2]);
    if (scratch == NULL) {
        abort();
    }
    printf("%u tokens, tables %zu bytes, built in %.2f s\n", gemlet_tokenizer_count(&t.tokenizer), t.bytes, seconds(from));
    bool good = true;
    if (strcmp(argv[2], "-") != 0) {
        good = test_tokenizer_load_rows(&rows, argv[2]) && rows.bytes == t.bytes && memcmp(rows.tables, t.tables, t.bytes) == 0;
        printf("tables from GGUF rows %s\n", good ? "are the same bytes" : "DIFFER");
    }
    for (size_t i = 0; i < 3; i++) {
        size_t total;
        size_t equal = count_equal(&t, file, bytes, scratch, scratch_sizes[i], i == 1 ? 0 : 7, &total);
        printf("scratch %zu: %zu of %zu encodings (line and mode) equal\n", scratch_sizes[i], equal, total);
        good = good && equal == total;
        measure_encode(&t, file, bytes, scratch, scratch_sizes[i]);
    }
    test_tokenizer_free(&t);
    test_tokenizer_free(&rows);
    free(scratch);
    free(file);
    return good ? 0 : 1;
}
