/*
 * s3list.c -- reading the XML of a ListObjectsV2 answer.
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

/* One <Contents>; false: it is not of the form required. */
static bool
parse_entry(
    struct objectstore_request *request, struct slice xml, struct slice prefix)
{
    struct slice key = find_element(xml, "Key");
    char name[S3LIST_NAME_SIZE_MAX + 1], number[32], time[64];
    size_t len;

    if (key.data == NULL || key.len > S3LIST_NAME_SIZE_MAX)
        return false;
    len = decode_percent(name, decode_entities(key, name));
    copy_text(find_element(xml, "Size"), number, sizeof(number));
    copy_text(find_element(xml, "LastModified"), time, sizeof(time));
    size_t skip = prefix.len > 0 ? prefix.len + 1 : 0;
    if (len < skip || memcmp(name, prefix.data, prefix.len) != 0)
        return true;
    struct objectstore_entry *entry = &request->entries[request->entry_count++];
    entry->name = memory_alloc(len - skip + 1);
    memcpy(entry->name, name + skip, len - skip);
    entry->name[len - skip] = '\0';
    entry->size = strtoull(number, NULL, 10);
    entry->modified_ms = s3list_parse_time(time);
    return true;
}

static size_t
count_entries(struct slice xml)
{
    size_t count = 0;
    const char *end = xml.data + xml.len;

    for (const char *at = xml.data; at != NULL; count++) {
        at = memmem(at, (size_t)(end - at), "<Contents>", 10);
        if (at == NULL)
            break;
        at += 10;
    }
    return count;
}

enum status
s3list_parse(
    struct objectstore_request *request, struct slice xml, struct slice prefix)
{
    struct slice truncated = find_element(xml, "IsTruncated");
    const char *end = xml.data + xml.len;

    if (xml.len == 0 || truncated.data == NULL ||
        memmem(xml.data, xml.len, "</ListBucketResult>", 19) == NULL)
        return STATUS_CORRUPT;
    size_t count = count_entries(xml);
    request->entries =
        memory_zalloc((count == 0 ? 1 : count) * sizeof(*request->entries));
    request->entry_count = 0;
    request->has_more = slice_is(truncated, "true");
    while (count-- > 0) {
        struct slice entry = find_element(xml, "Contents");
        if (entry.data == NULL || !parse_entry(request, entry, prefix))
            return STATUS_CORRUPT;
        xml.data = entry.data + entry.len;
        xml.len = (size_t)(end - xml.data);
    }
    return STATUS_OK;
}
