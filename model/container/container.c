#include "model/container/container.h"
#include "core/crc32.h"

#include <string.h>

#include "core/checked.h"
#include "core/quant/packing.h"
#include "core/text.h"
#include "model/container/cursor.h"
#include "model/container/names.h"

enum { HEADER_BYTES = 24, LARGEST_ALIGNMENT = 1 << 20 };

static const char *const table_keys[GEMLET_TABLES] = {"gemlet.tensor.kind", "gemlet.tensor.rows", "gemlet.tensor.columns",
                                                      "gemlet.tensor.taps", "gemlet.crc32"};

/* Starts a message about the file; the caller appends. */
static gemlet_status file_failed(const gemlet_container *c, gemlet_status status, const char *problem, gemlet_error *error) {
    gemlet_fail(error, status, c->path);
    gemlet_error_text(error, ": ");
    gemlet_error_text(error, problem);
    if (status == GEMLET_ERROR_IO) {
        gemlet_container_add_reason(c, error);
    }
    return status;
}

/* Starts a message about a key or a tensor. */
static gemlet_status part_failed(const gemlet_container *c, const char *what, const char *name, const char *problem,
                                 gemlet_error *error) {
    file_failed(c, GEMLET_ERROR_FORMAT, what, error);
    gemlet_error_text(error, " \"");
    gemlet_error_text(error, name);
    gemlet_error_text(error, "\" ");
    gemlet_error_text(error, problem);
    return GEMLET_ERROR_FORMAT;
}

/* Of a message that has been made: it is no damage, but something else. */
static gemlet_status restated(gemlet_status status, gemlet_error *error) {
    if (error != NULL) {
        error->status = status;
    }
    return status;
}

static gemlet_status found(gemlet_status status, const char *between, uint64_t number, gemlet_error *error) {
    gemlet_error_text(error, between);
    gemlet_error_number(error, number);
    return status;
}

static gemlet_status cut_short(const gemlet_cursor *at, const char *where, gemlet_error *error) {
    if (at->unreadable) {
        return gemlet_container_check_read(at->container, error);
    }
    file_failed(at->container, GEMLET_ERROR_FORMAT, "ends in the middle of ", error);
    gemlet_error_text(error, where);
    return GEMLET_ERROR_FORMAT;
}

/* ---- Header and keys ---- */

static gemlet_status check_header(gemlet_container *c, gemlet_error *error) {
    gemlet_cursor at = gemlet_cursor_at(c, 0);
    if (c->size < HEADER_BYTES) {
        file_failed(c, GEMLET_ERROR_FORMAT, "a GGUF file has at least 24 bytes, found ", error);
        return found(GEMLET_ERROR_FORMAT, "", c->size, error);
    }
    uint32_t magic = gemlet_cursor_u32(&at), version = gemlet_cursor_u32(&at);
    uint64_t tensors = gemlet_cursor_u64(&at), keys = gemlet_cursor_u64(&at);
    if (at.failed) {
        return cut_short(&at, "the header", error);
    }
    if (magic != 0x46554747u) {
        return file_failed(c, GEMLET_ERROR_FORMAT, "not a GGUF file (it does not start with \"GGUF\")", error);
    }
    if (version != 2 && version != 3) {
        file_failed(c, GEMLET_ERROR_UNSUPPORTED, "GGUF version 2 or 3 expected, found ", error);
        return found(GEMLET_ERROR_UNSUPPORTED, "", version, error);
    }
    if (tensors > GEMLET_MAX_TENSORS) {
        file_failed(c, GEMLET_ERROR_UNSUPPORTED, "at most 4096 tensors expected, found ", error);
        return found(GEMLET_ERROR_UNSUPPORTED, "", tensors, error);
    }
    if (keys > GEMLET_MAX_KEYS) {
        file_failed(c, GEMLET_ERROR_UNSUPPORTED, "at most 256 keys expected, found ", error);
        return found(GEMLET_ERROR_UNSUPPORTED, "", keys, error);
    }
    c->tensor_count = (uint32_t)tensors;
    c->key_count = (uint32_t)keys;
    c->keys = at.position;
    return GEMLET_OK;
}

/* Reads key `index` into `key` and goes past its value. */
static gemlet_status check_key(gemlet_container *c, gemlet_cursor *at, uint32_t index, char key[GEMLET_KEY_BYTES],
                               gemlet_error *error) {
    gemlet_value value;
    const char *problem;
    uint64_t length = gemlet_cursor_string(at, key, GEMLET_KEY_BYTES);
    if (at->failed) {
        return found(cut_short(at, "key ", error), "", index, error);
    }
    if (length == 0 || length >= GEMLET_KEY_BYTES || strlen(key) != length) {
        gemlet_status status = length >= GEMLET_KEY_BYTES ? GEMLET_ERROR_UNSUPPORTED : GEMLET_ERROR_FORMAT;
        file_failed(c, status, "keys have 1 to 127 bytes without a NUL, that of key ", error);
        found(status, "", index, error);
        return found(status, " has ", length, error);
    }
    gemlet_cursor_value(at, &value, &problem);
    if (problem != NULL) {
        part_failed(c, "key", key, problem, error);
        return restated(value.array && value.type == GEMLET_VALUE_ARRAY ? GEMLET_ERROR_UNSUPPORTED : GEMLET_ERROR_FORMAT, error);
    }
    c->array_texts += value.array && value.type == GEMLET_VALUE_STRING ? value.count : 0; /* the file is longer than all of them */
    return at->failed ? cut_short(at, "a key's value", error) : GEMLET_OK;
}

static gemlet_status check_keys(gemlet_container *c, gemlet_error *error) {
    gemlet_cursor at = gemlet_cursor_at(c, c->keys);
    uint64_t hashes[GEMLET_MAX_KEYS];
    char key[GEMLET_KEY_BYTES];
    for (uint32_t i = 0; i < c->key_count; i++) {
        gemlet_status status = check_key(c, &at, i, key, error);
        if (status != GEMLET_OK) {
            return status;
        }
        hashes[i] = gemlet_name_hash(key);
        for (uint32_t j = 0; j < i; j++) {
            if (hashes[j] == hashes[i]) {
                return part_failed(c, "key", key, "is there twice", error);
            }
        }
    }
    c->descriptions = at.position;
    c->start = (gemlet_description){at.position, 0};
    return GEMLET_OK;
}

static gemlet_status check_alignment(gemlet_container *c, gemlet_error *error) {
    c->alignment = 32; /* GGUF's default */
    if (gemlet_container_find(c, "general.alignment", NULL)) {
        gemlet_status status = gemlet_container_u32(c, "general.alignment", 0, &c->alignment, error);
        if (status != GEMLET_OK) {
            return status;
        }
    }
    bool valid = c->alignment >= 8 && (c->alignment & (c->alignment - 1)) == 0;
    if (!valid || c->alignment > LARGEST_ALIGNMENT || (c->packed && c->alignment < GEMLET_ALIGNMENT)) {
        part_failed(c, "key", "general.alignment",
                    c->packed ? "must be a power of two from 64 to 1048576, found "
                              : "must be a power of two from 8 to 1048576, found ",
                    error);
        found(GEMLET_ERROR_FORMAT, "", c->alignment, error);
        return restated(valid && !c->packed ? GEMLET_ERROR_UNSUPPORTED : GEMLET_ERROR_FORMAT, error);
    }
    return GEMLET_OK;
}

static gemlet_status check_tables(gemlet_container *c, gemlet_error *error) {
    for (size_t i = 0; i < GEMLET_TABLES; i++) {
        gemlet_value value;
        if (!gemlet_container_find(c, table_keys[i], &value)) {
            return part_failed(c, "key", table_keys[i], "is missing", error);
        }
        if (!value.array || value.type != GEMLET_VALUE_UINT32) {
            return part_failed(c, "key", table_keys[i], "must hold an array of uint32", error);
        }
        if (value.count != c->tensor_count) {
            part_failed(c, "key", table_keys[i], "must hold a number for each tensor, ", error);
            found(GEMLET_ERROR_FORMAT, "", c->tensor_count, error);
            return found(GEMLET_ERROR_FORMAT, ", but holds ", value.count, error);
        }
        c->tables[i] = value.offset;
    }
    return GEMLET_OK;
}

/* ---- Tensors ---- */

/* Reads a tensor's name and its number of dimensions. */
static gemlet_status read_name(gemlet_cursor *at, uint32_t index, gemlet_tensor *t, gemlet_error *error) {
    const gemlet_container *c = at->container;
    uint64_t length = gemlet_cursor_string(at, t->name, sizeof t->name);
    if (at->failed) {
        return found(cut_short(at, "the name of tensor ", error), "", index, error);
    }
    if (length == 0 || length >= sizeof t->name || strlen(t->name) != length) {
        file_failed(c, GEMLET_ERROR_FORMAT, "tensors' names have 1 to 63 bytes without a NUL, that of tensor ", error);
        found(GEMLET_ERROR_FORMAT, "", index, error);
        return found(GEMLET_ERROR_FORMAT, " has ", length, error);
    }
    t->dimension_count = gemlet_cursor_u32(at);
    if (!at->failed && (t->dimension_count == 0 || t->dimension_count > GEMLET_DIMENSIONS)) {
        part_failed(c, "tensor", t->name, "must have 1 to 4 dimensions, but has ", error);
        return found(GEMLET_ERROR_FORMAT, "", t->dimension_count, error);
    }
    return GEMLET_OK;
}

/* Reads dimensions, type and offset of the tensor whose name has been read, and checks what can be said without its neighbours. */
static gemlet_status read_shape(gemlet_cursor *at, gemlet_tensor *t, uint64_t *elements, gemlet_error *error) {
    const gemlet_container *c = at->container;
    uint32_t block_elements, block_bytes;
    *elements = 1;
    for (uint32_t i = 0; i < GEMLET_DIMENSIONS; i++) {
        t->dimensions[i] = !at->failed && i < t->dimension_count ? gemlet_cursor_u64(at) : 1;
        if (!at->failed && t->dimensions[i] == 0) {
            return part_failed(c, "tensor", t->name, "has a dimension of zero", error);
        }
        *elements = gemlet_times(*elements, t->dimensions[i]);
        if (!at->failed && *elements == UINT64_MAX) {
            return part_failed(c, "tensor", t->name, "has more elements than a number can count", error);
        }
    }
    t->type = gemlet_cursor_u32(at);
    t->offset = gemlet_cursor_u64(at);
    if (at->failed) {
        return cut_short(at, "a tensor's description", error);
    }
    t->bytes = 0;
    if (!gemlet_type_block(t->type, &block_elements, &block_bytes)) {
        return GEMLET_OK; /* a file that is not packed may have it, as long as nobody wants its data */
    }
    if (t->dimensions[0] % block_elements != 0) {
        part_failed(c, "tensor", t->name, "must have whole blocks, rows of a multiple of ", error);
        found(GEMLET_ERROR_FORMAT, "", block_elements, error);
        return found(GEMLET_ERROR_FORMAT, ", but they have ", t->dimensions[0], error);
    }
    t->bytes = gemlet_times(*elements / block_elements, block_bytes);
    if (t->bytes == UINT64_MAX) {
        return part_failed(c, "tensor", t->name, "has more bytes than a number can count", error);
    }
    return GEMLET_OK;
}

/* Turns the offset into one of the file. */
static gemlet_status check_place(const gemlet_container *c, gemlet_tensor *t, gemlet_error *error) {
    if (t->offset % c->alignment != 0) {
        part_failed(c, "tensor", t->name, "must start at a multiple of ", error);
        found(GEMLET_ERROR_FORMAT, "", c->alignment, error);
        return found(GEMLET_ERROR_FORMAT, ", but starts at ", t->offset, error);
    }
    uint64_t room = c->size > c->data ? c->size - c->data : 0;
    if (t->offset > room || t->bytes > room - t->offset) {
        part_failed(c, "tensor", t->name, "ends beyond the file: it starts at ", error);
        found(GEMLET_ERROR_FORMAT, "", t->offset, error);
        found(GEMLET_ERROR_FORMAT, " and has ", t->bytes, error);
        return found(GEMLET_ERROR_FORMAT, " bytes, of data the file has ", room, error);
    }
    t->offset += c->data;
    return GEMLET_OK;
}

/* Bytes that a packed tensor of this kind and shape has; 0 where there is no such tensor. */
static uint64_t expected_bytes(const gemlet_tensor *t) {
    gemlet_matrix matrix;
    if (t->taps > GEMLET_MAX_TAPS) {
        return 0;
    }
    if (gemlet_tensor_matrix(t, &matrix)) {
        return t->taps == 1 ? gemlet_packed_bytes(matrix.type, matrix.packing, t->rows, t->columns) : 0;
    }
    if (t->kind == GEMLET_KIND_CONV) {
        return gemlet_conv_bytes(t->rows, t->taps, t->columns);
    }
    return gemlet_times(gemlet_times(t->rows, t->columns), t->taps); /* plain and real: the caller compares elements */
}

/* Holds the rows of the tables around the one of tensor `index`; not in the window, which stays on the descriptions. */
static bool hold_table_rows(gemlet_container *c, uint32_t index) {
    if (index >= c->table_first && index - c->table_first < c->table_count) {
        return true;
    }
    c->table_first = index - index % GEMLET_TABLE_ROWS;
    c->table_count = 0;
    uint32_t rest = c->tensor_count - c->table_first;
    uint32_t count = rest < GEMLET_TABLE_ROWS ? rest : GEMLET_TABLE_ROWS;
    for (size_t i = 0; i < GEMLET_TABLES; i++) {
        uint64_t start = c->tables[i] + 4 * (uint64_t)c->table_first;
        if (c->port->read_at(c->port->context, c->file, start, c->table_rows[i], 4 * (size_t)count) != 4 * (int64_t)count) {
            c->unreadable = true;
            return false;
        }
    }
    c->table_count = count;
    return true;
}

/* Whether the GGUF type is one that tensors of the kind have. */
static bool type_fits(const gemlet_tensor *t) {
    switch (t->kind) {
    case GEMLET_KIND_PLAIN: return t->type == GEMLET_TYPE_F32 || t->type == GEMLET_TYPE_F16;
    case GEMLET_KIND_REAL_CONV: return t->type == GEMLET_TYPE_F32;
    default: return t->type == GEMLET_TYPE_I8;
    }
}

/* Whether the integers that a row's products add up to have room. */
static bool sums_fit(const gemlet_tensor *t) {
    gemlet_matrix matrix;
    bool row_scaled = gemlet_tensor_matrix(t, &matrix) && matrix.type >= GEMLET_W2 && matrix.packing == GEMLET_PACKED_PANELS;
    return (!row_scaled && t->kind != GEMLET_KIND_CONV) || t->taps > GEMLET_MAX_TAPS ||
           gemlet_times(t->columns, t->taps) <= GEMLET_LONGEST_SUM;
}

/* Reads the tensor's rows of the tables and checks them against its type and shape. */
static gemlet_status read_packing(gemlet_container *c, gemlet_tensor *t, uint64_t elements, gemlet_error *error) {
    uint32_t row[GEMLET_TABLES];
    if (!hold_table_rows(c, t->index)) {
        return gemlet_container_check_read(c, error);
    }
    for (size_t i = 0; i < GEMLET_TABLES; i++) {
        const unsigned char *b = c->table_rows[i] + 4 * (size_t)(t->index - c->table_first);
        row[i] = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    }
    t->rows = row[1];
    t->columns = row[2];
    t->taps = row[3];
    t->crc32 = row[4];
    if (row[0] >= GEMLET_KINDS) {
        part_failed(c, "tensor", t->name, "has a kind that this version does not know: ", error);
        return found(GEMLET_ERROR_FORMAT, "", row[0], error);
    }
    t->kind = (gemlet_tensor_kind)row[0];
    if (!type_fits(t)) {
        part_failed(c, "tensor", t->name, "has a type that does not fit its kind, ", error);
        gemlet_error_text(error, gemlet_kind_name(row[0]));
        return found(GEMLET_ERROR_FORMAT, ": ggml type ", t->type, error);
    }
    if (!sums_fit(t)) {
        part_failed(c, "tensor", t->name, "must have sums of at most ", error);
        found(GEMLET_ERROR_FORMAT, "", GEMLET_LONGEST_SUM, error);
        return found(GEMLET_ERROR_FORMAT, " products, columns times taps, but has ", gemlet_times(t->columns, t->taps), error);
    }
    bool counted = t->kind == GEMLET_KIND_PLAIN || t->kind == GEMLET_KIND_REAL_CONV; /* in elements, else in bytes */
    uint64_t expected = t->kind == GEMLET_KIND_BLOB ? t->bytes : expected_bytes(t), there = counted ? elements : t->bytes;
    if (expected != there) {
        part_failed(c, "tensor", t->name,
                    counted ? "must have as many elements as its rows, columns and taps say, "
                            : "must have as many bytes as its kind, rows, columns and taps say, ",
                    error);
        found(GEMLET_ERROR_FORMAT, "", expected, error);
        return found(GEMLET_ERROR_FORMAT, ", but has ", there, error);
    }
    return GEMLET_OK;
}

static gemlet_status clamp_shape(const gemlet_container *c, gemlet_tensor *t, uint64_t elements, gemlet_error *error) {
    uint64_t rows = elements / t->dimensions[0];
    if (rows > UINT32_MAX || t->dimensions[0] > UINT32_MAX) {
        part_failed(c, "tensor", t->name, "has a dimension beyond 4294967295", error);
        return restated(GEMLET_ERROR_UNSUPPORTED, error);
    }
    t->kind = GEMLET_KIND_PLAIN;
    t->rows = (uint32_t)rows;
    t->columns = (uint32_t)t->dimensions[0];
    t->taps = 1;
    t->crc32 = 0;
    return GEMLET_OK;
}

/* Reads the description at the cursor. */
static gemlet_status describe(gemlet_cursor *at, uint32_t index, gemlet_tensor *t, gemlet_error *error) {
    gemlet_container *c = at->container;
    uint64_t elements;
    t->index = index;
    gemlet_status status = read_name(at, index, t, error);
    status = status != GEMLET_OK ? status : read_shape(at, t, &elements, error);
    status = status != GEMLET_OK ? status : check_place(c, t, error);
    if (status == GEMLET_OK) {
        status = c->packed ? read_packing(c, t, elements, error) : clamp_shape(c, t, elements, error);
    }
    return status;
}

/* Where the data starts: behind the descriptions, which are walked for their lengths. */
static gemlet_status find_data(gemlet_container *c, gemlet_error *error) {
    gemlet_cursor at = gemlet_cursor_at(c, c->descriptions);
    for (uint32_t i = 0; i < c->tensor_count; i++) {
        gemlet_tensor t;
        gemlet_status status = read_name(&at, i, &t, error);
        if (status != GEMLET_OK) {
            return status;
        }
        gemlet_cursor_skip(&at, (uint64_t)t.dimension_count * 8 + 12);
        if (at.failed) {
            return found(cut_short(&at, "the description of tensor ", error), "", i, error);
        }
    }
    uint64_t over = at.position % c->alignment;
    c->data = at.position + (over != 0 ? c->alignment - over : 0);
    return GEMLET_OK;
}

/* What one tensor says about the next. */
typedef struct neighbour {
    char name[GEMLET_NAME_BYTES];
    uint64_t end;
    bool wants_scale;
    uint32_t outputs;
} neighbour;

/* Data lies in the order of the list, so overlaps show between neighbours; a convolution's scales follow it. */
static gemlet_status check_neighbour(const gemlet_container *c, const gemlet_tensor *t, neighbour *before, gemlet_error *error) {
    if (t->offset < before->end) {
        part_failed(c, "tensor", t->name, "starts inside the one before it, \"", error);
        gemlet_error_text(error, before->name);
        found(GEMLET_ERROR_FORMAT, "\": at ", t->offset, error);
        return found(GEMLET_ERROR_FORMAT, " where that ends at ", before->end, error);
    }
    if (before->wants_scale) {
        size_t length = strlen(before->name);
        bool named =
            strlen(t->name) > length && memcmp(t->name, before->name, length) == 0 && gemlet_text_equal(t->name + length, ".scale");
        if (!named || t->kind != GEMLET_KIND_PLAIN || t->type != GEMLET_TYPE_F32 || t->bytes != 4 * (uint64_t)before->outputs) {
            part_failed(c, "tensor", before->name, "must be followed by its scales, ", error);
            found(GEMLET_ERROR_FORMAT, "", before->outputs, error);
            gemlet_error_text(error, " F32 numbers, found \"");
            gemlet_error_text(error, t->name);
            gemlet_error_text(error, "\"");
            return GEMLET_ERROR_FORMAT;
        }
    }
    memcpy(before->name, t->name, sizeof before->name);
    before->end = t->offset + t->bytes;
    before->wants_scale = c->packed && t->kind == GEMLET_KIND_CONV;
    before->outputs = t->rows;
    return GEMLET_OK;
}

static gemlet_status check_tensors(gemlet_container *c, gemlet_error *error) {
    gemlet_cursor at = gemlet_cursor_at(c, c->descriptions);
    neighbour before = {"", 0, false, 0};
    for (uint32_t i = 0; i < c->tensor_count; i++) {
        gemlet_tensor t;
        gemlet_status status = describe(&at, i, &t, error);
        if (status == GEMLET_OK) {
            status = check_neighbour(c, &t, &before, error);
        }
        if (status == GEMLET_OK && !gemlet_names_add(c, t.name, i)) {
            status = part_failed(c, "tensor", t.name, "is there twice", error);
        }
        if (status != GEMLET_OK) {
            return status;
        }
    }
    if (before.wants_scale) {
        return part_failed(c, "tensor", before.name, "must be followed by its scales, but is the last one", error);
    }
    return GEMLET_OK;
}

/* ---- CRC-32 ---- */

/* Continues the CRC-32 of the file's bytes [from, end). */
static uint32_t crc_of_range(gemlet_container *c, uint32_t crc, uint64_t from, uint64_t end) {
    gemlet_cursor at = gemlet_cursor_at(c, from);
    unsigned char piece[256];
    while (at.position < end && !at.failed) {
        size_t length = end - at.position < sizeof piece ? (size_t)(end - at.position) : sizeof piece;
        gemlet_cursor_bytes(&at, piece, length);
        crc = gemlet_crc32(crc, piece, length);
    }
    return crc;
}

/* The last check, so that a file that is wrong in itself is refused with what is wrong. */
static gemlet_status check_crc(gemlet_container *c, gemlet_error *error) {
    static const unsigned char zeros[4];
    gemlet_value value;
    uint32_t expected;
    if (!gemlet_container_find(c, GEMLET_HEADER_CRC32_KEY, &value)) {
        return part_failed(c, "key", GEMLET_HEADER_CRC32_KEY, "is missing: run gemlet-pack on the original model", error);
    }
    gemlet_status status = gemlet_container_u32(c, GEMLET_HEADER_CRC32_KEY, 0, &expected, error);
    if (status != GEMLET_OK || value.array || value.type != GEMLET_VALUE_UINT32) {
        return status != GEMLET_OK ? status : part_failed(c, "key", GEMLET_HEADER_CRC32_KEY, "must be one uint32", error);
    }
    uint32_t crc = crc_of_range(c, 0, 0, value.offset);
    crc = gemlet_crc32(crc, zeros, sizeof zeros);
    crc = crc_of_range(c, crc, value.offset + sizeof zeros, c->data < c->size ? c->data : c->size);
    if (crc != expected) {
        file_failed(c, GEMLET_ERROR_FORMAT, "the header is damaged: CRC-32 ", error);
        found(GEMLET_ERROR_FORMAT, "", expected, error);
        return found(GEMLET_ERROR_FORMAT, " expected, found ", crc, error);
    }
    return GEMLET_OK;
}

/* ---- Public ---- */

static gemlet_status open_file(gemlet_container *c, gemlet_error *error) {
    c->file = c->port->open(c->port->context, c->path);
    if (c->file == NULL) {
        return file_failed(c, GEMLET_ERROR_IO, "can't be opened", error);
    }
    if (!c->port->size(c->port->context, c->file, &c->size)) {
        return file_failed(c, GEMLET_ERROR_IO, "the port can't tell its size", error);
    }
    return GEMLET_OK;
}

static gemlet_status check_version(gemlet_container *c, gemlet_error *error) {
    uint32_t version;
    c->packed = gemlet_container_find(c, "gemlet.version", NULL);
    if (!c->packed) {
        return GEMLET_OK;
    }
    if (c->array_texts > GEMLET_MAX_ARRAY_TEXTS) {
        file_failed(c, GEMLET_ERROR_UNSUPPORTED, "packed files have at most 1024 strings in arrays, found ", error);
        return found(GEMLET_ERROR_UNSUPPORTED, "", c->array_texts, error);
    }
    gemlet_status status = gemlet_container_u32(c, "gemlet.version", 0, &version, error);
    if (status == GEMLET_OK && version != GEMLET_CONTAINER_VERSION) {
        file_failed(c, GEMLET_ERROR_UNSUPPORTED, "packed for version 1 expected, found version ", error);
        found(GEMLET_ERROR_UNSUPPORTED, "", version, error);
        gemlet_error_text(error, ": run the gemlet-pack of this version on the original model");
        return GEMLET_ERROR_UNSUPPORTED;
    }
    return status;
}

static gemlet_status check_all(gemlet_container *c, gemlet_error *error) {
    gemlet_status status = open_file(c, error);
    status = status != GEMLET_OK ? status : check_header(c, error);
    status = status != GEMLET_OK ? status : check_keys(c, error);
    status = status != GEMLET_OK ? status : check_version(c, error);
    status = status != GEMLET_OK ? status : check_alignment(c, error);
    status = status != GEMLET_OK || !c->packed ? status : check_tables(c, error);
    status = status != GEMLET_OK ? status : find_data(c, error);
    status = status != GEMLET_OK ? status : check_tensors(c, error);
    status = status != GEMLET_OK || !c->packed ? status : check_crc(c, error);
    gemlet_status read = gemlet_container_check_read(c, error); /* what seems to be missing may only not have been read */
    return read != GEMLET_OK ? read : status;
}

gemlet_status gemlet_container_open(gemlet_container *container, const gemlet_port *port, const char *path, gemlet_error *error) {
    memset(container, 0, sizeof *container);
    container->port = port;
    container->path = path;
    gemlet_status status = check_all(container, error);
    if (status != GEMLET_OK) {
        gemlet_container_close(container);
    }
    return status;
}

void gemlet_container_close(gemlet_container *container) {
    if (container->file != NULL) {
        container->port->close(container->port->context, container->file);
    }
    container->file = NULL;
    container->mapping = NULL;
    container->tensor_count = 0;
    container->key_count = 0;
}

gemlet_status gemlet_container_require_packed(const gemlet_container *container, gemlet_error *error) {
    if (container->packed) {
        return GEMLET_OK;
    }
    return file_failed(container, GEMLET_ERROR_UNSUPPORTED,
                       "this GGUF file is not packed for gemlet: run gemlet-pack --text FILE -o OUT.gguf on it", error);
}

bool gemlet_container_next_tensor(gemlet_container *container, uint64_t *cursor, uint32_t index, gemlet_tensor *out) {
    gemlet_cursor at = gemlet_cursor_at(container, *cursor == 0 ? container->descriptions : *cursor);
    if (index >= container->tensor_count || describe(&at, index, out, NULL) != GEMLET_OK) {
        return false;
    }
    *cursor = at.position;
    return true;
}

bool gemlet_container_has_tensor(gemlet_container *container, const char *name) {
    gemlet_description place;
    return gemlet_names_find(container, name, &place);
}

bool gemlet_container_find_tensor(gemlet_container *container, const char *name, gemlet_tensor *out) {
    gemlet_description place;
    return gemlet_names_find(container, name, &place) && gemlet_container_next_tensor(container, &place.position, place.index, out);
}

gemlet_status gemlet_container_tensor(gemlet_container *container, const char *name, gemlet_tensor *out, gemlet_error *error) {
    if (gemlet_container_find_tensor(container, name, out)) {
        return GEMLET_OK;
    }
    gemlet_status status = gemlet_container_check_read(container, error); /* what seems to be missing may only not be read */
    return status != GEMLET_OK ? status : part_failed(container, "tensor", name, "is missing", error);
}

gemlet_status gemlet_container_fail_read(const gemlet_container *container, const char *tensor, gemlet_error *error) {
    part_failed(container, "tensor", tensor, "can't be read", error);
    gemlet_container_add_reason(container, error);
    return restated(GEMLET_ERROR_IO, error);
}

gemlet_status gemlet_container_read(gemlet_container *container, const gemlet_tensor *tensor, uint64_t offset, void *out,
                                    size_t length, gemlet_error *error) {
    const gemlet_port *port = container->port;
    if (offset > tensor->bytes || length > tensor->bytes - offset) {
        part_failed(container, "tensor", tensor->name, "was asked for bytes beyond its end", error);
        return restated(GEMLET_ERROR_ARGUMENT, error);
    }
    if (port->read_at(port->context, container->file, tensor->offset + offset, out, length) != (int64_t)length) {
        return gemlet_container_fail_read(container, tensor->name, error);
    }
    return GEMLET_OK;
}

/* The tensors' data is mapped as one: there are many tensors, and a mapping costs the same for all of them as for one. */
static const unsigned char *map_data(gemlet_container *c) {
    uint64_t length = c->size > c->data ? c->size - c->data : 0;
    if (!c->map_tried && c->port->map != NULL && c->data % GEMLET_ALIGNMENT == 0 && length > 0 && length <= SIZE_MAX) {
        c->mapping = c->port->map(c->port->context, c->file, c->data, (size_t)length);
    }
    c->map_tried = true;
    return c->mapping;
}

gemlet_status gemlet_container_load(gemlet_container *container, const gemlet_tensor *tensor, gemlet_arena *arena, const char *user,
                                    const void **data, uint64_t *mapped, gemlet_error *error) {
    const unsigned char *mapping = map_data(container);
    void *memory;
    *data = NULL;
    if (tensor->bytes > SIZE_MAX) {
        part_failed(container, "tensor", tensor->name, "is larger than this machine's memory", error);
        return restated(GEMLET_ERROR_UNSUPPORTED, error);
    }
    if (mapping != NULL && tensor->offset % GEMLET_ALIGNMENT == 0) {
        *data = mapping + (size_t)(tensor->offset - container->data);
        if (mapped != NULL) {
            *mapped += tensor->bytes;
        }
        return GEMLET_OK;
    }
    gemlet_status status = gemlet_arena_keep(arena, user, (size_t)tensor->bytes, &memory, error);
    if (status == GEMLET_OK && memory != NULL) {
        status = gemlet_container_read(container, tensor, 0, memory, (size_t)tensor->bytes, error);
        *data = status == GEMLET_OK ? memory : NULL;
    }
    return status;
}

gemlet_status gemlet_container_verify(gemlet_container *container, const gemlet_tensor *tensor, gemlet_error *error) {
    unsigned char piece[4096];
    uint32_t crc = 0;
    for (uint64_t offset = 0; offset < tensor->bytes; offset += sizeof piece) {
        size_t length = tensor->bytes - offset < sizeof piece ? (size_t)(tensor->bytes - offset) : sizeof piece;
        gemlet_status status = gemlet_container_read(container, tensor, offset, piece, length, error);
        if (status != GEMLET_OK) {
            return status;
        }
        crc = gemlet_crc32(crc, piece, length);
    }
    if (crc != tensor->crc32) {
        part_failed(container, "tensor", tensor->name, "is damaged: CRC-32 ", error);
        found(GEMLET_ERROR_FORMAT, "", tensor->crc32, error);
        return found(GEMLET_ERROR_FORMAT, " expected, found ", crc, error);
    }
    return GEMLET_OK;
}
