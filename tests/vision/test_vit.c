/* Image encoders that are transformers: against the reference implementation, and against themselves where threads, levels and
 * other work must not matter.  With one argument only what depends on the CPU; `vision-vit PACKED FOLDER` compares another packed
 * model with another folder of reference data (make_vit_reference.py) instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"
#include "tests/golden/golden.h"
#include <gemlet/image.h>
#include <gemlet/posix.h>

static char folder[FOLDER_BYTES], packed[FOLDER_BYTES + 32];
static const char *data;
static unsigned pictures; /* whose soft tokens are recorded */
static bool squares;      /* Gemma 3's: its prompts hold all pictures up to theirs, Gemma 4's one each */
static const gemlet_options options = {.context = 512};

/* NULL where there is no such file. */
static void *read_data(unsigned picture, const char *name, size_t *bytes) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%u.%s", data, picture, name);
    return file_read(path, bytes);
}

static void *need_data(unsigned picture, const char *name, size_t *bytes) {
    void *numbers = read_data(picture, name, bytes);
    if (numbers == NULL) {
        fail_msg("%s/%u.%s is missing", data, picture, name);
    }
    return numbers;
}

/* A picture of the reference; `file` is for the caller to free. */
static gemlet_image picture_of(unsigned index, const char *name, unsigned char **file) {
    size_t bytes = 0;
    uint32_t sides[2]; /* height, width */
    *file = need_data(index, name, &bytes);
    memcpy(sides, *file, sizeof sides);
    assert_int_equal(bytes, sizeof sides + (size_t)3 * sides[0] * sides[1]);
    return (gemlet_image){.format = GEMLET_PIXELS_RGB,
                          .width = sides[1],
                          .height = sides[0],
                          .pixels = *file + sizeof sides,
                          .stride = (size_t)3 * sides[1]};
}

static gemlet_status pack_gemma4(gemlet_error *error) {
    char hf[FOLDER_BYTES];
    folder_make(hf, "vit-hf");
    write_tiny_gemma4_with("tests/data/vision/gemma4/vision.safetensors", hf);
    pack_options pack = {.folder = hf, .output = packed};
    gemlet_status status = pack_run(&pack, error);
    folder_remove(hf);
    return status;
}

static gemlet_status pack_gemma3(gemlet_error *error) {
    return pack_run(&(pack_options){.folder = "tests/data/vision/gemma3/hf", .output = packed}, error);
}

static gemlet_status pack_gemma3_pair(gemlet_error *error) {
    return pack_run(&(pack_options){.text = "tests/data/vision/gemma3/text-q4_0.gguf",
                                    .projector = "tests/data/vision/gemma3/mm-f16.gguf",
                                    .output = packed},
                    error);
}

/* The model that is packed; NULL: one that was packed before. */
static gemlet_status (*pack_model_of_tests)(gemlet_error *error);

static int set_up(void **state) {
    (void)state;
    gemlet_error error = {GEMLET_OK, ""};
    folder_make(folder, "vit");
    if (pack_model_of_tests == NULL) {
        return 0;
    }
    snprintf(packed, sizeof packed, "%s/packed.gguf", folder);
    if (pack_model_of_tests(&error) != GEMLET_OK) {
        print_error("%s\n", error.message);
        return -1;
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    folder_remove(folder);
    return 0;
}

/* The soft tokens of a picture, for the caller to free. */
static float *encode(running *r, const gemlet_image *image, size_t *count) {
    const float *soft = NULL;
    running_must(r, gemlet_encode_image(r->session, image, &soft, count, &r->error));
    size_t bytes = *count * r->model->config.width * sizeof(float);
    float *copy = malloc(bytes);
    memcpy(copy, soft, bytes);
    return copy;
}

/* ---- Against the reference ---- */

/* The patches of a stage that are recorded. */
typedef struct stage_check {
    unsigned picture;
    size_t stages;
} stage_check;

static void check_stage(void *context, const char *name, const uint16_t *values, size_t patches, size_t width) {
    stage_check *check = context;
    char file[32];
    size_t bytes = 0, row_bytes = 0;
    snprintf(file, sizeof file, "%s.f32", name);
    float *wanted = read_data(check->picture, file, &bytes);
    if (wanted == NULL) {
        return;
    }
    uint32_t *rows = need_data(check->picture, "rows.u32", &row_bytes);
    size_t count = row_bytes / sizeof *rows;
    float *found = malloc(bytes);
    assert_int_equal(bytes, count * width * sizeof *found);
    for (size_t i = 0; i < count; i++) {
        assert_true(rows[i] < patches);
        gemlet_real_kernels_scalar.from_bfloat16(values + rows[i] * width, width, found + i * width);
    }
    assert_agreement(name, agreement_of(found, wanted, count, width), 0.9995, 0.999, 0.0);
    check->stages++;
    free(found);
    free(rows);
    free(wanted);
}

static void soft_tokens_are_the_reference_s(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &options);
    for (unsigned i = 0; i < pictures; i++) {
        unsigned char *file;
        size_t count = 0, bytes = 0;
        stage_check check = {i, 0};
        gemlet_image image = picture_of(i, "rgb", &file);
        float *wanted = need_data(i, "soft.f32", &bytes);
        r.session->image.vit.watch = check_stage;
        r.session->image.vit.watch_context = &check;
        float *soft = encode(&r, &image, &count);
        assert_int_equal(count * r.model->config.width * sizeof(float), bytes);
        assert_int_equal(check.stages, r.model->image_model.vit.config.layers + 1); /* and the embedding */
        assert_agreement("soft tokens", agreement_of(soft, wanted, count, r.model->config.width), 0.9995, 0.999, 0.0);
        free(soft);
        free(wanted);
        free(file);
    }
    running_close(&r);
}

static void frames_are_the_reference_s(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &options);
    const gemlet_vit *v = &r.session->image.vit;
    for (unsigned i = 0; i < pictures; i++) {
        unsigned char *file, *resized;
        gemlet_vit_work work;
        gemlet_image image = picture_of(i, "rgb", &file), wanted = picture_of(i, "resized.rgb", &resized);
        running_must(&r, r.session->images->prepare(&v->run, &image, &r.error));
        const gemlet_vit_grid *grid = (const gemlet_vit_grid *)(const void *)v->run.memory;
        gemlet_vit_carve(v, (size_t)grid->columns * grid->rows, v->run.memory, &work);
        assert_int_equal(work.grid->columns * v->config->traits->patch, wanted.width);
        assert_int_equal(work.grid->rows * v->config->traits->patch, wanted.height);
        for (size_t k = 0; k < wanted.stride * wanted.height; k++) {
            assert_in_range(work.pixels[k] + 1, wanted.pixels[k], wanted.pixels[k] + 2);
        }
        free(resized);
        free(file);
    }
    running_close(&r);
}

static void grids_are_the_reference_s(void **state) {
    (void)state;
    char path[1024];
    uint32_t row[5];
    size_t rows = 0;
    snprintf(path, sizeof path, "%s/grids.u32", data);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (; fread(row, sizeof row, 1, file) == 1; rows++) {
        gemlet_vit_grid grid = gemlet_vit_grid_of(row[0], row[1], row[2]);
        assert_int_equal(grid.columns * GEMLET_VIT_PATCH, row[3]);
        assert_int_equal(grid.rows * GEMLET_VIT_PATCH, row[4]);
    }
    fclose(file);
    assert_true(rows > 1000);
}

/* Feeds tokens up to the last picture's soft tokens, which stand for pictures from `picture` on; answers how many tokens. */
static size_t feed_pictures(running *r, const uint32_t *ids, size_t count, unsigned picture, unsigned last) {
    size_t done = 0;
    for (; picture <= last; picture++) {
        unsigned char *file;
        size_t soft_count = 0, end = done;
        gemlet_image image = picture_of(picture, "rgb", &file);
        float *soft = encode(r, &image, &soft_count);
        while (ids[end++] != r->model->image_begin) {
        }
        assert_true(end + soft_count < count);
        assert_int_equal(ids[end + soft_count], r->model->image_end);
        running_must(r, gemlet_feed(r->session, ids + done, end - done, &r->error));
        running_must(r, gemlet_feed_embeddings(r->session, soft, soft_count, &r->error));
        done = end + soft_count;
        free(soft);
        free(file);
    }
    return done;
}

static agreement agreement_with(unsigned picture, const char *name, const float *found, size_t rows, size_t width) {
    size_t bytes = 0;
    float *wanted = need_data(picture, name, &bytes);
    size_t there = bytes / sizeof *wanted / width, same = rows < there ? rows : there;
    agreement a = agreement_of(found + (rows - same) * width, wanted + (there - same) * width, same, width);
    free(wanted);
    return a;
}

/* Behind a picture, and behind two of which each sees itself as a whole, but not what comes later. */
static void logits_are_the_reference_s(void **state) {
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        running r;
        size_t bytes = 0;
        uint32_t *ids = need_data(i, "ids.u32", &bytes);
        running_open(&r, packed, 1, &options);
        size_t count = bytes / sizeof *ids, done = feed_pictures(&r, ids, count, squares ? 0 : i, i);
        size_t vocabulary = r.model->config.vocabulary;
        float *found = running_logits(&r, ids + done, count - done);
        assert_agreement("logits behind a picture", agreement_with(i, "logits.f32", found, count - done, vocabulary), 0.9995, 0.999,
                         0.9);
        if (squares && i == 0) {
            agreement causal = agreement_with(i, "causal.f32", found, count - done, vocabulary);
            assert_true(causal.mean < 0.9995 && causal.worst < 0.999);
        }
        free(found);
        running_close(&r);
        free(ids);
    }
}

/* ---- Against itself ---- */

/* Progress that notes that it was told. */
static bool never(void *context, size_t done, size_t total) {
    (void)done;
    (void)total;
    *(bool *)context = true;
    return true;
}

static void threads_and_levels_do_not_matter(void **state) {
    (void)state;
    unsigned char *file;
    gemlet_image image = picture_of(0, "rgb", &file);
    float *plain = NULL;
    for (uint32_t level = 0; level <= (uint32_t)GEMLET_LEVEL_I8MM; level++) {
        running r;
        size_t count = 0;
        gemlet_options limited = options;
        limited.level_limit = level + 1;
        limited.image_tokens = squares ? 0 : 12; /* the scalar definition is slow */
        running_open(&r, packed, 1 + level, &limited);
        float *soft = encode(&r, &image, &count);
        if (plain == NULL) {
            plain = soft;
        } else {
            assert_memory_equal(soft, plain, count * r.model->config.width * sizeof(float));
            free(soft);
        }
        running_close(&r);
    }
    free(plain);
    free(file);
}

/* A smaller picture in between, and text, leave nothing behind; the plan is what is used. */
static void other_work_between_does_not_matter(void **state) {
    (void)state;
    static const uint32_t text[] = {2, 20, 31, 45, 12, 77, 41, 100};
    running r;
    unsigned char *file, *other_file;
    gemlet_image image = picture_of(0, "rgb", &file), other = picture_of(1, "rgb", &other_file);
    size_t count = 0, other_count = 0;
    running_open(&r, packed, 2, &options);
    float *first = encode(&r, &image, &count);
    other.height /= 3;
    free(encode(&r, &other, &other_count));
    running_must(&r, gemlet_feed(r.session, text, sizeof text / sizeof *text, &r.error));
    float *again = encode(&r, &image, &count);
    assert_memory_equal(again, first, count * r.model->config.width * sizeof(float));
    assert_int_equal(r.arena.peak, r.plan.arena);
    assert_int_equal(r.plan.image_tokens, squares ? 0 : gemlet_session_image_facts(r.session).soft_tokens);
    free(first);
    free(again);
    running_close(&r);
    free(file);
    free(other_file);
}

/* gemlet_feed_image is the splice of the model's family: the same logits as by hand. */
static void feeding_frames_the_picture(void **state) {
    (void)state;
    running r;
    unsigned char *file;
    gemlet_image image = picture_of(0, "rgb", &file);
    size_t count = 0, logit_count = 0;
    const float *logits = NULL;
    running_open(&r, packed, 1, &options);
    const gemlet_splice *around = &r.model->family->chat->image;
    float *soft = encode(&r, &image, &count);
    running_must(&r, gemlet_feed_text(r.session, "a", 1, false, &r.error));
    running_must(&r, gemlet_feed_text(r.session, around->before, strlen(around->before), false, &r.error));
    running_must(&r, gemlet_feed(r.session, &r.model->image_begin, 1, &r.error));
    running_must(&r, gemlet_feed_embeddings(r.session, soft, count, &r.error));
    running_must(&r, gemlet_feed(r.session, &r.model->image_end, 1, &r.error));
    running_must(&r, gemlet_feed_text(r.session, around->after, strlen(around->after), false, &r.error));
    running_must(&r, gemlet_logits(r.session, &logits, &logit_count, &r.error));
    size_t length = gemlet_session_length(r.session);
    float *wanted = malloc(logit_count * sizeof *wanted);
    memcpy(wanted, logits, logit_count * sizeof *wanted);
    gemlet_session_reset(r.session);
    running_must(&r, gemlet_feed_text(r.session, "a", 1, false, &r.error));
    running_must(&r, gemlet_feed_image(r.session, &image, &r.error));
    running_must(&r, gemlet_logits(r.session, &logits, &logit_count, &r.error));
    assert_int_equal(gemlet_session_length(r.session), length);
    assert_memory_equal(logits, wanted, logit_count * sizeof *wanted);
    free(wanted);
    free(soft);
    running_close(&r);
    free(file);
}

/* A clip is the same tokens as its text and pictures by hand, each with a clip's budget. */
static void a_clip_is_frames_with_their_times(void **state) {
    (void)state;
    running r;
    unsigned char *file, *other;
    gemlet_options o = options;
    size_t count = 0, logit_count = 0;
    const float *logits = NULL;
    gemlet_clip_frame frames[3] = {{picture_of(0, "rgb", &file), 0.4}, {picture_of(1, "rgb", &other), 59.9}, {{0}, 605.0}};
    static const char *const texts[] = {"00:00 ", " 00:59 ", " 10:05 "};
    frames[2].image = frames[0].image;
    o.image_tokens = 74; /* more than a clip's frames may give */
    running_open(&r, packed, 1, &o);
    float *plain = encode(&r, &frames[0].image, &count);
    size_t plain_count = count;
    free(plain);
    running_must(&r, gemlet_feed_clip(r.session, frames, 3, &r.error));
    running_must(&r, gemlet_logits(r.session, &logits, &logit_count, &r.error));
    float *found = malloc(logit_count * sizeof *found);
    memcpy(found, logits, logit_count * sizeof *found);
    size_t length = gemlet_session_length(r.session);
    running_close(&r);
    o.image_tokens = GEMLET_CLIP_TOKENS;
    running_open(&r, packed, 1, &o);
    for (size_t i = 0; i < 3; i++) {
        float *soft = encode(&r, &frames[i].image, &count);
        running_must(&r, gemlet_feed_text(r.session, texts[i], strlen(texts[i]), false, &r.error));
        running_must(&r, gemlet_feed(r.session, &r.model->image_begin, 1, &r.error));
        running_must(&r, gemlet_feed_embeddings(r.session, soft, count, &r.error));
        running_must(&r, gemlet_feed(r.session, &r.model->image_end, 1, &r.error));
        free(soft);
    }
    assert_true(count < plain_count || count <= GEMLET_CLIP_TOKENS);
    running_must(&r, gemlet_logits(r.session, &logits, &logit_count, &r.error));
    assert_int_equal(gemlet_session_length(r.session), length);
    assert_memory_equal(logits, found, logit_count * sizeof *found);
    free(found);
    running_close(&r);
    free(file);
    free(other);
}

static void wrong_clips_are_refused(void **state) {
    (void)state;
    running r;
    unsigned char *file;
    bool encoded = false;
    gemlet_clip_frame frames[2] = {{picture_of(0, "rgb", &file), 0.0}, {{0}, -1.0}};
    frames[1].image = frames[0].image;
    running_open(&r, packed, 1, &(gemlet_options){.context = 100});
    gemlet_session_on_progress(r.session, never, &encoded);
    assert_int_equal(gemlet_feed_clip(r.session, frames, 0, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_feed_clip(r.session, frames, 33, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_feed_clip(r.session, frames, 2, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_non_null(strstr(r.error.message, "those of number 1"));
    frames[1].seconds = 1.0; /* each fits, both do not */
    assert_int_equal(gemlet_feed_clip(r.session, frames, 2, &r.error), GEMLET_ERROR_CONTEXT);
    assert_false(encoded);
    assert_int_equal(gemlet_session_length(r.session), 0);
    running_close(&r);
    free(file);
}

/* ---- Pan and scan ---- */

/* The reference's first picture with four pixels for each of its own, which is large enough for crops; `*pixels` is for the caller
 * to free. */
static gemlet_image large_picture(unsigned char **pixels) {
    unsigned char *file;
    gemlet_image small = picture_of(0, "rgb", &file);
    gemlet_image large = {
        .format = GEMLET_PIXELS_RGB, .width = 2 * small.width, .height = 2 * small.height, .stride = 2 * small.stride};
    *pixels = malloc(large.stride * large.height);
    for (size_t i = 0; i < (size_t)large.width * large.height; i++) {
        size_t x = i % large.width / 2, y = i / large.width / 2;
        memcpy(*pixels + 3 * i, small.pixels + y * small.stride + 3 * x, 3);
    }
    free(file);
    large.pixels = *pixels;
    return large;
}

/* Whole and crops, as they are encoded: every seventh row. */
static void crops_are_the_reference_s(void **state) {
    (void)state;
    running r;
    unsigned char *pixels;
    gemlet_image parts[1 + GEMLET_MOST_CROPS] = {large_picture(&pixels)};
    assert_int_equal(gemlet_crop_image(&parts[0], parts + 1), 2);
    running_open(&r, packed, 1, &options);
    const gemlet_vit *v = &r.session->image.vit;
    for (unsigned i = 0; i < 3; i++) {
        char path[1024];
        size_t bytes = 0;
        gemlet_vit_work work;
        snprintf(path, sizeof path, "%s/crops.%u.resized.rgb", data, i);
        unsigned char *file = file_read(path, &bytes);
        assert_non_null(file);
        running_must(&r, r.session->images->prepare(&v->run, &parts[i], &r.error));
        const gemlet_vit_grid *grid = (const gemlet_vit_grid *)(const void *)v->run.memory;
        gemlet_vit_carve(v, (size_t)grid->columns * grid->rows, v->run.memory, &work);
        size_t stride = (size_t)3 * work.grid->columns * v->config->traits->patch, rows = (bytes - 8) / stride;
        assert_int_equal(rows, work.grid->rows * v->config->traits->patch / 7);
        for (size_t k = 0; k < rows * stride; k++) {
            assert_in_range(work.pixels[k / stride * 7 * stride + k % stride] + 1, file[8 + k], file[8 + k] + 2);
        }
        free(file);
    }
    running_close(&r);
    free(pixels);
}

/* A user's turn: its tokens, and the logits of its last positions. */
static void a_turn_with_crops_is_the_reference_s(void **state) {
    (void)state;
    static const char before[] = "<start_of_turn>user\n";
    running r;
    unsigned char *pixels;
    char path[1024];
    size_t bytes = 0, wanted_bytes = 0;
    gemlet_image image = large_picture(&pixels);
    running_open(&r, packed, 2, &options);
    snprintf(path, sizeof path, "%s/crops.ids.u32", data);
    uint32_t *ids = file_read(path, &bytes);
    snprintf(path, sizeof path, "%s/crops.logits.f32", data);
    float *wanted = file_read(path, &wanted_bytes);
    assert_true(ids != NULL && wanted != NULL);
    size_t count = bytes / sizeof *ids, vocabulary = r.model->config.vocabulary, rows = wanted_bytes / sizeof *wanted / vocabulary;
    running_must(&r, gemlet_feed_text(r.session, before, sizeof before - 1, true, &r.error));
    running_must(&r, gemlet_feed_image_with_crops(r.session, &image, &r.error));
    size_t length = gemlet_session_length(r.session);
    assert_true(length + rows < count);
    for (size_t i = 0; i < length; i++) {
        bool soft = r.session->history[i] == GEMLET_SOFT_TOKEN;
        assert_int_equal(soft ? gemlet_tokenizer_special(&r.model->tokenizer, GEMLET_SPECIAL_IMAGE) : r.session->history[i],
                         ids[i]);
    }
    assert_int_equal(ids[length - 2], r.model->image_end); /* and one token of line ends: the whole picture was fed */
    float *found = running_logits(&r, ids + length, count - length);
    agreement a = agreement_of(found + (count - length - rows) * vocabulary, wanted, rows, vocabulary);
    assert_agreement("logits behind a picture and its crops", a, 0.9995, 0.999, 0.9);
    free(found);
    free(wanted);
    free(ids);
    running_close(&r);
    free(pixels);
}

/* All crops are counted before the first is encoded, and a picture that is not long is fed as ever. */
static void crops_are_fed_where_they_are(void **state) {
    (void)state;
    running r;
    unsigned char *pixels;
    bool encoded = false;
    gemlet_image image = large_picture(&pixels), square = image;
    square.width = image.height;
    uint32_t one = 0;
    running_open(&r, packed, 1, &options);
    running_must(&r, gemlet_feed_image(r.session, &square, &r.error));
    size_t length = gemlet_session_length(r.session);
    gemlet_session_reset(r.session);
    running_must(&r, gemlet_feed_image_with_crops(r.session, &square, &r.error));
    assert_int_equal(gemlet_session_length(r.session), length);
    one = gemlet_session_image_facts(r.session).soft_tokens;
    gemlet_session_reset(r.session);
    running_must(&r, gemlet_feed_image_with_crops(r.session, &image, &r.error));
    uint32_t all = (uint32_t)gemlet_session_length(r.session);
    assert_true(all > length + (size_t)2 * one);
    running_close(&r);
    for (uint32_t lacking = 0; lacking < 2; lacking++) {
        running_open(&r, packed, 1, &(gemlet_options){.context = all - lacking});
        gemlet_session_on_progress(r.session, never, &encoded);
        gemlet_status status = gemlet_feed_image_with_crops(r.session, &image, &r.error);
        assert_int_equal(status, lacking == 0 ? GEMLET_OK : GEMLET_ERROR_CONTEXT);
        assert_int_equal(encoded, lacking == 0);
        assert_int_equal(gemlet_session_length(r.session), lacking == 0 ? all : 0);
        running_close(&r);
        encoded = false;
    }
    free(pixels);
}

static void pictures_that_keep_their_shape_have_no_crops(void **state) {
    (void)state;
    running r;
    unsigned char *file;
    gemlet_image image = picture_of(0, "rgb", &file);
    running_open(&r, packed, 1, &options);
    assert_int_equal(gemlet_feed_image_with_crops(r.session, &image, &r.error), GEMLET_ERROR_UNSUPPORTED);
    assert_int_equal(gemlet_feed_image_with_crops(r.session, NULL, &r.error), GEMLET_ERROR_ARGUMENT);
    running_close(&r);
    free(file);
}

static void squares_make_no_clip(void **state) {
    (void)state;
    running r;
    unsigned char *file;
    const gemlet_clip_frame frame = {picture_of(0, "rgb", &file), 0.0};
    running_open(&r, packed, 1, &options);
    assert_int_equal(gemlet_feed_clip(r.session, &frame, 1, &r.error), GEMLET_ERROR_UNSUPPORTED);
    running_close(&r);
    free(file);
}

/* ---- Budgets, and what is refused ---- */

/* Frames of any shape give what their size says and no more than the budget; the memory is planned for all of them. */
static void every_shape_fits_its_budget(void **state) {
    (void)state;
    static const struct { uint32_t width, height; } shapes[] = {{1, 1}, {48, 48}, {2000, 3}, {3, 2000}, {640, 480}, {97, 401}};
    static const uint32_t budgets[] = {4, 70};
    unsigned char *pixels = calloc(640 * 480, 3);
    for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) {
        running r;
        gemlet_options o = options;
        o.image_tokens = budgets[b];
        running_open(&r, packed, 2, &o);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            gemlet_image image = {.format = GEMLET_PIXELS_RGB,
                                  .width = shapes[i].width,
                                  .height = shapes[i].height,
                                  .pixels = pixels,
                                  .stride = (size_t)3 * shapes[i].width};
            size_t count = 0;
            gemlet_vit_grid grid = gemlet_vit_grid_of(image.width, image.height, budgets[b]);
            free(encode(&r, &image, &count));
            assert_int_equal(count, grid.columns * grid.rows / 9);
            assert_in_range(count, 1, budgets[b]);
        }
        running_close(&r);
    }
    free(pixels);
}

static void assert_refused(const gemlet_options *o, const char *text) {
    gemlet_memory_plan plan;
    gemlet_port port;
    gemlet_error error;
    struct gemlet_posix *posix = gemlet_posix_open(1, &port);
    assert_non_null(posix);
    assert_int_equal(gemlet_plan(&port, packed, o, &plan, &error), GEMLET_ERROR_ARGUMENT);
    if (strstr(error.message, text) == NULL) {
        fail_msg("\"%s\" is not in: %s", text, error.message);
    }
    gemlet_posix_close(posix);
}

static void wrong_budgets_are_refused(void **state) {
    (void)state;
    gemlet_options many = options, square = options;
    many.image_tokens = 1121;
    square.image_size = 768;
    assert_refused(&many, squares ? "option image_tokens is for" : "option image_tokens must be at most");
    assert_refused(&square, squares ? " but is 768" : "option image_size is for");
}

/* What an image of Gemma 3 sees depends on where it ends: its soft tokens are not fed in parts, however the chunk is chosen, and
 * more of them than an image has are refused. */
static void an_image_stays_together(void **state) {
    (void)state;
    float *logits[2] = {NULL, NULL};
    size_t bytes = 0, count = 0;
    uint32_t *ids = need_data(0, "ids.u32", &bytes);
    for (size_t i = 0; i < 2; i++) {
        running r;
        gemlet_options o = options;
        o.chunk = i == 0 ? 5 : 200;
        running_open(&r, packed, 3, &o);
        count = bytes / sizeof *ids;
        size_t done = feed_pictures(&r, ids, count, 0, 0), vocabulary = r.model->config.vocabulary;
        logits[i] = running_logits(&r, ids + done, count - done);
        if (i == 1) {
            assert_memory_equal(logits[0], logits[1], (count - done) * vocabulary * sizeof(float));
        } else {
            size_t soft_tokens = gemlet_session_image_facts(r.session).soft_tokens;
            float *many = calloc(soft_tokens + 1, r.model->config.width * sizeof *many);
            assert_int_equal(gemlet_feed_embeddings(r.session, many, soft_tokens + 1, &r.error), GEMLET_ERROR_ARGUMENT);
            assert_non_null(strstr(r.error.message, "which see each other, must be at most"));
            free(many);
        }
        running_close(&r);
    }
    free(logits[0]);
    free(logits[1]);
    free(ids);
}

/* A picture too long for the context is refused before it is encoded, and the session is as it was. */
static void a_picture_that_does_not_fit_is_refused_first(void **state) {
    (void)state;
    running r;
    unsigned char *file;
    bool encoded = false;
    gemlet_image image = picture_of(0, "rgb", &file);
    running_open(&r, packed, 1, &(gemlet_options){.context = 40});
    running_must(&r, gemlet_feed_text(r.session, "a", 1, false, &r.error));
    gemlet_session_on_progress(r.session, never, &encoded);
    size_t length = gemlet_session_length(r.session);
    assert_int_equal(gemlet_feed_image(r.session, &image, &r.error), GEMLET_ERROR_CONTEXT);
    assert_false(encoded);
    assert_int_equal(gemlet_session_length(r.session), length);
    running_close(&r);
    free(file);
}

/* Of matrices that take the same input, which is clamped and quantised once. */
static void bounds_of_one_of_three_are_refused(void **state) {
    (void)state;
    static const char lower[] = "model.vision_tower.encoder.layers.0.self_attn.v_proj.input_min";
    char hf[FOLDER_BYTES], path[FOLDER_BYTES + 32], odd[FOLDER_BYTES + 32];
    gemlet_error error = {GEMLET_OK, ""};
    folder_make(hf, "vit-bounds-hf");
    write_tiny_gemma4_with("tests/data/vision/gemma4/vision.safetensors", hf);
    snprintf(path, sizeof path, "%s/encoder.safetensors", hf);
    overwrite_tensor(path, lower, 0, "\x5e\xbd", 2); /* half of what it is: the steps are those of the upper bound */
    snprintf(odd, sizeof odd, "%s/odd.gguf", hf);
    assert_int_not_equal(pack_run(&(pack_options){.folder = hf, .output = odd}, &error), GEMLET_OK);
    assert_non_null(strstr(error.message, "whose q, k and v, or gate and up, don't share their inputs' step and bounds"));
    folder_remove(hf);
}

static const struct CMUnitTest of_the_cpu[] = {
    cmocka_unit_test(soft_tokens_are_the_reference_s),
    cmocka_unit_test(threads_and_levels_do_not_matter),
};
static const struct CMUnitTest of_the_code[] = {
    cmocka_unit_test(logits_are_the_reference_s),         cmocka_unit_test(frames_are_the_reference_s),
    cmocka_unit_test(other_work_between_does_not_matter), cmocka_unit_test(feeding_frames_the_picture),
    cmocka_unit_test(wrong_budgets_are_refused),          cmocka_unit_test(a_picture_that_does_not_fit_is_refused_first),
};

static const struct CMUnitTest of_budgets[] = {
    cmocka_unit_test(grids_are_the_reference_s),
    cmocka_unit_test(every_shape_fits_its_budget),
    cmocka_unit_test(a_clip_is_frames_with_their_times),
    cmocka_unit_test(wrong_clips_are_refused),
    cmocka_unit_test(pictures_that_keep_their_shape_have_no_crops),
    cmocka_unit_test(bounds_of_one_of_three_are_refused),
};
static const struct CMUnitTest of_squares[] = {
    cmocka_unit_test(an_image_stays_together),
    cmocka_unit_test(squares_make_no_clip),
    cmocka_unit_test(crops_are_fed_where_they_are),
    cmocka_unit_test(crops_are_the_reference_s),
    cmocka_unit_test(a_turn_with_crops_is_the_reference_s),
    cmocka_unit_test(crops_are_the_reference_s),
    cmocka_unit_test(a_turn_with_crops_is_the_reference_s),
};

static int run_groups(const char *name, bool all) {
    int failed = cmocka_run_group_tests_name(name, of_the_cpu, set_up, tear_down);
    if (!all) {
        return failed;
    }
    failed += cmocka_run_group_tests_name(name, of_the_code, set_up, tear_down);
    return failed + (squares ? cmocka_run_group_tests_name(name, of_squares, set_up, tear_down)
                             : cmocka_run_group_tests_name(name, of_budgets, set_up, tear_down));
}

int main(int count, char **arguments) {
    bool all = count < 2;
    pictures = 2;
    if (count == 3) {
        struct stat there;
        snprintf(packed, sizeof packed, "%s/0.causal.f32", arguments[2]);
        squares = stat(packed, &there) == 0;
        pictures = squares ? 1 : 2;
        snprintf(packed, sizeof packed, "%s", arguments[1]);
        data = arguments[2];
        return run_groups("another model", true);
    }
    data = "tests/data/vision/gemma4";
    pack_model_of_tests = pack_gemma4;
    int failed = run_groups("Gemma 4", all);
    data = "tests/data/vision/gemma3";
    squares = true;
    pictures = 1;
    pack_model_of_tests = pack_gemma3;
    failed += run_groups("Gemma 3", all);
    pack_model_of_tests = pack_gemma3_pair;
    return all ? failed + run_groups("Gemma 3 of GGUF", all) : failed;
}
