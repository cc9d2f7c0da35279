/*
 * number.c -- numbers as Redis reads and prints them.
 *
 * Integers: by hand, two digits a step; they are on every path.
 *
 * Doubles, reading: a plain decimal of at most 15 digits divided by an exact
 * power of ten is correctly rounded by one division (Clinger, 1990); all else
 * goes through strtod().  Printing: the same fact backwards gives the shortest
 * digits of everyday values without printf; the rest tries 15, 16 and 17
 * digits until they read back the same.  The digits are laid out as the
 * library Redis uses (fpconv) lays them out.
 *
 * strtod() and printf() depend on the locale; the program never sets one.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "server/base/memory.h"
#include "server/base/number.h"

#define NUMBER_STACK_SIZE 128  /* bytes of a copy kept on the stack */
#define NUMBER_EXACT_DIGITS 15 /* decimal digits a double always keeps */
#define NUMBER_EXACT_MAX 9007199254740992.0 /* 2^53 */
#define NUMBER_DOUBLE_DIGITS 17 /* digits that tell any two doubles apart */

static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8,
    1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };

static const char pairs[] = "00010203040506070809"
                            "10111213141516171819"
                            "20212223242526272829"
                            "30313233343536373839"
                            "40414243444546474849"
                            "50515253545556575859"
                            "60616263646566676869"
                            "70717273747576777879"
                            "80818283848586878889"
                            "90919293949596979899";

static inline bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

bool
number_parse_u64(struct slice s, uint64_t *value)
{
    uint64_t v = 0;

    if (s.len == 0 || s.len >= NUMBER_I64_SIZE)
        return false;
    if (s.data[0] == '0' && s.len > 1)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.data[i]))
            return false;
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.data[i] - '0'), &v))
            return false;
    }
    *value = v;
    return true;
}

bool
number_parse_i64(struct slice s, int64_t *value)
{
    bool is_negative = s.len > 0 && s.data[0] == '-';
    uint64_t v;

    if (is_negative)
        s = slice_make(s.data + 1, s.len - 1);
    if (!number_parse_u64(s, &v))
        return false;
    if (!is_negative) {
        if (v > INT64_MAX)
            return false;
        *value = (int64_t)v;
        return true;
    }
    if (v == 0 || v > (uint64_t)INT64_MAX + 1)
        return false;
    *value = (int64_t)(0 - v);
    return true;
}

/* Read [-]digits[.digits] of at most 15 digits; false: take the slow path. */
static bool
parse_plain(struct slice s, double *value)
{
    const char *at = s.data;
    const char *end = s.data + s.len;
    bool is_negative = false;
    int64_t digits = 0;
    int seen = 0;
    int after_point = -1; /* digits after it; -1: no point yet */

    if (s.len > NUMBER_EXACT_DIGITS + 2 || s.len == 0)
        return false;
    if (*at == '-') {
        is_negative = true;
        at++;
    }
    for (; at < end; at++) {
        if (*at == '.' && after_point < 0) {
            after_point = 0;
            continue;
        }
        if (!is_digit(*at))
            return false;
        digits = digits * 10 + (*at - '0');
        seen++;
        if (after_point >= 0)
            after_point++;
    }
    if (seen == 0 || seen > NUMBER_EXACT_DIGITS)
        return false;
    double v = (double)digits;
    if (after_point > 0)
        v /= powers[after_point];
    *value = is_negative ? -v : v;
    return true;
}

/* A NUL-terminated copy of s, in stack if it fits; NULL: refused. */
static char *
copy_text(struct slice s, char stack[NUMBER_STACK_SIZE])
{
    char *text = stack;

    if (s.len >= NUMBER_STACK_SIZE)
        text = memory_try_alloc(s.len + 1);
    if (text == NULL)
        return NULL;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    return text;
}

bool
number_parse_double(struct slice s, double *value)
{
    char stack[NUMBER_STACK_SIZE];
    char *end;

    if (parse_plain(s, value))
        return true;
    if (s.len == 0 || isspace((unsigned char)s.data[0]))
        return false;
    char *text = copy_text(s, stack);
    if (text == NULL)
        return false;
    errno = 0;
    double v = strtod(text, &end);
    bool is_whole = (size_t)(end - text) == s.len;
    /* A denormal is ERANGE too, but its value is right. */
    bool is_out = errno == ERANGE && (isinf(v) || v == 0);
    if (text != stack)
        memory_free(text);
    if (!is_whole || is_out || isnan(v))
        return false;
    *value = v;
    return true;
}

bool
number_parse_long_double(struct slice s, long double *value)
{
    char stack[NUMBER_STACK_SIZE];
    char *end;

    if (s.len == 0 || s.len >= NUMBER_LONG_DOUBLE_SIZE ||
        isspace((unsigned char)s.data[0]))
        return false;
    char *text = copy_text(s, stack);
    if (text == NULL)
        return false;
    errno = 0;
    long double v = strtold(text, &end);
    bool is_whole = (size_t)(end - text) == s.len;
    bool is_out = errno == ERANGE && (isinf(v) || v == 0);
    if (text != stack)
        memory_free(text);
    if (!is_whole || is_out || isnan(v))
        return false;
    *value = v;
    return true;
}

static size_t
count_digits(uint64_t value)
{
    size_t digits = 1;

    while (value >= 10000) {
        value /= 10000;
        digits += 4;
    }
    return digits + (value >= 10) + (value >= 100) + (value >= 1000);
}

static size_t
format_u64(char *text, uint64_t value)
{
    size_t len = count_digits(value);
    char *at = text + len;

    while (value >= 100) {
        at -= 2;
        memcpy(at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10)
        memcpy(at - 2, pairs + value * 2, 2);
    else
        at[-1] = (char)('0' + value);
    return len;
}

size_t
number_format_i64(char *text, int64_t value)
{
    if (value >= 0)
        return format_u64(text, (uint64_t)value);
    text[0] = '-';
    return 1 + format_u64(text + 1, 0 - (uint64_t)value);
}

/* Decimal digits of a number and where its point is: 0.digits * 10^point. */
struct decimal {
    char digits[NUMBER_DOUBLE_DIGITS + 1];
    int count;
    int exponent; /* of ten, of the last digit */
};

/* Everyday values: n / 10^k with n below 2^53.  value is positive. */
static bool
find_short_digits(double value, struct decimal *decimal)
{
    for (int k = 1; k <= NUMBER_EXACT_DIGITS; k++) {
        double n = nearbyint(value * powers[k]);
        if (n >= NUMBER_EXACT_MAX)
            return false;
        if (n / powers[k] != value)
            continue;
        decimal->count = (int)format_u64(decimal->digits, (uint64_t)n);
        decimal->exponent = -k;
        return true;
    }
    return false;
}

/* Any positive value, by printf and strtod. */
static void
find_digits(double value, struct decimal *decimal)
{
    char text[NUMBER_DOUBLE_SIZE];
    /* Denormals have fewer digits than any other double. */
    int digits = value < 2.2250738585072014e-308 ? 1 : NUMBER_EXACT_DIGITS;

    for (; digits <= NUMBER_DOUBLE_DIGITS; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value)
            break;
    }
    /* "d.ddddde[+-]xxx" */
    const char *e = strchr(text, 'e');
    decimal->count = 0;
    for (const char *at = text; at < e; at++)
        if (is_digit(*at))
            decimal->digits[decimal->count++] = *at;
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0')
        decimal->count--;
    decimal->exponent = atoi(e + 1) - (decimal->count - 1);
}

/* 1234567e+20 as "1.234567e+26". */
static size_t
lay_out_exponent(char *text, const struct decimal *decimal, int first)
{
    size_t len = 0;

    text[len++] = decimal->digits[0];
    if (decimal->count > 1) {
        size_t rest = (size_t)decimal->count - 1;
        text[len++] = '.';
        memcpy(text + len, decimal->digits + 1, rest);
        len += rest;
    }
    text[len++] = 'e';
    text[len++] = first < 0 ? '-' : '+';
    return len + format_u64(text + len, (uint64_t)abs(first));
}

/* As fpconv: plain if not too long, else with an exponent. */
static size_t
lay_out(char *text, const struct decimal *decimal)
{
    int count = decimal->count;
    int exponent = decimal->exponent;
    int first = exponent + count - 1; /* exponent of the first digit */

    if (exponent >= 0 && abs(first) < count + 7) {
        memcpy(text, decimal->digits, (size_t)count);
        memset(text + count, '0', (size_t)exponent);
        return (size_t)(count + exponent);
    }
    if (exponent >= 0 || (exponent <= -7 && abs(first) >= 4))
        return lay_out_exponent(text, decimal, first);
    int whole = count + exponent; /* digits before the point */
    if (whole > 0) {
        memcpy(text, decimal->digits, (size_t)whole);
        text[whole] = '.';
        memcpy(
            text + whole + 1, decimal->digits + whole, (size_t)(count - whole));
        return (size_t)count + 1;
    }
    memcpy(text, "0.", 2);
    memset(text + 2, '0', (size_t)-whole);
    memcpy(text + 2 - whole, decimal->digits, (size_t)count);
    return (size_t)(2 - whole + count);
}

static size_t
format_special(char *text, const char *word)
{
    size_t len = strlen(word);

    memcpy(text, word, len + 1);
    return len;
}

size_t
number_format_double(char text[NUMBER_DOUBLE_SIZE], double value)
{
    /* Half the range of int64_t, as Redis: there a cast is always safe. */
    static const double integer_max = 4611686018427387904.0;
    struct decimal decimal;
    size_t len = 0;

    if (isnan(value))
        return format_special(text, "nan");
    if (isinf(value))
        return format_special(text, value < 0 ? "-inf" : "inf");
    if (value == 0)
        return format_special(text, signbit(value) ? "-0" : "0");
    if (fabs(value) <= integer_max && value == (double)(int64_t)value) {
        len = number_format_i64(text, (int64_t)value);
        text[len] = '\0';
        return len;
    }
    if (value < 0)
        text[len++] = '-';
    value = fabs(value);
    if (!find_short_digits(value, &decimal))
        find_digits(value, &decimal);
    len += lay_out(text + len, &decimal);
    text[len] = '\0';
    return len;
}

size_t
number_format_long_double(char text[NUMBER_LONG_DOUBLE_SIZE], long double value)
{
    if (isnan(value))
        return format_special(text, "nan");
    if (isinf(value))
        return format_special(text, value < 0 ? "-inf" : "inf");
    size_t len =
        (size_t)snprintf(text, NUMBER_LONG_DOUBLE_SIZE, "%.17Lf", value);
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    text[len] = '\0';
    if (strcmp(text, "-0") == 0)
        return format_special(text, "0");
    return len;
}

static const struct {
    const char *name;
    uint64_t bytes;
} units[] = {
    { "", 1 },
    { "b", 1 },
    { "k", 1000 },
    { "kb", 1024 },
    { "m", 1000 * 1000 },
    { "mb", 1024 * 1024 },
    { "g", 1000 * 1000 * 1000 },
    { "gb", 1024 * 1024 * 1024 },
};

bool
number_parse_memory(struct slice s, uint64_t *bytes)
{
    uint64_t v = 0;
    size_t at = 0;

    for (; at < s.len && is_digit(s.data[at]); at++) {
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.data[at] - '0'), &v))
            return false;
    }
    if (at == 0)
        return false;
    struct slice unit = slice_make(s.data + at, s.len - at);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (slice_is(unit, units[i].name))
            return !__builtin_mul_overflow(v, units[i].bytes, bytes);
    }
    return false;
}
