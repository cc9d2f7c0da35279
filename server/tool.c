/*
 * tool.c -- restore, ls and verify.
 *
 * On a terminal progress is one line rewritten; elsewhere a line each tenth.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "replication/layout.h"
#include "replication/ltx.h"
#include "replication/objectstore.h"
#include "replication/restore.h"
#include "replication/unowned.h"
#include "server/base/buf.h"
#include "server/base/clock.h"
#include "server/base/memory.h"

#include "server/tool.h"

#define EXIT_USAGE 2
#define BAR_WIDTH 40

struct arguments {
    struct objectstore_options store;
    struct restore_options restore;
    const char *words[2]; /* what is no option */
    int word_count;
};

struct progress {
    bool is_terminal;
    int last_percent;
    int64_t started_us;
};

static const char usage[] =
    "Usage: walden restore [--to-time TIME | --to-txid N] [options] URL FILE\n"
    "       walden ls [options] URL\n"
    "       walden verify [options] URL\n"
    "URL:   s3://bucket/prefix or file:///path\n"
    "TIME:  RFC 3339, as 2026-11-21T10:00:00Z or with an offset\n"
    "Options:\n"
    "  --endpoint URL     of the object store (AWS_ENDPOINT_URL_S3)\n"
    "  --region NAME      (AWS_REGION; default us-east-1)\n"
    "  --path-style       bucket in the path, not in the host name\n"
    "  --ca-file FILE     certificates to trust\n"
    "Keys come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and\n"
    "AWS_SESSION_TOKEN, or from the machine's metadata service.\n";

/* ---- arguments ---------------------------------------------------------- */

/* "2026-11-21T10:00:00[.123][Z|+01:00]" in ms since 1970. */
static bool
parse_time(const char *text, int64_t *time_ms)
{
    struct tm tm = { 0 };
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int hours, minutes;
    int64_t ms = 0;
    char sign;

    if (rest == NULL)
        rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    if (rest == NULL)
        return false;
    if (*rest == '.') {
        int64_t scale = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++) {
            ms += (*rest - '0') * scale;
            scale /= 10;
        }
    }
    *time_ms = (int64_t)timegm(&tm) * 1000 + ms;
    if (*rest == '\0' || strcmp(rest, "Z") == 0)
        return true;
    if (sscanf(rest, "%c%2d:%2d", &sign, &hours, &minutes) != 3 ||
        (sign != '+' && sign != '-'))
        return false;
    int64_t offset = ((int64_t)hours * 60 + minutes) * 60000;
    *time_ms += sign == '+' ? -offset : offset;
    return true;
}

static bool
parse_txid(const char *text, uint64_t *txid)
{
    char *end;

    errno = 0;
    *txid = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *txid > 0;
}

/* An option with a value; false: unknown, or the value is of no use. */
static bool
take_option(struct arguments *arguments, const char *name, const char *value)
{
    if (strcmp(name, "--endpoint") == 0)
        arguments->store.endpoint = value;
    else if (strcmp(name, "--region") == 0)
        arguments->store.region = value;
    else if (strcmp(name, "--ca-file") == 0)
        arguments->store.ca_file = value;
    else if (strcmp(name, "--to-time") == 0)
        return parse_time(value, &arguments->restore.to_time_ms);
    else if (strcmp(name, "--to-txid") == 0)
        return parse_txid(value, &arguments->restore.to_txid);
    else
        return false;
    return true;
}

static bool
parse_arguments(int argc, char **argv, int words, struct arguments *arguments)
{
    *arguments =
        (struct arguments){ .store = {
                                .endpoint = getenv("AWS_ENDPOINT_URL_S3"),
                                .region = getenv("AWS_REGION"),
                            } };
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--path-style") == 0) {
            arguments->store.path_style = true;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            if (i + 1 == argc || !take_option(arguments, argv[i], argv[i + 1]))
                return false;
            i++;
        } else if (arguments->word_count < 2) {
            arguments->words[arguments->word_count++] = argv[i];
        } else {
            return false;
        }
    }
    if (arguments->word_count != words ||
        (arguments->restore.to_txid != 0 && arguments->restore.to_time_ms != 0))
        return false;
    /* A store of one's own has no host name for each bucket. */
    if (arguments->store.endpoint != NULL)
        arguments->store.path_style = true;
    arguments->store.url = arguments->words[0];
    return true;
}

static int
fail(const struct buf *error)
{
    fprintf(stderr, "walden: %.*s\n", (int)error->len,
        error->len > 0 ? error->data : "");
    return EXIT_FAILURE;
}

/* ---- restore ------------------------------------------------------------ */

static void
show_progress(uint64_t done, uint64_t total, void *arg)
{
    struct progress *progress = arg;
    int percent = total == 0 ? 100 : (int)(done * 100 / total);
    int filled = percent * BAR_WIDTH / 100;
    char bar[BAR_WIDTH + 1];

    if (percent == progress->last_percent ||
        (!progress->is_terminal && percent / 10 == progress->last_percent / 10))
        return;
    progress->last_percent = percent;
    if (!progress->is_terminal) {
        printf("%3d%% of %" PRIu64 " bytes\n", percent, total);
        return;
    }
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    printf("\r[%s] %3d%% of %.1f MB", bar, percent, (double)total / 1e6);
    if (percent == 100)
        printf("\n");
    fflush(stdout);
}

static void
format_time(int64_t time_ms, char text[32])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    size_t len = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, 32 - len, ".%03dZ", (int)(time_ms % 1000));
}

static enum status
run_restore(struct objectstore *store, const char *path,
    struct restore_options *options, struct restore_result *result,
    struct buf *error)
{
    struct progress progress = { .is_terminal = isatty(STDOUT_FILENO) == 1,
        .last_percent = -1,
        .started_us = clock_monotonic_us() };
    char time[32];

    options->progress = show_progress;
    options->arg = &progress;
    enum status status = restore_run(store, path, options, result, error);
    if (status != STATUS_OK)
        return status;
    format_time(result->timestamp_ms, time);
    printf("txid %" PRIu64 " of %s: %" PRIu64 " files, %" PRIu64
           " pages, %" PRIu64 " bytes in %.2f s\n",
        result->txid, time, result->files, result->pages, result->bytes,
        (double)(clock_monotonic_us() - progress.started_us) / 1e6);
    return STATUS_OK;
}

static int
tool_restore(struct objectstore *store, struct arguments *arguments)
{
    struct restore_result result;
    struct buf error = BUF_INIT;
    int code = EXIT_SUCCESS;

    arguments->restore.with_quick_check = true;
    /* What a person puts there is not what a start left that was killed. */
    if ((access(arguments->words[1], F_OK) != 0 &&
            unowned_forget(arguments->words[1], &error) != STATUS_OK) ||
        run_restore(store, arguments->words[1], &arguments->restore, &result,
            &error) != STATUS_OK)
        code = fail(&error);
    buf_fini(&error);
    return code;
}

/* ---- ls ----------------------------------------------------------------- */

static int
compare_files(const void *a, const void *b)
{
    const struct layout_file *x = a, *y = b;

    if (x->level != y->level)
        return x->level > y->level ? -1 : 1;
    return x->min_txid < y->min_txid ? -1 : x->min_txid > y->min_txid;
}

static int
tool_ls(struct objectstore *store, struct arguments *arguments)
{
    struct buf error = BUF_INIT;
    struct layout_file *files;
    uint64_t total = 0;
    size_t count;
    char time[32];

    (void)arguments;
    if (restore_list(store, &files, &count, &error) != STATUS_OK) {
        int code = fail(&error);
        buf_fini(&error);
        return code;
    }
    if (count > 1)
        qsort(files, count, sizeof(*files), compare_files);
    printf("%5s %20s %20s %14s  %s\n", "level", "min txid", "max txid", "bytes",
        "stored at");
    for (size_t i = 0; i < count; i++) {
        format_time(files[i].modified_ms, time);
        printf("%5u %20" PRIu64 " %20" PRIu64 " %14" PRIu64 "  %s\n",
            files[i].level, files[i].min_txid, files[i].max_txid, files[i].size,
            time);
        total += files[i].size;
    }
    printf("%zu files, %" PRIu64 " bytes\n", count, total);
    memory_free(files);
    buf_fini(&error);
    return EXIT_SUCCESS;
}

/* ---- verify ------------------------------------------------------------- */

static int
tool_verify(struct objectstore *store, struct arguments *arguments)
{
    const char *folder = getenv("TMPDIR");
    struct restore_result result;
    struct buf error = BUF_INIT;
    char path[PATH_MAX];
    int code = EXIT_SUCCESS;

    snprintf(path, sizeof(path), "%s/walden-verify-%ld.db",
        folder != NULL && folder[0] != '\0' ? folder : "/tmp", (long)getpid());
    if (run_restore(store, path, &arguments->restore, &result, &error) !=
            STATUS_OK ||
        restore_check_file(path, "integrity_check", &error) != STATUS_OK)
        code = fail(&error);
    else
        printf("every checksum and integrity_check: ok\n");
    unlink(path);
    buf_fini(&error);
    return code;
}

/* ---- choosing ----------------------------------------------------------- */

static const struct tool {
    const char *name;
    int words;
    int (*run)(struct objectstore *store, struct arguments *arguments);
} tools[] = {
    { "restore", 2, tool_restore },
    { "ls", 1, tool_ls },
    { "verify", 1, tool_verify },
};

static int
start_tool(const struct tool *tool, int argc, char **argv)
{
    struct arguments arguments;
    struct objectstore *store;
    struct buf error = BUF_INIT;
    int code;

    if (!parse_arguments(argc, argv, tool->words, &arguments)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (objectstore_open(&store, &arguments.store, &error) != STATUS_OK) {
        code = fail(&error);
    } else {
        code = tool->run(store, &arguments);
        objectstore_close(store);
    }
    buf_fini(&error);
    return code;
}

bool
tool_run(int argc, char **argv, int *exit_code)
{
    for (size_t i = 0; argc > 1 && i < sizeof(tools) / sizeof(tools[0]); i++) {
        if (strcmp(argv[1], tools[i].name) != 0)
            continue;
        *exit_code = start_tool(&tools[i], argc, argv);
        return true;
    }
    return false;
}
