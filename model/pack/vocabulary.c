#include "model/pack/vocabulary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "model/pack/vocabulary_index.h"
#include "model/tokenizer/tables.h"
#include <gemlet/tokenizer.h>

gemlet_status gemlet_vocabulary_fail_row(gemlet_error *error, gemlet_status status, size_t row, const char *what) {
    gemlet_fail(error, status, "vocabulary row ");
    gemlet_error_number(error, row);
    gemlet_error_text(error, ": ");
    gemlet_error_text(error, what);
    return status;
}

gemlet_status gemlet_vocabulary_init(gemlet_vocabulary *vocabulary, size_t count, gemlet_error *error) {
    *vocabulary = (gemlet_vocabulary){0};
    return gemlet_vocabulary_grow(vocabulary, count, error);
}

void gemlet_vocabulary_free(gemlet_vocabulary *vocabulary) {
    free(vocabulary->pieces);
    free(vocabulary->merges);
    *vocabulary = (gemlet_vocabulary){0};
}

gemlet_status gemlet_vocabulary_grow(gemlet_vocabulary *vocabulary, size_t count, gemlet_error *error) {
    if (count <= vocabulary->count) {
        return GEMLET_OK;
    }
    if (count > GEMLET_TABLES_MAX_TOKENS) {
        return gemlet_vocabulary_fail_row(error, GEMLET_ERROR_UNSUPPORTED, count, "more rows than the tokenizer can number");
    }
    gemlet_piece *pieces = realloc(vocabulary->pieces, count * sizeof *pieces);
    if (pieces == NULL) {
        return gemlet_vocabulary_no_memory(error);
    }
    for (size_t i = vocabulary->count; i < count; i++) {
        pieces[i] = (gemlet_piece){"", 0, 0, GEMLET_PIECE_NONE};
    }
    vocabulary->pieces = pieces;
    vocabulary->count = count;
    return GEMLET_OK;
}

gemlet_status gemlet_vocabulary_set(gemlet_vocabulary *vocabulary, size_t row, const char *text, size_t bytes, float score,
                                    int type, gemlet_error *error) {
    if (row >= vocabulary->count) {
        return gemlet_vocabulary_fail_row(error, GEMLET_ERROR_ARGUMENT, row, "beyond the vocabulary's end");
    }
    if (type < GEMLET_PIECE_NORMAL || type > GEMLET_PIECE_BYTE) {
        return gemlet_vocabulary_fail_row(error, GEMLET_ERROR_FORMAT, row, "type is none of 1 to 6");
    }
    if (!isfinite(score)) {
        return gemlet_vocabulary_fail_row(error, GEMLET_ERROR_FORMAT, row, "score is not a number");
    }
    if (bytes == 0 || bytes > GEMLET_TOKEN_BYTES) {
        return gemlet_vocabulary_fail_row(error, GEMLET_ERROR_FORMAT, row, "text has no byte or more than 256");
    }
    if (!gemlet_utf8_valid((const unsigned char *)text, bytes)) {
        return gemlet_vocabulary_fail_row(error, GEMLET_ERROR_FORMAT, row, "text is not valid UTF-8");
    }
    vocabulary->pieces[row] = (gemlet_piece){text, bytes, score, (gemlet_piece_type)type};
    return GEMLET_OK;
}

gemlet_status gemlet_vocabulary_add(gemlet_vocabulary *vocabulary, size_t row, const char *text, size_t bytes, int special,
                                    gemlet_error *error) {
    gemlet_status status = gemlet_vocabulary_grow(vocabulary, row + 1, error);
    if (status != GEMLET_OK) {
        return status;
    }
    const gemlet_piece *piece = &vocabulary->pieces[row];
    if (piece->type != GEMLET_PIECE_NONE && (piece->bytes != bytes || memcmp(piece->text, text, bytes) != 0)) {
        return gemlet_vocabulary_fail_row(error, GEMLET_ERROR_FORMAT, row, "the added token's text differs from the piece's");
    }
    int type = special ? GEMLET_PIECE_CONTROL : GEMLET_PIECE_USER_DEFINED;
    return gemlet_vocabulary_set(vocabulary, row, text, bytes, piece->score, type, error);
}

/* ---- merges ---- */

enum { MAX_MERGES = 1 << 24 };

static gemlet_status fail_merge(const gemlet_vocabulary *vocabulary, gemlet_status status, const char *what, const char *text,
                                size_t bytes, gemlet_error *error) {
    char shown[64];
    size_t length = bytes < sizeof shown - 1 ? bytes : sizeof shown - 1;
    memcpy(shown, text, length);
    shown[length] = '\0';
    gemlet_fail(error, status, "merge ");
    gemlet_error_number(error, vocabulary->merge_count);
    gemlet_error_text(error, what);
    gemlet_error_text(error, shown);
    gemlet_error_text(error, "\"");
    return status;
}

static gemlet_status find_part(const gemlet_vocabulary *vocabulary, const vocabulary_index *texts, const char *text, size_t bytes,
                               uint32_t *row, gemlet_error *error) {
    *row = vocabulary_index_find(texts, text, bytes);
    if (*row == UINT32_MAX) {
        return fail_merge(vocabulary, GEMLET_ERROR_FORMAT, " has or makes a text that is no piece: \"", text, bytes, error);
    }
    return vocabulary->pieces[*row].type != GEMLET_PIECE_BYTE
               ? GEMLET_OK
               : fail_merge(vocabulary, GEMLET_ERROR_UNSUPPORTED, " is of a byte: \"", text, bytes, error);
}

gemlet_status gemlet_vocabulary_add_merge(gemlet_vocabulary *vocabulary, const vocabulary_index *texts, const char *left,
                                          size_t left_bytes, const char *right, size_t right_bytes, gemlet_error *error) {
    char text[GEMLET_TOKEN_BYTES];
    gemlet_ranked_merge merge;
    if (vocabulary->merge_count == MAX_MERGES) {
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "vocabulary: more than 16,777,216 merges");
    }
    gemlet_status status = find_part(vocabulary, texts, left, left_bytes, &merge.left, error);
    status = status != GEMLET_OK ? status : find_part(vocabulary, texts, right, right_bytes, &merge.right, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (left_bytes + right_bytes > sizeof text) {
        return fail_merge(vocabulary, GEMLET_ERROR_FORMAT, " makes more than 256 bytes of \"", left, left_bytes, error);
    }
    memcpy(text, left, left_bytes);
    memcpy(text + left_bytes, right, right_bytes);
    status = find_part(vocabulary, texts, text, left_bytes + right_bytes, &merge.result, error);
    if (status == GEMLET_OK && vocabulary->merge_count == vocabulary->merge_capacity) {
        size_t capacity = 2 * vocabulary->merge_capacity + 1024;
        gemlet_ranked_merge *merges = realloc(vocabulary->merges, capacity * sizeof *merges);
        if (merges == NULL) {
            return gemlet_vocabulary_no_memory(error);
        }
        vocabulary->merges = merges;
        vocabulary->merge_capacity = capacity;
    }
    if (status == GEMLET_OK) {
        vocabulary->merges[vocabulary->merge_count++] = merge;
    }
    return status;
}
