/*
 * s3ask.c -- how a request is put to S3: path, query, headers, body, signature.
 *
 * libcurl is told nothing about S3: the signer hands over the encoded path and
 * the finished header lines.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/clock.h"

#include "replication/s3.h"
#include "replication/s3ask.h"

#define PARAMS_MAX 5 /* of a query */

/* ---- names -------------------------------------------------------------- */

/* The path to sign: "/bucket/prefix/name" or without the bucket. */
static void
append_path(const struct s3 *s3, struct buf *out, struct slice name)
{
    if (s3->path_style)
        buf_printf(out, "/%s", s3->bucket);
    buf_append_byte(out, '/');
    if (name.data == NULL) /* the bucket itself */
        return;
    if (s3->prefix[0] != '\0')
        buf_printf(out, "%s/", s3->prefix);
    buf_append_slice(out, name);
}

static void
append_full_name(const struct s3 *s3, struct buf *out, struct slice name)
{
    if (s3->prefix[0] != '\0')
        buf_printf(out, "%s/", s3->prefix);
    buf_append_slice(out, name);
}

/* ---- bodies ------------------------------------------------------------- */

static bool
has_body(const struct objectstore_request *request)
{
    return request->op == OBJECTSTORE_PUT ||
           request->op == OBJECTSTORE_UPLOAD_PART;
}

static uint64_t
body_size(const struct objectstore_request *request)
{
    return request->body_fd >= 0 ? request->body_size : request->body.len;
}

static size_t
read_body(char *to, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    const struct objectstore_request *request = transfer->request;
    uint64_t left = body_size(request) - transfer->sent;
    size_t part = size * count;

    if (part > left)
        part = (size_t)left;
    if (part == 0)
        return 0;
    if (request->body_fd >= 0) {
        ssize_t got = pread(request->body_fd, to, part,
            (off_t)(request->body_from + transfer->sent));
        if (got <= 0)
            return CURL_READFUNC_ABORT;
        part = (size_t)got;
    } else {
        memcpy(to, request->body.data + transfer->sent, part);
    }
    transfer->sent += part;
    return part;
}

/* libcurl sends the body again after a connection that was closed idle. */
static int
seek_body(void *arg, curl_off_t offset, int origin)
{
    struct transfer *transfer = arg;

    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_FAIL;
    transfer->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* The list of parts that ends an upload; marks are quoted as they came. */
static void
make_part_list(struct transfer *transfer)
{
    const struct objectstore_request *request = transfer->request;
    struct buf *body = &transfer->body;

    buf_clear(body, body->size);
    buf_append_text(body, "<CompleteMultipartUpload xmlns=\"http://"
                          "s3.amazonaws.com/doc/2006-03-01/\">");
    for (unsigned part = 1; part <= request->part; part++) {
        buf_printf(body, "<Part><PartNumber>%u</PartNumber><ETag>", part);
        for (const char *at = request->etags[part - 1]; *at != '\0'; at++)
            if (*at == '"')
                buf_append_text(body, "&quot;");
            else
                buf_append_byte(body, *at);
        buf_append_text(body, "</ETag></Part>");
    }
    buf_append_text(body, "</CompleteMultipartUpload>");
}

static enum status
hash_payload(struct transfer *transfer)
{
    const struct objectstore_request *request = transfer->request;
    struct slice body = SLICE("");

    if (request->body_hash != NULL) {
        snprintf(transfer->payload_hash, sizeof(transfer->payload_hash), "%s",
            request->body_hash);
        return STATUS_OK;
    }
    if (has_body(request) && request->body_fd >= 0)
        return sigv4_hash_file(request->body_fd, request->body_from,
            request->body_size, transfer->payload_hash);
    if (has_body(request))
        body = request->body;
    else if (request->op == OBJECTSTORE_UPLOAD_END)
        body = buf_slice(&transfer->body);
    sigv4_hash(body, transfer->payload_hash);
    return STATUS_OK;
}

/* ---- the signature ------------------------------------------------------ */

static const char *
method_of(enum objectstore_op op)
{
    static const char *const methods[] = { [OBJECTSTORE_PUT] = "PUT",
        [OBJECTSTORE_GET] = "GET",
        [OBJECTSTORE_HEAD] = "HEAD",
        [OBJECTSTORE_DELETE] = "DELETE",
        [OBJECTSTORE_LIST] = "GET",
        [OBJECTSTORE_UPLOAD_BEGIN] = "POST",
        [OBJECTSTORE_UPLOAD_PART] = "PUT",
        [OBJECTSTORE_UPLOAD_END] = "POST",
        [OBJECTSTORE_UPLOAD_ABORT] = "DELETE",
        [OBJECTSTORE_UPLOAD_LIST] = "GET" };

    return methods[op];
}

static void
format_time(int64_t time_ms, char text[64])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    char date[32];

    gmtime_r(&seconds, &utc);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, 64, "%s.%03d000000Z", date, (int)(time_ms % 1000));
}

/* What the query is made of; lent until the signature is done. */
struct query {
    struct sigv4_param params[PARAMS_MAX];
    size_t count;
    struct buf prefix, after;
    char part[16];
};

static void
add_param(struct query *query, const char *name, struct slice value)
{
    CHECK(query->count < PARAMS_MAX);
    query->params[query->count++] = (struct sigv4_param){ name, value };
}

static void
make_query(const struct s3 *s3, const struct objectstore_request *request,
    struct query *query)
{
    switch (request->op) {
    case OBJECTSTORE_LIST:
    case OBJECTSTORE_UPLOAD_LIST:
        append_full_name(s3, &query->prefix, request->name);
        add_param(query, "encoding-type", SLICE("url"));
        add_param(query, "prefix", buf_slice(&query->prefix));
        if (request->op == OBJECTSTORE_UPLOAD_LIST) {
            add_param(query, "uploads", SLICE(""));
            break;
        }
        add_param(query, "list-type", SLICE("2"));
        if (request->list_after.len == 0)
            break;
        append_full_name(s3, &query->after, request->list_after);
        add_param(query, "start-after", buf_slice(&query->after));
        break;
    case OBJECTSTORE_UPLOAD_BEGIN:
        add_param(query, "uploads", SLICE(""));
        break;
    case OBJECTSTORE_UPLOAD_PART:
        snprintf(query->part, sizeof(query->part), "%u", request->part);
        add_param(query, "partNumber", slice_from_text(query->part));
        add_param(query, "uploadId", request->upload);
        break;
    case OBJECTSTORE_UPLOAD_END:
    case OBJECTSTORE_UPLOAD_ABORT:
        add_param(query, "uploadId", request->upload);
        break;
    default:
        break;
    }
}

/* Sign: fills target (path and query) and lines (headers). */
static void
sign(struct s3 *s3, struct transfer *transfer)
{
    const struct objectstore_request *request = transfer->request;
    bool is_list = request->op == OBJECTSTORE_LIST ||
                   request->op == OBJECTSTORE_UPLOAD_LIST;
    struct buf path = BUF_INIT;
    struct query query = { 0 };
    char timestamp[64];
    struct sigv4_request signature = { .method = method_of(request->op),
        .host = s3->host,
        .params = query.params,
        .payload_hash = transfer->payload_hash,
        .time_ms = clock_wall_ms(),
        .access_key = s3->credentials.access_key,
        .secret_key = s3->credentials.secret_key,
        .session_token = s3->credentials.session_token,
        .region = s3->region };

    append_path(s3, &path, is_list ? (struct slice){ NULL, 0 } : request->name);
    signature.path = buf_slice(&path);
    make_query(s3, request, &query);
    signature.param_count = query.count;
    if (request->timestamp_ms > 0) {
        format_time(request->timestamp_ms, timestamp);
        signature.headers[signature.header_count++] =
            (struct sigv4_header){ "x-amz-meta-litestream-timestamp",
                timestamp };
    }
    buf_clear(&transfer->target, transfer->target.size);
    buf_clear(&transfer->lines, transfer->lines.size);
    sigv4_sign(&signature, &transfer->target, &transfer->lines);
    buf_fini(&path);
    buf_fini(&query.prefix);
    buf_fini(&query.after);
}

/* ---- libcurl ------------------------------------------------------------ */

static void
add_header_line(struct transfer *transfer, const char *line)
{
    struct curl_slist *list = curl_slist_append(transfer->headers, line);

    CHECK(list != NULL);
    transfer->headers = list;
}

static void
set_headers(struct transfer *transfer)
{
    enum objectstore_op op = transfer->request->op;
    char *at = transfer->lines.data;
    char *end = at + transfer->lines.len;

    while (at < end) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        *stop = '\0';
        add_header_line(transfer, at);
        at = stop + 1;
    }
    add_header_line(transfer, "Expect:");
    /* On a POST libcurl's own would make some servers look for a form. */
    if (strcmp(method_of(op), "POST") == 0)
        add_header_line(transfer, "Content-Type: application/xml");
    else if (has_body(transfer->request))
        add_header_line(transfer, "Content-Type: application/octet-stream");
    if (transfer->request->if_none_match &&
        (op == OBJECTSTORE_PUT || op == OBJECTSTORE_UPLOAD_END))
        add_header_line(transfer, "If-None-Match: *");
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
}

static void
set_upload(struct transfer *transfer)
{
    CURL *easy = transfer->easy;

    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
        (curl_off_t)body_size(transfer->request));
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_body);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_body);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
}

static void
set_post(struct transfer *transfer)
{
    const struct buf *body = &transfer->body;
    bool is_end = transfer->request->op == OBJECTSTORE_UPLOAD_END;
    CURL *easy = transfer->easy;

    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, is_end ? body->data : "");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
        (curl_off_t)(is_end ? body->len : 0));
}

static void
set_range(struct transfer *transfer)
{
    const struct objectstore_request *request = transfer->request;
    unsigned long long from = request->range_from, len = request->range_len;
    char range[64];

    if (len > 0)
        snprintf(range, sizeof(range), "%llu-%llu", from, from + len - 1);
    else
        snprintf(range, sizeof(range), "%llu-", from);
    if (from > 0 || len > 0)
        curl_easy_setopt(transfer->easy, CURLOPT_RANGE, range);
}

static void
set_method(struct transfer *transfer)
{
    switch (transfer->request->op) {
    case OBJECTSTORE_PUT:
    case OBJECTSTORE_UPLOAD_PART:
        set_upload(transfer);
        break;
    case OBJECTSTORE_UPLOAD_BEGIN:
    case OBJECTSTORE_UPLOAD_END:
        set_post(transfer);
        break;
    case OBJECTSTORE_HEAD:
        curl_easy_setopt(transfer->easy, CURLOPT_NOBODY, 1L);
        break;
    case OBJECTSTORE_DELETE:
    case OBJECTSTORE_UPLOAD_ABORT:
        curl_easy_setopt(transfer->easy, CURLOPT_CUSTOMREQUEST, "DELETE");
        break;
    case OBJECTSTORE_GET:
        set_range(transfer);
        break;
    case OBJECTSTORE_LIST:
    case OBJECTSTORE_UPLOAD_LIST:
        break;
    }
}

static void
set_options(struct s3 *s3, struct transfer *transfer)
{
    const struct objectstore_request *request = transfer->request;
    CURL *easy = transfer->easy;
    int64_t timeout_ms =
        request->timeout_ms > 0 ? request->timeout_ms : s3->timeout_ms;

    buf_clear(&transfer->url, transfer->url.size);
    buf_append_text(&transfer->url, s3->origin);
    buf_append_slice(&transfer->url, buf_slice(&transfer->target));
    buf_append_byte(&transfer->url, '\0');
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url.data);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(
        easy, CURLOPT_CONNECTTIMEOUT_MS, (long)s3->connect_timeout_ms);
    /* At an upload's end a store may be silent while it puts parts together. */
    if (request->op != OBJECTSTORE_UPLOAD_END) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)S3_STALL_SECONDS);
    }
    if (s3->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, s3->ca_file);
}

enum status
s3ask_prepare(struct s3 *s3, struct transfer *transfer)
{
    if (transfer->request->op == OBJECTSTORE_UPLOAD_END)
        make_part_list(transfer);
    enum status status = hash_payload(transfer);
    if (status != STATUS_OK)
        return status;
    sign(s3, transfer);
    set_options(s3, transfer);
    set_method(transfer);
    set_headers(transfer);
    return STATUS_OK;
}
