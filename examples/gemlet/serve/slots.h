/* Slots: sessions on one model, each for one answer at a time.  All their memory is planned and taken when the server starts.
 *
 * A slot remembers what its session holds, so that a prompt that begins like the last conversation is computed from where they
 * differ. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_SLOTS_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_SLOTS_H

#include <pthread.h>

#include "examples/gemlet/engine.h"
#include "examples/gemlet/form.h"
#include <gemlet/image.h>
#include <gemlet/sampler.h>
#include <gemlet/sound.h>

typedef struct slot {
    gemlet_session *session;
    gemlet_arena arena; /* of the session; the first slot's is the model's */
    gemlet_sampler sampler;
    void *sampler_scratch; /* for any settings of a request */
    form form;             /* of the answer under way, in form_memory */
    void *form_memory;
    uint64_t *keys;      /* of what the session holds: a token, or the identity of a picture or sound */
    uint32_t *positions; /* that each takes */
    size_t count;
    uint64_t last_used;
    bool busy;
} slot;

typedef struct slots {
    engine engine;
    slot *slots;
    size_t count;
    size_t session_bytes; /* of each session but the first, whose bytes are in engine.plan */
    size_t program_bytes; /* of what is beside the arenas: sampler scratch and what slots remember */
    size_t sampler_bytes; /* of a slot */
    size_t form_bytes;    /* of a slot */
    void *memory;         /* arenas of the sessions but the first */
    void *program_memory, *form_memory;
    pthread_mutex_t lock; /* of busy and last_used */
    uint64_t clock;
} slots;

/* Must be closed in any case. */
gemlet_status slots_open(slots *s, const options *o, gemlet_error *error);
void slots_close(slots *s);

/* The free slot that holds the longest beginning of `keys`, among equals the one that was not used for longest; NULL where all are
 * busy.  It is the caller's until it is given back. */
slot *slots_take(slots *s, const uint64_t *keys, size_t count);
void slots_give_back(slots *s, slot *taken);
size_t slots_busy(slots *s);

/* Goes back to what the session and `keys` have in common, but for the last of them, whose logits are wanted; answers how many that
 * are. */
size_t slot_keep(slot *s, const uint64_t *keys, size_t count);

/* Feed tokens, and what an encoder makes of a picture or a sound under its key.  After an error the slot holds what it did before,
 * or what was fed of it, or nothing. */
gemlet_status slot_feed(slot *s, const uint32_t *tokens, size_t count, gemlet_error *error);
gemlet_status slot_feed_image(slot *s, uint64_t key, const gemlet_image *image, gemlet_error *error);
gemlet_status slot_feed_sound(slot *s, uint64_t key, const gemlet_sound *sound, gemlet_error *error);

/* Positions that the session holds. */
size_t slot_length(const slot *s);

#endif
