/* gemlet chat: a conversation, a line at a time; "/image FILE" shows a picture with the next line. */
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
    bool terminal;        /* whether a person types */
    bool begun;           /* whether a turn stands in the session */
    bool failed;          /* whether an answer failed */
    options_files images; /* for the next turn; the paths are ours */
} conversation;

static void forget_images(conversation *c) {
    while (c->images.count > 0) {
        free((char *)c->images.paths[--c->images.count]);
    }
}

static gemlet_status begin_anew(conversation *c) {
    c->begun = false;
    forget_images(c);
    return answerer_rewind(&c->answerer, 0);
}

/* Thoughts are no part of the conversation: where the last answer had some, the session goes back to before it, and the answer
 * alone is fed. */
static gemlet_status make_prompt(conversation *c, const char *line, token_list *prompt) {
    answerer *a = &c->answerer;
    turn_before before = {.first = !c->begun, .system = a->options->system, .think = a->options->think};
    gemlet_status status = GEMLET_OK;
    if (c->begun && a->thought) {
        status = answerer_forget_answer(a);
        before.reply = a->answer;
        before.reply_bytes = a->answer_bytes;
    } else if (a->unfed) {
        status = tokens_append(prompt, &a->last, 1);
    }
    return status == GEMLET_OK ? turn_append(prompt, a->engine.model, &before, line, (turn_slots){c->images.count, 0}, &a->error)
                               : status;
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

static void complain(conversation *c) {
    program_fail(&c->answerer.error);
    c->failed = true;
}

static gemlet_status say(conversation *c, const char *line) {
    answerer *a = &c->answerer;
    token_list prompt = {NULL, 0, 0};
    bool unfed = a->unfed;
    uint32_t last = a->last;
    gemlet_status status = make_prompt(c, line, &prompt);
    uint64_t in = a->work.tokens_in;
    answer_end end = status == GEMLET_OK ? answer(a, &prompt, &c->images, NULL) : ANSWER_FAILED;
    tokens_free(&prompt);
    bool fed = a->work.tokens_in != in;
    if (fed) {
        c->begun = true;
        forget_images(c);
        fputc('\n', stdout);
        fflush(stdout);
    } else {
        a->unfed = unfed;
        a->last = last;
    }
    if (end == ANSWER_FAILED || end == ANSWER_CONTEXT_FULL) {
        complain(c);
        if (a->error.status == GEMLET_ERROR_CONTEXT) {
            fputs("gemlet: /reset begins anew\n", stderr);
        }
    }
    if (end == ANSWER_CANCELLED) {
        fputs("(cancelled)\n", stderr);
    }
    return fed ? GEMLET_OK : take_back(c);
}

/* Keeps the picture for the next turn, if it is one. */
static gemlet_status add_image(conversation *c, const char *path) {
    answerer *a = &c->answerer;
    image_file file;
    if (gemlet_session_image_facts(a->engine.session).size == 0) {
        return gemlet_fail(&a->error, GEMLET_ERROR_UNSUPPORTED,
                           "/image: the model has no image encoder, or --no-images left it out");
    }
    if (*path == '\0' || strcmp(path, "-") == 0) {
        return gemlet_fail(&a->error, GEMLET_ERROR_ARGUMENT, "/image: expected the name of a file");
    }
    if (c->images.count == OPTIONS_MOST_FILES) {
        return gemlet_fail(&a->error, GEMLET_ERROR_ARGUMENT, "/image: expected at most 16 pictures before a question");
    }
    gemlet_status status = answer_read_image(a, &file, path);
    image_free(&file);
    char *copy = status == GEMLET_OK ? strdup(path) : NULL;
    if (status == GEMLET_OK && copy == NULL) {
        return gemlet_fail(&a->error, GEMLET_ERROR_MEMORY, "out of memory for a name");
    }
    if (copy != NULL) {
        c->images.paths[c->images.count++] = copy;
    }
    return status;
}

/* A line without its end into `*line`, `*bad` where it is no text; false at the end of the input. */
static bool read_line(conversation *c, char **line, size_t *capacity, const char **bad) {
    for (;;) {
        if (c->terminal) {
            fputs("> ", stdout);
            fflush(stdout);
        }
        interrupt_forget();
        errno = 0;
        ssize_t length = getline(line, capacity, stdin);
        if (length >= 0) {
            *bad = text_problem(*line, (size_t)length);
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

static gemlet_status obey(conversation *c, const char *line) {
    static const char image[] = "/image";
    if (strcmp(line, "/reset") == 0) {
        return begin_anew(c);
    }
    const char *path = strncmp(line, image, sizeof image - 1) == 0 ? line + sizeof image - 1 : "x";
    size_t gap = strspn(path, " \t");
    if (*path == '\0' || gap > 0) {
        if (add_image(c, path + gap) != GEMLET_OK) {
            complain(c);
        }
        return GEMLET_OK;
    }
    return line[strspn(line, " \t")] != '\0' ? say(c, line) : GEMLET_OK;
}

static gemlet_status converse(conversation *c) {
    char *line = NULL;
    const char *bad;
    size_t capacity = 0;
    gemlet_status status = GEMLET_OK;
    while (status == GEMLET_OK && !ferror(stdout) && read_line(c, &line, &capacity, &bad) && strcmp(line, "/quit") != 0) {
        if (bad != NULL) {
            gemlet_fail(&c->answerer.error, GEMLET_ERROR_FORMAT, "a line of the chat: ");
            gemlet_error_text(&c->answerer.error, bad);
            complain(c);
        } else {
            status = obey(c, line);
        }
    }
    if (status == GEMLET_OK && ferror(stdin)) {
        gemlet_fail(&c->answerer.error, GEMLET_ERROR_IO, "standard input can't be read: ");
        gemlet_error_text(&c->answerer.error, strerror(errno)); /* of the line that did not come */
        complain(c);
    }
    forget_images(c);
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
            fputs("/image FILE shows a picture with the next line, /reset begins anew, /quit ends, Ctrl-C cancels an answer\n",
                  stdout);
        }
        code = converse(&c) != GEMLET_OK ? program_fail(&c.answerer.error) : 0;
        if (o.stats) {
            engine_print_stats(&c.answerer.engine, &o, &c.answerer.work);
        }
        code = c.failed ? 1 : code;
    }
    answerer_close(&c.answerer);
    return code;
}
