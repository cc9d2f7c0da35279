/*
 * hash.h -- the hash object: field -> value.  The file is objects/hash.c; its
 * names begin with hash_object_ so as not to meet base/hash.h.
 *
 * A hash starts as an array in insertion order (Redis's listpack) and becomes
 * a map for good when it outgrows hash-max-listpack-entries or -value; the
 * encoding is kept in the key's row, so that it survives eviction.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_OBJECTS_HASH_H
#define WALDEN_STORAGE_OBJECTS_HASH_H

#include "server/base/map.h"
#include "storage/objects/edit.h"

/* From the configuration; set by the server at start and by CONFIG SET. */
struct hash_object_limits {
    size_t listpack_entries; /* hash-max-listpack-entries, 128 */
    size_t listpack_value;   /* hash-max-listpack-value, 64 bytes */
};
extern struct hash_object_limits hash_object_limits;

struct hash_object;

/* KEY_LISTPACK or KEY_HASHTABLE. */
struct hash_object *hash_object_new(enum key_encoding encoding);
void hash_object_free(struct hash_object *hash);
/* Free up to count fields; true: the hash is gone too. */
bool hash_object_free_step(struct hash_object *hash, size_t count);

size_t hash_object_len(const struct hash_object *hash);
enum key_encoding hash_object_encoding(const struct hash_object *hash);
size_t hash_object_memory(const struct hash_object *hash); /* bytes; O(1) */

/* value is lent until the hash changes; may be NULL. */
bool hash_object_get(
    const struct hash_object *hash, struct slice field, struct slice *value);
/* Copies both.  true: the field is new. */
bool hash_object_put(struct hash_object *hash, const struct edit *edit,
    struct slice field, struct slice value);
/* true: it was there. */
bool hash_object_remove(
    struct hash_object *hash, const struct edit *edit, struct slice field);

typedef void (*hash_object_visit_fn)(
    struct slice field, struct slice value, void *arg);
void hash_object_each(
    const struct hash_object *hash, hash_object_visit_fn visit, void *arg);
/* As map_scan(); a listpack is visited whole and answers 0. */
uint64_t hash_object_scan(const struct hash_object *hash, uint64_t cursor,
    size_t wanted, hash_object_visit_fn visit, void *arg);
/* A random field; the hash is not empty.  Lent. */
void hash_object_random(
    const struct hash_object *hash, struct slice *field, struct slice *value);

/* Rows become fields again. */
void hash_object_apply_put(
    struct hash_object *hash, struct slice field, struct slice value);
void hash_object_apply_del(struct hash_object *hash, struct slice field);

void hash_object_check(const struct hash_object *hash);

#endif
