/* gemlet chat: a conversation, a line at a time; "/image FILE" shows a picture with the next line, "/sound FILE" plays a sound.
 * Where the model calls functions (--tools), the next lines are what they answer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "examples/gemlet/answer.h"
#include "examples/gemlet/calls.h"
#include "examples/gemlet/interrupt.h"
#include "examples/gemlet/program.h"
#include "examples/gemlet/turn.h"

typedef struct conversation {
    answerer answerer;
    bool terminal;        /* whether a person types */
    bool begun;           /* whether a line was read: before the first, a byte order mark is left out */
    bool failed;          /* whether an answer failed */
    options_files images; /* for the next turn; the paths are ours */
    options_files sounds; /* likewise */
    call_list calls;      /* that wait for an answer */
} conversation;

static void forget(options_files *files) {
    while (files->count > 0) {
        free((char *)files->paths[--files->count]);
    }
}

static void forget_files(conversation *c) {
    forget(&c->images);
    forget(&c->sounds);
}

static gemlet_status begin_anew(conversation *c) {
    forget_files(c);
    calls_forget(&c->calls);
    return answerer_rewind(&c->answerer, 0);
}

/* After a prompt of which not all went in, if it was `asked` at all: as if the line had not been said. */
static gemlet_status take_back(conversation *c, bool asked) {
    answerer *a = &c->answerer;
    if (asked && gemlet_session_length(a->engine.session) != a->prompt_started &&
        gemlet_session_rewind(a->engine.session, a->prompt_started, &a->error) != GEMLET_OK) {
        fputs("gemlet: the conversation begins anew\n", stderr);
        return begin_anew(c);
    }
    calls_take_back(&c->calls);
    calls_print_next(&c->calls);
    return GEMLET_OK;
}

static void complain(conversation *c) {
    program_fail(&c->answerer.error);
    c->failed = true;
}

/* Shows the calls of an answer; the lines that come next answer them. */
static void take_calls(conversation *c) {
    answerer *a = &c->answerer;
    if (calls_read(&c->calls, a->calls.bytes, a->calls.count, &a->error) != GEMLET_OK) {
        complain(c);
    }
    calls_print_next(&c->calls);
}

static void report(conversation *c, answer_end end) {
    if (end == ANSWER_FAILED || end == ANSWER_CONTEXT_FULL) {
        complain(c);
        if (c->answerer.error.status == GEMLET_ERROR_CONTEXT) {
            fputs("gemlet: /reset begins anew\n", stderr);
        }
    }
    if (end == ANSWER_CANCELLED) {
        fputs("(cancelled)\n", stderr);
    }
}

/* Feeds a prompt, if `status` says that it could be made, and prints what comes.  A line with wrong marks, or too long, may be said
 * anew with the same files; those that can't be read would spoil each line to come. */
static gemlet_status exchange(conversation *c, gemlet_status status, const token_list *prompt) {
    answerer *a = &c->answerer;
    bool asked = status == GEMLET_OK;
    answer_end end = asked ? answer(a, prompt, &c->images, &c->sounds) : ANSWER_FAILED;
    bool fed = asked && a->prompt_fed;
    if (fed) {
        calls_forget(&c->calls);
        fputc('\n', stdout);
        fflush(stdout);
    }
    report(c, end);
    if (fed || (end == ANSWER_FAILED && a->error.status != (asked ? GEMLET_ERROR_CONTEXT : GEMLET_ERROR_ARGUMENT))) {
        forget_files(c);
    }
    if (end == ANSWER_TURN_ENDED && a->calls.count > 0) {
        take_calls(c);
    }
    return fed ? GEMLET_OK : take_back(c, asked);
}

static gemlet_status say(conversation *c, const char *line) {
    token_list prompt = {.ids = NULL};
    gemlet_status status = answerer_next_turn(&c->answerer, line, &c->images, c->sounds.count, &prompt);
    status = exchange(c, status, &prompt);
    tokens_free(&prompt);
    return status;
}

/* A line is what the next of the called functions answers; behind the last one the model goes on. */
static gemlet_status respond(conversation *c, const char *line) {
    answerer *a = &c->answerer;
    if (calls_answer(&c->calls, a->engine.model, line, &a->error) != GEMLET_OK) {
        complain(c);
    }
    if (c->calls.answered < c->calls.count) {
        calls_print_next(&c->calls);
        return GEMLET_OK;
    }
    token_list prompt = {.ids = NULL};
    gemlet_status status = calls_append(&c->calls, a->engine.model, &prompt, &a->error);
    status = exchange(c, status, &prompt);
    tokens_free(&prompt);
    return status;
}

/* Whether the model takes what a command brings, and there is room for one more file. */
static gemlet_status check_file(conversation *c, const char *command, bool taken, const options_files *files, const char *path) {
    gemlet_error *error = &c->answerer.error;
    gemlet_status status = GEMLET_OK;
    struct stat facts;
    bool vanishes =
        strcmp(path, "-") == 0 || (stat(path, &facts) == 0 && !S_ISREG(facts.st_mode)); /* it is read now, and shown later */
    if (!taken) {
        status = gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, command);
        gemlet_error_text(error, ": the model has no encoder for it, or ");
        gemlet_error_text(error, files == &c->images ? "--no-images" : "--no-sounds");
        gemlet_error_text(error, " left it out");
    } else if (*path == '\0' || vanishes) {
        status = gemlet_fail(error, GEMLET_ERROR_ARGUMENT, command);
        gemlet_error_text(error, ": expected the name of a file");
    } else if (files->count == OPTIONS_MOST_FILES) {
        status = gemlet_fail(error, GEMLET_ERROR_ARGUMENT, command);
        gemlet_error_text(error, ": expected before a question at most ");
        gemlet_error_number(error, OPTIONS_MOST_FILES);
    }
    return status;
}

static gemlet_status keep(conversation *c, options_files *files, const char *path) {
    char *copy = strdup(path);
    if (copy == NULL) {
        return gemlet_fail(&c->answerer.error, GEMLET_ERROR_MEMORY, "out of memory for a name");
    }
    files->paths[files->count++] = copy;
    return GEMLET_OK;
}

/* Keeps the picture for the next turn, if it is one. */
static gemlet_status add_image(conversation *c, const char *path) {
    image_file file;
    bool sees = gemlet_session_image_facts(c->answerer.engine.session).size > 0;
    gemlet_status status = check_file(c, "/image", sees, &c->images, path);
    if (status == GEMLET_OK) {
        status = answer_read_image(&c->answerer, &file, path);
        image_free(&file);
    }
    return status == GEMLET_OK ? keep(c, &c->images, path) : status;
}

/* Likewise the sound. */
static gemlet_status add_sound(conversation *c, const char *path) {
    answerer *a = &c->answerer;
    sound_file file;
    bool hears = gemlet_sound_soft_tokens(a->engine.session, 16000) > 0;
    gemlet_status status = check_file(c, "/sound", hears, &c->sounds, path);
    if (status == GEMLET_OK) {
        status = sound_read(&file, path, a->options, &a->error);
        if (status == GEMLET_OK) {
            sound_free(&file);
        }
    }
    return status == GEMLET_OK ? keep(c, &c->sounds, path) : status;
}

static void drop_line_end(char *line, size_t length) {
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) {
        length--;
    }
    line[length] = '\0';
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
            drop_line_end(*line, c->begun ? (size_t)length : text_skip_mark(*line, (size_t)length));
            c->begun = true;
            return true;
        }
        if (errno != EINTR) {
            return false;
        }
        clearerr(stdin);
        fputc('\n', stdout);
    }
}

/* What stands behind the command; NULL where the line is another. */
static const char *path_of(const char *line, const char *command) {
    size_t length = strlen(command);
    if (strncmp(line, command, length) != 0) {
        return NULL;
    }
    size_t gap = strspn(line + length, " \t");
    return line[length] == '\0' || gap > 0 ? line + length + gap : NULL;
}

static gemlet_status obey(conversation *c, const char *line) {
    const char *image = path_of(line, "/image"), *sound = path_of(line, "/sound");
    if (strcmp(line, "/reset") == 0) {
        return begin_anew(c);
    }
    if (c->calls.count > 0) { /* whatever it is: neither a question nor a picture can come between */
        return respond(c, line);
    }
    gemlet_status taken = GEMLET_OK;
    if (image != NULL) {
        taken = add_image(c, image);
    } else if (sound != NULL) {
        taken = add_sound(c, sound);
    } else if (line[strspn(line, " \t")] != '\0') {
        return say(c, line);
    }
    if (taken != GEMLET_OK) {
        complain(c);
    }
    return GEMLET_OK;
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
    forget_files(c);
    calls_forget(&c->calls);
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
            fputs("/image FILE shows a picture with the next line, /sound FILE plays a sound, /reset begins anew, /quit ends, "
                  "Ctrl-C cancels an answer\n",
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
