#include "tests/robust/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"
#include "tests/robust/mini.h"

enum { RED = 0x5A };

/* ---- Files ---- */

packed_file packed_read(const char *path) {
    packed_file packed = {path, NULL, 0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("%s can't be opened", path);
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    packed.size = (size_t)ftell(file);
    rewind(file);
    packed.bytes = aligned_alloc(GEMLET_ALIGNMENT, (packed.size + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT);
    assert_non_null(packed.bytes);
    assert_int_equal(fread(packed.bytes, 1, packed.size, file), packed.size);
    fclose(file);
    return packed;
}

static packed_file pack(const char *name, const char *text, const char *projector) {
    char folder[FOLDER_BYTES];
    char path[FOLDER_BYTES + 32];
    gemlet_error error = {GEMLET_OK, ""};
    folder_make(folder, "robust");
    snprintf(path, sizeof path, "%s/packed.gguf", folder);
    pack_options options = {.text = text, .projector = projector, .output = path};
    if (pack_run(&options, &error) != GEMLET_OK) {
        fail_msg("%s", error.message);
    }
    packed_file packed = packed_read(path);
    packed.name = name;
    folder_remove(folder);
    return packed;
}

packed_file packed_tiny(void) {
    return pack("tiny", TINY_TEXT, TINY_PROJECTOR);
}

static packed_file packed_mini(void) {
    char folder[FOLDER_BYTES];
    char path[FOLDER_BYTES + 32];
    folder_make(folder, "mini");
    snprintf(path, sizeof path, "%s/mini.gguf", folder);
    write_mini(path);
    packed_file packed = pack("mini", path, TINY_PROJECTOR);
    folder_remove(folder);
    return packed;
}

packed_file mini, small;

packed_file packed_small(void) {
    return pack("small", "tests/data/gemma3-small/text.gguf", NULL);
}

packed_file packed_whole(void) {
    char hf[FOLDER_BYTES], path[FOLDER_BYTES + 64];
    gemlet_error error = {GEMLET_OK, ""};
    folder_make(hf, "proof");
    write_tiny_hf(&tiny_gemma4, hf, 1);
    snprintf(path, sizeof path, "%s/audio.safetensors", hf);
    copy_file("tests/data/sound/gemma4/audio.safetensors", path);
    snprintf(path, sizeof path, "%s/vision.safetensors", hf);
    copy_file("tests/data/vision/gemma4/vision.safetensors", path);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", hf);
    FILE *index = fopen(path, "w");
    assert_non_null(index);
    fputs(
        "{\"weight_map\": {\"text\": \"model.safetensors\", \"sound\": \"audio.safetensors\", \"vision\": \"vision.safetensors\"}}",
        index);
    assert_int_equal(fclose(index), 0);
    snprintf(path, sizeof path, "%s/packed.gguf", hf);
    pack_options options = {.folder = hf, .output = path};
    if (pack_run(&options, &error) != GEMLET_OK) {
        fail_msg("%s", error.message);
    }
    packed_file packed = packed_read(path);
    packed.name = "whole";
    folder_remove(hf);
    return packed;
}

int pack_models(void **state) {
    (void)state;
    mini = packed_mini();
    small = packed_small();
    return 0;
}

int free_models(void **state) {
    (void)state;
    free(mini.bytes);
    free(small.bytes);
    return 0;
}

/* ---- Opening ---- */

void rig_init(rig *r, const unsigned char *bytes, size_t size, const gemlet_options *options) {
    memset(r, 0, sizeof *r);
    r->file = (memory_file){.data = bytes, .size = size, .maps = true};
    r->options = *options;
    memory_port_open(&r->file, &r->memory_port);
    fault_port_open(&r->fault, &r->memory_port, &r->port);
}

size_t rig_plan(rig *r) {
    gemlet_memory_plan plan;
    if (gemlet_plan(&r->port, "model", &r->options, &plan, &r->error) != GEMLET_OK) {
        fail_msg("%s", r->error.message);
    }
    return plan.arena;
}

gemlet_status rig_open(rig *r, size_t bytes, int poison) {
    r->arena_bytes = bytes;
    r->block = aligned_alloc(RIG_RED_ZONE, (2 * RIG_RED_ZONE + bytes + RIG_RED_ZONE - 1) / RIG_RED_ZONE * RIG_RED_ZONE);
    assert_non_null(r->block);
    memset(r->block, RED, RIG_RED_ZONE);
    memset(r->block + RIG_RED_ZONE, poison, bytes);
    memset(r->block + RIG_RED_ZONE + bytes, RED, RIG_RED_ZONE);
    gemlet_status status = rig_open_again(r);
    if (status != GEMLET_OK) {
        rig_close(r);
    }
    return status;
}

gemlet_status rig_open_again(rig *r) {
    gemlet_status status = gemlet_arena_init(&r->arena, r->block + RIG_RED_ZONE, r->arena_bytes, &r->error);
    if (status == GEMLET_OK) {
        status = gemlet_model_open(&r->port, "model", &r->options, &r->arena, &r->model, &r->error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_session_open(r->model, &r->options, &r->arena, &r->session, &r->error);
    }
    if (status != GEMLET_OK) {
        assert_null(r->session);
        gemlet_model_close(r->model);
        r->model = NULL;
    }
    return status;
}

void rig_start(rig *r, const packed_file *file, const gemlet_options *options) {
    rig_init(r, file->bytes, file->size, options);
    if (rig_open(r, rig_plan(r), 0xA5) != GEMLET_OK) {
        fail_msg("%s", r->error.message);
    }
}

static void check_red_zone(const unsigned char *zone) {
    for (size_t i = 0; i < RIG_RED_ZONE; i++) {
        assert_int_equal(zone[i], RED);
    }
}

void rig_close(rig *r) {
    gemlet_model_close(r->model);
    r->model = NULL;
    r->session = NULL;
    assert_int_equal(r->fault.open_files, 0);
    assert_int_equal(r->file.open, 0);
    check_red_zone(r->block);
    check_red_zone(r->block + RIG_RED_ZONE + r->arena_bytes);
    free(r->block);
    r->block = NULL;
}

/* ---- Using it ---- */

void must(const rig *r, gemlet_status status) {
    if (status != GEMLET_OK) {
        fail_msg("%s", r->error.message);
    }
}

void rig_check_status(const rig *r, gemlet_status status) {
    if (status != GEMLET_OK) {
        assert_in_range(status, GEMLET_OK + 1, GEMLET_ERROR_STATE);
        assert_int_equal(r->error.status, status);
        assert_true(r->error.message[0] != '\0');
    }
}

saved_state rig_save(rig *r) {
    saved_state state = {NULL, gemlet_session_state_bytes(r->session)};
    state.bytes = malloc(state.size);
    assert_non_null(state.bytes);
    if (gemlet_session_save(r->session, state.bytes, state.size, &r->error) != GEMLET_OK) {
        fail_msg("%s", r->error.message);
    }
    return state;
}

void rig_restore(rig *r, const saved_state *state) {
    must(r, gemlet_session_restore(r->session, state->bytes, state->size, &r->error));
}

void assert_same_state(const saved_state *a, const saved_state *b) {
    assert_int_equal(a->size, b->size);
    if (memcmp(a->bytes, b->bytes, a->size) != 0) { /* assert_memory_equal would print megabytes */
        fail_msg("the session is not in the state it should be in");
    }
}

void assert_state(rig *r, const saved_state *expected) {
    saved_state found = rig_save(r);
    assert_same_state(&found, expected);
    free(found.bytes);
}

gemlet_image rig_frame(rig *r) {
    size_t stride = sizeof r->pixels / RIG_FRAME_SIDE;
    for (size_t i = 0; i < sizeof r->pixels; i++) {
        r->pixels[i] = (unsigned char)(i * 37 + i / stride * 11);
    }
    return (gemlet_image){
        .format = GEMLET_PIXELS_RGB, .width = RIG_FRAME_SIDE, .height = RIG_FRAME_SIDE, .pixels = r->pixels, .stride = stride};
}

static gemlet_status feed_likeliest(rig *r) {
    const float *logits = NULL;
    size_t count = 0;
    gemlet_status status = gemlet_logits(r->session, &logits, &count, &r->error);
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return status == GEMLET_OK ? gemlet_feed(r->session, &best, 1, &r->error) : status;
}

gemlet_status rig_chat(rig *r) {
    static const char text[] = "<start_of_turn>user\nwhat is \xE2\x96\x81 this? \xF0\x9F\x90\xA8\n";
    static const uint32_t tokens[] = {3, 5, 8, 13, 21};
    gemlet_status status = gemlet_feed_text(r->session, text, sizeof text - 1, true, &r->error);
    if (status == GEMLET_OK) {
        status = gemlet_feed(r->session, tokens, sizeof tokens / sizeof *tokens, &r->error);
    }
    for (size_t i = 0; i < 3 && status == GEMLET_OK; i++) {
        status = feed_likeliest(r);
    }
    return status;
}

gemlet_status rig_converse(rig *r) {
    gemlet_image frame = rig_frame(r);
    bool images = gemlet_session_image_facts(r->session).size != 0;
    gemlet_status status = images ? gemlet_feed_image(r->session, &frame, &r->error) : GEMLET_OK;
    return status == GEMLET_OK ? rig_chat(r) : status;
}
