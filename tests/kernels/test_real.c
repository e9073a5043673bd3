/* Float kernels: every level gives the scalar definition's bits, and the definition keeps the error bounds that real.h states. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/half.h"
#include "tests/kernels/kernel_test.h"

/* Two NaNs count as the same: which of them comes out is the processor's business. */
static bool same_float(float a, float b) {
    uint32_t bits[2];
    memcpy(&bits[0], &a, sizeof a);
    memcpy(&bits[1], &b, sizeof b);
    return bits[0] == bits[1] || (isnan(a) && isnan(b));
}

static void assert_same_floats(const char *what, const float *got, const float *want, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!same_float(got[i], want[i])) {
            fail_msg("%s[%zu]: got %a, want %a", what, i, (double)got[i], (double)want[i]);
        }
    }
}

static const gemlet_real_kernels *scalar(void) {
    return gemlet_kernels_for(GEMLET_LEVEL_SCALAR).real;
}

static float from_bits(uint32_t bits) {
    float x = 0.0f;
    memcpy(&x, &bits, sizeof x);
    return x;
}

typedef enum fill { FILL_NORMAL, FILL_WIDE, FILL_SPECIAL, FILLS } fill;

/* NORMAL: about 1.  WIDE: all finite exponents, denormals too.  SPECIAL: WIDE with infinities, NaN and zeros among them. */
static float random_value(test_random *r, fill how) {
    if (how == FILL_NORMAL) {
        return 2.0f * random_normal(r);
    }
    if (how == FILL_SPECIAL && random_next(r) % 8 == 0) {
        const float odd[] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 3.4028235e38f, -3.4028235e38f, 1e-45f};
        return odd[random_next(r) % 8];
    }
    float x = from_bits((uint32_t)(random_next(r) >> 32));
    return isfinite(x) ? x : 1.0f;
}

static float *random_floats(test_random *r, size_t count, fill how) {
    float *x = guarded_alloc(count * sizeof *x, 4 * random_range(r, 0, 3));
    for (size_t i = 0; i < count; i++) {
        x[i] = random_value(r, how);
    }
    return x;
}

static float *copy_floats(const float *x, size_t count) {
    float *copy = guarded_alloc(count * sizeof *copy, 0);
    memcpy(copy, x, count * sizeof *copy);
    return copy;
}

/* ---- same bits at every level ---- */

typedef enum vector_kernel {
    RMS_NORM,
    RMS_NORM_PLAIN,
    LAYER_NORM,
    RMS_NORM_GELU,
    GELU,
    GELU_MULTIPLY,
    SIGMOID_MULTIPLY,
    SOFTMAX,
    SOFT_CAP,
    SCALE,
    ADD_SCALED,
    MULTIPLY,
    MULTIPLY_ADD,
    ROPE,
    MEAN_SQUARE,
    VECTOR_KERNELS
} vector_kernel;

static const char *const vector_names[] = {"rms_norm",
                                           "rms_norm without weight",
                                           "layer_norm",
                                           "rms_norm_gelu",
                                           "gelu",
                                           "gelu_multiply",
                                           "sigmoid_multiply",
                                           "softmax",
                                           "soft_cap",
                                           "scale",
                                           "add_scaled",
                                           "multiply",
                                           "multiply_add",
                                           "rope",
                                           "mean_square"};

/* Applies one kernel to x in place; `second` has as many elements. */
static void apply_vector(const gemlet_real_kernels *kernels, vector_kernel which, float *x, const float *second, size_t length) {
    switch (which) {
    case RMS_NORM: kernels->rms_norm(x, second, 1e-6f, length, x); break;
    case RMS_NORM_PLAIN: kernels->rms_norm(x, NULL, 1e-6f, length, x); break;
    case LAYER_NORM: kernels->layer_norm(x, second, second + length / 2, 1e-6f, length - length / 2, x); break;
    case RMS_NORM_GELU: kernels->rms_norm_gelu(x, length % 2 ? second : NULL, 1e-6f, length, x); break;
    case GELU: kernels->gelu(x, length, x); break;
    case GELU_MULTIPLY: kernels->gelu_multiply(x, second, length, x); break;
    case SIGMOID_MULTIPLY: kernels->sigmoid_multiply(x, length % 2 ? second : x, length, x); break;
    case SOFTMAX: kernels->softmax(x, length); break;
    case SOFT_CAP: kernels->soft_cap(x, 30.0f, length); break;
    case SCALE: kernels->scale(x, 0.7f, length); break;
    case ADD_SCALED: kernels->add_scaled(x, -1.3f, second, length); break;
    case MULTIPLY: kernels->multiply(x, second, length); break;
    case MULTIPLY_ADD: kernels->multiply_add(x, second, second + length / 2, length - length / 2); break;
    case ROPE: kernels->rope(x, second, second + length / 2, length); break;
    default:
        if (length > 0) {
            x[0] = kernels->mean_square(x, length);
        }
    }
}

static void test_vectors_same_at_every_level(void **state) {
    (void)state;
    test_random r = {21};
    for (size_t trial = 0; trial < 100 * VECTOR_KERNELS; trial++) {
        vector_kernel which = (vector_kernel)(trial % VECTOR_KERNELS);
        fill how = (fill)(trial / VECTOR_KERNELS % FILLS);
        size_t length = trial < VECTOR_KERNELS * 45 ? trial / VECTOR_KERNELS : random_range(&r, 0, 300);
        float *x = random_floats(&r, length, how);
        float *second = random_floats(&r, length, how);
        float *want = copy_floats(x, length);
        apply_vector(scalar(), which, want, second, length);
        for (gemlet_level level = GEMLET_LEVEL_NEON; level <= test_highest_level(); level++) {
            float *got = copy_floats(x, length);
            apply_vector(gemlet_kernels_for(level).real, which, got, second, length);
            assert_same_floats(vector_names[which], got, want, length);
            guarded_free(got);
        }
        guarded_free(want);
        guarded_free(second);
        guarded_free(x);
    }
}

/* Outputs elsewhere than the input leave the input alone. */
static void test_not_in_place(void **state) {
    (void)state;
    test_random r = {22};
    const gemlet_real_kernels *kernels = gemlet_kernels_for(test_highest_level()).real;
    for (size_t length = 0; length < 40; length++) {
        float *x = random_floats(&r, length, FILL_NORMAL);
        float *second = random_floats(&r, length, FILL_NORMAL);
        float *before = copy_floats(x, length);
        float *want = copy_floats(x, length);
        float *y = guarded_alloc(length * sizeof *y, 4);
        scalar()->rms_norm(want, second, 1e-6f, length, want);
        kernels->rms_norm(x, second, 1e-6f, length, y);
        assert_same_floats("rms_norm", y, want, length);
        scalar()->gelu_multiply(x, second, length, want);
        kernels->gelu_multiply(x, second, length, y);
        assert_same_floats("gelu_multiply", y, want, length);
        kernels->gelu(x, length, y);
        kernels->rms_norm_gelu(x, second, 1e-6f, length, y);
        assert_same_floats("the input", x, before, length);
        guarded_free(y);
        guarded_free(want);
        guarded_free(before);
        guarded_free(second);
        guarded_free(x);
    }
}

static void test_to_half(void **state) {
    (void)state;
    test_random r = {23};
    const float edges[] = {65504.0f,      65519.9f,      65520.0f,      -65520.0f, INFINITY, -INFINITY,      NAN,
                           5.9604645e-8f, 2.9802322e-8f, 2.9802326e-8f, 1e-45f,    -0.0f,    1.00048828125f, 1.0014648f,
                           6.1035156e-5f, 6.097555e-5f};
    enum { EDGES = sizeof edges / sizeof *edges };
    for (gemlet_level level = GEMLET_LEVEL_SCALAR; level <= test_highest_level(); level++) {
        for (size_t length = 0; length < 200; length++) {
            float *x = random_floats(&r, length, length % 2 ? FILL_NORMAL : FILL_SPECIAL);
            memcpy(x, edges, (length < EDGES ? length : EDGES) * sizeof *x);
            uint16_t *y = guarded_alloc(length * sizeof *y, 2);
            gemlet_kernels_for(level).real->to_half(x, length, y);
            for (size_t i = 0; i < length; i++) {
                float back = gemlet_half_to_float(y[i]);
                double limited = fmin(fmax((double)x[i], -65504.0), 65504.0);
                /* Half a unit in the last place: 2^-11 of the power of two below, at least 2^-25. */
                double bound = fmax(ldexp(1.0, (int)floor(log2(fmax(fabs(limited), 1e-30))) - 11), ldexp(1.0, -25));
                if (isnan(x[i])) {
                    assert_true(isnan(back));
                } else {
                    assert_true(fabs((double)back - limited) <= bound);
                    assert_int_equal(y[i], gemlet_float_to_half((float)limited));
                }
            }
            guarded_free(y);
            guarded_free(x);
        }
    }
    uint16_t ties[2];
    scalar()->to_half((const float[]){1.00048828125f, 1.00146484375f}, 2, ties);
    assert_int_equal(ties[0], 0x3C00);
    assert_int_equal(ties[1], 0x3C02);
}

static float from_upper_half(uint16_t half) {
    return from_bits((uint32_t)half << 16);
}

static void test_bfloat16_same_at_every_level(void **state) {
    (void)state;
    test_random r = {24};
    for (size_t trial = 0; trial < 300; trial++) {
        size_t length = trial % 60;
        float *x = random_floats(&r, length, (fill)(trial % FILLS));
        float *scale = trial % 2 ? random_floats(&r, length, FILL_NORMAL) : NULL;
        uint16_t *y = guarded_alloc(length * sizeof *y, 2);
        uint16_t want[60];
        float wide[60];
        for (size_t i = 0; i < length; i++) {
            want[i] = (uint16_t)(random_next(&r) >> 48);
        }
        for (gemlet_level level = GEMLET_LEVEL_NEON; level <= test_highest_level(); level++) {
            const gemlet_real_kernels *kernels = gemlet_kernels_for(level).real;
            uint16_t sums[60];
            memcpy(sums, want, sizeof sums);
            scalar()->add_bfloat16(sums, scale, x, length);
            memcpy(y, want, length * sizeof *y);
            kernels->add_bfloat16(y, scale, x, length);
            for (size_t i = 0; i < length; i++) {
                assert_true(same_float(from_upper_half(y[i]), from_upper_half(sums[i])));
            }
            kernels->to_bfloat16(x, length, y);
            scalar()->to_bfloat16(x, length, sums);
            assert_memory_equal(y, sums, length * sizeof *y);
            kernels->from_bfloat16(y, length, wide);
            for (size_t i = 0; i < length; i++) {
                assert_true(same_float(wide[i], from_upper_half(y[i])));
            }
        }
        guarded_free(y);
        guarded_free(scale);
        guarded_free(x);
    }
}

static void test_bfloat16_rounds_to_nearest(void **state) {
    (void)state;
    static const struct {
        float x;
        uint16_t wanted;
    } cases[] = {
        {1.0f, 0x3F80},      {-1.0f, 0xBF80},     {0x1.01p0f, 0x3F81},       {-0x1.01p0f, 0xBF81},      {0x1.00fffep0f, 0x3F80},
        {0x1.03p0f, 0x3F82}, {65536.0f, 0x4780},  {0x1.fefffep127f, 0x7F7F}, {0x1.fffffep127f, 0x7F80}, {INFINITY, 0x7F80},
        {-0.0f, 0x8000},     {0x1p-133f, 0x0001}, {0x1p-149f, 0x0000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint16_t y = 0;
        scalar()->to_bfloat16(&cases[i].x, 1, &y);
        assert_int_equal(y, cases[i].wanted);
    }
    uint16_t sum = 0x3F80;
    scalar()->add_bfloat16(&sum, (const float[]){0.5f}, (const float[]){4.0f}, 1);
    assert_int_equal(sum, 0x4040); /* 3 */
    scalar()->add_bfloat16(&sum, NULL, (const float[]){-3.0f}, 1);
    assert_int_equal(sum, 0);
}

/* ---- accuracy of the definition ---- */

/* Visits floats of every exponent and both signs: what `check` asserts holds over the whole range. */
static void for_all_floats(void (*check)(float x)) {
    uint32_t step = 0x2F1Bu; /* odd, so that all low bits occur */
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += step * 5u) {
        check(from_bits((uint32_t)bits));
    }
    for (uint32_t exponent = 0; exponent < 512; exponent++) {
        check(from_bits(exponent << 23));
        check(from_bits((exponent << 23) + 1));
        check(from_bits((exponent << 23) - 1));
    }
    for (int i = -400000; i <= 400000; i++) {
        check((float)i * 4e-5f);
    }
}

static double gelu_exact(double x) {
    /* The formula as x / (1 + exp(-2 u)), which does not cancel. */
    return x / (1.0 + exp(-2.0 * 0.797884560802865355880 * (x + 0.044715 * x * x * x)));
}

static void check_gelu(float x) {
    float y = 0.0f;
    scalar()->gelu(&x, 1, &y);
    if (isnan(x)) {
        assert_true(isnan(y));
    } else if (isinf(x)) {
        assert_true(y == (x > 0.0f ? INFINITY : 0.0f));
    } else {
        double want = x < -50.0f ? 0.0 : x > 50.0f ? (double)x : gelu_exact((double)x);
        double error = fabs((double)y - want);
        double half_unit = fabs(want) * 0x1p-24;
        if (error > 9e-7 + half_unit || error > 5e-6 * fabs((double)x) + 1e-45) {
            fail_msg("gelu(%a) = %a, want %a", (double)x, (double)y, want);
        }
    }
}

static void test_gelu_accuracy(void **state) {
    (void)state;
    for_all_floats(check_gelu);
}

static void check_sigmoid(float x) {
    float y = 0.0f;
    const float one = 1.0f;
    scalar()->sigmoid_multiply(&x, &one, 1, &y);
    if (isnan(x)) {
        assert_true(isnan(y));
        return;
    }
    double want = 1.0 / (1.0 + exp(-(double)x));
    double most = x < -87.8f ? 1.2e-38 : (4e-7 + 1e-7 * fabs((double)x)) * want;
    if (!(fabs((double)y - want) <= most) || y < 0.0f || y > 1.0f) {
        fail_msg("sigmoid(%a) = %a, want %a", (double)x, (double)y, want);
    }
}

static void test_sigmoid_accuracy(void **state) {
    (void)state;
    for_all_floats(check_sigmoid);
}

static void check_tanh(float x) {
    float y = x;
    scalar()->soft_cap(&y, 1.0f, 1);
    if (isnan(x)) {
        assert_true(isnan(y));
        return;
    }
    double want = tanh((double)x);
    if (fabs((double)y - want) > 1e-6 * fabs(want) + 3e-45 || fabs((double)y) > 1.0 || signbit(y) != signbit(x)) {
        fail_msg("tanh(%a) = %a, want %a", (double)x, (double)y, want);
    }
}

static void test_tanh_accuracy(void **state) {
    (void)state;
    for_all_floats(check_tanh);
    float x[] = {INFINITY, -INFINITY, 30.0f, 3e38f};
    scalar()->soft_cap(x, 30.0f, 4);
    assert_true(x[0] == 30.0f && x[1] == -30.0f && x[3] == 30.0f);
    assert_true(fabs((double)x[2] - 30.0 * tanh(1.0)) < 30 * 1e-6);
}

/* The first element is the maximum, 0: exp(0) is exactly 1, so that x[1] / x[0] is exp(x[1]) with one rounding more. */
static void check_exp(float x) {
    float row[] = {0.0f, -fabsf(x)};
    scalar()->softmax(row, 2);
    if (isnan(x)) {
        assert_true(isnan(row[0]) && isnan(row[1]));
        return;
    }
    double want = exp(-fabs((double)x));
    double got = (double)row[1] / (double)row[0];
    double bound = want * (2e-7 + 1.2e-7 + 1e-7 * fabs((double)x));
    if (want < 0x1p-125) {
        bound = 0x1.8p-126;
    }
    if (fabs(got - want) > bound || fabs((double)row[0] + (double)row[1] - 1.0) > 1e-6) {
        fail_msg("exp(%a) = %a, want %a", -fabs((double)x), got, want);
    }
}

static void test_softmax_accuracy(void **state) {
    (void)state;
    check_exp(NAN);
    for (uint32_t bits = 0; bits < 0x7F800000u; bits += 0x1F35u) {
        check_exp(from_bits(bits));
    }
    check_exp(INFINITY);
}

/* Against exp2 in double precision: each weight is off by half a step, the sum by what the polynomial and rounding to units add. */
static void check_block(const float *x, size_t length) {
    enum { MOST = 640, UNITS = GEMLET_WEIGHT_UNITS * 2 * GEMLET_WEIGHT_CENTER };
    int8_t weights[MOST];
    double largest = -INFINITY, sum = 0.0, steps = 0.0;
    memset(weights, 1, sizeof weights);
    gemlet_softmax_block block = scalar()->softmax_block(x, length, weights);
    for (size_t i = 0; i < length; i++) {
        largest = (double)x[i] > largest ? (double)x[i] : largest;
    }
    for (size_t i = 0; i < (length + 15) / 16 * 16; i++) {
        int w = weights[i] + GEMLET_WEIGHT_CENTER;
        double exact = i < length ? exp2((double)x[i] - largest) : 0.0;
        assert_in_range(w, 0, 2 * GEMLET_WEIGHT_CENTER);
        assert_true(fabs(w - exact * (double)(2 * GEMLET_WEIGHT_CENTER)) <= 0.53);
        sum += exact * (double)UNITS;
        steps += w;
    }
    assert_true(length == 0 || (double)block.largest == largest);
    assert_true(fabs((double)block.sum - sum) <= 0.5 * (double)length + 1.2e-4 * sum);
    assert_true(block.rest == block.sum - GEMLET_WEIGHT_UNITS * (int32_t)steps);
}

static void test_softmax_block(void **state) {
    (void)state;
    test_random r = {25};
    for (size_t trial = 0; trial < 200; trial++) {
        size_t length = trial < 40 ? trial : random_range(&r, 1, 600);
        float *x = random_floats(&r, length, trial % 4 == 3 ? FILL_SPECIAL : FILL_NORMAL);
        size_t padded = (length + 15) / 16 * 16;
        int8_t *want = guarded_alloc(padded, 0);
        gemlet_softmax_block block = scalar()->softmax_block(x, length, want);
        for (gemlet_level level = GEMLET_LEVEL_NEON; level <= test_highest_level(); level++) {
            int8_t *got = guarded_alloc(padded, 0);
            gemlet_softmax_block found = gemlet_kernels_for(level).real->softmax_block(x, length, got);
            assert_memory_equal(got, want, padded);
            assert_true(same_float(found.largest, block.largest) && found.sum == block.sum && found.rest == block.rest);
            guarded_free(got);
        }
        if (trial % 4 != 3) {
            check_block(x, length);
        }
        guarded_free(want);
        guarded_free(x);
    }
    int8_t weights[16];
    gemlet_softmax_block block = scalar()->softmax_block((const float[]){-INFINITY, -INFINITY, NAN}, 3, weights);
    assert_true(block.largest == 0.0f && block.sum == 0 && block.rest == 0);
    assert_true(weights[0] == -GEMLET_WEIGHT_CENTER && weights[2] == -GEMLET_WEIGHT_CENTER);
    block = scalar()->softmax_block((const float[]){-INFINITY, 5.0f, NAN}, 3, weights);
    assert_true(block.largest == 5.0f && block.sum == GEMLET_WEIGHT_UNITS * 2 * GEMLET_WEIGHT_CENTER && block.rest == 0);
    assert_true(weights[0] == -GEMLET_WEIGHT_CENTER && weights[1] == GEMLET_WEIGHT_CENTER && weights[2] == -GEMLET_WEIGHT_CENTER);
}

static void test_softmax_masks(void **state) {
    (void)state;
    for (gemlet_level level = GEMLET_LEVEL_SCALAR; level <= test_highest_level(); level++) {
        const gemlet_real_kernels *kernels = gemlet_kernels_for(level).real;
        for (size_t length = 1; length < 70; length++) {
            float x[70];
            for (size_t i = 0; i < length; i++) {
                x[i] = -INFINITY;
            }
            kernels->softmax(x, length);
            for (size_t i = 0; i < length; i++) {
                assert_true(x[i] == 0.0f);
                x[i] = -INFINITY;
            }
            x[length / 2] = -3e38f;
            kernels->softmax(x, length);
            for (size_t i = 0; i < length; i++) {
                assert_true(x[i] == (i == length / 2 ? 1.0f : 0.0f));
                x[i] = i % 2 ? 3.4e38f : -3.4e38f;
            }
            kernels->softmax(x, length);
            double sum = 0.0;
            for (size_t i = 0; i < length; i++) {
                assert_true(x[i] >= 0.0f && x[i] <= 1.0f);
                sum += (double)x[i];
                x[i] = 0.5f;
            }
            assert_true(fabs(sum - 1.0) < 1e-6 * (double)length);
            x[length - 1] = INFINITY;
            kernels->softmax(x, length);
            assert_true(isnan(x[0]) && isnan(x[length - 1]));
        }
    }
}

static void test_layer_norm_accuracy(void **state) {
    (void)state;
    test_random r = {26};
    for (size_t length = 1; length < 3000; length += 1 + length / 2) {
        float *x = random_floats(&r, length, FILL_NORMAL), *weight = random_floats(&r, length, FILL_NORMAL);
        float *bias = random_floats(&r, length, FILL_NORMAL), *y = guarded_alloc(length * sizeof *y, 0);
        double sum = 0.0, squares = 0.0;
        for (size_t i = 0; i < length; i++) {
            x[i] += 3.0f; /* a mean that matters */
            sum += (double)x[i];
        }
        for (size_t i = 0; i < length; i++) {
            double about = (double)x[i] - sum / (double)length;
            squares += about * about;
        }
        scalar()->layer_norm(x, weight, bias, 1e-6f, length, y);
        for (size_t i = 0; i < length && length > 1; i++) {
            double normed = ((double)x[i] - sum / (double)length) / sqrt(squares / (double)length + 1e-6);
            assert_true(fabs((double)y[i] - (normed * (double)weight[i] + (double)bias[i])) <= 1e-5);
        }
        guarded_free(y);
        guarded_free(bias);
        guarded_free(weight);
        guarded_free(x);
    }
}

static void test_rms_norm_accuracy(void **state) {
    (void)state;
    test_random r = {24};
    for (size_t length = 1; length < 3000; length += 1 + length / 2) {
        float *x = random_floats(&r, length, FILL_NORMAL);
        float *weight = random_floats(&r, length, FILL_NORMAL);
        float *y = guarded_alloc(length * sizeof *y, 0);
        double sum = 0.0;
        for (size_t i = 0; i < length; i++) {
            sum += (double)x[i] * (double)x[i];
        }
        scalar()->rms_norm(x, weight, 1e-6f, length, y);
        for (size_t i = 0; i < length; i++) {
            double want = (double)x[i] * (double)weight[i] / sqrt(sum / (double)length + 1e-6);
            assert_true(fabs((double)y[i] - want) <= 4e-7 * fabs(want));
        }
        guarded_free(y);
        guarded_free(weight);
        guarded_free(x);
    }
    float zeros[5] = {0};
    scalar()->rms_norm(zeros, NULL, 1e-6f, 5, zeros);
    assert_true(zeros[0] == 0.0f && scalar()->mean_square(NULL, 0) == 0.0f);
}

/* ---- RoPE ---- */

static void test_rope_table(void **state) {
    (void)state;
    const size_t positions[] = {0, 1, 2, 511, 4095, 32767, 32768, 131071, 4194304};
    const double thetas[] = {1e4, 1e6};
    double turns[128];
    float cosine[128], sine[128];
    for (size_t t = 0; t < 4; t++) {
        double factor = t / 2 ? 0.125 : 1.0;
        gemlet_rope_frequencies(thetas[t % 2], factor, 256, turns);
        for (size_t p = 0; p < sizeof positions / sizeof *positions; p++) {
            gemlet_rope_table(turns, 128, positions[p], cosine, sine);
            for (size_t i = 0; i < 128; i++) {
                double angle = (double)positions[p] * factor * pow(thetas[t % 2], -(double)i / 128.0);
                assert_true(fabs((double)cosine[i] - cos(angle)) < 1e-7);
                assert_true(fabs((double)sine[i] - sin(angle)) < 1e-7);
            }
        }
    }
}

/* Files may have any positive base and factor: turns that no integer holds are whole ones. */
static void test_rope_table_far_out(void **state) {
    (void)state;
    static const double thetas[] = {1e-30, 1.401298464324817e-45, 3.4e38}, factors[] = {1.0, 1e30, 7.1e44};
    static const float turned[] = {1.0f, 0.0f, -1.0f, 0.0f};
    double turns[128];
    float cosine[128], sine[128];
    for (size_t t = 0; t < 9; t++) {
        gemlet_rope_frequencies(thetas[t / 3], factors[t % 3], 256, turns);
        for (size_t position = 1; position <= 4194304; position *= 2) {
            gemlet_rope_table(turns, 128, position, cosine, sine);
            for (size_t i = 0; i < 128; i++) {
                double quarters = 4.0 * ((double)position * turns[i]);
                size_t rest = (size_t)fmod(quarters, 4.0);
                bool far_out = quarters >= 0x1p53;
                assert_true(far_out ? cosine[i] == turned[rest] && sine[i] == turned[(rest + 3) % 4]
                                    : fabs((double)cosine[i] * (double)cosine[i] + (double)sine[i] * (double)sine[i] - 1.0) < 3e-7);
            }
        }
    }
}

/* A rotation keeps lengths, and products depend on the distance of two positions only. */
static void test_rope_rotates(void **state) {
    (void)state;
    enum { HEAD = 64 };
    double turns[HEAD / 2];
    float cosine[HEAD / 2], sine[HEAD / 2];
    double products[2] = {0};
    gemlet_rope_frequencies(1e4, 1.0, HEAD, turns);
    for (size_t shift = 0; shift < 2; shift++) {
        test_random r = {25};
        float q[HEAD], k[HEAD];
        for (size_t i = 0; i < HEAD; i++) {
            q[i] = random_normal(&r);
            k[i] = random_normal(&r);
        }
        gemlet_rope_table(turns, HEAD / 2, 100 + shift * 3000, cosine, sine);
        scalar()->rope(q, cosine, sine, HEAD);
        gemlet_rope_table(turns, HEAD / 2, 93 + shift * 3000, cosine, sine);
        scalar()->rope(k, cosine, sine, HEAD);
        for (size_t i = 0; i < HEAD; i++) {
            products[shift] += (double)q[i] * (double)k[i];
        }
    }
    assert_true(fabs(products[0] - products[1]) < 2e-5);
    float x[] = {1.0f, 0.0f};
    scalar()->rope(x, (const float[]){0.6f}, (const float[]){0.8f}, 2);
    assert_true(x[0] == 0.6f && x[1] == 0.8f);
}

/* ---- rows ---- */

typedef struct rows_case {
    gemlet_rows rows;
    void *data;
    float *scale;
    float *x;      /* vectors for dot */
    float *weight; /* for mix */
    float *y;      /* for mix: what is there before */
    size_t count, x_stride, weight_stride, dot_stride, mix_stride;
} rows_case;

static rows_case make_rows_case(test_random *r, gemlet_row_type type, fill how) {
    size_t element = type == GEMLET_ROW_F32 ? 4 : type == GEMLET_ROW_F16 ? 2 : 1;
    rows_case c = {.count = random_range(r, 1, 9)};
    size_t rows = random_range(r, 0, 11);
    size_t length = random_range(r, 0, 70);
    size_t stride = length + random_range(r, 0, 2);
    size_t elements = rows == 0 ? 0 : (rows - 1) * stride + length;
    c.data = guarded_alloc(elements * element, element * random_range(r, 0, 3));
    random_bytes(r, c.data, elements * element);
    for (size_t i = 0; i < elements && type != GEMLET_ROW_S8; i++) {
        float x = random_value(r, how);
        uint16_t half = gemlet_float_to_half(how == FILL_WIDE ? 1e-6f * random_normal(r) : x);
        memcpy((char *)c.data + i * element, type == GEMLET_ROW_F32 ? (void *)&x : (void *)&half, element);
    }
    c.scale = random_floats(r, rows, FILL_NORMAL);
    c.rows = (gemlet_rows){c.data, type == GEMLET_ROW_S8 ? c.scale : NULL, rows, length, stride, type};
    c.x_stride = length + random_range(r, 0, 3);
    c.weight_stride = c.dot_stride = rows + random_range(r, 0, 3);
    c.mix_stride = length + random_range(r, 0, 3);
    c.x = random_floats(r, (c.count - 1) * c.x_stride + length, how);
    c.weight = random_floats(r, (c.count - 1) * c.weight_stride + rows, how);
    c.y = random_floats(r, (c.count - 1) * c.mix_stride + length, how);
    return c;
}

static void free_rows_case(rows_case *c) {
    guarded_free(c->data);
    guarded_free(c->scale);
    guarded_free(c->x);
    guarded_free(c->weight);
    guarded_free(c->y);
}

static float *run_dot(const gemlet_real_kernels *kernels, const rows_case *c) {
    size_t floats = (c->count - 1) * c->dot_stride + c->rows.count;
    float *y = guarded_alloc(floats * sizeof *y, 4);
    for (size_t i = 0; i < floats; i++) {
        y[i] = -77.0f;
    }
    kernels->dot(&c->rows, c->x, c->x_stride, c->count, y, c->dot_stride);
    return y;
}

static float *run_mix(const gemlet_real_kernels *kernels, const rows_case *c) {
    float *y = copy_floats(c->y, (c->count - 1) * c->mix_stride + c->rows.length);
    kernels->mix(&c->rows, c->weight, c->weight_stride, c->count, y, c->mix_stride);
    return y;
}

static void test_rows_same_at_every_level(void **state) {
    (void)state;
    test_random r = {26};
    for (size_t trial = 0; trial < 600; trial++) {
        rows_case c = make_rows_case(&r, (gemlet_row_type)(trial % 3), (fill)(trial / 3 % FILLS));
        float *want_dot = run_dot(scalar(), &c);
        float *want_mix = run_mix(scalar(), &c);
        for (gemlet_level level = GEMLET_LEVEL_NEON; level <= test_highest_level(); level++) {
            float *got_dot = run_dot(gemlet_kernels_for(level).real, &c);
            float *got_mix = run_mix(gemlet_kernels_for(level).real, &c);
            assert_same_floats("dot", got_dot, want_dot, (c.count - 1) * c.dot_stride + c.rows.count);
            assert_same_floats("mix", got_mix, want_mix, (c.count - 1) * c.mix_stride + c.rows.length);
            guarded_free(got_dot);
            guarded_free(got_mix);
        }
        guarded_free(want_dot);
        guarded_free(want_mix);
        free_rows_case(&c);
    }
}

static void test_rows_accuracy(void **state) {
    (void)state;
    enum { LENGTH = 256, COUNT = 3 };
    test_random r = {27};
    int8_t data[COUNT * LENGTH];
    float x[LENGTH], scale[COUNT] = {0.5f, 0.25f, 3.0f}, y[COUNT], mixed[LENGTH] = {0};
    random_bytes(&r, data, sizeof data);
    for (size_t i = 0; i < LENGTH; i++) {
        x[i] = random_normal(&r);
    }
    gemlet_rows rows = {data, scale, COUNT, LENGTH, LENGTH, GEMLET_ROW_S8};
    scalar()->dot(&rows, x, LENGTH, 1, y, COUNT);
    scalar()->mix(&rows, y, COUNT, 1, mixed, LENGTH);
    double want_mixed = 0.0;
    for (size_t row = 0; row < COUNT; row++) {
        double want = 0.0, size = 0.0;
        for (size_t i = 0; i < LENGTH; i++) {
            double term = (double)x[i] * data[row * LENGTH + i] * (double)scale[row];
            want += term;
            size += fabs(term);
        }
        assert_true(fabs((double)y[row] - want) < 2e-6 * size);
        want_mixed += (double)y[row] * (double)scale[row] * data[row * LENGTH + 9];
    }
    assert_true(fabs((double)mixed[9] - want_mixed) < 1e-6 * fabs(want_mixed) + 1e-2);
}

/* ---- sparse cut-off ---- */

static void test_select_above_same_at_every_level(void **state) {
    (void)state;
    test_random r = {28};
    for (size_t trial = 0; trial < 300; trial++) {
        size_t length = random_range(&r, 1, 400);
        float *x = random_floats(&r, length, (fill)(trial % FILLS));
        float multiplier = trial % 4 == 0 ? -1.0f : trial % 4 == 1 ? 0.0f : 1.6448536f;
        uint32_t want_list[400], *list = guarded_alloc(length * sizeof *list, 0);
        float want_values[400], *values = guarded_alloc(length * sizeof *values, 4);
        size_t want = scalar()->select_above(x, length, multiplier, want_list, want_values);
        for (gemlet_level level = GEMLET_LEVEL_NEON; level <= test_highest_level(); level++) {
            assert_int_equal(gemlet_kernels_for(level).real->select_above(x, length, multiplier, list, values), want);
            assert_memory_equal(list, want_list, want * sizeof *list);
            assert_same_floats("select_above", values, want_values, want);
        }
        guarded_free(values);
        guarded_free(list);
        guarded_free(x);
    }
}

/* Against the formula in double, with the population's deviation; elements within rounding of the cut-off may fall either side. */
static void test_select_above_accuracy(void **state) {
    (void)state;
    enum { LENGTH = 2048 };
    test_random r = {29};
    float x[LENGTH], values[LENGTH];
    uint32_t list[LENGTH];
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < LENGTH; i++) {
        x[i] = 5.0f + random_normal(&r);
        sum += (double)x[i];
    }
    for (size_t i = 0; i < LENGTH; i++) {
        squares += ((double)x[i] - sum / (double)LENGTH) * ((double)x[i] - sum / (double)LENGTH);
    }
    double cutoff = sum / (double)LENGTH + 1.6448536269514722 * sqrt(squares / (double)LENGTH);
    size_t count = scalar()->select_above(x, LENGTH, 1.6448536f, list, values);
    assert_true(count > LENGTH / 40 && count < LENGTH / 10);
    size_t next = 0;
    for (size_t i = 0; i < LENGTH; i++) {
        double above = (double)x[i] - cutoff;
        if (next < count && list[next] == i) {
            assert_true(above > -1e-5 && fabs((double)values[next] - above) < 1e-5 && values[next] > 0.0f);
            next++;
        } else {
            assert_true(above < 1e-5);
        }
    }
    assert_int_equal(next, count);
    float equal[] = {1.0f, 1.0f, 1.0f};
    assert_int_equal(scalar()->select_above(equal, 3, 1.6448536f, list, values), 0);
}

/* ---- depthwise convolution ---- */

typedef struct picture {
    float *pixels;
    size_t height, width, channels;
} picture;

/* The input rows of output row `row`: each a guarded copy, so that a read outside of a row is noticed by the sanitizer. */
static void take_rows(const picture *p, const gemlet_depthwise *conv, size_t row, float **rows) {
    size_t padding = gemlet_same_padding(p->height, conv->kernel, conv->stride);
    for (size_t k = 0; k < conv->kernel; k++) {
        ptrdiff_t at = (ptrdiff_t)(row * conv->stride + k) - (ptrdiff_t)padding;
        bool inside = at >= 0 && at < (ptrdiff_t)p->height;
        rows[k] = inside ? copy_floats(p->pixels + (size_t)at * p->width * p->channels, p->width * p->channels) : NULL;
    }
}

/* The output in double with padding "same", straight from its meaning. */
static double depthwise_exact(const picture *p, const gemlet_depthwise *conv, size_t row, size_t column, size_t channel,
                              double *size) {
    size_t above = gemlet_same_padding(p->height, conv->kernel, conv->stride);
    size_t left = gemlet_same_padding(p->width, conv->kernel, conv->stride);
    double sum = 0.0;
    *size = 0.0;
    for (size_t i = 0; i < conv->kernel * conv->kernel; i++) {
        ptrdiff_t y = (ptrdiff_t)(row * conv->stride + i / conv->kernel) - (ptrdiff_t)above;
        ptrdiff_t x = (ptrdiff_t)(column * conv->stride + i % conv->kernel) - (ptrdiff_t)left;
        if (y >= 0 && y < (ptrdiff_t)p->height && x >= 0 && x < (ptrdiff_t)p->width) {
            double term = (double)p->pixels[((size_t)y * p->width + (size_t)x) * p->channels + channel] *
                          (double)conv->weights[i * conv->channels + channel];
            sum += term;
            *size += fabs(term);
        }
    }
    return sum;
}

static void check_depthwise_row(const picture *p, const gemlet_depthwise *conv, size_t row) {
    size_t outputs = (p->width + conv->stride - 1) / conv->stride;
    size_t padding = gemlet_same_padding(p->width, conv->kernel, conv->stride);
    float *rows[GEMLET_DEPTHWISE_KERNEL_MAX];
    take_rows(p, conv, row, rows);
    float *want = guarded_alloc(outputs * p->channels * sizeof *want, 0);
    scalar()->depthwise(conv, (const float *const *)rows, p->width, padding, outputs, want);
    for (size_t i = 0; i < outputs * p->channels; i++) {
        double size = 0.0;
        double exact = depthwise_exact(p, conv, row, i / p->channels, i % p->channels, &size);
        assert_true(fabs((double)want[i] - exact) <= 2e-6 * size + 1e-40);
    }
    for (gemlet_level level = GEMLET_LEVEL_NEON; level <= test_highest_level(); level++) {
        float *got = guarded_alloc(outputs * p->channels * sizeof *got, 4);
        gemlet_kernels_for(level).real->depthwise(conv, (const float *const *)rows, p->width, padding, outputs, got);
        assert_same_floats("depthwise", got, want, outputs * p->channels);
        guarded_free(got);
    }
    guarded_free(want);
    for (size_t k = 0; k < conv->kernel; k++) {
        guarded_free(rows[k]);
    }
}

static void test_depthwise(void **state) {
    (void)state;
    test_random r = {30};
    for (size_t trial = 0; trial < 160; trial++) {
        gemlet_depthwise conv = {.channels = random_range(&r, 1, 27), .kernel = trial % 2 ? 5 : 3, .stride = 1 + trial / 2 % 2};
        size_t width = trial % 10 == 9 ? random_range(&r, 60, 210) : random_range(&r, 1, 24);
        picture p = {NULL, random_range(&r, 1, 7), width, conv.channels};
        p.pixels = random_floats(&r, p.height * p.width * p.channels, FILL_NORMAL);
        float *weights = random_floats(&r, conv.kernel * conv.kernel * conv.channels, FILL_NORMAL);
        conv.weights = weights;
        if (trial % 8 == 0) { /* zeros of both signs, and pixels as large as those that half precision cannot hold */
            for (size_t i = 0; i < p.height * p.width * p.channels; i++) {
                p.pixels[i] = random_next(&r) % 2 ? p.pixels[i] * 1e8f : (random_next(&r) % 2 ? 0.0f : -0.0f);
            }
        }
        for (size_t row = 0; row < (p.height + conv.stride - 1) / conv.stride; row++) {
            check_depthwise_row(&p, &conv, row);
        }
        guarded_free(weights);
        guarded_free(p.pixels);
    }
}

static void test_same_padding(void **state) {
    (void)state;
    /* Even lengths at stride 2 have their odd pixel at the end. */
    assert_int_equal(gemlet_same_padding(48, 3, 1), 1);
    assert_int_equal(gemlet_same_padding(48, 5, 1), 2);
    assert_int_equal(gemlet_same_padding(48, 3, 2), 0);
    assert_int_equal(gemlet_same_padding(48, 5, 2), 1);
    assert_int_equal(gemlet_same_padding(47, 3, 2), 1);
    assert_int_equal(gemlet_same_padding(47, 5, 2), 2);
    assert_int_equal(gemlet_same_padding(0, 5, 2), 0);
    assert_int_equal(gemlet_same_padding(48, 1, 2), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_same_at_every_level),
        cmocka_unit_test(test_not_in_place),
        cmocka_unit_test(test_to_half),
        cmocka_unit_test(test_bfloat16_same_at_every_level),
        cmocka_unit_test(test_bfloat16_rounds_to_nearest),
        cmocka_unit_test(test_softmax_block),
        cmocka_unit_test(test_gelu_accuracy),
        cmocka_unit_test(test_sigmoid_accuracy),
        cmocka_unit_test(test_tanh_accuracy),
        cmocka_unit_test(test_softmax_accuracy),
        cmocka_unit_test(test_softmax_masks),
        cmocka_unit_test(test_layer_norm_accuracy),
        cmocka_unit_test(test_rms_norm_accuracy),
        cmocka_unit_test(test_rope_table),
        cmocka_unit_test(test_rope_table_far_out),
        cmocka_unit_test(test_rope_rotates),
        cmocka_unit_test(test_rows_same_at_every_level),
        cmocka_unit_test(test_rows_accuracy),
        cmocka_unit_test(test_select_above_same_at_every_level),
        cmocka_unit_test(test_select_above_accuracy),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_same_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
