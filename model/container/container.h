/* The model file: a bounded reader of GGUF.
 *
 * A packed model is a GGUF v3 file with the keys gemlet.version and gemlet.header.crc32 (of all that stands before the data, itself
 * as 0; checked when the file is opened) and, parallel to its list of tensors, the arrays gemlet.tensor.kind,
 * gemlet.tensor.rows, gemlet.tensor.columns, gemlet.tensor.taps and gemlet.crc32 (all uint32).  The same reader serves gemlet-pack
 * for GGUF files that are not packed.
 *
 * Nothing in the file is trusted: every count, offset, length, alignment and name is checked against the file's size when it is
 * opened, and every later read goes through those checks.  The reader needs a port that can read_at; map is used for tensors'
 * data where there is one, once for all of them.  Its memory is the structure below, however many tensors there are.
 *
 * Layout of GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
#ifndef GEMLET_MODEL_CONTAINER_CONTAINER_H
#define GEMLET_MODEL_CONTAINER_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/quant/conv.h"
#include "core/quant/matrix.h"
#include <gemlet/arena.h>
#include <gemlet/port.h>
#include <gemlet/status.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    GEMLET_CONTAINER_VERSION = 1, /* of gemlet.version: the layout of packed files */
    GEMLET_NAME_BYTES = 64,       /* the longest name of a tensor, with its NUL: what ggml allows */
    GEMLET_KEY_BYTES = 128,       /* the longest key that can be looked up, with its NUL */
    GEMLET_SLICE_BYTES = 2200,    /* the longest value of gemlet.slice, with its NUL */
    GEMLET_DIMENSIONS = 4,
    GEMLET_MAX_TENSORS = 4096, /* Gemma 3n E4B with its encoders has 2,000 */
    GEMLET_MAX_KEYS = 256,
    GEMLET_MAX_ARRAY_TEXTS = 1024, /* strings in arrays, in packed files: each look-up of a key passes them one by one */
    GEMLET_WINDOW_BYTES = 1024,    /* of the file that is held while reading */
    GEMLET_TABLES = 5,
    GEMLET_TABLE_ROWS = 16,          /* of each table that are held */
    GEMLET_NAME_FILTER_BYTES = 2048, /* see names.h */
    GEMLET_MAX_TAPS = 1024           /* of a convolution */
};

#define GEMLET_HEADER_CRC32_KEY "gemlet.header.crc32"

/* Types of GGUF values. */
typedef enum gemlet_value_type {
    GEMLET_VALUE_UINT8,
    GEMLET_VALUE_INT8,
    GEMLET_VALUE_UINT16,
    GEMLET_VALUE_INT16,
    GEMLET_VALUE_UINT32,
    GEMLET_VALUE_INT32,
    GEMLET_VALUE_FLOAT32,
    GEMLET_VALUE_BOOL,
    GEMLET_VALUE_STRING,
    GEMLET_VALUE_ARRAY,
    GEMLET_VALUE_UINT64,
    GEMLET_VALUE_INT64,
    GEMLET_VALUE_FLOAT64
} gemlet_value_type;

/* Types of GGUF tensors that gemlet or gemlet-pack knows; the numbers are ggml's. */
typedef enum gemlet_tensor_type {
    GEMLET_TYPE_F32 = 0,
    GEMLET_TYPE_F16 = 1,
    GEMLET_TYPE_Q4_0 = 2,
    GEMLET_TYPE_Q4_1 = 3,
    GEMLET_TYPE_Q5_0 = 6,
    GEMLET_TYPE_Q5_1 = 7,
    GEMLET_TYPE_Q8_0 = 8,
    GEMLET_TYPE_Q2_K = 10,
    GEMLET_TYPE_Q3_K = 11,
    GEMLET_TYPE_Q4_K = 12,
    GEMLET_TYPE_Q5_K = 13,
    GEMLET_TYPE_Q6_K = 14,
    GEMLET_TYPE_IQ4_NL = 20,
    GEMLET_TYPE_IQ4_XS = 23,
    GEMLET_TYPE_I8 = 24,
    GEMLET_TYPE_BF16 = 30
} gemlet_tensor_type;

/* What a packed tensor's bytes are (gemlet.tensor.kind).  Everything but plain and real convolutions is a GGUF tensor of type I8
 * with one dimension, its number of bytes. */
typedef enum gemlet_tensor_kind {
    GEMLET_KIND_PLAIN,       /* numbers of the GGUF type, C order; rows x columns, columns being GGUF's first dimension */
    GEMLET_KIND_Q4_0_PANELS, /* a gemlet_matrix of rows x columns */
    GEMLET_KIND_Q4_0_ROWS,
    GEMLET_KIND_Q4_0_COLUMNS,
    GEMLET_KIND_Q8_0_PANELS,
    GEMLET_KIND_Q8_0_ROWS,
    GEMLET_KIND_Q8_0_COLUMNS,
    GEMLET_KIND_CONV,      /* a gemlet_conv: rows outputs, columns input channels, taps; its scales are the tensor NAME.scale */
    GEMLET_KIND_REAL_CONV, /* F32 [taps][columns][rows]: columns input channels of a group (1: depthwise), rows outputs */
    GEMLET_KIND_BLOB,      /* bytes with a format of their own; rows = columns = taps = 0 */
    GEMLET_KIND_W2_PANELS, /* a gemlet_matrix with one scale a row, then the steps of its activations */
    GEMLET_KIND_W4_PANELS,
    GEMLET_KIND_W8_PANELS,
    GEMLET_KIND_W2_ROWS,
    GEMLET_KIND_W4_ROWS,
    GEMLET_KIND_W8_ROWS,
    GEMLET_KINDS
} gemlet_tensor_kind;

typedef struct gemlet_tensor {
    char name[GEMLET_NAME_BYTES];
    uint32_t index; /* its place in the file's list */
    uint32_t type;  /* gemlet_tensor_type, or another number of ggml's: then bytes is 0 and the data can't be read */
    uint32_t dimension_count;
    uint64_t dimensions[GEMLET_DIMENSIONS]; /* GGUF's order: the fastest first; 1 beyond dimension_count */
    uint64_t offset;                        /* of the data, from the start of the file */
    uint64_t bytes;
    /* Of packed files; elsewhere plain with rows x columns from the dimensions. */
    gemlet_tensor_kind kind;
    uint32_t rows;
    uint32_t columns;
    uint32_t taps;
    uint32_t crc32;
} gemlet_tensor;

/* A value in the file, found by its key. */
typedef struct gemlet_value {
    gemlet_value_type type; /* of the elements where it is an array */
    bool array;
    uint64_t count;  /* elements of an array, bytes of a string, else 1 */
    uint64_t offset; /* of the first element, or of a string's bytes */
} gemlet_value;

/* Where the description of a tensor starts. */
typedef struct gemlet_description {
    uint64_t position;
    uint32_t index; /* of the tensor */
} gemlet_description;

typedef struct gemlet_container {
    const gemlet_port *port; /* not owned */
    const char *path;        /* not owned; for messages */
    gemlet_file *file;       /* owned: gemlet_container_close */
    uint64_t size;
    uint32_t alignment;
    bool packed;
    bool unreadable; /* the port failed since the file was opened */
    bool map_tried;
    const unsigned char *mapping; /* of the file from data on; NULL before the first load and where the port can't */
    uint32_t key_count;
    uint32_t tensor_count;
    uint64_t array_texts;           /* strings in arrays of all keys */
    uint64_t keys;                  /* where the first key starts */
    uint64_t descriptions;          /* where the first tensor's description starts */
    uint64_t data;                  /* where the tensors' data starts */
    uint64_t tables[GEMLET_TABLES]; /* kind, rows, columns, taps, crc32: where their elements start, in packed files */
    uint32_t table_first;           /* the tensor of the first row that is held, a multiple of GEMLET_TABLE_ROWS */
    uint32_t table_count;           /* rows that are held */
    unsigned char table_rows[GEMLET_TABLES][4 * GEMLET_TABLE_ROWS];
    gemlet_description start; /* of the next look-up of a tensor */
    unsigned char names[GEMLET_NAME_FILTER_BYTES];
    uint64_t window_offset;
    size_t window_length;
    unsigned char window[GEMLET_WINDOW_BYTES];
} gemlet_container;

/* Opens `path` and checks the whole of its header.  `port` and `path` must outlive the container.  A GGUF file that is not packed
 * opens too; gemlet_container_require_packed refuses it.  On an error nothing stays open.
 * GEMLET_ERROR_IO, GEMLET_ERROR_FORMAT, GEMLET_ERROR_UNSUPPORTED. */
gemlet_status gemlet_container_open(gemlet_container *container, const gemlet_port *port, const char *path, gemlet_error *error);
void gemlet_container_close(gemlet_container *container);

/* GEMLET_OK for a packed file of this version; otherwise the message says to run gemlet-pack. */
gemlet_status gemlet_container_require_packed(const gemlet_container *container, gemlet_error *error);

/* GEMLET_ERROR_IO where the port failed since the file was opened: what looked as if it were not there may be. */
gemlet_status gemlet_container_check_read(const gemlet_container *container, gemlet_error *error);

/* ---- Keys ---- */

/* Whether `key` is there, and its value into `*value` (may be NULL).  False also where the file can't be read. */
bool gemlet_container_find(gemlet_container *container, const char *key, gemlet_value *value);

/* A number into `*out`.  Where the key holds an array, element `index` of it; where it holds one number, that one for every index.
 * GEMLET_ERROR_IO where the port fails, GEMLET_ERROR_FORMAT where the key is missing, has another type, is negative or too large,
 * or has too few elements. */
gemlet_status gemlet_container_u32(gemlet_container *container, const char *key, uint64_t index, uint32_t *out,
                                   gemlet_error *error);
gemlet_status gemlet_container_f32(gemlet_container *container, const char *key, uint64_t index, float *out, gemlet_error *error);
gemlet_status gemlet_container_bool(gemlet_container *container, const char *key, uint64_t index, bool *out, gemlet_error *error);

/* A string, NUL-terminated, into `out` of `capacity` bytes.  GEMLET_ERROR_FORMAT where it is missing, longer or holds a NUL. */
gemlet_status gemlet_container_string(gemlet_container *container, const char *key, char *out, size_t capacity,
                                      gemlet_error *error);

/* Walks over the keys: start with `*cursor` = 0; false at the end.  A key longer than fits is cut. */
bool gemlet_container_next_key(gemlet_container *container, uint64_t *cursor, char key[GEMLET_KEY_BYTES], gemlet_value *value);

/* ---- Tensors ---- */

/* Whether there is a tensor `name`.  False also where the file can't be read. */
bool gemlet_container_has_tensor(gemlet_container *container, const char *name);

/* The tensor `name` into `*out`.  False where there is none (or the file can't be read).  Cheap where tensors are asked for roughly
 * in the file's order. */
bool gemlet_container_find_tensor(gemlet_container *container, const char *name, gemlet_tensor *out);

/* As find_tensor, but a missing tensor is GEMLET_ERROR_FORMAT. */
gemlet_status gemlet_container_tensor(gemlet_container *container, const char *name, gemlet_tensor *out, gemlet_error *error);

/* Walks over the tensors in the file's order: start with `*cursor` = 0 and `index` = 0, 1, ...; false at the end. */
bool gemlet_container_next_tensor(gemlet_container *container, uint64_t *cursor, uint32_t index, gemlet_tensor *out);

/* Reads `length` bytes of a tensor's data from `offset` in it.  GEMLET_ERROR_ARGUMENT beyond its end, GEMLET_ERROR_IO. */
gemlet_status gemlet_container_read(gemlet_container *container, const gemlet_tensor *tensor, uint64_t offset, void *out,
                                    size_t length, gemlet_error *error);

/* Answers GEMLET_ERROR_IO: a tensor's bytes, which the caller asked the port for, can't be read, and why. */
gemlet_status gemlet_container_fail_read(const gemlet_container *container, const char *tensor, gemlet_error *error);

/* A tensor's data for as long as the container is open: in the mapping where the port can map the file, which the first load finds
 * out, else read into `arena` under `user`.  With a counting arena nothing is read: `*data` is NULL where the bytes are only
 * counted. `mapped` (may be NULL) grows by the bytes that need no arena. */
gemlet_status gemlet_container_load(gemlet_container *container, const gemlet_tensor *tensor, gemlet_arena *arena, const char *user,
                                    const void **data, uint64_t *mapped, gemlet_error *error);

/* Computes the CRC-32 (ISO 3309, as zlib) of a packed tensor's data.  GEMLET_ERROR_FORMAT where it is not the one in the file. */
gemlet_status gemlet_container_verify(gemlet_container *container, const gemlet_tensor *tensor, gemlet_error *error);

/* A matrix without its data and steps, from a tensor of a kind that is one: `out->data` is NULL.  False for another kind. */
bool gemlet_tensor_matrix(const gemlet_tensor *tensor, gemlet_matrix *out);

/* The kind of a packed matrix; GEMLET_KINDS for a packing that the type has none of. */
gemlet_tensor_kind gemlet_kind_of_matrix(gemlet_weight_type type, gemlet_packing packing);

/* "plain", "q4_0 panels", ...; NULL for a number that is no kind. */
const char *gemlet_kind_name(uint32_t kind);

/* "F32", "Q4_0", "IQ2_XXS", ...: what ggml calls it, whether gemlet reads it or not.  "unknown" and never NULL for a number that
 * ggml does not use. */
const char *gemlet_type_name(uint32_t type);

/* Elements and bytes of a block of a tensor type; false for one that gemlet does not know. */
bool gemlet_type_block(uint32_t type, uint32_t *elements, uint32_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
