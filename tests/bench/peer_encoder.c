/* Encodes a picture with llama.cpp's mtmd, so that its instructions can be counted and its soft tokens compared:
 *
 *     peer_encoder TEXT.gguf MMPROJ.gguf PICTURE.rgb COUNT [SOFT_TOKENS.f32]
 */
#include <stdlib.h>
#include <string.h>

#include "llama.h"
#include "mtmd.h"
#include "tests/bench/picture.h"

static void be_quiet(enum ggml_log_level level, const char *text, void *context) {
    (void)context;
    if (level == GGML_LOG_LEVEL_ERROR) {
        fputs(text, stderr);
    }
}

/* The picture's chunk; NULL where the model has no place for pictures. */
static const mtmd_input_chunk *picture_chunk(mtmd_context *mtmd, mtmd_input_chunks *chunks, const picture *p) {
    const mtmd_bitmap *bitmap = mtmd_bitmap_init(p->width, p->height, p->pixels);
    const mtmd_input_text text = {mtmd_default_marker(), strlen(mtmd_default_marker()), true, true};
    if (mtmd_tokenize(mtmd, chunks, &text, &bitmap, 1) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < mtmd_input_chunks_size(chunks); i++) {
        if (mtmd_input_chunk_get_type(mtmd_input_chunks_get(chunks, i)) == MTMD_INPUT_CHUNK_TYPE_IMAGE) {
            return mtmd_input_chunks_get(chunks, i);
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    static picture p;
    if (argc < 5) {
        fputs("peer_encoder TEXT.gguf MMPROJ.gguf PICTURE.rgb COUNT [SOFT_TOKENS.f32]\n", stderr);
        return 2;
    }
    picture_read(&p, argv[3]);
    llama_log_set(be_quiet, NULL);
    mtmd_log_set(be_quiet, NULL);
    struct llama_model_params model_params = llama_model_default_params();
    struct llama_model *model = llama_model_load_from_file(argv[1], model_params);
    struct mtmd_context_params params = mtmd_context_params_default();
    params.use_gpu = false;
    params.n_threads = 1;
    params.warmup = false;
    params.print_timings = false;
    mtmd_context *mtmd = model != NULL ? mtmd_init_from_file(argv[2], model, params) : NULL;
    if (p.width == 0 || mtmd == NULL) {
        fputs("picture or model can't be read\n", stderr);
        return 1;
    }
    const mtmd_input_chunk *chunk = picture_chunk(mtmd, mtmd_input_chunks_init(), &p);
    for (unsigned long i = strtoul(argv[4], NULL, 10); i > 0; i--) {
        if (chunk == NULL || mtmd_encode_chunk(mtmd, chunk) != 0) {
            fputs("the picture can't be encoded\n", stderr);
            return 1;
        }
    }
    if (argc > 5) {
        floats_write(argv[5], mtmd_get_output_embd(mtmd),
                     mtmd_input_chunk_get_n_tokens(chunk) * (size_t)llama_model_n_embd_inp(model));
    }
    return 0;
}
