/* The tiny model, packed and opened, and what the reference implementation computes with it (make_reference.py). */
#ifndef GEMLET_TESTS_GOLDEN_GOLDEN_H
#define GEMLET_TESTS_GOLDEN_GOLDEN_H

#include "model/session/session.h"

/* A model and a session in an arena of exactly the planned size. */
typedef struct running {
    struct gemlet_posix *posix;
    gemlet_port port;
    gemlet_options options;
    gemlet_memory_plan plan;
    void *memory;
    gemlet_arena arena;
    gemlet_model *model;
    gemlet_session *session;
    gemlet_error error;
} running;

/* Opens the packed model at `path`; fails the test where that fails.  Under sanitizers at the scalar level, unless another is asked
 * for. */
void running_open(running *r, const char *path, size_t threads, const gemlet_options *options);
void running_close(running *r);

/* Fails the test where the packed model at `path` can't be planned or can be opened, or the message lacks `words`. */
void assert_model_refused(const char *path, const char *words);

/* Fails the test with the message of `r` where `status` is not GEMLET_OK. */
void running_must(const running *r, gemlet_status status);

/* The bytes of a file, for the caller to free; NULL where there is none. */
void *file_read(const char *path, size_t *bytes);

/* Numbers of a file of tests/data/golden, for the caller to free. */
void *golden_read(const char *name, size_t *count);

/* Logits of every position, [count][vocabulary], for the caller to free; fails the test where feeding fails. */
float *running_logits(running *r, const uint32_t *tokens, size_t count);

/* Cosines between `rows` rows of `width` numbers. */
typedef struct agreement {
    double mean, worst;
    double same_largest; /* share of rows whose largest number is at the same place */
} agreement;

agreement agreement_of(const float *a, const float *b, size_t rows, size_t width);

/* Prints the agreement and fails the test where it is less. */
void assert_agreement(const char *what, agreement found, double mean, double worst, double same_largest);

#endif
