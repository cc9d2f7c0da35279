/*
 * credentials.c -- the keys that sign requests.
 *
 * Asked in this order, the first that answers wins:
 *   1. the configuration
 *   2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   3. the container's service: AWS_CONTAINER_CREDENTIALS_FULL_URI, or
 *      _RELATIVE_URI at 169.254.170.2, with AWS_CONTAINER_AUTHORIZATION_TOKEN
 *   4. the machine's (EC2, version 2 with its session token), unless
 *      AWS_EC2_METADATA_DISABLED=true
 * 3 and 4 answer flat JSON, from which four strings are picked.
 */
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "server/base/clock.h"
#include "server/base/memory.h"

#include "replication/credentials.h"
#include "replication/s3list.h"

#define ANSWER_SIZE_MAX 16384
#define RENEW_BEFORE_MS (5 * 60 * 1000)
#define EC2_ORIGIN "http://169.254.169.254"
#define ECS_ORIGIN "http://169.254.170.2"
#define EC2_ROLE_PATH "/latest/meta-data/iam/security-credentials/"

static char *
copy_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? memory_copy_text(text) : NULL;
}

static void
forget(struct credentials *credentials)
{
    memory_free(credentials->access_key);
    memory_free(credentials->secret_key);
    memory_free(credentials->session_token);
    credentials->access_key = NULL;
    credentials->secret_key = NULL;
    credentials->session_token = NULL;
}

void
credentials_init(
    struct credentials *credentials, const struct objectstore_options *options)
{
    *credentials = (struct credentials){ .expires_ms = 0 };
    if (options->access_key == NULL || options->access_key[0] == '\0' ||
        options->secret_key == NULL)
        return;
    credentials->access_key = memory_copy_text(options->access_key);
    credentials->secret_key = memory_copy_text(options->secret_key);
    credentials->session_token = copy_or_null(options->session_token);
    credentials->is_configured = true;
    credentials->expires_ms = INT64_MAX;
}

void
credentials_fini(struct credentials *credentials)
{
    forget(credentials);
}

bool
credentials_are_stale(const struct credentials *credentials)
{
    return credentials->expires_ms != INT64_MAX &&
           clock_wall_ms() > credentials->expires_ms - RENEW_BEFORE_MS;
}

static bool
load_environment(struct credentials *credentials)
{
    const char *access_key = getenv("AWS_ACCESS_KEY_ID");
    const char *secret_key = getenv("AWS_SECRET_ACCESS_KEY");

    if (access_key == NULL || access_key[0] == '\0' || secret_key == NULL ||
        secret_key[0] == '\0')
        return false;
    forget(credentials);
    credentials->access_key = memory_copy_text(access_key);
    credentials->secret_key = memory_copy_text(secret_key);
    credentials->session_token = copy_or_null(getenv("AWS_SESSION_TOKEN"));
    credentials->expires_ms = INT64_MAX;
    return true;
}

static size_t
take_answer(char *data, size_t size, size_t count, void *arg)
{
    struct buf *answer = arg;
    size_t len = size * count;

    if (answer->len + len > ANSWER_SIZE_MAX)
        return 0;
    buf_append(answer, data, len);
    return len;
}

/* One small request; answer is NUL-terminated. */
static bool
ask(const char *method, const char *url, const char *header, struct buf *answer)
{
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = NULL;
    long status = 0;

    if (easy == NULL)
        return false;
    if (header != NULL)
        headers = curl_slist_append(headers, header);
    buf_clear(answer, answer->size);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)CREDENTIALS_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    buf_append_byte(answer, '\0');
    return code == CURLE_OK && status == 200;
}

/* The string after "name" in flat JSON, or NULL.  The caller frees it. */
static char *
json_string(const char *json, const char *name)
{
    char key[64];

    snprintf(key, sizeof(key), "\"%s\"", name);
    const char *at = strstr(json, key);
    if (at == NULL)
        return NULL;
    at += strlen(key);
    at += strspn(at, " \t\r\n:");
    if (*at++ != '"')
        return NULL;
    size_t len = strcspn(at, "\"\\");
    if (at[len] != '"')
        return NULL; /* keys and tokens hold no escapes */
    char *text = memory_alloc(len + 1);
    memcpy(text, at, len);
    text[len] = '\0';
    return text;
}

static bool
take_json(struct credentials *credentials, const char *json)
{
    char *access_key = json_string(json, "AccessKeyId");
    char *secret_key = json_string(json, "SecretAccessKey");
    char *expires = json_string(json, "Expiration");

    if (access_key == NULL || secret_key == NULL) {
        memory_free(access_key);
        memory_free(secret_key);
        memory_free(expires);
        return false;
    }
    forget(credentials);
    credentials->access_key = access_key;
    credentials->secret_key = secret_key;
    credentials->session_token = json_string(json, "Token");
    credentials->expires_ms =
        expires != NULL ? s3list_parse_time(expires) : INT64_MAX;
    memory_free(expires);
    return true;
}

static bool
load_container(struct credentials *credentials, struct buf *answer)
{
    const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    char url[512], header[4096];

    if (relative != NULL)
        snprintf(url, sizeof(url), ECS_ORIGIN "%s", relative);
    else if (full != NULL)
        snprintf(url, sizeof(url), "%s", full);
    else
        return false;
    snprintf(header, sizeof(header), "Authorization: %s",
        token == NULL ? "" : token);
    return ask("GET", url, token == NULL ? NULL : header, answer) &&
           take_json(credentials, answer->data);
}

static bool
load_machine(struct credentials *credentials, struct buf *answer)
{
    const char *disabled = getenv("AWS_EC2_METADATA_DISABLED");
    char header[512], url[512];

    if (disabled != NULL && strcasecmp(disabled, "true") == 0)
        return false;
    if (!ask("PUT", EC2_ORIGIN "/latest/api/token",
            "X-aws-ec2-metadata-token-ttl-seconds: 21600", answer))
        return false;
    snprintf(header, sizeof(header), "X-aws-ec2-metadata-token: %.400s",
        answer->data);
    if (!ask("GET", EC2_ORIGIN EC2_ROLE_PATH, header, answer))
        return false;
    snprintf(url, sizeof(url), EC2_ORIGIN EC2_ROLE_PATH "%.*s",
        (int)strcspn(answer->data, "\r\n"), answer->data);
    return ask("GET", url, header, answer) &&
           take_json(credentials, answer->data);
}

enum status
credentials_load(struct credentials *credentials)
{
    struct buf answer = BUF_INIT;
    bool is_loaded;

    if (credentials->is_configured)
        return STATUS_OK;
    is_loaded = load_environment(credentials) ||
                load_container(credentials, &answer) ||
                load_machine(credentials, &answer);
    buf_fini(&answer);
    return is_loaded ? STATUS_OK : STATUS_NOT_FOUND;
}
