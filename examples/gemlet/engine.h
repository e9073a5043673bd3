/* A model and a session in memory of the planned size, as the commands use them. */
#ifndef GEMLET_EXAMPLES_GEMLET_ENGINE_H
#define GEMLET_EXAMPLES_GEMLET_ENGINE_H

#include "examples/gemlet/options.h"
#include <gemlet/gemlet.h>
#include <gemlet/posix.h>
#include <gemlet/tokenizer.h>

typedef struct engine {
    gemlet_posix *posix;
    gemlet_port port;
    void *memory;
    gemlet_arena arena;
    gemlet_memory_plan plan;
    gemlet_model *model;
    gemlet_session *session;
    const gemlet_tokenizer *tokenizer;
    gemlet_facts facts;
} engine;

/* What --stats tells of the work. */
typedef struct engine_work {
    uint64_t tokens_in, tokens_out;
    uint64_t time_in, time_out; /* nanoseconds */
    uint64_t sound_samples, sound_pieces,
        sound_last; /* of a sound that was encoded as it came: all, in pieces, those of the last */
} engine_work;

/* Plans, takes the memory and opens.  A context of 0 in `o` means `context`.  The engine must be closed in any case. */
gemlet_status engine_open(engine *e, const options *o, uint32_t context, gemlet_error *error);
void engine_close(engine *e);

uint64_t engine_time(const engine *e);

/* --stats, to standard error. */
void engine_print_stats(const engine *e, const options *o, const engine_work *work);

#endif
