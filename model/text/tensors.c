#include "model/text/tensors.h"

#include <string.h>

#include "core/text.h"
#include "model/text/decoder.h"

/* Short names for the columns of the tables. */
#define PLACE(member) .place = offsetof(gemlet_text_weights, member)
#define LAYER_PLACE(member) .place = offsetof(gemlet_text_layer, member)
#define REALS GEMLET_FORM_REALS
#define MATRIX GEMLET_FORM_MATRIX
#define ONE GEMLET_SIZE_ONE
#define WIDTH GEMLET_SIZE_WIDTH
#define HEAD GEMLET_SIZE_HEAD
#define QUERIES GEMLET_SIZE_QUERIES
#define KEYS GEMLET_SIZE_KEYS
#define FEED_FORWARD GEMLET_SIZE_FEED_FORWARD
#define STREAMS GEMLET_SIZE_STREAMS
#define STREAMS_SQUARED GEMLET_SIZE_STREAMS_SQUARED
#define PER_LAYER GEMLET_SIZE_PER_LAYER
#define ALL_PER_LAYER GEMLET_SIZE_ALL_PER_LAYER
#define RANK GEMLET_SIZE_RANK
#define OWN_KEYS .part = GEMLET_TEXT_OWN_KEYS
#define SAME_INPUT(member) .same_input = offsetof(gemlet_text_layer, member)
#define STEPS_NEEDED .steps = GEMLET_STEPS_NEEDED
#define STEPS_NONE .steps = GEMLET_STEPS_NONE
#define ALTUP .part = GEMLET_TEXT_ALTUP
#define LAUREL .part = GEMLET_TEXT_LAUREL
#define SCALAR .part = GEMLET_TEXT_LAYER_SCALAR
#define PER_LAYER_INPUTS .part = GEMLET_TEXT_PER_LAYER_INPUTS

const gemlet_text_tensor gemlet_text_model_tensors[] = {
    {"token_embd.weight", MATRIX, GEMLET_SIZE_VOCABULARY, WIDTH, PLACE(embedding), STEPS_NONE},
    {GEMLET_TABLE_TENSOR, GEMLET_FORM_STREAMED, GEMLET_SIZE_PER_LAYER_VOCABULARY, ALL_PER_LAYER, PLACE(per_layer_table),
     PER_LAYER_INPUTS},
    {"per_layer_model_proj.weight", MATRIX, ALL_PER_LAYER, WIDTH, PLACE(per_layer_projection), PER_LAYER_INPUTS},
    {"per_layer_proj_norm.weight", REALS, ONE, PER_LAYER, PLACE(per_layer_norm), PER_LAYER_INPUTS},
    {"altup_proj", MATRIX, WIDTH, WIDTH, PLACE(stream_in[1]), ALTUP, .of_streams = true,
     .same_input = offsetof(gemlet_text_weights, stream_in[1])},
    {"altup_unembd_proj", MATRIX, WIDTH, WIDTH, PLACE(stream_out[1]), ALTUP, .of_streams = true},
    {"output_norm.weight", REALS, ONE, WIDTH, PLACE(output_norm)},
    {GEMLET_HEAD_TENSOR, MATRIX, GEMLET_SIZE_VOCABULARY, WIDTH, PLACE(head), .part = GEMLET_TEXT_OWN_HEAD},
};
const size_t gemlet_text_model_tensor_count = sizeof gemlet_text_model_tensors / sizeof *gemlet_text_model_tensors;

const gemlet_text_tensor gemlet_text_layer_tensors[] = {
    {"attn_k.weight", MATRIX, KEYS, WIDTH, LAYER_PLACE(key), OWN_KEYS},
    {"attn_v.weight", MATRIX, KEYS, WIDTH, LAYER_PLACE(value), OWN_KEYS, SAME_INPUT(key)},
    {"attn_k_norm.weight", REALS, ONE, HEAD, LAYER_PLACE(key_norm), OWN_KEYS},
    {"attn_norm.weight", REALS, ONE, WIDTH, LAYER_PLACE(attention_norm)},
    {"attn_q.weight", MATRIX, QUERIES, WIDTH, LAYER_PLACE(query), SAME_INPUT(key)},
    {"attn_q_norm.weight", REALS, ONE, HEAD, LAYER_PLACE(query_norm)},
    {"attn_output.weight", MATRIX, WIDTH, QUERIES, LAYER_PLACE(output)},
    {"post_attention_norm.weight", REALS, ONE, WIDTH, LAYER_PLACE(post_attention_norm)},
    {"ffn_norm.weight", REALS, ONE, WIDTH, LAYER_PLACE(feed_forward_norm)},
    {"ffn_gate.weight", MATRIX, FEED_FORWARD, WIDTH, LAYER_PLACE(gate)},
    {"ffn_up.weight", GEMLET_FORM_SPARSE_ROWS, FEED_FORWARD, WIDTH, LAYER_PLACE(up), SAME_INPUT(gate)},
    {"ffn_down.weight", GEMLET_FORM_SPARSE_COLUMNS, WIDTH, FEED_FORWARD, LAYER_PLACE(down), STEPS_NEEDED},
    {"post_ffw_norm.weight", REALS, ONE, WIDTH, LAYER_PLACE(post_feed_forward_norm)},
    {"altup_router_norm.weight", REALS, ONE, WIDTH, LAYER_PLACE(router_norm), ALTUP},
    {"altup_router.weight", REALS, STREAMS, WIDTH, LAYER_PLACE(router), ALTUP},
    {"altup_predict_coef.weight", REALS, STREAMS_SQUARED, STREAMS, LAYER_PLACE(predict), ALTUP},
    {"altup_correct_coef.weight", REALS, STREAMS, STREAMS, LAYER_PLACE(correct), ALTUP},
    {"altup_correct_scale.weight", REALS, ONE, WIDTH, LAYER_PLACE(correct_scale), ALTUP},
    {"laurel_l.weight", MATRIX, RANK, WIDTH, LAYER_PLACE(laurel_left), LAUREL, SAME_INPUT(query)},
    {"laurel_r.weight", MATRIX, WIDTH, RANK, LAYER_PLACE(laurel_right), LAUREL},
    {"laurel_post_norm.weight", REALS, ONE, WIDTH, LAYER_PLACE(laurel_norm), LAUREL},
    {"inp_gate.weight", MATRIX, PER_LAYER, WIDTH, LAYER_PLACE(per_layer_gate), PER_LAYER_INPUTS},
    {"proj.weight", MATRIX, WIDTH, PER_LAYER, LAYER_PLACE(per_layer_projection), PER_LAYER_INPUTS},
    {"post_norm.weight", REALS, ONE, WIDTH, LAYER_PLACE(per_layer_norm), PER_LAYER_INPUTS},
    {"layer_output_scale.weight", REALS, ONE, ONE, LAYER_PLACE(scalar), SCALAR},
};
const size_t gemlet_text_layer_tensor_count = sizeof gemlet_text_layer_tensors / sizeof *gemlet_text_layer_tensors;

/* Where the configuration keeps what no key tells; NULL for other sizes. */
static uint32_t *learned(gemlet_text_config *c, gemlet_text_size size) {
    switch (size) {
    case GEMLET_SIZE_VOCABULARY: return &c->vocabulary;
    case GEMLET_SIZE_PER_LAYER_VOCABULARY: return &c->per_layer_vocabulary;
    case GEMLET_SIZE_RANK: return &c->laurel_rank;
    default: return NULL;
    }
}

static size_t size_of(const gemlet_text_config *c, gemlet_text_size size, uint32_t layer) {
    const gemlet_attention_config *kind = gemlet_attention_of(c, layer);
    switch (size) {
    case GEMLET_SIZE_ONE: return 1;
    case GEMLET_SIZE_WIDTH: return c->width;
    case GEMLET_SIZE_HEAD: return kind->head_width;
    case GEMLET_SIZE_QUERIES: return (size_t)c->heads * kind->head_width;
    case GEMLET_SIZE_KEYS: return (size_t)kind->kv_heads * kind->head_width;
    case GEMLET_SIZE_FEED_FORWARD: return c->layer[layer].feed_forward;
    case GEMLET_SIZE_STREAMS: return c->streams;
    case GEMLET_SIZE_STREAMS_SQUARED: return (size_t)c->streams * c->streams;
    case GEMLET_SIZE_PER_LAYER: return c->per_layer_width;
    case GEMLET_SIZE_ALL_PER_LAYER: return (size_t)c->layers * c->per_layer_width;
    case GEMLET_SIZE_VOCABULARY: return c->vocabulary;
    case GEMLET_SIZE_PER_LAYER_VOCABULARY: return c->per_layer_vocabulary;
    case GEMLET_SIZE_RANK: return c->laurel_rank;
    }
    return 0;
}

static gemlet_packing packing_of(const gemlet_text_config *c, gemlet_text_form form, uint32_t layer) {
    bool sparse = c->layer[layer].sparsity > 0.0f;
    switch (form) {
    case GEMLET_FORM_STREAMED: return GEMLET_PACKED_ROWS;
    case GEMLET_FORM_SPARSE_ROWS: return sparse ? GEMLET_PACKED_ROWS : GEMLET_PACKED_PANELS;
    case GEMLET_FORM_SPARSE_COLUMNS: return sparse ? GEMLET_PACKED_COLUMNS : GEMLET_PACKED_PANELS;
    default: return GEMLET_PACKED_PANELS;
    }
}

size_t gemlet_text_table_rows(const gemlet_text_config *config, gemlet_weight_type type) {
    return gemlet_is_row_scaled(type) ? config->layers : 1;
}

size_t gemlet_text_table_bytes(const gemlet_text_config *config, const gemlet_matrix *table) {
    return gemlet_text_table_rows(config, table->type) *
           gemlet_packing_group_bytes(table->type, GEMLET_PACKED_ROWS, 1, table->columns);
}

static size_t append(char *name, size_t length, const char *text) {
    size_t bytes = strlen(text);
    memcpy(name + length, text, bytes + 1);
    return length + bytes;
}

static void write_name(gemlet_text_need *n) {
    size_t length = 0;
    if (n->of_layer) {
        length = append(n->name, 0, "blk.");
        length += gemlet_text_number(n->name + length, n->layer);
        length = append(n->name, length, ".");
    }
    length = append(n->name, length, n->tensor->name);
    if (n->tensor->of_streams) {
        length = append(n->name, length, ".");
        length += gemlet_text_number(n->name + length, n->stream);
        append(n->name, length, ".weight");
    }
}

/* The next row of the tables, whether the model has it or not. */
static bool next_row(const gemlet_text_config *c, gemlet_text_need *n) {
    if (n->tensor != NULL && n->tensor->of_streams && n->stream + 2 < c->streams) {
        n->stream++;
        return true;
    }
    n->stream = 0;
    if (!n->of_layer && n->next == gemlet_text_model_tensor_count) {
        n->of_layer = true;
        n->next = 0;
    } else if (n->of_layer && n->next == gemlet_text_layer_tensor_count) {
        n->layer++;
        n->next = 0;
    }
    n->tensor = n->of_layer ? &gemlet_text_layer_tensors[n->next] : &gemlet_text_model_tensors[n->next];
    n->next++;
    return n->layer < c->layers;
}

bool gemlet_text_next(const gemlet_text_config *config, gemlet_text_need *need) {
    do {
        if (!next_row(config, need)) {
            return false;
        }
    } while (!gemlet_text_has(config, need->tensor->part, need->layer) || (need->tensor->of_streams && config->streams < 2));
    need->rows = size_of(config, need->tensor->rows, need->layer);
    need->columns = size_of(config, need->tensor->columns, need->layer);
    need->packing = packing_of(config, need->tensor->form, need->layer);
    write_name(need);
    return true;
}

const char *gemlet_text_check_steps(const gemlet_text_tensor *tensor, float input_scale) {
    if (tensor->steps == GEMLET_STEPS_NEEDED && !(input_scale > 0.0f)) {
        return "must have a step of its inputs, which are quantised a few at a time, but has none";
    }
    if (tensor->steps == GEMLET_STEPS_NONE && input_scale > 0.0f) {
        return "must have no steps of its activations, as its rows are looked up: the head that has them is one of its own";
    }
    return NULL;
}

void gemlet_text_learn(gemlet_text_config *config, const gemlet_text_need *need, uint32_t rows) {
    uint32_t *size = learned(config, need->tensor->rows);
    if (size != NULL) {
        *size = rows;
    }
}
