/* A packed model in memory, and a model with a session opened on it through a port that can be made to fail, in an arena between
 * red zones.  What the tests of robustness share. */
#ifndef GEMLET_TESTS_ROBUST_RIG_H
#define GEMLET_TESTS_ROBUST_RIG_H

#include "model/session/session.h"
#include "tests/container/memory_port.h"
#include "tests/support/fault_port.h"
#include <gemlet/image.h>

/* A packed file, 64-byte aligned; `bytes` is the caller's to free. */
typedef struct packed_file {
    const char *name;
    unsigned char *bytes;
    size_t size;
} packed_file;

packed_file packed_tiny(void);             /* Gemma 3n with its image encoder, 7 MB */
packed_file packed_small(void);            /* Gemma 3, text only, 28 KB */
packed_file packed_whole(void);            /* Gemma 4 with its encoders of pictures and sounds */
packed_file packed_read(const char *path); /* a file that is packed already */

/* Gemma 3n with its image encoder and fewer layers, 2 MB; and Gemma 3, text only, 28 KB.  A test program's set_up and tear_down
 * pack and free them. */
extern packed_file mini, small;
int pack_models(void **state);
int free_models(void **state);

enum { RIG_RED_ZONE = 4096, RIG_FRAME_SIDE = 64, RIG_VOCABULARY_MOST = 4096 };

typedef struct rig {
    memory_file file;
    gemlet_port memory_port;
    fault_port fault;
    gemlet_port port; /* fails as `fault` says, else reads `file` */
    gemlet_options options;
    unsigned char *block; /* red zone, arena of arena_bytes, red zone */
    size_t arena_bytes;
    gemlet_arena arena;
    gemlet_model *model;
    gemlet_session *session;
    gemlet_error error;
    unsigned char pixels[RIG_FRAME_SIDE * RIG_FRAME_SIDE * 3]; /* of rig_frame */
} rig;

/* The ports alone; `bytes` must outlive the rig. */
void rig_init(rig *r, const unsigned char *bytes, size_t size, const gemlet_options *options);

/* Bytes of arena that gemlet_plan answers; fails the test where it answers an error. */
size_t rig_plan(rig *r);

/* Opens model and session in `bytes` of arena, filled with `poison` before.  After an error nothing is open. */
gemlet_status rig_open(rig *r, size_t bytes, int poison);

/* Opens again in the arena that rig_open took, whose model was closed or never open. */
gemlet_status rig_open_again(rig *r);

/* rig_init, rig_plan and rig_open, which must succeed. */
void rig_start(rig *r, const packed_file *file, const gemlet_options *options);

/* Closes what is open.  Fails the test where a red zone was written or a file stayed open. */
void rig_close(rig *r);

/* ---- Using it ---- */

/* Fails the test with what the rig's error says where `status` is an error. */
void must(const rig *r, gemlet_status status);

/* Fails the test where `status` is none or, for an error, where the message is missing or says another status. */
void rig_check_status(const rig *r, gemlet_status status);

/* The session's state, for the caller to free: the same bytes mean the same history, keys, values and logits. */
typedef struct saved_state {
    unsigned char *bytes;
    size_t size;
} saved_state;

saved_state rig_save(rig *r);
void rig_restore(rig *r, const saved_state *state);
void assert_same_state(const saved_state *a, const saved_state *b);

/* The session is in this state. */
void assert_state(rig *r, const saved_state *expected);

/* A frame with different pixels. */
gemlet_image rig_frame(rig *r);

/* Feeds text and tokens, and feeds back the likeliest token three times.  Answers the first error. */
gemlet_status rig_chat(rig *r);

/* Where the session takes images, feeds one; then as rig_chat.  Nearly every line of the forward passes runs. */
gemlet_status rig_converse(rig *r);

#endif
