/*
 * parser.h -- requests: RESP arrays of bulk strings, and inline commands.
 *
 * Pure: bytes in, arguments out.  Incremental: it remembers how far it came,
 * so that a request that arrives in a thousand pieces is read once.  Nothing
 * is copied and nothing is allocated per argument: arguments are slices of the
 * input.  (Inline commands with quotes or escapes are unquoted in a small
 * buffer of the parser's own.)
 *
 * Errors are worded as Redis 7.2 words them ("Protocol error: invalid
 * multibulk length", ...); after one the connection is closed.
 */
#ifndef WALDEN_RESP_PARSER_H
#define WALDEN_RESP_PARSER_H

#include "server/base/buf.h"

/* Limits. */
#define PARSER_INLINE_SIZE_MAX (64 * 1024) /* bytes of an inline command */
#define PARSER_COUNT_MAX INT32_MAX         /* arguments of a request */
#define PARSER_COUNT_UNAUTHENTICATED_MAX 10
#define PARSER_BULK_UNAUTHENTICATED_MAX 16384 /* bytes */

enum parser_result {
    PARSER_REQUEST,    /* argv/argc hold a whole request (argc may be 0) */
    PARSER_INCOMPLETE, /* give more bytes */
    PARSER_ERROR       /* error holds the text; close the connection */
};

struct parser {
    /* The request found; lent until the input or the parser changes. */
    struct slice *argv;
    size_t argc;
    size_t consumed;   /* bytes of the input the request took */
    const char *error; /* without "-ERR "; lent */
    /* Limits the caller may set at any time. */
    size_t bulk_size_max; /* proto-max-bulk-len, bytes */
    bool is_unauthenticated;
    /* Bytes still missing of the bulk string being read, 0 if unknown: a */
    /* hint how much to make room for. */
    size_t wanted;
    /* Private: how far the current request was read. */
    struct parser_part *parts; /* offset and length of each argument */
    size_t argv_size;
    size_t parts_read;
    size_t at;              /* offset of the next unread byte */
    int64_t parts_expected; /* -1: the header line was not read yet */
    int64_t bulk_len;       /* -1: the "$" line was not read yet */
    struct buf scratch;     /* unquoted inline arguments; error texts */
};

void parser_init(struct parser *parser);
void parser_fini(struct parser *parser);

/*
 * Read one request from input, which starts where the current request starts
 * and holds all its bytes so far.  After PARSER_REQUEST drop consumed bytes
 * and call again for the next.
 */
enum parser_result parser_read(struct parser *parser, struct slice input);

/*
 * Split a line as redis-cli and redis.conf do: blanks, "..." with \n \r \t \b
 * \a \xHH escapes, '...' with \'.  The pieces are appended to out and lent
 * from scratch/line.  STATUS_INVALID: unbalanced quotes.
 */
MUST_CHECK enum status parser_split_line(struct slice line, struct buf *scratch,
    struct slice **argv, size_t *argc, size_t *argv_size);

#endif
