#include "model/session/session.h"

enum { DEFAULT_CONTEXT = 4096, DEFAULT_CHUNK = 64, LARGEST_CHUNK = 256 };

static gemlet_status fail_option(gemlet_error *error, const char *text, uint64_t high, uint64_t found) {
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, text);
    gemlet_error_number(error, high);
    gemlet_error_text(error, " but is ");
    gemlet_error_number(error, found);
    return GEMLET_ERROR_ARGUMENT;
}

gemlet_status gemlet_check_options(const gemlet_options *options, const gemlet_text_config *config, gemlet_options *out,
                                   gemlet_error *error) {
    *out = options != NULL ? *options : (gemlet_options){0};
    if (out->context == 0) {
        out->context = config->trained_context < DEFAULT_CONTEXT ? config->trained_context : DEFAULT_CONTEXT;
    }
    out->chunk = out->chunk != 0 ? out->chunk : DEFAULT_CHUNK;
    if (out->context > config->trained_context) {
        return fail_option(error, "option context must be at most what the model was trained for, ", config->trained_context,
                           out->context);
    }
    if (out->chunk > LARGEST_CHUNK) {
        return fail_option(error, "option chunk must be at most ", LARGEST_CHUNK, out->chunk);
    }
    if ((unsigned)out->cache > (unsigned)GEMLET_CACHE_S8) {
        return fail_option(error, "option cache must be at most ", GEMLET_CACHE_S8, (unsigned)out->cache);
    }
    out->sound_seconds = out->sound_seconds != 0 ? out->sound_seconds : GEMLET_SOUND_LONGEST;
    if (out->sound_seconds > GEMLET_SOUND_LONGEST) {
        return fail_option(error, "option sound_seconds must be at most what the models were trained for, ", GEMLET_SOUND_LONGEST,
                           out->sound_seconds);
    }
    out->chunk = out->chunk < out->context ? out->chunk : out->context;
    return GEMLET_OK;
}
