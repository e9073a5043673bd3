/* Bounds of numbers, as whole units. */
#include "model/grammar/schema.h"

#define MOST_UNITS INT64_C(999999999999999999)

typedef struct decimal {
    int64_t digits;
    long exponent;
    bool negative, cut; /* digits that are not 0 were left out */
} decimal;

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static void add_digit(decimal *d, char digit, bool behind_point) {
    if (d->digits <= MOST_UNITS / 10) {
        d->digits = d->digits * 10 + (digit - '0');
        d->exponent -= behind_point;
    } else {
        d->cut = d->cut || digit != '0';
        d->exponent += !behind_point;
    }
}

static long read_exponent(const char *at, const char *end) {
    bool negative = *at == '-';
    long exponent = 0;
    for (at += negative || *at == '+'; at < end; at++) {
        exponent = exponent < 10000 ? exponent * 10 + (*at - '0') : exponent;
    }
    return negative ? -exponent : exponent;
}

static decimal read_decimal(gemlet_json number) {
    decimal d = {.negative = *number.text == '-'};
    bool behind_point = false;
    for (const char *at = number.text + d.negative; at < number.end; at++) {
        if (is_digit(*at)) {
            add_digit(&d, *at, behind_point);
        } else if (*at == '.') {
            behind_point = true;
        } else {
            d.exponent += read_exponent(at + 1, number.end);
            break;
        }
    }
    return d;
}

int64_t gemlet_read_units(gemlet_json number, unsigned fraction, bool up, bool *rounded) {
    decimal d = read_decimal(number);
    long exponent = d.exponent + (long)fraction;
    for (; exponent > 0 && d.digits != 0 && d.digits <= MOST_UNITS; exponent--) {
        d.digits = d.digits <= MOST_UNITS / 10 ? d.digits * 10 : MOST_UNITS + 1;
    }
    for (; exponent < 0 && d.digits != 0; exponent++) {
        d.cut = d.cut || d.digits % 10 != 0;
        d.digits /= 10;
    }
    d.digits += d.cut && up != d.negative;
    *rounded = d.cut;
    return d.negative ? -d.digits : d.digits;
}
