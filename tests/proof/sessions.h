/* What the tests of sessions share: models, sessions that are small enough to be compared whole, and what is done by hand.
 * Arguments named `status` are what a call of the rig's answered. */
#ifndef GEMLET_TESTS_PROOF_SESSIONS_H
#define GEMLET_TESTS_PROOF_SESSIONS_H

#include "tests/robust/rig.h"

enum { CONTEXT = 40, CHUNK = 8 };

extern uint32_t ids[CONTEXT + 1];      /* a prompt that fills the context, and one more */
extern packed_file whole_model;        /* packed_whole's */
extern const gemlet_options text_only; /* CONTEXT and CHUNK, without images */

/* A test program's set_up and tear_down. */
int make_sessions(void **state);
int end_sessions(void **state);

/* The call answered `expected` with just this message. */
void says(rig *r, gemlet_status status, gemlet_status expected, const char *message);

/* Both sessions are in the same state. */
void assert_states(rig *a, rig *b);

/* Writes the tokens of a text to `out`, which has room, and answers their number. */
size_t tokens_of(rig *r, const char *text, bool special, uint32_t *out);

/* What feeds an image or a sound, by hand. */
void splice(rig *r, const gemlet_splice *around, const char *before, uint32_t begin, const float *soft, size_t count, uint32_t end);

/* What a session tells of its progress; it is cancelled at step `cancel_at`, from 1. */
typedef struct steps {
    size_t count, cancel_at;
    size_t done[64], total[64];
    const gemlet_session *session; /* or NULL: whose tokens that wait must be no more than a chunk */
} steps;

bool count_step(void *context, size_t done, size_t total);

#endif
