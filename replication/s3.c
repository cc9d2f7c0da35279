/*
 * s3.c -- object storage over S3's HTTP interface.
 *
 * A request becomes a transfer: a libcurl easy handle with its signed URL and
 * headers (s3ask.c).  Handles are kept and reused, so that their connections
 * are.
 *
 *   submit   sign, add to the multi handle (nothing is sent yet)
 *   poll     curl_multi_poll + perform; finished transfers -> classify -> done
 *
 * An answer is believed only if it is whole: libcurl reports a body shorter
 * than its Content-Length as CURLE_PARTIAL_FILE, and a GET without the length
 * that its range asked for is STATUS_CORRUPT.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/memory.h"

#include "replication/s3.h"
#include "replication/s3answer.h"
#include "replication/s3ask.h"
#include "replication/upload.h"

#define POOL_SIZE 16       /* idle easy handles kept */
#define CONNECTIONS_MAX 32 /* kept open, idle */
#define DEFAULT_TIMEOUT_MS 30000
#define DEFAULT_CONNECT_TIMEOUT_MS 5000

/* ---- names -------------------------------------------------------------- */

static char *
copy_range(const char *from, size_t len)
{
    char *text = memory_alloc(len + 1);

    memcpy(text, from, len);
    text[len] = '\0';
    return text;
}

/* s3://bucket/prefix; slashes around the prefix are dropped. */
static enum status
parse_url(struct s3 *s3, const char *url, struct buf *error)
{
    const char *bucket = url + strlen("s3://");
    size_t bucket_len = strcspn(bucket, "/");
    const char *prefix = bucket + bucket_len;
    size_t len;

    while (*prefix == '/')
        prefix++;
    len = strlen(prefix);
    while (len > 0 && prefix[len - 1] == '/')
        len--;
    if (bucket_len < 3 || strcspn(url, "?#") != strlen(url)) {
        buf_printf(error, "'%s' is not of the form s3://bucket/prefix", url);
        return STATUS_INVALID;
    }
    s3->bucket = copy_range(bucket, bucket_len);
    s3->prefix = copy_range(prefix, len);
    return STATUS_OK;
}

static enum status
set_origin(
    struct s3 *s3, const struct objectstore_options *options, struct buf *error)
{
    struct buf endpoint = BUF_INIT;
    const char *host;

    if (options->endpoint != NULL && options->endpoint[0] != '\0')
        buf_append_text(&endpoint, options->endpoint);
    else
        buf_printf(&endpoint, "https://s3.%s.amazonaws.com", s3->region);
    while (endpoint.len > 0 && endpoint.data[endpoint.len - 1] == '/')
        endpoint.len--;
    buf_append_byte(&endpoint, '\0');
    host = strstr(endpoint.data, "://");
    if (host == NULL || strchr(host + 3, '/') != NULL ||
        (strncmp(endpoint.data, "http://", 7) != 0 &&
            strncmp(endpoint.data, "https://", 8) != 0)) {
        buf_printf(
            error, "endpoint '%s' is not http(s)://host[:port]", endpoint.data);
        buf_fini(&endpoint);
        return STATUS_INVALID;
    }
    host += 3;
    struct buf full = BUF_INIT;
    if (!s3->path_style)
        buf_printf(&full, "%s.", s3->bucket);
    buf_append_text(&full, host);
    s3->host = copy_range(full.data, full.len);
    buf_clear(&full, full.size);
    buf_printf(
        &full, "%.*s%s", (int)(host - endpoint.data), endpoint.data, s3->host);
    s3->origin = copy_range(full.data, full.len);
    buf_fini(&full);
    buf_fini(&endpoint);
    return STATUS_OK;
}

/* ---- transfers ---------------------------------------------------------- */

static size_t
take_answer(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    struct objectstore_request *request = transfer->request;
    size_t len = size * count;
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 != 2) {
        size_t room = S3_ERROR_BODY_MAX - transfer->failure.len;
        buf_append(&transfer->failure, data, len < room ? len : room);
        return len;
    }
    if (request->answer.len + len > S3_ANSWER_SIZE_MAX ||
        buf_try_reserve(&request->answer, len) != STATUS_OK)
        return 0; /* libcurl: CURLE_WRITE_ERROR */
    buf_append(&request->answer, data, len);
    return len;
}

/* Before the request is sent: which connection it goes over. */
static int
note_connection(
    void *arg, char *remote, char *local, int remote_port, int local_port)
{
    struct transfer *transfer = arg;

    (void)remote;
    (void)local;
    (void)remote_port;
    transfer->fd = s3socket_find(&transfer->s3->sockets, local_port);
    return CURL_PREREQFUNC_OK;
}

static size_t
take_header(char *line, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;

    if (size * count > 5 && memcmp(line, "HTTP/", 5) == 0)
        s3socket_acknowledge(transfer->fd);

    s3answer_take_header(transfer->request, slice_make(line, size * count));
    return size * count;
}

static struct transfer *
transfer_take(struct s3 *s3)
{
    struct transfer *transfer = s3->pool;

    if (transfer != NULL) {
        s3->pool = transfer->next;
        s3->pool_count--;
    } else {
        transfer = memory_zalloc(sizeof(*transfer));
        transfer->easy = curl_easy_init();
        CHECK(transfer->easy != NULL);
    }
    transfer->previous = NULL;
    transfer->next = s3->active;
    if (s3->active != NULL)
        s3->active->previous = transfer;
    s3->active = transfer;
    return transfer;
}

static void
transfer_free(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    buf_fini(&transfer->url);
    buf_fini(&transfer->target);
    buf_fini(&transfer->lines);
    buf_fini(&transfer->body);
    buf_fini(&transfer->failure);
    memory_free(transfer);
}

/* Out of the active list, back to the pool. */
static void
transfer_give(struct s3 *s3, struct transfer *transfer)
{
    curl_multi_remove_handle(s3->multi, transfer->easy);
    if (transfer->previous != NULL)
        transfer->previous->next = transfer->next;
    else
        s3->active = transfer->next;
    if (transfer->next != NULL)
        transfer->next->previous = transfer->previous;
    if (s3->pool_count >= POOL_SIZE) {
        transfer_free(transfer);
        return;
    }
    curl_easy_reset(transfer->easy);
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    transfer->request = NULL;
    transfer->sent = 0;
    buf_clear(&transfer->failure, 0);
    transfer->next = s3->pool;
    s3->pool = transfer;
    s3->pool_count++;
}

/* ---- the answer -------------------------------------------------------- */

static void
finish(struct s3 *s3, struct transfer *transfer, CURLcode code)
{
    struct objectstore_request *request = transfer->request;
    curl_off_t sent = 0, received = 0;
    long http_status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &http_status);
    curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
    s3->base.bytes_sent += (uint64_t)sent;
    s3->base.bytes_received += (uint64_t)received;
    request->http_status = (int)http_status;
    s3answer_judge(request, code, buf_slice(&transfer->failure),
        slice_from_text(s3->prefix));
    if (request->status == STATUS_DENIED && !s3->credentials.is_configured)
        s3->credentials.expires_ms = 0; /* rotated? read them again */
    transfer_give(s3, transfer);
    request->done(request);
}

/* ---- the interface ------------------------------------------------------ */

/* A request that cannot even be sent completes at the next poll, like any. */
static void
fail_to_send(struct s3 *s3, struct transfer *transfer, enum status status,
    const char *why)
{
    (void)s3;
    transfer->request->status = status;
    snprintf(
        transfer->request->error, sizeof(transfer->request->error), "%s", why);
}

static void
s3_submit(struct objectstore *store, struct objectstore_request *request)
{
    struct s3 *s3 = (struct s3 *)store;
    struct transfer *transfer = transfer_take(s3);

    transfer->s3 = s3;
    transfer->request = request;
    transfer->sent = 0;
    transfer->fd = CURL_SOCKET_BAD;
    request->internal = transfer;
    request->status = STATUS_OK;
    request->http_status = 0;
    request->retry_after_ms = 0;
    request->error[0] = '\0';
    request->object_size = 0;
    request->etag[0] = '\0';
    buf_clear(&request->answer, request->answer.size);
    if (credentials_are_stale(&s3->credentials) &&
        credentials_load(&s3->credentials) != STATUS_OK) {
        fail_to_send(s3, transfer, STATUS_DENIED, "no credentials were found");
        return;
    }
    if (s3ask_prepare(s3, transfer) != STATUS_OK) {
        fail_to_send(s3, transfer, STATUS_IO, "the file could not be read");
        return;
    }
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(transfer->easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_PREREQFUNCTION, note_connection);
    curl_easy_setopt(transfer->easy, CURLOPT_PREREQDATA, transfer);
    s3socket_watch(&s3->sockets, transfer->easy);
    CHECK(curl_multi_add_handle(s3->multi, transfer->easy) == CURLM_OK);
    objectstore_count(store, request->op);
}

static void
s3_cancel(struct objectstore *store, struct objectstore_request *request)
{
    struct s3 *s3 = (struct s3 *)store;

    request->status = STATUS_TIMEOUT;
    snprintf(request->error, sizeof(request->error), "given up");
    transfer_give(s3, request->internal);
    request->done(request);
}

/* Complete what failed before it was sent. */
static bool
finish_unsent(struct s3 *s3)
{
    for (struct transfer *transfer = s3->active; transfer != NULL;
         transfer = transfer->next) {
        struct objectstore_request *request = transfer->request;
        if (request->status == STATUS_OK)
            continue;
        transfer_give(s3, transfer);
        request->done(request);
        return true; /* the list may have changed */
    }
    return false;
}

static bool
s3_poll(struct objectstore *store, int timeout_ms, int extra_fd)
{
    struct s3 *s3 = (struct s3 *)store;
    struct curl_waitfd extra = { extra_fd, CURL_WAIT_POLLIN, 0 };
    bool has_moved = false;
    int running, left;
    CURLMsg *message;

    while (finish_unsent(s3))
        has_moved = true;
    curl_multi_perform(s3->multi, &running);
    message = curl_multi_info_read(s3->multi, &left);
    if (message == NULL && !has_moved) {
        int ready = 0;
        curl_multi_poll(s3->multi, &extra, extra_fd >= 0 ? 1 : 0,
            timeout_ms < 0 ? 60000 : timeout_ms, &ready);
        has_moved = ready > 0;
        curl_multi_perform(s3->multi, &running);
        message = curl_multi_info_read(s3->multi, &left);
    }
    while (message != NULL) {
        if (message->msg == CURLMSG_DONE) {
            void *transfer;
            CURLcode code = message->data.result;
            curl_easy_getinfo(
                message->easy_handle, CURLINFO_PRIVATE, &transfer);
            finish(s3, transfer, code);
            has_moved = true;
        }
        message = curl_multi_info_read(s3->multi, &left);
    }
    return has_moved || s3->active != NULL;
}

static void
s3_wake(struct objectstore *store)
{
    curl_multi_wakeup(((struct s3 *)store)->multi);
}

static void
s3_close(struct objectstore *store)
{
    struct s3 *s3 = (struct s3 *)store;

    while (s3->active != NULL)
        s3_cancel(store, s3->active->request);
    while (s3->pool != NULL) {
        struct transfer *next = s3->pool->next;
        transfer_free(s3->pool);
        s3->pool = next;
    }
    curl_multi_cleanup(s3->multi);
    credentials_fini(&s3->credentials);
    memory_free(s3->bucket);
    memory_free(s3->prefix);
    memory_free(s3->origin);
    memory_free(s3->host);
    memory_free(s3->region);
    memory_free(s3->ca_file);
    memory_free(s3);
}

static const struct objectstore_ops s3_ops = { .submit = s3_submit,
    .cancel = s3_cancel,
    .poll = s3_poll,
    .wake = s3_wake,
    .close = s3_close };

enum status
s3_open(struct objectstore **store, const struct objectstore_options *options,
    struct buf *error)
{
    struct s3 *s3 = memory_zalloc(sizeof(*s3));
    enum status status;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    s3->base.ops = &s3_ops;
    s3->base.upload_size_min = UPLOAD_PART_SIZE;
    s3->base.put_size_max = UPLOAD_PUT_SIZE_MAX;
    s3->multi = curl_multi_init();
    CHECK(s3->multi != NULL);
    curl_multi_setopt(s3->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    s3->path_style = options->path_style;
    s3->region = memory_copy_text(
        options->region != NULL && options->region[0] != '\0' ? options->region
                                                              : "us-east-1");
    s3->ca_file = options->ca_file != NULL && options->ca_file[0] != '\0'
                      ? memory_copy_text(options->ca_file)
                      : NULL;
    s3->timeout_ms =
        options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    s3->connect_timeout_ms = options->connect_timeout_ms > 0
                                 ? options->connect_timeout_ms
                                 : DEFAULT_CONNECT_TIMEOUT_MS;
    credentials_init(&s3->credentials, options);
    status = parse_url(s3, options->url, error);
    if (status == STATUS_OK)
        status = set_origin(s3, options, error);
    if (status != STATUS_OK) {
        s3_close(&s3->base);
        return status;
    }
    *store = &s3->base;
    return STATUS_OK;
}
