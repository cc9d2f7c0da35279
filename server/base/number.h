/*
 * number.h -- numbers as Redis reads and prints them.
 */
#ifndef WALDEN_BASE_NUMBER_H
#define WALDEN_BASE_NUMBER_H

#include "server/base/slice.h"

#include <stdint.h>

#define NUMBER_I64_SIZE 21           /* digits, sign; no NUL */
#define NUMBER_DOUBLE_SIZE 40        /* any double, with a NUL */
#define NUMBER_LONG_DOUBLE_SIZE 5120 /* "%.17Lf" of any long double, NUL */

/*
 * The whole of s as a canonical decimal: no blanks, no "+", no leading zeros,
 * no "-0" (Redis's string2ll).  A string that passes is printed back the same.
 */
bool number_parse_i64(struct slice s, int64_t *value);
bool number_parse_u64(struct slice s, uint64_t *value);

/* Finite or infinite, never NaN, the whole of s; no leading blanks; as */
/* strtod otherwise (hex too), like Redis 7. */
bool number_parse_double(struct slice s, double *value);
bool number_parse_long_double(struct slice s, long double *value);

/* Answer: bytes written, no NUL.  text has NUMBER_I64_SIZE bytes. */
size_t number_format_i64(char *text, int64_t value);

/*
 * The shortest digits that read back the same, in Redis 7.2's form ("3",
 * "5.67", "1e+21", "inf", "-inf", "nan").  NUL-terminated.
 */
size_t number_format_double(char text[NUMBER_DOUBLE_SIZE], double value);

/* "%.17Lf" without trailing zeros: INCRBYFLOAT's "human" form; NUL. */
size_t number_format_long_double(
    char text[NUMBER_LONG_DOUBLE_SIZE], long double value);

/* Redis's memory units: "1k" = 1000, "1kb" = 1024, m, mb, g, gb, b. */
bool number_parse_memory(struct slice s, uint64_t *bytes);

#endif
