/* What tokenizer.json may say: settings that change what is cut how, and damage, are refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/pack/tokenizer_json.h"

#define NORMAL "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xE2\x96\x81\"}"
#define BPE "\"type\":\"BPE\",\"byte_fallback\":true"
#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<0x41>\":3}"
#define MERGES "\"merges\":[[\"a\",\"b\"]]"
#define MODEL "\"model\":{" BPE "," VOCAB "," MERGES "}"

/* `message` is what stands behind the path, or NULL where the file is taken. */
static const struct reading {
    const char *json, *message;
} readings[] = {
    {"{" NORMAL "," MODEL "}", NULL},
    {"{" NORMAL ",\"model\":{" BPE "," VOCAB ",\"merges\":[\"a b\"]}}", NULL},
    {"{" NORMAL "," MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\" \"}}}", NULL},
    {"{" NORMAL "," MODEL ",\"added_tokens\":[{\"id\":5,\"content\":\"<x>\",\"special\":true}]}", NULL},
    {"", ": is not a JSON object"},
    {"[1]", ": is not a JSON object"},
    {"{" NORMAL "," MODEL, ": is not a JSON object"},
    {"{" NORMAL "}", ": \"model.type\" must be \"BPE\""},
    {"{" NORMAL ",\"model\":{\"type\":\"Unigram\"}}", ": \"model.type\" must be \"BPE\""},
    {"{" NORMAL ",\"model\":{\"type\":\"BPE\"}}", ": \"model.byte_fallback\" must be true"},
    {"{" NORMAL ",\"model\":{" BPE ",\"dropout\":0.1}}", ": \"model.dropout\" must be null"},
    {"{" NORMAL ",\"model\":{" BPE ",\"ignore_merges\":true}}", ": \"model.ignore_merges\" must be false"},
    {"{" NORMAL ",\"model\":{" BPE ",\"end_of_word_suffix\":\"#\"}}", ": \"model.end_of_word_suffix\" must be null"},
    {"{" MODEL "}", ": \"normalizer\" must be the replacement"},
    {"{\"normalizer\":{\"type\":\"NFKC\"}," MODEL "}", ": \"normalizer\" must be the replacement"},
    {"{" NORMAL "," MODEL ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", ": \"pre_tokenizer\" must be null, or a split"},
    {"{" NORMAL "," MODEL ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Strip\"}]}}", ": \"decoder\" must be"},
    {"{" NORMAL ",\"model\":{" BPE "," VOCAB "}}", ": \"model\" must hold \"vocab\" and \"merges\""},
    {"{" NORMAL ",\"model\":{" BPE "," MERGES "}}", ": \"model\" must hold \"vocab\" and \"merges\""},
    {"{" NORMAL ",\"model\":{" BPE ",\"vocab\":{\"a\":-1}," MERGES "}}", ": token \"a\" of \"vocab\" must have an id"},
    {"{" NORMAL ",\"model\":{" BPE ",\"vocab\":{\"a\":0.5}," MERGES "}}", ": token \"a\" of \"vocab\" must have an id"},
    {"{" NORMAL ",\"model\":{" BPE ",\"vocab\":{\"a\":1,\"b\":1}," MERGES "}}",
     ": token \"b\" of \"vocab\" has the id of another one"},
    {"{" NORMAL ",\"model\":{" BPE ",\"vocab\":{\"a\":8388606}," MERGES "}}", ": has 1 tokens, but ids up to 8388606"},
    {"{" NORMAL ",\"model\":{" BPE "," VOCAB ",\"merges\":[[\"a\"]]}}", ": merge 0 must be two texts"},
    {"{" NORMAL ",\"model\":{" BPE "," VOCAB ",\"merges\":[\"a b a\"]}}", ": merge 0 must be two texts"},
    {"{" NORMAL ",\"model\":{" BPE "," VOCAB ",\"merges\":[[\"a\",\"b\"],[\"b\",\"c\"]]}}",
     "merge 1 has or makes a text that is no piece: \"c\""},
    {"{" NORMAL ",\"model\":{" BPE "," VOCAB ",\"merges\":[[\"b\",\"a\"]]}}",
     "merge 0 has or makes a text that is no piece: \"ba\""},
    {"{" NORMAL ",\"model\":{" BPE "," VOCAB ",\"merges\":[[\"a\",\"<0x41>\"]]}}", "merge 0 is of a byte: \"<0x41>\""},
    {"{" NORMAL "," MODEL ",\"added_tokens\":[{\"content\":\"x\"}]}", ": each of \"added_tokens\" must have"},
    {"{" NORMAL "," MODEL ",\"added_tokens\":[{\"id\":0,\"content\":\"x\"}]}", "vocabulary row 0: the added token's text differs"},
    {"{" NORMAL "," MODEL ",\"added_tokens\":[{\"id\":5,\"content\":\"x\",\"lstrip\":true}]}",
     ": \"x\" must be an added token without"},
};

static void files_are_taken_or_refused_by_name(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        const struct reading *r = &readings[i];
        gemlet_vocabulary vocabulary;
        gemlet_error error = {GEMLET_OK, ""};
        void *texts = NULL;
        gemlet_status status = gemlet_tokenizer_json_read(r->json, strlen(r->json), "t.json", &vocabulary, &texts, &error);
        bool as_expected = r->message == NULL ? status == GEMLET_OK && vocabulary.ranked && vocabulary.merge_count == 1
                                              : status != GEMLET_OK && strstr(error.message, r->message) != NULL;
        if (!as_expected) {
            fail_msg("%s: \"%s\" expected, found \"%s\"", r->json, r->message != NULL ? r->message : "", error.message);
        }
        gemlet_vocabulary_free(&vocabulary);
        free(texts);
    }
}

/* Nothing is read behind the end of a file that is cut off. */
static void a_file_cut_off_anywhere_is_refused(void **state) {
    (void)state;
    const char *whole = readings[0].json;
    for (size_t length = 0; length < strlen(whole); length++) {
        char *cut = malloc(length + 1);
        gemlet_vocabulary vocabulary;
        gemlet_error error = {GEMLET_OK, ""};
        void *texts = NULL;
        memcpy(cut, whole, length);
        assert_int_not_equal(gemlet_tokenizer_json_read(cut, length, "t.json", &vocabulary, &texts, &error), GEMLET_OK);
        assert_non_null(strstr(error.message, "t.json"));
        gemlet_vocabulary_free(&vocabulary);
        free(texts);
        free(cut);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_taken_or_refused_by_name),
        cmocka_unit_test(a_file_cut_off_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
