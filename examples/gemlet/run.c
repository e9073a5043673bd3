/* gemlet run: one answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/gemlet/answer.h"
#include "examples/gemlet/program.h"
#include "examples/gemlet/session_file.h"
#include "examples/gemlet/turn.h"

static gemlet_status make_prompt(answerer *a, const char *text, size_t bytes, token_list *prompt) {
    const gemlet_tokenizer *tokenizer = a->engine.tokenizer;
    if (!a->options->raw) {
        return answerer_next_turn(a, text, &a->options->images, a->options->sounds.count, prompt);
    }
    gemlet_status status = tokens_append_special(prompt, tokenizer, GEMLET_SPECIAL_BOS);
    return status == GEMLET_OK ? tokens_append_text(prompt, tokenizer, text, bytes, &a->error) : status;
}

static int run(answerer *a, const char *text, size_t bytes) {
    token_list prompt = {.ids = NULL};
    if (make_prompt(a, text, bytes, &prompt) != GEMLET_OK) {
        tokens_free(&prompt);
        return program_fail(&a->error);
    }
    answer_end end = answer(a, &prompt, &a->options->images, &a->options->sounds);
    tokens_free(&prompt);
    if (end == ANSWER_FAILED) {
        return program_fail(&a->error);
    }
    fputc('\n', stdout);
    if (fflush(stdout) != 0) {
        gemlet_fail(&a->error, GEMLET_ERROR_IO, "standard output can't be written");
        return program_fail(&a->error);
    }
    if (end == ANSWER_CONTEXT_FULL) {
        fprintf(stderr, "gemlet: the answer stops here: %s\n", a->error.message);
    }
    if (a->options->stats) {
        engine_print_stats(&a->engine, a->options, &a->work);
    }
    if (!form_is_complete(&a->form)) {
        gemlet_fail(&a->error, GEMLET_ERROR_CONTEXT,
                    "the answer was cut before it had its form: -n and --ctx leave it no more tokens");
        return program_fail(&a->error);
    }
    return 0;
}

/* The same behind a conversation that is in a file, and it goes back there. */
static int run_on(answerer *a, session_file *file, const char *text, size_t bytes) {
    if (session_file_read(file, a) != GEMLET_OK) {
        return program_fail(&a->error);
    }
    int code = run(a, text, bytes);
    return code == 0 && session_file_write(file, a) != GEMLET_OK ? program_fail(&a->error) : code;
}

int command_run(int argc, char **argv) {
    options o;
    answerer a;
    gemlet_error error = {GEMLET_OK, ""};
    int code;
    if (!options_parse(&o, OPTIONS_RUN, argc, argv, &code)) {
        return code;
    }
    char *input = NULL;
    size_t bytes = strlen(o.prompt);
    if (strcmp(o.prompt, "-") == 0) {
        input = read_text("-", &bytes, &error);
        if (input == NULL) {
            return program_fail(&error);
        }
    }
    const char *text = input != NULL ? input : o.prompt;
    session_file file;
    if (session_file_open(&file, o.session_file, &error) != GEMLET_OK) {
        free(input);
        return program_fail(&error);
    }
    if (answerer_open(&a, &o, NULL) != GEMLET_OK) {
        code = program_fail(&a.error);
    } else {
        code = o.session_file != NULL ? run_on(&a, &file, text, bytes) : run(&a, text, bytes);
    }
    answerer_close(&a);
    session_file_close(&file);
    free(input);
    return code;
}
