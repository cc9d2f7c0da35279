/*
 * s3answer.c -- what an answer of object storage says.
 *
 * The order of the questions matters: an answer that broke off is no answer,
 * whatever its status line was; then the status; then whether a body of 2xx is
 * what was asked for.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/s3answer.h"
#include "replication/s3list.h"

#define RETRY_AFTER_MAX_S 3600

/* ---- headers ------------------------------------------------------------ */

/* If line is header "name: value", value in a C string; else NULL. */
static const char *
header_value(struct slice header, const char *name, char value[128])
{
    const char *line = header.data;
    size_t len = header.len, name_len = strlen(name);

    if (len <= name_len || line[name_len] != ':' ||
        strncasecmp(line, name, name_len) != 0)
        return NULL;
    line += name_len + 1;
    len -= name_len + 1;
    while (len > 0 && isspace((unsigned char)*line)) {
        line++;
        len--;
    }
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    if (len > 127)
        len = 127;
    memcpy(value, line, len);
    value[len] = '\0';
    return value;
}

/* "bytes 0-99/1234" */
static uint64_t
parse_range_total(const char *value)
{
    const char *slash = strrchr(value, '/');

    return slash == NULL ? 0 : strtoull(slash + 1, NULL, 10);
}

void
s3answer_take_header(struct objectstore_request *request, struct slice line)
{
    char value[128];

    if (header_value(line, "content-length", value) != NULL) {
        if (request->object_size == 0)
            request->object_size = strtoull(value, NULL, 10);
    } else if (header_value(line, "content-range", value) != NULL) {
        request->object_size = parse_range_total(value);
    } else if (header_value(line, "last-modified", value) != NULL) {
        time_t seconds = curl_getdate(value, NULL);
        request->modified_ms = seconds > 0 ? (int64_t)seconds * 1000 : 0;
    } else if (header_value(line, "x-amz-meta-litestream-timestamp", value) !=
               NULL) {
        request->meta_timestamp_ms = s3list_parse_time(value);
    } else if (header_value(line, "etag", value) != NULL) {
        snprintf(request->etag, sizeof(request->etag), "%s", value);
    } else if (header_value(line, "retry-after", value) != NULL) {
        int64_t seconds = strtoll(value, NULL, 10);
        if (seconds > 0 && seconds <= RETRY_AFTER_MAX_S)
            request->retry_after_ms = seconds * 1000;
    }
}

/* ---- judging ------------------------------------------------------------ */

/* Copy what stands between <tag> and </tag>; "" if it does not. */
static void
copy_element(struct slice xml, const char *tag, char *out, size_t size)
{
    char open[64];
    int open_len = snprintf(open, sizeof(open), "<%s>", tag);
    const char *at = memmem(xml.data, xml.len, open, (size_t)open_len);
    size_t len;

    out[0] = '\0';
    if (at == NULL)
        return;
    at += open_len;
    const char *end = memchr(at, '<', (size_t)(xml.data + xml.len - at));
    if (end == NULL)
        return;
    len = (size_t)(end - at) < size - 1 ? (size_t)(end - at) : size - 1;
    for (size_t i = 0; i < len; i++)
        out[i] = isprint((unsigned char)at[i]) ? at[i] : ' ';
    out[len] = '\0';
}

static enum status
status_of_http(int http_status)
{
    switch (http_status) {
    case 401:
    case 403:
        return STATUS_DENIED;
    case 404:
        return STATUS_NOT_FOUND;
    case 408:
        return STATUS_TIMEOUT;
    case 409:
    case 412:
        return STATUS_CONFLICT;
    case 429:
    case 503:
        return STATUS_BUSY;
    case 501:
        return STATUS_UNSUPPORTED;
    default:
        break;
    }
    if (http_status >= 400 && http_status < 500)
        return STATUS_INVALID;
    return STATUS_IO;
}

static void
classify_http_error(struct objectstore_request *request, struct slice body)
{
    char code[64], message[128];

    request->status = status_of_http(request->http_status);
    copy_element(body, "Code", code, sizeof(code));
    copy_element(body, "Message", message, sizeof(message));
    /* A missing bucket is not a missing object (B4). */
    if (request->status == STATUS_NOT_FOUND &&
        strcmp(code, "NoSuchBucket") == 0)
        request->status = STATUS_INVALID;
    /* Not the request is wrong, but what became of it on its way. */
    if (strcmp(code, "XAmzContentSHA256Mismatch") == 0 ||
        strcmp(code, "BadDigest") == 0)
        request->status = STATUS_CORRUPT;
    if (strcmp(code, "RequestTimeout") == 0)
        request->status = STATUS_TIMEOUT;
    snprintf(request->error, sizeof(request->error), "HTTP %d%s%s%s%s",
        request->http_status, code[0] != '\0' ? " " : "", code,
        message[0] != '\0' ? ": " : "", message);
}

static enum status
status_of_curl(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return STATUS_TIMEOUT;
    case CURLE_PARTIAL_FILE:
    case CURLE_WEIRD_SERVER_REPLY:
        return STATUS_CORRUPT;
    case CURLE_WRITE_ERROR:
        return STATUS_LIMIT;
    default:
        return STATUS_IO;
    }
}

static void
refuse(struct objectstore_request *request, const char *why)
{
    request->status = STATUS_CORRUPT;
    snprintf(request->error, sizeof(request->error), "%s", why);
}

static void
check_list(struct objectstore_request *request, struct slice prefix)
{
    struct slice xml = buf_slice(&request->answer);

    if ((request->op == OBJECTSTORE_LIST
                ? s3list_parse(request, xml, prefix)
                : s3list_parse_uploads(request, xml, prefix)) != STATUS_OK)
        refuse(request, "the LIST answer could not be read");
}

/* The id alone becomes the answer. */
static void
check_begin(struct objectstore_request *request)
{
    struct buf id = BUF_INIT;

    if (s3list_parse_upload_id(buf_slice(&request->answer), &id) != STATUS_OK)
        refuse(request, "the upload was given no id");
    buf_fini(&request->answer);
    request->answer = id;
}

/*
 * An upload's end is answered with 200 before the store has done it; whether it
 * could says the body.
 */
static void
check_end(struct objectstore_request *request)
{
    static const struct {
        const char *code;
        int http_status; /* what it would have been */
    } errors[] = { { "SlowDown", 503 }, { "ServiceUnavailable", 503 },
        { "PreconditionFailed", 412 }, { "ConditionalRequestConflict", 409 },
        { "NoSuchUpload", 404 }, { "NotImplemented", 501 },
        { "AccessDenied", 403 }, { "InvalidPart", 400 },
        { "InvalidPartOrder", 400 }, { "EntityTooSmall", 400 },
        { "MalformedXML", 400 } };
    struct slice body = buf_slice(&request->answer);
    char code[64];

    if (memmem(body.data, body.len, "<Error>", 7) == NULL) {
        if (memmem(body.data, body.len, "CompleteMultipartUploadResult", 29) ==
            NULL)
            refuse(request, "the answer to an upload's end could not be read");
        return;
    }
    copy_element(body, "Code", code, sizeof(code));
    request->http_status = 500;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (strcmp(code, errors[i].code) == 0)
            request->http_status = errors[i].http_status;
    classify_http_error(request, body);
}

static void
check_get(struct objectstore_request *request)
{
    bool is_ranged = request->range_from > 0 || request->range_len > 0;
    if (is_ranged && request->http_status != 206) {
        refuse(request, "a range was asked for and not sent");
    } else if (request->range_len > 0 &&
               request->answer.len < request->range_len &&
               request->range_from + request->answer.len <
                   request->object_size) {
        request->status = STATUS_CORRUPT;
        snprintf(request->error, sizeof(request->error),
            "%zu bytes came of %llu asked for", request->answer.len,
            (unsigned long long)request->range_len);
    }
}

/* A 2xx answer: is it what was asked for? */
static void
check_answer(struct objectstore_request *request, struct slice prefix)
{
    switch (request->op) {
    case OBJECTSTORE_GET:
        check_get(request);
        break;
    case OBJECTSTORE_LIST:
    case OBJECTSTORE_UPLOAD_LIST:
        check_list(request, prefix);
        break;
    case OBJECTSTORE_UPLOAD_BEGIN:
        check_begin(request);
        break;
    case OBJECTSTORE_UPLOAD_PART:
        if (request->etag[0] == '\0')
            refuse(request, "the part was given no ETag");
        break;
    case OBJECTSTORE_UPLOAD_END:
        check_end(request);
        break;
    default:
        break;
    }
}

void
s3answer_judge(struct objectstore_request *request, CURLcode code,
    struct slice failure, struct slice prefix)
{
    if (code != CURLE_OK) {
        request->status = status_of_curl(code);
        snprintf(request->error, sizeof(request->error), "%s",
            curl_easy_strerror(code));
    } else if (request->http_status / 100 == 2) {
        request->status = STATUS_OK;
        check_answer(request, prefix);
    } else {
        classify_http_error(request, failure);
    }
}
