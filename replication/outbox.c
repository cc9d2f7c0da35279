/*
 * outbox.c -- LTX files that wait for the bucket, in a folder.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/faultpoint.h"
#include "server/base/memory.h"

#include "replication/outbox.h"

#define SUFFIX ".ltx"
#define TEMPORARY "incoming.tmp" /* there is one writer */
#define LOST "lost"
#define LOST_TEMPORARY "lost.tmp"
#define LOST_SIZE_MAX 1024

struct outbox {
    char *folder;
    int folder_fd;
    struct outbox_file *files; /* oldest first */
    size_t count, size;
    uint64_t bytes;
    struct outbox_loss loss;
    bool has_loss;
};

static void
make_name(char name[32], uint64_t txid)
{
    snprintf(name, 32, "%016" PRIx64 SUFFIX, txid);
}

static enum status
status_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? STATUS_FULL : STATUS_IO;
}

static enum status
write_synced(int fd, struct slice file)
{
    while (file.len > 0) {
        ssize_t n = write(fd, file.data, file.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return status_of_errno();
        file.data += n;
        file.len -= (size_t)n;
    }
    return fsync(fd) == 0 ? STATUS_OK : STATUS_IO;
}

static void
append(struct outbox *outbox, const struct outbox_file *file)
{
    if (outbox->count == outbox->size) {
        outbox->size = outbox->size == 0 ? 16 : 2 * outbox->size;
        outbox->files = memory_realloc(
            outbox->files, outbox->size * sizeof(*outbox->files));
    }
    outbox->files[outbox->count++] = *file;
    outbox->bytes += file->size;
}

/* Read a file's header and check it against its name. */
static enum status
inspect(struct outbox *outbox, const char *name, struct buf *error)
{
    struct outbox_file file = { .txid = strtoull(name, NULL, 16) };
    char header[LTX_HEADER_SIZE];
    enum status status = STATUS_OK;
    struct stat st;
    int fd = openat(outbox->folder_fd, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0 ||
        pread(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        ltx_decode_header(header, sizeof(header), &file.header) != STATUS_OK ||
        file.header.min_txid != file.txid ||
        file.header.max_txid != file.txid) {
        buf_printf(
            error, "%s/%s is not the file its name says", outbox->folder, name);
        status = STATUS_CORRUPT;
    }
    if (fd >= 0)
        close(fd);
    if (status != STATUS_OK)
        return status;
    file.size = (uint64_t)st.st_size;
    append(outbox, &file);
    return STATUS_OK;
}

static int
compare_files(const void *a, const void *b)
{
    const struct outbox_file *x = a, *y = b;

    return x->txid < y->txid ? -1 : x->txid > y->txid;
}

static bool
is_file_name(const char *name)
{
    return strlen(name) == 16 + strlen(SUFFIX) &&
           strcmp(name + 16, SUFFIX) == 0;
}

/* ---- what is lost ------------------------------------------------------- */

/*
 * The file is text, so that whoever finds it can read it:
 *
 *   walden-lost 1
 *   txid <newest shipped before, decimal>
 *   node <id, 16 hex>                      (once for each run)
 */
static enum status
write_loss(struct outbox *outbox, const struct outbox_loss *loss)
{
    struct buf text = BUF_INIT;
    int fd = openat(outbox->folder_fd, LOST_TEMPORARY,
        O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    enum status status;

    if (fd < 0)
        return status_of_errno();
    buf_printf(&text, "walden-lost 1\ntxid %" PRIu64 "\n", loss->txid);
    for (size_t i = 0; i < loss->node_count; i++)
        buf_printf(&text, "node %016" PRIx64 "\n", loss->nodes[i]);
    status = write_synced(fd, buf_slice(&text));
    close(fd);
    buf_fini(&text);
    if (status == STATUS_OK && (renameat(outbox->folder_fd, LOST_TEMPORARY,
                                    outbox->folder_fd, LOST) != 0 ||
                                   fsync(outbox->folder_fd) != 0))
        status = status_of_errno();
    if (status != STATUS_OK) {
        (void)unlinkat(outbox->folder_fd, LOST_TEMPORARY, 0);
        /* Under its name it says what is not so yet: nothing was dropped. */
        if (!outbox->has_loss)
            (void)unlinkat(outbox->folder_fd, LOST, 0);
    }
    return status;
}

static bool
parse_loss(char *text, struct outbox_loss *loss)
{
    int used = 0;

    *loss = (struct outbox_loss){ 0 };
    if (sscanf(text, "walden-lost 1\ntxid %" SCNu64 "\n%n", &loss->txid,
            &used) != 1 ||
        used == 0)
        return false;
    for (text += used; *text != '\0'; text += used) {
        used = 0;
        if (loss->node_count == OUTBOX_NODES_MAX ||
            sscanf(text, "node %" SCNx64 "\n%n", &loss->nodes[loss->node_count],
                &used) != 1 ||
            used == 0)
            return false;
        loss->node_count++;
    }
    return true;
}

static enum status
read_loss(struct outbox *outbox, struct buf *error)
{
    char text[LOST_SIZE_MAX];
    int fd = openat(outbox->folder_fd, LOST, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0 && errno == ENOENT)
        return STATUS_OK;
    got = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
    if (fd >= 0)
        close(fd);
    text[got < 0 ? 0 : got] = '\0';
    if (got < 0 || !parse_loss(text, &outbox->loss)) {
        buf_printf(error, "%s/" LOST " cannot be read", outbox->folder);
        return got < 0 ? STATUS_IO : STATUS_CORRUPT;
    }
    outbox->has_loss = true;
    return STATUS_OK;
}

/* Delete the files that were given up. */
static enum status
sweep(struct outbox *outbox)
{
    DIR *dir = opendir(outbox->folder);
    enum status status = STATUS_OK;
    struct dirent *entry;

    if (dir == NULL)
        return STATUS_IO;
    while ((entry = readdir(dir)) != NULL)
        if (is_file_name(entry->d_name) &&
            unlinkat(outbox->folder_fd, entry->d_name, 0) != 0 &&
            errno != ENOENT)
            status = STATUS_IO;
    closedir(dir);
    return status;
}

/* ---- opening ------------------------------------------------------------ */

static enum status
load(struct outbox *outbox, struct buf *error)
{
    DIR *dir = opendir(outbox->folder);
    enum status status = STATUS_OK;
    struct dirent *entry;

    if (dir == NULL) {
        buf_printf(error, "%s: %s", outbox->folder, strerror(errno));
        return STATUS_IO;
    }
    while (status == STATUS_OK && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, TEMPORARY) == 0)
            (void)unlinkat(outbox->folder_fd, TEMPORARY, 0);
        else if (is_file_name(entry->d_name) && !outbox->has_loss)
            status = inspect(outbox, entry->d_name, error);
    }
    closedir(dir);
    if (outbox->count > 1)
        qsort(outbox->files, outbox->count, sizeof(*outbox->files),
            compare_files);
    for (size_t i = 1; i < outbox->count && status == STATUS_OK; i++)
        if (outbox->files[i].txid != outbox->files[i - 1].txid + 1) {
            buf_printf(error, "%s lacks txid %" PRIu64, outbox->folder,
                outbox->files[i - 1].txid + 1);
            status = STATUS_CORRUPT;
        }
    return status;
}

enum status
outbox_open(
    struct outbox **outbox, const char *database_path, struct buf *error)
{
    struct outbox *box = memory_zalloc(sizeof(*box));
    size_t size = strlen(database_path) + sizeof("-outbox");
    enum status status = STATUS_IO;

    box->folder = memory_alloc(size);
    snprintf(box->folder, size, "%s-outbox", database_path);
    box->folder_fd = -1;
    if (mkdir(box->folder, 0777) != 0 && errno != EEXIST)
        buf_printf(error, "%s: %s", box->folder, strerror(errno));
    else
        box->folder_fd = open(box->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (box->folder_fd >= 0)
        status = read_loss(box, error);
    if (status == STATUS_OK)
        status = load(box, error);
    if (status != STATUS_OK) {
        outbox_close(box);
        return status;
    }
    *outbox = box;
    return STATUS_OK;
}

void
outbox_close(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    if (outbox->folder_fd >= 0)
        close(outbox->folder_fd);
    memory_free(outbox->folder);
    memory_free(outbox->files);
    memory_free(outbox);
}

size_t
outbox_count(const struct outbox *outbox)
{
    return outbox->count;
}

uint64_t
outbox_size(const struct outbox *outbox)
{
    return outbox->bytes;
}

const struct outbox_file *
outbox_first(const struct outbox *outbox)
{
    return outbox->count == 0 ? NULL : &outbox->files[0];
}

const struct outbox_file *
outbox_last(const struct outbox *outbox)
{
    return outbox->count == 0 ? NULL : &outbox->files[outbox->count - 1];
}

enum status
outbox_add(struct outbox *outbox, uint64_t txid, struct slice file)
{
    struct outbox_file entry = { .txid = txid, .size = file.len };
    char name[32];
    enum status status = ltx_decode_header(file.data, file.len, &entry.header);

    if (status == STATUS_OK && outbox->has_loss)
        status = outbox_end_loss(outbox);
    if (status != STATUS_OK)
        return status;
    make_name(name, txid);
    int fd = openat(outbox->folder_fd, TEMPORARY,
        O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return status_of_errno();
    FAULT_POINT("outbox.write");
    status = write_synced(fd, file);
    close(fd);
    FAULT_POINT("outbox.written");
    if (status == STATUS_OK &&
        (renameat(outbox->folder_fd, TEMPORARY, outbox->folder_fd, name) != 0 ||
            fsync(outbox->folder_fd) != 0))
        status = status_of_errno();
    FAULT_POINT("outbox.named");
    if (status != STATUS_OK) {
        /* Under its name too: it is not ours until it is surely there. */
        (void)unlinkat(outbox->folder_fd, TEMPORARY, 0);
        (void)unlinkat(outbox->folder_fd, name, 0);
        return status;
    }
    append(outbox, &entry);
    return STATUS_OK;
}

static enum status
open_file(struct outbox *outbox, const struct outbox_file *file, int *fd)
{
    char name[32];

    make_name(name, file->txid);
    *fd = openat(outbox->folder_fd, name, O_RDONLY | O_CLOEXEC);
    return *fd >= 0 ? STATUS_OK : STATUS_IO;
}

enum status
outbox_read_first(struct outbox *outbox, int *fd)
{
    return open_file(outbox, outbox_first(outbox), fd);
}

enum status
outbox_read_last(struct outbox *outbox, int *fd)
{
    return open_file(outbox, outbox_last(outbox), fd);
}

enum status
outbox_remove_first(struct outbox *outbox)
{
    char name[32];

    make_name(name, outbox->files[0].txid);
    if (unlinkat(outbox->folder_fd, name, 0) != 0 && errno != ENOENT)
        return STATUS_IO;
    outbox->bytes -= outbox->files[0].size;
    outbox->count--;
    memmove(outbox->files, outbox->files + 1,
        outbox->count * sizeof(*outbox->files));
    return STATUS_OK;
}

enum status
outbox_clear(struct outbox *outbox)
{
    if (outbox->count == 0)
        return STATUS_OK;
    while (outbox->count > 0) {
        enum status status = outbox_remove_first(outbox);
        if (status != STATUS_OK)
            return status;
    }
    /* What belongs to another history must not come back. */
    return fsync(outbox->folder_fd) == 0 ? STATUS_OK : STATUS_IO;
}

enum status
outbox_lose(struct outbox *outbox, uint64_t txid, uint64_t node_id)
{
    struct outbox_loss loss = outbox->loss;

    if (outbox_is_lost_node(outbox, node_id))
        return STATUS_OK;
    if (!outbox->has_loss)
        loss = (struct outbox_loss){ .txid = txid };
    if (loss.node_count == OUTBOX_NODES_MAX)
        memmove(loss.nodes, loss.nodes + 1,
            --loss.node_count * sizeof(loss.nodes[0]));
    loss.nodes[loss.node_count++] = node_id;
    enum status status = write_loss(outbox, &loss);
    if (status != STATUS_OK)
        return status;
    outbox->loss = loss;
    outbox->has_loss = true;
    FAULT_POINT("outbox.lost");
    /* What cannot be deleted is when the loss ends. */
    outbox->count = 0;
    outbox->bytes = 0;
    (void)sweep(outbox);
    return STATUS_OK;
}

const struct outbox_loss *
outbox_find_loss(const struct outbox *outbox)
{
    return outbox->has_loss ? &outbox->loss : NULL;
}

bool
outbox_is_lost_node(const struct outbox *outbox, uint64_t node_id)
{
    for (size_t i = 0; outbox->has_loss && i < outbox->loss.node_count; i++)
        if (outbox->loss.nodes[i] == node_id)
            return true;
    return false;
}

enum status
outbox_end_loss(struct outbox *outbox)
{
    if (!outbox->has_loss)
        return STATUS_OK;
    /* The dropped files first: without "lost" they would look alive. */
    if (sweep(outbox) != STATUS_OK || fsync(outbox->folder_fd) != 0 ||
        (unlinkat(outbox->folder_fd, LOST, 0) != 0 && errno != ENOENT) ||
        fsync(outbox->folder_fd) != 0)
        return STATUS_IO;
    outbox->has_loss = false;
    return STATUS_OK;
}
