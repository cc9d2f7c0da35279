/*
 * s3list.c -- reading the XML of S3's answers.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/base/memory.h"

#include "replication/s3list.h"

/* What stands between <tag> and </tag> in xml; data NULL: it is not there. */
static struct slice
find_element(struct slice xml, const char *tag)
{
    char open[64], close[64];
    int open_len = snprintf(open, sizeof(open), "<%s>", tag);
    int close_len = snprintf(close, sizeof(close), "</%s>", tag);
    const char *end = xml.data + xml.len;
    const char *from = memmem(xml.data, xml.len, open, (size_t)open_len);

    if (from == NULL)
        return (struct slice){ NULL, 0 };
    from += open_len;
    const char *to =
        memmem(from, (size_t)(end - from), close, (size_t)close_len);
    if (to == NULL)
        return (struct slice){ NULL, 0 };
    return slice_make(from, (size_t)(to - from));
}

/* One entity at the start of s; answer: its length in s, 0 if it is none. */
static size_t
decode_entity(struct slice s, char *c)
{
    static const struct {
        const char *name;
        char value;
    } entities[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' },
        { "&quot;", '"' }, { "&apos;", '\'' } };

    for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
        size_t len = strlen(entities[i].name);
        if (s.len >= len && memcmp(s.data, entities[i].name, len) == 0) {
            *c = entities[i].value;
            return len;
        }
    }
    if (s.len < 4 || s.data[0] != '&' || s.data[1] != '#')
        return 0;
    const char *end = memchr(s.data, ';', s.len < 10 ? s.len : 10);
    if (end == NULL)
        return 0;
    bool is_hex = s.data[2] == 'x';
    unsigned long value =
        strtoul(s.data + (is_hex ? 3 : 2), NULL, is_hex ? 16 : 10);
    if (value == 0 || value > 127)
        return 0;
    *c = (char)value;
    return (size_t)(end - s.data) + 1;
}

static size_t
decode_entities(struct slice s, char *out)
{
    size_t len = 0;

    while (s.len > 0) {
        char c = s.data[0];
        size_t used = c == '&' ? decode_entity(s, &c) : 1;
        if (used == 0)
            used = 1;
        out[len++] = c;
        s.data += used;
        s.len -= used;
    }
    return len;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t
decode_percent(char *text, size_t len)
{
    size_t out = 0;

    for (size_t i = 0; i < len; i++) {
        int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (text[i] == '%' && low >= 0) {
            text[out++] = (char)(high << 4 | low);
            i += 2;
        } else if (text[i] == '+') {
            text[out++] = ' ';
        } else {
            text[out++] = text[i];
        }
    }
    return out;
}

int64_t
s3list_parse_time(const char *text)
{
    struct tm tm = { 0 };
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t ms = 0;

    if (rest == NULL)
        return 0;
    if (*rest == '.') {
        int scale = 100;
        for (rest++; isdigit((unsigned char)*rest) && scale > 0; rest++) {
            ms += (*rest - '0') * scale;
            scale /= 10;
        }
    }
    return (int64_t)timegm(&tm) * 1000 + ms;
}

static void
copy_text(struct slice s, char *text, size_t size)
{
    size_t len = s.len < size - 1 ? s.len : size - 1;

    if (len > 0)
        memcpy(text, s.data, len);
    text[len] = '\0';
}

/*
 * The name of an entry without the store's prefix.  out NULL afterwards: it
 * does not start with it.  false: there is none.
 */
static bool
parse_name(struct slice xml, struct slice prefix, char **out)
{
    struct slice key = find_element(xml, "Key");
    char name[S3LIST_NAME_SIZE_MAX + 1];
    size_t skip = prefix.len > 0 ? prefix.len + 1 : 0, len;

    *out = NULL;
    if (key.data == NULL || key.len > S3LIST_NAME_SIZE_MAX)
        return false;
    len = decode_percent(name, decode_entities(key, name));
    if (len < skip || memcmp(name, prefix.data, prefix.len) != 0)
        return true;
    *out = memory_alloc(len - skip + 1);
    memcpy(*out, name + skip, len - skip);
    (*out)[len - skip] = '\0';
    return true;
}

/* One <Contents>; false: it is not of the form required. */
static bool
parse_object(
    struct slice xml, struct slice prefix, struct objectstore_entry *entry)
{
    char number[32], time[64];

    if (!parse_name(xml, prefix, &entry->name))
        return false;
    copy_text(find_element(xml, "Size"), number, sizeof(number));
    copy_text(find_element(xml, "LastModified"), time, sizeof(time));
    entry->size = strtoull(number, NULL, 10);
    entry->modified_ms = s3list_parse_time(time);
    return true;
}

/* Ids are opaque, and never percent-encoded. */
static bool
parse_id(struct slice xml, char id[S3LIST_ID_SIZE_MAX + 1], size_t *len)
{
    struct slice text = find_element(xml, "UploadId");

    if (text.len == 0 || text.len > S3LIST_ID_SIZE_MAX)
        return false;
    *len = decode_entities(text, id);
    return memchr(id, '\0', *len) == NULL;
}

/* One <Upload>; likewise. */
static bool
parse_upload(
    struct slice xml, struct slice prefix, struct objectstore_entry *entry)
{
    char id[S3LIST_ID_SIZE_MAX + 1], time[64];
    size_t len;

    if (!parse_id(xml, id, &len) || !parse_name(xml, prefix, &entry->name))
        return false;
    if (entry->name == NULL)
        return true;
    id[len] = '\0';
    entry->upload = memory_copy_text(id);
    copy_text(find_element(xml, "Initiated"), time, sizeof(time));
    entry->modified_ms = s3list_parse_time(time);
    return true;
}

/* What tells one list from the other. */
struct form {
    const char *end;          /* closes the whole answer */
    const char *entry, *open; /* an entry's name and tag */
    bool (*parse)(
        struct slice xml, struct slice prefix, struct objectstore_entry *entry);
};

static size_t
count_entries(struct slice xml, const char *open)
{
    size_t count = 0, len = strlen(open);
    const char *end = xml.data + xml.len;

    for (const char *at = xml.data; at != NULL; count++) {
        at = memmem(at, (size_t)(end - at), open, len);
        if (at == NULL)
            break;
        at += len;
    }
    return count;
}

static enum status
parse_list(struct objectstore_request *request, struct slice xml,
    struct slice prefix, const struct form *form)
{
    struct slice truncated = find_element(xml, "IsTruncated");
    const char *end = xml.data + xml.len;

    if (xml.len == 0 || truncated.data == NULL ||
        memmem(xml.data, xml.len, form->end, strlen(form->end)) == NULL)
        return STATUS_CORRUPT;
    size_t count = count_entries(xml, form->open);
    request->entries =
        memory_zalloc((count == 0 ? 1 : count) * sizeof(*request->entries));
    request->entry_count = 0;
    request->has_more = slice_is(truncated, "true");
    while (count-- > 0) {
        struct slice part = find_element(xml, form->entry);
        struct objectstore_entry *entry =
            &request->entries[request->entry_count];
        if (part.data == NULL || !form->parse(part, prefix, entry))
            return STATUS_CORRUPT;
        if (entry->name != NULL)
            request->entry_count++;
        xml.data = part.data + part.len;
        xml.len = (size_t)(end - xml.data);
    }
    return STATUS_OK;
}

enum status
s3list_parse(
    struct objectstore_request *request, struct slice xml, struct slice prefix)
{
    static const struct form objects = { "</ListBucketResult>", "Contents",
        "<Contents>", parse_object };

    return parse_list(request, xml, prefix, &objects);
}

enum status
s3list_parse_uploads(
    struct objectstore_request *request, struct slice xml, struct slice prefix)
{
    static const struct form uploads = { "</ListMultipartUploadsResult>",
        "Upload", "<Upload>", parse_upload };

    return parse_list(request, xml, prefix, &uploads);
}

enum status
s3list_parse_upload_id(struct slice xml, struct buf *id)
{
    char text[S3LIST_ID_SIZE_MAX + 1];
    size_t len;

    if (xml.len == 0 || !parse_id(xml, text, &len))
        return STATUS_CORRUPT;
    buf_append(id, text, len);
    return STATUS_OK;
}
