/*
 * objectstore.h -- object storage as replication needs it: one interface, and
 * behind it S3 (s3.c), a directory (filestore.c), and for the simulation a
 * store in memory with faults (tests).
 *
 * Asynchronous: requests are submitted, objectstore_poll() runs their
 * completions.  Nothing blocks but objectstore_poll(), up to its timeout.
 * Errors of the network and of the server are told apart:
 *
 *   STATUS_OK           done
 *   STATUS_NOT_FOUND    404: there is no such object (a certain answer)
 *   STATUS_CONFLICT     412/409: the condition did not hold -- or our own first
 *                       try did: re-read and compare, never guess
 *   STATUS_DENIED       403/401: credentials, clock skew (error tells)
 *   STATUS_UNSUPPORTED  501: conditional requests refused
 *   STATUS_BUSY         503/429/SlowDown: retry_after_ms may say when
 *   STATUS_TIMEOUT      no (whole) answer in time; it may have taken effect
 *   STATUS_IO           connection refused, reset, 5xx; may have taken effect
 *   STATUS_CORRUPT      the answer was not what it claimed to be
 *   STATUS_INVALID      4xx: the request itself is refused (error tells)
 *
 * Retrying is the caller's business (policy stands in one place: backoff.h).
 *
 * A PUT from a large file is sent in parts, side by side, where the store knows
 * such a thing (upload.h); the caller sees one request, and never half an
 * object.  There the parts are tried again one by one.
 *
 * Thread: SHIP (or the one thread of a command-line tool).
 */
#ifndef WALDEN_REPLICATION_OBJECTSTORE_H
#define WALDEN_REPLICATION_OBJECTSTORE_H

#include "server/base/buf.h"

#define OBJECTSTORE_ETAG_SIZE 128 /* of a part's mark, with a NUL */

struct objectstore;
struct upload;

enum objectstore_op {
    OBJECTSTORE_PUT,
    OBJECTSTORE_GET,
    OBJECTSTORE_HEAD,
    OBJECTSTORE_DELETE,
    OBJECTSTORE_LIST,
    /* What a large PUT is made of (upload.c), and what a look for uploads */
    /* that nobody ended needs (keepertidy.c). */
    OBJECTSTORE_UPLOAD_BEGIN, /* answer: the upload's id */
    OBJECTSTORE_UPLOAD_PART,  /* etag: the store's mark of the part */
    OBJECTSTORE_UPLOAD_END,   /* the object appears */
    OBJECTSTORE_UPLOAD_ABORT, /* STATUS_NOT_FOUND: there is no such upload */
    OBJECTSTORE_UPLOAD_LIST   /* those neither ended nor aborted; one page */
};
#define OBJECTSTORE_COUNTERS 5 /* PUT .. LIST: the others count as these */

struct objectstore_request;
typedef void (*objectstore_done_fn)(struct objectstore_request *request);

struct objectstore_request {
    /* The question; all lent until done is called. */
    enum objectstore_op op;
    struct slice name;     /* relative to the prefix; LIST: starts with */
    struct slice body;     /* PUT, from memory ... */
    int body_fd;           /* ... or, if >= 0, from a file */
    uint64_t body_from;    /* where in the file; UPLOAD_PART only, else 0 */
    uint64_t body_size;    /* bytes of the file to send */
    const char *body_hash; /* hex SHA-256 of the body; NULL: not known yet */
    struct slice upload;   /* UPLOAD_PART, END, ABORT: the upload's id */
    unsigned part;         /* UPLOAD_PART: its number; END: how many */
    const char (*etags)[OBJECTSTORE_ETAG_SIZE]; /* UPLOAD_END: of each part */
    bool if_none_match;      /* PUT only where there is nothing */
    int64_t timestamp_ms;    /* PUT: metadata litestream-timestamp, 0: none */
    uint64_t range_from;     /* GET: first byte */
    uint64_t range_len;      /* GET: bytes; 0: to the end */
    struct slice list_after; /* LIST: names greater than this one */
    int64_t timeout_ms;      /* whole request; 0: the store's default */
    objectstore_done_fn done;
    void *arg;

    /* The answer. */
    enum status status;
    int http_status;        /* 0: none */
    int64_t retry_after_ms; /* 0: not said */
    char error[256];        /* server's code and message, for the log */
    struct buf answer;      /* GET: the bytes (bounded by range_len) */
    uint64_t object_size;   /* HEAD, GET: bytes of the whole object */
    int64_t modified_ms;
    int64_t meta_timestamp_ms; /* HEAD, GET: litestream-timestamp; 0: none */
    char etag[OBJECTSTORE_ETAG_SIZE];
    /* LIST: names in bytewise order; one page. */
    struct objectstore_entry {
        char *name;   /* relative to the prefix */
        char *upload; /* UPLOAD_LIST: its id; else NULL */
        uint64_t size;
        int64_t modified_ms; /* UPLOAD_LIST: when it was begun */
    } * entries;
    size_t entry_count;
    bool has_more; /* LIST again after the last name */

    void *internal; /* the store's own */
    struct objectstore_request *next;
};

/* Zeroes, then sets op, name and body_fd = -1. */
void objectstore_request_init(struct objectstore_request *request,
    enum objectstore_op op, struct slice name);
/* Frees the answer's memory. */
void objectstore_request_fini(struct objectstore_request *request);

struct objectstore_ops {
    void (*submit)(struct objectstore *, struct objectstore_request *);
    void (*cancel)(struct objectstore *, struct objectstore_request *);
    bool (*poll)(struct objectstore *, int timeout_ms, int extra_fd);
    void (*wake)(struct objectstore *);
    void (*close)(struct objectstore *);
    int64_t (*now_ms)(struct objectstore *); /* NULL: the monotonic clock */
};
/* Embedded first in each kind. */
struct objectstore {
    const struct objectstore_ops *ops;
    uint64_t requests[OBJECTSTORE_COUNTERS]; /* sent, by op: for INFO */
    uint64_t bytes_sent, bytes_received;
    /* Set by a kind that knows uploads; 0: it does not. */
    bool leaves_files;        /* after SIGKILL; they are listed as uploads */
    uint64_t upload_size_min; /* a PUT of more bytes goes up in parts ... */
    uint64_t put_size_max;    /* ... one with if_none_match above this size */
    bool is_condition_known;  /* has the store been asked? ... */
    bool is_condition_obeyed; /* ... if_none_match at an upload's end */
    struct upload *uploads;   /* under way */
    uint64_t uploads_left;    /* begun, and perhaps neither ended nor aborted */
};

void objectstore_submit(
    struct objectstore *store, struct objectstore_request *request);
/* done is called with STATUS_TIMEOUT before this returns. */
void objectstore_cancel(
    struct objectstore *store, struct objectstore_request *request);
/*
 * Wait up to timeout_ms (-1: for ever) for progress or for extra_fd (-1: none)
 * to become readable; run completions.  false: nothing is under way and the
 * time was up.
 */
bool objectstore_poll(struct objectstore *store, int timeout_ms, int extra_fd);
/* Make a poll in another thread return.  Any thread. */
void objectstore_wake(struct objectstore *store);
void objectstore_close(struct objectstore *store); /* accepts NULL */
/* For the kinds of store: one request of op is being sent. */
void objectstore_count(struct objectstore *store, enum objectstore_op op);

/* Submit and poll until done: for tools, at start.  Answers request->status */
MUST_CHECK enum status objectstore_run(
    struct objectstore *store, struct objectstore_request *request);

struct objectstore_options {
    const char *url;      /* s3://bucket/prefix or file:///path */
    const char *endpoint; /* http(s)://host:port; NULL: AWS's */
    const char *region;   /* NULL: us-east-1 */
    bool path_style;
    const char *access_key, *secret_key, *session_token; /* NULL: environment */
    const char *ca_file;        /* NULL: the system's */
    int64_t timeout_ms;         /* of a request; 0: 30,000 */
    int64_t connect_timeout_ms; /* 0: 5,000 */
};
/* STATUS_INVALID: error says what is wrong with the options. */
MUST_CHECK enum status objectstore_open(struct objectstore **store,
    const struct objectstore_options *options, struct buf *error);

#endif
