/*
 * fuzz_parser.c -- requests in pieces mean what they mean at once.
 *
 * The first byte chooses limits and how the rest is cut.  One parser sees the
 * whole input, another sees it grow piece by piece, each time in a fresh
 * allocation so that a slice kept too long is found by ASan.  Both must agree
 * on every request, on the bytes it took, and on the error that ends it.
 */
#include <stdint.h>
#include <stdlib.h>

#include "server/base/check.h"
#include "resp/parser.h"

#define FUZZ_PIECE_MAX 61 /* bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
set_limits(struct parser *parser, uint8_t choice)
{
    parser_init(parser);
    parser->is_unauthenticated = (choice & 1) != 0;
    if (choice & 2)
        parser->bulk_size_max = 64;
}

/* Read one request from input as it grows by piece bytes at a time. */
static enum parser_result
read_in_pieces(
    struct parser *parser, struct slice input, size_t piece, char **copy)
{
    enum parser_result result = PARSER_INCOMPLETE;

    for (size_t len = 0; len < input.len && result == PARSER_INCOMPLETE;) {
        len += piece;
        if (len > input.len)
            len = input.len;
        free(*copy);
        *copy = malloc(len);
        CHECK(*copy != NULL);
        memcpy(*copy, input.data, len);
        result = parser_read(parser, slice_make(*copy, len));
    }
    return result;
}

static void
compare(const struct parser *whole, const struct parser *pieces,
    enum parser_result result)
{
    if (result == PARSER_ERROR)
        CHECK(strcmp(whole->error, pieces->error) == 0);
    if (result == PARSER_INCOMPLETE)
        CHECK(whole->wanted == pieces->wanted);
    if (result != PARSER_REQUEST)
        return;
    CHECK(whole->consumed == pieces->consumed);
    CHECK(whole->argc == pieces->argc);
    for (size_t i = 0; i < whole->argc; i++)
        CHECK(slice_equal(whole->argv[i], pieces->argv[i]));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parser whole;
    struct parser pieces;
    char *copy = NULL;

    if (size == 0)
        return 0;
    set_limits(&whole, data[0]);
    set_limits(&pieces, data[0]);
    size_t piece = data[0] / 4 % FUZZ_PIECE_MAX + 1;
    struct slice input = slice_make(data + 1, size - 1);
    while (input.len > 0) {
        enum parser_result result = parser_read(&whole, input);
        CHECK(read_in_pieces(&pieces, input, piece, &copy) == result);
        compare(&whole, &pieces, result);
        if (result != PARSER_REQUEST)
            break;
        CHECK(whole.consumed > 0 && whole.consumed <= input.len);
        input =
            slice_make(input.data + whole.consumed, input.len - whole.consumed);
    }
    free(copy);
    parser_fini(&whole);
    parser_fini(&pieces);
    return 0;
}
