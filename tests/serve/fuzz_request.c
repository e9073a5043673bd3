/* libFuzzer: any bytes as a request for a chat completion, to a model that knows text alone and to one that sees, hears, thinks and
 * calls functions.  It is read, or refused with words, and leaves no memory behind. */
#include <stdlib.h>

#include "examples/gemlet/serve/json.h"
#include "examples/gemlet/serve/request.h"
#include "tests/robust/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct answerer_of_requests {
    rig rig;
    form_words words;
    request_reader reader;
} answerer_of_requests;

static void start(answerer_of_requests *a, const packed_file *file) {
    static options chosen;
    gemlet_error error = {GEMLET_OK, ""};
    rig_start(&a->rig, file, &(gemlet_options){.chunk = 8});
    if (form_words_open(&a->words, gemlet_model_tokenizer(a->rig.model), &error) != GEMLET_OK) {
        form_words_close(&a->words); /* as the server does: who asks for a form is told */
    }
    a->reader = (request_reader){.options = &chosen, .model = a->rig.model, .session = a->rig.session, .words = &a->words};
}

/* What is taken out of the request's text is a whole value. */
static void check_json(const char *text) {
    cJSON *json = text != NULL ? cJSON_Parse(text) : NULL;
    if (text != NULL && json == NULL) {
        abort();
    }
    cJSON_Delete(json);
}

static void ask(const answerer_of_requests *a, const char *text, size_t size) {
    request read;
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_status status = request_read(&read, &a->reader, text, size, &error);
    if (status != GEMLET_OK && (error.status != status || error.message[0] == '\0')) {
        abort(); /* every refusal says why */
    }
    if (status == GEMLET_OK && (read.positions > gemlet_session_capacity(a->rig.session) || read.prompt.count == 0)) {
        abort();
    }
    check_json(read.tools);
    check_json(read.callable);
    check_json(read.form.schema);
    request_free(&read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static answerer_of_requests of_text, of_all;
    if (of_text.rig.session == NULL) {
        const packed_file text = packed_small(), all = packed_whole();
        json_begin();
        start(&of_text, &text);
        start(&of_all, &all);
    }
    ask(&of_text, (const char *)data, size);
    ask(&of_all, (const char *)data, size);
    return 0;
}
