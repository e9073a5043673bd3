/* The smallest use of the installed library: embed MODEL PICTURE.ppm QUESTION, in memory whose size is fixed when this is compiled.
 * C11 and C++17. */
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include <gemlet/image.h>
#include <gemlet/posix.h>
#include <gemlet/sampler.h>
#include <gemlet/tokenizer.h>

enum { ARENA_BYTES = 12 << 20, PICTURE_BYTES = 1 << 20, ANSWER_TOKENS = 64 };

alignas(GEMLET_ALIGNMENT) static unsigned char arena_bytes[ARENA_BYTES];
alignas(8) static unsigned char sampler_bytes[4096];
static unsigned char picture_bytes[PICTURE_BYTES];

/* A product has its camera's frame instead. */
static bool read_picture(const char *path, gemlet_image *image) {
    FILE *in = fopen(path, "rb");
    bool good = in != NULL && fscanf(in, "P6 %u %u 255%*c", &image->width, &image->height) == 2 && image->width < 4096 &&
                image->height < 4096 && image->width * image->height <= PICTURE_BYTES / 3 &&
                fread(picture_bytes, (size_t)3 * image->width, image->height, in) == image->height;
    image->format = GEMLET_PIXELS_RGB;
    image->pixels = picture_bytes;
    image->stride = (size_t)3 * image->width;
    return in != NULL && fclose(in) == 0 && good;
}

static gemlet_status feed(gemlet_session *session, const char *text, bool special, gemlet_error *error) {
    return gemlet_feed_text(session, text, strlen(text), special, error);
}

int main(int argc, char **argv) {
    gemlet_port port;
    gemlet_posix *posix = gemlet_posix_open(0, &port);
    gemlet_options options;
    gemlet_image image;
    memset(&options, 0, sizeof options); /* the defaults */
    memset(&image, 0, sizeof image);
    options.context = 512; /* positions: the picture takes 256 */
    if (argc != 4 || posix == NULL || !read_picture(argv[2], &image)) {
        (void)fprintf(stderr, "usage: embed MODEL PICTURE.ppm QUESTION (a picture of %d bytes at most)\n", PICTURE_BYTES);
        return 2;
    }
    gemlet_error error;
    gemlet_memory_plan plan;
    gemlet_arena arena;
    gemlet_model *model;
    gemlet_session *session;
    gemlet_sampler sampler;
    gemlet_decoder decoder;
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    if (gemlet_plan(&port, argv[1], &options, &plan, &error) != GEMLET_OK ||
        gemlet_arena_init(&arena, arena_bytes, sizeof arena_bytes, &error) != GEMLET_OK ||
        gemlet_model_open(&port, argv[1], &options, &arena, &model, &error) != GEMLET_OK ||
        gemlet_session_open(model, &options, &arena, &session, &error) != GEMLET_OK ||
        gemlet_sampler_open(&sampler, &settings, gemlet_model_facts(model).vocabulary, sampler_bytes, sizeof sampler_bytes,
                            &error) != GEMLET_OK ||
        feed(session, "<start_of_turn>user\n", true, &error) != GEMLET_OK ||
        gemlet_feed_image(session, &image, &error) != GEMLET_OK || feed(session, argv[3], false, &error) != GEMLET_OK ||
        feed(session, "<end_of_turn>\n<start_of_turn>model\n", true, &error) != GEMLET_OK) {
        (void)fprintf(stderr, "embed: %s\n", error.message);
        return 1;
    }
    (void)printf("level: %s\narena: %zu bytes, as planned: %s\nanswer: ", gemlet_model_facts(model).level, arena.peak,
                 arena.peak == plan.arena ? "yes" : "no");
    const gemlet_tokenizer *tokenizer = gemlet_model_tokenizer(model);
    uint32_t token, end = gemlet_tokenizer_special(tokenizer, GEMLET_SPECIAL_END_OF_TURN);
    const char *text;
    size_t bytes;
    gemlet_decoder_begin(&decoder, tokenizer, false);
    for (int i = 0; i < ANSWER_TOKENS && gemlet_sampler_next(&sampler, session, &token, &error) == GEMLET_OK && token != end; i++) {
        if (gemlet_decoder_feed(&decoder, token, &text, &bytes) != GEMLET_OK ||
            gemlet_feed(session, &token, 1, &error) != GEMLET_OK) {
            break;
        }
        (void)fwrite(text, 1, bytes, stdout);
    }
    gemlet_decoder_flush(&decoder, &text, &bytes);
    (void)fwrite(text, 1, bytes, stdout);
    (void)printf("\n");
    gemlet_model_close(model);
    gemlet_posix_close(posix);
    return 0;
}
