#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/quant/row_scaled.h"
#include "examples/gemlet/options.h"
#include "examples/gemlet/program.h"
#include "model/container/key_reader.h"
#include "model/text/config.h"
#include <gemlet/gemlet.h>
#include <gemlet/posix.h>

typedef struct info {
    gemlet_container container;
    gemlet_error error;
    char architecture[32];
} info;

/* ---- Hyper-parameters ---- */

static bool number(info *n, const char *suffix, uint64_t index, uint32_t *out) {
    char key[GEMLET_KEY_BYTES];
    snprintf(key, sizeof key, "%s.%s", n->architecture, suffix);
    *out = 0;
    return gemlet_container_u32(&n->container, key, index, out, NULL) == GEMLET_OK;
}

static void print_number(info *n, const char *label, const char *suffix) {
    uint32_t value;
    if (number(n, suffix, 0, &value)) {
        printf("  %-28s %u\n", label, value);
    }
}

/* Of each layer, neighbours with the same together: "6144 x 15, 12288 x 20". */
static void print_widths(info *n, const char *label, const char *suffix) {
    uint32_t layers, width, next = 0, run = 0;
    if (!number(n, "block_count", 0, &layers) || !number(n, suffix, 0, &width)) {
        return;
    }
    printf("  %-28s ", label);
    bool more = true;
    for (uint32_t i = 0; more; i++) {
        more = i < layers && number(n, suffix, i, &next);
        if (more && next == width) {
            run++;
            continue;
        }
        printf("%s%u", i > run ? ", " : "", width);
        if (run < layers) {
            printf(" x %u", run);
        }
        width = next;
        run = 1;
    }
    printf("\n");
}

static void print_filtered(const char *text) {
    enum { PIECE = 128 };
    for (gemlet_error shown; *text != '\0'; text += strnlen(text, PIECE)) {
        fputs(program_shown(text, strnlen(text, PIECE), &shown), stdout);
    }
}

static void print_text(info *n) {
    char name[128];
    bool named = gemlet_container_string(&n->container, "general.name", name, sizeof name, NULL) == GEMLET_OK && name[0] != '\0';
    print_filtered(n->architecture);
    print_filtered(named ? ", " : "");
    print_filtered(named ? name : "");
    printf("\n");
    char slice[GEMLET_SLICE_BYTES];
    if (gemlet_container_find(&n->container, "gemlet.slice", NULL) &&
        gemlet_container_string(&n->container, "gemlet.slice", slice, sizeof slice, &n->error) == GEMLET_OK) {
        printf("  %-28s ", "slice");
        print_filtered(slice);
        printf("\n");
    }
    print_number(n, "layers", "block_count");
    print_number(n, "of them without own keys", "attention.shared_kv_layers");
    print_number(n, "width", "embedding_length");
    print_widths(n, "feed-forward width", "feed_forward_length");
    print_number(n, "heads", "attention.head_count");
    print_number(n, "heads of keys and values", "attention.head_count_kv");
    print_number(n, "head width", "attention.key_length");
    print_number(n, "head width, local layers", "attention.key_length_swa");
    print_number(n, "pairs of it that RoPE turns", "rope.rotated_pairs");
    print_number(n, "sliding window", "attention.sliding_window");
    print_number(n, "context at most", "context_length");
    print_number(n, "streams", "altup.num_inputs");
    print_number(n, "per-layer width", "embedding_length_per_layer_input");
}

static void print_encoder(info *n, const char *label, const char *prefix) {
    char key[GEMLET_KEY_BYTES];
    uint32_t tokens, width;
    snprintf(key, sizeof key, "%s.soft_token_count", prefix);
    bool present = gemlet_container_u32(&n->container, key, 0, &tokens, NULL) == GEMLET_OK;
    snprintf(key, sizeof key, "%s.embedding_length", prefix);
    if (present && gemlet_container_u32(&n->container, key, 0, &width, NULL) == GEMLET_OK) {
        printf("  %-28s %u soft tokens, encoder width %u", label, tokens, width);
        uint32_t size;
        snprintf(key, sizeof key, "%s.image_size", prefix);
        if (gemlet_container_u32(&n->container, key, 0, &size, NULL) == GEMLET_OK) {
            printf(", %u x %u pixels", size, size);
        }
        printf("\n");
    } else {
        printf("  %-28s none\n", label);
    }
}

/* ---- Bytes and multiply-adds ---- */

typedef struct totals {
    uint64_t kind_bytes[GEMLET_KINDS];
    uint32_t kind_tensors[GEMLET_KINDS];
    uint64_t text, image, sound, streamed_table, streamed_row, blob;
    bool row_of_layer;          /* the table has a row for each layer of a token */
    uint64_t token_multiplies;  /* of matrices, a multiply-add for each weight */
    uint64_t sparse_multiplies; /* of them, of matrices of which a token needs few rows or columns */
} totals;

/* The layer in "blk.N."; false for other names. */
static bool layer_of(const char *name, uint32_t *layer) {
    char *end;
    if (strncmp(name, "blk.", 4) != 0) {
        return false;
    }
    *layer = (uint32_t)strtoul(name + 4, &end, 10);
    return *end == '.';
}

static void add_tensor(totals *t, const gemlet_tensor *tensor) {
    gemlet_matrix matrix;
    t->kind_bytes[tensor->kind] += tensor->bytes;
    t->kind_tensors[tensor->kind]++;
    if (strcmp(tensor->name, "per_layer_token_embd.weight") == 0) {
        t->streamed_table = tensor->bytes;
        t->streamed_row = tensor->rows != 0 ? tensor->bytes / tensor->rows : 0;
        t->row_of_layer = gemlet_tensor_matrix(tensor, &matrix) && gemlet_is_row_scaled(matrix.type);
    } else if (tensor->kind == GEMLET_KIND_BLOB) {
        t->blob += tensor->bytes;
    } else if (strncmp(tensor->name, "v.", 2) == 0 || strncmp(tensor->name, "mm.", 3) == 0) {
        t->image += strncmp(tensor->name, "mm.a.", 5) == 0 ? 0 : tensor->bytes;
        t->sound += strncmp(tensor->name, "mm.a.", 5) == 0 ? tensor->bytes : 0;
    } else if (strncmp(tensor->name, "a.", 2) == 0) {
        t->sound += tensor->bytes;
    } else {
        t->text += tensor->bytes;
        if (gemlet_tensor_matrix(tensor, &matrix)) {
            uint64_t weights = (uint64_t)tensor->rows * tensor->columns;
            uint32_t layer;
            t->token_multiplies += weights;
            t->sparse_multiplies += layer_of(tensor->name, &layer) && matrix.packing != GEMLET_PACKED_PANELS ? weights : 0;
        }
    }
}

static void print_bytes(const char *label, uint64_t bytes) {
    printf("  %-28s %14llu\n", label, (unsigned long long)bytes);
}

static void print_totals(const totals *t) {
    printf("bytes by layout\n");
    for (uint32_t i = 0; i < GEMLET_KINDS; i++) {
        if (t->kind_tensors[i] != 0) {
            printf("  %-28s %14llu in %u tensors\n", gemlet_kind_name(i), (unsigned long long)t->kind_bytes[i], t->kind_tensors[i]);
        }
    }
    printf("bytes by use\n");
    print_bytes("text, mapped", t->text);
    print_bytes("image, mapped", t->image);
    print_bytes("sound, mapped", t->sound);
    print_bytes("tokenizer, mapped", t->blob);
    print_bytes("per-layer table, in flash", t->streamed_table);
    print_bytes("of it read for a token", t->streamed_row);
    printf("multiply-adds\n");
    print_bytes("text matrices, a token", t->token_multiplies);
    print_bytes("of them in sparse layers", t->sparse_multiplies);
}

/* ---- The image encoder's multiply-adds ---- */

/* A picture's square side at a point of the encoder: convolutions with stride 2 round up. */
static uint32_t halved(uint32_t side) {
    return (side + 1) / 2;
}

/* Whether the tensor PREFIX + `part` is there, and its multiply-adds on side x side outputs. */
static uint64_t conv_cost(info *n, const char *prefix, const char *part, uint64_t outputs, bool *there) {
    char name[2 * GEMLET_NAME_BYTES];
    gemlet_tensor t;
    snprintf(name, sizeof name, "%s%s", prefix, part);
    bool found = strlen(name) < GEMLET_NAME_BYTES && gemlet_container_find_tensor(&n->container, name, &t);
    if (there != NULL) {
        *there = found;
    }
    return found ? (uint64_t)t.rows * t.columns * t.taps * outputs : 0;
}

/* The first block of a stage halves the picture: in its edge residual's first convolution, or in the depthwise one in the middle
 * (at the start where there is none). */
static uint64_t block_cost(info *n, uint32_t stage, uint32_t block, uint32_t *side, bool *there) {
    char prefix[32];
    bool residual, middle, attention, down;
    snprintf(prefix, sizeof prefix, "v.blk.%u.%u.", stage, block);
    uint32_t before = *side, after = block == 0 ? halved(before) : before;
    uint64_t in = (uint64_t)before * before, out = (uint64_t)after * after;
    uint64_t cost = conv_cost(n, prefix, "conv_exp.weight", out, &residual) + conv_cost(n, prefix, "conv_pwl.weight", out, NULL);
    conv_cost(n, prefix, "dw_mid.conv.weight", out, &middle);
    bool inverted;
    uint64_t expanded = middle ? in : out;
    cost += conv_cost(n, prefix, "dw_start.conv.weight", expanded, NULL) +
            conv_cost(n, prefix, "pw_exp.conv.weight", expanded, &inverted);
    cost += conv_cost(n, prefix, "dw_mid.conv.weight", out, NULL) + conv_cost(n, prefix, "pw_proj.conv.weight", out, NULL);
    uint64_t queries = conv_cost(n, prefix, "attn.query.proj.weight", out, &attention);
    conv_cost(n, prefix, "attn.key.down_conv.weight", 1, &down);
    if (attention) {
        uint32_t key_side = down ? halved(after) : after;
        uint64_t keys = (uint64_t)key_side * key_side;
        gemlet_tensor q;
        char name[GEMLET_NAME_BYTES];
        snprintf(name, sizeof name, "%sattn.query.proj.weight", prefix);
        cost += queries + conv_cost(n, prefix, "attn.output.proj.weight", out, NULL);
        cost +=
            conv_cost(n, prefix, "attn.key.proj.weight", keys, NULL) + conv_cost(n, prefix, "attn.value.proj.weight", keys, NULL);
        cost += conv_cost(n, prefix, "attn.key.down_conv.weight", keys, NULL) +
                conv_cost(n, prefix, "attn.value.down_conv.weight", keys, NULL);
        cost += gemlet_container_find_tensor(&n->container, name, &q) ? 2 * (uint64_t)q.rows * out * keys : 0;
    }
    *there = residual || inverted || attention;
    *side = *there ? after : before;
    return cost;
}

static void print_image_cost(info *n) {
    uint32_t size, sides[64], stages = 0;
    if (gemlet_container_u32(&n->container, "gemlet.vision.image_size", 0, &size, NULL) != GEMLET_OK) {
        return;
    }
    uint32_t side = halved(size);
    uint64_t total = conv_cost(n, "v.conv_stem.", "conv.weight", (uint64_t)side * side, NULL);
    for (bool more = true; more && stages < 64;) {
        bool there = true;
        uint64_t cost = 0;
        for (uint32_t block = 0; there && block < 1024; block++) {
            cost += block_cost(n, stages, block, &side, &there);
            more = block != 0 || there;
        }
        if (more) {
            printf("  image encoder, stage %-7u %14llu\n", stages, (unsigned long long)cost);
            sides[stages++] = side;
        }
        total += cost;
    }
    if (stages >= 2) {
        uint64_t outputs = (uint64_t)sides[stages - 2] * sides[stages - 2];
        uint64_t cost = conv_cost(n, "v.msfa.ffn.", "pw_exp.conv.weight", outputs, NULL) +
                        conv_cost(n, "v.msfa.ffn.", "pw_proj.conv.weight", outputs, NULL);
        print_bytes("image encoder, fusion", cost);
        total += cost;
    }
    print_bytes("an image", total);
}

/* ---- The command ---- */

static int visit_tensors(info *n, bool verify, bool list, totals *t) {
    gemlet_tensor tensor;
    uint64_t cursor = 0;
    int damaged = 0;
    for (uint32_t i = 0; i < n->container.tensor_count; i++) {
        if (!gemlet_container_next_tensor(&n->container, &cursor, i, &tensor)) {
            gemlet_fail(&n->error, GEMLET_ERROR_IO, n->container.path);
            gemlet_error_text(&n->error, ": can't be read");
            return program_fail(&n->error);
        }
        add_tensor(t, &tensor);
        if (list) {
            gemlet_error shown;
            printf("%-48s %-16s %8u x %-6u taps %-3u %12llu bytes\n", program_shown(tensor.name, strlen(tensor.name), &shown),
                   gemlet_kind_name((uint32_t)tensor.kind), tensor.rows, tensor.columns, tensor.taps,
                   (unsigned long long)tensor.bytes);
        }
        if (verify && gemlet_container_verify(&n->container, &tensor, &n->error) != GEMLET_OK) {
            program_fail(&n->error);
            damaged++;
        }
    }
    if (verify && damaged == 0) {
        printf("all %u tensors have the right CRC-32\n", n->container.tensor_count);
    }
    return damaged == 0 ? 0 : 1;
}

static int print_plan(const gemlet_port *port, const char *path, const gemlet_options *chosen) {
    gemlet_memory_plan plan;
    gemlet_error error = {GEMLET_OK, ""};
    if (gemlet_plan(port, path, chosen, &plan, &error) != GEMLET_OK) {
        return program_fail(&error);
    }
    printf("plan (threads: %zu)\n", port->thread_count(port->context));
    print_bytes("arena", plan.arena);
    print_bytes("of it index and state", plan.persistent);
    print_bytes("of it keys and values", plan.cache);
    print_bytes("of it scratch", plan.scratch);
    print_bytes("mapped", plan.mapped);
    print_bytes("read to decode a token", plan.token_bytes);
    return 0;
}

/* What longer contexts would take, as far as the model was trained for them. */
static int print_contexts(const gemlet_port *port, const char *path, const gemlet_options *chosen, uint32_t trained) {
    static const uint32_t contexts[] = {4096, 32768, 131072};
    printf("arena at other contexts                 f16           int8\n");
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts && (contexts[i] <= trained || i == 0); i++) {
        gemlet_memory_plan plan[2];
        gemlet_error error = {GEMLET_OK, ""};
        for (int cache = 0; cache < 2; cache++) {
            gemlet_options other = *chosen;
            other.context = contexts[i] < trained ? contexts[i] : trained;
            other.cache = (gemlet_cache_type)cache;
            if (gemlet_plan(port, path, &other, &plan[cache], &error) != GEMLET_OK) {
                return program_fail(&error);
            }
        }
        printf("  %-28u %14zu %14zu\n", contexts[i] < trained ? contexts[i] : trained, plan[0].arena, plan[1].arena);
    }
    return 0;
}

/* As many as a model can have: what comes of each is printed. */
static gemlet_status check_layers(info *n) {
    gemlet_key_reader r = {.container = &n->container, .error = &n->error, .prefix = n->architecture};
    (void)gemlet_key_u32(&r, "block_count", 0, 1, GEMLET_MAX_LAYERS);
    return r.status;
}

static int show(info *n, bool verify, bool list) {
    totals t = {0};
    gemlet_status status = gemlet_container_require_packed(&n->container, &n->error);
    if (status == GEMLET_OK) {
        status = gemlet_container_string(&n->container, "general.architecture", n->architecture, sizeof n->architecture, &n->error);
    }
    status = status == GEMLET_OK ? check_layers(n) : status;
    if (status != GEMLET_OK) {
        return program_fail(&n->error);
    }
    print_text(n);
    print_encoder(n, "images", "gemlet.vision");
    print_encoder(n, "sounds", "gemlet.audio");
    int code = visit_tensors(n, verify, list, &t);
    uint32_t layers = 1;
    if (t.row_of_layer && number(n, "block_count", 0, &layers)) {
        t.streamed_row *= layers;
    }
    print_totals(&t);
    print_image_cost(n);
    return code;
}

static int open_and_show(const options *o) {
    gemlet_port port;
    gemlet_options chosen = options_for_library(o, 0);
    info n = {.error = {GEMLET_OK, ""}};
    int code = 1;
    gemlet_posix *posix = gemlet_posix_open(o->threads, &port);
    if (posix == NULL) {
        gemlet_fail(&n.error, GEMLET_ERROR_MEMORY, "option --threads: the system refuses the threads");
        code = program_fail(&n.error);
    } else if (gemlet_container_open(&n.container, &port, o->model, &n.error) != GEMLET_OK) {
        code = program_fail(&n.error);
    } else {
        uint32_t trained = 0;
        code = show(&n, o->verify, o->tensors);
        number(&n, "context_length", 0, &trained);
        gemlet_container_close(&n.container);
        code = code == 0 ? print_plan(&port, o->model, &chosen) : code;
        code = code == 0 ? print_contexts(&port, o->model, &chosen, trained) : code;
    }
    if (posix != NULL) {
        gemlet_posix_close(posix);
    }
    return code;
}

int command_info(int argc, char **argv) {
    options o;
    int code = 0;
    return options_parse(&o, OPTIONS_INFO, argc, argv, &code) ? open_and_show(&o) : code;
}
