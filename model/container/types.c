#include "model/container/container.h"

typedef struct type_facts {
    uint32_t type;
    uint32_t elements;
    uint32_t bytes;
    const char *name;
} type_facts;

static const type_facts types[] = {
    {GEMLET_TYPE_F32, 1, 4, "F32"},         {GEMLET_TYPE_F16, 1, 2, "F16"},           {GEMLET_TYPE_Q4_0, 32, 18, "Q4_0"},
    {GEMLET_TYPE_Q4_1, 32, 20, "Q4_1"},     {GEMLET_TYPE_Q5_0, 32, 22, "Q5_0"},       {GEMLET_TYPE_Q5_1, 32, 24, "Q5_1"},
    {GEMLET_TYPE_Q8_0, 32, 34, "Q8_0"},     {GEMLET_TYPE_Q2_K, 256, 84, "Q2_K"},      {GEMLET_TYPE_Q3_K, 256, 110, "Q3_K"},
    {GEMLET_TYPE_Q4_K, 256, 144, "Q4_K"},   {GEMLET_TYPE_Q5_K, 256, 176, "Q5_K"},     {GEMLET_TYPE_Q6_K, 256, 210, "Q6_K"},
    {GEMLET_TYPE_IQ4_NL, 32, 18, "IQ4_NL"}, {GEMLET_TYPE_IQ4_XS, 256, 136, "IQ4_XS"}, {GEMLET_TYPE_I8, 1, 1, "I8"},
    {GEMLET_TYPE_BF16, 1, 2, "BF16"},
};

/* The rest of ggml's, for messages. */
static const char *const other_names[] = {
    [9] = "Q8_1",   [15] = "Q8_K",  [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS", [19] = "IQ1_S",
    [21] = "IQ3_S", [22] = "IQ2_S", [25] = "I16",     [26] = "I32",    [27] = "I64",     [28] = "F64",
    [29] = "IQ1_M", [34] = "TQ1_0", [35] = "TQ2_0",   [39] = "MXFP4",  [40] = "NVFP4",   [41] = "Q1_0"};

static const type_facts *find_type(uint32_t type) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].type == type) {
            return &types[i];
        }
    }
    return NULL;
}

const char *gemlet_type_name(uint32_t type) {
    const type_facts *facts = find_type(type);
    const char *other = type < sizeof other_names / sizeof other_names[0] ? other_names[type] : NULL;
    return facts != NULL ? facts->name : other != NULL ? other : "unknown";
}

bool gemlet_type_block(uint32_t type, uint32_t *elements, uint32_t *bytes) {
    const type_facts *facts = find_type(type);
    *elements = facts != NULL ? facts->elements : 0;
    *bytes = facts != NULL ? facts->bytes : 0;
    return facts != NULL;
}

const char *gemlet_kind_name(uint32_t kind) {
    switch (kind) {
    case GEMLET_KIND_PLAIN: return "plain";
    case GEMLET_KIND_Q4_0_PANELS: return "q4_0 panels";
    case GEMLET_KIND_Q4_0_ROWS: return "q4_0 rows";
    case GEMLET_KIND_Q4_0_COLUMNS: return "q4_0 columns";
    case GEMLET_KIND_Q8_0_PANELS: return "q8_0 panels";
    case GEMLET_KIND_Q8_0_ROWS: return "q8_0 rows";
    case GEMLET_KIND_Q8_0_COLUMNS: return "q8_0 columns";
    case GEMLET_KIND_CONV: return "int8 convolution";
    case GEMLET_KIND_REAL_CONV: return "real convolution";
    case GEMLET_KIND_BLOB: return "blob";
    case GEMLET_KIND_W2_PANELS: return "w2 panels";
    case GEMLET_KIND_W4_PANELS: return "w4 panels";
    case GEMLET_KIND_W8_PANELS: return "w8 panels";
    case GEMLET_KIND_W2_ROWS: return "w2 rows";
    case GEMLET_KIND_W4_ROWS: return "w4 rows";
    case GEMLET_KIND_W8_ROWS: return "w8 rows";
    default: return NULL;
    }
}

gemlet_tensor_kind gemlet_kind_of_matrix(gemlet_weight_type type, gemlet_packing packing) {
    static const gemlet_tensor_kind kinds[][3] = {
        [GEMLET_Q4_0] = {GEMLET_KIND_Q4_0_PANELS, GEMLET_KIND_Q4_0_ROWS, GEMLET_KIND_Q4_0_COLUMNS},
        [GEMLET_Q8_0] = {GEMLET_KIND_Q8_0_PANELS, GEMLET_KIND_Q8_0_ROWS, GEMLET_KIND_Q8_0_COLUMNS},
        [GEMLET_W2] = {GEMLET_KIND_W2_PANELS, GEMLET_KIND_W2_ROWS, GEMLET_KINDS},
        [GEMLET_W4] = {GEMLET_KIND_W4_PANELS, GEMLET_KIND_W4_ROWS, GEMLET_KINDS},
        [GEMLET_W8] = {GEMLET_KIND_W8_PANELS, GEMLET_KIND_W8_ROWS, GEMLET_KINDS},
    };
    return kinds[type][packing];
}

bool gemlet_tensor_matrix(const gemlet_tensor *tensor, gemlet_matrix *out) {
    for (gemlet_weight_type type = GEMLET_Q4_0; type <= GEMLET_W8; type++) {
        for (gemlet_packing packing = GEMLET_PACKED_PANELS; packing <= GEMLET_PACKED_COLUMNS; packing++) {
            if (gemlet_kind_of_matrix(type, packing) == tensor->kind) {
                *out = (gemlet_matrix){.rows = tensor->rows, .columns = tensor->columns, .type = type, .packing = packing};
                return true;
            }
        }
    }
    return false;
}
