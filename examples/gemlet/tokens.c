#include "examples/gemlet/tokens.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/gemlet/program.h"

void tokens_free(token_list *list) {
    free(list->ids);
    *list = (token_list){.ids = NULL};
}

gemlet_status tokens_append(void *list, const uint32_t *ids, size_t count) {
    token_list *l = list;
    if (l->most > 0 && count > l->most - l->count) {
        return GEMLET_ERROR_CONTEXT;
    }
    if (count > l->capacity - l->count) {
        size_t capacity = 2 * (l->count + count) + 64;
        uint32_t *grown = realloc(l->ids, capacity * sizeof *grown);
        if (grown == NULL) {
            return GEMLET_ERROR_MEMORY;
        }
        l->ids = grown;
        l->capacity = capacity;
    }
    if (count > 0) {
        memcpy(l->ids + l->count, ids, count * sizeof *ids);
        l->count += count;
    }
    return GEMLET_OK;
}

static gemlet_status out_of_memory(gemlet_error *error) {
    return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for tokens");
}

gemlet_status tokens_append_text(token_list *list, const gemlet_tokenizer *tokenizer, const char *text, size_t bytes,
                                 gemlet_error *error) {
    gemlet_encoder encoder;
    void *scratch = malloc(GEMLET_ENCODER_BYTES);
    if (scratch == NULL) {
        return out_of_memory(error);
    }
    gemlet_status status =
        gemlet_encoder_begin(&encoder, tokenizer, GEMLET_TEXT_PLAIN, scratch, GEMLET_ENCODER_BYTES, tokens_append, list, error);
    if (status == GEMLET_OK) {
        status = gemlet_encoder_feed(&encoder, text, bytes, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_encoder_finish(&encoder, error);
    }
    free(scratch);
    return status;
}

gemlet_status tokens_append_special(token_list *list, const gemlet_tokenizer *tokenizer, gemlet_special which) {
    uint32_t id = gemlet_tokenizer_special(tokenizer, which);
    return id == GEMLET_NO_TOKEN ? GEMLET_OK : tokens_append(list, &id, 1);
}

/* ---- Files ---- */

enum { BOM_BYTES = 3 };

static char *fail_to_read(const char *path, const char *problem, gemlet_error *error) {
    gemlet_fail(error, GEMLET_ERROR_IO, program_input(path));
    gemlet_error_text(error, ": ");
    gemlet_error_text(error, problem);
    return NULL;
}

const char *text_problem(const char *text, size_t bytes) {
    if (bytes >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0)) {
        return "expected text in UTF-8, found UTF-16";
    }
    return memchr(text, '\0', bytes) != NULL ? "expected text, found a zero byte" : NULL;
}

size_t text_skip_mark(char *text, size_t bytes) {
    if (bytes < BOM_BYTES || memcmp(text, "\xEF\xBB\xBF", BOM_BYTES) != 0) {
        return bytes;
    }
    memmove(text, text + BOM_BYTES, bytes - BOM_BYTES + 1);
    return bytes - BOM_BYTES;
}

char *read_text(const char *path, size_t *bytes, gemlet_error *error) {
    bool standard = strcmp(path, "-") == 0;
    FILE *in = standard ? stdin : fopen(path, "rb");
    if (in == NULL) {
        return fail_to_read(path, strerror(errno), error);
    }
    char *text = NULL, *grown = NULL;
    size_t capacity = 0;
    *bytes = 0;
    do {
        capacity = 2 * capacity + 4096;
        grown = realloc(text, capacity);
        if (grown != NULL) {
            text = grown;
            *bytes += fread(text + *bytes, 1, capacity - 1 - *bytes, in);
        }
    } while (grown != NULL && *bytes == capacity - 1);
    const char *problem = grown == NULL ? "out of memory" : ferror(in) ? strerror(errno) : NULL;
    if (!standard) {
        fclose(in);
    }
    if (problem == NULL && *bytes > 0) {
        problem = text_problem(text, *bytes);
    }
    if (problem != NULL) {
        free(text);
        return fail_to_read(path, problem, error);
    }
    text[*bytes] = '\0';
    *bytes = text_skip_mark(text, *bytes);
    return text;
}

static gemlet_status parse_ids(token_list *list, const char *path, const char *text, gemlet_error *error) {
    for (;;) {
        text += strspn(text, " \t\r\n\v\f");
        if (*text == '\0') {
            return GEMLET_OK;
        }
        char *end;
        errno = 0;
        unsigned long long id = strtoull(text, &end, 10);
        if (!isdigit((unsigned char)*text) || (*end != '\0' && !isspace((unsigned char)*end)) || errno != 0 || id > UINT32_MAX) {
            gemlet_fail(error, GEMLET_ERROR_FORMAT, program_input(path));
            gemlet_error_text(error, ": expected token ids separated by white space, found \"");
            gemlet_error_bytes(error, text, strcspn(text, " \t\r\n\v\f") < 40 ? strcspn(text, " \t\r\n\v\f") : 40);
            gemlet_error_text(error, "\" after ");
            gemlet_error_number(error, list->count);
            gemlet_error_text(error, " ids");
            return GEMLET_ERROR_FORMAT;
        }
        uint32_t checked = (uint32_t)id;
        if (tokens_append(list, &checked, 1) != GEMLET_OK) {
            return out_of_memory(error);
        }
        text = end;
    }
}

gemlet_status tokens_read(token_list *list, const char *path, gemlet_error *error) {
    size_t bytes;
    char *text = read_text(path, &bytes, error);
    if (text == NULL) {
        return GEMLET_ERROR_IO;
    }
    gemlet_status status = parse_ids(list, path, text, error);
    free(text);
    if (status == GEMLET_OK && list->count == 0) {
        gemlet_fail(error, GEMLET_ERROR_FORMAT, program_input(path));
        gemlet_error_text(error, ": expected token ids, found none");
        status = GEMLET_ERROR_FORMAT;
    }
    return status;
}
