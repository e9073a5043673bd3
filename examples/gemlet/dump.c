/* gemlet dump: the logits after each token, for comparing with other programs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "examples/gemlet/engine.h"
#include "examples/gemlet/npy.h"
#include "examples/gemlet/program.h"
#include "examples/gemlet/tokens.h"

typedef struct dump {
    engine engine;
    FILE *out;
    int failure; /* errno of the first row that could not be written, or 0 */
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

/* No half file stays; but a device such as /dev/stdout does. */
static void remove_file(const char *path) {
    struct stat what;
    if (stat(path, &what) == 0 && S_ISREG(what.st_mode)) {
        remove(path);
    }
}

static gemlet_status write_logits(dump *d, const options *o, const token_list *tokens) {
    size_t rows = o->last != 0 && o->last < tokens->count ? o->last : tokens->count;
    d->out = fopen(o->logits, "wb");
    if (d->out == NULL) {
        return fail_to_write(d, o->logits, errno);
    }
    gemlet_status status = feed_and_write(d, tokens, rows);
    if (fclose(d->out) != 0 && d->failure == 0) {
        d->failure = errno;
    }
    if (status == GEMLET_OK && d->failure != 0) {
        status = fail_to_write(d, o->logits, d->failure);
    }
    if (status != GEMLET_OK) {
        remove_file(o->logits);
    }
    return status;
}

int command_dump(int argc, char **argv) {
    options o;
    dump d = {.out = NULL};
    token_list tokens = {NULL, 0, 0};
    int code;
    if (!options_parse(&o, OPTIONS_DUMP, argc, argv, &code)) {
        return code;
    }
    gemlet_status status = tokens_read(&tokens, o.tokens, &d.error);
    if (status == GEMLET_OK) {
        status = engine_open(&d.engine, &o, (uint32_t)tokens.count, &d.error);
    }
    if (status == GEMLET_OK) {
        status = write_logits(&d, &o, &tokens);
    }
    if (status == GEMLET_OK && o.stats) {
        engine_print_stats(&d.engine, &o, &d.work);
    }
    engine_close(&d.engine);
    tokens_free(&tokens);
    return status == GEMLET_OK ? 0 : program_fail(&d.error);
}
