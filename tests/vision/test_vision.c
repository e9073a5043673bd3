/* The image encoder on the tiny model: against the reference implementation, and against itself where threads, bands and chunks
 * must not matter.  With an argument only what depends on the CPU: the reference, and the levels against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"
#include "tests/golden/golden.h"
#include <gemlet/image.h>
#include <gemlet/posix.h>

enum { SIDE = 256, TOKENS = 256, WIDTH = 128, STAGES = 5, SOFT_BYTES = TOKENS * WIDTH * sizeof(float) };

static const struct {
    const char *name;
    size_t pixels, channels;
} stages[STAGES] = {
    {"stage0", 64 * 64, 16}, {"stage1", 32 * 32, 32}, {"stage2", 16 * 16, 64}, {"stage3", 8 * 8, 128}, {"msfa", 256, 128}};

static char folder[FOLDER_BYTES];
static char packed[FOLDER_BYTES + 32];
static unsigned char *picture; /* [SIDE][SIDE][3] */
static gemlet_image frame;
static const gemlet_options options = {.context = 512};

static void *read_data(const char *name, size_t *bytes) {
    char path[128];
    snprintf(path, sizeof path, "tests/data/vision/%s", name);
    void *data = file_read(path, bytes);
    if (data == NULL) {
        fail_msg("%s is missing", path);
    }
    return data;
}

static int set_up(void **state) {
    (void)state;
    gemlet_error error = {GEMLET_OK, ""};
    size_t bytes = 0;
    folder_make(folder, "vision");
    snprintf(packed, sizeof packed, "%s/tiny.gguf", folder);
    pack_options pack = {.text = TINY_TEXT, .projector = TINY_PROJECTOR, .output = packed};
    if (pack_run(&pack, &error) != GEMLET_OK) {
        print_error("%s\n", error.message);
        return -1;
    }
    picture = read_data("image.rgb", &bytes);
    frame =
        (gemlet_image){.format = GEMLET_PIXELS_RGB, .width = SIDE, .height = SIDE, .pixels = picture, .stride = (size_t)3 * SIDE};
    return bytes == (size_t)SIDE * SIDE * 3 ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    free(picture);
    folder_remove(folder);
    return 0;
}

static const float *encode(running *r) {
    const float *soft = NULL;
    size_t count = 0;
    if (gemlet_encode_image(r->session, &frame, &soft, &count, &r->error) != GEMLET_OK) {
        fail_msg("%s", r->error.message);
    }
    assert_int_equal(count, TOKENS);
    return soft;
}

/* ---- Against the reference ---- */

static void check_numbers(const char *name, const float *found, size_t rows, size_t width, double mean, double worst) {
    size_t bytes = 0;
    float *wanted = read_data(name, &bytes);
    assert_int_equal(bytes, rows * width * sizeof(float));
    assert_agreement(name, agreement_of(found, wanted, rows, width), mean, worst, 0.0);
    free(wanted);
}

typedef struct stage_watch {
    float *values[STAGES];
} stage_watch;

static void keep_stage(void *context, const char *name, const float *values, size_t first, size_t pixels, size_t channels) {
    stage_watch *w = context;
    for (size_t i = 0; i < STAGES; i++) {
        if (strcmp(name, stages[i].name) == 0) {
            assert_int_equal(channels, stages[i].channels);
            memcpy(w->values[i] + first * channels, values, pixels * channels * sizeof *values);
        }
    }
}

static void stages_are_the_reference_s(void **state) {
    (void)state;
    running r;
    stage_watch w;
    running_open(&r, packed, 1, &options);
    for (size_t i = 0; i < STAGES; i++) {
        w.values[i] = calloc(stages[i].pixels * stages[i].channels, sizeof(float));
    }
    r.session->image.mobilenetv5.watch = keep_stage;
    r.session->image.mobilenetv5.watch_context = &w;
    const float *soft = encode(&r);
    for (size_t i = 0; i < STAGES; i++) {
        char name[32];
        snprintf(name, sizeof name, "tiny_%s.f32", stages[i].name);
        check_numbers(name, w.values[i], stages[i].pixels, stages[i].channels, 0.9994, 0.998);
        free(w.values[i]);
    }
    check_numbers("tiny_soft.f32", soft, TOKENS, WIDTH, 0.9994, 0.998);
    running_close(&r);
}

/* Activations around 2e5, beyond half precision. */
static void hot_activations_are_the_reference_s(void **state) {
    (void)state;
    running r;
    stage_watch w = {{NULL}};
    running_open(&r, packed, 1, &options);
    gemlet_mobilenetv5_block *block =
        r.model->image_model.mobilenetv5.weights.blocks + r.model->image_model.mobilenetv5.config.blocks[0];
    float *scales[GEMLET_MOBILENETV5_MOST_BLOCKS];
    size_t count = r.model->image_model.mobilenetv5.config.blocks[1];
    for (size_t i = 0; i < count; i++) {
        scales[i] = malloc(block[i].outputs * sizeof(float));
        for (size_t c = 0; c < block[i].outputs; c++) {
            scales[i][c] = block[i].layer_scale[c] * 1e5f;
        }
        block[i].layer_scale = scales[i];
    }
    for (size_t i = 0; i < STAGES; i++) {
        w.values[i] = calloc(stages[i].pixels * stages[i].channels, sizeof(float));
    }
    r.session->image.mobilenetv5.watch = keep_stage;
    r.session->image.mobilenetv5.watch_context = &w;
    const float *soft = encode(&r);
    check_numbers("hot_stage1.f32", w.values[1], stages[1].pixels, stages[1].channels, 0.9994, 0.998);
    check_numbers("hot_soft.f32", soft, TOKENS, WIDTH, 0.9994, 0.998);
    for (size_t i = 0; i < STAGES; i++) {
        free(w.values[i]);
    }
    for (size_t i = 0; i < count; i++) {
        free(scales[i]);
    }
    running_close(&r);
}

/* ---- Against itself ---- */

static float *copy_of(const float *soft) {
    float *copy = malloc(SOFT_BYTES);
    memcpy(copy, soft, SOFT_BYTES);
    return copy;
}

/* The soft tokens of a square of the session's size, whose pixels are the first ones of the picture, computed in memory of exactly
 * the planned size for a band and a chunk. */
static float *encode_as(running *r, uint32_t band, uint32_t chunk) {
    gemlet_mobilenetv5 v = r->session->image.mobilenetv5;
    v.band = band;
    v.chunk = chunk;
    assert_int_equal(gemlet_mobilenetv5_plan(&v, &r->model->container, &r->error), GEMLET_OK);
    v.run.memory = aligned_alloc(GEMLET_ALIGNMENT, v.run.bytes);
    memset(v.run.memory, 0xA5, v.run.bytes);
    memcpy(gemlet_mobilenetv5_square(&v), picture, (size_t)3 * v.run.image_size * v.run.image_size);
    float *soft = malloc(SOFT_BYTES);
    assert_true(gemlet_mobilenetv5_run(&v, soft));
    free(v.run.memory);
    return soft;
}

static void assert_encoded_as(running *r, uint32_t band, uint32_t chunk, const float *wanted) {
    float *soft = encode_as(r, band, chunk);
    assert_memory_equal(soft, wanted, SOFT_BYTES);
    free(soft);
}

static const gemlet_options half = {.context = 512, .image_size = SIDE / 2}, small = {.context = 512, .image_size = SIDE / 4};

static void bands_and_chunks_do_not_matter(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &half);
    float *plain = encode_as(&r, GEMLET_MOBILENETV5_BAND, GEMLET_MOBILENETV5_CHUNK);
    const struct { uint32_t band, chunk; } cases[] = {{1, 32}, {3, 7}, {1000, 31}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_encoded_as(&r, cases[i].band, cases[i].chunk, plain);
    }
    running_close(&r);
    free(plain);
}

static void threads_do_not_matter(void **state) {
    (void)state;
    float *plain = NULL;
    for (size_t threads = 1; threads <= 5; threads += 2) {
        running r;
        running_open(&r, packed, threads, &half);
        const float *soft = encode(&r);
        plain = plain == NULL ? copy_of(soft) : plain;
        assert_memory_equal(soft, plain, SOFT_BYTES);
        running_close(&r);
    }
    free(plain);
}

/* A small square: the scalar definition is slow. */
static void levels_do_not_matter(void **state) {
    (void)state;
    float *plain = NULL;
    for (uint32_t level = 0; level <= (uint32_t)GEMLET_LEVEL_I8MM; level++) {
        gemlet_options limited = small;
        limited.level_limit = level + 1;
        running r;
        running_open(&r, packed, 1, &limited);
        const float *soft = encode(&r);
        if (plain == NULL) {
            plain = copy_of(soft);
        }
        assert_memory_equal(soft, plain, SOFT_BYTES);
        running_close(&r);
    }
    free(plain);
}

/* ---- Memory ---- */

static void plan_is_what_is_used(void **state) {
    (void)state;
    gemlet_options cases[] = {options, options, options, options};
    cases[1].no_images = true;
    cases[2].image_size = 1024; /* needs more scratch than text */
    cases[3].chunk = 256;       /* now text needs the more scratch */
    size_t arena[4];
    for (size_t i = 0; i < 4; i++) {
        running r;
        running_open(&r, packed, 2, &cases[i]);
        assert_int_equal(r.arena.peak, r.plan.arena);
        assert_int_equal(gemlet_session_image_facts(r.session).size, i == 1 ? 0 : i == 2 ? 1024 : SIDE);
        arena[i] = r.plan.arena;
        running_close(&r);
    }
    assert_true(arena[1] < arena[0] && arena[0] < arena[2]);
}

/* An image between two texts leaves the conversation as if its soft tokens had come from elsewhere. */
static void scratch_is_shared_without_a_trace(void **state) {
    (void)state;
    static const uint32_t text[] = {2, 20, 31, 45, 12, 77, 41, 100};
    enum { COUNT = sizeof text / sizeof text[0] };
    running r[2];
    const float *logits[2];
    size_t count = 0;
    running_open(&r[0], packed, 1, &small);
    float *soft = copy_of(encode(&r[0]));
    running_close(&r[0]);
    for (size_t i = 0; i < 2; i++) {
        running_open(&r[i], packed, 1, &small);
        assert_int_equal(gemlet_feed(r[i].session, text, COUNT, &r[i].error), GEMLET_OK);
        const float *fed = i == 0 ? soft : encode(&r[i]);
        assert_int_equal(gemlet_feed_embeddings(r[i].session, fed, TOKENS, &r[i].error), GEMLET_OK);
        assert_int_equal(gemlet_feed(r[i].session, text + 1, COUNT - 1, &r[i].error), GEMLET_OK);
        assert_int_equal(gemlet_logits(r[i].session, &logits[i], &count, &r[i].error), GEMLET_OK);
    }
    assert_memory_equal(logits[0], logits[1], count * sizeof(float));
    running_close(&r[0]);
    running_close(&r[1]);
    free(soft);
}

/* ---- Feeding, and what is refused ---- */

typedef struct tail_rows {
    size_t first;
    float *logits;
} tail_rows;

static void keep_tail(void *context, size_t index, const float *logits, size_t count) {
    tail_rows *tail = context;
    if (index >= tail->first) {
        memcpy(tail->logits + (index - tail->first) * count, logits, count * sizeof *logits);
    }
}

/* From pixels to logits: the last positions behind an image. */
static void answers_are_the_reference_s(void **state) {
    (void)state;
    enum { TAIL = 12, VOCABULARY = 528, SOFT_TOKEN = 513 };
    size_t count = 0;
    size_t wanted_count = 0;
    uint32_t *ids = golden_read("gemma3n/image_ids.u32", &count);
    float *wanted = golden_read("gemma3n/image_logits_tail.f32", &wanted_count);
    assert_int_equal(wanted_count, TAIL * VOCABULARY);
    running r;
    running_open(&r, packed, 1, &options);
    size_t first = 0;
    while (ids[first] != SOFT_TOKEN) {
        first++;
    }
    size_t behind = first + TOKENS;
    size_t rest = count - behind;
    float *logits = calloc(TAIL * VOCABULARY, sizeof(float));
    tail_rows tail = {0, logits + (TAIL - rest) * VOCABULARY};
    assert_true(rest <= TAIL);
    assert_int_equal(gemlet_feed(r.session, ids, first, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_feed_embeddings(r.session, encode(&r), TOKENS, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_feed_with_logits(r.session, ids + behind, rest, keep_tail, &tail, &r.error), GEMLET_OK);
    assert_agreement("logits behind an image", agreement_of(tail.logits, wanted + (TAIL - rest) * VOCABULARY, rest, VOCABULARY),
                     0.999, 0.998, 0.9);
    running_close(&r);
    free(logits);
    free(wanted);
    free(ids);
}

static void an_image_takes_its_positions(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &small);
    size_t around = 0;
    static const char text[] = "\n\n<start_of_image>";
    const gemlet_piece before = {.text = text, .bytes = sizeof text - 1}, after = {.text = "\n\n", .bytes = 2};
    assert_int_equal(gemlet_session_count(r.session, &before, 1, true, &around, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_session_count(r.session, &after, 1, true, &around, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_feed_image(r.session, &frame, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_session_length(r.session), 1 + around + TOKENS + 1); /* <bos>, ..., <end_of_image> */
    assert_int_equal(gemlet_feed_image(r.session, &frame, &r.error), GEMLET_ERROR_CONTEXT);
    assert_int_equal(gemlet_session_length(r.session), 1 + around + TOKENS + 1);
    running_close(&r);
}

/* As transformers' processor has it, which puts an image's text into the prompt before it is tokenized. */
static void line_ends_before_an_image_are_joined(void **state) {
    (void)state;
    static const char before[] = "<start_of_turn>user\n", both[] = "<start_of_turn>user\n\n\n<start_of_image>";
    running joined;
    running whole;
    running_open(&joined, packed, 1, &small);
    running_open(&whole, packed, 1, &small);
    assert_int_equal(gemlet_feed_text(whole.session, both, sizeof both - 1, true, &whole.error), GEMLET_OK);
    assert_int_equal(gemlet_feed_embeddings(whole.session, encode(&whole), TOKENS, &whole.error), GEMLET_OK);
    size_t length = gemlet_session_length(whole.session);
    assert_int_equal(gemlet_feed_text(joined.session, before, sizeof before - 1, true, &joined.error), GEMLET_OK);
    size_t last = gemlet_session_length(joined.session) - 1;
    assert_int_not_equal(joined.session->history[last], whole.session->history[last]); /* the tokenizer does join them */
    assert_int_equal(gemlet_feed_image(joined.session, &frame, &joined.error), GEMLET_OK);
    assert_memory_equal(joined.session->history, whole.session->history, length * sizeof *whole.session->history);
    running_close(&joined);
    running_close(&whole);
}

static void sizes_are_checked(void **state) {
    (void)state;
    static const uint32_t wrong[] = {63, 100, 2112, UINT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        gemlet_options o = options;
        gemlet_memory_plan plan;
        gemlet_port port;
        gemlet_error error;
        gemlet_posix *posix = gemlet_posix_open(1, &port);
        o.image_size = wrong[i];
        assert_int_equal(gemlet_plan(&port, packed, &o, &plan, &error), GEMLET_ERROR_ARGUMENT);
        assert_non_null(strstr(error.message, "image_size"));
        gemlet_posix_close(posix);
    }
}

static void a_session_without_images_says_so(void **state) {
    (void)state;
    gemlet_options o = options;
    o.no_images = true;
    running r;
    running_open(&r, packed, 1, &o);
    assert_int_equal(gemlet_feed_image(r.session, &frame, &r.error), GEMLET_ERROR_UNSUPPORTED);
    assert_int_equal(gemlet_session_length(r.session), 0);
    running_close(&r);
}

/* Every size takes one of the two ways to 16 x 16: average pooling, bilinear sampling. */
static void other_sizes_give_soft_tokens(void **state) {
    (void)state;
    static const uint32_t sizes[] = {64, 192, 512};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        gemlet_options o = options;
        o.image_size = sizes[i];
        running r;
        running_open(&r, packed, 2, &o);
        const float *soft = encode(&r);
        for (size_t k = 0; k < (size_t)TOKENS; k++) {
            double sum = 0.0;
            for (size_t c = 0; c < WIDTH; c++) {
                sum += (double)soft[k * WIDTH + c] * (double)soft[k * WIDTH + c];
            }
            assert_true(sum > 0.9 * WIDTH && sum < 1.1 * WIDTH); /* normed */
        }
        running_close(&r);
    }
}

int main(int argc, char **argv) {
    (void)argv;
    const struct CMUnitTest of_the_cpu[] = {
        cmocka_unit_test(stages_are_the_reference_s),
        cmocka_unit_test(hot_activations_are_the_reference_s),
        cmocka_unit_test(answers_are_the_reference_s),
        cmocka_unit_test(levels_do_not_matter),
    };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(bands_and_chunks_do_not_matter),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(plan_is_what_is_used),
        cmocka_unit_test(scratch_is_shared_without_a_trace),
        cmocka_unit_test(an_image_takes_its_positions),
        cmocka_unit_test(line_ends_before_an_image_are_joined),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(a_session_without_images_says_so),
        cmocka_unit_test(other_sizes_give_soft_tokens),
    };
    int failed = cmocka_run_group_tests(of_the_cpu, set_up, tear_down);
    return argc > 1 ? failed : failed + cmocka_run_group_tests(others, set_up, tear_down);
}
