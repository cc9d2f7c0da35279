/*
 * parser.c -- bytes in, arguments out.
 *
 * A request is read in one pass over the input, however many pieces it comes
 * in: at says how far it was read, parts what was found.  Parts are offsets
 * until the request is whole, because the caller's buffer may move meanwhile;
 * then they become slices in argv.  Memory grows with the arguments that
 * arrived, never with the number a header promises.
 *
 *      *3\r\n $3\r\n SET\r\n $1\r\n k\r\n $1\r\n v\r\n
 *      header line   bulk
 *
 * What is refused, and in which order, follows Redis's networking.c, as do
 * its leniencies: a line ends at the first CR and one more byte, whatever
 * that is, and the two bytes behind a bulk string are not looked at.  One
 * thing is stricter: a header line with no CR in its first 64 KiB is refused
 * no matter how the bytes were cut into reads.
 */
#include <ctype.h>

#include "server/base/memory.h"
#include "server/base/number.h"
#include "resp/parser.h"

#define PARSER_ARGV_SIZE_MIN 8   /* arguments allocated for at first */
#define PARSER_SCRATCH_KEEP 4096 /* bytes kept between inline requests */

struct parser_part {
    size_t offset;
    size_t len;
};

/* A line of the input: is it all there? */
enum line { LINE_WHOLE, LINE_INCOMPLETE, LINE_TOO_LONG };

void
parser_init(struct parser *parser)
{
    *parser = (struct parser){
        .bulk_size_max = 512 * 1024 * 1024,
        .parts_expected = -1,
        .bulk_len = -1,
    };
}

void
parser_fini(struct parser *parser)
{
    memory_free(parser->argv);
    memory_free(parser->parts);
    buf_fini(&parser->scratch);
    parser_init(parser);
}

/* The next call begins a new request. */
static void
forget_request(struct parser *parser)
{
    parser->at = 0;
    parser->parts_read = 0;
    parser->parts_expected = -1;
    parser->bulk_len = -1;
    parser->wanted = 0;
}

static enum parser_result
refuse(struct parser *parser, const char *error)
{
    parser->error = error;
    return PARSER_ERROR;
}

static enum parser_result
refuse_byte(struct parser *parser, char byte)
{
    buf_clear(&parser->scratch, PARSER_SCRATCH_KEEP);
    buf_printf(
        &parser->scratch, "Protocol error: expected '$', got '%c'", byte);
    buf_append_byte(&parser->scratch, '\0');
    return refuse(parser, parser->scratch.data);
}

/* Room for one more part, and for argv to hold them all. */
static bool
grow_parts(struct parser *parser)
{
    size_t size = parser->argv_size * 2;

    if (size < PARSER_ARGV_SIZE_MIN)
        size = PARSER_ARGV_SIZE_MIN;
    struct parser_part *parts =
        memory_try_realloc(parser->parts, size * sizeof(*parts));
    if (parts == NULL)
        return false;
    parser->parts = parts;
    struct slice *argv = memory_try_realloc(parser->argv, size * sizeof(*argv));
    if (argv == NULL)
        return false;
    parser->argv = argv;
    parser->argv_size = size;
    return true;
}

/*
 * Find the end of the header line that starts at parser->at: *len is its
 * length without CR LF.
 */
static enum line
find_line(const struct parser *parser, struct slice input, size_t *len)
{
    const char *start = input.data + parser->at;
    size_t left = input.len - parser->at;
    size_t search = left;

    if (search > PARSER_INLINE_SIZE_MAX + 1)
        search = PARSER_INLINE_SIZE_MAX + 1;
    const char *cr = left == 0 ? NULL : memchr(start, '\r', search);
    if (cr == NULL)
        return left > PARSER_INLINE_SIZE_MAX ? LINE_TOO_LONG : LINE_INCOMPLETE;
    *len = (size_t)(cr - start);
    return *len + 2 > left ? LINE_INCOMPLETE : LINE_WHOLE;
}

/*
 * The common header line, "$" or "*" and up to nine digits, read without
 * searching first.  Answer: the line's length with CR LF, 0 if it is any other
 * (number unchanged).
 */
static inline size_t
take_short_header(const char *at, size_t left, char sign, int64_t *number)
{
    int64_t value = 0;
    size_t i = 1;

    if (left < 4 || at[0] != sign || at[1] < '1' || at[1] > '9')
        return 0;
    for (; i < left && i < 10 && at[i] >= '0' && at[i] <= '9'; i++)
        value = value * 10 + (at[i] - '0');
    if (i + 2 > left || at[i] != '\r')
        return 0;
    *number = value;
    return i + 2;
}

/* The "*" line. */
static enum parser_result
read_count(struct parser *parser, struct slice input)
{
    int64_t count;
    size_t len = take_short_header(
        input.data + parser->at, input.len - parser->at, '*', &count);

    if (len == 0) {
        switch (find_line(parser, input, &len)) {
        case LINE_TOO_LONG:
            return refuse(parser, "Protocol error: too big mbulk count string");
        case LINE_INCOMPLETE:
            return PARSER_INCOMPLETE;
        case LINE_WHOLE:
            break;
        }
        struct slice digits = slice_make(input.data + parser->at + 1, len - 1);
        if (!number_parse_i64(digits, &count))
            return refuse(parser, "Protocol error: invalid multibulk length");
        len += 2;
    }
    if (count > PARSER_COUNT_MAX)
        return refuse(parser, "Protocol error: invalid multibulk length");
    if (parser->is_unauthenticated && count > PARSER_COUNT_UNAUTHENTICATED_MAX)
        return refuse(
            parser, "Protocol error: unauthenticated multibulk length");
    parser->parts_expected = count < 0 ? 0 : count;
    parser->at += len;
    return PARSER_REQUEST;
}

/* The "$" line. */
static enum parser_result
read_bulk_len(struct parser *parser, struct slice input)
{
    int64_t bulk_len;
    size_t len = take_short_header(
        input.data + parser->at, input.len - parser->at, '$', &bulk_len);

    if (len == 0) {
        switch (find_line(parser, input, &len)) {
        case LINE_TOO_LONG:
            return refuse(parser, "Protocol error: too big bulk count string");
        case LINE_INCOMPLETE:
            return PARSER_INCOMPLETE;
        case LINE_WHOLE:
            break;
        }
        if (input.data[parser->at] != '$')
            return refuse_byte(parser, input.data[parser->at]);
        struct slice digits = slice_make(input.data + parser->at + 1, len - 1);
        if (!number_parse_i64(digits, &bulk_len) || bulk_len < 0)
            return refuse(parser, "Protocol error: invalid bulk length");
        len += 2;
    }
    if ((uint64_t)bulk_len > parser->bulk_size_max)
        return refuse(parser, "Protocol error: invalid bulk length");
    if (parser->is_unauthenticated &&
        bulk_len > PARSER_BULK_UNAUTHENTICATED_MAX)
        return refuse(parser, "Protocol error: unauthenticated bulk length");
    parser->bulk_len = bulk_len;
    parser->at += len;
    return PARSER_REQUEST;
}

/* One bulk string; PARSER_REQUEST: it became a part. */
static inline enum parser_result
read_bulk(struct parser *parser, struct slice input)
{
    if (parser->bulk_len < 0) {
        enum parser_result result = read_bulk_len(parser, input);
        if (result != PARSER_REQUEST)
            return result;
    }
    size_t left = input.len - parser->at;
    size_t len = (size_t)parser->bulk_len;
    if (left < len + 2) {
        parser->wanted = len + 2 - left;
        return PARSER_INCOMPLETE;
    }
    if (parser->parts_read == parser->argv_size && !grow_parts(parser))
        return refuse(parser, "Protocol error: out of memory for arguments");
    parser->parts[parser->parts_read++] =
        (struct parser_part){ parser->at, len };
    parser->at += len + 2;
    parser->bulk_len = -1;
    parser->wanted = 0;
    return PARSER_REQUEST;
}

/*
 * The common case, kept in registers: bulk strings of ordinary size that are
 * all there.  Stops at the first that is anything else, which read_bulk()
 * then reads from its beginning.
 */
static void
take_whole_bulks(struct parser *parser, struct slice input)
{
    int64_t len_max = (int64_t)parser->bulk_size_max;
    size_t at = parser->at;
    size_t count = parser->parts_read;
    size_t wanted = (size_t)parser->parts_expected;
    int64_t len;

    if (parser->is_unauthenticated && len_max > PARSER_BULK_UNAUTHENTICATED_MAX)
        len_max = PARSER_BULK_UNAUTHENTICATED_MAX;
    if (wanted > parser->argv_size)
        wanted = parser->argv_size;
    while (count < wanted) {
        const char *header = input.data + at;
        size_t left = input.len - at;
        size_t header_len = take_short_header(header, left, '$', &len);
        if (header_len == 0 || len > len_max ||
            left - header_len < (size_t)len + 2)
            break;
        at += header_len;
        parser->parts[count++] = (struct parser_part){ at, (size_t)len };
        at += (size_t)len + 2;
    }
    parser->at = at;
    parser->parts_read = count;
}

static enum parser_result
read_multibulk(struct parser *parser, struct slice input)
{
    if (parser->parts_expected < 0) {
        enum parser_result result = read_count(parser, input);
        if (result != PARSER_REQUEST)
            return result;
    }
    while ((int64_t)parser->parts_read < parser->parts_expected) {
        if (parser->bulk_len < 0) {
            take_whole_bulks(parser, input);
            if ((int64_t)parser->parts_read == parser->parts_expected)
                break;
        }
        enum parser_result result = read_bulk(parser, input);
        if (result != PARSER_REQUEST)
            return result;
    }
    for (size_t i = 0; i < parser->parts_read; i++) {
        const struct parser_part *part = &parser->parts[i];
        parser->argv[i] = slice_make(input.data + part->offset, part->len);
    }
    parser->argc = parser->parts_read;
    parser->consumed = parser->at;
    forget_request(parser);
    return PARSER_REQUEST;
}

/* One line of words; at is how far the newline was looked for. */
static enum parser_result
read_inline(struct parser *parser, struct slice input)
{
    size_t search = input.len;
    size_t argv_size = parser->argv_size;

    if (search > PARSER_INLINE_SIZE_MAX + 1)
        search = PARSER_INLINE_SIZE_MAX + 1;
    const char *end =
        memchr(input.data + parser->at, '\n', search - parser->at);
    if (end == NULL) {
        parser->at = search;
        if (input.len > PARSER_INLINE_SIZE_MAX)
            return refuse(parser, "Protocol error: too big inline request");
        return PARSER_INCOMPLETE;
    }
    struct slice line = slice_make(input.data, (size_t)(end - input.data));
    parser->consumed = line.len + 1;
    if (line.len > 0 && end[-1] == '\r')
        line.len--;
    parser->argc = 0;
    buf_clear(&parser->scratch, PARSER_SCRATCH_KEEP);
    enum status status = parser_split_line(
        line, &parser->scratch, &parser->argv, &parser->argc, &argv_size);
    if (argv_size > parser->argv_size) {
        /* parts and argv have one size. */
        parser->parts =
            memory_realloc(parser->parts, argv_size * sizeof(*parser->parts));
        parser->argv_size = argv_size;
    }
    if (status != STATUS_OK)
        return refuse(parser, "Protocol error: unbalanced quotes in request");
    forget_request(parser);
    return PARSER_REQUEST;
}

enum parser_result
parser_read(struct parser *parser, struct slice input)
{
    if (input.len == 0)
        return PARSER_INCOMPLETE;
    if (input.data[0] == '*')
        return read_multibulk(parser, input);
    return read_inline(parser, input);
}

static int
hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return tolower((unsigned char)digit) - 'a' + 10;
}

static bool
is_blank(char byte)
{
    return isspace((unsigned char)byte) != 0;
}

/* A backslash inside "...", at at; answer: the byte behind the escape. */
static const char *
take_escape(const char *at, const char *end, struct buf *out)
{
    if (end - at >= 4 && at[1] == 'x' && isxdigit((unsigned char)at[2]) &&
        isxdigit((unsigned char)at[3])) {
        buf_append_byte(out, (char)(hex_value(at[2]) * 16 + hex_value(at[3])));
        return at + 4;
    }
    switch (at[1]) {
    case 'n':
        buf_append_byte(out, '\n');
        break;
    case 'r':
        buf_append_byte(out, '\r');
        break;
    case 't':
        buf_append_byte(out, '\t');
        break;
    case 'b':
        buf_append_byte(out, '\b');
        break;
    case 'a':
        buf_append_byte(out, '\a');
        break;
    default:
        buf_append_byte(out, at[1]);
        break;
    }
    return at + 2;
}

/*
 * A quoted stretch, from behind its opening quote.  Answer: behind the closing
 * quote, which a blank or the end must follow; NULL if it is not so.
 */
static const char *
take_quoted(const char *at, const char *end, char quote, struct buf *out)
{
    while (at < end && *at != quote) {
        if (*at == '\\' && end - at >= 2 && quote == '"') {
            at = take_escape(at, end, out);
        } else if (*at == '\\' && end - at >= 2 && at[1] == '\'') {
            buf_append_byte(out, '\'');
            at += 2;
        } else {
            buf_append_byte(out, *at++);
        }
    }
    if (at == end)
        return NULL;
    at++;
    return at == end || is_blank(*at) ? at : NULL;
}

static bool
ends_word(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* One word at at, which is not blank.  Answer: behind it; NULL: unbalanced. */
static const char *
take_word(
    const char *at, const char *end, struct buf *scratch, struct slice *word)
{
    const char *start = at;

    while (at < end && !ends_word(*at) && *at != '"' && *at != '\'')
        at++;
    if (at == end || ends_word(*at)) {
        *word = slice_make(start, (size_t)(at - start));
        return at;
    }
    /* A quote: what stands before it belongs to the same word. */
    size_t offset = scratch->len;
    buf_append(scratch, start, (size_t)(at - start));
    at = take_quoted(at + 1, end, *at, scratch);
    *word = slice_make(scratch->data + offset, scratch->len - offset);
    return at;
}

enum status
parser_split_line(struct slice line, struct buf *scratch, struct slice **argv,
    size_t *argc, size_t *argv_size)
{
    const char *at = line.data;
    const char *end = line.data + line.len;
    const char *nul = line.len == 0 ? NULL : memchr(at, '\0', line.len);

    /* Redis takes the line for a C string. */
    if (nul != NULL)
        end = nul;
    /* Unquoting never makes longer, so scratch does not move from here on. */
    buf_reserve(scratch, line.len);
    for (;;) {
        while (at < end && is_blank(*at))
            at++;
        if (at == end)
            return STATUS_OK;
        if (*argc == *argv_size) {
            *argv_size =
                *argv_size == 0 ? PARSER_ARGV_SIZE_MIN : *argv_size * 2;
            *argv = memory_realloc(*argv, *argv_size * sizeof(**argv));
        }
        at = take_word(at, end, scratch, &(*argv)[*argc]);
        if (at == NULL)
            return STATUS_INVALID;
        (*argc)++;
    }
}
