/*
 * recent.c -- the files just shipped: a ring, oldest first.
 */
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/memory.h"

#include "replication/recent.h"

#define RING_SIZE_FIRST 256 /* files; a power of two, as all that follow */
#define FILE_PART 4         /* of the limit, for one file */

struct recent_file {
    uint64_t txid;
    char *data; /* NULL: taken */
    size_t len;
};

struct recent {
    uint64_t size_max, bytes;
    struct recent_file *ring;
    size_t size, first, count;
    uint64_t run_first; /* txids from here to the newest are all here */
};

static struct recent_file *
file_at(const struct recent *recent, size_t i)
{
    return &recent->ring[(recent->first + i) & (recent->size - 1)];
}

static void
drop_first(struct recent *recent)
{
    struct recent_file *file = file_at(recent, 0);

    if (file->data != NULL)
        recent->bytes -= file->len;
    memory_free(file->data);
    if (recent->run_first <= file->txid)
        recent->run_first = file->txid + 1;
    recent->first++;
    recent->count--;
}

static void
grow(struct recent *recent)
{
    size_t size = recent->size == 0 ? RING_SIZE_FIRST : 2 * recent->size;
    struct recent_file *ring = memory_alloc(size * sizeof(*ring));

    for (size_t i = 0; i < recent->count; i++)
        ring[i] = *file_at(recent, i);
    memory_free(recent->ring);
    recent->ring = ring;
    recent->size = size;
    recent->first = 0;
}

struct recent *
recent_new(uint64_t size_max)
{
    struct recent *recent = memory_zalloc(sizeof(*recent));

    recent->size_max = size_max;
    return recent;
}

void
recent_free(struct recent *recent)
{
    if (recent == NULL)
        return;
    while (recent->count > 0)
        drop_first(recent);
    CHECK(recent->bytes == 0);
    memory_free(recent->ring);
    memory_free(recent);
}

/* Memory for len more bytes; NULL: they do not come in. */
static char *
make_room(struct recent *recent, uint64_t len)
{
    if (len == 0 || len > recent->size_max / FILE_PART)
        return NULL;
    while (recent->count > 0 && recent->bytes + len > recent->size_max)
        drop_first(recent);
    /* What was taken may fill it. */
    return recent->bytes + len > recent->size_max ? NULL
                                                  : memory_try_alloc(len);
}

/* After a file that did not come in the next one begins a new run. */
static void
append(struct recent *recent, uint64_t txid, char *data, size_t len)
{
    uint64_t newest =
        recent->count == 0 ? 0 : file_at(recent, recent->count - 1)->txid;

    CHECK(txid > newest);
    if (recent->count == recent->size)
        grow(recent);
    if (recent->count == 0 || txid != newest + 1)
        recent->run_first = txid;
    recent->count++;
    *file_at(recent, recent->count - 1) =
        (struct recent_file){ txid, data, len };
    recent->bytes += len;
}

void
recent_add(struct recent *recent, uint64_t txid, struct slice file)
{
    char *data = make_room(recent, file.len);

    if (data == NULL)
        return;
    memcpy(data, file.data, file.len);
    append(recent, txid, data, file.len);
}

void
recent_add_file(struct recent *recent, uint64_t txid, int fd, uint64_t size)
{
    char *data = make_room(recent, size);

    if (data == NULL)
        return;
    if (pread(fd, data, size, 0) != (ssize_t)size) {
        memory_free(data);
        return;
    }
    append(recent, txid, data, size);
}

uint64_t
recent_count_from(const struct recent *recent, uint64_t txid)
{
    if (recent->count == 0 || txid < recent->run_first)
        return 0;
    uint64_t newest = file_at(recent, recent->count - 1)->txid;
    return txid > newest ? 0 : newest - txid + 1;
}

uint64_t
recent_count_run(const struct recent *recent)
{
    return recent_count_from(recent, recent->run_first);
}

bool
recent_take(struct recent *recent, uint64_t txid, struct slice *file)
{
    size_t low = 0, high = recent->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (file_at(recent, middle)->txid < txid)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == recent->count || file_at(recent, low)->txid != txid ||
        file_at(recent, low)->data == NULL)
        return false;
    struct recent_file *found = file_at(recent, low);
    *file = (struct slice){ found->data, found->len };
    found->data = NULL;
    if (recent->run_first <= txid)
        recent->run_first = txid + 1;
    while (recent->count > 0 && file_at(recent, 0)->data == NULL)
        drop_first(recent);
    return true;
}

void
recent_give_back(struct recent *recent, struct slice file)
{
    recent->bytes -= file.len;
    memory_free((void *)(uintptr_t)file.data);
}

void
recent_drop_to(struct recent *recent, uint64_t txid)
{
    while (recent->count > 0 && file_at(recent, 0)->txid <= txid)
        drop_first(recent);
}

uint64_t
recent_size(const struct recent *recent)
{
    return recent->bytes;
}
