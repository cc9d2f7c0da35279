/*
 * main.c -- the command line, the process, signals.
 *
 *   walden [/path/to/redis.conf | -] [--directive value ...]
 *
 * Signals: SIGTERM and SIGINT commit, fold and close, then exit 0; a second
 * SIGINT exits at once (nothing acknowledged is lost by that).  SIGHUP and
 * SIGPIPE are ignored.  A crash is logged and kills the process as it would
 * have, so that the system's core dump is made.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "server/base/log.h"
#include "server/config_table.h"
#include "server/loop.h"
#include "server/run.h"
#include "server/tool.h"
#include "server/version.h"

/* ---- the command line -------------------------------------------------- */

static void
print_version(void)
{
    printf("Walden server v=%s redis=%s bits=%d\n", VERSION_WALDEN,
        VERSION_REDIS, (int)(8 * sizeof(void *)));
}

static void
print_usage(FILE *out)
{
    (void)fputs(
        "Usage: walden [/path/to/redis.conf] [options] [-]\n"
        "       walden - (read config from stdin)\n"
        "       walden -v or --version\n"
        "       walden -h or --help\n"
        "       walden restore|ls|verify [options] URL [file.db] (a bucket)\n"
        "\n"
        "Examples:\n"
        "       walden (run the server with the default configuration)\n"
        "       echo 'maxmemory 128mb' | walden -\n"
        "       walden /etc/walden/6379.conf\n"
        "       walden --port 7777\n"
        "       walden --port 7777 --durability memory\n"
        "       walden /etc/walden/6379.conf --loglevel verbose -\n",
        out);
}

/* The file's absolute path, since dir is changed to. */
static void
note_config_file(const char *path)
{
    char *absolute = realpath(path, NULL);
    if (absolute != NULL && strlen(absolute) < sizeof(server.config_file))
        memcpy(server.config_file, absolute, strlen(absolute) + 1);
    free(absolute);
}

/* Read the configuration; exits when it is wrong. */
static void
load_config(int argc, char **argv)
{
    struct buf error = BUF_INIT;
    const char *path = NULL;
    bool has_stdin = false;
    int at = 1;
    if (argc > 1 && argv[1][0] != '-')
        path = argv[at++];
    /* "-" stands first or last. */
    if (at == 1 && argc > 1 && strcmp(argv[1], "-") == 0) {
        has_stdin = true;
        at++;
    }
    if (argc > at && strcmp(argv[argc - 1], "-") == 0) {
        has_stdin = true;
        argc--;
    }
    config_init(&server.config);
    if (config_load(&server.config, path, has_stdin, argv + at, argc - at,
            &error) != STATUS_OK) {
        (void)fprintf(stderr, "%.*s", (int)error.len, error.data);
        exit(1);
    }
    buf_fini(&error);
    if (path != NULL)
        note_config_file(path);
}

/* ---- the process ------------------------------------------------------- */

/* Detach from the terminal.  The parent exits. */
static void
daemonize(void)
{
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid > 0)
        exit(0);
    (void)setsid();
    int fd = open("/dev/null", O_RDWR);
    if (fd < 0)
        return;
    (void)dup2(fd, STDIN_FILENO);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    if (fd > STDERR_FILENO)
        (void)close(fd);
}

static const char *
pidfile_path(void)
{
    const struct config *config = &server.config;
    if (config->pidfile != NULL)
        return config->pidfile;
    return config->daemonize ? "/var/run/walden.pid" : NULL;
}

static void
write_pidfile(void)
{
    const char *path = pidfile_path();
    FILE *file = path != NULL ? fopen(path, "we") : NULL;
    if (file == NULL) {
        if (path != NULL)
            log_warning("Failed to write PID file %s", path);
        return;
    }
    (void)fprintf(file, "%d\n", (int)getpid());
    (void)fclose(file);
}

static void
log_ignored(void)
{
    const struct config_ignored *ignored = server.config.ignored;
    for (; ignored != NULL; ignored = ignored->next)
        log_notice("The directive '%s' means nothing here and is ignored",
            ignored->row->name);
    if (server.config.durability == CONFIG_DURABILITY_MEMORY)
        log_notice("durability memory: replies do not wait for the disk; "
                   "writes of the last second can be lost");
}

/* ---- signals ----------------------------------------------------------- */

static volatile sig_atomic_t signals_seen;

static void
on_stop_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    (void)arg;
    log_warning("Received %s scheduling shutdown...",
        number == SIGINT ? "SIGINT" : "SIGTERM");
    server_shutdown(true);
}

static void
on_second_signal(int number)
{
    (void)number;
    if (++signals_seen > 0)
        _exit(1);
}

static const char crash_text[] =
    "=== WALDEN CRASHED: the database file holds all that was "
    "acknowledged; start again ===\n";

static void
on_crash(int number)
{
    ssize_t n = write(STDERR_FILENO, crash_text, sizeof(crash_text) - 1);
    (void)n;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static struct event *stop_events[2];

static void
catch_signals(void)
{
    static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    struct sigaction action = { .sa_handler = on_crash,
        .sa_flags = (int)SA_RESETHAND | SA_NODEFER };
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        (void)sigaction(crashes[i], &action, NULL);
}

static void
watch_stop_signals(void)
{
    stop_events[0] = evsignal_new(server.base, SIGINT, on_stop_signal, NULL);
    stop_events[1] = evsignal_new(server.base, SIGTERM, on_stop_signal, NULL);
    for (int i = 0; i < 2; i++)
        if (stop_events[i] == NULL || event_add(stop_events[i], NULL) != 0)
            log_warning("Cannot watch for signals");
}

static void
unwatch_stop_signals(void)
{
    for (int i = 0; i < 2; i++)
        if (stop_events[i] != NULL)
            event_free(stop_events[i]);
    /* While folding: leave at once. */
    (void)signal(SIGINT, on_second_signal);
}

/* ---- main -------------------------------------------------------------- */

static enum status
prepare(void)
{
    struct config *config = &server.config;
    struct buf error = BUF_INIT;
    if (config->dir != NULL && chdir(config->dir) != 0) {
        (void)fprintf(stderr, "Can't chdir to '%s'\n", config->dir);
        return STATUS_IO;
    }
    if (config->daemonize)
        daemonize();
    if (log_open(config->logfile) != STATUS_OK) {
        (void)fprintf(stderr, "Can't open the log file: %s\n", config->logfile);
        return STATUS_IO;
    }
    log_set_level((enum log_level)config->loglevel);
    (void)config_apply_objects(config, &error);
    buf_fini(&error);
    return STATUS_OK;
}

int
main(int argc, char **argv)
{
    if (argc == 2 &&
        (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0)) {
        print_version();
        return 0;
    }
    if (argc == 2 &&
        (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
        print_usage(stderr);
        return 0;
    }
    int exit_code;
    if (tool_run(argc, argv, &exit_code))
        return exit_code;
    char *executable = realpath("/proc/self/exe", NULL);
    server.executable = executable != NULL ? executable : argv[0];
    load_config(argc, argv);
    if (prepare() != STATUS_OK)
        return 1;
    catch_signals();
    log_notice("Walden version=%s, redis=%s, bits=%d, pid=%d, just started",
        VERSION_WALDEN, VERSION_REDIS, (int)(8 * sizeof(void *)),
        (int)getpid());
    log_ignored();
    enum status status = server_start();
    if (status == STATUS_OK) {
        watch_stop_signals();
        write_pidfile();
        log_notice("Ready to accept connections");
        loop_run(&server);
        log_notice("User requested shutdown...");
        unwatch_stop_signals();
        if (pidfile_path() != NULL)
            (void)unlink(pidfile_path());
    }
    server_stop();
    if (status == STATUS_OK)
        log_notice("Walden is now ready to exit, bye bye...");
    config_fini(&server.config);
    free(executable);
    return status == STATUS_OK ? 0 : 1;
}
