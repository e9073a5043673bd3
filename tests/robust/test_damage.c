/* Damaged files.
 *
 * The contract: the header has a CRC-32 that is checked whenever a file is opened; every tensor has one that is checked on request
 * (gemlet_container_verify, gemlet info --verify), as reading gigabytes takes longer than answering a question.  So a damaged
 * header is refused, damaged weights are found when they are verified, and bytes between the tensors are not read by anybody.
 * Whatever was not verified, and whatever somebody forged together with its checksum, may give any answer or error, but reads and
 * writes nothing outside of the file and the arena: this test is for the sanitized build.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/container/forge.h"
#include "tests/kernels/kernel_test.h"
#include "tests/robust/rig.h"
#include "tests/support/sanitized.h"
#include <gemlet/sampler.h>

enum { BITS = 10000, BLOCKS = 1000, LARGEST_BLOCK = 4096, ARENA = 1 << 21 };

/* What became of the damage. */
typedef struct tally {
    size_t refused, verified, padding, forged, forged_refused, used, used_failed;
} tally;

/* One file that is damaged and mended again and again, and the memory to open it in. */
typedef struct patient {
    const packed_file *file;
    const gemlet_options *options;
    size_t data;      /* where the header ends */
    size_t use_every; /* of the files that open, one in so many is used without being verified */
    unsigned char *arena;
    test_random random;
    tally tally;
} patient;

static gemlet_status open_container(patient *p, memory_file *memory, gemlet_port *port, gemlet_container *container) {
    gemlet_error error = {GEMLET_OK, ""};
    *memory = (memory_file){.data = p->file->bytes, .size = p->file->size, .maps = true};
    memory_port_open(memory, port);
    gemlet_status status = gemlet_container_open(container, port, "model", &error);
    if (status == GEMLET_OK) {
        status = gemlet_container_require_packed(container, &error);
        if (status != GEMLET_OK) {
            gemlet_container_close(container);
        }
    }
    assert_true(status == GEMLET_OK || (error.status == status && error.message[0] != '\0'));
    return status;
}

static void patient_begin(patient *p, const packed_file *file, const gemlet_options *options, size_t use_every) {
    static gemlet_container container;
    memory_file memory;
    gemlet_port port;
    *p = (patient){.file = file, .options = options, .use_every = use_every, .random = {file->size}};
    assert_int_equal(open_container(p, &memory, &port, &container), GEMLET_OK);
    p->data = (size_t)container.data;
    gemlet_container_close(&container);
    p->arena = aligned_alloc(GEMLET_ALIGNMENT, ARENA);
    assert_non_null(p->arena);
}

static void patient_end(patient *p, const char *what) {
    const tally *t = &p->tally;
    print_message(
        "           %s, %s: %zu refused, %zu found by verifying, %zu between tensors; %zu forged, of them %zu refused; %zu used "
        "unverified, %zu of them with an error\n",
        p->file->name, what, t->refused, t->verified, t->padding, t->forged, t->forged_refused, t->used, t->used_failed);
    free(p->arena);
}

/* The tensor whose data has the byte at `at`; false for a byte between tensors. */
static bool tensor_at(gemlet_container *container, size_t at, gemlet_tensor *tensor) {
    uint64_t cursor = 0;
    for (uint32_t i = 0; gemlet_container_next_tensor(container, &cursor, i, tensor); i++) {
        if (at >= tensor->offset && at - tensor->offset < tensor->bytes) {
            return true;
        }
    }
    return false;
}

/* Verifies what the damage [at, at + length) of the data touches: every tensor of it must be found damaged where a byte changed. */
static void verify(patient *p, size_t at, size_t length, const unsigned char *before) {
    static gemlet_container container;
    memory_file memory;
    gemlet_port port;
    gemlet_tensor tensor;
    bool found = false;
    assert_int_equal(open_container(p, &memory, &port, &container), GEMLET_OK);
    for (size_t i = 0; i < length; i++) {
        if (before[i] != p->file->bytes[at + i] && tensor_at(&container, at + i, &tensor)) {
            gemlet_error error = {GEMLET_OK, ""};
            assert_int_equal(gemlet_container_verify(&container, &tensor, &error), GEMLET_ERROR_FORMAT);
            assert_non_null(strstr(error.message, tensor.name));
            found = true;
            i = (size_t)(tensor.offset + tensor.bytes) - at - 1; /* on behind this tensor */
        }
    }
    p->tally.verified += found ? 1 : 0;
    p->tally.padding += found ? 0 : 1;
    gemlet_container_close(&container);
}

/* Opens, feeds and samples without having verified: any status, but no harm. */
static void use(patient *p) {
    static _Alignas(8) unsigned char scratch[1 << 16];
    rig r;
    rig_init(&r, p->file->bytes, p->file->size, p->options);
    gemlet_arena_init(&r.arena, p->arena, ARENA, &r.error);
    gemlet_status status = gemlet_model_open(&r.port, "model", p->options, &r.arena, &r.model, &r.error);
    if (status == GEMLET_OK) {
        status = gemlet_session_open(r.model, p->options, &r.arena, &r.session, &r.error);
        rig_check_status(&r, status);
    }
    if (status == GEMLET_OK) {
        status = rig_converse(&r);
        rig_check_status(&r, status);
    }
    if (status == GEMLET_OK) {
        gemlet_sampler sampler;
        gemlet_sampler_settings settings = gemlet_sampler_defaults();
        uint32_t token = 0;
        assert_int_equal(
            gemlet_sampler_open(&sampler, &settings, gemlet_model_facts(r.model).vocabulary, scratch, sizeof scratch, &r.error),
            GEMLET_OK);
        status = gemlet_sampler_next(&sampler, r.session, &token, &r.error);
        rig_check_status(&r, status);
    }
    p->tally.used++;
    p->tally.used_failed += status != GEMLET_OK ? 1 : 0;
    gemlet_model_close(r.model);
    assert_int_equal(r.file.open, 0);
}

/* The damage [at, at + length) is there; answers 0 where nothing changed by it, else 1. */
static size_t examine(patient *p, size_t at, size_t length, const unsigned char *before) {
    static gemlet_container container;
    memory_file memory;
    gemlet_port port;
    if (memcmp(before, p->file->bytes + at, length) == 0) {
        return 0;
    }
    gemlet_status status = open_container(p, &memory, &port, &container);
    gemlet_container_close(&container);
    if (at < p->data) {
        if (status == GEMLET_OK) {
            fail_msg("damage to the header at %zu goes unnoticed", at);
        }
        p->tally.refused++;
        return 1;
    }
    assert_int_equal(status, GEMLET_OK);
    verify(p, at, length, before);
    if ((p->tally.verified + p->tally.padding) % p->use_every == 0) {
        use(p);
    }
    return 1;
}

/* The same damage to the header by somebody who makes the checksum right. */
static void forge(patient *p, const unsigned char *header) {
    static gemlet_container container;
    memory_file memory;
    gemlet_port port;
    forge_header(p->file->bytes, p->file->size);
    p->tally.forged++;
    if (open_container(p, &memory, &port, &container) == GEMLET_OK) {
        gemlet_container_close(&container);
        use(p);
    } else {
        p->tally.forged_refused++;
    }
    memcpy(p->file->bytes, header, p->data);
}

static void flip_bits(patient *p, size_t first, size_t end, size_t count, bool forged) {
    unsigned char *header = malloc(p->data);
    memcpy(header, p->file->bytes, p->data);
    for (size_t i = 0; i < count; i++) {
        size_t at = random_range(&p->random, first, end - 1);
        unsigned char before = p->file->bytes[at];
        p->file->bytes[at] ^= (unsigned char)(1u << random_range(&p->random, 0, 7));
        (void)examine(p, at, 1, &before);
        if (forged) {
            forge(p, header);
        }
        p->file->bytes[at] = before;
    }
    free(header);
}

static void overwrite(patient *p, size_t at, size_t length) {
    unsigned char *to = p->file->bytes + at;
    switch (random_range(&p->random, 0, 3)) {
    case 0: memset(to, 0, length); break;
    case 1: memset(to, 0xFF, length); break;
    case 2: random_bytes(&p->random, to, length); break;
    default: memmove(to, p->file->bytes + random_range(&p->random, 0, p->file->size - length), length); break;
    }
}

static void corrupt_blocks(patient *p, size_t first, size_t end, size_t count, bool forged) {
    static unsigned char before[LARGEST_BLOCK];
    unsigned char *header = malloc(p->data);
    memcpy(header, p->file->bytes, p->data);
    for (size_t done = 0; done < count;) {
        size_t length = random_range(&p->random, 1, LARGEST_BLOCK);
        length = length < end - first ? length : end - first;
        size_t at = random_range(&p->random, first, end - length);
        memcpy(before, p->file->bytes + at, length);
        overwrite(p, at, length);
        done += examine(p, at, length, before);
        if (forged) {
            forge(p, header);
        }
        memcpy(p->file->bytes + at, before, length);
    }
    free(header);
}

static const gemlet_options small_options = {.context = 64, .chunk = 8};
static const gemlet_options text_only = {.context = 64, .chunk = 8, .no_images = true};

static void any_bit_of_a_file_may_flip(void **state) {
    (void)state;
    patient p;
    patient_begin(&p, &small, &small_options, 1);
    flip_bits(&p, 0, small.size, BITS, false);
    patient_end(&p, "bits");
    patient_begin(&p, &mini, &text_only, 50);
    flip_bits(&p, 0, mini.size, BITS / 10, false);
    patient_end(&p, "bits");
}

static void any_block_of_a_file_may_be_lost(void **state) {
    (void)state;
    patient p;
    patient_begin(&p, &small, &small_options, 1);
    corrupt_blocks(&p, 0, small.size, BLOCKS, false);
    patient_end(&p, "blocks");
    patient_begin(&p, &mini, &text_only, 20);
    corrupt_blocks(&p, 0, mini.size, BLOCKS / 5, false);
    patient_end(&p, "blocks");
}

static void headers_are_damaged_and_forged(void **state) {
    (void)state;
    patient p;
    patient_begin(&p, &small, &small_options, 1);
    flip_bits(&p, 0, p.data, BITS / 2, true);
    corrupt_blocks(&p, 0, p.data, BLOCKS / 4, true);
    patient_end(&p, "forged");
    patient_begin(&p, &mini, &text_only, 1);
    flip_bits(&p, 0, p.data, BITS / 50, true);
    patient_end(&p, "forged");
}

/* The tokenizer's tables are read in place: their bytes are never trusted. */
static void tokenizers_are_damaged(void **state) {
    (void)state;
    static gemlet_container container;
    memory_file memory;
    gemlet_port port;
    gemlet_tensor tables;
    patient p;
    patient_begin(&p, &small, &small_options, 1);
    assert_int_equal(open_container(&p, &memory, &port, &container), GEMLET_OK);
    assert_true(gemlet_container_find_tensor(&container, "tokenizer.tables", &tables));
    gemlet_container_close(&container);
    flip_bits(&p, (size_t)tables.offset, (size_t)(tables.offset + tables.bytes), BITS / 5, false);
    corrupt_blocks(&p, (size_t)tables.offset, (size_t)(tables.offset + tables.bytes), BLOCKS / 2, false);
    patient_end(&p, "tokenizer");
}

static void cut_at(const packed_file *file, size_t size, size_t *refused) {
    static gemlet_container container;
    unsigned char *cut = aligned_alloc(GEMLET_ALIGNMENT, (size + GEMLET_ALIGNMENT) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT);
    packed_file part = {file->name, cut, size};
    patient p = {.file = &part};
    memory_file memory;
    gemlet_port port;
    memcpy(cut, file->bytes, size);
    assert_int_not_equal(open_container(&p, &memory, &port, &container), GEMLET_OK);
    (*refused)++;
    free(cut);
}

static void files_are_cut(void **state) {
    (void)state;
    size_t refused = 0;
    for (size_t size = 0; size < mini.size; size += 4096) {
        cut_at(&mini, size, &refused);
    }
    for (size_t size = 0; size < small.size; size += 64) {
        cut_at(&small, size, &refused);
    }
    print_message("           %zu cut files, all refused\n", refused);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bit_of_a_file_may_flip),
        cmocka_unit_test(any_block_of_a_file_may_be_lost),
        cmocka_unit_test(headers_are_damaged_and_forged),
        cmocka_unit_test(tokenizers_are_damaged),
        cmocka_unit_test(files_are_cut),
    };
    return cmocka_run_group_tests(tests, pack_models, free_models);
}
