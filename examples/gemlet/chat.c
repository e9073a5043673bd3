/* gemlet chat: a conversation, a line at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/gemlet/answer.h"
#include "examples/gemlet/interrupt.h"
#include "examples/gemlet/program.h"
#include "examples/gemlet/turn.h"

typedef struct conversation {
    answerer answerer;
    bool terminal; /* whether a person types */
    bool begun;    /* whether a turn stands in the session */
    bool failed;   /* whether an answer failed */
} conversation;

static gemlet_status begin_anew(conversation *c) {
    c->begun = false;
    return answerer_rewind(&c->answerer, 0);
}

static gemlet_status make_prompt(conversation *c, const char *line, token_list *prompt) {
    answerer *a = &c->answerer;
    gemlet_status status = a->unfed ? tokens_append(prompt, &a->last, 1) : GEMLET_OK;
    if (status == GEMLET_OK) {
        status = turn_append(prompt, a->engine.model, a->options->system, line, 0, !c->begun, &a->error);
    }
    return status;
}

/* After a prompt that was cancelled half way: as if it had not been asked. */
static gemlet_status take_back(conversation *c) {
    answerer *a = &c->answerer;
    if (gemlet_session_length(a->engine.session) == a->prompt_started ||
        gemlet_session_rewind(a->engine.session, a->prompt_started, &a->error) == GEMLET_OK) {
        return GEMLET_OK;
    }
    fputs("gemlet: the conversation begins anew\n", stderr);
    return begin_anew(c);
}

static gemlet_status say(conversation *c, const char *line) {
    answerer *a = &c->answerer;
    token_list prompt = {NULL, 0, 0};
    bool unfed = a->unfed;
    uint32_t last = a->last;
    gemlet_status status = make_prompt(c, line, &prompt);
    uint64_t in = a->work.tokens_in;
    answer_end end = status == GEMLET_OK ? answer(a, &prompt) : ANSWER_FAILED;
    tokens_free(&prompt);
    bool fed = a->work.tokens_in != in;
    if (fed) {
        c->begun = true;
        fputc('\n', stdout);
        fflush(stdout);
    } else {
        a->unfed = unfed;
        a->last = last;
    }
    if (end == ANSWER_FAILED || end == ANSWER_CONTEXT_FULL) {
        program_fail(&a->error);
        c->failed = true;
        if (a->error.status == GEMLET_ERROR_CONTEXT) {
            fputs("gemlet: /reset begins anew\n", stderr);
        }
    }
    if (end == ANSWER_CANCELLED) {
        fputs("(cancelled)\n", stderr);
    }
    return fed ? GEMLET_OK : take_back(c);
}

/* A line without its end into `*line`; false at the end of the input. */
static bool read_line(conversation *c, char **line, size_t *capacity) {
    for (;;) {
        if (c->terminal) {
            fputs("> ", stdout);
            fflush(stdout);
        }
        interrupt_forget();
        errno = 0;
        ssize_t length = getline(line, capacity, stdin);
        if (length >= 0) {
            (*line)[strcspn(*line, "\r\n")] = '\0';
            return true;
        }
        if (errno != EINTR) {
            return false;
        }
        clearerr(stdin);
        fputc('\n', stdout);
    }
}

static gemlet_status converse(conversation *c) {
    char *line = NULL;
    size_t capacity = 0;
    gemlet_status status = GEMLET_OK;
    while (status == GEMLET_OK && !ferror(stdout) && read_line(c, &line, &capacity) && strcmp(line, "/quit") != 0) {
        if (strcmp(line, "/reset") == 0) {
            status = begin_anew(c);
        } else if (line[strspn(line, " \t")] != '\0') {
            status = say(c, line);
        }
    }
    free(line);
    return status;
}

int command_chat(int argc, char **argv) {
    options o;
    conversation c = {.terminal = isatty(STDIN_FILENO) != 0};
    int code;
    if (!options_parse(&o, OPTIONS_CHAT, argc, argv, &code)) {
        return code;
    }
    if (answerer_open(&c.answerer, &o, interrupt_seen) != GEMLET_OK) {
        code = program_fail(&c.answerer.error);
    } else {
        interrupt_catch(); /* cancels the answer, or the line that is being typed */
        if (c.terminal) {
            fputs("/reset begins anew, /quit ends, Ctrl-C cancels an answer\n", stdout);
        }
        code = converse(&c) != GEMLET_OK ? program_fail(&c.answerer.error) : 0;
        if (o.stats) {
            engine_print_stats(&c.answerer.engine, &o, &c.answerer.work);
        }
        code = c.failed || ferror(stdout) ? 1 : code;
    }
    answerer_close(&c.answerer);
    return code;
}
