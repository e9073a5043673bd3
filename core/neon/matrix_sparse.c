/* Products of the sparse layers' text matrices with one vector: some rows of up, and down where most of the vector is zero.
 * Compiled once per level; see matrix.h for what is computed, packing.h for the layouts and matrix.c for that of the vector. */
#include <stdbool.h>

#include "core/neon/matrix_parts.h"

/* --- products of single rows ------------------------------------------------------------------------------------------------ */

/* Sum of 32 products in 4 partial sums.  Within int16, two of bytes or four of a byte and a nibble. */
GEMLET_INLINE int32x4_t partial_sums(gemlet_weight_type type, int8x16_t low, int8x16_t high, int8x16_t x_low, int8x16_t x_high) {
#if GEMLET_COMPILED_LEVEL >= 2
    (void)type;
    return vdotq_s32(vdotq_s32(vdupq_n_s32(0), low, x_low), high, x_high);
#else
    int16x8_t a = vmlal_high_s8(multiply_low(low, x_low), low, x_low);
    if (type == GEMLET_Q4_0) {
        return vpaddlq_s16(vmlal_high_s8(accumulate_low(a, high, x_high), high, x_high));
    }
    return vpadalq_s16(vpaddlq_s16(a), vmlal_high_s8(multiply_low(high, x_high), high, x_high));
#endif
}

GEMLET_INLINE int32x4_t row_block_sums(gemlet_weight_type type, const int8_t *w, const int8_t *x) {
    int8x16_t low = vld1q_s8(w);
    int8x16_t high;
    if (type == GEMLET_Q4_0) {
        high = vshrq_n_s8(low, 4);
        low = vandq_s8(low, vdupq_n_s8(15));
    } else {
        high = vld1q_s8(w + HALF_BLOCK);
    }
    return partial_sums(type, low, high, vld1q_s8(x), vld1q_s8(x + HALF_BLOCK));
}

/* Adds the products of blocks [b, blocks) to y, one after the other. */
GEMLET_INLINE float last_blocks(gemlet_weight_type type, const unsigned char *scales, const int8_t *w, size_t b, size_t blocks,
                                one_vector x, float y) {
    for (; b < blocks; b++) {
        int32_t sum = vaddvq_s32(row_block_sums(type, w + b * weight_bytes(type), x.bytes + b * GEMLET_BLOCK));
        float16x4_t scale = vreinterpret_f16_u16(vdup_n_u16(0));
        memcpy(&scale, scales + 2 * b, 2);
        float product = (float)(sum + (type == GEMLET_Q4_0 ? x.scales[b].correction : 0)) * vgetq_lane_f32(vcvt_f32_f16(scale), 0);
        y = vfmas_laneq_f32(y, product, vdupq_n_f32(x.scales[b].scale), 0);
    }
    return y;
}

GEMLET_INLINE float one_row(gemlet_weight_type type, const unsigned char *row, size_t blocks, one_vector x) {
    const unsigned char *scales = row;
    const int8_t *w = (const int8_t *)row + gemlet_row_scale_bytes(blocks * GEMLET_BLOCK);
    float y = 0.0f;
    size_t b = 0;
    for (; b + 4 <= blocks; b += 4) {
        int32x4_t s[4];
        for (size_t i = 0; i < 4; i++) {
            s[i] = row_block_sums(type, w + (b + i) * weight_bytes(type), x.bytes + (b + i) * GEMLET_BLOCK);
        }
        int32x4_t sums = vpaddq_s32(vpaddq_s32(s[0], s[1]), vpaddq_s32(s[2], s[3]));
        int32x4_t first = vld1q_s32(&x.scales[b].correction), second = vld1q_s32(&x.scales[b + 2].correction);
        if (type == GEMLET_Q4_0) {
            sums = vaddq_s32(sums, vuzp1q_s32(first, second));
        }
        float32x4_t products = vmulq_f32(vcvtq_f32_s32(sums), load_scales(scales + 2 * b));
        float32x4_t x_scales = vreinterpretq_f32_s32(vuzp2q_s32(first, second));
        y = vfmas_laneq_f32(y, vgetq_lane_f32(products, 0), x_scales, 0);
        y = vfmas_laneq_f32(y, vgetq_lane_f32(products, 1), x_scales, 1);
        y = vfmas_laneq_f32(y, vgetq_lane_f32(products, 2), x_scales, 2);
        y = vfmas_laneq_f32(y, vgetq_lane_f32(products, 3), x_scales, 3);
    }
    return last_blocks(type, scales, w, b, blocks, x, y);
}

/* --- products of four rows: step by step together, so that results are not waited for ---------------------------------------- */

enum { ROWS_AT_ONCE = 4, BLOCKS_AT_ONCE = 4 };

/* The sums of a block, a lane for each row, without corrections. */
GEMLET_INLINE int32x4_t four_row_sums(gemlet_weight_type type, const int8_t *const w[ROWS_AT_ONCE], size_t b, const int8_t *x) {
    int8x16_t low[ROWS_AT_ONCE], high[ROWS_AT_ONCE], x_low = vld1q_s8(x), x_high = vld1q_s8(x + HALF_BLOCK);
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        low[r] = vld1q_s8(w[r] + b * weight_bytes(type));
        high[r] = type == GEMLET_Q8_0 ? vld1q_s8(w[r] + b * weight_bytes(type) + HALF_BLOCK) : low[r];
    }
    if (type == GEMLET_Q4_0) {
        for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
            high[r] = vshrq_n_s8(low[r], 4);
        }
        for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
            low[r] = vandq_s8(low[r], vdupq_n_s8(15));
        }
    }
#if GEMLET_COMPILED_LEVEL >= 2
    int32x4_t sums[ROWS_AT_ONCE];
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        sums[r] = vdotq_s32(vdupq_n_s32(0), low[r], x_low);
    }
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        sums[r] = vdotq_s32(sums[r], high[r], x_high);
    }
#else
    int16x8_t first[ROWS_AT_ONCE], second[ROWS_AT_ONCE];
    int32x4_t sums[ROWS_AT_ONCE];
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        first[r] = multiply_low(low[r], x_low);
    }
    if (type == GEMLET_Q4_0) { /* 16 products fit */
        for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
            second[r] = multiply_low(high[r], x_high);
        }
        for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
            first[r] = vmlal_high_s8(first[r], low[r], x_low);
        }
        for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
            second[r] = vmlal_high_s8(second[r], high[r], x_high);
        }
        for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
            first[r] = vaddq_s16(first[r], second[r]);
        }
        return vpaddlq_s16(vpaddq_s16(vpaddq_s16(first[0], first[1]), vpaddq_s16(first[2], first[3])));
    }
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        second[r] = multiply_low(high[r], x_high);
    }
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        first[r] = vmlal_high_s8(first[r], low[r], x_low);
    }
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        second[r] = vmlal_high_s8(second[r], high[r], x_high);
    }
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        sums[r] = vpaddlq_s16(first[r]);
    }
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        sums[r] = vpadalq_s16(sums[r], second[r]);
    }
#endif
    return vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
}

/* scales[i]: those of block b + i, a lane for each row. */
GEMLET_INLINE void load_row_scales(const unsigned char *const row[ROWS_AT_ONCE], size_t b, float32x4_t scales[BLOCKS_AT_ONCE]) {
    uint16x4_t half[ROWS_AT_ONCE];
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        half[r] = vld1_u16((const uint16_t *)(const void *)(row[r] + 2 * b));
    }
    uint16x4x2_t first = vzip_u16(half[0], half[2]), second = vzip_u16(half[1], half[3]);
    for (size_t i = 0; i < 2; i++) {
        uint16x4x2_t zipped = vzip_u16(first.val[i], second.val[i]);
        scales[2 * i] = vcvt_f32_f16(vreinterpret_f16_u16(zipped.val[0]));
        scales[2 * i + 1] = vcvt_f32_f16(vreinterpret_f16_u16(zipped.val[1]));
    }
}

GEMLET_INLINE float32x4_t four_rows(gemlet_weight_type type, const unsigned char *const row[ROWS_AT_ONCE], size_t blocks,
                                    one_vector x) {
    const int8_t *w[ROWS_AT_ONCE];
    float32x4_t y = vdupq_n_f32(0.0f);
    for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
        w[r] = (const int8_t *)row[r] + gemlet_row_scale_bytes(blocks * GEMLET_BLOCK);
    }
    size_t b = 0;
    for (; b + BLOCKS_AT_ONCE <= blocks; b += BLOCKS_AT_ONCE) {
        float32x4_t products[BLOCKS_AT_ONCE], scales[BLOCKS_AT_ONCE];
        load_row_scales(row, b, scales);
        for (size_t i = 0; i < BLOCKS_AT_ONCE; i++) {
            int32x4_t sums = four_row_sums(type, w, b + i, x.bytes + (b + i) * GEMLET_BLOCK);
            if (type == GEMLET_Q4_0) {
                sums = vaddq_s32(sums, vld1q_dup_s32(&x.scales[b + i].correction));
            }
            products[i] = vmulq_f32(vcvtq_f32_s32(sums), scales[i]);
        }
        for (size_t i = 0; i < BLOCKS_AT_ONCE; i++) {
            y = vfmaq_n_f32(y, products[i], x.scales[b + i].scale);
        }
    }
    float lanes[ROWS_AT_ONCE];
    vst1q_f32(lanes, y);
    for (size_t r = 0; r < ROWS_AT_ONCE && b < blocks; r++) {
        lanes[r] = last_blocks(type, row[r], w[r], b, blocks, x, lanes[r]);
    }
    return vld1q_f32(lanes);
}

/* Functions of their own, so that their loops can be found in the object. */
#define ROWS_FUNCTION(name, type)                                                                                                  \
    static __attribute__((noinline)) void name(const gemlet_matrix *w, const uint32_t *list, size_t length, one_vector x,          \
                                               float *y) {                                                                         \
        size_t blocks = w->columns / GEMLET_BLOCK;                                                                                 \
        size_t row_bytes = gemlet_packing_group_bytes(type, GEMLET_PACKED_ROWS, w->rows, w->columns);                              \
        const unsigned char *data = w->data;                                                                                       \
        size_t i = 0;                                                                                                              \
        for (; i + ROWS_AT_ONCE <= length; i += ROWS_AT_ONCE) {                                                                    \
            const unsigned char *row[ROWS_AT_ONCE] = {data + list[i] * row_bytes, data + list[i + 1] * row_bytes,                  \
                                                      data + list[i + 2] * row_bytes, data + list[i + 3] * row_bytes};             \
            vst1q_f32(y + i, four_rows(type, row, blocks, x));                                                                     \
        }                                                                                                                          \
        for (; i < length; i++) {                                                                                                  \
            y[i] = one_row(type, data + list[i] * row_bytes, blocks, x);                                                           \
        }                                                                                                                          \
    }

ROWS_FUNCTION(q4_0_rows, GEMLET_Q4_0)
ROWS_FUNCTION(q8_0_rows, GEMLET_Q8_0)

void GEMLET_LEVEL_NAME(gemlet_multiply_rows)(const gemlet_matrix *w, const uint32_t *list, size_t list_length, const void *x,
                                             float *y) {
    one_vector vector = one_vector_at(x, w->columns / GEMLET_BLOCK);
    if (w->type == GEMLET_Q4_0) {
        q4_0_rows(w, list, list_length, vector, y);
    } else {
        q8_0_rows(w, list, list_length, vector, y);
    }
}

/* --- products with mostly zero vectors -------------------------------------------------------------------------------------- */

/* The listed columns of some blocks, found once for all rows.  Offsets count from the matrix's beginning, for row 0. */
enum { LISTED_MOST = 128 };

typedef struct listed_block {
    size_t scales;
    float x_scale;
    int16_t correction; /* -8 times the sum of the values */
    uint16_t columns;
} listed_block;

typedef struct listed_column {
    int8_t value; /* first: the load that repeats it over a register takes no offset */
    size_t weights;
} listed_column;

typedef struct listed_blocks {
    listed_block blocks[LISTED_MOST];
    listed_column columns[LISTED_MOST]; /* of the first block, then of the next */
    size_t count;
} listed_blocks;

/* Answers how many columns of the list are in `listed`: those of whole blocks. */
static size_t find_listed(const gemlet_matrix *w, size_t padded_rows, const uint32_t *list, size_t length, one_vector x,
                          listed_blocks *listed) {
    size_t column_bytes = w->type == GEMLET_Q4_0 ? padded_rows / 2 : padded_rows;
    size_t block_bytes = 2 * padded_rows + GEMLET_BLOCK * column_bytes;
    size_t i = 0;
    listed->count = 0;
    while (i < length && i + GEMLET_BLOCK <= LISTED_MOST) {
        size_t b = list[i] / GEMLET_BLOCK;
        size_t first = i;
        int32_t sum = 0;
        for (; i < length && list[i] / GEMLET_BLOCK == b; i++) {
            size_t offset = b * block_bytes + 2 * padded_rows + list[i] % GEMLET_BLOCK * column_bytes;
            listed->columns[i] = (listed_column){x.bytes[list[i]], offset};
            sum += x.bytes[list[i]];
        }
        listed->blocks[listed->count++] =
            (listed_block){b * block_bytes, x.scales[b].scale, (int16_t)(-8 * sum), (uint16_t)(i - first)};
    }
    return i;
}

/* Sums of a strip of 64 rows, in row order, 4 rows a vector; `halves` is 1 in the strips of 32 that the last rows are in. */
enum { STRIP = 64, STRIP_VECTORS = STRIP / 4 };

/* Sums of 8 rows. */
GEMLET_INLINE void add_scaled_sums(int32x4_t low, int32x4_t high, const unsigned char *scales, float x_scale,
                                   float32x4_t *results) {
    float16x8_t scale = vld1q_f16((const float16_t *)(const void *)scales);
    results[0] = vfmaq_n_f32(results[0], vmulq_f32(vcvtq_f32_s32(low), vcvt_f32_f16(vget_low_f16(scale))), x_scale);
    results[1] = vfmaq_n_f32(results[1], vmulq_f32(vcvtq_f32_s32(high), vcvt_high_f32_f16(scale)), x_scale);
}

/* Adds a column to the sums of 8 rows each, or, where it is the first, sets those that no correction is in. */
GEMLET_INLINE void add_column_q4(const int8_t *w, size_t halves, const listed_column *column, bool first, int16x8_t *narrow) {
    int8x16_t value = vld1q_dup_s8(&column->value);
    w += column->weights;
    for (size_t h = 0; h < halves; h++) {
        int8x16_t bytes = vld1q_s8(w + 16 * h);
        int8x16_t low = vandq_s8(bytes, vdupq_n_s8(15));
        int8x16_t high = vshrq_n_s8(bytes, 4);
        int16x8_t *sums = narrow + 4 * h;
        sums[0] = vmlal_s8(sums[0], vget_low_s8(low), vget_low_s8(value));
        sums[1] = vmlal_high_s8(sums[1], low, value);
        sums[2] =
            first ? vmull_s8(vget_low_s8(high), vget_low_s8(value)) : vmlal_s8(sums[2], vget_low_s8(high), vget_low_s8(value));
        sums[3] = first ? vmull_high_s8(high, value) : vmlal_high_s8(sums[3], high, value);
    }
}

/* 32 products of a nibble and a byte stay within int16 in the end, so that wrapping on the way is harmless. */
GEMLET_INLINE void add_block_q4(const int8_t *w, size_t halves, const listed_block *block, const listed_column *columns,
                                const unsigned char *scales, float32x4_t *results) {
    int16x8_t narrow[STRIP / 8];
    for (size_t i = 0; i < 4 * halves; i++) {
        narrow[i] = vdupq_n_s16(block->correction);
    }
    add_column_q4(w, halves, columns, true, narrow);
    for (size_t i = 1; i < block->columns; i++) {
        add_column_q4(w, halves, columns + i, false, narrow);
    }
    for (size_t i = 0; i < 4 * halves; i++) { /* at once, or more sums than registers would be alive */
        add_scaled_sums(vmovl_s16(vget_low_s16(narrow[i])), vmovl_high_s16(narrow[i]), scales + 16 * i, block->x_scale,
                        results + 2 * i);
    }
}

GEMLET_INLINE void add_block_q8(const int8_t *w, size_t halves, const listed_block *block, const listed_column *columns,
                                const unsigned char *scales, float32x4_t *results) {
    int32x4_t sums[STRIP_VECTORS];
    for (size_t i = 0; i < 8 * halves; i++) {
        sums[i] = vdupq_n_s32(0);
    }
    for (const listed_column *end = columns + block->columns; columns != end; columns++) {
        int8x16_t value = vld1q_dup_s8(&columns->value);
        for (size_t h = 0; h < 2 * halves; h++) {
            int8x16_t weights = vld1q_s8(w + columns->weights + 16 * h);
            int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(value));
            int16x8_t high = vmull_high_s8(weights, value);
            sums[4 * h] = vaddw_s16(sums[4 * h], vget_low_s16(low));
            sums[4 * h + 1] = vaddw_high_s16(sums[4 * h + 1], low);
            sums[4 * h + 2] = vaddw_s16(sums[4 * h + 2], vget_low_s16(high));
            sums[4 * h + 3] = vaddw_high_s16(sums[4 * h + 3], high);
        }
    }
    for (size_t i = 0; i < 4 * halves; i++) {
        add_scaled_sums(sums[2 * i], sums[2 * i + 1], scales + 16 * i, block->x_scale, results + 2 * i);
    }
}

/* `halves` x 32 rows from `first_row` on, of which `rows` are there: added to y, or y where nothing is in it yet. */
GEMLET_INLINE void strip_times_one(gemlet_weight_type type, size_t halves, const gemlet_matrix *w, const listed_blocks *listed,
                                   size_t first_row, size_t rows, bool begun, float *y) {
    float32x4_t results[STRIP_VECTORS] = {vdupq_n_f32(0.0f)}; /* for an analyzer that does not see that all of them are set below */
#pragma GCC unroll 16
    for (size_t v = 0; v < 8 * halves; v++) { /* unrolled, or the results would live in memory */
        results[v] = begun && 4 * v < rows ? load_any(y + 4 * v, rows - 4 * v) : vdupq_n_f32(0.0f);
    }
    const unsigned char *data = w->data;
    const int8_t *weights = (const int8_t *)data + (type == GEMLET_Q4_0 ? first_row / 2 : first_row);
    const listed_column *columns = listed->columns;
    for (const listed_block *block = listed->blocks; block != listed->blocks + listed->count; block++) {
        const unsigned char *scales = data + block->scales + 2 * first_row;
        if (type == GEMLET_Q4_0) {
            add_block_q4(weights, halves, block, columns, scales, results);
        } else {
            add_block_q8(weights, halves, block, columns, scales, results);
        }
        columns += block->columns;
    }
#pragma GCC unroll 16
    for (size_t v = 0; v < 8 * halves; v++) {
        if (4 * v < rows) {
            store_any(y + 4 * v, results[v], rows - 4 * v);
        }
    }
}

GEMLET_INLINE void multiply_columns_typed(gemlet_weight_type type, const gemlet_matrix *w, const uint32_t *list, size_t list_length,
                                          const void *x, size_t first_row, size_t end_row, float *y) {
    one_vector vector = one_vector_at(x, w->columns / GEMLET_BLOCK);
    size_t padded_rows = (w->rows + GEMLET_COLUMN_ROWS - 1) / GEMLET_COLUMN_ROWS * GEMLET_COLUMN_ROWS;
    listed_blocks listed;
    size_t done = 0;
    do {
        bool begun = done > 0;
        done += find_listed(w, padded_rows, list + done, list_length - done, vector, &listed);
        size_t row = first_row;
        for (; row + STRIP <= end_row; row += STRIP) {
            strip_times_one(type, 2, w, &listed, row, STRIP, begun, y + row);
        }
        for (; row < end_row; row += STRIP / 2) {
            strip_times_one(type, 1, w, &listed, row, end_row - row < STRIP / 2 ? end_row - row : STRIP / 2, begun, y + row);
        }
    } while (done < list_length);
}

void GEMLET_LEVEL_NAME(gemlet_multiply_columns)(const gemlet_matrix *w, const uint32_t *list, size_t list_length, const void *x,
                                                size_t first_row, size_t end_row, float *y) {
    if (w->type == GEMLET_Q4_0) {
        multiply_columns_typed(GEMLET_Q4_0, w, list, list_length, x, first_row, end_row, y);
    } else {
        multiply_columns_typed(GEMLET_Q8_0, w, list, list_length, x, first_row, end_row, y);
    }
}
