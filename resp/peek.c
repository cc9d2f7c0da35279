/*
 * peek.c -- what requests further on in the input are about.
 */
#include "resp/peek.h"

#include <stdbool.h>

#define NUMBER_DIGITS_MAX 9 /* of a count or a length that is followed */
#define ARGUMENTS_MAX 32    /* skipping more costs more than a hint is worth */

/* Take "<sign><digits>\r\n" from the front of input. */
static bool
take_number(struct slice *input, char sign, size_t *number)
{
    size_t value = 0, at = 1;

    if (input->len < 4 || input->data[0] != sign)
        return false;
    while (at < input->len && at <= NUMBER_DIGITS_MAX &&
           input->data[at] >= '0' && input->data[at] <= '9')
        value = 10 * value + (size_t)(input->data[at++] - '0');
    if (at == 1 || at + 2 > input->len || input->data[at] != '\r')
        return false;
    *input = slice_make(input->data + at + 2, input->len - at - 2);
    *number = value;
    return true;
}

/* Take "$<len>\r\n<len bytes>\r\n". */
static bool
take_bulk(struct slice *input, struct slice *bulk)
{
    size_t len;

    if (!take_number(input, '$', &len) || input->len < len + 2)
        return false;
    *bulk = slice_make(input->data, len);
    *input = slice_make(input->data + len + 2, input->len - len - 2);
    return true;
}

static bool
take_request(struct slice *input, struct slice *key)
{
    struct slice rest = *input, bulk;
    size_t count;

    if (!take_number(&rest, '*', &count) || count < 2 || count > ARGUMENTS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!take_bulk(&rest, &bulk))
            return false;
        if (i == 1)
            *key = bulk;
    }
    *input = rest;
    return true;
}

size_t
peek_keys(
    struct slice input, struct slice *keys, size_t count_max, size_t *used)
{
    struct slice rest = input;
    size_t count = 0;

    while (count < count_max && take_request(&rest, &keys[count]))
        count++;
    *used = input.len - rest.len;
    return count;
}
