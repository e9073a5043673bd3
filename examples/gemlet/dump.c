/* gemlet dump: the logits after each token, or the soft tokens of an image, for comparing with other programs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "examples/gemlet/engine.h"
#include "examples/gemlet/image.h"
#include "examples/gemlet/interrupt.h"
#include "examples/gemlet/npy.h"
#include "examples/gemlet/program.h"
#include "examples/gemlet/sound.h"
#include "examples/gemlet/tokens.h"
#include "model/pack/unfinished.h"

typedef struct dump {
    engine engine;
    FILE *out;
    bool direct;                                               /* whether that is what was asked for */
    char target[PACK_PATH_BYTES], unfinished[PACK_PATH_BYTES]; /* else its names when it is whole, and until then */
    int failure;                                               /* errno of the first row that could not be written, or 0 */
    engine_work work;
    gemlet_error error;
} dump;

static void write_row(void *context, size_t index, const float *logits, size_t count) {
    dump *d = context;
    (void)index;
    if (d->failure == 0 && !npy_row(d->out, logits, count)) {
        d->failure = errno;
    }
}

static gemlet_status feed_and_write(dump *d, const token_list *tokens, size_t rows) {
    gemlet_session *session = d->engine.session;
    size_t unwritten = tokens->count - rows;
    uint64_t started = engine_time(&d->engine);
    d->failure = npy_header(d->out, rows, d->engine.facts.vocabulary) ? 0 : errno;
    gemlet_status status = unwritten > 0 ? gemlet_feed(session, tokens->ids, unwritten, &d->error) : GEMLET_OK;
    if (status == GEMLET_OK) {
        status = gemlet_feed_with_logits(session, tokens->ids + unwritten, rows, write_row, d, &d->error);
    }
    d->work.tokens_in = tokens->count;
    d->work.time_in = engine_time(&d->engine) - started;
    return status;
}

static gemlet_status fail_to_write(dump *d, const char *path, int reason) {
    gemlet_fail(&d->error, GEMLET_ERROR_IO, path);
    gemlet_error_text(&d->error, ": ");
    gemlet_error_text(&d->error, strerror(reason));
    return GEMLET_ERROR_IO;
}

/* What is encoded: one of the two. */
typedef struct dump_source {
    const image_file *image;
    const sound_file *sound;
} dump_source;

static gemlet_status encode_and_write(dump *d, const dump_source *source) {
    const float *soft_tokens = NULL;
    size_t rows = 0;
    gemlet_sound sound = {.samples = NULL};
    if (source->sound != NULL) {
        sound = sound_of(source->sound);
    }
    gemlet_status status = source->sound != NULL
                               ? gemlet_encode_sound(d->engine.session, &sound, &soft_tokens, &rows, &d->error)
                               : gemlet_encode_image(d->engine.session, &source->image->image, &soft_tokens, &rows, &d->error);
    if (status != GEMLET_OK) {
        return status;
    }
    d->failure = npy_header(d->out, rows, d->engine.facts.width) ? 0 : errno;
    for (size_t i = 0; i < rows; i++) {
        write_row(d, i, soft_tokens + i * d->engine.facts.width, d->engine.facts.width);
    }
    return GEMLET_OK;
}

static bool go_on(void *context, size_t done, size_t total) {
    (void)context;
    (void)done;
    (void)total;
    return !interrupt_seen();
}

/* Before a part of the tokens is computed for nothing. */
static gemlet_status check_room(dump *d, size_t tokens) {
    size_t capacity = gemlet_session_capacity(d->engine.session);
    if (tokens <= capacity) {
        return GEMLET_OK;
    }
    gemlet_fail(&d->error, GEMLET_ERROR_CONTEXT, "the context holds ");
    gemlet_error_number(&d->error, capacity);
    gemlet_error_text(&d->error, " tokens (--ctx), found ");
    gemlet_error_number(&d->error, tokens);
    return GEMLET_ERROR_CONTEXT;
}

/* ---- The output ---- */

static bool is_same_file(const char *a, const char *b) {
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

static gemlet_status check_output(dump *d, const options *o, const char *path) {
    const struct {
        const char *path, *what;
    } inputs[] = {{o->model, "the model"},
                  {o->tokens, "the tokens"},
                  {o->images.count > 0 ? o->images.paths[0] : NULL, "the image"},
                  {o->sounds.count > 0 ? o->sounds.paths[0] : NULL, "the sound"}};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        if (inputs[i].path != NULL && is_same_file(path, inputs[i].path)) {
            gemlet_fail(&d->error, GEMLET_ERROR_ARGUMENT, path);
            gemlet_error_text(&d->error, ": the output would replace ");
            gemlet_error_text(&d->error, inputs[i].what);
            return GEMLET_ERROR_ARGUMENT;
        }
    }
    return GEMLET_OK;
}

/* What is no file, such as /dev/stdout, is written as it comes; a file appears when it is whole. */
static bool open_output(dump *d, const char *path) {
    struct stat there;
    errno = pack_follow_links(path, d->target);
    if (errno != 0) {
        return false;
    }
    d->direct = stat(path, &there) == 0 && !(S_ISREG(there.st_mode) && is_same_file(path, d->target));
    if (!d->direct) {
        pack_remove_unfinished(d->target);
    }
    d->out = d->direct ? fopen(path, "wb") : pack_create_unfinished(d->target, d->unfinished);
    return d->out != NULL;
}

static int close_output(dump *d, bool whole) {
    if (!d->direct) {
        return pack_finish_unfinished(d->out, d->unfinished, d->target, whole);
    }
    return fclose(d->out) != 0 ? errno : 0;
}

/* Of the source where there is one, else of the tokens. */
static gemlet_status write_values(dump *d, const options *o, const token_list *tokens, const dump_source *source) {
    const char *path = source != NULL ? o->soft_tokens : o->logits;
    size_t rows = o->last != 0 && o->last < tokens->count ? o->last : tokens->count;
    gemlet_status status = check_room(d, tokens->count);
    if (status != GEMLET_OK) {
        return status;
    }
    interrupt_catch_all(); /* half a file goes first */
    gemlet_session_on_progress(d->engine.session, go_on, NULL);
    if (!open_output(d, path)) {
        return fail_to_write(d, path, errno);
    }
    status = source != NULL ? encode_and_write(d, source) : feed_and_write(d, tokens, rows);
    int failure = close_output(d, status == GEMLET_OK && d->failure == 0);
    d->failure = d->failure == 0 ? failure : d->failure;
    return status == GEMLET_OK && d->failure != 0 ? fail_to_write(d, path, d->failure) : status;
}

int command_dump(int argc, char **argv) {
    options o;
    dump d = {.out = NULL};
    token_list tokens = {.ids = NULL};
    int code;
    if (!options_parse(&o, OPTIONS_DUMP, argc, argv, &code)) {
        return code;
    }
    image_file image = {.pixels = NULL};
    sound_file sound = {.samples = NULL};
    dump_source source = {o.images.count > 0 ? &image : NULL, o.sounds.count > 0 ? &sound : NULL};
    bool encodes = source.image != NULL || source.sound != NULL;
    gemlet_status status = check_output(&d, &o, encodes ? o.soft_tokens : o.logits);
    if (status == GEMLET_OK) {
        status = source.image != NULL   ? image_read(&image, o.images.paths[0], (size_t)o.image_memory * IMAGE_MEBIBYTE, &d.error)
                 : source.sound != NULL ? sound_read(&sound, o.sounds.paths[0], &o, &d.error)
                                        : tokens_read(&tokens, o.tokens, &d.error);
    }
    if (status == GEMLET_OK) {
        status = engine_open(&d.engine, &o, encodes ? 1 : (uint32_t)tokens.count, &d.error);
    }
    if (status == GEMLET_OK) {
        status = write_values(&d, &o, &tokens, encodes ? &source : NULL);
    }
    if (status == GEMLET_OK && o.stats) {
        engine_print_stats(&d.engine, &o, &d.work);
    }
    engine_close(&d.engine);
    tokens_free(&tokens);
    image_free(&image);
    sound_free(&sound);
    if (status == GEMLET_ERROR_CANCELLED) {
        interrupt_die();
    }
    return status == GEMLET_OK ? 0 : program_fail(&d.error);
}
