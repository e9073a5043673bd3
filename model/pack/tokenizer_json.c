#include "model/pack/tokenizer_json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "model/pack/fail.h"
#include "model/pack/vocabulary_index.h"
#include "model/tokenizer/tables.h"

#define SPACE_TEXT "\xE2\x96\x81"

/* The file that is read, and the first thing that was wrong with it. */
typedef struct reading {
    const char *path;
    gemlet_error *error;
    gemlet_status status;
} reading;

static const cJSON *member(const cJSON *json, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(json, name);
}

static bool is_text(const cJSON *json, const char *text) {
    return cJSON_IsString(json) && strcmp(json->valuestring, text) == 0;
}

/* Absent, null, false, zero or empty. */
static bool is_off(const cJSON *json) {
    return json == NULL || cJSON_IsNull(json) || cJSON_IsFalse(json) || (cJSON_IsNumber(json) && json->valuedouble == 0.0) ||
           is_text(json, "") || ((cJSON_IsArray(json) || cJSON_IsObject(json)) && json->child == NULL);
}

static void must(reading *r, bool holds, const char *name, const char *wanted) {
    if (!holds && r->status == GEMLET_OK) {
        r->status = pack_fail(r->error, GEMLET_ERROR_UNSUPPORTED, "%s: \"%s\" must be %s, as Gemma's tokenizer.json has it",
                              r->path, name, wanted);
    }
}

/* A step, or a sequence of steps, all of which must be one that `fits`. */
static bool all_steps(const cJSON *step, const char *list, bool (*fits)(const cJSON *step)) {
    if (step == NULL || cJSON_IsNull(step)) {
        return true;
    }
    if (!is_text(member(step, "type"), "Sequence")) {
        return fits(step);
    }
    for (const cJSON *one = member(step, list) != NULL ? member(step, list)->child : NULL; one != NULL; one = one->next) {
        if (!fits(one)) {
            return false;
        }
    }
    return true;
}

static bool replaces(const cJSON *step, const char *from, const char *to) {
    return is_text(member(step, "type"), "Replace") && is_text(member(member(step, "pattern"), "String"), from) &&
           is_text(member(step, "content"), to);
}

static bool is_normalizer(const cJSON *step) {
    return replaces(step, " ", SPACE_TEXT);
}

/* Where there is no space any more, this splits nothing. */
static bool is_splitter(const cJSON *step) {
    return is_text(member(step, "type"), "Split") && is_text(member(member(step, "pattern"), "String"), " ");
}

static bool is_decoder(const cJSON *step) {
    return replaces(step, SPACE_TEXT, " ") || is_text(member(step, "type"), "ByteFallback") ||
           is_text(member(step, "type"), "Fuse");
}

static void check_settings(reading *r, const cJSON *json, const cJSON *model) {
    must(r, is_text(member(model, "type"), "BPE"), "model.type", "\"BPE\"");
    must(r, cJSON_IsTrue(member(model, "byte_fallback")), "model.byte_fallback", "true");
    must(r, is_off(member(model, "dropout")), "model.dropout", "null");
    must(r, is_off(member(model, "continuing_subword_prefix")), "model.continuing_subword_prefix", "null");
    must(r, is_off(member(model, "end_of_word_suffix")), "model.end_of_word_suffix", "null");
    must(r, is_off(member(model, "ignore_merges")), "model.ignore_merges", "false");
    must(r, !is_off(member(json, "normalizer")) && all_steps(member(json, "normalizer"), "normalizers", is_normalizer),
         "normalizer", "the replacement of \" \" by U+2581");
    must(r, all_steps(member(json, "pre_tokenizer"), "pretokenizers", is_splitter), "pre_tokenizer", "null, or a split at \" \"");
    must(r, all_steps(member(json, "decoder"), "decoders", is_decoder), "decoder",
         "the replacement of U+2581 by \" \", bytes, and fusion");
}

static bool row_of(const cJSON *id, size_t *row) {
    double value = cJSON_IsNumber(id) ? id->valuedouble : -1.0;
    bool fits = value >= 0.0 && value < (double)GEMLET_TABLES_MAX_TOKENS;
    *row = fits ? (size_t)value : 0;
    return fits && (double)*row >= value && (double)*row <= value;
}

/* How many rows the ids of all tokens need.  There may be gaps, but not so that a few tokens need the memory of millions. */
static size_t count_rows(reading *r, const cJSON *vocab, const cJSON *added) {
    size_t count = 0, tokens = 0, row;
    for (const cJSON *entry = vocab->child; entry != NULL; entry = entry->next, tokens++) {
        count = row_of(entry, &row) && row >= count ? row + 1 : count;
    }
    for (const cJSON *entry = added != NULL ? added->child : NULL; entry != NULL; entry = entry->next, tokens++) {
        count = row_of(member(entry, "id"), &row) && row >= count ? row + 1 : count;
    }
    if (count > 2 * tokens + 1024) {
        r->status = pack_fail(r->error, GEMLET_ERROR_FORMAT, "%s: has %zu tokens, but ids up to %zu: download it again", r->path,
                              tokens, count - 1);
    }
    return count;
}

static bool is_byte(const char *text) {
    return strlen(text) == 6 && strncmp(text, "<0x", 3) == 0 && strspn(text + 3, "0123456789ABCDEF") == 2 && text[5] == '>';
}

/* A copy of a text behind those that are there. */
static const char *keep_text(char **end, const char *text) {
    char *copy = *end;
    size_t bytes = strlen(text) + 1;
    memcpy(copy, text, bytes);
    *end += bytes;
    return copy;
}

static void refuse_token(reading *r, const cJSON *entry, const char *what) {
    r->status = pack_fail(r->error, GEMLET_ERROR_FORMAT, "%s: token \"%.64s\" of \"vocab\" %s", r->path, entry->string, what);
}

static void read_pieces(reading *r, const cJSON *model, gemlet_vocabulary *vocabulary, char **texts) {
    const cJSON *unknown = member(model, "unk_token");
    for (const cJSON *entry = member(model, "vocab")->child; entry != NULL && r->status == GEMLET_OK; entry = entry->next) {
        size_t row;
        if (!row_of(entry, &row)) {
            refuse_token(r, entry, "must have an id from 0 to 8,388,607");
        } else if (vocabulary->pieces[row].type != GEMLET_PIECE_NONE) {
            refuse_token(r, entry, "has the id of another one");
        } else {
            const char *text = keep_text(texts, entry->string);
            int type = is_byte(text)                                                        ? GEMLET_PIECE_BYTE
                       : cJSON_IsString(unknown) && strcmp(text, unknown->valuestring) == 0 ? GEMLET_PIECE_UNKNOWN
                                                                                            : GEMLET_PIECE_NORMAL;
            r->status = gemlet_vocabulary_set(vocabulary, row, text, strlen(text), 0.0f, type, r->error);
        }
    }
}

/* Tokens that are found in the text before anything is merged.  One that is looked for before spaces become U+2581 can't be found
 * where it has one, but for a U+2581 of the text itself: it stays what merges make. */
static void read_added(reading *r, const cJSON *entry, gemlet_vocabulary *vocabulary, char **texts) {
    const cJSON *content = member(entry, "content");
    size_t row;
    if (!cJSON_IsString(content) || !row_of(member(entry, "id"), &row)) {
        r->status =
            pack_fail(r->error, GEMLET_ERROR_FORMAT, "%s: each of \"added_tokens\" must have an \"id\" and a \"content\"", r->path);
        return;
    }
    must(r, is_off(member(entry, "single_word")) && is_off(member(entry, "lstrip")) && is_off(member(entry, "rstrip")),
         content->valuestring, "an added token without single_word, lstrip and rstrip");
    bool special = cJSON_IsTrue(member(entry, "special"));
    bool unseen = !special && is_off(member(entry, "normalized")) && strstr(content->valuestring, SPACE_TEXT) != NULL;
    if (r->status == GEMLET_OK && !(unseen && vocabulary->pieces[row].type == GEMLET_PIECE_NORMAL)) {
        const char *text = keep_text(texts, content->valuestring);
        r->status = gemlet_vocabulary_add(vocabulary, row, text, strlen(text), special, r->error);
    }
}

/* ["left", "right"], or in older files "left right". */
static void read_merge(reading *r, const cJSON *entry, const vocabulary_index *index, gemlet_vocabulary *vocabulary) {
    const cJSON *first = cJSON_IsArray(entry) ? entry->child : NULL;
    const cJSON *second = first != NULL ? first->next : NULL;
    bool two = second != NULL && second->next == NULL;
    const char *space = cJSON_IsString(entry) ? strchr(entry->valuestring, ' ') : NULL;
    if (two && cJSON_IsString(first) && cJSON_IsString(second)) {
        r->status = gemlet_vocabulary_add_merge(vocabulary, index, first->valuestring, strlen(first->valuestring),
                                                second->valuestring, strlen(second->valuestring), r->error);
    } else if (space != NULL && strchr(space + 1, ' ') == NULL) {
        r->status = gemlet_vocabulary_add_merge(vocabulary, index, entry->valuestring, (size_t)(space - entry->valuestring),
                                                space + 1, strlen(space + 1), r->error);
    } else {
        r->status = pack_fail(r->error, GEMLET_ERROR_FORMAT, "%s: merge %zu must be two texts", r->path, vocabulary->merge_count);
    }
}

static void read_merges(reading *r, const cJSON *merges, gemlet_vocabulary *vocabulary) {
    vocabulary_index index;
    if (!vocabulary_index_init(&index, vocabulary)) {
        r->status = pack_fail(r->error, GEMLET_ERROR_MEMORY, "out of memory for the vocabulary of %s", r->path);
        return;
    }
    for (uint32_t row = 0; row < vocabulary->count; row++) {
        if (vocabulary->pieces[row].type != GEMLET_PIECE_NONE) {
            vocabulary_index_add(&index, row);
        }
    }
    vocabulary_index_sort(&index);
    for (const cJSON *entry = merges->child; entry != NULL && r->status == GEMLET_OK; entry = entry->next) {
        read_merge(r, entry, &index, vocabulary);
    }
    vocabulary_index_free(&index);
}

static void read_all(reading *r, const cJSON *json, size_t bytes, gemlet_vocabulary *vocabulary, void **texts) {
    const cJSON *model = member(json, "model"), *added = member(json, "added_tokens");
    const cJSON *vocab = member(model, "vocab"), *merges = member(model, "merges");
    check_settings(r, json, model);
    if (r->status == GEMLET_OK && (!cJSON_IsObject(vocab) || !cJSON_IsArray(merges))) {
        r->status = pack_fail(r->error, GEMLET_ERROR_FORMAT, "%s: \"model\" must hold \"vocab\" and \"merges\": download it again",
                              r->path);
    }
    if (r->status != GEMLET_OK) {
        return;
    }
    size_t rows = count_rows(r, vocab, added);
    char *end = *texts = malloc(bytes + 1); /* texts are no longer than what stands for them, quotes included */
    if (r->status == GEMLET_OK) {
        r->status = end != NULL ? gemlet_vocabulary_init(vocabulary, rows, r->error)
                                : pack_fail(r->error, GEMLET_ERROR_MEMORY, "out of memory for the vocabulary of %s", r->path);
    }
    if (r->status == GEMLET_OK) {
        read_pieces(r, model, vocabulary, &end);
    }
    for (const cJSON *entry = added != NULL ? added->child : NULL; entry != NULL && r->status == GEMLET_OK; entry = entry->next) {
        read_added(r, entry, vocabulary, &end);
    }
    if (r->status == GEMLET_OK) {
        vocabulary->ranked = true;
        read_merges(r, merges, vocabulary);
    }
}

gemlet_status gemlet_tokenizer_json_read(const char *json, size_t bytes, const char *path, gemlet_vocabulary *vocabulary,
                                         void **texts, gemlet_error *error) {
    reading r = {path, error, GEMLET_OK};
    cJSON *parsed = cJSON_ParseWithLength(json, bytes);
    *vocabulary = (gemlet_vocabulary){0};
    *texts = NULL;
    if (cJSON_IsObject(parsed)) {
        read_all(&r, parsed, bytes, vocabulary, texts);
    } else {
        r.status = pack_fail(error, GEMLET_ERROR_FORMAT, "%s: is not a JSON object: download it again", path);
    }
    cJSON_Delete(parsed);
    return r.status;
}
