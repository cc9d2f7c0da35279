/*
 * command.h -- what a command is, and what a handler is given.
 *
 * Adding a command touches one family file in server/commands/ and its test:
 * a static function and a row of the table at the file's foot.  COMMAND,
 * COMMAND DOCS, admission, key extraction and the tests read the rows.
 *
 * A handler sees arguments, objects and a reply sink: no RESP bytes, no
 * libevent, no SQLite, no clock.
 */
#ifndef WALDEN_SERVER_COMMAND_H
#define WALDEN_SERVER_COMMAND_H

#include "resp/reply.h"
#include "server/base/map.h"
#include "storage/keyspace.h"

struct server;
struct session;
struct command;

/* One execution of one command. */
struct call {
    struct server *server;
    struct session *session;       /* who asked; NULL only in tests */
    const struct command *command; /* the row; a subcommand's if there is one */
    struct slice *argv;            /* argv[0] is the name as sent; lent */
    size_t argc;
    struct keyspace *keyspace;
    int db;         /* logical number SELECTed */
    int64_t now_ms; /* wall clock, fixed for the call */
    struct reply *reply;
    bool is_in_exec;           /* MULTI/EXEC or a script: never block */
    bool is_retry;             /* run again after blocking (blocked.h) */
    int64_t block_deadline_us; /* is_retry: the first run's deadline */
};

typedef void (*command_fn)(struct call *call);

/* Admission and introspection; printed by COMMAND in lower case. */
enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7,
    CMD_STALE = 1 << 8,
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_SLOWLOG = 1 << 10,
    CMD_FAST = 1 << 11,
    CMD_NO_AUTH = 1 << 12,
    CMD_NO_MULTI = 1 << 13, /* refused inside MULTI */
    CMD_MOVABLEKEYS = 1 << 14,
    CMD_ALLOW_BUSY = 1 << 15,
    CMD_NO_ASYNC_LOADING = 1 << 16,
    /* Not printed. */
    CMD_NO_OBJECT = 1 << 24,  /* needs its keys, but not their objects */
    CMD_NOT_QUEUED = 1 << 25, /* runs at once inside MULTI (EXEC ...) */
    CMD_SEES_ALL = 1 << 26,   /* its reply waits for the open batch */
    CMD_PROTECTED = 1 << 27,  /* enable-debug-command says who may */
    CMD_SYSTEM = 1 << 28      /* not for clients: "syscmd" of COMMAND DOCS */
};

enum command_acl {
    ACL_KEYSPACE = 1 << 0,
    ACL_READ = 1 << 1,
    ACL_WRITE = 1 << 2,
    ACL_SET = 1 << 3,
    ACL_SORTEDSET = 1 << 4,
    ACL_LIST = 1 << 5,
    ACL_HASH = 1 << 6,
    ACL_STRING = 1 << 7,
    ACL_BITMAP = 1 << 8,
    ACL_HYPERLOGLOG = 1 << 9,
    ACL_GEO = 1 << 10,
    ACL_STREAM = 1 << 11,
    ACL_PUBSUB = 1 << 12,
    ACL_ADMIN = 1 << 13,
    ACL_FAST = 1 << 14,
    ACL_SLOW = 1 << 15,
    ACL_BLOCKING = 1 << 16,
    ACL_DANGEROUS = 1 << 17,
    ACL_CONNECTION = 1 << 18,
    ACL_TRANSACTION = 1 << 19,
    ACL_SCRIPTING = 1 << 20
};
/* Rows name only what Redis's command files name (ACL_STRING, ...); READ, */
/* WRITE, FAST, SLOW, ADMIN, DANGEROUS, BLOCKING follow from the flags. */

/* Flags of a key, as COMMAND prints them: RW RO OW RM ACCESS UPDATE INSERT */
/* DELETE NOT_KEY INCOMPLETE VARIABLE_FLAGS. */
enum key_flag {
    KEYS_RO = 1 << 0,
    KEYS_RW = 1 << 1,
    KEYS_OW = 1 << 2,
    KEYS_RM = 1 << 3,
    KEYS_ACCESS = 1 << 4,
    KEYS_UPDATE = 1 << 5,
    KEYS_INSERT = 1 << 6,
    KEYS_DELETE = 1 << 7,
    KEYS_NOT_KEY = 1 << 8,
    KEYS_INCOMPLETE = 1 << 9,
    KEYS_VARIABLE = 1 << 10
};

/* Where keys stand.  .first 0: none.  Otherwise argv[first], then every step */
/* up to last (negative: counted from the end, -1 the last argument). */
/* .count_at > 0: argv[count_at] says how many keys follow it instead */
/* (LMPOP: 1, BLMPOP: 2). */
struct command_keys {
    int first, last, step;
    int count_at;
    unsigned flags; /* of all keys; or per spec in more */
};
#define COMMAND_KEY_SPECS_MAX 3

/* A documented argument, for COMMAND DOCS: see commands/docs.h. */
struct command_arg;

struct command {
    const char *name; /* lower case */
    command_fn run;   /* NULL: only subcommands */
    int arity;        /* with the name; negative: at least */
    unsigned flags;   /* enum command_flag */
    struct command_keys keys;
    struct command_keys keys2; /* a second key spec, e.g. a destination */
    /* Where the arguments name one more key, to be written; 0: they do not. */
    size_t (*find_key)(const struct slice *argv, size_t argc);
    unsigned acl;      /* enum command_acl */
    const char *since; /* "1.0.0" */
    /* What is better asked for today, and since when; NULL: this. */
    const char *deprecated_since, *replaced_by;
    const char *summary;
    const char *complexity;
    const char *group;  /* "string", as COMMAND DOCS says */
    const char *syntax; /* as documented: "key [EX seconds | ...]" */
    const char *tips;   /* comma separated, or NULL */
    const struct command *subcommands; /* ends with a row without name */
    /* Blocking commands: what to reply when the time is up. */
    void (*timed_out)(struct session *session, struct reply *reply);
    /* Set at start. */
    const struct command *parent;
    char *called; /* by rename-command; NULL: name, "": nothing */
    struct map_node node;
    struct command_stats *stats; /* calls, usec, rejected, failed */
};

struct latency_histogram;

struct command_stats {
    uint64_t calls, usec, rejected, failed;
    struct latency_histogram *histogram; /* NULL: never ran; see latency.h */
};

/* The families; each ends with a row without name.  server/command.c holds */
/* the list of them. */
extern struct command commands_string[];
extern struct command commands_string_range[];
extern struct command commands_string_number[];
extern struct command commands_bitmap[];
extern struct command commands_lcs[];
extern struct command commands_sort[];
extern struct command commands_keys[];
extern struct command commands_keys_all[];
extern struct command commands_expire[];
extern struct command commands_dump[];
extern struct command commands_list[];
extern struct command commands_hash[];
extern struct command commands_transaction[];
extern struct command commands_connection[];
extern struct command commands_client[];
extern struct command commands_command[];
extern struct command commands_config[];
extern struct command commands_admin[];
extern struct command commands_debug[];
extern struct command commands_object[];

/* Build the index; once, before the first find. */
void command_init(void);
/*
 * Before command_init(): let the command of a name answer to another one, or
 * to none if to is empty.
 * Fails: STATUS_NOT_FOUND, STATUS_EXISTS, STATUS_LIMIT (to is too long).
 */
MUST_CHECK enum status command_rename(struct slice name, struct slice to);
/* The row of a name in any case, or NULL. */
struct command *command_find(struct slice name);
/* The subcommand row of parent, or NULL. */
struct command *command_find_sub(
    const struct command *parent, struct slice name);
/* Every top-level row that has a name in turn: pass NULL first; NULL at the */
/* end. */
struct command *command_next(const struct command *command);
bool command_arity_fits(const struct command *command, size_t argc);

/* One key of a request. */
struct command_key {
    size_t at;      /* its index in argv */
    unsigned flags; /* enum key_flag */
};
/*
 * The keys of a request, by the row's specs.  *keys is grown as needed
 * (*size entries; free it at the end).  Answer: how many; -1: the arguments do
 * not fit the command's form.
 */
int command_get_keys(const struct command *command, struct slice *argv,
    size_t argc, struct command_key **keys, size_t *size);

/* ---- what many handlers say or ask: server/call.c ------------------------ */

/* Shared error texts. */
#define ERROR_SYNTAX "ERR syntax error"
#define ERROR_NOT_INTEGER "ERR value is not an integer or out of range"
#define ERROR_NOT_POSITIVE "ERR value is out of range, must be positive"
#define ERROR_NOT_FLOAT "ERR value is not a valid float"
#define ERROR_WRONG_TYPE \
    "WRONGTYPE Operation against a key holding the wrong kind of value"
#define ERROR_NO_KEY "ERR no such key"
#define ERROR_OUT_OF_RANGE "ERR index out of range"

/* The live key at argv[at], whatever its type, or NULL.  A CMD_READONLY */
/* command's counts as a keyspace hit or miss.  _peek: without counting as an */
/* access of the key (LRU, LFU). */
struct key *call_find(struct call *call, size_t at);
struct key *call_peek(struct call *call, size_t at);
/* The key at argv[at]: found and of this type, else NULL.  If it is there */
/* with another type the error has been replied and *is_wrong is true. */
struct key *call_find_typed(
    struct call *call, size_t at, enum key_type type, bool *is_wrong);
/* argv[at] as a number; false: error replied (text, or the default one). */
bool call_get_i64(
    struct call *call, size_t at, int64_t *value, const char *error);
bool call_get_i64_in(struct call *call, size_t at, int64_t min, int64_t max,
    int64_t *value, const char *error);
bool call_get_double(
    struct call *call, size_t at, double *value, const char *error);
/* A cursor of SCAN and its kin, read as leniently as strtoul() does. */
bool call_get_cursor(struct call *call, size_t at, uint64_t *cursor);
bool call_arg_is(const struct call *call, size_t at, const char *word);
/* A blocking command's timeout argument (seconds, fractions allowed; 0: for */
/* ever) as a monotonic deadline in microseconds, INT64_MAX for ever. */
bool call_get_deadline(struct call *call, size_t at, int64_t *deadline_us);
/* "ERR unknown subcommand or wrong number of arguments for ..." */
void call_reply_subcommand_error(struct call *call);
/* HELP texts: lines ends with NULL; the usual head and tail are added. */
void call_reply_help(struct call *call, const char *const *lines);
/* An I/O error met by a handler itself: "ERR ..." with status's words. */
void call_reply_status(struct call *call, enum status status);

#endif
