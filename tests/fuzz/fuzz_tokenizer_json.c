/* libFuzzer: any bytes as tokenizer.json.  What is taken becomes tables, which must open, and encode and decode a text. */
#include <stdlib.h>
#include <string.h>

#include "model/pack/tokenizer_build.h"
#include "model/pack/tokenizer_json.h"
#include <gemlet/arena.h>
#include <gemlet/tokenizer.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gemlet_status forget(void *context, const uint32_t *tokens, size_t count) {
    (void)context;
    (void)tokens;
    (void)count;
    return GEMLET_OK;
}

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static void use(const void *tables, size_t bytes) {
    static _Alignas(8) unsigned char scratch[GEMLET_ENCODER_MIN_BYTES];
    static const char text[] = "ab abba  \n\n<a> <|b> \xC3\xA4\xF0\x9F\x98\x80\xFF";
    gemlet_tokenizer tokenizer;
    gemlet_encoder encoder;
    gemlet_error error;
    require(gemlet_tokenizer_open(&tokenizer, tables, bytes, &error) == GEMLET_OK);
    for (int mode = 0; mode < 2; mode++) {
        require(gemlet_encoder_begin(&encoder, &tokenizer, (gemlet_text_mode)mode, scratch, sizeof scratch, forget, NULL, &error) ==
                GEMLET_OK);
        require(gemlet_encoder_feed(&encoder, text, sizeof text - 1, &error) == GEMLET_OK);
        require(gemlet_encoder_finish(&encoder, &error) == GEMLET_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gemlet_vocabulary vocabulary;
    gemlet_error error = {GEMLET_OK, ""};
    void *texts = NULL, *tables = NULL;
    size_t bytes = 0;
    gemlet_status status = gemlet_tokenizer_json_read((const char *)data, size, "tokenizer.json", &vocabulary, &texts, &error);
    if (status == GEMLET_OK) {
        status = gemlet_tokenizer_build(&vocabulary, &tables, &bytes, &error);
    }
    require((status == GEMLET_OK) == (error.message[0] == '\0'));
    if (status == GEMLET_OK) {
        use(tables, bytes);
    }
    gemlet_vocabulary_free(&vocabulary);
    free(texts);
    free(tables);
    return 0;
}
